"""The ways to have a clip made: one task or three, with and without an output, in the triggerer or on the worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param
from kill_points import arm, survived

from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

CLIP = "{{ params.folder }}/clip.mp4"
ORDER = {"model": "MiniMax-Hailuo-2.3", "prompt": "{{ params.prompt }}"}
WAITING = {**ORDER, "wait_for_completion": True}
# Each run has clips of a kind of its own, so that the platform's list can tell them apart, which shows no prompts.
H3 = {
    "model": "{{ params.model }}",
    "resolution": "{{ params.resolution }}",
    "duration": "{{ params.duration }}",
    "ratio": "{{ params.ratio }}",
}
ADOPTING = {**H3, "on_orphaned_intent": "adopt"}
PUSHED = {"callback_url": "auto"}
# All of these are of one kind, and lie in one folder, where their receipts tell them apart.
TOGETHER = {"model": "MiniMax-H3-Max", "resolution": "768P", "duration": 5, "ratio": "16:9"}


def errand(name: str, at_once: int = 100, retry_delay: float = 5, retries: int = 20) -> DAG:
    return DAG(
        name,
        params={
            "folder": Param("/nowhere", type="string"),
            "prompt": Param("", type="string"),
            "connection": Param("minimax_default", type="string"),
            "model": Param("MiniMax-H3", type="string"),
            "resolution": Param("768P", type="string"),
            "duration": Param(5, type="integer"),
            "ratio": Param("16:9", type="string"),
        },
        max_active_runs=at_once,
        max_active_tasks=100,
        default_args={
            "minimax_conn_id": "{{ params.connection }}",
            "poll_interval": 1,
            "retries": retries,
            "retry_delay": timedelta(seconds=retry_delay),
            "pre_execute": arm,
            "post_execute": survived,
        },
    )


def one_task(name: str, how: dict[str, Any] | None = None, **options: Any) -> None:
    with errand(name, **(how or {})):
        MinimaxVideoGenerationOperator(task_id="generate", **({**WAITING, "output_path": CLIP} | options))


def three_tasks(name: str, how: dict[str, Any], **options: Any) -> None:
    with errand(name, **how):
        submit = MinimaxVideoGenerationOperator(
            task_id="submit", **ORDER, output_path=CLIP, wait_for_completion=False, **options
        )
        wait = MinimaxTaskSensor(task_id="wait", minimax_task_id=submit.output, deferrable=True, poke_interval=1)
        MinimaxVideoDownloadOperator(task_id="download", minimax_task_id=wait.output["task_id"], output_path=CLIP)


# The random ones are kept from starting all at once, and are retried so soon that Airflow at times fails a task which
# is alive: it hears of the end of the try before too late.
for prefix, how in (("", {}), ("scheduled_", {"at_once": 9, "retry_delay": 1})):
    one_task(f"{prefix}deferring", how, deferrable=True)
    one_task(f"{prefix}waiting", how, deferrable=False)
    one_task(f"{prefix}without_output", how, deferrable=True, output_path=None)
    three_tasks(f"{prefix}three_tasks", how)
    one_task(f"{prefix}h3", how, deferrable=True, **H3)
    one_task(f"{prefix}adopting", how, deferrable=True, **ADOPTING)
    one_task(f"{prefix}adopting_waiting", how, deferrable=False, **ADOPTING)
    # The same with pushes, which may name the task of a lost answer.
    one_task(f"{prefix}pushed", how, deferrable=True, **PUSHED)
    one_task(f"{prefix}pushed_waiting", how, deferrable=False, **PUSHED)
    one_task(f"{prefix}pushed_without_output", how, deferrable=True, output_path=None, **PUSHED)
    three_tasks(f"{prefix}pushed_three_tasks", how, **PUSHED)
    one_task(f"{prefix}pushed_h3", how, deferrable=True, **H3, **PUSHED)
    one_task(f"{prefix}pushed_adopting", how, deferrable=True, **ADOPTING, **PUSHED)
    one_task(f"{prefix}pushed_adopting_waiting", how, deferrable=False, **ADOPTING, **PUSHED)

one_task(
    "scheduled_adopting_together",
    {"at_once": 9, "retry_delay": 1},
    deferrable=True,
    on_orphaned_intent="adopt",
    output_path="{{ dag_run.conf['output'] }}",
    **TOGETHER,
)

one_task("resubmitting", deferrable=True, on_clear="resubmit")
# An outage of some seconds uses up the tries of these.
one_task("impatient", {"retries": 1, "retry_delay": 1}, deferrable=True)
one_task("impatient_resubmitting", {"retries": 1, "retry_delay": 1}, deferrable=True, on_clear="resubmit")
one_task("slowly_polling", deferrable=True, poll_interval=3)
one_task("elsewhere", deferrable=True, output_path="{{ dag_run.conf['output'] }}")

with errand("mapped"):
    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        **{**WAITING, "prompt": "{{ params.prompt }}, take {{ ti.map_index }}"},
        output_path="{{ params.folder }}/{{ ti.map_index }}.mp4",
        deferrable=True,
        pre_execute=arm,
        post_execute=survived,
    ).expand(poll_interval=[1.0, 1.1, 1.2])
