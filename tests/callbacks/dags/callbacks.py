"""What a DAG can do with pushes: run after them, and read their record in a worker and in a triggerer."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_minimax.callbacks.record import clips_asset, forget_attempt, read_attempt
from tests.callbacks.reading_trigger import ReadRecent

CONN_ID = "minimax_default"


class ReadInTriggerer(BaseOperator):
    """Read the latest pushes where triggers run."""

    def execute(self, context: Any) -> None:
        self.defer(trigger=ReadRecent(CONN_ID), method_name="done")

    def done(self, context: Any, event: Any) -> Any:
        return event


with DAG("after_a_clip", schedule=[clips_asset(CONN_ID)], catchup=False):

    @task
    def say_what_for(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        return [dict(event.extra) for events in triggering_asset_events.values() for event in events]

    say_what_for()

with DAG("read_pushes", schedule=None):

    @task
    def in_worker(dag_run: Any = None) -> list[dict[str, Any]]:
        return [push.as_json() for push in read_attempt(CONN_ID, dag_run.conf["attempt"])]

    @task
    def forget(dag_run: Any = None) -> list[dict[str, Any]]:
        forget_attempt(CONN_ID, dag_run.conf["attempt"])
        return [push.as_json() for push in read_attempt(CONN_ID, dag_run.conf["attempt"])]

    in_worker() >> ReadInTriggerer(task_id="in_triggerer") >> forget()
