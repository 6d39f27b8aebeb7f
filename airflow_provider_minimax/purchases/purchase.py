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
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxReceiptStoreError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
)
from airflow_provider_minimax.purchases.callback import address_of, as_unanswered_challenge, check_callback
from airflow_provider_minimax.purchases.deferral import Deferral
from airflow_provider_minimax.purchases.ledger import Ledger, Log
from airflow_provider_minimax.purchases.receipt import Phase, Receipt, now
from airflow_provider_minimax.purchases.rules import (
    OTHERS_SUBMIT_WITHIN,
    WAYS_ON,
    Buy,
    Done,
    Output,
    OutputState,
    Resume,
    Search,
    Settle,
    Wait,
    decide,
    orphaned,
)
from airflow_provider_minimax.purchases.slots import SubmissionSlot, wait_for_another_slot, wait_for_slot
from airflow_provider_minimax.purchases.spec import Policy, PurchaseSpec
from airflow_provider_minimax.text.redaction import harmless_cause, redact
from airflow_provider_minimax.version_compat import AirflowTaskTimeout

if TYPE_CHECKING:
    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

_READ_AGAIN_AFTER = 2.0
# How long after a submission a first push of its task is waited for, if no answer came.
_PUSHED_WITHIN = timedelta(seconds=60)
_PUSHED_AFTER_LOSS = 30.0
# Each lost race leaves a receipt to go on with; storage where that does not hold is broken.
_RACES = 5
# A process that takes longer from its intent to its request was stopped meanwhile, and others may take it for dead.
_STOOD_STILL = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Bought:
    """A clip was bought just now."""

    receipt: Receipt


class Place(Output, Protocol):
    """Where the clip is to be delivered."""

    probe_is_invisible: bool
    """Whether :meth:`check` leaves nothing that anybody could notice."""

    def check(self) -> None:
        """
        Find out whether a clip can be written there.

        :raises MinimaxError: it cannot.
        """


class NoOutput:
    """The place of a clip that goes nowhere: there is never a file."""

    probe_is_invisible = True

    def check(self) -> None:
        """Nothing is written."""

    def output_state(self, sha256: str | None) -> OutputState:
        """Return what is there."""
        return OutputState.MISSING


class Resolver(Protocol):
    """What finds out about a submission whose answer was lost."""

    is_waiting: bool
    """Whether it waits for the platform, so that it is not known what was bought."""

    def resolve(self, found: Receipt) -> tuple[Receipt, Buy | Resume] | Settle | None:
        """
        Find out what the submission bought, and write it down.

        :param found: its receipt.
        :return: the receipt as it is now and what to do; or how long to wait before that can be known; or ``None`` if
            somebody else wrote meanwhile, so that the receipt must be read again.
        """


class PushedTasks(Protocol):
    """What finds the remote task of a submission without an answer by what the platform pushed."""

    is_waiting: bool
    """Whether it waits for a push, so that it is not known what was bought."""

    def find(self, intent: Receipt, within: float) -> Receipt | None:
        """
        Find the task, and write it down.

        :param intent: the receipt of the submission.
        :param within: seconds for which to wait for a push.
        :return: the receipt with the task; ``None`` if no push says which one it is.
        """


class Buyer:
    """
    Buys what is wanted unless it was bought already.

    :param ledger: where the receipt is kept.
    :param spec: what is wanted.
    :param policy: what the author chose.
    :param output: where the clip is to be delivered.
    :param hook: the way to the platform.
    :param request: what to ask for, checked and with its files; or why an earlier try's request cannot be made again,
        which is raised if there is something to buy.
    :param resolver: finds out about a submission whose answer was lost, if the author chose that.
    :param pushed: finds its task in what the platform pushed, where that is recorded.
    :param slot: the task's submission slot, if it has waited for one.
    :param longest_deferral: how many seconds the task can wait in the triggerer for a submission slot; ``None`` if it
        cannot, so that it buys without one.
    :param execution_timeout: the Airflow task's own time limit, for an error.
    :param log: where to say what was found and done.
    :param clock: the time; for tests.
    :param sleep: how to wait; for tests.
    """

    def __init__(
        self,
        ledger: Ledger,
        spec: PurchaseSpec,
        policy: Policy,
        output: Place,
        hook: MinimaxHook,
        request: PaidRequest | MinimaxError,
        *,
        resolver: Resolver | None = None,
        pushed: PushedTasks | None = None,
        slot: SubmissionSlot | None = None,
        longest_deferral: float | None = None,
        execution_timeout: timedelta | None = None,
        log: Log,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.request = request
        self._ledger = ledger
        self._spec = spec
        self._policy = policy
        self._output = output
        self._hook = hook
        self._resolver = resolver
        self._pushed = pushed
        self._slot = slot
        self._longest_deferral = longest_deferral
        self._execution_timeout = execution_timeout
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._is_sending = False

    @property
    def is_in_doubt(self) -> bool:
        """Whether the platform may have the request, and what came of it is not known yet."""
        return self._is_sending or any(it is not None and it.is_waiting for it in (self._resolver, self._pushed))

    def obtain(self) -> Bought | Resume | Done | Settle | Deferral:
        """
        Buy, or find what was bought.

        :return: what was done; its receipt has the remote task's id. Or what to wait for before anything can be done.
        :raises MinimaxError: nothing could be bought, or it is not known whether something was; with what to do.
        """
        try:
            return self._bought_or_found()
        except MinimaxRateLimitError as refusal:
            if self._longest_deferral is None:
                raise
            deferral = wait_for_another_slot(refusal, self._hook, self._slot, self._longest_deferral, log=self._log)
            if deferral is None:
                raise
            return deferral

    def _bought_or_found(self) -> Bought | Resume | Done | Settle | Deferral:
        for _ in range(_RACES):
            try:
                found, step = self._decided()
                if isinstance(step, Settle):
                    return step
                if not isinstance(step, Buy):
                    return self._taken_up(step)
                request = self._prepared()
                if isinstance(request, Deferral):
                    return request
                intent = self._spec.intent(
                    self._clock(), submissions=step.submissions, replaced=step.replaced, unanswered=step.unanswered
                )
                if not self._ledger.claim(intent, found) or self._is_overtaken(intent):
                    continue
            except MinimaxStorageError as error:
                error.billing = error.billing or "Nothing was bought now."
                raise
            try:
                # What surely bought nothing is put back only if it names earlier purchases, which count.
                worth_keeping = step.replaced or not step.unanswered
                return Bought(self._submit(request, intent, found if worth_keeping else None))
            except MinimaxSubmissionUnknownError as error:
                if isinstance(error.__cause__, AirflowTaskTimeout):
                    raise
                if receipt := self._pushed_after_loss(intent):
                    return Bought(receipt)
                if self._resolver is None:
                    raise
                self._log.warning("%s", error.message)
        raise MinimaxReceiptStoreError(
            f"another process changed the receipt {self._ledger.where} during each of {_RACES} attempts to write it",
            billing="Nothing was bought now.",
        )

    def _decided(self) -> tuple[Receipt | None, Buy | Resume | Done | Settle]:
        """Return the receipt and what to do about it, once no submission is in doubt that need not be."""
        waited_for = None
        while True:
            found = self._with_pushed_task(self._ledger.read())
            step = decide(found, self._spec, self._policy, self._output, where=self._ledger.where, now=self._clock())
            if isinstance(step, Search):
                resolved = self._resolved(step)
                if isinstance(resolved, Settle):
                    return found, resolved
                if resolved is not None:
                    return resolved
            elif not isinstance(step, Wait):
                if step.note:
                    self._log.warning("%s", step.note)
                return found, step
            elif step.note != waited_for:
                self._log.info("%s", step.note)
            waited_for = step.note
            self._sleep(_READ_AGAIN_AFTER)

    def _with_pushed_task(self, found: Receipt | None) -> Receipt | None:
        """Return the receipt; if it has no answer and nobody waits for one, with the task that the platform pushed."""
        if self._pushed is None or found is None or found.phase is not Phase.INTENT or not found.has_callback:
            return found
        age = self._clock() - found.intended_at
        is_mine = found.owner == self._spec.owner
        if not is_mine and age < OTHERS_SUBMIT_WITHIN:
            return found
        within = _PUSHED_WITHIN - age if is_mine else timedelta(0)
        return self._pushed.find(found, within.total_seconds()) or found

    def _pushed_after_loss(self, intent: Receipt) -> Receipt | None:
        """Return the receipt of a submission whose answer was just lost, with the task that the platform pushes."""
        if self._pushed is None or not intent.has_callback:
            return None
        try:
            # An answer that was an error may have changed it.
            found = self._ledger.read() if self._ledger.keeps else intent
            if found is None or found.attempt != intent.attempt:
                return None
            return self._pushed.find(found, _PUSHED_AFTER_LOSS)
        except MinimaxError as error:
            self._log.warning("%s", error)
            return None

    def _resolved(self, search: Search) -> tuple[Receipt, Buy | Resume] | Settle | None:
        if self._resolver is None:
            raise orphaned(search.receipt, self._ledger.where)
        self._log.warning("%s", search.note)
        return self._resolver.resolve(search.receipt)

    def _is_overtaken(self, intent: Receipt) -> bool:
        """Whether this process was stopped before its request, and another one took it for dead and continued."""
        if not self._ledger.keeps or self._clock() - intent.intended_at < _STOOD_STILL:
            return False
        there = self._ledger.read()
        return there is None or (there.attempt, there.phase, there.lost_at) != (intent.attempt, intent.phase, None)

    def _prepared(self) -> PaidRequest | Deferral:
        """Try all that can fail before the receipt says that a purchase begins; return what to send or to wait for."""
        if isinstance(self.request, MinimaxError):
            raise self.request
        # Writing the receipt tries a storage as well.
        if self._output.probe_is_invisible or not self._ledger.keeps:
            self._output.check()
        if self._spec.has_callback:
            check_callback(self._hook, self.request, validate=self._policy.validate)
        if self._slot is None and self._longest_deferral is not None:
            deferral = wait_for_slot(self._hook, self._longest_deferral, log=self._log)
            if deferral is not None:
                return deferral
        # Uploads take long, and a worker that dies in one has bought nothing.
        self.request = self._hook.upload_files(self.request)
        return self.request

    def _send(self, request: PaidRequest, intent: Receipt) -> str:
        """Send the request, with the address that is this intent's; return the remote task's id."""
        has_callback = self._spec.has_callback
        if has_callback:
            address = address_of(self._hook.minimax_conn_id, intent.attempt)
            request = request.model_copy(update={"callback_url": address})
        self._is_sending = True
        try:
            return self._hook.submit(request, validate=False, after_refusals=self._longest_deferral is None)
        except MinimaxRequestError as error:
            if not has_callback:
                raise
            raise as_unanswered_challenge(error) from error.__cause__
        except AirflowTaskTimeout as error:
            raise MinimaxSubmissionUnknownError(
                f"the execution_timeout of {self._execution_timeout} passed while the submission was under way",
                billing="It may have been bought and may be billed.",
                hint="Check the platform's console before running this task again, and raise its execution_timeout.",
            ) from error
        finally:
            self._is_sending = False

    def _submit(self, request: PaidRequest, intent: Receipt, found: Receipt | None) -> Receipt:
        try:
            minimax_task_id = self._send(request, intent)
        except MinimaxSubmissionUnknownError as error:
            if self._ledger.keeps and error.minimax_task_id:
                # The answer was an error and yet named a task, which is what a person checks first.
                self._ledger.keep(intent.naming(error.minimax_task_id))
            elif self._ledger.keeps:
                error.hint = WAYS_ON
            raise
        except MinimaxError:
            self._ledger.withdraw(intent, found)
            raise
        except Exception as error:
            # An unknown failure does not prove that nothing was bought.
            raise MinimaxSubmissionUnknownError(
                f"the submission was interrupted ({redact(f'{type(error).__name__}: {error}')})",
                billing="It may have been bought and may be billed.",
                hint=WAYS_ON,
            ) from harmless_cause(error)
        receipt = intent.submitted(minimax_task_id, self._clock())
        self._ledger.keep(receipt)
        return receipt

    def _taken_up(self, step: Resume | Done) -> Resume | Done:
        """Write down what the earlier try could not: that the clip is there, or that this round continues with it."""
        receipt = step.receipt
        if isinstance(step, Done) and receipt.phase is not Phase.DELIVERED:
            receipt = receipt.delivered(self._clock())
        if receipt.owner == self._spec.owner:
            receipt = receipt.model_copy(update={"max_tries": self._spec.max_tries})
        if receipt != step.receipt:
            self._ledger.keep(receipt)
        return replace(step, receipt=receipt)
