"""Clips that are bought with and without a callback, and workers that die before they have written down the answer."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from airflow_provider_minimax.callbacks.record import HAS_RECORD
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from airflow_provider_minimax.triggers.clips import MinimaxClipsTrigger

CLIP = {
    "model": "MiniMax-Hailuo-2.3",
    "prompt": "A paper boat sails down a street.",
    "deferrable": True,
    "retries": 3,
    "retry_delay": timedelta(seconds=2),
}
PARAMS = {"folder": Param("/nowhere", type="string"), "count": Param(20, type="integer")}


def note_return(context: Any, event: Any) -> None:
    """Write down when the task is back in a worker."""
    now = time.time()
    folder = Path(context["params"]["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{event['task']['task_id']}.resumed").write_text(json.dumps(now))


class NotesItsReturn(MinimaxVideoGenerationOperator):
    def execute_complete(self, context: Any, event: Any) -> Any:
        note_return(context, event)
        return super().execute_complete(context, event)


class SensorThatNotesItsReturn(MinimaxTaskSensor):
    def execute_complete(self, context: Any, event: Any) -> Any:
        note_return(context, event)
        return super().execute_complete(context, event)


@task(retries=3, retry_delay=timedelta(seconds=2))
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
    # No try but the first: the trigger finds the clip at its first poll.
    "soon": {"poll_interval": 0.1, "retries": 0},
    # No DAG names the asset of this connection.
    "pushed_undeclared": {"callback_url": "auto", "poll_interval": 3600, "minimax_conn_id": "minimax_ai302"},
}.items():
    with DAG(name, params=PARAMS):
        NotesItsReturn.partial(task_id="generate", **CLIP | options).expand(output_path=paths())

for name, options in {"pushed_sensor": {"callback_url": "auto"}, "polled_sensor": {}}.items():
    with DAG(name, params=PARAMS):
        bought = MinimaxVideoGenerationOperator.partial(
            task_id="generate", wait_for_completion=False, **CLIP | options
        ).expand(output_path=paths())
        SensorThatNotesItsReturn.partial(task_id="wait", deferrable=True, poke_interval=60).expand(
            minimax_task_id=bought.output
        )

with DAG("pushed_on_workers", params=PARAMS):
    MinimaxVideoGenerationOperator.partial(
        task_id="generate", callback_url="auto", poll_interval=3600, **CLIP | {"deferrable": False}
    ).expand(output_path=paths())

with DAG("killed", params=PARAMS):
    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        callback_url="auto",
        poll_interval=5,
        pre_execute=die_after_the_first_submission,
        **CLIP,
    ).expand(output_path=paths())

if HAS_RECORD:
    WATCHED = Asset(
        "watched clips",
        watchers=[AssetWatcher(name="clips", trigger=MinimaxClipsTrigger(poll_interval=2))],
    )

    with DAG("after_a_watched_clip", schedule=[WATCHED], catchup=False):

        @task
        def say_what_for(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
            return [dict(event.extra) for events in triggering_asset_events.values() for event in events]

        say_what_for()

with DAG("unpushed_h3", params=PARAMS):
    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        poll_interval=2,
        **CLIP | {"model": "MiniMax-H3", "resolution": "768P", "duration": 5, "ratio": "16:9"},
    ).expand(output_path=paths())
