"""Clips bought with a callback in a whole Airflow: how soon their tasks are back, and what becomes of lost answers."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from airflow_provider_minimax.triggers.clips import KEY
from tests.callbacks.conftest import needs_record
from tests.standalone.airflow_up import TRIGGERER, Airflow, Run, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("callbacks")]

# What matters for how soon a task is resumed, as Airflow has it by default.
DEFAULTS = {"WORKERS__MIN_HEARTBEAT_INTERVAL": "5", "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1"}
# How often Airflow deletes what it keeps for assets that nothing refers to; a minute by default.
CLEANUP = {"SCHEDULER__PARSING_CLEANUP_INTERVAL": "5"}
COUNT = 20
EACH = 10


@pytest.fixture(autouse=True)
def secret() -> None:
    """The API server and the workers share Airflow's own secret; no test signs anything."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("uses")
    with Airflow(folder, Path(__file__).parent / "dags", TRIGGERER | DEFAULTS | CLEANUP) as airflow:
        yield airflow


@pytest.fixture
def airflow(running: Airflow) -> Airflow:
    """Airflow with an emulator that sold nothing yet."""
    running.emulator.reset()
    return running


def waiting(run: Run, count: int) -> bool:
    return run.count("deferred") == count


def end_one_by_one(airflow: Airflow, shortest: float, longest: float) -> dict[str, float]:
    """Have each clip end between so many seconds after it was bought, and return when each one did."""
    draw = random.Random(1)
    due = {one["task_id"]: one["time"] + draw.uniform(shortest, longest) for one in airflow.emulator.purchases}
    done = {}
    for task_id, moment in sorted(due.items(), key=lambda item: item[1]):
        time.sleep(max(0.0, moment - time.time()))
        airflow.emulator.set_job(task_id, "success")
        done[task_id] = time.time()
    return done


def resumed(run: Run) -> dict[str, float]:
    return {path.stem: json.loads(path.read_text()) for path in run.folder.glob("*.resumed") if path.read_text()}


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def polls(airflow: Airflow) -> list[int]:
    return [job["polls"] for job in airflow.emulator.jobs]


@needs_record
# In an Airflow of its own: this takes as long as all others.
@pytest.mark.xdist_group("pace")
@pytest.mark.parametrize(("pace", "shortest", "longest"), [("60", 20, 110), ("learnt", 60, 120), ("sensor", 20, 110)])
def test_how_soon_a_task_is_back_once_its_clip_is_done(airflow, report, pace, shortest, longest):
    """Clips that are pushed and clips that are not, beside each other."""
    airflow.emulator.configure(lifecycle="manual")
    runs = {kind: airflow.trigger(f"{kind}_{pace}", count=EACH) for kind in ("pushed", "polled")}
    until("all wait", lambda: all(waiting(run, EACH) for run in runs.values()), 300)
    done = end_one_by_one(airflow, shortest, longest)
    until("the runs are over", lambda: all(run.is_over for run in runs.values()), 300)
    assert {run.state for run in runs.values()} == {"success"}
    asked, late = {job["task_id"]: job["polls"] for job in airflow.emulator.jobs}, {}
    for kind, run in runs.items():
        back = resumed(run)
        late[kind] = [moment - done[task_id] for task_id, moment in back.items()]
        report(
            f"{kind}_{pace}: {len(back)} clips, done to resumed p50 {statistics.median(late[kind]):.1f} s, "
            f"p95 {percentile(late[kind], 0.95):.1f} s, max {max(late[kind]):.1f} s; "
            f"{statistics.mean(asked[task_id] for task_id in back):.2f} polls a clip"
        )
    assert len(airflow.emulator.purchases) == sum(map(len, late.values())) == 2 * EACH
    # A busy machine may take its time; at a poll a minute half of the others are later.
    assert statistics.median(late["pushed"]) < 15


def test_tasks_whose_clips_end_as_soon_as_they_have_deferred_succeed_at_the_first_try(airflow):
    """Airflow fails those that are back before its executor has heard that their workers are done."""
    airflow.emulator.configure(lifecycle="polls", polls=2)
    run = airflow.trigger("soon", count=COUNT)
    until("the run is over", lambda: run.is_over, 300)
    assert (run.state, len(airflow.emulator.purchases)) == ("success", COUNT)


@needs_record
def test_tasks_that_wait_on_their_workers_and_poll_once_an_hour_end_with_a_push(airflow, report):
    airflow.emulator.configure(lifecycle="manual")
    run = airflow.trigger("pushed_on_workers", count=3)
    until("all are bought", lambda: len(airflow.emulator.purchases) == 3, 300)
    until("pushes have come", lambda: len(airflow.emulator.pushes) >= 3)
    began = time.time()
    for purchase in airflow.emulator.purchases:
        airflow.emulator.set_job(purchase["task_id"], "success")
    until("the clips are there", lambda: len(list(run.folder.glob("*.mp4"))) == 3, 120)
    report(f"on workers: 3 clips, done to delivered within {time.time() - began:.1f} s; polls {polls(airflow)}")
    until("the run is over", lambda: run.is_over, 120)
    assert (run.state, len(airflow.emulator.purchases)) == ("success", 3)


@needs_record
def test_twenty_workers_killed_before_they_knew_the_answer_buy_twenty_clips(airflow, report):
    airflow.emulator.configure(seconds=10.0)
    run = airflow.trigger("killed", count=COUNT)
    until("the run is over", lambda: run.is_over, 600)
    bought = airflow.emulator.purchases
    clips = list(run.folder.glob("*.mp4"))
    report(f"killed between request and answer: {COUNT}; purchases {len(bought)}, clips {len(clips)}")
    assert (run.state, len(bought), len(clips)) == ("success", COUNT, COUNT)
    receipts = [json.loads(path.read_text())["minimax_task_id"] for path in run.folder.glob("*.receipt.json")]
    assert sorted(receipts) == sorted(one["task_id"] for one in bought)


def test_if_all_pushes_are_lost_clips_come_by_polling(airflow):
    airflow.emulator.configure(seconds=10.0)
    airflow.emulator.fault("lost_push", operation="push", times=-1)
    run = airflow.trigger("pushed_5", count=5)
    until("the run is over", lambda: run.is_over, 300)
    assert run.state == "success"
    assert airflow.emulator.pushes == []
    assert len(airflow.emulator.purchases) == len(list(run.folder.glob("*.mp4"))) == 5


@needs_record
def test_a_triggerer_that_is_killed_while_it_reads_is_replaced_by_another(airflow):
    airflow.emulator.configure(lifecycle="manual")
    run = airflow.trigger("pushed_60", count=5)
    until("all wait", lambda: waiting(run, 5), 120)
    until("pushes have come", lambda: len(airflow.emulator.pushes) >= 5)
    airflow.kill("triggerer")
    airflow.start("triggerer")
    for purchase in airflow.emulator.purchases:
        airflow.emulator.set_job(purchase["task_id"], "success")
    until("the run is over", lambda: run.is_over, 300)
    assert run.state == "success"
    assert len(airflow.emulator.purchases) == 5


@needs_record
def test_two_triggerers_read_for_their_own_tasks(airflow, report):
    airflow.emulator.configure(lifecycle="manual")
    airflow.start("triggerer")
    until("two triggerers are alive", lambda: airflow.count("TriggererJob") >= 2)
    run = airflow.trigger("pushed_60", count=10)
    until("all wait", lambda: waiting(run, 10), 120)
    for purchase in airflow.emulator.purchases:
        airflow.emulator.set_job(purchase["task_id"], "success")
    until("the run is over", lambda: run.is_over, 300)
    assert run.state == "success"
    assert max(polls(airflow)) <= 3


@needs_record
def test_the_record_of_a_connection_whose_asset_no_dag_names_outlives_airflows_clean_ups(airflow):
    airflow.emulator.configure(lifecycle="manual")
    run = airflow.trigger("pushed_undeclared", count=2)
    until("all wait", lambda: waiting(run, 2), 120)
    until("pushes have come", lambda: len(airflow.emulator.pushes) >= 2)
    asset = airflow.api.get("/api/v2/assets", params={"name_pattern": "minimax://minimax_ai302/clips"}).json()["assets"]
    assert [one["consuming_tasks"] + one["producing_tasks"] + one["scheduled_dags"] for one in asset] == [[]]
    clean_ups = time.monotonic() + 5 * int(CLEANUP["SCHEDULER__PARSING_CLEANUP_INTERVAL"])
    until("several clean-ups have passed", lambda: time.monotonic() > clean_ups)
    recent = airflow.api.get(f"/api/v2/assets/{asset[0]['id']}/state-store/recent")
    assert recent.is_success, recent.text
    for purchase in airflow.emulator.purchases:
        airflow.emulator.set_job(purchase["task_id"], "success")
    until("the run is over, though it polls once an hour", lambda: run.is_over, 120)
    assert run.state == "success"


def consumed(airflow: Airflow) -> list[str]:
    """Return the clips that the runs of the watching DAG were for."""
    path = "/api/v2/dags/after_a_watched_clip/dagRuns"
    runs = airflow.api.get(path, params={"limit": 100}).raise_for_status().json()["dag_runs"]
    assert all(run["state"] != "failed" for run in runs)
    result = "taskInstances/say_what_for/xcomEntries/return_value"
    return [
        extra["payload"]["minimax_task_id"]
        for run in runs
        if run["state"] == "success"
        for extra in airflow.api.get(f"{path}/{run['dag_run_id']}/{result}").raise_for_status().json()["value"]
    ]


def announced(airflow: Airflow) -> list[str]:
    """Return the clips whose events the watcher need not send again, whatever happens."""
    (asset,) = airflow.api.get("/api/v2/assets", params={"name_pattern": "watched clips"}).json()["assets"]
    answer = airflow.api.get(f"/api/v2/assets/{asset['id']}/state-store/{KEY}").raise_for_status()
    value = answer.json()["value"]
    return (json.loads(value) if isinstance(value, str) else value)["announced"]


@needs_record
def test_a_watched_clip_starts_its_dag_once_also_if_the_triggerer_is_replaced(airflow):
    airflow.emulator.configure(lifecycle="manual")
    run = airflow.trigger("unpushed_h3", count=4)
    until("all wait", lambda: waiting(run, 4), 120)
    bought = [purchase["task_id"] for purchase in airflow.emulator.purchases]
    airflow.emulator.set_job(bought[0], "success")
    until("the DAG has run", lambda: bought[0] in consumed(airflow), 120)
    for before, task_id in pairwise(bought):
        until("its event is known to be stored", lambda: before in announced(airflow))  # noqa: B023 - called at once
        airflow.kill("triggerer")
        airflow.start("triggerer")
        airflow.emulator.set_job(task_id, "success")
        until("the DAG has run for it", lambda: task_id in consumed(airflow), 120)  # noqa: B023 - called at once
    until("the run is over", lambda: run.is_over, 120)
    assert sorted(one for one in consumed(airflow) if one in bought) == sorted(bought)
