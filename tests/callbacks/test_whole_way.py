"""
A clip's whole way with a callback in a whole Airflow, of every version: Airflow keeps no record of pushes before 3.3.

There this test is no slow one, so that it runs wherever the quick tests do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_minimax.callbacks.record import HAS_RECORD, asset_name
from tests.standalone.airflow_up import TRIGGERER, Airflow, until

pytestmark = [pytest.mark.xdist_group("whole way"), *([pytest.mark.slow] if HAS_RECORD else [])]

COUNT = 2


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[Airflow]:
    # Airflow 3.0 and 3.1 start four processes of the API server, which takes a small machine long.
    changes = {**TRIGGERER, "API__WORKERS": "1"}
    with Airflow(tmp_path, Path(__file__).parent / "dags", changes) as airflow:
        yield airflow


def rows(airflow: Airflow, path: str, what: str, **parameters: Any) -> list[dict[str, Any]]:
    def answer() -> Any:
        # Airflow 3.3.2 answers with 500 while a run that an event is for has not begun.
        answer = airflow.api.get(path, params={"limit": 100, **parameters})
        return answer if answer.is_success else None

    return until(f"{path} is shown", answer).json()[what]


def consumed(airflow: Airflow) -> list[str]:
    """Return the clips that the runs of the DAG which is scheduled on the asset were started for."""
    path = "/api/v2/dags/after_a_clip/dagRuns"
    runs = [run["dag_run_id"] for run in rows(airflow, path, "dag_runs", state="success")]
    result = "taskInstances/say_what_for/xcomEntries/return_value"
    return [
        extra["minimax_task_id"]
        for run in runs
        for extra in airflow.api.get(f"{path}/{run}/{result}").raise_for_status().json()["value"]
    ]


def test_clips_are_bought_with_a_callback_delivered_once_and_start_the_dag_that_waits_for_them(airflow):
    airflow.emulator.configure(lifecycle="manual")
    airflow.emulator.fault("repeated_push", operation="push", times=-1)
    until("the DAG that waits is parsed", lambda: airflow.api.get("/api/v2/dags/after_a_clip").is_success)
    run = airflow.trigger("pushed_5", count=COUNT)
    until("all wait", lambda: run.count("deferred") == COUNT, 150)
    bought = [purchase["task_id"] for purchase in airflow.emulator.purchases]
    for task_id in bought:
        airflow.emulator.set_job(task_id, "success")
        until("the DAG has run for it", lambda: task_id in consumed(airflow), 120)  # noqa: B023 - called at once
    until("the run is over", lambda: run.is_over, 150)
    until("each push was sent twice", lambda: len(airflow.emulator.pushes) == 4 * COUNT)

    assert run.state == "success"
    assert len(bought) == len(airflow.emulator.purchases) == len(list(run.folder.glob("*.mp4"))) == COUNT
    assert {push["answer"] for push in airflow.emulator.pushes} == {200}
    (asset,) = rows(airflow, "/api/v2/assets", "assets", name_pattern=asset_name("minimax_default"))
    events = rows(airflow, "/api/v2/assets/events", "asset_events", asset_id=asset["id"])
    assert Counter(event["extra"]["minimax_task_id"] for event in events) == dict.fromkeys(bought, 1)
    assert sorted(consumed(airflow)) == sorted(bought)
