"""
The base of the operators that buy: what an author may choose, and how Airflow calls them.

What happens in between is :class:`~airflow_provider_minimax.purchases.job.PurchaseJob`'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from airflow_provider_minimax.arguments import (
    at_least_one,
    check_adoption,
    check_delivery,
    check_overwrite,
    one_of,
    seconds,
)
from airflow_provider_minimax.delivery.operator import DeliversClips
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError, after_purchase
from airflow_provider_minimax.operators.redacted import Redacted
from airflow_provider_minimax.paths import as_text
from airflow_provider_minimax.polling.deferral import SETTLED, resume
from airflow_provider_minimax.polling.slots import IN_TURN, SubmissionSlot, resume_before_purchase

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.paths import AnyPath
    from airflow_provider_minimax.polling.poller import Outcome
    from airflow_provider_minimax.purchases.job import PurchaseJob
    from airflow_provider_minimax.purchases.options import Product, PurchaseOptions
    from airflow_provider_minimax.purchases.receipt import Receipt


class BuysClips(DeliversClips):
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

    buys_clips: ClassVar[bool] = True
    """By which tasks that buy are told from others of a DAG."""

    model: Any
    overwrite: Any
    retries: int | None
    do_xcom_push: bool
    execution_timeout: timedelta | None
    defer: Any

    _job: PurchaseJob | None = None
    _prompt_is_lost: bool = False

    def _keep_choices(
        self,
        *,
        minimax_conn_id: str,
        wait_for_completion: bool | None,
        deferrable: bool,
        output_path: AnyPath | None,
        overwrite: bool | Literal["changed"],
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
        # Who names a place for the clip wants it there.
        self.wait_for_completion = output_path is not None if wait_for_completion is None else wait_for_completion
        self.deferrable = deferrable
        self.output_path = output_path
        self.overwrite = check_overwrite(overwrite, output_path, durable)
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
        check_delivery(check, preview, output_path, delivers=self.wait_for_completion)
        if on_orphaned_intent == "adopt":
            check_adoption(self.model, durable)

    def _request(self) -> PaidRequest:
        """Return what to ask for."""
        raise NotImplementedError

    def _pictures(self) -> tuple[str, ...]:
        """Return where the pictures came from that go into the clip, for lineage."""
        return ()

    def _content(self) -> dict[str, Any]:
        """Return the parameters that make up the request."""
        values = {name: getattr(self, name) for name in self._content_fields}
        if self._prompt_is_lost:
            raise MinimaxRequestError(
                "prompt: its template became None, so there is nothing to show; a value that it names is not there",
                billing=NOTHING_BOUGHT,
            )
        return {name: value.value if isinstance(value, Redacted) else value for name, value in values.items()}

    def _named(self, *fields: str) -> tuple[str, ...]:
        """Return where the contents of some of the request's fields came from, for lineage."""
        given = self._content()
        listed = [given[name] if isinstance(given[name], list | tuple) else [given[name]] for name in fields]
        sources = [as_text(source) for some in listed for source in some]
        return tuple(source for source in sources if isinstance(source, str))

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        had_prompt = getattr(self, "prompt", None) is not None
        super()._do_render_template_fields(parent, *args, **kwargs)
        # A clip of pictures can be bought without a prompt, but not instead of one with it.
        self._prompt_is_lost = parent is self and had_prompt and getattr(self, "prompt", None) is None
        # What is rendered is stored and shown by Airflow: images in full, and URLs with their signatures.
        for name in self._secret_fields if parent is self else ():
            if (value := getattr(self, name)) is not None and not isinstance(value, Redacted):
                setattr(self, name, Redacted(value))

    def _hook(self) -> MinimaxHook:
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        return MinimaxHook(self.minimax_conn_id)

    def execute(self, context: Context) -> Any:
        """Buy the clip unless that was done, then wait for it as asked."""
        return self._run(context)

    def execute_in_turn(self, context: Context, event: Any) -> Any:
        """Do the same once it is this task's turn to buy, or say why that never came."""
        turn = SubmissionSlot.from_event(event)
        self.log.info("Submission slot granted after %.0f s.", time.time() - turn.asked_at)
        return self._run(context, turn)

    def execute_settled(self, context: Context, event: Any = None) -> Any:
        """Do the same once the platform's list may tell more of a submission without an answer."""
        return self._run(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Turn the trigger's event into the result, and fetch the clip if asked to."""
        with self._opened_job(context) as job:
            outcome = _outcome_of(event)
            job.minimax_task_id = _id_of(outcome) or _published_id(context) or job.recorded_id()
            with job.after_purchase(job.minimax_task_id):
                return job.finish(outcome)

    def _run(self, context: Context, turn: SubmissionSlot | None = None) -> Any:
        with self._opened_job(context, turn) as job:
            return job.run()

    @contextmanager
    def _opened_job(self, context: Context, turn: SubmissionSlot | None = None) -> Iterator[PurchaseJob]:
        job = self._job = self._new_job(context, turn)
        with closing(job):
            try:
                yield job
            finally:
                self._delivered = job.delivered

    def _new_job(self, context: Context, turn: SubmissionSlot | None = None) -> PurchaseJob:
        from airflow_provider_minimax.purchases.job import PurchaseJob
        from airflow_provider_minimax.triggers.deferring import defer

        ti: Any = context["ti"]
        return PurchaseJob(
            self._hook(),
            self._options(),
            self._bought_product(),
            context,
            log=self.log,
            defer=(lambda deferral: defer(cast("BaseOperator", self), deferral)) if self.deferrable else None,
            turn=turn,
            execution_timeout=self.execution_timeout,
            retries=self.retries,
            push=(lambda key, value: ti.xcom_push(key=key, value=value)) if self.do_xcom_push else None,
            announcer=cast("BaseOperator", self),
        )

    def _options(self) -> PurchaseOptions:
        # A third of what importing the operators would cost: making data classes takes long.
        from airflow_provider_minimax.purchases.options import PurchaseOptions

        return PurchaseOptions(
            minimax_conn_id=self.minimax_conn_id,
            output_path=self.output_path,
            written_path=self._written_path,
            wait_for_completion=self.wait_for_completion,
            overwrite=self.overwrite,
            check=self.check,
            preview=self.preview,
            durable=self.durable,
            on_clear=self.on_clear,
            on_orphaned_intent=self.on_orphaned_intent,
            max_submissions=self.max_submissions,
            poll_interval=self.poll_interval,
            timeout=self.timeout,
            cancel_on_timeout=self.cancel_on_timeout,
            validate=self.validate,
        )

    def _bought_product(self) -> Product:
        from airflow_provider_minimax.purchases.options import Product

        return Product(
            request=self._request,
            hand_over=self._hand_over,
            sources=self._pictures,
            name=self._product,
            how_to_get_it=self._get_it,
            without_receipt=self._without_receipt,
        )

    def _hand_over(self, job: PurchaseJob, receipt: Receipt | None, task: VideoTask) -> Any:
        """Return what the Airflow task is for: here, the clip's facts, with the clip in its place."""
        return job.deliver(receipt, task)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; whatever becomes of the wait, the clip is bought, unless it was to buy it or to find that out."""
        if next_method == SETTLED:
            return self.execute_settled(context)
        if next_method == IN_TURN:
            return self.execute_in_turn(context, (next_kwargs or {}).get("event"))
        operator = cast("BaseOperator", self)
        if next_method == "execute_complete":
            return resume(operator, next_method, next_kwargs, context, None)
        # The trigger broke, or Airflow's own time limit passed; what the task waited for decides what that means.
        with self._opened_job(context) as job:
            minimax_task_id = _published_id(context)
            if minimax_task_id is None and (billing := job.billing_without_id()):
                return resume_before_purchase(operator, next_method, next_kwargs, context, billing)
            job.minimax_task_id = minimax_task_id or job.recorded_id()
            with job.after_purchase(job.minimax_task_id):
                return resume(operator, next_method, next_kwargs, context, job.minimax_task_id)

    def on_kill(self) -> None:
        """Cancel what is still queued, if nobody else waits for it, and say what goes on."""
        job = self._job
        if job is None:
            return
        if job.is_submitting:
            self.log.warning(
                "Killed while a %s was being submitted: it may have been bought and may be billed.", self._product
            )
        elif job.cancel is not None:
            self.log.warning("%s", job.cancel())
        elif job.minimax_task_id:
            self.log.warning(
                "MiniMax task %s is not cancelled: it keeps running and will be billed. %s",
                job.minimax_task_id,
                self._get_it,
            )


def _outcome_of(event: Any) -> Outcome:
    """Read a trigger's event; what is wrong with the triggerer's connection does not end a purchase."""
    from airflow_provider_minimax.polling.poller import Outcome

    outcome = Outcome.from_event(event)
    return outcome if outcome.error is None else Outcome(outcome.task, after_purchase(outcome.error, "triggerer"))


def _id_of(outcome: Outcome) -> str | None:
    known = outcome.task or outcome.error
    return known.minimax_task_id if known else None


def _published_id(context: Context) -> str | None:
    """Return the id that this try pushed before it deferred; Airflow keeps it until the next try."""
    ti: Any = context["ti"]
    pushed = ti.xcom_pull(task_ids=ti.task_id, key="task_id", map_indexes=ti.map_index)
    return None if pushed is None else str(pushed)
