"""
What Airflow's API server takes of a delivered clip, whatever its name is.

``dag.test()`` cannot show this: it says success before the server is asked.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.standalone.airflow_up import Airflow, Run, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("standalone")]


@pytest.fixture(scope="module")
def runs(running: Airflow) -> dict[str, Run]:
    """Both DAGs, run to their end."""
    running.emulator.reset()
    running.emulator.configure(seconds=1)
    runs = {name: running.trigger(f"awkward_{name}") for name in ("names", "declared")}
    until("the runs are over", lambda: all(run.is_over for run in runs.values()))
    return runs


def events(airflow: Airflow, dag_id: str) -> list[dict[str, Any]]:
    answer = airflow.api.get("/api/v2/assets/events", params={"source_dag_id": dag_id}).raise_for_status()
    return answer.json()["asset_events"]


def test_no_name_of_a_clip_fails_its_task(runs, running):
    assert {name: run.state for name, run in runs.items()} == dict.fromkeys(runs, "success")
    assert len(running.emulator.purchases) == 5
    assert len(list(runs["names"].folder.rglob("*.mp4"))) == 4


def test_each_clip_has_an_event_under_a_uri_that_the_server_takes(runs, running):
    folder = f"file://{runs['names'].folder}"
    found = [(one["source_map_index"], one["uri"]) for one in events(running, "awkward_names")]
    assert sorted(found) == sorted(
        [
            *((index, "awkward boat") for index in range(4)),
            (0, f"{folder}/caf%C3%A9 %E2%9B%B5 %E8%88%B9.mp4"),
            (1, f"{folder}/100%25 %231%3F a b.mp4"),
            (2, f"{folder}/tab%09here.mp4"),
        ]
    )


def test_an_event_says_which_row_its_clip_is_of(runs, running):
    for event in events(running, "awkward_names"):
        extra = event["extra"]
        assert (extra["map_index"], extra["model"]) == (event["source_map_index"], "MiniMax-Hailuo-2.3")
        assert extra["prompt"] == "A paper boat ⛵ sails down a street."
        assert extra["cost.amount"] == 0.28


def test_an_event_that_the_server_would_refuse_is_left_out_with_a_warning(runs):
    run = runs["names"]
    log = run.api.get(f"{run.path}/taskInstances/generate/logs/1", params={"map_index": 3}).text
    assert "No event for AssetAlias 'awkward clips', but the clip is delivered." in log


def test_an_asset_that_was_declared_for_the_clips_uri_by_another_name_gets_its_event_too(runs, running):
    found = events(running, "awkward_declared")
    assert sorted(one["name"] for one in found) == sorted(["a name of its own", found[0]["uri"]])
    assert len({one["uri"] for one in found}) == 1
