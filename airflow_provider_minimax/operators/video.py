"""The operators: buy a clip, and fetch one that was bought."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator

from airflow_provider_minimax.airflow_names import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    conf,
)
from airflow_provider_minimax.arguments import at_least_one, check_literals, is_literal, one_of, seconds
from airflow_provider_minimax.deferral import SAFETY_NET, resume
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxModerationError,
    MinimaxReceiptError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_minimax.api.pace import Outcome
    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.receipts.ledger import Ledger
    from airflow_provider_minimax.receipts.purchase import Buyer
    from airflow_provider_minimax.receipts.record import Receipt

_CONTENT = (
    "model",
    "prompt",
    "first_frame_image",
    "last_frame_image",
    "subject_reference",
    "duration",
    "resolution",
    "prompt_optimizer",
    "fast_pretreatment",
    "aigc_watermark",
    "callback_url",
    "extra_body",
)
_GET_IT = "Get it with MinimaxTaskSensor and MinimaxVideoDownloadOperator and this id, free of charge."
_MAY_HOLD_SECRETS = ("first_frame_image", "last_frame_image", "subject_reference", "callback_url", "extra_body")


class Discreet:
    """
    A rendered value that shows itself without images and signatures, in the UI's rendered fields and in logs.

    :param value: the value.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        from airflow_provider_minimax.api.redaction import redact

        return redact(self.value if isinstance(self.value, str) else json.dumps(self.value, default=str))

    __repr__ = __str__


class MinimaxVideoGenerationOperator(BaseOperator):
    """
    Buy one clip: submit a request, publish the remote task id, and if asked to, wait for the clip and fetch it.

    The id is pushed to XCom under the key ``task_id`` as soon as it is known. What is bought is written down in a
    receipt: next to the output (``clip.mp4.receipt.json``), and on Airflow 3.3 and later in the task state store. So a
    retry goes on with the clip that an earlier try bought, whatever that one died of, and never buys another.

    .. seealso:: :doc:`/howto/operator` and :doc:`/never-pay-twice`

    :param model: the model's name, e.g. ``MiniMax-Hailuo-2.3``, or a gateway's own name for it. Templated, like all
        fields down to ``extra_body``; field names and meanings are the API's.
    :param prompt: what to show, at most 2000 characters; camera moves go in brackets, e.g. ``[Push in]``.
    :param first_frame_image: the opening frame: a public URL, a ``data:image/…;base64,`` URL, or a path (local, or any
        that Airflow's object storage knows) that is read and checked. Below 20 MB, short side above 300 px.
    :param last_frame_image: the closing frame, likewise; ``MiniMax-Hailuo-02`` only.
    :param subject_reference: a face to keep, likewise, or the API's own list; ``S2V-01`` only.
    :param duration: length in seconds: 6 or 10, by model and resolution; the API's default is 6.
    :param resolution: ``512P``, ``720P``, ``768P`` or ``1080P``, by model; the API's default is 768P or 720P.
    :param prompt_optimizer: whether the platform may rewrite the prompt; the API's default is true.
    :param fast_pretreatment: shortens that rewriting; Hailuo models only.
    :param aigc_watermark: whether to mark the clip as made by a machine.
    :param callback_url: where the platform may post state changes; its receiver is yours, and is not needed here.
    :param extra_body: further fields of the request's body, sent as they are.
    :param minimax_conn_id: the connection. Templated.
    :param wait_for_completion: whether to wait for the clip; otherwise a :class:`MinimaxTaskSensor` does.
    :param deferrable: whether that wait is in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param output_path: where the clip shall land: a path or a ``file://`` URL. The receipt is kept next to it. Without
        ``wait_for_completion`` it is only the receipt's place; give the same to :class:`MinimaxVideoDownloadOperator`.
        Templated.
    :param overwrite: whether a file that is already there may be replaced, and so whether another run of the same
        request buys another clip. If not, a clip of the same request that is there already is taken as the result, and
        any other file is an error; in both cases nothing is bought.
    :param durable: whether to keep a receipt. Without one (also on Airflow before 3.3 without ``output_path``) every
        failure after the purchase is final, and a task whose worker dies buys again when it is retried.
    :param on_clear: what a person's clearing of the task means for a clip that is bought but not delivered:
        ``"resubmit"`` buys another, ``"reuse"`` goes on with it (needs ``output_path``, since Airflow 3.4 forgets what
        a cleared task had stored).
    :param on_orphaned_intent: what to do if an earlier try submitted and its answer was lost, so that a clip may have
        been bought: ``"fail"`` stops and says so, ``"resubmit"`` submits again.
    :param max_submissions: how many clips may be bought in all if the remote task fails for a reason that may pass,
        one a try; 1 buys none again by itself.
    :param poll_interval: seconds between looks, more than 0.
    :param timeout: seconds until the wait of each try ends, more than 0; the remote task goes on and is billed all the
        same. The task's ``execution_timeout`` ends it too, if that is shorter.
    :param validate: whether to check the request against the catalogue of models before paying.
    :return: the remote task id; with ``wait_for_completion`` a dict with ``task_id``, ``state``, ``file_id``,
        ``width``, ``height``, ``duration`` (each ``None`` where the platform does not tell), and with ``output_path``
        also ``output_path``, ``size`` in bytes and ``sha256``.
    :raises MinimaxRequestError: the request is invalid: literals are checked when the DAG is parsed, the rest before
        anything is sent.
    :raises MinimaxSubmissionUnknownError: no usable answer came, now or in an earlier try, so a clip may have been
        bought.
    :raises MinimaxReceiptError: the receipt cannot be read, or is that of another request; nothing was bought.
    :raises MinimaxReceiptStoreError: receipts cannot be kept just now; nothing was bought.
    """

    template_fields: Sequence[str] = (*_CONTENT, "output_path", "minimax_conn_id")
    template_fields_renderers = {"prompt": "md", "subject_reference": "json", "extra_body": "json"}  # noqa: RUF012 - Airflow reads it from the class
    ui_color = "#ffd0c4"

    def __init__(
        self,
        *,
        model: str,
        prompt: str | None = None,
        first_frame_image: str | None = None,
        last_frame_image: str | None = None,
        subject_reference: str | list[dict[str, Any]] | None = None,
        duration: int | str | None = None,
        resolution: str | None = None,
        prompt_optimizer: bool | str | None = None,
        fast_pretreatment: bool | str | None = None,
        aigc_watermark: bool | str | None = None,
        callback_url: str | None = None,
        extra_body: dict[str, Any] | None = None,
        minimax_conn_id: str = "minimax_default",
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        output_path: str | None = None,
        overwrite: bool = False,
        durable: bool = True,
        on_clear: Literal["resubmit", "reuse"] = "resubmit",
        on_orphaned_intent: Literal["fail", "resubmit"] = "fail",
        max_submissions: int = 1,
        poll_interval: timedelta | float = 10.0,
        timeout: timedelta | float = 1800.0,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.prompt = prompt
        self.first_frame_image = first_frame_image
        self.last_frame_image = last_frame_image
        self.subject_reference = subject_reference
        self.duration = duration
        self.resolution = resolution
        self.prompt_optimizer = prompt_optimizer
        self.fast_pretreatment = fast_pretreatment
        self.aigc_watermark = aigc_watermark
        self.callback_url = callback_url
        self.extra_body = extra_body
        self.minimax_conn_id = minimax_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.output_path = output_path
        self.overwrite = overwrite
        self.durable = durable
        self.on_clear = one_of("on_clear", on_clear, ("resubmit", "reuse"))
        self.on_orphaned_intent = one_of("on_orphaned_intent", on_orphaned_intent, ("fail", "resubmit"))
        self.max_submissions = at_least_one("max_submissions", max_submissions)
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.validate = validate
        self._minimax_task_id: str | None = None
        self._is_submitting = False
        if on_clear == "reuse" and (output_path is None or not durable):
            raise MinimaxRequestError(
                "on_clear='reuse': needs output_path and durable=True: the receipt next to the output is all that "
                "outlives a clear on every version of Airflow",
                money=NOTHING_BOUGHT,
            )
        if validate:
            check_literals(self._content())

    def _content(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _CONTENT}
        return {name: value.value if isinstance(value, Discreet) else value for name, value in values.items()}

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        super()._do_render_template_fields(parent, *args, **kwargs)
        # What is rendered is stored and shown by Airflow: images in full, and URLs with their signatures.
        for name in _MAY_HOLD_SECRETS if parent is self else ():
            if (value := getattr(self, name)) is not None and not isinstance(value, Discreet):
                setattr(self, name, Discreet(value))

    def _hook(self) -> MinimaxHook:
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        return MinimaxHook(self.minimax_conn_id)

    def execute(self, context: Context) -> Any:
        """Buy the clip unless that was done, then wait for it as asked."""
        from airflow_provider_minimax.api.request import VideoRequest
        from airflow_provider_minimax.delivery import facts_of
        from airflow_provider_minimax.receipts.decision import Done
        from airflow_provider_minimax.receipts.purchase import Bought

        request = VideoRequest.of(self._content())
        path = self._path()
        with closing(self._hook()) as hook:
            ready = hook.prepare(request, validate=self.validate)
            held = self._buyer(context, hook, ready, path).obtain(lambda: self._submit(hook, ready))
            minimax_task_id = self._minimax_task_id = str(held.receipt.minimax_task_id)
            with self._bought(context, minimax_task_id) as ledger:
                if self.do_xcom_push:
                    context["ti"].xcom_push(key="task_id", value=minimax_task_id)
                if not self.wait_for_completion:
                    return minimax_task_id
                if isinstance(held, Done):
                    return facts_of(held.receipt)
                outcome = None if isinstance(held, Bought) else self._look_first(hook, minimax_task_id)
                deadline = time.time() + self._patience()
                if outcome is None and self.deferrable:
                    self._defer(minimax_task_id, deadline)
                return self._conclude(hook, ledger, outcome or self._wait(hook, minimax_task_id, deadline))

    def _ledger(self, context: Context) -> Ledger:
        from airflow_provider_minimax.receipts.ledger import Ledger
        from airflow_provider_minimax.receipts.of_task import ledger_of

        return ledger_of(context, self._path(), self.log) if self.durable else Ledger((), log=self.log)

    def _buyer(self, context: Context, hook: MinimaxHook, request: VideoRequest, path: Path | None) -> Buyer:
        from airflow_provider_minimax.delivery import look_at
        from airflow_provider_minimax.receipts.decision import Policy
        from airflow_provider_minimax.receipts.of_task import order_of
        from airflow_provider_minimax.receipts.purchase import Buyer

        ledger = self._ledger(context)
        if self.durable and not ledger.keeps and self.retries:
            self.log.warning(
                "This Airflow cannot keep a receipt for a task without output_path, so a retry after the death of the "
                "worker would buy again. Set output_path, or retries=0."
            )
        order = order_of(context, request, hook.account(), path)
        policy = Policy(self.on_clear, self.on_orphaned_intent, self.max_submissions, self.overwrite)
        return Buyer(ledger, order, policy, look_at(path), log=self.log)

    def _submit(self, hook: MinimaxHook, request: VideoRequest) -> str:
        self._is_submitting = True
        try:
            return hook.submit(request, validate=False)
        except AirflowTaskTimeout as error:
            raise MinimaxSubmissionUnknownError(
                f"the execution_timeout of {self.execution_timeout} passed while the submission was under way",
                money="A clip may have been bought and may be billed.",
                hint="Look at the platform's console before running this task again, and give it more time.",
            ) from error
        finally:
            self._is_submitting = False

    def _look_first(self, hook: MinimaxHook, minimax_task_id: str) -> Outcome | None:
        """Look at a task that was bought before: it may be over long since."""
        from airflow_provider_minimax.api.pace import Outcome, settle
        from airflow_provider_minimax.hooks.minimax import look

        try:
            return settle(look(hook, minimax_task_id))
        except MinimaxError as error:
            if error.is_final:
                return Outcome(None, error)
            self.log.warning("The first look failed, looking on: %s", error)
            return None

    def _patience(self) -> float:
        limit: timedelta | None = self.execution_timeout
        return self.timeout if limit is None else min(self.timeout, limit.total_seconds())

    def _defer(self, minimax_task_id: str, deadline: float) -> None:
        from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

        self.defer(
            trigger=MinimaxTaskTrigger(
                minimax_task_id=minimax_task_id,
                minimax_conn_id=self.minimax_conn_id,
                deadline=deadline,
                poll_interval=self.poll_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self._patience() + SAFETY_NET),
        )

    def _wait(self, hook: MinimaxHook, minimax_task_id: str, deadline: float) -> Outcome:
        from airflow_provider_minimax.api.pace import Pace, Wait, Watch
        from airflow_provider_minimax.hooks.minimax import look

        watch = Watch(minimax_task_id, deadline=deadline, pace=Pace(self.poll_interval))
        step: Wait | Outcome = watch.start(time.time())
        while isinstance(step, Wait):
            if step.note:
                self.log.log(logging.WARNING if step.warn else logging.INFO, "%s", step.note)
            time.sleep(step.seconds)
            try:
                seen: VideoTask | MinimaxError = look(hook, minimax_task_id)
            except MinimaxError as error:
                seen = error
            step = watch.after(seen, time.time())
        return step

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Turn the trigger's event into the result, and fetch the clip if asked to."""
        from airflow_provider_minimax.api.pace import Outcome

        outcome = Outcome.of_event(event)
        with closing(self._hook()) as hook:
            return self._conclude(hook, self._ledger(context), outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; whatever becomes of the wait, the clip is bought."""
        minimax_task_id = _id_of_event(next_kwargs) or _pushed_id(context) or self._recorded_id(context)
        self._minimax_task_id = minimax_task_id
        with self._bought(context, minimax_task_id):
            return resume(self, next_method, next_kwargs, context, minimax_task_id)

    def _recorded_id(self, context: Context) -> str | None:
        receipt = self._ledger(context).read_if_possible()
        return receipt.minimax_task_id if receipt else None

    def _conclude(self, hook: MinimaxHook, ledger: Ledger, outcome: Outcome) -> dict[str, Any]:
        from airflow_provider_minimax.delivery import land

        receipt = ledger.read_of(self._minimax_task_id)
        if receipt is not None and isinstance(outcome.error, MinimaxTaskFailedError | MinimaxModerationError):
            self._written_off(ledger, receipt, outcome.error)
        task = outcome.result()
        self.log.info("MiniMax task %s: %s", task.minimax_task_id, task.status)
        path = self._path()
        if path is None:
            return task.as_result()
        return land(hook, task, path, ledger, receipt, overwrite=self.overwrite, log=self.log)

    def _written_off(self, ledger: Ledger, receipt: Receipt, error: MinimaxError) -> None:
        """Write down that there is no clip, and let Airflow retry if that may buy another."""
        from airflow_provider_minimax.receipts.decision import may_pass

        ledger.keep(receipt.failed(error))
        if may_pass(error) and receipt.submissions < self.max_submissions:
            raise AirflowException(
                f"{error} A retry buys another: purchase {receipt.submissions + 1} of at most {self.max_submissions}."
            ) from error

    def _path(self) -> Path | None:
        from airflow_provider_minimax.delivery import local_output

        return None if self.output_path is None else local_output(self.output_path)

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
            if isinstance(error, AirflowFailException | AirflowSensorTimeout):
                raise
            if minimax_task_id and ledger and ledger.read_of(minimax_task_id):
                self.log.warning(
                    "MiniMax task %s is in the receipt: a retry goes on from there (%s).", minimax_task_id, ledger.where
                )
                raise
            from airflow_provider_minimax.api.redaction import redact

            what = str(error) if isinstance(error, AirflowException) else redact(f"{type(error).__name__}: {error}.")
            raise AirflowFailException(
                f"{what} This task does not retry, because the clip is bought already (task {minimax_task_id}) and a "
                f"retry would buy another. {_GET_IT}"
            ) from error

    def on_kill(self) -> None:
        """Say what goes on: this API has no way to cancel a task."""
        if self._is_submitting:
            self.log.warning("Killed while a clip was being submitted: it may have been bought and may be billed.")
        elif self._minimax_task_id:
            self.log.warning(
                "MiniMax task %s goes on and will be billed: the API cannot cancel it. %s",
                self._minimax_task_id,
                _GET_IT,
            )


def _id_of_event(next_kwargs: dict[str, Any] | None) -> str | None:
    """Return the id that the trigger's event is about, if it sent one that we understand."""
    from airflow_provider_minimax.api.pace import Outcome

    outcome = Outcome.of_event((next_kwargs or {}).get("event"))
    known = outcome.task or outcome.error
    return known.minimax_task_id if known else None


def _pushed_id(context: Context) -> str | None:
    """Return the id that this try pushed before it deferred; Airflow keeps it until the next try."""
    ti: Any = context["ti"]
    pushed = ti.xcom_pull(task_ids=ti.task_id, key="task_id", map_indexes=ti.map_index)
    return None if pushed is None else str(pushed)


class MinimaxVideoDownloadOperator(BaseOperator):
    """
    Fetch a finished clip to a local file. It buys nothing, so it may be retried; it fetches nothing twice either.

    .. seealso:: :doc:`/howto/operator`

    :param minimax_task_id: the remote task whose clip to fetch. Templated.
    :param file_id: the clip's file instead, on platforms that have file ids. Templated.
    :param output_path: where the clip shall land: a path or a ``file://`` URL; its receipt is kept next to it.
        Templated.
    :param overwrite: whether a file that is already there, and is not this clip, may be replaced.
    :param minimax_conn_id: the connection that the clip was bought through. Templated.
    :return: a dict with ``task_id``, ``state``, ``file_id``, ``width``, ``height``, ``duration`` (each ``None`` where
        the platform does not tell), ``output_path``, ``size`` in bytes and ``sha256``.
    :raises MinimaxRequestError: not exactly one of the ids, or an ``output_path`` that cannot be written.
    :raises MinimaxReceiptError: the output is the place of another clip that is still to come.
    :raises MinimaxDownloadError: the clip could not be fetched whole.
    """

    template_fields: Sequence[str] = ("minimax_task_id", "file_id", "output_path", "minimax_conn_id")
    ui_color = "#fff0c4"

    def __init__(
        self,
        *,
        output_path: str,
        minimax_task_id: str | None = None,
        file_id: str | None = None,
        overwrite: bool = False,
        minimax_conn_id: str = "minimax_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.minimax_task_id = minimax_task_id
        self.file_id = file_id
        self.output_path = output_path
        self.overwrite = overwrite
        self.minimax_conn_id = minimax_conn_id
        if (minimax_task_id is None) == (file_id is None):
            raise MinimaxRequestError(
                f"minimax_task_id={minimax_task_id!r} and file_id={file_id!r}: give exactly one of them",
                money=NOTHING_BOUGHT,
            )
        for name, value in (("minimax_task_id", minimax_task_id), ("file_id", file_id), ("output_path", output_path)):
            if value is not None and is_literal(value) and not str(value).strip():
                raise MinimaxRequestError(f"{name}={value!r}: must not be empty", money=NOTHING_BOUGHT)

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch the clip, unless that was done."""
        from airflow_provider_minimax.api.task import TaskState, VideoTask
        from airflow_provider_minimax.delivery import facts_of, land, local_output, look_at
        from airflow_provider_minimax.hooks.minimax import MinimaxHook
        from airflow_provider_minimax.receipts.decision import Clip
        from airflow_provider_minimax.receipts.homes import SidecarHome
        from airflow_provider_minimax.receipts.ledger import Ledger
        from airflow_provider_minimax.receipts.of_task import receipt_of_fetched
        from airflow_provider_minimax.receipts.purchase import now
        from airflow_provider_minimax.receipts.record import Phase

        path = local_output(self.output_path)
        ledger = Ledger([SidecarHome(str(path))], log=self.log)
        found = ledger.read()
        own = found if found is not None and self._is_of_this_clip(found) else None
        if own is not None and look_at(path)(own.sha256) is Clip.FITS:
            self.log.info("The clip is whole and in its place, so nothing is fetched: %s", path)
            if own.phase is not Phase.DELIVERED:
                # An earlier try put it there, and died before it could write that down.
                ledger.keep(own.delivered(now()))
            return facts_of(own)
        with closing(MinimaxHook(self.minimax_conn_id)) as hook:
            if self.file_id is not None:
                # A file may be fetched without its task being known.
                task = VideoTask("", TaskState.SUCCEEDED, file_id=str(self.file_id))
            else:
                task = hook.get_task(self.minimax_task_id or "")
            receipt = own or receipt_of_fetched(context, task, hook.account())
            return land(hook, task, path, ledger, receipt, overwrite=self.overwrite, log=self.log, instead_of=found)

    def _is_of_this_clip(self, found: Receipt) -> bool:
        """Whether a receipt at the output's place is that of the clip to fetch; stop if it is of one still to come."""
        from airflow_provider_minimax.receipts.record import Phase

        if self.file_id is not None:
            same = (found.facts or {}).get("file_id") == str(self.file_id)
        else:
            same = found.minimax_task_id == str(self.minimax_task_id)
        if found.phase is Phase.SUBMITTED and not same:
            raise MinimaxReceiptError(
                f"output_path={self.output_path!r}: is where the clip of task {found.minimax_task_id}, bought for "
                f"{found.owner}, will land; give another path",
                money=NOTHING_BOUGHT,
            )
        return same and found.phase is not Phase.FAILED
