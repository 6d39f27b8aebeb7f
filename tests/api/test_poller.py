"""When to ask again and when to stop: pure decisions, with a clock of their own."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from airflow_provider_minimax.api.cost import Billed
from airflow_provider_minimax.api.task import TaskState, VideoFile, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxConnectionLookupError,
    MinimaxConnectionNotFoundError,
    MinimaxConnectionUnusableError,
    MinimaxError,
    MinimaxModerationError,
    MinimaxQuotaError,
    MinimaxRateLimitError,
    MinimaxTaskFailedError,
    MinimaxTaskTimeoutError,
    MinimaxUnavailableError,
    error_from_event,
)
from airflow_provider_minimax.polling.poller import FixedInterval, KeepPolling, Outcome, TaskPoller, terminal_outcome

RUNNING = VideoTask("T", TaskState.RUNNING, "Processing")
DONE = VideoTask("T", TaskState.SUCCEEDED, "Success", file_id="F", width=1366, height=768)


def watch(**options) -> TaskPoller:
    return TaskPoller("T", **{"deadline": 1000.0, "schedule": FixedInterval(10.0), "jitter": 0.5} | options)


def test_polls_are_an_interval_apart():
    assert {FixedInterval(10).delay(0.0, polls, jitter) for polls in (1, 2, 99) for jitter in (0.0, 0.5, 1.0)} == {10}


def test_first_polls_are_spread_over_an_interval_so_that_a_crowd_does_not_ask_at_once():
    assert [FixedInterval(10).delay(0.0, 0, jitter) for jitter in (0.0, 0.3, 1.0)] == [0, 3, 10]


def test_backoff_doubles_up_to_the_longest_wait():
    pace = FixedInterval(10, exponential_backoff=True, max_wait=60)
    assert [pace.delay(0.0, n, 0.0) for n in (1, 2, 3, 4, 5, 99)] == [5, 10, 20, 40, 60, 60]


def test_it_is_known_when_a_task_was_last_seen_to_go_on():
    it = watch()
    it.after(RUNNING, 3.0)
    it.after(MinimaxUnavailableError("down"), 4.0)
    it.after(DONE, 5.0)
    assert it.seen_running_at == 3.0


def test_a_running_task_is_looked_at_again():
    assert watch().after(RUNNING, 0.0) == KeepPolling(10.0, "MiniMax task T: Processing")


def test_a_state_is_logged_when_it_changes_and_not_at_every_poll():
    it = watch()
    notes = [it.after(RUNNING, 0.0).note, it.after(RUNNING, 10.0).note]
    assert notes == ["MiniMax task T: Processing", None]


def test_a_poll_that_shows_nothing_new_is_judged_as_any_other_and_not_logged():
    quietly, aloud = watch(), watch()
    for it in (quietly, aloud):
        it.after(RUNNING, 0.0)
        it.after(MinimaxUnavailableError("down"), 5.0)
    assert quietly.reschedule(RUNNING, 10.0) == aloud.after(RUNNING, 10.0).seconds
    assert vars(quietly) == vars(aloud)


@pytest.mark.parametrize(
    ("before", "seen", "now"),
    [
        ([], RUNNING, 1.0),
        ([RUNNING], replace(RUNNING, status="Queueing"), 1.0),
        ([RUNNING], replace(RUNNING, state=TaskState.FAILED), 1.0),
        ([RUNNING], DONE, 1.0),
        ([RUNNING], RUNNING, 1000.0),
    ],
)
def test_what_is_new_is_left_for_the_one_who_waits(before, seen, now):
    it = watch()
    for task in before:
        it.after(task, 0.0)
    noted = dict(vars(it))
    assert it.reschedule(seen, now) is None
    assert vars(it) == noted


def test_a_status_that_nobody_documents_is_waited_on_with_one_warning():
    it, odd = watch(), VideoTask("T", TaskState.UNKNOWN, "Polishing")
    first, second = it.after(odd, 0.0), it.after(odd, 10.0)
    assert (first.warn, first.note) == (True, "MiniMax task T: Polishing")
    assert second.note is None


def test_the_last_poll_is_at_the_deadline_and_not_past_it():
    assert watch().after(RUNNING, 995.0).seconds == 5.0


def test_a_wait_ends_at_the_deadline_and_says_what_keeps_running():
    outcome = watch().after(RUNNING, 1000.0)
    assert isinstance(outcome.error, MinimaxTaskTimeoutError)
    assert "Task T keeps running and will be billed." in str(outcome.error)
    assert "Processing" in str(outcome.error)


def test_a_finished_task_is_an_outcome_even_past_the_deadline():
    assert watch().after(DONE, 2000.0) == Outcome(DONE)


def test_failed_polls_are_tolerated_until_there_are_too_many_in_a_row():
    it = watch(max_failures=3)
    down = MinimaxUnavailableError("down")
    assert isinstance(it.after(down, 0.0), KeepPolling)
    assert isinstance(it.after(down, 1.0), KeepPolling)
    assert isinstance(it.after(RUNNING, 2.0), KeepPolling)
    assert isinstance(it.after(down, 3.0), KeepPolling)
    assert isinstance(it.after(down, 4.0), KeepPolling)
    outcome = it.after(down, 5.0)
    assert isinstance(outcome.error, MinimaxUnavailableError)
    assert "stopped after 3 failed status checks in a row" in str(outcome.error)
    assert "Task T may still be running" in str(outcome.error)


def test_without_a_cap_failed_polls_are_tolerated_until_the_deadline():
    it = watch(max_failures=None)
    assert all(isinstance(it.after(MinimaxUnavailableError("down"), float(n)), KeepPolling) for n in range(50))
    timed_out = it.after(MinimaxUnavailableError("down"), 1000.0).error
    assert isinstance(timed_out, MinimaxTaskTimeoutError)
    assert "the last 51 status checks failed: down" in str(timed_out)


def test_a_poll_is_not_repeated_before_the_platform_allows_it():
    assert watch().after(MinimaxRateLimitError("slow down", retry_after=120), 0.0).seconds == 120


CONNECTION_TROUBLE = pytest.mark.parametrize(
    "trouble",
    [
        MinimaxConnectionNotFoundError("there is no connection 'mm' here"),
        MinimaxConnectionLookupError("connection 'mm' could not be looked up"),
        MinimaxAuthError("the key was refused"),
        MinimaxQuotaError("the account is empty"),
        MinimaxConfigurationError("the address answers with a redirect", http_status=302),
    ],
    ids=lambda trouble: type(trouble).__name__,
)


@CONNECTION_TROUBLE
@pytest.mark.parametrize("process", ["worker", "triggerer"])
def test_trouble_with_the_connection_is_waited_out_until_the_deadline_and_is_never_too_much(trouble, process):
    it = watch(max_failures=3, process=process)
    assert all(isinstance(it.after(copy(trouble), float(n)), KeepPolling) for n in range(100))
    timed_out = it.after(copy(trouble), 1000.0).error
    assert isinstance(timed_out, MinimaxTaskTimeoutError)
    assert f"the {process} cannot use the connection right now: {trouble.message}" in str(timed_out)
    assert f"Check the connection as the {process} sees it" in str(timed_out)


def test_trouble_with_the_connection_is_noted_once_a_change_and_so_is_its_end():
    it = watch()
    gone, refused = MinimaxConnectionNotFoundError("gone"), MinimaxAuthError("refused")
    notes = [
        it.after(copy(seen), float(n)).note for n, seen in enumerate([RUNNING, gone, gone, refused, refused, gone])
    ]
    assert [note is not None for note in notes] == [True, True, False, True, False, True]
    assert it.reschedule(RUNNING, 6.0) is None
    assert it.after(RUNNING, 6.0).note == "MiniMax task T: Processing"
    assert it.after(RUNNING, 7.0).note is None


def test_trouble_with_the_connection_neither_counts_nor_forgives_other_trouble():
    it, down, gone = watch(max_failures=3), MinimaxUnavailableError("down"), MinimaxConnectionNotFoundError("gone")
    assert all(isinstance(it.after(copy(seen), 0.0), KeepPolling) for seen in (down, gone, down, gone, gone))
    assert isinstance(it.after(copy(down), 0.0), Outcome)


def test_a_connection_that_is_malformed_ends_the_wait_at_once_and_not_for_good():
    """Polling cannot help; a retry of the Airflow task, once it was repaired, can."""
    error = watch().after(MinimaxConfigurationError("platform='x'", billing="Nothing was bought."), 0.0).error
    assert isinstance(error, MinimaxConnectionUnusableError)
    assert not error.is_final
    assert "platform='x'" in str(error)
    assert "Nothing was bought" not in str(error)
    assert "Task T may still be running and will be billed" in str(error)
    assert type(Outcome.from_event(Outcome(None, error).as_event()).error) is MinimaxConnectionUnusableError


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (VideoTask("T", TaskState.FAILED, "Fail"), MinimaxTaskFailedError),
        (VideoTask("T", TaskState.FAILED, "Fail", code="1027", reason="sensitive"), MinimaxModerationError),
        (VideoTask("T", TaskState.CANCELLED, "cancelled"), MinimaxTaskFailedError),
    ],
)
def test_a_task_that_ended_badly_is_an_error_that_names_it(task, error):
    outcome = terminal_outcome(task)
    assert type(outcome.error) is error
    assert "task T" in str(outcome.error)


@pytest.mark.parametrize(("api_version", "code"), [("v1", None), ("v2", "cancelled")])
def test_a_cancelled_task_is_free_where_only_what_is_queued_can_be_cancelled(api_version, code):
    error = terminal_outcome(VideoTask("T", TaskState.CANCELLED, "cancelled", api_version=api_version)).error
    assert error.code == code
    assert ("free of charge" in str(error)) is (code is not None)


@pytest.mark.parametrize("state", [TaskState.PENDING, TaskState.RUNNING, TaskState.UNKNOWN])
def test_a_task_that_goes_on_is_not_settled(state):
    assert terminal_outcome(VideoTask("T", state)) is None


def test_an_outcome_survives_the_way_through_an_event():
    event = json.loads(json.dumps(Outcome(DONE).as_event()))
    assert Outcome.from_event(event) == Outcome(DONE)


def test_the_times_and_the_bill_survive_the_way_through_an_event():
    begin = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
    task = replace(
        DONE,
        created_at=begin,
        started_at=begin + timedelta(seconds=3),
        finished_at=begin + timedelta(seconds=100, milliseconds=250),
        billed=Billed(Decimal("0.035714285714"), "USD"),
    )
    text = json.dumps(Outcome(task).as_event())
    assert Outcome.from_event(json.loads(text)).result() == task
    assert len(text) < 500


def test_an_event_leaves_out_times_and_bills_that_were_not_reported():
    assert Outcome(DONE).as_event()["task"].keys() == {*DONE.as_result(), "status", "api_version"}


@pytest.mark.parametrize(
    "odd",
    [
        {"created_at": 1790000000},
        {"created_at": "yesterday", "started_at": "2026-09-21T14:13:20"},
        {"finished_at": None, "billed": None},
        {"billed": "0.28 USD"},
        {"billed": {"amount": "much", "unit": "USD"}},
        {"billed": {"amount": 1}},
    ],
)
def test_a_clip_is_not_lost_to_an_events_odd_times_or_bill(odd):
    event = Outcome(DONE).as_event()
    event["task"] |= odd
    assert Outcome.from_event(event).result() == DONE


def test_an_events_error_survives_with_its_kind_and_facts():
    error = MinimaxModerationError("refused", minimax_task_id="T", code="1027", billing="Perhaps billed.")
    event = json.loads(json.dumps(Outcome(None, error).as_event()))
    again = Outcome.from_event(event).error
    assert (type(again), str(again)) == (MinimaxModerationError, str(error))


def test_no_url_gets_into_an_event():
    task = VideoTask("T", TaskState.SUCCEEDED, "completed", file=VideoFile("https://x/secret?sig=1"))
    assert "secret" not in json.dumps(Outcome(task).as_event())


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}, "done", {"task": {"task_id": "T", "state": "?"}}])
def test_an_event_that_makes_no_sense_is_an_error_and_never_a_success(event):
    with pytest.raises(MinimaxError, match="cannot read"):
        Outcome.from_event(event).result()


def test_an_error_of_a_newer_version_is_still_an_error():
    assert str(error_from_event({"kind": "MinimaxNovelError", "message": "new", "shade": 1})) == "new."


def test_only_a_cancelled_task_of_v2_counts_as_free_whatever_a_failed_one_says():
    """A retry buys again after a free cancellation."""
    for state, api_version, code in (
        (TaskState.FAILED, "v2", None),
        (TaskState.CANCELLED, "v1", None),
        (TaskState.CANCELLED, "v2", "cancelled"),
    ):
        ended = terminal_outcome(VideoTask("7", state, code="cancelled", api_version=api_version))
        assert ended is not None
        assert ended.error is not None
        assert ended.error.code == code
