"""What the platform's list says about a submission whose answer was lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.exceptions import MinimaxSubmissionUnknownError
from airflow_provider_minimax.purchases.matching import LISTED_WITHIN, ListingMatch, conclude
from airflow_provider_minimax.purchases.receipt import Receipt
from airflow_provider_minimax.purchases.rules import (
    CLOCKS_DIFFER_BY,
    LISTED_FOR,
    OTHERS_SUBMIT_WITHIN,
    Buy,
    OutputState,
    Resume,
    Search,
    Settle,
    Wait,
    decide,
)
from airflow_provider_minimax.purchases.spec import Policy
from tests.receipts.samples import ME, NOW, OTHER, FakeOutput, failed, intent, order, submitted

H3 = {
    "model": "MiniMax-H3",
    "api_version": "v2",
    "request": {"model": "MiniMax-H3", "resolution": "768P", "duration": 5, "ratio": "16:9"},
}
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LATER = NOW + LISTED_WITHIN + SECOND


def lost(**changes) -> Receipt:
    """A submission at NOW of which it was found out at once that no answer will come."""
    return intent(**{**H3, "lost_at": NOW, "owner": ME} | changes)


def task(name: str = "T9", **changes) -> VideoTask:
    known = VideoTask(
        name,
        TaskState.PENDING,
        "queued",
        created_at=NOW,
        api_version="v2",
        model="MiniMax-H3",
        resolution="768P",
        duration=5,
        ratio="16:9",
    )
    return replace(known, **changes)


def concluded(listed, siblings=(), taken=frozenset(), orphan=None, now=LATER, **changes):
    orphan = orphan or lost()
    sight = ListingMatch.from_list(orphan, listed, siblings, taken)
    return conclude(orphan, sight, order(**changes), where="here", now=now)


def is_unclear(*args, **kwargs) -> str:
    with pytest.raises(MinimaxSubmissionUnknownError) as raised:
        concluded(*args, **kwargs)
    return str(raised.value)


# -- one, none, several ------------------------------------------------------------------------------------------------


def test_the_only_one_that_it_can_be_is_adopted():
    step = concluded([task()])
    assert isinstance(step, Resume)
    assert (step.receipt.minimax_task_id, step.receipt.phase) == ("T9", "submitted")
    for fact in ("MiniMax task T9 (queued, of 2026-11-21 12:00:00 UTC) is adopted", "on_orphaned_intent='adopt'"):
        assert fact in step.note


def test_none_means_that_nothing_was_bought():
    step = concluded([], orphan=lost(submissions=2, replaced=("T0",)))
    assert isinstance(step, Buy)
    assert (step.submissions, step.replaced, step.unanswered) == (2, ("T0",), 1)
    assert "bought nothing" in step.note


def test_several_are_named_and_none_is_taken():
    said = is_unclear([task("A"), task("B")])
    for words in ("A (queued), B (queued)", "may have been bought", "receipts adopt"):
        assert words in said


@pytest.mark.parametrize(
    "other",
    [
        task("B", model="MiniMax-H3-Max"),
        task("B", resolution="2K"),
        task("B", duration=6),
        task("B", ratio="9:16"),
        task("B", created_at=NOW - CLOCKS_DIFFER_BY - SECOND),
        task("B", created_at=NOW + CLOCKS_DIFFER_BY + SECOND),
    ],
)
def test_what_is_of_another_kind_or_time_is_not_meant(other):
    assert concluded([other, task("A")]).receipt.minimax_task_id == "A"
    assert isinstance(concluded([other]), Buy)


@pytest.mark.parametrize(
    "reported",
    [
        {"model": None},
        {"resolution": None},
        {"resolution": "768p"},
        {"duration": None},
        {"duration": 5.17},
        {"ratio": None},
        {"ratio": ""},
        {"ratio": "adaptive"},
    ],
)
def test_facts_that_the_platform_omits_or_changes_rule_nothing_out(reported):
    assert concluded([task(**reported)]).receipt.minimax_task_id == "T9"


def test_the_ratio_of_a_clip_with_frames_is_theirs_and_not_what_was_asked_for():
    with_frame = lost(request=H3["request"] | {"first_frame_image": "https://files.example/a.png"})
    assert concluded([task(ratio="9:16")], orphan=with_frame).receipt.minimax_task_id == "T9"


def test_what_extra_body_asks_for_is_asked_for():
    asked = {"model": "MiniMax-H3", "extra_body": {"resolution": "2K", "duration": 5, "ratio": "16:9"}}
    assert isinstance(concluded([task()], orphan=lost(request=asked)), Buy)
    assert isinstance(concluded([task(resolution="2K")], orphan=lost(request=asked)), Resume)


def test_a_task_without_a_time_may_be_of_any_so_it_is_neither_taken_nor_overlooked():
    is_unclear([task(created_at=None)])
    is_unclear([task(created_at=None), task("A")])


def test_a_task_on_both_pages_is_one():
    assert isinstance(concluded([task(), task()]), Resume)


# -- whose it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sibling",
    [
        pytest.param(submitted(**H3, owner=OTHER), id="bought"),
        pytest.param(failed("1027", **H3, owner=OTHER), id="failed"),
        pytest.param(intent(**H3, owner=OTHER, replaced=("T1",), intended_at=NOW - timedelta(days=1)), id="replaced"),
    ],
)
def test_a_task_that_another_receipt_knows_is_not_meant(sibling):
    assert isinstance(concluded([task("T1")], [sibling]), Buy)
    assert concluded([task("T1"), task("A")], [sibling]).receipt.minimax_task_id == "A"


def test_nor_is_one_that_another_task_of_the_run_published_or_this_one_bought_before():
    assert isinstance(concluded([task("A")], taken={"A"}), Buy)
    assert isinstance(concluded([task("A")], orphan=lost(replaced=("A",))), Buy)


def test_a_lone_task_is_not_taken_if_another_submission_without_an_answer_may_have_bought_it():
    said = is_unclear([task()], [intent(**H3, owner=OTHER, lost_at=NOW)])
    assert f"{OTHER} had no answer either" in said


@pytest.mark.parametrize(
    "sibling",
    [
        pytest.param(intent(**H3 | {"request": {"duration": 9}}, owner=OTHER), id="another kind of clip"),
        pytest.param(intent(**H3, owner=OTHER, intended_at=NOW - timedelta(hours=1)), id="another time"),
        pytest.param(intent(**H3, owner=OTHER, intended_at=NOW + timedelta(hours=1)), id="a later time"),
    ],
)
def test_a_submission_that_cannot_have_bought_it_does_not_matter(sibling):
    assert isinstance(concluded([task()], [sibling]), Resume)


def test_while_another_submission_is_under_way_nothing_is_concluded():
    under_way = intent(**H3, owner=OTHER)
    assert isinstance(concluded([task()], [under_way]), Settle)
    assert "had no answer either" in is_unclear([task()], [under_way], now=NOW + OTHERS_SUBMIT_WITHIN)


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "listed", "expected"),
    [
        (0, 1, 15),
        (14, 1, 1),
        (15, 1, Resume),
        (0, 0, 15),
        (15, 0, 45),
        (59, 0, 1),
        (60, 0, Buy),
        (20, 2, 40),
    ],
)
def test_one_is_believed_after_a_quarter_of_a_minute_and_none_after_a_whole_one(after, listed, expected):
    step = concluded([task(str(number)) for number in range(listed)], now=NOW + after * SECOND)
    if isinstance(expected, int):
        assert isinstance(step, Settle)
        assert step.seconds == expected
    else:
        assert isinstance(step, expected)


def test_a_request_that_was_under_way_for_longer_than_it_should_may_have_bought_late():
    """One from within its time limits is meant; if there is none, a later one forbids to buy."""
    orphan = lost(lost_at=NOW + 30 * MINUTE)
    late, now = task("late", created_at=NOW + 20 * MINUTE), NOW + 40 * MINUTE
    assert concluded([task(), late], orphan=orphan, now=now).receipt.minimax_task_id == "T9"
    assert "late (queued)" in is_unclear([late], orphan=orphan, now=now)


def test_the_submission_of_another_task_may_be_adopted_and_is_never_made_again():
    theirs, now = lost(owner=OTHER, lost_at=None), NOW + 10 * MINUTE
    assert str(OTHER) in concluded([task()], orphan=theirs, now=now).note
    is_unclear([], orphan=theirs, now=now)


def test_submissions_of_the_same_try_that_bought_nothing_are_counted():
    assert concluded([], orphan=lost(unanswered=1)).unanswered == 2
    assert concluded([], orphan=lost(unanswered=1), try_number=2).unanswered == 1


# -- who asks the list at all ------------------------------------------------------------------------------------------


def step(found, clip=OutputState.MISSING, now=NOW, on_clear="resubmit", **changes):
    policy = Policy(on_clear=on_clear, on_orphaned_intent="adopt")
    return decide(found, order(**changes), policy, FakeOutput(clip), where="here", now=now)


def test_an_unanswered_submission_is_looked_for():
    assert isinstance(step(intent()), Search)
    assert isinstance(step(intent(), max_tries=7, on_clear="reuse"), Search)
    assert isinstance(step(intent(owner=OTHER)), Wait)
    assert isinstance(step(intent(owner=OTHER), now=NOW + OTHERS_SUBMIT_WITHIN), Search)


def test_a_task_that_a_person_cleared_buys_again_without_asking():
    assert isinstance(step(intent(), max_tries=7), Buy)


@pytest.mark.parametrize("found", [None, submitted(), failed("cancelled")])
def test_where_nothing_is_in_doubt_the_list_is_not_asked(found):
    assert not isinstance(step(found), Search)


def test_a_submission_older_than_the_list_cannot_be_known():
    assert isinstance(step(intent(), now=NOW + LISTED_FOR - SECOND), Search)
    with pytest.raises(MinimaxSubmissionUnknownError):
        step(intent(), now=NOW + LISTED_FOR)


# -- all that can have happened ----------------------------------------------------------------------------------------

SKEWS = (-CLOCKS_DIFFER_BY, timedelta(0), CLOCKS_DIFFER_BY)
LAGS = (timedelta(0), 30 * SECOND, LISTED_WITHIN)
SIBLINGS = ("none", "answered", "unanswered, sold", "unanswered, not sold", "under way, sold")


def searched(sold, skew, lag, siblings, foreign, clock_of_sibling):
    """Let a submission be looked for until something is concluded; return what, and what would have been right."""
    orphan = lost()
    jobs = {"mine": orphan.intended_at + skew} if sold else {}
    receipts = []
    for number, kind in enumerate(siblings):
        when = NOW + clock_of_sibling
        theirs = intent(**H3, owner=OTHER, intended_at=when, attempt=f"other {number}")
        if kind != "none" and kind != "unanswered, not sold":
            jobs[f"other {number}"] = when + skew
        if kind == "answered":
            theirs = theirs.submitted(f"other {number}", when)
        if kind.startswith("unanswered"):
            theirs = theirs.lost(when)
        if kind != "none":
            receipts.append(theirs)
    jobs |= {f"foreign {number}": NOW + skew for number in range(foreign)}
    now = NOW
    while True:
        listed = [task(name, created_at=when) for name, when in jobs.items() if now - NOW >= lag]
        try:
            step = conclude(orphan, ListingMatch.from_list(orphan, listed, receipts), order(), where="here", now=now)
        except MinimaxSubmissionUnknownError:
            return "stopped"
        if isinstance(step, Resume):
            return step.receipt.minimax_task_id
        if isinstance(step, Buy):
            return "bought"
        now += step.seconds * SECOND


def test_whatever_happened_nothing_is_bought_twice_and_no_other_tasks_clip_is_taken():
    """All clocks within their limits, all lags, all that two siblings can have done."""
    ends = set()
    for sold, skew, lag, first, second, clock in product(
        (True, False), SKEWS, LAGS, SIBLINGS, SIBLINGS, (-MINUTE, timedelta(0), MINUTE)
    ):
        end = searched(sold, skew, lag, (first, second), 0, clock)
        ends.add(end)
        assert end in (("mine", "stopped") if sold else ("bought", "stopped")), (sold, skew, lag, first, second, clock)
        if not any(kind.startswith(("unanswered, sold", "under way")) for kind in (first, second)) and not (
            sold and any(kind.startswith("unanswered") for kind in (first, second))
        ):
            assert end != "stopped", (sold, skew, lag, first, second, clock)
    assert ends == {"mine", "bought", "stopped"}


def test_only_a_single_foreign_clip_is_adopted_and_only_if_nothing_was_bought():
    """What the list cannot tell: the docs say so."""
    for sold, skew, lag, foreign in product((True, False), SKEWS, LAGS, (0, 1, 2)):
        end = searched(sold, skew, lag, (), foreign, timedelta(0))
        expected = {(True, 0): "mine", (False, 0): "bought", (False, 1): "foreign 0"}
        assert end == expected.get((sold, foreign), "stopped")
