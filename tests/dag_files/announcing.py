"""Pipelines that announce clips: mostly of an operator that buys none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, Asset, AssetAlias, BaseOperator, Param

from airflow_provider_minimax.delivery.assets import ClipAsset, announce
from airflow_provider_minimax.delivery.links import MinimaxClipLink, MinimaxFactsLink
from airflow_provider_minimax.delivery.operator import lineage_on_complete
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

FACTS = {
    "task_id": "179525184968000",
    "state": "succeeded",
    "model": "MiniMax-Hailuo-2.3",
    "sha256": "9f86d08",
    "size": 4096,
    "width": 1366,
    "height": None,
    "duration": 6.0,
    "cost": {"amount": 0.28, "currency": "USD", "kind": "list price"},
    "tracks": ["h264", "aac"],
}
BOAT = Asset(name="boat", uri="s3://published/boat")
CLIPS = AssetAlias("clips")


class Announcing(BaseOperator):
    """Announces a clip: at once, after a deferral, or in its last try."""

    template_fields = ("place",)
    operator_extra_links = (MinimaxClipLink(), MinimaxFactsLink())
    _delivered: ClipAsset | None = None

    def __init__(self, *, place: str, deferred: bool = False, fails_first: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.place = place
        self.deferred = deferred
        self.fails_first = fails_first

    def execute(self, context: Any) -> dict[str, Any]:
        if self.deferred:
            self.defer(trigger=TimeDeltaTrigger(timedelta(0)), method_name="execute_complete")
        return self.execute_complete(context, None)

    def execute_complete(self, context: Any, event: Any) -> dict[str, Any]:
        self._delivered = ClipAsset(self.place, FACTS, inputs=("s3://my_aws_conn@pictures/boat.png",))
        announce(context, self, self._delivered)
        if self.fails_first and context["ti"].try_number == 1:
            raise RuntimeError("the worker broke down after the delivery")
        return FACTS

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        return lineage_on_complete(self)


def dag(dag_id: str) -> DAG:
    return DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False)


PLACE = "s3://my_aws_conn@bucket/boat-0.mp4"

with dag("announced_at_once") as at_once:
    Announcing(task_id="announce", place=PLACE, outlets=[BOAT, CLIPS])

with dag("announced_after_a_deferral") as after_a_deferral:
    Announcing(task_id="announce", place=PLACE, deferred=True, outlets=[BOAT, CLIPS])

with dag("announced_by_mapped_tasks") as by_mapped_tasks:
    Announcing.partial(task_id="announce", deferred=True, outlets=[CLIPS]).expand(
        place=[PLACE, "s3://other_conn@bucket/boat-1.mp4"]
    )

with dag("announced_by_two_tries") as by_two_tries:
    Announcing(
        task_id="announce",
        place=PLACE,
        fails_first=True,
        retries=1,
        retry_delay=timedelta(seconds=0.1),
        outlets=[CLIPS],
    )

with dag("announced_by_reference") as by_reference:
    Announcing(task_id="announce", place=PLACE, outlets=[Asset.ref(name="boat")])

with dag("announced_local_clip") as local_clip:
    Announcing(task_id="announce", place="/data/boat.mp4", deferred=True)

with DAG("announced_by_all_who_deliver", params={"folder": Param("/nowhere", type="string")}) as by_all_who_deliver:
    generate = MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="a cat",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=0.05,
        output_path="{{ params.folder }}/generated.mp4",
        outlets=[CLIPS],
    )
    wait = MinimaxTaskSensor(
        task_id="wait",
        minimax_task_id=generate.output["task_id"],
        output_path="{{ params.folder }}/waited-for.mp4",
        outlets=[CLIPS],
    )
    MinimaxVideoDownloadOperator(
        task_id="download",
        minimax_task_id=wait.output["task_id"],
        output_path="{{ params.folder }}/downloaded.mp4",
        outlets=[CLIPS],
    )
