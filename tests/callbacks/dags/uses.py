"""Clips that are bought with and without a callback, and workers that die before they have written down the answer."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

CLIP = {
    "model": "MiniMax-Hailuo-2.3",
    "prompt": "A paper boat sails down a street.",
    "deferrable": True,
    "retries": 3,
    "retry_delay": timedelta(seconds=2),
}
PARAMS = {"folder": Param("/nowhere", type="string"), "count": Param(20, type="integer")}


class NotesItsReturn(MinimaxVideoGenerationOperator):
    """Write down when the task is back in a worker."""

    def execute_complete(self, context: Any, event: Any) -> Any:
        now = time.time()
        folder = Path(context["params"]["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{event['task']['task_id']}.resumed").write_text(json.dumps(now))
        return super().execute_complete(context, event)


@task
def paths(params: Any = None) -> list[str]:
    return [f"{params['folder']}/{number}.mp4" for number in range(params["count"])]


def die_after_the_first_submission(context: Any) -> None:
    """Have the process of a first try end once the platform has sold a clip and nobody knows: Airflow calls this."""
    if context["ti"].try_number > 1:
        return
    submit = MinimaxHook.submit

    def die(self: MinimaxHook, *args: Any, **kwargs: Any) -> str:
        submit(self, *args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    MinimaxHook.submit = die  # type: ignore[method-assign]


for name, options in {
    "pushed_60": {"callback_url": "auto", "poll_interval": 60},
    "pushed_learnt": {"callback_url": "auto"},
    "polled_60": {"poll_interval": 60},
    "polled_learnt": {},
    "pushed_5": {"callback_url": "auto", "poll_interval": 5},
}.items():
    with DAG(name, params=PARAMS):
        NotesItsReturn.partial(task_id="generate", **CLIP | options).expand(output_path=paths())

with DAG("killed", params=PARAMS):
    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        callback_url="auto",
        poll_interval=5,
        pre_execute=die_after_the_first_submission,
        **CLIP,
    ).expand(output_path=paths())
