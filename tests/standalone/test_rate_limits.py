"""Many mapped clips through a narrow account, on real Airflow: nothing is refused in a storm, held up, or lost."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.triggers.base import BaseTrigger

from tests.standalone.airflow_up import TRIGGERER, Airflow, Run, until, write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rate limits")]

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "rate_limits.py"
CLIPS = int(os.environ.get("RATE_LIMIT_CLIPS", "40"))
# The account of the example, with minutes of 30 s, and clips that take long enough for nearly 30 at once.
ACCOUNT = {"v2_requests_per_minute": 20, "v2_tasks_in_flight": 30, "minute_seconds": 30}
PER_MINUTE = 20 * 2
CLIP_TAKES = 40
WORKERS = 8


def most_at_once(starts: list[float], seconds: float) -> int:
    """Return how many spans of one length overlap at most."""
    return max(sum(start <= begun < start + seconds for start in starts) for begun in starts)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """Airflow with the example's DAG and its pool."""
    folder = tmp_path_factory.mktemp("rate-limits")
    (folder / "dags").mkdir()
    shutil.copy(EXAMPLE, folder / "dags")
    with Airflow(folder, folder / "dags", {**TRIGGERER, "CORE__PARALLELISM": str(WORKERS)}) as airflow:
        pool = {"name": "minimax", "slots": 30, "include_deferred": True}
        write(airflow.api, "POST", "/api/v2/pools", pool)
        yield airflow


def start(airflow: Airflow, per_minute: int, clips: int) -> Run:
    """Start the example on an emulator that sold nothing yet."""
    airflow.emulator.reset()
    airflow.emulator.configure(seconds=CLIP_TAKES, **ACCOUNT)
    extra = {"platform": "minimax", "rate_limit_per_minute": per_minute}
    airflow.change_connection("minimax_default", extra=json.dumps(extra))
    return airflow.trigger("minimax_rate_limits", clips=clips)


@pytest.fixture
def waiting(airflow: Airflow) -> Run:
    """A run whose one clip would be bought in a minute at the earliest."""
    run = start(airflow, per_minute=1, clips=1)
    until("its log says that it waits", lambda: "Nothing is bought yet." in log(run))
    return run


def log(run: Run, try_number: int = 1) -> str:
    return run.api.get(f"{run.path}/taskInstances/generate/logs/{try_number}", params={"map_index": 0}).text


def test_a_task_that_is_marked_failed_while_it_waits_for_a_slot_has_bought_nothing(airflow, waiting):
    waiting.mark_failed("generate/0")
    if hasattr(BaseTrigger, "on_kill"):
        until("the log says so", lambda: "no longer waits for a submission slot" in log(waiting))
    until("the run is over", lambda: waiting.is_over)
    assert airflow.emulator.requests == []


def test_a_task_that_is_cleared_while_it_waits_for_a_slot_asks_for_another(airflow, waiting):
    waiting.clear("generate")
    until("it waits again", lambda: "Nothing is bought yet." in log(waiting, 2))
    assert waiting.tasks["generate"]["state"] == "deferred"
    assert airflow.emulator.requests == []
    waiting.mark_failed("generate/0")


def test_many_clips_pass_a_narrow_account_one_by_one(airflow):
    begun = time.monotonic()
    run = start(airflow, PER_MINUTE, CLIPS)
    seen: list[tuple[int, int, int]] = []

    def is_over() -> bool:
        seen.append((run.count("running"), run.count("deferred"), run.count("running", "queued", "deferred")))
        time.sleep(1)
        return run.is_over

    until("the run is over", is_over, timeout=120 + 4 * CLIPS)
    wall = time.monotonic() - begun
    state, purchases, requests = run.state, airflow.emulator.purchases, airflow.emulator.requests
    running, deferred, in_pool = zip(*seen, strict=True)
    bought = [purchase["time"] for purchase in purchases]
    refusals = [request["refused"] for request in requests if request["refused"]]
    figures = {
        "wall": round(wall),
        "refusals": len(refusals),
        "in flight at once": most_at_once(bought, CLIP_TAKES),
        "bought in a minute": most_at_once(bought, ACCOUNT["minute_seconds"]),
        "deferred at once": max(deferred),
        "running at once": max(running),
        "running on average": round(sum(running) / len(running), 1),
        "in the pool at once": max(in_pool),
    }
    print(figures)
    assert state == "success", figures
    assert len(purchases) == CLIPS
    assert len(list(run.folder.rglob("*.mp4"))) == CLIPS
    assert len(refusals) <= CLIPS / 10, figures
    assert figures["in flight at once"] <= 30
    assert figures["in the pool at once"] <= 30
    assert figures["deferred at once"] > WORKERS, "more wait than there are workers, so none of them is held"
