"""
What the operators that buy have in common: buy once, wait with or without a worker slot, cancel what may be cancelled.

From the request on, they are the same; what to ask for is each operator's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from airflow_provider_minimax.adopts import SETTLED, FindsOut
from airflow_provider_minimax.airflow_names import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)
from airflow_provider_minimax.arguments import (
    at_least_one,
    check_adoption,
    check_delivery,
    one_of,
    seconds,
)
from airflow_provider_minimax.deferral import resume
from airflow_provider_minimax.delivers import DeliversClips
from airflow_provider_minimax.discreet import Discreet
from airflow_provider_minimax.exceptions import (
    CANCELLED,
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxFileError,
    MinimaxModerationError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    MinimaxTaskTimeoutError,
)
from airflow_provider_minimax.recalls import RecallsEarlierTries, id_of_event, pushed_id
from airflow_provider_minimax.turns import IN_TURN, TakesTurns, resume_before_purchase
from airflow_provider_minimax.waits import WaitsForTasks, clip_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_minimax.api.pace import Outcome
    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.delivery.places import Place
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.receipts.decision import Done, Resume
    from airflow_provider_minimax.receipts.ledger import Ledger
    from airflow_provider_minimax.receipts.purchase import Bought, Buyer
    from airflow_provider_minimax.receipts.record import Receipt


class BuysClips(RecallsEarlierTries, FindsOut, WaitsForTasks, TakesTurns, DeliversClips):
    """
    Makes an operator buy a clip once, wait for it if asked to, and deliver it; or what else is bought like one.

    The operator says what to ask for in ``_request``, and calls ``_keep_choices`` in its ``__init__``.
    """

    _content_fields: ClassVar[tuple[str, ...]] = ()
    """The parameters that make up the request."""
    _secret_fields: ClassVar[tuple[str, ...]] = ()
    """Those of them that may hold what Airflow must neither store nor show."""
    _product: ClassVar[str] = "clip"
    """What is bought, in a word."""
    _get_it: ClassVar[str] = (
        "Get it with MinimaxTaskSensor and MinimaxVideoDownloadOperator and this id, free of charge."
    )

    _without_receipt: ClassVar[str] = "Set output_path, or retries=0."
    """What to do where no receipt can be kept."""

    retries: int | None
    do_xcom_push: bool

    _minimax_task_id: str | None = None
    _ready: PaidRequest | None = None
    _is_submitting = False

    def _keep_choices(
        self,
        *,
        minimax_conn_id: str,
        wait_for_completion: bool,
        deferrable: bool,
        output_path: str | None,
        overwrite: bool,
        check: Literal["none", "basic", "full"],
        preview: bool,
        durable: bool,
        on_clear: Literal["resubmit", "reuse"],
        on_orphaned_intent: Literal["fail", "resubmit", "adopt"],
        max_submissions: int,
        poll_interval: timedelta | float | None,
        timeout: timedelta | float,
        cancel_on_timeout: bool,
        validate: bool,
    ) -> None:
        """Take and check what the author chose about buying, waiting and delivery."""
        self.minimax_conn_id = minimax_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.output_path = output_path
        self.overwrite = overwrite
        self.check = check
        self.preview = preview
        self.durable = durable
        self.on_clear = one_of("on_clear", on_clear, ("resubmit", "reuse"))
        self.on_orphaned_intent = one_of("on_orphaned_intent", on_orphaned_intent, ("fail", "resubmit", "adopt"))
        self.max_submissions = at_least_one("max_submissions", max_submissions)
        self.poll_interval = None if poll_interval is None else seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.cancel_on_timeout = cancel_on_timeout
        self.validate = validate
        check_delivery(check, preview, output_path, delivers=wait_for_completion)
        if on_orphaned_intent == "adopt":
            check_adoption(self.model, durable)
        if on_clear == "reuse" and (output_path is None or not durable):
            raise MinimaxRequestError(
                "on_clear='reuse': needs output_path and durable=True: the receipt next to the output is all that "
                "outlives a clear on every version of Airflow",
                money=NOTHING_BOUGHT,
            )

    def _request(self) -> PaidRequest:
        """Return what to ask for."""
        raise NotImplementedError

    def _pictures(self) -> tuple[str, ...]:
        """Return where the pictures came from that go into the clip, for lineage."""
        return ()

    def _content(self) -> dict[str, Any]:
        """Return the parameters that make up the request."""
        values = {name: getattr(self, name) for name in self._content_fields}
        return {name: value.value if isinstance(value, Discreet) else value for name, value in values.items()}

    def _named(self, *fields: str) -> tuple[str, ...]:
        """Return where the contents of some of the request's fields came from, for lineage."""
        given = self._content()
        listed = [[given[name]] if isinstance(given[name], str) else given[name] or () for name in fields]
        return tuple(source for sources in listed for source in sources if isinstance(source, str))

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        super()._do_render_template_fields(parent, *args, **kwargs)  # type: ignore[misc]
        # What is rendered is stored and shown by Airflow: images in full, and URLs with their signatures.
        for name in self._secret_fields if parent is self else ():
            if (value := getattr(self, name)) is not None and not isinstance(value, Discreet):
                setattr(self, name, Discreet(value))

    def _hook(self) -> MinimaxHook:
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        return MinimaxHook(self.minimax_conn_id)

    def execute(self, context: Context) -> Any:
        """Buy the clip unless that was done, then wait for it as asked."""
        return self._get(context)

    def execute_in_turn(self, context: Context, event: Any) -> Any:
        """Do the same once it is this task's turn to buy, or say why that never came."""
        self._come_in_turn(event)
        return self._get(context)

    def execute_settled(self, context: Context, event: Any = None) -> Any:
        """Do the same once the platform's list may tell more of a submission without an answer."""
        return self._get(context)

    def _get(self, context: Context) -> Any:
        from airflow_provider_minimax.delivery.landing import found_in_place
        from airflow_provider_minimax.receipts.decision import Done

        place = self._place(context)
        with closing(self._hook()) as hook:
            with self._mindful_of_earlier_tries(context):
                request = self._request()
                self._wishes().check_means()
                buyer = self._buyer(context, hook, place, request, self._prepared(context, hook, request))
            held, outcome = self._obtain(context, hook, buyer)
            minimax_task_id = self._minimax_task_id = str(held.receipt.minimax_task_id)
            with self._bought(context, minimax_task_id) as ledger:
                if self.do_xcom_push:
                    context["ti"].xcom_push(key="task_id", value=minimax_task_id)
                    context["ti"].xcom_push(key="api_version", value=held.receipt.api_version)
                    if place is not None:
                        context["ti"].xcom_push(key="output_path", value=place.url)
                if not self.wait_for_completion:
                    return minimax_task_id
                if isinstance(held, Done):
                    # Where there is no place, no clip is found in it.
                    landed = found_in_place(held.receipt, cast("Place", place), ledger)
                    return self._announced(context, landed, self._pictures())
                deadline = time.time() + self._patience()
                clip = clip_of(request, held.receipt)
                if outcome is None and self.deferrable:
                    self._defer(context, held.receipt, deadline, clip)
                outcome = outcome or self._wait(context, hook, held.receipt, deadline, clip)
                return self._conclude(context, hook, ledger, outcome)

    def _prepared(self, context: Context, hook: MinimaxHook, request: PaidRequest) -> PaidRequest | MinimaxError:
        """Return the request, checked and with its files; or why they cannot be had, if an earlier try submitted it."""
        try:
            return hook.prepare(request, validate=self.validate)
        except (MinimaxFileError, MinimaxStorageError) as error:
            if not self._asked_before(context, hook, request):
                raise
            self.log.warning("The request cannot be made again (%s), but an earlier try submitted it.", error.message)
            return error

    def _obtain(
        self, context: Context, hook: MinimaxHook, buyer: Buyer
    ) -> tuple[Bought | Resume | Done, Outcome | None]:
        """Buy unless that was done; if it was, see how it ended, should it be over."""
        from airflow_provider_minimax.receipts.decision import Resume

        held = self._buy(context, hook, buyer)
        if not isinstance(held, Resume) or not self.wait_for_completion:
            return held, None
        outcome = self._look_first(hook, held.receipt)
        if outcome is None or outcome.error is None or outcome.error.code != CANCELLED:
            return held, outcome
        # An earlier try was killed while it waited; with that written down, this one buys anew.
        self._ledger(context).keep(held.receipt.failed(outcome.error))
        return self._buy(context, hook, buyer), None

    def _buy(self, context: Context, hook: MinimaxHook, buyer: Buyer) -> Bought | Resume | Done:
        """Buy unless that was done; after a refusal in another turn, and after a lost answer say where to look."""
        from airflow_provider_minimax.receipts.lookalikes import told_lookalikes

        try:
            return buyer.obtain(lambda: self._submit(hook))
        except MinimaxRateLimitError as refusal:
            self._give_way(refusal, hook)
            raise
        except MinimaxSubmissionUnknownError as error:
            # Who was to adopt one of them has told of them already.
            receipt = None if self.on_orphaned_intent == "adopt" else self._ledger(context).read_if_possible()
            if receipt is not None and (listed := told_lookalikes(hook, receipt)):
                error.hint = " ".join(filter(None, (listed, error.hint)))
            raise

    def _buyer(
        self,
        context: Context,
        hook: MinimaxHook,
        place: Place | None,
        written: PaidRequest,
        ready: PaidRequest | MinimaxError,
    ) -> Buyer:
        from airflow_provider_minimax.receipts.decision import Clip, Policy
        from airflow_provider_minimax.receipts.of_task import order_of
        from airflow_provider_minimax.receipts.purchase import Buyer

        ledger = self._ledger(context)
        if self.durable and not ledger.keeps and self.retries:
            self.log.warning(
                "This Airflow cannot keep a receipt for a task without output_path, so a retry after the death of the "
                "worker would buy again. %s",
                self._without_receipt,
            )
        price = hook.list_price(written)
        order = order_of(
            context,
            written,
            None if isinstance(ready, MinimaxError) else ready,
            hook.account(),
            place.url if place else None,
            price.as_dict() if price else None,
            hook.api_version(written.model),
        )
        policy = Policy(self.on_clear, self.on_orphaned_intent, self.max_submissions, self.overwrite)

        def before_buying() -> None:
            if isinstance(ready, MinimaxError):
                with self._mindful_of_earlier_tries(context):
                    raise ready
            # Writing the receipt tries a storage as well, and leaves nothing behind that was not wanted.
            if place is not None and (place.check_leaves_no_trace or not self.durable):
                place.check()
            self._take_turn(hook)
            # Before the receipt says that a purchase begins: uploads take long, and whoever dies in one bought nothing.
            self._ready = hook.upload_files(ready)

        look_at_output = (lambda _: Clip.ABSENT) if place is None else place.look
        find_out = self._find_out(context, hook, ledger, order)
        return Buyer(
            ledger, order, policy, look_at_output, before_buying=before_buying, find_out=find_out, log=self.log
        )

    def _submit(self, hook: MinimaxHook) -> str:
        request = cast("PaidRequest", self._ready)
        self._is_submitting = True
        try:
            return hook.submit(request, validate=False, after_refusals=not self.deferrable)
        except AirflowTaskTimeout as error:
            raise MinimaxSubmissionUnknownError(
                f"the execution_timeout of {self.execution_timeout} passed while the submission was under way",
                money="It may have been bought and may be billed.",
                hint="Look at the platform's console before running this task again, and give it more time.",
            ) from error
        finally:
            self._is_submitting = False

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Turn the trigger's event into the result, and fetch the clip if asked to."""
        from airflow_provider_minimax.api.pace import Outcome

        outcome = Outcome.of_event(event)
        with closing(self._hook()) as hook:
            return self._conclude(context, hook, self._ledger(context), outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; whatever becomes of the wait, the clip is bought, unless it was to buy it or to find that out."""
        if next_method == SETTLED:
            return self.execute_settled(context)
        if next_method == IN_TURN:
            return self.execute_in_turn(context, (next_kwargs or {}).get("event"))
        if next_method != "execute_complete" and (money := self._told_without_clip(context)):
            return resume_before_purchase(cast("BaseOperator", self), next_method, next_kwargs, context, money)
        minimax_task_id = id_of_event(next_kwargs) or pushed_id(context) or self._recorded_id(context)
        self._minimax_task_id = minimax_task_id
        with self._bought(context, minimax_task_id):
            return resume(cast("BaseOperator", self), next_method, next_kwargs, context, minimax_task_id)

    def _conclude(self, context: Context, hook: MinimaxHook, ledger: Ledger, outcome: Outcome) -> Any:
        receipt = ledger.read_of(self._minimax_task_id)
        if receipt is not None and isinstance(outcome.error, MinimaxTaskFailedError | MinimaxModerationError):
            self._written_off(ledger, receipt, outcome.error)
        task = outcome.result()
        self.log.info("MiniMax task %s: %s", task.minimax_task_id, task.status)
        return self._handed_over(context, hook, ledger, receipt, task)

    def _handed_over(
        self, context: Context, hook: MinimaxHook, ledger: Ledger, receipt: Receipt | None, task: VideoTask
    ) -> Any:
        """Return what the Airflow task is for: here, the clip's facts, with the clip in its place."""
        from airflow_provider_minimax.delivery.landing import land

        place = self._place(context)
        if place is None:
            return task.as_result()
        landed = land(hook, task, place, ledger, receipt, self._wishes(), log=self.log)
        return self._announced(context, landed, self._pictures())

    def _written_off(self, ledger: Ledger, receipt: Receipt, error: MinimaxError) -> None:
        """Write down that there is no clip, and let Airflow retry if that may buy another."""
        from airflow_provider_minimax.receipts.decision import may_pass

        ledger.keep(receipt.failed(error))
        if may_pass(error) and receipt.submissions < self.max_submissions:
            raise AirflowException(
                f"{error} A retry buys another: purchase {receipt.submissions + 1} of at most {self.max_submissions}."
            ) from error

    @contextmanager
    def _bought(self, context: Context, minimax_task_id: str | None) -> Iterator[Ledger]:
        """Let a failure in here be retried only if the receipt lets the next try go on with this clip."""
        ledger: Ledger | None = None
        try:
            ledger = self._ledger(context)
            yield ledger
        except (Exception, AirflowTaskTimeout) as error:
            if isinstance(error, MinimaxError):
                error.minimax_task_id = error.minimax_task_id or minimax_task_id
            if isinstance(error, MinimaxTaskTimeoutError) and self.cancel_on_timeout:
                self._cancel_after(context, error, ledger)
            if isinstance(error, AirflowFailException | AirflowSensorTimeout):
                raise
            if ledger is None and isinstance(error, MinimaxStorageError) and self.durable:
                # A retry needs the receipt there before it buys anything.
                raise
            if minimax_task_id and ledger and ledger.read_of(minimax_task_id):
                self.log.warning(
                    "MiniMax task %s is in the receipt: a retry goes on from there (%s).", minimax_task_id, ledger.where
                )
                raise
            from airflow_provider_minimax.api.redaction import redact

            what = str(error) if isinstance(error, AirflowException) else redact(f"{type(error).__name__}: {error}.")
            raise AirflowFailException(
                f"{what} This task does not retry, because the {self._product} is bought already (task "
                f"{minimax_task_id}) and a retry would buy another. {self._get_it}"
            ) from error

    def on_kill(self) -> None:
        """Cancel what is still queued, if nobody else waits for it, and say what goes on."""
        if self._is_submitting:
            self.log.warning(
                "Killed while a %s was being submitted: it may have been bought and may be billed.", self._product
            )
        elif self._cancel is not None:
            self.log.warning("%s", self._cancel())
        elif self._minimax_task_id:
            self.log.warning(
                "MiniMax task %s goes on and will be billed: it is not cancelled. %s",
                self._minimax_task_id,
                self._get_it,
            )
