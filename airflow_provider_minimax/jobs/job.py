"""
One try at one purchase: buy unless that was done, wait for it, and return what came of it.

Operators and ``MinimaxHook.generate`` go the same way through here. A job decides by what it finds, so it may be begun
again after any death, in any process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_minimax.api.catalogue import api_of
from airflow_provider_minimax.delivery.assets import ClipAsset, announce, result_of, warn_instead_of_raising
from airflow_provider_minimax.delivery.deliver import already_delivered, deliver_clip
from airflow_provider_minimax.delivery.delivered_clip import DeliveredClip, facts_of_request
from airflow_provider_minimax.delivery.destination import destination_of
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxModerationError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    MinimaxTaskTimeoutError,
)
from airflow_provider_minimax.jobs.failures import (
    billing_without_id,
    naming_earlier_purchase,
    no_retry_buys_another,
    record_failure,
)
from airflow_provider_minimax.jobs.prepared_request import prepare_request
from airflow_provider_minimax.jobs.product import Product, Purchase
from airflow_provider_minimax.options import check_search
from airflow_provider_minimax.polling.cancel import push_attempt
from airflow_provider_minimax.polling.deferral import until_ended, until_listed
from airflow_provider_minimax.polling.worker import TaskWait, is_cancelled, timing_of
from airflow_provider_minimax.purchases.callback import PushedTaskFinder, forget_pushes
from airflow_provider_minimax.purchases.candidates import describe_candidates
from airflow_provider_minimax.purchases.context import ledger_of, owner_of, spec_of
from airflow_provider_minimax.purchases.deferral import Deferral
from airflow_provider_minimax.purchases.ledger import Ledger
from airflow_provider_minimax.purchases.purchase import Bought, Buyer, NoOutput
from airflow_provider_minimax.purchases.receipt import Receipt
from airflow_provider_minimax.purchases.recovery import LostSubmissionResolver
from airflow_provider_minimax.purchases.rules import Done, Resume, Settle
from airflow_provider_minimax.purchases.slots import SubmissionSlot
from airflow_provider_minimax.purchases.spec import Policy, PurchaseSpec
from airflow_provider_minimax.purchases.unrecorded import written_down
from airflow_provider_minimax.text.storable import storable

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.delivery.destination import Destination
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.options import DeliveryOptions, PurchaseOptions, WaitOptions
    from airflow_provider_minimax.polling.poller import Outcome


class PurchaseJob:
    """
    One try at one purchase.

    :param hook: the way to the platform; closed by :meth:`close`.
    :param product: what is bought.
    :param context: the context of the Airflow task that buys.
    :param purchase: what the author chose about buying.
    :param wait: what the author chose about waiting.
    :param delivery: what the author chose about the file.
    :param task: the Airflow task, if there is one: its time limit and retries count, and its assets and lineage hear of
        the clip.
    :param slot: the task's submission slot, if it has waited for one.
    :param log: where to say what happens.
    :param is_one_of_many: whether the Airflow task may make other purchases too, for other outputs.
    """

    def __init__(
        self,
        hook: MinimaxHook,
        product: Product,
        context: Context,
        *,
        purchase: PurchaseOptions,
        wait: WaitOptions,
        delivery: DeliveryOptions,
        task: BaseOperator | None,
        slot: SubmissionSlot | None = None,
        log: Any,
        is_one_of_many: bool = False,
    ) -> None:
        self.hook = hook
        self.product = product
        self.context = context
        self.log = log
        self._options = purchase
        self._wait = wait
        self._delivery = delivery
        self._task = task
        self._owner = owner_of(context)
        self._destination = self._find_destination()
        self._ledger = self._open_ledger(is_one_of_many)
        limit: timedelta | None = getattr(task, "execution_timeout", None)
        self._longest_wait = wait.timeout if limit is None else min(wait.timeout, limit.total_seconds())
        self._slot = slot
        self._buyer: Buyer | None = None
        self._cancellable: TaskWait | None = None
        """The wait in this process for a remote task that may be cancelled."""
        self.minimax_task_id: str | None = None
        self.delivered: ClipAsset | None = None

    def _find_destination(self) -> Destination | None:
        if self._delivery.output_path is None:
            return None
        return destination_of(self._delivery.output_path, self._owner, written=self._delivery.written_path)

    def _open_ledger(self, is_one_of_many: bool) -> Ledger:
        if not self._options.durable:
            return Ledger((), log=self.log)
        output = self._destination.url if self._destination else None
        return ledger_of(self.context, output, self.log, is_one_of_many=is_one_of_many)

    def close(self) -> None:
        """Close the connection's client."""
        self.hook.close()

    # -- the way of one purchase ---------------------------------------------------------------------------------------

    def run(self) -> Any:
        """
        Buy unless that was done; wait and deliver, if the author wants that.

        :return: the remote task's id, or with ``wait_for_completion`` the product's result; a :class:`Deferral` if the
            operator is to wait in the triggerer first.
        :raises MinimaxError: what went wrong, and what became of the money.
        """
        purchase = self.buy()
        if isinstance(purchase, Deferral):
            return purchase
        with self.after_purchase(purchase.minimax_task_id):
            self.publish(purchase)
            if not self._wait.wait_for_completion:
                return purchase.minimax_task_id
            if purchase.is_delivered:
                found_at = cast("Destination", self._destination)
                return self.announce(already_delivered(purchase.receipt, found_at, self._ledger))
            if purchase.outcome is None and self._wait.deferrable:
                return self.watch(purchase)
            return self.finish(purchase.outcome or self.wait(purchase))

    def buy(self) -> Purchase | Deferral:
        """Buy unless that was done; if it was, check how it stands, and buy another if it was cancelled for free."""
        with naming_earlier_purchase(self._ledger, self._owner, self.product):
            if self._destination is not None:
                self._delivery.check_dependencies()
            request = self.product.make_request()
            ready = prepare_request(self.hook, request, self._ledger, self._options, self.context, log=self.log)
            buyer = self._buyer = self._make_buyer(request, ready)
        held, outcome = self._obtain(buyer), None
        if isinstance(held, Resume) and self._wait.wait_for_completion:
            outcome = self._wait_for(held.receipt).poll_first()
            if outcome is not None and is_cancelled(outcome):
                # Recorded, so that the next try buys another too.
                self._ledger.keep(held.receipt.failed(cast("MinimaxError", outcome.error)))
                held, outcome = self._obtain(buyer), None
        if isinstance(held, Deferral):
            return held
        self.minimax_task_id = str(held.receipt.minimax_task_id)
        if self._ledger.keeps:
            written_down(self.minimax_task_id)
        return Purchase(held.receipt, request, outcome, isinstance(held, Done))

    def publish(self, purchase: Purchase) -> None:
        """Publish what was bought to other Airflow tasks."""
        values: dict[str, Any] = {"task_id": purchase.minimax_task_id, "api_version": purchase.receipt.api_version}
        if self._destination is not None:
            values["output_path"] = storable(self._destination.url)
        self.product.publish(self.context, values)
        if not self._wait.wait_for_completion and self._destination is not None:
            self.log.info("wait_for_completion=False: this task does not deliver the clip to %s.", self._destination)

    def watch(self, purchase: Purchase) -> Deferral:
        """Return the wait for what was bought, for the triggerer."""
        receipt = purchase.receipt
        attempt = push_attempt(self.context) if self._may_cancel(receipt) else None
        return until_ended(
            purchase.minimax_task_id,
            self.hook.minimax_conn_id,
            receipt.api_version,
            deadline=time.time() + self._longest_wait,
            longest_wait=self._longest_wait,
            purchase_attempt=receipt.followed_attempt,
            poll_interval=self._wait.poll_interval,
            clip=timing_of(purchase.request, receipt),
            cancel_on_kill=attempt is not None,
            cancel_on_clear=attempt is not None and self._options.on_clear == "resubmit",
            attempt=attempt,
        )

    def wait(self, purchase: Purchase) -> Outcome:
        """Wait for what was bought in this process."""
        wait = self._wait_for(purchase.receipt)
        self._cancellable = wait if self._may_cancel(purchase.receipt) else None
        try:
            return wait.poll_until_done(self._wait.poll_interval, timing_of(purchase.request, purchase.receipt))
        finally:
            self._cancellable = None

    def finish(self, outcome: Outcome) -> Any:
        """
        Return what came of a wait, or raise why there is nothing.

        :param outcome: how the wait ended.
        :return: the product's result.
        """
        receipt = self._ledger.read_of(self.minimax_task_id)
        forget_pushes(receipt)
        if isinstance(outcome.error, MinimaxTaskFailedError | MinimaxModerationError):
            record_failure(outcome.error, receipt, self._ledger, max_submissions=self._options.max_submissions)
        task = outcome.result()
        self.log.info("MiniMax task %s: %s", task.minimax_task_id, task.status)
        return self.product.result_of(self, receipt, task)

    def deliver(self, receipt: Receipt | None, task: VideoTask) -> dict[str, Any]:
        """
        Deliver a finished clip, if it has a destination, and report it to Airflow.

        :param receipt: its receipt, if there is one.
        :param task: the finished remote task.
        :return: the clip's facts.
        """
        if self._destination is None:
            return result_of(self.context, task.as_result() | (facts_of_request(receipt) if receipt else {}))
        return self.announce(
            deliver_clip(self.hook, task, self._destination, self._ledger, receipt, self._delivery, log=self.log)
        )

    def announce(self, clip: DeliveredClip) -> dict[str, Any]:
        """
        Report a clip that is at its destination to Airflow.

        :param clip: the clip.
        :return: its facts.
        """
        with warn_instead_of_raising(self.log, "Airflow hears nothing of the clip, which is delivered all the same"):
            self.delivered = ClipAsset(clip.facts["output_path"], clip.facts_with_origin(), self.product.pictures())
            if self._task is not None:
                announce(self.context, self._task, self.delivered)
        return result_of(self.context, clip.facts)

    # -- buying --------------------------------------------------------------------------------------------------------

    def _make_buyer(self, written: PaidRequest, ready: PaidRequest | MinimaxError) -> Buyer:
        retries: int | None = getattr(self._task, "retries", None)
        if self._options.durable and not self._ledger.keeps and retries:
            self.log.warning(
                "This Airflow cannot keep a receipt for a task without output_path, so a retry after the death of the "
                "worker would buy again. %s",
                self.product.without_receipt,
            )
        price = self.hook.list_price(written if isinstance(ready, MinimaxError) else ready)
        spec = spec_of(
            self.context,
            written,
            None if isinstance(ready, MinimaxError) else ready,
            self.hook.account(),
            self._destination.url if self._destination else None,
            price.as_dict() if price else None,
            self.hook.api_version(written.model),
            retries=retries,
        )
        options, overwrite = self._options, self._delivery.overwrite
        policy = Policy(
            options.on_clear, options.on_orphaned_intent, options.max_submissions, overwrite, options.validate
        )
        return Buyer(
            self._ledger,
            spec,
            policy,
            self._destination or NoOutput(),
            self.hook,
            ready,
            resolver=self._find_resolver(spec),
            pushed=PushedTaskFinder(self.hook, self._ledger, spec, self.context, log=self.log),
            slot=self._slot,
            longest_deferral=self._longest_wait if self._wait.deferrable else None,
            execution_timeout=getattr(self._task, "execution_timeout", None),
            log=self.log,
        )

    def _find_resolver(self, spec: PurchaseSpec) -> LostSubmissionResolver | None:
        """Return what finds out about a lost answer, if that is wanted; refuse where it can never be, before paying."""
        if self._options.on_orphaned_intent != "adopt":
            return None
        check_search(spec.model, self.hook.has_list(spec.api_version), self._ledger.keeps)
        return LostSubmissionResolver(
            self.hook, self._ledger, spec, self.context, waits=not self._wait.deferrable, log=self.log
        )

    def _obtain(self, buyer: Buyer) -> Bought | Resume | Done | Deferral:
        """Buy unless that was done; after a lost answer, name what the platform lists."""
        try:
            held = buyer.obtain()
        except MinimaxSubmissionUnknownError as error:
            # Who was to adopt one of them has named them already.
            receipt = None if self._options.on_orphaned_intent == "adopt" else self._ledger.read_if_possible()
            if receipt is not None and (listed := describe_candidates(self.hook, receipt)):
                error.hint = " ".join(filter(None, (listed, error.hint)))
            raise
        except MinimaxError as error:
            if error is not buyer.request:
                raise
            # Only now that there is something to buy does it matter that the request cannot be made.
            with naming_earlier_purchase(self._ledger, self._owner, self.product):
                raise
        return until_listed(held.seconds, self._longest_wait) if isinstance(held, Settle) else held

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _wait_for(self, receipt: Receipt) -> TaskWait:
        return TaskWait(
            self.hook,
            str(receipt.minimax_task_id),
            receipt.api_version,
            deadline=time.time() + self._longest_wait,
            log=self.log,
            purchase_attempt=receipt.followed_attempt,
        )

    def _may_cancel(self, receipt: Receipt) -> bool:
        """Whether the remote task can be cancelled while it is queued, and is this Airflow task's own."""
        return self.hook.can_cancel(receipt.api_version) and receipt.owner == self._owner

    @contextmanager
    def after_purchase(self, minimax_task_id: str | None) -> Iterator[None]:
        """
        Let a failure in here be retried if a retry continues with the purchase, and only then.

        :param minimax_task_id: the remote task that was bought.
        """
        durable = self._options.durable
        with no_retry_buys_another(minimax_task_id, self._ledger, self.product, durable=durable, log=self.log):
            try:
                yield
            except MinimaxTaskTimeoutError as error:
                error.minimax_task_id = error.minimax_task_id or minimax_task_id
                if self._wait.cancel_on_timeout:
                    self._cancel_after(error)
                raise

    def _cancel_after(self, error: MinimaxTaskTimeoutError) -> None:
        """Cancel what was waited for too long, if that is still possible and nobody else's, and write that down."""
        minimax_task_id = str(error.minimax_task_id)
        receipt = self._ledger.read_of(minimax_task_id)
        if receipt is not None and receipt.owner != self._owner:
            return
        api_version = receipt.api_version if receipt is not None else api_of(self.product.make_request().model)
        wait = TaskWait(self.hook, minimax_task_id, api_version, log=self.log)
        failure = wait.cancel_after_timeout(error, hint="Clear this task to buy another.")
        if failure is not None and receipt is not None:
            self._ledger.keep(receipt.failed(failure))

    def end_killed(self) -> str | None:
        """
        Cancel what this process waits for, if that is possible, because the Airflow task was killed.

        :return: what keeps running and is billed, in words; ``None`` if nothing is.
        """
        name = self.product.product_name
        if self._buyer is not None and self._buyer.is_in_doubt:
            return f"Killed while a {name} was being submitted: it may have been bought and may be billed."
        if self._cancellable is not None:
            return self._cancellable.cancel()[1]
        if self.minimax_task_id:
            return (
                f"MiniMax task {self.minimax_task_id} is not cancelled: it keeps running and will be billed. "
                f"{self.product.how_to_get_it}"
            )
        return None

    # -- what is known of it -------------------------------------------------------------------------------------------

    def recorded_id(self) -> str | None:
        """Return the id that the receipt has, if it can be read."""
        receipt = self._ledger.read_if_possible()
        return receipt.minimax_task_id if receipt else None

    def billing_without_id(self) -> str | None:
        """Return what was bought, in words, if no id was published before the trigger broke; ``None`` if unknown."""
        ti: Any = self.context["ti"]
        return billing_without_id(self._ledger, self.product, ti.max_tries)
