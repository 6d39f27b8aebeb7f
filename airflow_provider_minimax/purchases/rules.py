"""
What a receipt means for the try that finds it: buy, go on with what was bought, nothing to do, wait, or stop.

Pure: it gets what was found, what is wanted and what time it is. Every case in which buying might be buying twice
raises, and says whose purchase is in the way and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from airflow_provider_minimax.exceptions import (
    CANCELLED,
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxModerationError,
    MinimaxReceiptError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    error_from_event,
)
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.spec import Policy, PurchaseSpec

# Clocks of machines in one deployment may differ by so much.
CLOCKS_DIFFER_BY = timedelta(minutes=5)
# A submission in another task's hands, with its time-outs and repetitions, is over by then.
OTHERS_SUBMIT_WITHIN = timedelta(minutes=3)
# So far back the platform's list reaches, less what clocks may differ by.
LISTED_FOR = timedelta(days=7) - CLOCKS_DIFFER_BY


class OutputState(Enum):
    """What is at the destination."""

    MISSING = auto()
    MATCHES = auto()
    """A file with the expected hash."""
    DIFFERS = auto()
    """A file, but with another hash, or none was expected."""


class Output(Protocol):
    """The file that the clip is to become."""

    def output_state(self, sha256: str | None) -> OutputState:
        """Return what is there, given the hash that should be there, if one is known."""


@dataclass(frozen=True, slots=True)
class Buy:
    """
    Buy; ``note`` says why if an earlier receipt was found.

    ``unanswered`` counts submissions before this one that bought nothing, as the platform's list shows.
    """

    submissions: int = 1
    replaced: tuple[str, ...] = ()
    note: str | None = None
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with the purchase of this receipt."""

    receipt: Receipt
    note: str


@dataclass(frozen=True, slots=True)
class Done:
    """The clip of this receipt is at its destination: nothing is left to do."""

    receipt: Receipt
    note: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Another task is submitting the same request: read the receipt again soon."""

    note: str


@dataclass(frozen=True, slots=True)
class Search:
    """Search the platform's list for the purchase of this receipt: its answer is lost."""

    receipt: Receipt
    note: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing can be said yet about a submission without an answer: ask the list again after some seconds."""

    seconds: float
    note: str


Step = Buy | Resume | Done | Wait | Search


def decide(
    found: Receipt | None,
    spec: PurchaseSpec,
    policy: Policy,
    output: Output,
    *,
    where: str,
    now: datetime,
) -> Step:
    """
    Decide what a try does about the receipt that it found.

    :param found: the receipt, if there is one.
    :param spec: what the try wants.
    :param policy: what the author chose.
    :param output: the clip's file; examined only if it matters.
    :param where: where the receipt is, for errors.
    :param now: the time.
    :raises MinimaxSubmissionUnknownError: an earlier submission may have bought the clip.
    :raises MinimaxReceiptError: the receipt is that of another request, or is from the future.
    :raises MinimaxRequestError: the output holds something that may not be replaced.
    :raises MinimaxError: the purchase came to nothing, and why.
    """
    if found is None:
        if policy.overwrite is not True:
            _check_is_free(spec, output.output_state(None))
        return Buy()
    if found.began_at > now + CLOCKS_DIFFER_BY:
        raise MinimaxReceiptError(
            f"the receipt {where} is from the future: it is dated {time_of(found.began_at)}, but this worker's clock "
            f"says {time_of(now)}",
            minimax_task_id=found.minimax_task_id,
            billing=NOTHING_BOUGHT,
            hint="Set the clocks of the workers, then run this task again.",
        )
    return _Case(found, spec, policy, output, where, now).step()


def _check_is_free(spec: PurchaseSpec, clip: OutputState) -> None:
    if spec.output_path is not None and clip is not OutputState.MISSING:
        raise MinimaxRequestError(
            f"output_path={spec.output_path!r}: exists already; give another path, or set overwrite=True to replace it",
            billing=NOTHING_BOUGHT,
        )


@dataclass(frozen=True, slots=True)
class _Case:
    found: Receipt
    spec: PurchaseSpec
    policy: Policy
    output: Output
    where: str
    now: datetime

    @property
    def is_mine(self) -> bool:
        return self.found.owner == self.spec.owner

    @property
    def is_retry(self) -> bool:
        return self.is_mine and self.found.max_tries in (None, self.spec.max_tries)

    @property
    def is_cleared(self) -> bool:
        # A dag run that was deleted and made again has the same name and may have a smaller count.
        return self.is_mine and not self.is_retry

    @property
    def is_same_request(self) -> bool:
        if self.spec.fingerprint is None:
            return self.is_mine and self.found.asked == self.spec.asked
        return self.found.fingerprint == self.spec.fingerprint

    @property
    def asks_for_another(self) -> bool:
        """Whether a person asked for another clip: by clearing the task, where that means it or the request changed."""
        return self.is_cleared and (self.policy.on_clear == "resubmit" or not self.is_same_request)

    @property
    def task(self) -> str:
        return f"MiniMax task {self.found.minimax_task_id}"

    def step(self) -> Step:
        if self.found.phase is Phase.FAILED:
            return self.after_failure()
        if self.found.sha256 is not None and (
            self.found.phase is Phase.DELIVERED or self.output.output_state(self.found.sha256) is OutputState.MATCHES
        ):
            return self.after_delivery()
        if self.asks_for_another:
            why = "on_clear='resubmit'" if self.is_same_request else "its request has changed"
            return self.buy(f"This task was cleared ({why}), so it buys another clip. {self.what_is_left()}")
        if not self.is_same_request:
            raise self.other_request()
        if self.found.phase is Phase.SUBMITTED:
            return self.resume()
        return self.after_intent()

    def buy(self, note: str, submissions: int = 1) -> Buy:
        """Buy, unless the clip would have nowhere to go."""
        if self.policy.overwrite is False:
            _check_is_free(self.spec, self.output.output_state(self.found.sha256))
        replaced = self.found.all_tasks if self.is_mine else ()
        return Buy(submissions, replaced, note)

    def resume(self) -> Resume:
        if not self.is_mine:
            return Resume(
                self.found,
                f"{self.task} was bought for the same request and output by {self.found.owner}; nothing more is "
                "bought, and this task continues with it.",
            )
        if self.is_retry:
            return Resume(self.found, f"{self.task} is bought already; this task is retried, and continues with it.")
        return Resume(
            self.found,
            f"{self.task} is bought already; this task was cleared, and continues with it, which costs nothing. To buy "
            "another clip, change the request, or set on_clear='resubmit', and clear the task again.",
        )

    def what_is_left(self) -> str:
        if self.found.phase is Phase.INTENT:
            return f"An earlier submission, of {time_of(self.found.intended_at)}, may have bought a clip too."
        return f"{self.task}, which was bought before, is left alone; it was or will be billed."

    def after_failure(self) -> Step:
        error = error_from_event(self.found.failure or {})
        if not self.is_retry:
            if not self.is_mine and self.is_same_request and is_refused(error) and not self.spec.is_cleared:
                raise self.refused_before(error)
            return self.buy(f"{self.task} ended without a clip, so this task buys another.")
        if not self.is_same_request:
            raise self.other_request()
        if error.code == CANCELLED:
            return self.buy(
                f"{self.task} was cancelled while it was queued, which was free of charge, so this task buys another.",
                self.found.submissions,
            )
        if may_pass(error) and self.found.submissions < self.policy.max_submissions:
            count = self.found.submissions + 1
            return self.buy(
                f"{self.task} ended without a clip; this is purchase {count} of at most {self.policy.max_submissions}.",
                count,
            )
        error.minimax_task_id = error.minimax_task_id or self.found.minimax_task_id
        raise error

    def refused_before(self, error: MinimaxError) -> MinimaxModerationError:
        """Return the error for a request that the platform made a clip of once, and refused to deliver."""
        return MinimaxModerationError(
            f"the same request was refused as sensitive after generation, when {self.found.owner} bought it: "
            f"{error.message}",
            platform=self.found.platform,
            code=error.code,
            minimax_task_id=self.found.minimax_task_id,
            billing=NOTHING_BOUGHT,
            hint="Change the prompt or the picture. To buy the same request once more, clear this task.",
        )

    def after_intent(self) -> Step:
        age = self.now - self.found.intended_at
        if not self.is_mine and age < OTHERS_SUBMIT_WITHIN:
            return Wait(
                f"{self.found.owner} is submitting the same request for the same output; waiting for its task id."
            )
        if self.policy.on_orphaned_intent == "resubmit":
            return self.buy(
                "An earlier submission was never answered and may have bought a clip; submitting again, as "
                "on_orphaned_intent='resubmit' says."
            )
        if self.policy.on_orphaned_intent == "adopt" and age < LISTED_FOR:
            return Search(
                self.found,
                f"The submission of {time_of(self.found.intended_at)} for {self.found.owner} got no answer; the "
                "platform's list is searched for its clip, as on_orphaned_intent='adopt' says.",
            )
        raise orphaned(self.found, self.where)

    def after_delivery(self) -> Step:
        if self.is_same_request:
            return self.after_delivery_of_the_same()
        if self.is_retry:
            raise self.other_request()
        clip = self.output.output_state(self.found.sha256)
        if self.policy.overwrite == "changed" and clip is OutputState.DIFFERS:
            raise self.has_changed()
        if self.policy.overwrite or self.asks_for_another or clip is OutputState.MISSING:
            return self.buy(f"The receipt {self.where} is of an earlier clip of another request.")
        raise self.other_request()

    def after_delivery_of_the_same(self) -> Step:
        clip = self.output.output_state(self.found.sha256)
        replaces = self.policy.overwrite is True and not self.is_retry
        if clip is OutputState.MATCHES:
            if replaces:
                return self.buy(f"{self.task} is delivered already; overwrite=True buys another clip to replace it.")
            return Done(
                self.found,
                f"{self.task} is delivered already, for {self.found.owner}: {self.spec.output_path} has not changed "
                "since. Nothing is bought. To have another clip, set overwrite=True, or give another output_path.",
            )
        if clip is OutputState.DIFFERS and self.policy.overwrite is not True:
            raise self.has_changed()
        if self.asks_for_another or (replaces and not self.is_mine):
            return self.buy(f"The clip of {self.task} was delivered, and is gone; this task buys another.")
        return Resume(
            self.found,
            f"The clip of {self.task} was delivered, and is gone; it is fetched again, which costs nothing. If the "
            "platform has it no more, clear this task with on_clear='resubmit' to buy another.",
        )

    def has_changed(self) -> MinimaxRequestError:
        return MinimaxRequestError(
            f"output_path={self.spec.output_path!r}: has changed since {self.task} was delivered there, and is "
            "not replaced; set overwrite=True to replace it, or give another path",
            minimax_task_id=self.found.minimax_task_id,
            billing=NOTHING_BOUGHT,
        )

    def other_request(self) -> MinimaxReceiptError:
        what = f"task {self.found.minimax_task_id}" if self.found.minimax_task_id else "a submission without an answer"
        if self.is_mine:
            return MinimaxReceiptError(
                f"the request is not the one that this task bought before: the receipt {self.where} of "
                f"{self.spec.owner} is of {what}, for other fields or pictures",
                minimax_task_id=self.found.minimax_task_id,
                billing="Nothing was bought now; what was bought before is or will be billed.",
                hint="If the change is meant, clear this task, which then buys another clip. If it is not, make the "
                "fields the same at each try: templates without the current time, mapped lists in a fixed order.",
            )
        return MinimaxReceiptError(
            f"two different requests share one output_path: {self.where} is the receipt of {self.found.owner} "
            f"({what}), and {self.spec.owner} wants another clip there",
            minimax_task_id=self.found.minimax_task_id,
            billing=NOTHING_BOUGHT,
            hint="If the request for this output changes now and then, set overwrite='changed' to buy whenever it "
            "does; overwrite=True buys in every run. Otherwise give each request an output_path of its own. If the "
            "other one is no longer wanted, `airflow minimax receipts forget` takes its receipt away.",
        )


_PRODUCTS = {"regeneration": "a clip in 2K", "h3_context_ir": "a better prompt"}


def orphaned(receipt: Receipt, where: str) -> MinimaxSubmissionUnknownError:
    """Return the error for a submission of which nobody knows whether it bought anything."""
    what = _PRODUCTS.get(str((receipt.request or {}).get("task_type")), "a clip")
    named = (receipt.facts or {}).get("task_id")
    answer = f"was an error that names task {named}" if named else "was never written down"
    return MinimaxSubmissionUnknownError(
        f"{what} of {receipt.model} was submitted for {receipt.owner} at {time_of(receipt.intended_at)}, and its "
        f"answer {answer} (receipt: {where})",
        platform=receipt.platform,
        minimax_task_id=named,
        billing="It may have been bought and billed; nothing was bought now.",
        hint=WAYS_ON,
    )


WAYS_ON = (
    "Search the platform's console for it. If it is there: for a receipt next to an output, give its id to `airflow "
    "minimax receipts adopt` and clear this task, which continues with it; otherwise fetch it with MinimaxTaskSensor "
    "and MinimaxVideoDownloadOperator. If it is not there, take the receipt away with `airflow minimax receipts "
    "forget` and clear this task, which then buys; without an output, clear it with on_clear='resubmit'. "
    "on_orphaned_intent='resubmit' buys again without asking, and for MiniMax-H3 'adopt' searches the platform's list "
    "first."
)


def time_of(when: datetime) -> str:
    """Return a time as errors and logs show it."""
    return f"{when:%Y-%m-%d %H:%M:%S %Z}"


def is_refused(error: MinimaxError) -> bool:
    """Whether a remote task failed because the platform refused what it had made as sensitive."""
    from airflow_provider_minimax.api.platforms.replies import error_of_code

    if isinstance(error, MinimaxModerationError):
        return True
    return isinstance(error_of_code(error.code or "", ""), MinimaxModerationError)


def may_pass(error: MinimaxError) -> bool:
    """Whether a remote task failed in a way that another purchase of the same may cure."""
    from airflow_provider_minimax.api.platforms.replies import error_of_code

    if not isinstance(error, MinimaxTaskFailedError):
        return False
    return error.code is None or not error_of_code(error.code, "").is_final
