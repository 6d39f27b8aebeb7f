"""What each receipt means for the try that finds it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxModerationError,
    MinimaxReceiptError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
)
from airflow_provider_minimax.purchases.rules import Buy, Done, OutputState, Resume, Wait, decide
from airflow_provider_minimax.purchases.spec import Policy
from tests.receipts.samples import NOW, OTHER, SHA, FakeOutput, delivered, failed, intent, order, submitted

ANOTHER = Policy(on_clear="resubmit")
CHANGED = Policy(overwrite="changed")
AGAIN = Policy(on_orphaned_intent="resubmit")
REPLACE = Policy(overwrite=True)
CLEARED = {"max_tries": 7}
LONG_AGO = NOW - timedelta(hours=1)


def step(found, policy=Policy(), clip=OutputState.MISSING, **changes):  # noqa: B008 - it is frozen
    output = FakeOutput(clip, (None, SHA))
    return decide(found, order(**changes), policy, output, where="here", now=NOW)


@pytest.mark.parametrize(
    ("found", "policy", "clip", "changes", "expected"),
    [
        pytest.param(None, Policy(), OutputState.MISSING, {}, Buy, id="nothing was bought yet"),
        pytest.param(None, Policy(), OutputState.DIFFERS, {}, MinimaxRequestError, id="a foreign file is in the way"),
        pytest.param(None, REPLACE, OutputState.DIFFERS, {}, Buy, id="a foreign file may be replaced"),
        pytest.param(
            intent(), Policy(), OutputState.MISSING, {}, MinimaxSubmissionUnknownError, id="retry of a lost answer"
        ),
        pytest.param(intent(), AGAIN, OutputState.MISSING, {}, Buy, id="retry of a lost answer, if the author says so"),
        pytest.param(
            intent(),
            Policy(),
            OutputState.MISSING,
            CLEARED,
            MinimaxSubmissionUnknownError,
            id="a person clears a lost answer",
        ),
        pytest.param(intent(), ANOTHER, OutputState.MISSING, CLEARED, Buy, id="the same, and the author wants another"),
        pytest.param(intent(owner=OTHER), Policy(), OutputState.MISSING, {}, Wait, id="another task is submitting"),
        pytest.param(
            intent(owner=OTHER, intended_at=LONG_AGO),
            Policy(),
            OutputState.MISSING,
            {},
            MinimaxSubmissionUnknownError,
            id="another task was submitting long ago",
        ),
        pytest.param(
            intent(owner=OTHER, intended_at=LONG_AGO), AGAIN, OutputState.MISSING, {}, Buy, id="and the author dares"
        ),
        pytest.param(submitted(), Policy(), OutputState.MISSING, {}, Resume, id="retry"),
        pytest.param(
            submitted(), AGAIN, OutputState.MISSING, {}, Resume, id="retry, with a policy that is about intents only"
        ),
        pytest.param(submitted(), REPLACE, OutputState.MISSING, {}, Resume, id="retry with overwrite"),
        pytest.param(submitted(), Policy(), OutputState.MISSING, CLEARED, Resume, id="cleared"),
        pytest.param(submitted(), REPLACE, OutputState.MISSING, CLEARED, Resume, id="cleared, with overwrite"),
        pytest.param(submitted(), ANOTHER, OutputState.MISSING, CLEARED, Buy, id="cleared with resubmit"),
        pytest.param(
            submitted(max_tries=None), ANOTHER, OutputState.MISSING, CLEARED, Resume, id="written down by a person"
        ),
        pytest.param(submitted(owner=OTHER), Policy(), OutputState.MISSING, {}, Resume, id="another task bought it"),
        pytest.param(
            submitted(sha256=SHA), Policy(), OutputState.MATCHES, {}, Done, id="published, but not written down"
        ),
        pytest.param(submitted(sha256=SHA), Policy(), OutputState.MATCHES, CLEARED, Done, id="the same, cleared"),
        pytest.param(submitted(sha256=SHA), Policy(), OutputState.MISSING, {}, Resume, id="fetched, but not published"),
        pytest.param(
            failed("1027"), Policy(), OutputState.MISSING, {}, MinimaxTaskFailedError, id="retry of a refused one"
        ),
        pytest.param(
            failed("1033"), Policy(), OutputState.MISSING, {}, MinimaxTaskFailedError, id="retry, but one is enough"
        ),
        pytest.param(
            failed("1033"), Policy(max_submissions=2), OutputState.MISSING, {}, Buy, id="retry, and two are allowed"
        ),
        pytest.param(
            failed("1033", submissions=2),
            Policy(max_submissions=2),
            OutputState.MISSING,
            {},
            MinimaxTaskFailedError,
            id="retry, and two were made",
        ),
        pytest.param(
            failed("2013"),
            Policy(max_submissions=9),
            OutputState.MISSING,
            {},
            MinimaxTaskFailedError,
            id="nothing cures it",
        ),
        pytest.param(failed("1027"), Policy(), OutputState.MISSING, CLEARED, Buy, id="a person clears a failed one"),
        pytest.param(
            failed("1027", owner=OTHER),
            Policy(),
            OutputState.MISSING,
            {},
            MinimaxModerationError,
            id="another's was refused",
        ),
        pytest.param(
            failed("1027", owner=OTHER),
            REPLACE,
            OutputState.DIFFERS,
            {},
            MinimaxModerationError,
            id="the same, overwriting",
        ),
        pytest.param(
            failed("1027", owner=OTHER),
            Policy(),
            OutputState.MISSING,
            {"is_cleared": True},
            Buy,
            id="the same, and cleared",
        ),
        pytest.param(failed("1033", owner=OTHER), Policy(), OutputState.MISSING, {}, Buy, id="another task's failed"),
        pytest.param(failed("cancelled"), Policy(), OutputState.MISSING, {}, Buy, id="retry of a cancelled one"),
        pytest.param(delivered(), Policy(), OutputState.MATCHES, {}, Done, id="retry after the delivery"),
        pytest.param(
            delivered(), REPLACE, OutputState.MATCHES, {}, Done, id="retry after the delivery, with overwrite"
        ),
        pytest.param(delivered(), Policy(), OutputState.MATCHES, CLEARED, Done, id="cleared after the delivery"),
        pytest.param(
            delivered(), REPLACE, OutputState.MATCHES, CLEARED, Buy, id="cleared after the delivery, with overwrite"
        ),
        pytest.param(
            delivered(), ANOTHER, OutputState.MATCHES, CLEARED, Done, id="cleared after the delivery, with resubmit"
        ),
        pytest.param(delivered(owner=OTHER), Policy(), OutputState.MATCHES, {}, Done, id="another run delivered it"),
        pytest.param(
            delivered(owner=OTHER), REPLACE, OutputState.MATCHES, {}, Buy, id="another run delivered, and overwrite"
        ),
        pytest.param(
            delivered(), Policy(), OutputState.DIFFERS, {}, MinimaxRequestError, id="somebody changed the file"
        ),
        pytest.param(
            delivered(), REPLACE, OutputState.DIFFERS, {}, Resume, id="somebody changed it; a retry may replace it"
        ),
        pytest.param(delivered(), Policy(), OutputState.MISSING, {}, Resume, id="somebody took the file away"),
        pytest.param(delivered(owner=OTHER), Policy(), OutputState.MISSING, {}, Resume, id="the same, for another run"),
        pytest.param(delivered(), Policy(), OutputState.MISSING, CLEARED, Resume, id="taken away, then cleared"),
        pytest.param(
            delivered(), REPLACE, OutputState.MISSING, CLEARED, Resume, id="taken away, then cleared, with overwrite"
        ),
        pytest.param(
            delivered(), ANOTHER, OutputState.MISSING, CLEARED, Buy, id="taken away, then cleared with resubmit"
        ),
        pytest.param(
            delivered(owner=OTHER), REPLACE, OutputState.MISSING, {}, Buy, id="taken away, and each run overwrites"
        ),
        pytest.param(delivered(owner=OTHER), CHANGED, OutputState.MATCHES, {}, Done, id="nothing has changed"),
        pytest.param(
            delivered(owner=OTHER), CHANGED, OutputState.MISSING, {}, Resume, id="nothing has changed, but it is gone"
        ),
        pytest.param(
            delivered(owner=OTHER), CHANGED, OutputState.DIFFERS, {}, MinimaxRequestError, id="the file has changed"
        ),
        pytest.param(
            None, CHANGED, OutputState.DIFFERS, {}, MinimaxRequestError, id="changed, and a foreign file in the way"
        ),
    ],
)
def test_a_receipt_of_the_same_request(found, policy, clip, changes, expected):
    if issubclass(expected, MinimaxError):
        with pytest.raises(expected):
            step(found, policy, clip, **changes)
    else:
        assert isinstance(step(found, policy, clip, **changes), expected)


@pytest.mark.parametrize(
    ("found", "policy", "clip", "changes", "expected"),
    [
        pytest.param(submitted(), Policy(), OutputState.MISSING, {}, MinimaxReceiptError, id="a mapped list shifted"),
        pytest.param(intent(), AGAIN, OutputState.MISSING, {}, MinimaxReceiptError, id="shifted after a lost answer"),
        pytest.param(
            failed("1033"), Policy(max_submissions=2), OutputState.MISSING, {}, MinimaxReceiptError, id="after failure"
        ),
        pytest.param(
            delivered(), REPLACE, OutputState.MATCHES, {}, MinimaxReceiptError, id="shifted after the delivery"
        ),
        pytest.param(submitted(), Policy(), OutputState.MISSING, CLEARED, Buy, id="corrected, then cleared"),
        pytest.param(submitted(), ANOTHER, OutputState.MISSING, CLEARED, Buy, id="corrected, cleared with resubmit"),
        pytest.param(
            intent(), Policy(), OutputState.MISSING, CLEARED, Buy, id="corrected after a lost answer, then cleared"
        ),
        pytest.param(delivered(owner=OTHER), CHANGED, OutputState.MATCHES, {}, Buy, id="changed since yesterday"),
        pytest.param(
            delivered(owner=OTHER), CHANGED, OutputState.MISSING, {}, Buy, id="changed since, and the clip is gone"
        ),
        pytest.param(
            failed("1033", owner=OTHER),
            CHANGED,
            OutputState.DIFFERS,
            {},
            Buy,
            id="changed since, and yesterday's failed",
        ),
        pytest.param(
            submitted(owner=OTHER), CHANGED, OutputState.MISSING, {}, MinimaxReceiptError, id="another's, underway"
        ),
        pytest.param(
            delivered(), CHANGED, OutputState.MATCHES, {}, MinimaxReceiptError, id="changed between two tries"
        ),
        pytest.param(
            submitted(owner=OTHER), REPLACE, OutputState.MISSING, {}, MinimaxReceiptError, id="another's, on its way"
        ),
        pytest.param(
            intent(owner=OTHER), AGAIN, OutputState.MISSING, {}, MinimaxReceiptError, id="another's, being submitted"
        ),
        pytest.param(failed("1027", owner=OTHER), Policy(), OutputState.MISSING, {}, Buy, id="another's, which failed"),
        pytest.param(
            delivered(owner=OTHER), Policy(), OutputState.MATCHES, {}, MinimaxReceiptError, id="another's clip is there"
        ),
        pytest.param(
            delivered(owner=OTHER), REPLACE, OutputState.MATCHES, {}, Buy, id="another's clip may be replaced"
        ),
        pytest.param(
            delivered(owner=OTHER), Policy(), OutputState.MISSING, {}, Buy, id="another's clip was moved away"
        ),
        pytest.param(
            delivered(fingerprint=None), Policy(), OutputState.MATCHES, {}, MinimaxReceiptError, id="fetched by its id"
        ),
    ],
)
def test_a_receipt_of_another_request(found, policy, clip, changes, expected):
    changes = {"fingerprint": "f2", **changes}
    if issubclass(expected, MinimaxError):
        with pytest.raises(expected) as raised:
            step(found, policy, clip, **changes)
        assert "dag.generate" in str(raised.value)
    else:
        assert isinstance(step(found, policy, clip, **changes), expected)


def test_two_requests_for_one_output_learn_of_each_other():
    with pytest.raises(MinimaxReceiptError) as raised:
        step(submitted(owner=OTHER), fingerprint="f2")
    said = str(raised.value)
    assert "dag.generate[3] of run yesterday (task T1)" in said
    assert "dag.generate of run today wants another clip" in said
    assert "Nothing was bought." in said


def test_a_lost_answer_says_what_may_have_been_bought_and_the_ways_on():
    with pytest.raises(MinimaxSubmissionUnknownError) as raised:
        step(intent())
    said = str(raised.value)
    for fact in ("MiniMax-Hailuo-2.3", "dag.generate of run today", "2026-11-21 12:00:00 UTC", "may have been bought"):
        assert fact in said
    for way in ("receipts adopt", "on_clear='resubmit'", "on_orphaned_intent='resubmit'"):
        assert way in said


def test_a_purchase_remembers_the_tasks_that_earlier_ones_left_behind():
    bought = step(submitted(replaced=("T0",)), ANOTHER, **CLEARED)
    assert bought.replaced == ("T0", "T1")
    assert "T1" in bought.note


def test_the_tasks_of_others_are_not_counted_as_ours():
    assert step(delivered(owner=OTHER), REPLACE, OutputState.MATCHES).replaced == ()


def test_a_second_purchase_counts():
    assert step(failed("1033"), Policy(max_submissions=3)).submissions == 2
    assert step(failed("1033", submissions=2), Policy(max_submissions=3), **CLEARED).submissions == 1


def test_a_task_that_was_cancelled_for_free_is_bought_again_and_does_not_count():
    bought = step(failed("cancelled"))
    assert (bought.submissions, bought.replaced) == (1, ("T1",))
    assert "was cancelled while it was queued, which was free of charge" in bought.note


def test_a_failed_task_is_reported_again_with_its_reason_and_id():
    with pytest.raises(MinimaxTaskFailedError, match=r"the remote task failed \(code 1027, task T1\)"):
        step(failed("1027"))


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta(days=1)])
def test_a_receipt_from_the_future_stops_the_task(ahead):
    with pytest.raises(MinimaxReceiptError, match="from the future.*Set the clocks"):
        step(submitted(submitted_at=NOW + ahead))


def test_clocks_may_differ_a_little():
    assert isinstance(step(submitted(submitted_at=NOW + timedelta(minutes=4))), Resume)
    assert isinstance(step(intent(owner=OTHER, intended_at=NOW + timedelta(minutes=4))), Wait)


def test_a_run_that_was_deleted_and_made_again_is_not_taken_for_a_retry():
    assert isinstance(step(submitted(max_tries=9), ANOTHER), Buy)


def test_a_file_in_the_way_is_found_before_buying_again():
    with pytest.raises(MinimaxRequestError, match="exists already"):
        step(failed("1027"), Policy(), OutputState.DIFFERS, **CLEARED)


def test_a_file_that_somebody_edited_is_not_replaced_because_the_request_changed():
    with pytest.raises(MinimaxRequestError, match="has changed since MiniMax task T1 was delivered there"):
        step(delivered(owner=OTHER), CHANGED, OutputState.DIFFERS, fingerprint="f2")


def test_a_clear_that_goes_on_says_so_and_how_to_buy_another():
    note = step(submitted(), **CLEARED).note
    assert (
        "MiniMax task T1 is bought already; this task was cleared, and continues with it, which costs nothing" in note
    )
    assert "change the request, or set on_clear='resubmit'" in note


def test_what_was_refused_is_refused_again_for_free_and_says_who_bought_it():
    with pytest.raises(MinimaxModerationError) as raised:
        step(failed("1027", owner=OTHER))
    said = str(raised.value)
    assert "refused as sensitive after generation" in said
    assert "of run yesterday" in said
    assert "Nothing was bought." in said
    assert "clear this task" in said


def test_another_request_names_the_way_to_buy_whenever_it_changes():
    with pytest.raises(MinimaxReceiptError, match="overwrite='changed'"):
        step(delivered(owner=OTHER), Policy(), OutputState.MATCHES, fingerprint="f2")
