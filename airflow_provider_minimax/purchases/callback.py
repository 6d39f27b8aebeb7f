"""
A purchase with a callback: the address that the platform is given, and the task that its pushes name.

The address of a purchase attempt ends in a token that only this Airflow can make. So what was posted to it is of this
attempt, and says which remote task it bought if the answer was lost. Whether there is such a task is asked of the API.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_minimax.api.platforms.replies import CALLBACK_UNCHECKED
from airflow_provider_minimax.api.request import UNCHECKED, PaidRequest
from airflow_provider_minimax.callbacks.address import callback_url
from airflow_provider_minimax.callbacks.record import HAS_RECORD, forget_attempt, read_attempt
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxReceiptError,
    MinimaxRequestError,
    MinimaxTaskGoneError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.purchases.context import published_in_run
from airflow_provider_minimax.purchases.matching import SubmissionWindow, TaskSignature
from airflow_provider_minimax.purchases.receipt import now
from airflow_provider_minimax.purchases.sibling_receipts import sibling_receipts_of
from airflow_provider_minimax.text.redaction import redact

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.ledger import Ledger, Log
    from airflow_provider_minimax.purchases.receipt import Receipt
    from airflow_provider_minimax.purchases.spec import PurchaseSpec

_READ_EVERY = 2.0
_SOME_ATTEMPT = "attempt"


def check_callback(hook: MinimaxHook, request: PaidRequest, *, validate: bool) -> None:
    """
    Check before a purchase that its platform can be given an address.

    :param hook: the way to the platform.
    :param request: the request, with any address.
    :param validate: whether the platform has to document pushes.
    :raises MinimaxRequestError: it does not, or the connection's id cannot be in an address.
    :raises MinimaxConfigurationError: ``[minimax] callback_base_url`` is missing or wrong, or there is no secret.
    """
    if validate and not hook.documents_callbacks(request):
        raise MinimaxRequestError(
            f"callback_url='auto': {hook.account()['platform']} does not document callbacks for "
            f"model={request.model!r}",
            billing=NOTHING_BOUGHT,
            hint=f"Leave callback_url out. {UNCHECKED}",
        )
    address_of(hook.minimax_conn_id, _SOME_ATTEMPT)


def address_of(minimax_conn_id: str, attempt: str) -> str:
    """
    Return the address that the platform is given for a purchase attempt.

    :param minimax_conn_id: the connection that buys.
    :param attempt: the attempt's id.
    :raises MinimaxRequestError: the connection's id cannot be in an address.
    :raises MinimaxConfigurationError: ``[minimax] callback_base_url`` is missing or wrong, or there is no secret.
    """
    try:
        return callback_url(minimax_conn_id, attempt)
    except ValueError as error:
        raise MinimaxRequestError(
            f"callback_url='auto' with minimax_conn_id={redact(repr(minimax_conn_id), limit=80)}: {error}",
            billing=NOTHING_BOUGHT,
        ) from None


def as_unanswered_challenge(error: MinimaxRequestError) -> MinimaxError:
    """
    Return what the refusal of a purchase means whose callback address is this Airflow's own.

    :param error: the refusal.
    :return: if the receiver did not answer the platform's challenge in time, an error after which a retry may help: the
        API server may be busy or restarting. Any other refusal as it is.
    """
    if CALLBACK_UNCHECKED not in error.message.lower():
        return error
    facts = {name: value for name, value in error.__dict__.items() if name not in ("message", "hint", "billing")}
    return MinimaxUnavailableError(
        f"the receiver of callbacks did not answer the platform's challenge within 3 seconds: {error.message}",
        billing=NOTHING_BOUGHT,
        hint="A retry asks again. If this goes on, run 'airflow minimax callback-test', which says what is wrong, or "
        "leave callback_url out.",
        **facts,
    )


def forget_pushes(receipt: Receipt | None) -> None:
    """
    Delete what was pushed of a purchase whose end is known.

    :param receipt: the purchase, if it is known.
    """
    if receipt is not None and receipt.has_callback:
        # What cannot be deleted is swept after a week.
        with suppress(Exception):
            forget_attempt(receipt.minimax_conn_id, receipt.attempt)


class PushedTaskFinder:
    """
    Finds the task of a submission without an answer by what the platform pushed.

    :param hook: the way to the platform.
    :param ledger: where the receipt is kept.
    :param spec: what is wanted.
    :param context: the context of the Airflow task that buys; other tasks of its run may have published theirs.
    :param log: where to say what was found.
    """

    def __init__(
        self,
        hook: MinimaxHook,
        ledger: Ledger,
        spec: PurchaseSpec,
        context: Context,
        *,
        log: Log,
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self._spec = spec
        self._context = context
        self._log = log
        self._warned = False
        self.is_waiting = False
        """Whether it waits for a push: who is killed meanwhile does not know what was bought."""

    def find(self, intent: Receipt, within: float) -> Receipt | None:
        """
        Find the task, and write it down.

        :param intent: the receipt of the submission.
        :param within: seconds for which to wait for a push; the record is read at least once.
        :return: the receipt with the task; ``None`` if no push names one task that can be it, or somebody else wrote.
        :raises MinimaxError: a task was pushed, and the API cannot be asked about it just now.
        """
        if not HAS_RECORD:
            return None
        ends_at = time.monotonic() + within
        while (task := self._pushed(intent)) is None:
            seconds = min(_READ_EVERY, ends_at - time.monotonic())
            if seconds <= 0:
                return None
            self.is_waiting = True
            time.sleep(seconds)
            self.is_waiting = False
        receipt = intent.submitted(task.minimax_task_id, now())
        if not self._ledger.claim(receipt, intent):
            return None
        self._log.warning(
            "MiniMax task %s (%s) is adopted: the answer to the submission for %s was lost, and the platform posted "
            "this task to the callback address of that submission.",
            task.minimax_task_id,
            task.status,
            intent.owner,
        )
        return receipt

    def _pushed(self, intent: Receipt) -> VideoTask | None:
        pushed = dict.fromkeys(self._pushed_ids(intent))
        others = self._others(intent) if pushed else set()
        tasks = [task for one in pushed if one not in others and (task := self._seen(intent, one))]
        fitting = [task for task in tasks if _fits(intent, task)]
        return fitting[0] if len(fitting) == 1 else None

    def _pushed_ids(self, intent: Receipt) -> Iterable[str]:
        try:
            return [push.minimax_task_id for push in read_attempt(intent.minimax_conn_id, intent.attempt)]
        except Exception as error:
            # Of Airflow's own kinds, by version and by process. A record that cannot be read is as none.
            if not self._warned:
                self._log.warning("The record of pushes cannot be read: %s", redact(f"{type(error).__name__}: {error}"))
            self._warned = True
            return []

    def _others(self, intent: Receipt) -> set[str]:
        known = {*intent.replaced, *published_in_run(self._context)}
        if self._spec.output_path is not None:
            # One that cannot be read does not make the push less of a proof.
            with suppress(MinimaxReceiptError):
                receipts = sibling_receipts_of(self._spec.output_path, _begin(intent))
                known |= {task for receipt in receipts for task in receipt.all_tasks}
        return known

    def _seen(self, intent: Receipt, minimax_task_id: str) -> VideoTask | None:
        try:
            return self._hook.get_task(minimax_task_id, api_version=intent.api_version)
        except (MinimaxTaskGoneError, MinimaxRequestError):
            return None
        except MinimaxError as error:
            error.billing = "A clip may have been bought and may be billed; nothing was bought now."
            raise


def _fits(intent: Receipt, task: VideoTask) -> bool:
    """Whether a task can be what was submitted; v1 says little of one, and gateways use names of their own there."""
    if task.created_at is not None and task.created_at < _begin(intent):
        return False
    return intent.api_version == "v1" or TaskSignature.from_receipt(intent).is_like(TaskSignature.from_task(task))


def _begin(intent: Receipt) -> datetime:
    return SubmissionWindow.from_receipt(intent).begin
