"""
What a person who ends a task in Airflow's UI does to the clip of H3 that it waits for.

The UI's buttons send what :class:`Run` sends. All that can be told apart is done at once, so that it shares the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from tests.standalone.airflow_up import Airflow, Run, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("standalone"),
    pytest.mark.skipif(not hasattr(BaseTrigger, "on_kill"), reason="Airflow notifies triggers of a kill since 3.3"),
]
ENDS = {"marked failed": Run.mark_failed, "cleared": Run.clear}
WAITS = ("deferring", "waiting")
# As the emulator names them: on v2, what it is preparing is queued.
STATES = {"queued": "preparing", "running": "processing"}

each_end = pytest.mark.parametrize("end", ENDS)
each_wait = pytest.mark.parametrize("wait", WAITS)


@dataclass(frozen=True)
class Ended:
    """A task that a person ended, and the clip that it waited for until then."""

    airflow: Airflow
    run: Run
    minimax_task_id: str

    @property
    def job(self) -> dict[str, Any]:
        return next(job for job in self.airflow.emulator.jobs if job["task_id"] == self.minimax_task_id)

    @property
    def is_charged(self) -> bool:
        bought = self.airflow.emulator.purchases
        return next(one["charged"] for one in bought if one["task_id"] == self.minimax_task_id)

    @property
    def deletions(self) -> list[str]:
        """The requests that would cancel this clip while it is queued, and erase it when it is done."""
        requests = self.airflow.emulator.requests
        paths = [request["path"] for request in requests if request["method"] == "DELETE"]
        return [path for path in paths if self.minimax_task_id in path]

    @property
    def log(self) -> str:
        return self.run.log("generate", 1)

    def says(self, what: str) -> bool:
        """
        Whether the log says something, unless Airflow closed it too early.

        It does so a second after it notifies a trigger of a kill, so that on a busy machine the last line is lost.
        """
        log = self.log
        return what in log or ("trigger completed" in log and "No longer watching" not in log)


@pytest.fixture(scope="module")
def ended(running: Airflow) -> dict[tuple[str, str, str], Ended]:
    """A task for each way to wait, in either state of its clip, ended in either way; and all of it over."""
    emulator = running.emulator
    emulator.reset()
    emulator.configure(lifecycle="manual")
    runs = {case: running.trigger(f"h3_{case[1]}") for case in product(ENDS, WAITS, STATES)}
    until("all wait", lambda: all(_is_waiting(run, wait) for (_, wait, _), run in runs.items()))
    found = {case: Ended(running, run, run.xcoms("generate")["task_id"]) for case, run in runs.items()}
    for (_, _, state), one in found.items():
        emulator.set_job(one.minimax_task_id, STATES[state])
    for (end, _, _), one in found.items():
        _end(one, end)
    firsts = {one.minimax_task_id for one in found.values()}
    for purchase in emulator.purchases:
        if purchase["task_id"] not in firsts:
            emulator.set_job(purchase["task_id"], "success")
    until("the runs are over", lambda: all(one.run.is_over for one in found.values()))
    until("what is queued is cancelled", lambda: all(found[case].deletions for case in found if case[2] == "queued"))
    until(
        "every log names the clip",
        lambda: all(one.says("billed") or one.says("free of charge") for one in found.values()),
    )
    return found


def _end(one: Ended, end: str) -> None:
    """
    End a task; one that is cleared has bought again before the next is ended.

    Of several cleared tasks that the scheduler finds ended at once, Airflow raises the ``max_tries`` of the first
    alone, and the others appear retried.
    """
    bought = len(one.airflow.emulator.purchases)
    ENDS[end](one.run, "generate")
    if end == "cleared":
        until("it buys again", lambda: len(one.airflow.emulator.purchases) > bought)


def _is_waiting(run: Run, wait: str) -> bool:
    task = run.tasks.get("generate", {})
    if wait == "deferring":
        return bool(task.get("triggerer_job"))
    return task.get("state") == "running" and "task_id" in run.xcoms("generate")


@each_end
@each_wait
def test_a_clip_that_is_queued_is_cancelled_by_one_request(end, wait, ended):
    case = ended[end, wait, "queued"]
    assert len(case.deletions) == 1
    assert case.job["state"] == "cancelled"
    assert not case.is_charged
    assert case.says(f"{case.minimax_task_id} was cancelled while it was queued, which is free of charge")


@each_end
@each_wait
def test_a_clip_that_is_being_made_is_left_alone_and_the_log_says_that_it_is_billed(end, wait, ended):
    case = ended[end, wait, "running"]
    assert case.deletions == []
    assert (case.job["state"], case.job["deleted"]) == ("processing", False)
    assert case.is_charged
    assert case.says(
        f"{case.minimax_task_id} is no longer queued, so it cannot be cancelled: it keeps running and is billed"
    )


@each_wait
@pytest.mark.parametrize("state", STATES)
def test_a_task_that_was_marked_failed_buys_nothing_more(wait, state, ended):
    case = ended["marked failed", wait, state]
    assert case.run.state == "failed"
    assert case.run.tasks["generate"]["try_number"] == 1


@each_wait
@pytest.mark.parametrize("state", STATES)
def test_a_task_that_was_cleared_ends_with_another_clip(wait, state, ended):
    case = ended["cleared", wait, state]
    assert case.run.state == "success"
    assert case.run.xcoms("generate")["return_value"]["task_id"] != case.minimax_task_id


def test_each_clear_bought_one_clip_more(ended, running):
    assert len(running.emulator.purchases) == len(ended) + sum(end == "cleared" for end, _, _ in ended)


@pytest.fixture(scope="module")
def reused(running: Airflow) -> Ended:
    """A task that goes on with its clip when it is cleared, cleared while that was queued, and over."""
    running.emulator.reset()
    running.emulator.configure(lifecycle="manual")
    run = running.trigger("h3_reusing")
    until("it waits", lambda: _is_waiting(run, "deferring"))
    one = Ended(running, run, run.xcoms("generate")["task_id"])
    one.run.clear("generate")
    until(
        "its second attempt waits", lambda: run.tasks["generate"]["try_number"] == 2 and _is_waiting(run, "deferring")
    )
    until("the log says so", lambda: one.says("the Airflow task was cleared"))
    running.emulator.set_job(one.minimax_task_id, "success")
    until("the run is over", lambda: run.is_over)
    return one


def test_a_task_that_goes_on_with_its_clip_when_it_is_cleared_finds_it_still_queued(reused):
    assert reused.deletions == []
    assert reused.run.state == "success"
    assert reused.run.xcoms("generate")["return_value"]["task_id"] == reused.minimax_task_id
    assert len(reused.airflow.emulator.purchases) == 1


@pytest.fixture(scope="module")
def taken_over(running: Airflow) -> list[Ended]:
    """Tasks whose triggerer stood still until another one watched them, and then came back; and all of it over."""
    emulator = running.emulator
    emulator.reset()
    emulator.configure(lifecycle="manual")
    runs = [running.trigger(dag) for dag in ("h3_deferring", "h3_deferring", "h3_reusing")]
    until("all wait", lambda: all(_is_waiting(run, "deferring") for run in runs))
    found = [Ended(running, run, run.xcoms("generate")["task_id"]) for run in runs]
    watched_by = {_triggerer_of(one) for one in found}
    other = running.start("triggerer")
    until("there are two triggerers", lambda: running.count("TriggererJob") == 2)
    with running.standing_still("triggerer"):
        until("the other one watches all", lambda: not watched_by & {_triggerer_of(one) for one in found})
    until("the first one has let go of all", lambda: all(one.says("took it over") for one in found))
    for one in found:
        emulator.set_job(one.minimax_task_id, "success")
    until("the runs are over", lambda: all(one.run.is_over for one in found))
    for process in (other, *other.children(recursive=True)):
        process.kill()
    return found


def _triggerer_of(one: Ended) -> int | None:
    job = one.run.tasks["generate"]["triggerer_job"]
    return job and job["id"]


def test_a_triggerer_that_comes_back_cancels_nothing_that_another_one_watches(taken_over):
    """Airflow reports that a person ended the tasks."""
    assert [one.deletions for one in taken_over] == [[], [], []]
    assert [one.run.state for one in taken_over] == ["success"] * 3
    assert [one.run.tasks["generate"]["try_number"] for one in taken_over] == [1, 1, 1]
    assert sorted(purchase["task_id"] for purchase in taken_over[0].airflow.emulator.purchases) == sorted(
        one.minimax_task_id for one in taken_over
    )
