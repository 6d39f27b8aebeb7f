"""
One try at one purchase: buy unless that was done, wait for it, and hand over what came of it.

Operators and ``MinimaxHook.generate`` go the same way through here. A job decides by what it finds, so it may be begun
again after any death, in any process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_minimax.api.catalogue import api_of
from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.api.storable import storable
from airflow_provider_minimax.arguments import check_search
from airflow_provider_minimax.callbacks.record import HAS_RECORD
from airflow_provider_minimax.delivery.assets import Delivered, announce, result_of, warned_of
from airflow_provider_minimax.delivery.deliver import (
    DeliveredClip,
    DeliveryOptions,
    already_delivered,
    deliver_clip,
    origin_of,
)
from airflow_provider_minimax.delivery.destination import Destination, destination_of
from airflow_provider_minimax.exceptions import (
    CANCELLED,
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxFileError,
    MinimaxModerationError,
    MinimaxRateLimitError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    MinimaxTaskTimeoutError,
    after_purchase,
)
from airflow_provider_minimax.polling.cancel import describe_cancellation, push_attempt, try_cancel
from airflow_provider_minimax.polling.deferral import SAFETY_NET, SETTLED
from airflow_provider_minimax.polling.poller import Outcome, terminal_outcome
from airflow_provider_minimax.polling.slots import SubmissionSlot, SubmissionSlots
from airflow_provider_minimax.polling.worker import poll_first, timing_of, wait_in_worker
from airflow_provider_minimax.purchases.callback import PushedTaskFinder, address_of, check_callback, forget
from airflow_provider_minimax.purchases.candidates import describe_candidates
from airflow_provider_minimax.purchases.context import (
    ledger_of,
    order_of,
    owner_of,
    published_in_run,
    source_fingerprint_of,
)
from airflow_provider_minimax.purchases.ledger import Ledger
from airflow_provider_minimax.purchases.options import Product, PurchaseOptions
from airflow_provider_minimax.purchases.purchase import Bought, Buyer
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.recovery import LostSubmissionResolver
from airflow_provider_minimax.purchases.rules import Done, OutputState, Policy, PurchaseSpec, Resume, may_pass
from airflow_provider_minimax.purchases.unrecorded import written_down
from airflow_provider_minimax.version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

# Airflow fails a task that is resumed before its executor has heard that the worker is done with it, which takes up to
# 5 s ([workers] min_heartbeat_interval).
_SHORTEST_DEFERRAL = 6.0
# How often a worker that waits for the platform's list itself asks for it.
_LIST_EVERY = 5.0


class _RetryBuysAnotherError(AirflowException):
    """There is no clip, and a retry may buy another: what was bought was free, or the author allows one more."""


class PurchaseJob:
    """
    One try at one purchase.

    :param hook: the way to the platform; closed by :meth:`close`.
    :param options: what the author chose.
    :param product: what is bought.
    :param context: the context of the Airflow task that buys.
    :param log: where to say what happens.
    :param defer: the task's ``defer``, if it waits in the triggerer; otherwise it waits here.
    :param turn: the task's turn to buy, if it has come.
    :param execution_timeout: the task's own time limit, if it has one.
    :param retries: how often Airflow retries the task.
    :param push: publishes a value under a key, before the wait; ``None`` publishes nothing.
    :param is_one_of_many: whether the Airflow task may make other purchases too, for other outputs.
    :param announcer: the Airflow task whose assets and lineage hear of the clip, if there is one.
    """

    def __init__(
        self,
        hook: MinimaxHook,
        options: PurchaseOptions,
        product: Product,
        context: Context,
        *,
        log: Any,
        defer: Callable[..., Any] | None = None,
        turn: SubmissionSlot | None = None,
        execution_timeout: timedelta | None = None,
        retries: int | None = None,
        push: Callable[[str, Any], None] | None = None,
        announcer: BaseOperator | None = None,
        is_one_of_many: bool = False,
    ) -> None:
        self.hook = hook
        self.options = options
        self.product = product
        self.context = context
        self.log = log
        self._defer = defer
        self._execution_timeout = execution_timeout
        self._retries = retries
        self._push = push
        self._announcer = announcer
        self._is_one_of_many = is_one_of_many
        limit = options.timeout
        self.longest_wait = limit if execution_timeout is None else min(limit, execution_timeout.total_seconds())
        self._slots = SubmissionSlots(options.minimax_conn_id, self.longest_wait, log=log, defer=defer, turn=turn)
        self._ready: PaidRequest | None = None
        self._has_callback = False
        self.minimax_task_id: str | None = None
        self.is_submitting = False
        self.cancel: Callable[[], str] | None = None
        """Cancels the remote task and says what became of it, while this process waits for one that may be."""
        self.delivered: Delivered | None = None

    def close(self) -> None:
        """Close the connection's client."""
        self.hook.close()

    # -- what it works with --------------------------------------------------------------------------------------------

    @cached_property
    def place(self) -> Destination | None:
        """The place where the clip shall land, if anywhere."""
        if self.options.output_path is None:
            return None
        return destination_of(self.options.output_path, owner_of(self.context), written=self.options.written_path)

    @cached_property
    def ledger(self) -> Ledger:
        """Where the receipt is kept."""
        if not self.options.durable:
            return Ledger((), log=self.log)
        output = self.place.url if self.place else None
        return ledger_of(self.context, output, self.log, is_one_of_many=self._is_one_of_many)

    @property
    def delivery(self) -> DeliveryOptions:
        """How the clip is to be delivered."""
        return DeliveryOptions(bool(self.options.overwrite), self.options.check, self.options.preview)

    # -- the way of one purchase ---------------------------------------------------------------------------------------

    def run(self) -> Any:
        """
        Buy unless that was done; wait and deliver, if the author wants that.

        :return: the remote task's id, or with ``wait_for_completion`` what the product hands over.
        :raises MinimaxError: what went wrong, and what became of the money.
        """
        with self._with_earlier_purchase():
            if self.place is not None:
                self.delivery.check_dependencies()
            request = self.product.request()
            self._has_callback = request.has_auto_callback
            buyer = self._buyer(request, self._prepared(request))
        held, outcome = self._obtain(buyer)
        receipt = held.receipt
        if self.ledger.keeps:
            written_down(str(receipt.minimax_task_id))
        self.minimax_task_id = str(receipt.minimax_task_id)
        with self.after_purchase(self.minimax_task_id):
            self._publish(receipt)
            if not self.options.wait_for_completion:
                if self.place is not None:
                    self.log.info("wait_for_completion=False: this task does not deliver the clip to %s.", self.place)
                return self.minimax_task_id
            if isinstance(held, Done):
                # Where there is no place, no clip is found in it.
                return self.announce(already_delivered(receipt, cast("Destination", self.place), self.ledger))
            deadline = time.time() + self.longest_wait
            timing = timing_of(request, receipt)
            if outcome is None and self._defer is not None:
                self._wait_in_triggerer(receipt, deadline, timing)
            return self.finish(outcome or self._wait_here(receipt, deadline, timing))

    def finish(self, outcome: Outcome) -> Any:
        """
        Hand over what came of a wait, or raise why there is nothing.

        :param outcome: how the wait ended.
        :return: what the product hands over.
        """
        receipt = self.ledger.read_of(self.minimax_task_id)
        if receipt is not None and receipt.has_callback:
            forget(receipt)
        if isinstance(outcome.error, MinimaxTaskFailedError | MinimaxModerationError):
            self._record_failure(receipt, outcome.error)
        task = outcome.result()
        self.log.info("MiniMax task %s: %s", task.minimax_task_id, task.status)
        return self.product.hand_over(self, receipt, task)

    def deliver(self, receipt: Receipt | None, task: VideoTask) -> dict[str, Any]:
        """
        Put a finished clip in its place, if it has one, and tell Airflow about it.

        :param receipt: its receipt, if there is one.
        :param task: the finished remote task.
        :return: the clip's facts.
        """
        if self.place is None:
            return result_of(self.context, task.as_result() | (origin_of(receipt) if receipt else {}))
        return self.announce(
            deliver_clip(self.hook, task, self.place, self.ledger, receipt, self.delivery, log=self.log)
        )

    def announce(self, landed: DeliveredClip) -> dict[str, Any]:
        """
        Tell Airflow about a clip that is in its place.

        :param landed: the clip.
        :return: its facts.
        """
        with warned_of(self.log, "Airflow hears nothing of the clip, which is delivered all the same"):
            self.delivered = Delivered(landed.facts["output_path"], landed.told(), self.product.sources())
            if self._announcer is not None:
                announce(self.context, self._announcer, self.delivered)
        return result_of(self.context, landed.facts)

    # -- buying --------------------------------------------------------------------------------------------------------

    def _prepared(self, request: PaidRequest) -> PaidRequest | MinimaxError:
        """Return the request, checked and with its files; or why they cannot be had, if an earlier try submitted it."""
        try:
            return self.hook.prepare(request.with_callback(), validate=self.options.validate)
        except (MinimaxFileError, MinimaxStorageError) as error:
            if not self._was_submitted_before(request):
                raise
            self.log.warning("The request cannot be made again (%s), but an earlier try submitted it.", error.message)
            return error

    def _was_submitted_before(self, request: PaidRequest) -> bool:
        """Whether an earlier try, which this one goes on from, submitted the same request as its author wrote it."""
        receipt = self.ledger.read()
        if receipt is None or receipt.asked is None or receipt.owner != owner_of(self.context):
            return False
        ti: Any = self.context["ti"]
        goes_on = self.options.on_clear == "reuse" or receipt.max_tries in (None, ti.max_tries)
        return goes_on and receipt.asked == source_fingerprint_of(
            request, self.hook.account(), self.hook.api_version(request.model)
        )

    def _obtain(self, buyer: Buyer) -> tuple[Bought | Resume | Done, Outcome | None]:
        """Buy unless that was done; if it was, see how it ended, should it be over."""
        held = self._buy(buyer)
        if not isinstance(held, Resume) or not self.options.wait_for_completion:
            return held, None
        outcome = poll_first(self.hook, held.receipt, within=self.longest_wait, log=self.log)
        if outcome is None or outcome.error is None or outcome.error.code != CANCELLED:
            return held, outcome
        # Somebody cancelled it while it was queued; with that written down, this try buys another, as that was free.
        self.ledger.keep(held.receipt.failed(outcome.error))
        return self._buy(buyer), None

    def _buy(self, buyer: Buyer) -> Bought | Resume | Done:
        """Buy unless that was done; queue again after a refusal, and after a lost answer say where to look."""
        try:
            return buyer.obtain(self._submit)
        except MinimaxRateLimitError as refusal:
            self._slots.requeue(refusal, self.hook)
            raise
        except MinimaxSubmissionUnknownError as error:
            # Who was to adopt one of them has named them already.
            receipt = None if self.options.on_orphaned_intent == "adopt" else self.ledger.read_if_possible()
            if receipt is not None and (listed := describe_candidates(self.hook, receipt)):
                error.hint = " ".join(filter(None, (listed, error.hint)))
            raise

    def _buyer(self, written: PaidRequest, ready: PaidRequest | MinimaxError) -> Buyer:
        options = self.options
        if options.durable and not self.ledger.keeps and self._retries:
            self.log.warning(
                "This Airflow cannot keep a receipt for a task without output_path, so a retry after the death of the "
                "worker would buy again. %s",
                self.product.without_receipt,
            )
        price = self.hook.list_price(written if isinstance(ready, MinimaxError) else ready)
        order = order_of(
            self.context,
            written,
            None if isinstance(ready, MinimaxError) else ready,
            self.hook.account(),
            self.place.url if self.place else None,
            price.as_dict() if price else None,
            self.hook.api_version(written.model),
            retries=self._retries,
        )
        searcher = self._searcher(order)
        return Buyer(
            self.ledger,
            order,
            Policy(options.on_clear, options.on_orphaned_intent, options.max_submissions, options.overwrite),
            (lambda _: OutputState.MISSING) if self.place is None else self.place.look,
            before_buying=lambda: self._prepare_to_buy(ready),
            find_out=searcher.find_out if searcher else None,
            find_pushed=self._find_pushed if HAS_RECORD else None,
            log=self.log,
        )

    def _prepare_to_buy(self, ready: PaidRequest | MinimaxError) -> None:
        """Do what comes right before the receipt says that a purchase begins."""
        if isinstance(ready, MinimaxError):
            with self._with_earlier_purchase():
                raise ready
        # Writing the receipt tries a storage as well, and leaves nothing behind that was not wanted.
        if self.place is not None and (self.place.probe_is_invisible or not self.options.durable):
            self.place.check()
        if self._has_callback:
            check_callback(self.hook, ready, validate=self.options.validate)
        self._slots.take(self.hook)
        # Uploads take long, and whoever dies in one has bought nothing.
        self._ready = self.hook.upload_files(ready)

    def _submit(self, intent: Receipt) -> str:
        request = cast("PaidRequest", self._ready)
        if self._has_callback:
            url = address_of(self.options.minimax_conn_id, intent.attempt)
            request = request.model_copy(update={"callback_url": url})
        self.is_submitting = True
        try:
            return self.hook.submit(request, validate=False, after_refusals=self._defer is None)
        except AirflowTaskTimeout as error:
            raise MinimaxSubmissionUnknownError(
                f"the execution_timeout of {self._execution_timeout} passed while the submission was under way",
                billing="It may have been bought and may be billed.",
                hint="Look at the platform's console before running this task again, and give it more time.",
            ) from error
        finally:
            self.is_submitting = False

    def _searcher(self, order: PurchaseSpec) -> LostSubmissionResolver | None:
        """Return what finds out about a lost answer, if that is wanted; refuse where it can never be, before paying."""
        if self.options.on_orphaned_intent != "adopt":
            return None
        check_search(order.model, self.hook.has_list(order.api_version), self.ledger.keeps)
        return LostSubmissionResolver(
            self.hook,
            self.ledger,
            order,
            taken=lambda: published_in_run(self.context),
            settle=self._settle,
            log=self.log,
        )

    def _settle(self, seconds: float) -> None:
        """Give the platform's list time to show more: in the triggerer, or for a few seconds here."""
        if self._defer is not None:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            wait = max(seconds, _SHORTEST_DEFERRAL)
            self._defer(
                trigger=DateTimeTrigger(moment=datetime.now(UTC) + timedelta(seconds=wait)),
                method_name=SETTLED,
                timeout=timedelta(seconds=max(wait, self.longest_wait) + SAFETY_NET),
            )
        self._wait_in_doubt(min(seconds, _LIST_EVERY))

    def _find_pushed(self, intent: Receipt, within: float) -> Receipt | None:
        finder = PushedTaskFinder(
            self.hook,
            self.ledger,
            self.place.url if self.place else None,
            taken=lambda: published_in_run(self.context),
            log=self.log,
            sleep=self._wait_in_doubt,
        )
        return finder.find(intent, within)

    def _wait_in_doubt(self, seconds: float) -> None:
        # Who is killed meanwhile does not know either what was bought.
        self.is_submitting = True
        time.sleep(seconds)
        self.is_submitting = False

    def _publish(self, receipt: Receipt) -> None:
        if self._push is None:
            return
        self._push("task_id", self.minimax_task_id)
        self._push("api_version", receipt.api_version)
        if self.place is not None:
            self._push("output_path", storable(self.place.url))

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _wait_in_triggerer(self, receipt: Receipt, deadline: float, timing: dict[str, Any]) -> None:
        from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

        attempt = push_attempt(self.context) if self._may_cancel(receipt) else None
        defer = cast("Callable[..., Any]", self._defer)
        defer(
            trigger=MinimaxTaskTrigger(
                minimax_task_id=str(receipt.minimax_task_id),
                minimax_conn_id=self.options.minimax_conn_id,
                deadline=deadline,
                poll_interval=self.options.poll_interval,
                api_version=receipt.api_version,
                clip=timing,
                cancel_on_kill=attempt is not None,
                cancel_on_clear=attempt is not None and self.options.on_clear == "resubmit",
                attempt=attempt,
                purchase_attempt=receipt.attempt if receipt.has_callback else None,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.longest_wait + SAFETY_NET),
        )

    def _wait_here(self, receipt: Receipt, deadline: float, timing: dict[str, Any]) -> Outcome:
        if self._may_cancel(receipt):
            # A signal may come in the middle of a request, so the cancellation does not share its client.
            minimax_task_id, api_version = str(receipt.minimax_task_id), receipt.api_version
            self.cancel = lambda: self._try_cancel(minimax_task_id, api_version)[1]
        poll_interval = self.options.poll_interval
        try:
            return wait_in_worker(
                self.hook, receipt, deadline=deadline, poll_interval=poll_interval, clip=timing, log=self.log
            )
        finally:
            self.cancel = None

    def _may_cancel(self, receipt: Receipt) -> bool:
        """Whether the remote task can be cancelled while it is queued, and is this Airflow task's own."""
        return self.hook.can_cancel(receipt.api_version) and receipt.owner == owner_of(self.context)

    def _try_cancel(self, minimax_task_id: str, api_version: str) -> tuple[VideoTask | MinimaxError, str]:
        """Cancel a remote task if that is still possible; return what was seen of it, and the same in words."""
        with closing(self.hook.apart()) as hook:
            seen = try_cancel(hook, minimax_task_id, api_version)
        return seen, describe_cancellation(seen, minimax_task_id)

    def _cancel_after(self, error: MinimaxTaskTimeoutError) -> None:
        """Cancel what was waited for too long, if that is still possible and nobody else's, and write that down."""
        minimax_task_id = str(error.minimax_task_id)
        receipt = self.ledger.read_of(minimax_task_id)
        if receipt is not None and receipt.owner != owner_of(self.context):
            return
        api_version = receipt.api_version if receipt is not None else api_of(self.product.request().model)
        seen, error.billing = self._try_cancel(minimax_task_id, api_version)
        outcome = None if isinstance(seen, MinimaxError) else terminal_outcome(seen)
        if outcome is None or outcome.error is None or outcome.error.code != CANCELLED:
            return
        error.hint = "Clear this task to buy another."
        if receipt is not None:
            self.ledger.keep(receipt.failed(outcome.error))

    # -- what an error means -------------------------------------------------------------------------------------------

    @contextmanager
    def _with_earlier_purchase(self) -> Iterator[None]:
        """Let errors before a purchase tell of an earlier one, which also decides whether they are final."""
        try:
            yield
        except MinimaxError as error:
            told = self._in_light_of_earlier_purchase(error)
            if told is error:
                raise
            raise told from error

    def _in_light_of_earlier_purchase(self, error: MinimaxError) -> MinimaxError:
        try:
            receipt = self.ledger.read()
        except MinimaxError:
            # Something may be bought, and the next try reads the receipt before it buys anything.
            return after_purchase(error, "worker")
        if receipt is None or receipt.owner != owner_of(self.context) or receipt.phase is Phase.FAILED:
            return error
        error = after_purchase(error, "worker")
        error.minimax_task_id = receipt.minimax_task_id
        error.resumable = True
        did = "bought" if receipt.minimax_task_id else "may have bought"
        error.billing = f"Nothing was bought now; an earlier submission {did} a {self.product.name}."
        return error

    @contextmanager
    def after_purchase(self, minimax_task_id: str | None) -> Iterator[None]:
        """
        Let a failure in here be retried if a retry goes on with the purchase, and only then.

        :param minimax_task_id: the remote task that was bought.
        """
        try:
            yield
        except (Exception, AirflowTaskTimeout) as error:
            meant = self._meaning_after_purchase(error, minimax_task_id)
            if meant is error:
                raise
            raise meant from error

    def _meaning_after_purchase(self, error: BaseException, minimax_task_id: str | None) -> BaseException:
        if isinstance(error, MinimaxError):
            error = after_purchase(error, "worker")
            error.minimax_task_id = error.minimax_task_id or minimax_task_id
        if isinstance(error, MinimaxTaskTimeoutError) and self.options.cancel_on_timeout:
            self._cancel_after(error)
        if isinstance(error, AirflowFailException | AirflowSensorTimeout | _RetryBuysAnotherError):
            return error
        if self._next_try_goes_on(minimax_task_id):
            if isinstance(error, MinimaxError):
                error.resumable = True
            self.log.warning("MiniMax task %s is in the receipt: a retry goes on from there.", minimax_task_id)
            return error
        what = str(error) if isinstance(error, AirflowException) else redact(f"{type(error).__name__}: {error}.")
        return AirflowFailException(
            f"{what} This task does not retry, because the {self.product.name} is bought already (task "
            f"{minimax_task_id}) and a retry would buy another. {self.product.how_to_get_it}"
        )

    def _next_try_goes_on(self, minimax_task_id: str | None) -> bool:
        """Whether the next try finds the purchase, or stops before it buys because it cannot read the receipt."""
        if not self.options.durable:
            return False
        try:
            receipt = self.ledger.read()
        except MinimaxError:
            return True
        return receipt is not None and minimax_task_id in (None, receipt.minimax_task_id)

    def _record_failure(self, receipt: Receipt | None, error: MinimaxError) -> None:
        """Write down that there is no clip, and let Airflow retry if that may buy another."""
        if receipt is not None:
            self.ledger.keep(receipt.failed(error))
        if error.code == CANCELLED:
            raise _RetryBuysAnotherError(f"{error} A retry buys another.") from error
        if receipt is not None and may_pass(error) and receipt.submissions < self.options.max_submissions:
            raise _RetryBuysAnotherError(
                f"{error} A retry buys another: purchase {receipt.submissions + 1} of at most "
                f"{self.options.max_submissions}."
            ) from error

    # -- what is known of it -------------------------------------------------------------------------------------------

    def recorded_id(self) -> str | None:
        """Return the id that the receipt has, if it can be read."""
        receipt = self.ledger.read_if_possible()
        return receipt.minimax_task_id if receipt else None

    def billing_without_id(self) -> str | None:
        """
        Return what was bought, in words, by a task that had published no id when its trigger broke.

        :return: a sentence; ``None`` if that is not known.
        """
        try:
            receipt = self.ledger.read()
        except MinimaxError:
            return None
        if receipt is not None and receipt.phase is Phase.INTENT:
            return "It may have been bought and may be billed."
        if self._push is not None:
            # The id is published before any other wait.
            return NOTHING_BOUGHT
        ti: Any = self.context["ti"]
        is_of_this_round = receipt is not None and receipt.max_tries == ti.max_tries
        return NOTHING_BOUGHT if self.ledger.keeps and not is_of_this_round else None
