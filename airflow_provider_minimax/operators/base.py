"""
The base of the operators that buy: what an author may choose, and how Airflow calls them.

What happens in between is :class:`~airflow_provider_minimax.jobs.job.PurchaseJob`'s.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_minimax.options import (
    DeliveryOptions,
    PurchaseOptions,
    WaitOptions,
    check_adoption,
    check_changed,
    check_output_path,
    invalid_option,
)
from airflow_provider_minimax.paths import as_text
from airflow_provider_minimax.version_compat import conf

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.delivery.assets import ClipAsset
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.jobs.job import PurchaseJob
    from airflow_provider_minimax.options import Check, OnClear, OnOrphanedIntent, Overwrite
    from airflow_provider_minimax.paths import AnyPath
    from airflow_provider_minimax.polling.poller import Outcome
    from airflow_provider_minimax.purchases.receipt import Receipt
    from airflow_provider_minimax.purchases.slots import SubmissionSlot


class PurchaseOperator(BaseOperator):
    """
    The options of all operators that buy. A subclass adds the fields of its request.

    :param minimax_conn_id: the connection. Templated.
    :param wait_for_completion: whether to wait for the clip; by default, if there is an ``output_path``. Otherwise a
        :class:`~airflow_provider_minimax.sensors.video.MinimaxTaskSensor` does.
    :param deferrable: whether that wait, and the one for a submission slot if the connection has a
        ``rate_limit_per_minute`` or the platform refused, is in the triggerer, without a worker slot; by default what
        Airflow's option ``[operators] default_deferrable`` says.
    :param output_path: where to put the clip: a path, or any URL that Airflow's object storage knows, such as
        ``s3://my_aws_conn@bucket/clips/boat.mp4``. One that ends with a slash is a folder, in which the clip gets a
        name of its own, made of dag, run, task and map index. The receipt is kept next to it. With
        ``wait_for_completion=False`` it only says where the receipt goes; give the same (it is pushed to XCom under the
        key ``output_path``) to the :class:`~airflow_provider_minimax.sensors.video.MinimaxTaskSensor` or the
        :class:`~airflow_provider_minimax.operators.video.MinimaxVideoDownloadOperator`. Templated.
    :param overwrite: whether a file that is already there may be replaced. ``False``: a clip of the same request that
        is there already is the result, and any other file is an error; in both cases nothing is bought. ``"changed"``:
        likewise, but a request that differs from the one in the receipt buys a clip that replaces the delivered one,
        such as that of a product whose row in a catalogue has changed. ``True``: every run buys a clip and replaces
        whatever is there.
    :param check: how closely to examine the clip before it is delivered: ``"none"``: that it is a whole MP4;
        ``"basic"``: also that it opens, and that size and length are what was asked for; ``"full"``: also that every
        picture can be decoded, and that they are not all black or all the same. A clip that fails is kept as
        ``boat.rejected.mp4``, and no other is bought. Needs the extra ``[media]``.
    :param preview: whether to make a poster frame and a contact sheet next to the clip. Needs the extra ``[media]``.
    :param durable: whether to keep a receipt. Without one (also on Airflow before 3.3 without ``output_path``) every
        failure after the purchase is final, and a task whose worker dies buys again when it is retried.
    :param on_clear: what clearing the task does about a clip that is bought but not delivered: ``"reuse"`` continues
        with it, wherever a receipt of it survives (Airflow 3.4 drops what a cleared task had stored, so without
        ``output_path`` none does), unless the request has changed; ``"resubmit"`` buys another.
    :param on_orphaned_intent: what to do if an earlier try submitted and its answer was lost, so that a clip may have
        been bought, and the platform posted nothing of it to ``callback_url="auto"`` either: ``"fail"`` stops and says
        so, ``"resubmit"`` submits again. ``"adopt"``, H3 only, asks the platform's list for a minute: if exactly one
        task can be it, that task is used; if there is none, nothing was bought and the request is submitted again; if
        there may be several, it stops and names them. The list shows no prompts: see :ref:`adopting`.
    :param max_submissions: how many clips may be bought in all if the remote task fails for a reason that may pass,
        one a try; 1 buys none again by itself.
    :param poll_interval: seconds between status checks, more than 0. By default they are rare before the clip can be
        done, and most frequent when it is likely to be: about every ten seconds, and that often for a model whose times
        are unknown.
    :param timeout: seconds until the wait of each try ends, more than 0; the remote task keeps running and is billed
        all the same. The task's ``execution_timeout`` ends it too, if that is shorter. A wait for a submission slot may
        take as long.
    :param cancel_on_timeout: whether to cancel the remote task when the wait timed out, if it is still queued, which is
        free of charge; H3 only. One that is being made keeps running in either case. When the Airflow task is killed,
        cleared or marked during the wait, that is done in any case, unless ``on_clear`` is ``"reuse"``.
    :param validate: whether to check the request against the catalogue of models before paying.
    """

    _content_fields: ClassVar[tuple[str, ...]] = ()
    """The parameters that make up the request."""
    _picture_fields: ClassVar[tuple[str, ...]] = ()
    """Those of them that are pictures or clips, for lineage."""
    _secret_fields: ClassVar[tuple[str, ...]] = ()
    """Those of them that may hold what Airflow must neither store nor show."""
    _asks_for_clip: ClassVar[bool] = False
    """Whether they are those of a :class:`~airflow_provider_minimax.api.request.VideoRequest`."""

    product_name: ClassVar[str] = "clip"
    how_to_get_it: ClassVar[str] = (
        "Get it with MinimaxTaskSensor and MinimaxVideoDownloadOperator and this id, free of charge."
    )
    without_receipt: ClassVar[str] = "Set output_path, or retries=0."

    buys_clips: ClassVar[bool] = True
    """Marks the tasks of a DAG that buy."""

    minimax_conn_id: str
    wait_for_completion: bool
    deferrable: bool
    output_path: AnyPath | None
    overwrite: Overwrite
    check: Check
    preview: bool
    durable: bool
    on_clear: OnClear
    on_orphaned_intent: OnOrphanedIntent
    max_submissions: int
    poll_interval: timedelta | float | None
    timeout: timedelta | float
    cancel_on_timeout: bool
    validate: bool

    _job: PurchaseJob | None = None
    _prompt_is_lost: bool = False
    _written_path: str | None = None
    """``output_path`` as the author wrote it; nothing of one that came from another task, ``None`` before rendering."""
    _delivered: ClipAsset | None = None

    def __init__(
        self,
        *,
        minimax_conn_id: str = "minimax_default",
        wait_for_completion: bool | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        output_path: AnyPath | None = None,
        overwrite: Overwrite = False,
        check: Check = "none",
        preview: bool = False,
        durable: bool = True,
        on_clear: OnClear = "reuse",
        on_orphaned_intent: OnOrphanedIntent = "fail",
        max_submissions: int = 1,
        poll_interval: timedelta | float | None = None,
        timeout: timedelta | float = 1800.0,
        cancel_on_timeout: bool = False,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Not one by one: Airflow's __setattr__ would take longer for them than all checks do.
        vars(self).update(
            minimax_conn_id=minimax_conn_id,
            # Who names a destination for the clip wants it there.
            wait_for_completion=output_path is not None if wait_for_completion is None else wait_for_completion,
            deferrable=deferrable,
            output_path=output_path,
            overwrite=overwrite,
            check=check,
            preview=preview,
            durable=durable,
            on_clear=on_clear,
            on_orphaned_intent=on_orphaned_intent,
            max_submissions=max_submissions,
            poll_interval=poll_interval,
            timeout=timeout,
            cancel_on_timeout=cancel_on_timeout,
            validate=validate,
        )
        # Made for their checks; what is rendered is read when it is needed.
        self._wait_options()
        check_changed(self._delivery_options(), self._purchase_options())
        check_output_path(output_path)

    def _set_content(self, **content: Any) -> None:
        """Set the fields of the request, and check those that are known when the DAG is parsed."""
        # As in the constructor, not one by one.
        vars(self).update(content)
        if self.on_orphaned_intent == "adopt":
            check_adoption(content["model"])
        if self.validate:
            from airflow_provider_minimax.operators.literals import check_literals

            check_literals(content, self._request_class, is_clip=self._asks_for_clip)

    def _purchase_options(self) -> PurchaseOptions:
        return PurchaseOptions(
            durable=self.durable,
            on_clear=self.on_clear,
            on_orphaned_intent=self.on_orphaned_intent,
            max_submissions=self.max_submissions,
            validate=self.validate,
        )

    def _wait_options(self) -> WaitOptions:
        return WaitOptions(
            wait_for_completion=self.wait_for_completion,
            deferrable=self.deferrable,
            poll_interval=self.poll_interval,
            timeout=self.timeout,
            cancel_on_timeout=self.cancel_on_timeout,
        )

    def _delivery_options(self) -> DeliveryOptions:
        return DeliveryOptions(
            output_path=self.output_path,
            overwrite=self.overwrite,
            check=self.check,
            preview=self.preview,
            delivers=self.wait_for_completion,
            written_path=self._written_path,
        )

    # -- what is bought ------------------------------------------------------------------------------------------------

    def _request_class(self) -> type[PaidRequest]:
        """Return the kind of request that the fields make up; imported only when it is needed."""
        raise NotImplementedError

    def make_request(self) -> PaidRequest:
        """Return what to ask for."""
        return self._request_class().of(self._content())

    def pictures(self) -> tuple[str, ...]:
        """Return where the pictures came from that go into the request, for lineage."""
        given = self._content()
        values = [given[name] for name in self._picture_fields]
        lists = [value if isinstance(value, list | tuple) else [value] for value in values]
        sources = [as_text(source) for listed in lists for source in listed]
        return tuple(source for source in sources if isinstance(source, str))

    def result_of(self, job: PurchaseJob, receipt: Receipt | None, task: VideoTask) -> Any:
        """Return what the Airflow task is for: here, the clip's facts, with the clip delivered."""
        return job.deliver(receipt, task)

    @property
    def publishes(self) -> bool:
        """Whether XComs are pushed before the wait."""
        return self.do_xcom_push

    def publish(self, context: Context, values: Mapping[str, Any]) -> None:
        """Push XComs before the wait, so that another task may wait for the clip."""
        if self.publishes:
            ti: Any = context["ti"]
            for key, value in values.items():
                ti.xcom_push(key=key, value=value)

    def _content(self) -> dict[str, Any]:
        """Return the parameters that make up the request."""
        from airflow_provider_minimax.operators.redacted import Redacted

        values = {name: getattr(self, name) for name in self._content_fields}
        if self._prompt_is_lost:
            raise invalid_option(
                "prompt: its template became None, so there is nothing to show; a value that it names is not there"
            )
        return {name: value.value if isinstance(value, Redacted) else value for name, value in values.items()}

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        from airflow_provider_minimax.delivery.operator import render_template_fields
        from airflow_provider_minimax.operators.redacted import Redacted

        had_prompt = getattr(self, "prompt", None) is not None
        render = super()._do_render_template_fields
        render_template_fields(self, render, parent, template_fields, context, jinja_env, seen_oids)
        # A clip of pictures can be bought without a prompt, but not instead of one with it.
        self._prompt_is_lost = parent is self and had_prompt and getattr(self, "prompt", None) is None
        # What is rendered is stored and shown by Airflow: images in full, and URLs with their signatures.
        for name in self._secret_fields if parent is self else ():
            if (value := getattr(self, name)) is not None and not isinstance(value, Redacted):
                setattr(self, name, Redacted(value))

    # -- how Airflow calls it ------------------------------------------------------------------------------------------

    def execute(self, context: Context) -> Any:
        """Buy the clip unless that was done, then wait for it as the options say."""
        return self._run(context)

    def execute_in_turn(self, context: Context, event: Any) -> Any:
        """Do the same once this task has a submission slot, or say why it got none."""
        from airflow_provider_minimax.purchases.slots import SubmissionSlot

        slot = SubmissionSlot.from_event(event)
        self.log.info("Submission slot granted after %.0f s.", time.time() - slot.asked_at)
        return self._run(context, slot)

    def execute_settled(self, context: Context, event: Any = None) -> Any:
        """Do the same once the platform's list may show more of a submission without an answer."""
        return self._run(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Turn the trigger's event into the result, and deliver the clip if the options say so."""
        with self._opened_job(context) as job:
            outcome = _outcome_of(event)
            job.minimax_task_id = _id_of(outcome) or _published_id(context) or job.recorded_id()
            with job.after_purchase(job.minimax_task_id):
                return job.finish(outcome)

    def _run(self, context: Context, slot: SubmissionSlot | None = None) -> Any:
        from airflow_provider_minimax.purchases.deferral import Deferral
        from airflow_provider_minimax.triggers.deferring import defer

        with self._opened_job(context, slot) as job:
            result = job.run()
        return defer(self, result) if isinstance(result, Deferral) else result

    @contextmanager
    def _opened_job(self, context: Context, slot: SubmissionSlot | None = None) -> Iterator[PurchaseJob]:
        from airflow_provider_minimax.jobs.job import PurchaseJob

        job = self._job = PurchaseJob(
            self._hook(),
            self,
            context,
            purchase=self._purchase_options(),
            wait=self._wait_options(),
            delivery=self._delivery_options(),
            task=self,
            slot=slot,
            log=self.log,
        )
        with closing(job):
            try:
                yield job
            finally:
                self._delivered = job.delivered

    def _hook(self) -> MinimaxHook:
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        return MinimaxHook(self.minimax_conn_id)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; whatever becomes of the wait, the clip is bought, unless it was to buy it or to find that out."""
        from airflow_provider_minimax.polling import deferral
        from airflow_provider_minimax.purchases.deferral import IN_TURN, SETTLED

        if next_method == SETTLED:
            return self.execute_settled(context)
        if next_method == IN_TURN:
            return self.execute_in_turn(context, (next_kwargs or {}).get("event"))
        if next_method == "execute_complete":
            return deferral.resume(self, next_method, next_kwargs, context, None)
        # The trigger broke, or Airflow's own time limit passed; what the task waited for decides what that means.
        with self._opened_job(context) as job:
            minimax_task_id = _published_id(context)
            if minimax_task_id is None and (billing := job.billing_without_id()):
                return deferral.resume_before_purchase(self, next_method, next_kwargs, context, billing)
            job.minimax_task_id = minimax_task_id or job.recorded_id()
            with job.after_purchase(job.minimax_task_id):
                return deferral.resume(self, next_method, next_kwargs, context, job.minimax_task_id)

    def on_kill(self) -> None:
        """Cancel what is still queued, if nobody else waits for it, and say what keeps running."""
        if self._job is not None and (note := self._job.end_killed()):
            self.log.warning("%s", note)

    @property
    def operator_extra_links(self) -> Collection[BaseOperatorLink]:  # type: ignore[override]
        """Links of the task in the UI."""
        from airflow_provider_minimax.delivery.operator import clip_links

        return clip_links()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Return the clip's lineage, for Airflow's OpenLineage provider, which calls this at the end of the task."""
        from airflow_provider_minimax.delivery.operator import lineage_on_complete

        return lineage_on_complete(self)


def _outcome_of(event: Any) -> Outcome:
    """Read a trigger's event; what is wrong with the triggerer's connection does not end a purchase."""
    from airflow_provider_minimax.exceptions import after_purchase
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
