"""
Buying once: the order in which a receipt is read, an intent written, the request sent, and the answer written down.

The intent is there before the request leaves, and only a definite refusal takes it away, or the platform's list where
the author said that it may. Whatever dies in between, the next try finds either the remote task's id or the trace of a
submission whose outcome nobody knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from airflow_provider_minimax.api.redaction import harmless_cause, redact
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxReceiptStoreError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
)
from airflow_provider_minimax.purchases.ledger import Ledger, Log
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.rules import (
    OTHERS_SUBMIT_WITHIN,
    WAYS_ON,
    Buy,
    Done,
    LookAtOutput,
    Policy,
    PurchaseSpec,
    Resume,
    Search,
    Wait,
    decide,
    orphaned,
)
from airflow_provider_minimax.version_compat import AirflowTaskTimeout

_LOOK_AGAIN_AFTER = 2.0
# Each lost race leaves a receipt to go on with; storage where that does not hold is broken.
_RACES = 5
# Who takes longer from its intent to its request stood still, and may have been given up for dead meanwhile.
_STOOD_STILL = timedelta(seconds=10)


FindOut = Callable[[Receipt], tuple[Receipt, Buy | Resume] | None]
"""
Finds out what the submission of a receipt bought whose answer is lost.

It returns the receipt as it is now and what to do, or nothing if somebody else wrote meanwhile.
"""
FindPushed = Callable[[Receipt, float], Receipt | None]
"""
Finds the remote task of a submission without an answer by what the platform pushed, within some seconds.

It returns the receipt with the task, written down; nothing if no push says which one it is.
"""
# How long after a submission a first push of its task is waited for, if no answer came.
_PUSHED_WITHIN = timedelta(seconds=60)
_PUSHED_AFTER_LOSS = 30.0


def now() -> datetime:
    """Return the time, as receipts write it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Bought:
    """A clip was bought just now."""

    receipt: Receipt


class Buyer:
    """
    Buys what is wanted unless it was bought already.

    :param ledger: where the receipt is kept.
    :param order: what is wanted.
    :param policy: what the author chose.
    :param look_at_output: says what is at the output's place.
    :param before_buying: finds out whether the clip would have a place, and whether it is this task's turn, and makes
        ready what takes long; raises if it cannot.
    :param find_out: finds out what a submission without an answer bought, if the author chose that.
    :param find_pushed: finds it in what the platform pushed, if it was given an address.
    :param log: where to say what was found and done.
    :param clock: the time; for tests.
    :param sleep: how to wait; for tests.
    """

    def __init__(
        self,
        ledger: Ledger,
        order: PurchaseSpec,
        policy: Policy,
        look_at_output: LookAtOutput,
        *,
        before_buying: Callable[[], None] | None = None,
        find_out: FindOut | None = None,
        find_pushed: FindPushed | None = None,
        log: Log,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._order = order
        self._policy = policy
        self._look_at_output = look_at_output
        self._before_buying = before_buying
        self._find_out = find_out
        self._find_pushed = find_pushed
        self._log = log
        self._clock = clock
        self._sleep = sleep

    def obtain(self, submit: Callable[[Receipt], str]) -> Bought | Resume | Done:
        """
        Buy, or find what was bought.

        :param submit: sends the request, whose intent it is given, and returns the remote task's id. It raises
            :class:`MinimaxSubmissionUnknownError` if a clip may have been bought, any other :class:`MinimaxError` if
            surely none was.
        :return: what was done; its receipt has the remote task's id.
        :raises MinimaxError: nothing could be bought, or it is not known whether something was; with what to do.
        """
        for _ in range(_RACES):
            try:
                found, step = self._settled()
                if not isinstance(step, Buy):
                    return self._taken_up(step)
                if self._before_buying is not None:
                    self._before_buying()
                intent = self._order.intent(
                    self._clock(), submissions=step.submissions, replaced=step.replaced, unanswered=step.unanswered
                )
                if not self._ledger.claim(intent, found) or self._is_overtaken(intent):
                    continue
            except MinimaxStorageError as error:
                error.billing = error.billing or "Nothing was bought now."
                raise
            try:
                # What surely bought nothing gets its place back only if it tells of earlier purchases, which count.
                worth_keeping = step.replaced or not step.unanswered
                return Bought(self._buy(intent, found if worth_keeping else None, submit))
            except MinimaxSubmissionUnknownError as error:
                if isinstance(error.__cause__, AirflowTaskTimeout):
                    raise
                if receipt := self._pushed_after_loss(intent):
                    return Bought(receipt)
                if self._find_out is None:
                    raise
                self._log.warning("%s", error.message)
        raise MinimaxReceiptStoreError(
            f"the receipt {self._ledger.where} was changed by somebody else each of {_RACES} times that it was written",
            billing="Nothing was bought now.",
        )

    def _settled(self) -> tuple[Receipt | None, Buy | Resume | Done]:
        """Return the receipt and what to do about it, once no submission is in doubt that need not be."""
        waited_for = None
        while True:
            found = self._with_pushed_task(self._ledger.read())
            step = decide(
                found,
                self._order,
                self._policy,
                self._look_at_output,
                where=self._ledger.where,
                now=self._clock(),
            )
            if isinstance(step, Search):
                if found_out := self._searched(step):
                    return found_out
            elif not isinstance(step, Wait):
                if step.note:
                    self._log.warning("%s", step.note)
                return found, step
            elif step.note != waited_for:
                self._log.info("%s", step.note)
            waited_for = step.note
            self._sleep(_LOOK_AGAIN_AFTER)

    def _with_pushed_task(self, found: Receipt | None) -> Receipt | None:
        """Return the receipt; if it has no answer and nobody waits for one, with the task that the platform pushed."""
        if self._find_pushed is None or found is None or found.phase is not Phase.INTENT or not found.has_callback:
            return found
        age = self._clock() - found.intended_at
        is_mine = found.owner == self._order.owner
        if not is_mine and age < OTHERS_SUBMIT_WITHIN:
            return found
        within = _PUSHED_WITHIN - age if is_mine else timedelta(0)
        return self._find_pushed(found, within.total_seconds()) or found

    def _pushed_after_loss(self, intent: Receipt) -> Receipt | None:
        """Return the receipt of a submission whose answer was just lost, with the task that the platform pushes."""
        if self._find_pushed is None or not intent.has_callback:
            return None
        try:
            # An answer that was an error may have changed it.
            found = self._ledger.read() if self._ledger.keeps else intent
            if found is None or found.attempt != intent.attempt:
                return None
            return self._find_pushed(found, _PUSHED_AFTER_LOSS)
        except MinimaxError as error:
            self._log.warning("%s", error)
            return None

    def _searched(self, search: Search) -> tuple[Receipt, Buy | Resume] | None:
        if self._find_out is None:
            raise orphaned(search.receipt, self._ledger.where)
        self._log.warning("%s", search.note)
        return self._find_out(search.receipt)

    def _is_overtaken(self, intent: Receipt) -> bool:
        """Whether this process stood still before its request, and somebody who took it for dead went on without it."""
        if not self._ledger.keeps or self._clock() - intent.intended_at < _STOOD_STILL:
            return False
        there = self._ledger.read()
        return there is None or (there.attempt, there.phase, there.lost_at) != (intent.attempt, intent.phase, None)

    def _buy(self, intent: Receipt, found: Receipt | None, submit: Callable[[Receipt], str]) -> Receipt:
        try:
            minimax_task_id = submit(intent)
        except MinimaxSubmissionUnknownError as error:
            if self._ledger.keeps and error.minimax_task_id:
                # The answer was an error and yet named a task, which is where a person is to look first.
                self._ledger.keep(intent.naming(error.minimax_task_id))
            elif self._ledger.keeps:
                error.hint = WAYS_ON
            raise
        except MinimaxError:
            self._ledger.withdraw(intent, found)
            raise
        except Exception as error:
            # Whatever this is, it is no proof that nothing was bought.
            raise MinimaxSubmissionUnknownError(
                f"the submission broke off ({redact(f'{type(error).__name__}: {error}')})",
                billing="It may have been bought and may be billed.",
                hint=WAYS_ON,
            ) from harmless_cause(error)
        receipt = intent.submitted(minimax_task_id, self._clock())
        self._ledger.keep(receipt)
        return receipt

    def _taken_up(self, step: Resume | Done) -> Resume | Done:
        """Write down what the earlier try could not: a clip that is there, or that this round goes on with it."""
        receipt = step.receipt
        if isinstance(step, Done) and receipt.phase is not Phase.DELIVERED:
            receipt = receipt.delivered(self._clock())
        if receipt.owner == self._order.owner:
            receipt = receipt.model_copy(update={"max_tries": self._order.max_tries})
        if receipt != step.receipt:
            self._ledger.keep(receipt)
        return replace(step, receipt=receipt)
