"""
After a lost answer: whether the platform's list shows the purchase, or that there was none.

Pure. The list shows model, size and time of a task and not its prompt, so a task is taken for the lost one only if no
other can be meant: all that is alike and from that time is counted, less what receipts and other tasks say is theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from airflow_provider_minimax.api.task import VideoTask
from airflow_provider_minimax.exceptions import MinimaxSubmissionUnknownError
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.rules import (
    CLOCKS_DIFFER_BY,
    OTHERS_SUBMIT_WITHIN,
    WAYS_ON,
    Buy,
    Resume,
    Settle,
    orphaned,
    time_of,
)
from airflow_provider_minimax.purchases.spec import PurchaseSpec

# Others whose answers came meanwhile have written their ids down by then.
OTHERS_WRITE_WITHIN = timedelta(seconds=15)
# How long the platform's list may lag behind is not documented.
LISTED_WITHIN = timedelta(seconds=60)
_SHOWN = 10
# A receipt is a file that people may edit, and no platform makes longer clips.
_LONGEST = 3600


@dataclass(frozen=True, slots=True)
class TaskSignature:
    """
    What the platform's list shows of a clip; ``None`` stands for anything.

    :param model: its model.
    :param resolution: its resolution.
    :param duration: its seconds.
    :param ratio: its width to height.
    :param task_type: whether it is a clip, a re-rendered clip, or a better prompt.
    """

    model: str | None
    resolution: str | None
    duration: float | None
    ratio: str | None
    task_type: str | None = None

    @classmethod
    def from_receipt(cls, receipt: Receipt) -> Self:
        """Return the signature of what was asked for."""
        request = receipt.request or {}
        extra = request.get("extra_body")
        requested: Mapping[str, Any] = {**request, **(extra if isinstance(extra, Mapping) else {})}
        has_frames = "first_frame_image" in requested or "last_frame_image" in requested
        duration = requested.get("duration")
        return cls(
            receipt.model,
            _word(requested.get("resolution")),
            duration if isinstance(duration, int | float) and 0 < duration < _LONGEST else None,
            # A clip with frames gets theirs, whatever was asked for.
            None if has_frames else _ratio(requested.get("ratio")),
            str(requested.get("task_type", "generation")),
        )

    @classmethod
    def from_task(cls, task: VideoTask) -> Self:
        """Return the signature that the list shows."""
        return cls(task.model, _word(task.resolution), task.duration, _ratio(task.ratio), task.task_type)

    def is_like(self, other: TaskSignature) -> bool:
        """Whether both may be of the same clip."""
        same_length = self.duration is None or other.duration is None or abs(self.duration - other.duration) < 0.5
        words = ((one.model, one.resolution, one.ratio, one.task_type) for one in (self, other))
        return same_length and all(
            one is None or another is None or one == another for one, another in zip(*words, strict=True)
        )


def _word(value: Any) -> str | None:
    return str(value).upper() if value else None


def _ratio(value: Any) -> str | None:
    return None if value in (None, "", "adaptive") else str(value)


@dataclass(frozen=True, slots=True)
class SubmissionWindow:
    """
    When the platform may have written down that a clip was bought, by its clock.

    :param begin: not before.
    :param usual_end: not after, unless the request was on its way for longer than its time limits.
    :param end: surely not after.
    """

    begin: datetime
    usual_end: datetime
    end: datetime

    @classmethod
    def from_receipt(cls, receipt: Receipt) -> Self:
        """Return the window of a submission without an answer."""
        limit, lost = receipt.intended_at + OTHERS_SUBMIT_WITHIN, lost_at(receipt)
        return cls(
            receipt.intended_at - CLOCKS_DIFFER_BY,
            min(limit, lost) + CLOCKS_DIFFER_BY,
            lost + CLOCKS_DIFFER_BY,
        )

    def holds(self, when: datetime | None) -> bool:
        """Whether it may have been then; an unknown time may be any."""
        return when is None or self.begin <= when <= self.end


def lost_at(receipt: Receipt) -> datetime:
    """Return from when on no answer to a submission can come."""
    return receipt.lost_at or receipt.intended_at + OTHERS_SUBMIT_WITHIN


@dataclass(frozen=True, slots=True)
class ListingMatch:
    """
    What the platform's list shows of a submission without an answer.

    :param candidates: tasks that may be its clip.
    :param late_arrivals: tasks that may be its clip if its request was on its way for longer than its time limits.
    :param rivals: other submissions without an answer that one of these may belong to.
    """

    candidates: tuple[VideoTask, ...] = ()
    late_arrivals: tuple[VideoTask, ...] = ()
    rivals: tuple[Receipt, ...] = ()

    @classmethod
    def from_list(
        cls, orphan: Receipt, listed: Iterable[VideoTask], siblings: Iterable[Receipt], taken: Set[str] = frozenset()
    ) -> Self:
        """
        Sort what was found.

        :param orphan: the receipt of the submission.
        :param listed: the tasks that the platform lists.
        :param siblings: other receipts of tasks that may have bought the same kind of clip.
        :param taken: ids that are known to be others'.
        """
        window, signature = SubmissionWindow.from_receipt(orphan), TaskSignature.from_receipt(orphan)
        known = {*orphan.replaced, *taken, *(task for receipt in siblings for task in receipt.all_tasks)}
        alike = {
            task.minimax_task_id: task
            for task in listed
            if window.holds(task.created_at)
            and signature.is_like(TaskSignature.from_task(task))
            and task.minimax_task_id not in known
        }
        late_arrivals = tuple(task for task in alike.values() if task.created_at and task.created_at > window.usual_end)
        rivals = tuple(
            receipt
            for receipt in siblings
            if receipt.phase is Phase.INTENT
            and TaskSignature.from_receipt(receipt).is_like(signature)
            and any(SubmissionWindow.from_receipt(receipt).holds(task.created_at) for task in alike.values())
        )
        return cls(tuple(task for task in alike.values() if task not in late_arrivals), late_arrivals, rivals)

    @property
    def unambiguous(self) -> VideoTask | None:
        """The task that it must be, if there is one: no other can be, and nobody else can have bought it."""
        only = self.candidates[0] if len(self.candidates) == 1 and not self.rivals else None
        return only if only and only.created_at else None


def conclude(
    orphan: Receipt, match: ListingMatch, spec: PurchaseSpec, *, where: str, now: datetime
) -> Resume | Buy | Settle:
    """
    Decide what became of a submission without an answer.

    :param orphan: its receipt.
    :param match: what the platform's list shows.
    :param spec: what the try that asks wants.
    :param where: where the receipt is, for errors.
    :param now: the time.
    :return: go on with the task that it must be, buy because nothing was bought, or ask again later.
    :raises MinimaxSubmissionUnknownError: nobody can know.
    """
    since = now - lost_at(orphan)
    if match.unambiguous and since >= OTHERS_WRITE_WITHIN:
        return _adopted(orphan, match.unambiguous, now)
    if since < LISTED_WITHIN or any(_may_be_answered(rival, now) for rival in match.rivals):
        settled = (moment - since for moment in (OTHERS_WRITE_WITHIN, LISTED_WITHIN) if moment > since)
        return Settle(
            next(settled, OTHERS_WRITE_WITHIN).total_seconds(),
            f"{_shown(match)} That may change, so the list is asked again, until {LISTED_WITHIN.seconds} s after the "
            "answer was lost and no other submission that this concerns is under way.",
        )
    if match.candidates or match.late_arrivals or orphan.owner != spec.owner:
        raise _unclear(orphan, match, where)
    in_this_try = orphan.unanswered if orphan.try_number == spec.try_number else 0
    return Buy(
        orphan.submissions,
        orphan.replaced,
        f"The submission of {time_of(orphan.intended_at)} bought nothing: {LISTED_WITHIN.seconds} s after its answer "
        "was lost, the platform lists no clip that could be it. This task buys.",
        unanswered=in_this_try + 1,
    )


def _may_be_answered(rival: Receipt, now: datetime) -> bool:
    return rival.lost_at is None and now - rival.intended_at < OTHERS_SUBMIT_WITHIN


def _adopted(orphan: Receipt, task: VideoTask, now: datetime) -> Resume:
    made = f", of {time_of(task.created_at)}" if task.created_at else ""
    return Resume(
        orphan.submitted(task.minimax_task_id, now),
        f"MiniMax task {task.minimax_task_id} ({task.status}{made}) is adopted: of all that the platform lists, it is "
        f"the only one of this model and size that the submission of {time_of(orphan.intended_at)} for {orphan.owner} "
        "can have bought, and nobody else is known to have bought it (on_orphaned_intent='adopt').",
    )


def _unclear(orphan: Receipt, match: ListingMatch, where: str) -> MinimaxSubmissionUnknownError:
    error = orphaned(orphan, where)
    error.hint = f"{_shown(match)} {WAYS_ON}"
    return error


def _shown(match: ListingMatch) -> str:
    tasks = (*match.candidates, *match.late_arrivals)
    if not tasks:
        return "The platform lists no task that it could be."
    named = ", ".join(f"{task.minimax_task_id} ({task.status})" for task in tasks[:_SHOWN])
    more = f" and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else ""
    rivals = "".join(f", and {receipt.owner} had no answer either" for receipt in match.rivals[:_SHOWN])
    return f"Tasks of this model and size that the platform lists from that time: {named}{more}{rivals}."
