"""The operators: buy a clip, and fetch one that was bought."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
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
from airflow_provider_minimax.arguments import (
    API_VERSIONS,
    at_least_one,
    check_delivery,
    check_literals,
    checked_id,
    is_literal,
    one_of,
    seconds,
)
from airflow_provider_minimax.deferral import SAFETY_NET, resume
from airflow_provider_minimax.delivers import DeliversClips
from airflow_provider_minimax.discreet import Discreet
from airflow_provider_minimax.exceptions import (
    CANCELLED,
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxModerationError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    MinimaxTaskTimeoutError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.pace import Outcome
    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.delivery.places import Place
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.receipts.decision import Done, Resume
    from airflow_provider_minimax.receipts.ledger import Ledger
    from airflow_provider_minimax.receipts.purchase import Bought, Buyer
    from airflow_provider_minimax.receipts.record import Receipt

_CONTENT = (
    "model",
    "prompt",
    "first_frame_image",
    "last_frame_image",
    "subject_reference",
    "reference_images",
    "reference_videos",
    "reference_audios",
    "duration",
    "resolution",
    "ratio",
    "prompt_optimizer",
    "fast_pretreatment",
    "aigc_watermark",
    "callback_url",
    "extra",
    "extra_body",
)
_PICTURES = ("first_frame_image", "last_frame_image", "subject_reference", "reference_images")
_GET_IT = "Get it with MinimaxTaskSensor and MinimaxVideoDownloadOperator and this id, free of charge."
_MAY_HOLD_SECRETS = (*_PICTURES, "reference_videos", "reference_audios", "callback_url", "extra_body")


class MinimaxVideoGenerationOperator(DeliversClips, BaseOperator):
    """
    Buy one clip: submit a request, publish the remote task id, and if asked to, wait for the clip and fetch it.

    The id is pushed to XCom under the key ``task_id`` as soon as it is known. What is bought is written down in a
    receipt: next to the output (``clip.mp4.receipt.json``), and on Airflow 3.3 and later in the task state store. So a
    retry goes on with the clip that an earlier try bought, whatever that one died of, and never buys another.

    .. seealso:: :doc:`/howto/operator` and :doc:`/never-pay-twice`

    "H3" below stands for ``MiniMax-H3`` and its kin, which are on the second version of MiniMax's API; the model
    decides which version it is, and nothing else has to be said. The version is pushed to XCom under the key
    ``api_version``.

    :param model: the model's name, e.g. ``MiniMax-Hailuo-2.3`` or ``MiniMax-H3``, or a gateway's own name for it.
        Templated, like all fields down to ``extra_body``; field names and meanings are the API's.
    :param prompt: what to show, at most 2000 characters (H3: 7000, and always needed); for Hailuo models camera moves
        go in brackets, e.g. ``[Push in]``.
    :param first_frame_image: the opening frame: a public URL, a ``data:image/…;base64,`` URL, or a path (local, or any
        that Airflow's object storage knows) that is read and checked. Below 20 MB, short side above 300 px; for H3 up
        to 30 MB and from 256 to 5760 px, or ``mm_file://{file_id}``, a file that was uploaded before.
    :param last_frame_image: the closing frame, likewise; ``MiniMax-Hailuo-02`` and H3 only.
    :param subject_reference: a face to keep, likewise, or the API's own list; ``S2V-01`` only.
    :param reference_images: up to 9 pictures to go by, each like ``first_frame_image``. H3 only, as are the next two;
        not together with frames, and not more than 12 of all three kinds.
    :param reference_videos: up to 3 videos to go by, 2 to 15 s long and 15 s together: public URLs,
        ``mm_file://{file_id}``, ``data:video/mp4;base64,`` URLs, or paths that are read. MP4 or MOV, up to 50 MB.
    :param reference_audios: up to 3 sounds to go by, likewise; WAV or MP3, up to 15 MB; never the only references.
    :param duration: length in seconds: 6 or 10, by model and resolution, and by default 6; for H3 from 4 or 5 to 15,
        and always needed.
    :param resolution: ``512P``, ``720P``, ``768P`` or ``1080P``, by model, and by default 768P or 720P; for H3
        ``480P``, ``768P`` or ``2K``, and always needed.
    :param ratio: width to height, H3 only: ``21:9``, ``16:9``, ``4:3``, ``1:1``, ``3:4`` or ``9:16``, needed for text
        alone; or ``adaptive``, the default wherever there are pictures to go by.
    :param prompt_optimizer: whether the platform may rewrite the prompt; the API's default is true.
    :param fast_pretreatment: shortens that rewriting; Hailuo models only.
    :param aigc_watermark: whether to mark the clip as made by a machine.
    :param callback_url: where the platform may post state changes; its receiver is yours, and is not needed here.
    :param extra: further wishes; ``MiniMax-H3-Max`` only: ``prompt_expansion_mode`` is ``disabled``, ``balanced`` or
        ``quality``.
    :param extra_body: further fields of the request's body, sent as they are.
    :param minimax_conn_id: the connection. Templated.
    :param wait_for_completion: whether to wait for the clip; otherwise a :class:`MinimaxTaskSensor` does.
    :param deferrable: whether that wait is in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param output_path: where the clip shall land: a path, or any URL that Airflow's object storage knows, such as
        ``s3://my_aws_conn@bucket/clips/boat.mp4``. One that ends with a slash is a folder, in which the clip gets a
        name of its own, made of dag, run, task and map index. The receipt is kept next to it. Without
        ``wait_for_completion`` it is only the receipt's place; give the same (it is pushed to XCom under the key
        ``output_path``) to the :class:`~airflow_provider_minimax.sensors.video.MinimaxTaskSensor` or the
        :class:`MinimaxVideoDownloadOperator`. Templated.
    :param overwrite: whether a file that is already there may be replaced, and so whether another run of the same
        request buys another clip. If not, a clip of the same request that is there already is taken as the result, and
        any other file is an error; in both cases nothing is bought.
    :param check: how closely to look at the clip before it is put in its place: ``"none"``: that it is a whole MP4;
        ``"basic"``: also that it opens, and that size and length are what was asked for; ``"full"``: also that every
        picture can be decoded, and that they are not all black or all the same. A clip that fails is kept aside, as
        ``boat.rejected.mp4``, and no other is bought. Needs the extra ``[media]``.
    :param preview: whether to make a poster frame and a contact sheet next to the clip. Needs the extra ``[media]``.
    :param durable: whether to keep a receipt. Without one (also on Airflow before 3.3 without ``output_path``) every
        failure after the purchase is final, and a task whose worker dies buys again when it is retried.
    :param on_clear: what a person's clearing of the task means for a clip that is bought but not delivered:
        ``"resubmit"`` buys another, ``"reuse"`` goes on with it (needs ``output_path``, since Airflow 3.4 forgets what
        a cleared task had stored).
    :param on_orphaned_intent: what to do if an earlier try submitted and its answer was lost, so that a clip may have
        been bought: ``"fail"`` stops and says so, ``"resubmit"`` submits again.
    :param max_submissions: how many clips may be bought in all if the remote task fails for a reason that may pass,
        one a try; 1 buys none again by itself.
    :param poll_interval: seconds between looks, more than 0. By default looks are rare before the clip can be done, and
        most frequent when it is likely to be: about every ten seconds, and so many for a model whose times are unknown.
    :param timeout: seconds until the wait of each try ends, more than 0; the remote task goes on and is billed all the
        same. The task's ``execution_timeout`` ends it too, if that is shorter.
    :param cancel_on_timeout: whether to cancel the remote task when the wait timed out, if it is still queued, which is
        free of charge; H3 only. One that is being made goes on in either case. When the Airflow task is killed, cleared
        or marked during the wait, that is done anyhow, unless ``on_clear`` is ``"reuse"``.
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
    :raises MinimaxStorageError: the clip's place cannot be written just now; it is tried before anything is bought.
    :raises MinimaxDownloadError: the clip could not be fetched whole; a retry goes on from where it broke.
    :raises MinimaxClipRejectedError: the clip is not what was asked for, by ``check``.
    """

    template_fields: Sequence[str] = (*_CONTENT, "output_path", "minimax_conn_id")
    template_fields_renderers = {"prompt": "md", "subject_reference": "json", "extra": "json", "extra_body": "json"}  # noqa: RUF012 - Airflow reads it from the class
    ui_color = "#ffd0c4"

    def __init__(
        self,
        *,
        model: str,
        prompt: str | None = None,
        first_frame_image: str | None = None,
        last_frame_image: str | None = None,
        subject_reference: str | list[dict[str, Any]] | None = None,
        reference_images: str | list[str] | None = None,
        reference_videos: str | list[str] | None = None,
        reference_audios: str | list[str] | None = None,
        duration: int | str | None = None,
        resolution: str | None = None,
        ratio: str | None = None,
        prompt_optimizer: bool | str | None = None,
        fast_pretreatment: bool | str | None = None,
        aigc_watermark: bool | str | None = None,
        callback_url: str | None = None,
        extra: dict[str, Any] | None = None,
        extra_body: dict[str, Any] | None = None,
        minimax_conn_id: str = "minimax_default",
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        output_path: str | None = None,
        overwrite: bool = False,
        check: Literal["none", "basic", "full"] = "none",
        preview: bool = False,
        durable: bool = True,
        on_clear: Literal["resubmit", "reuse"] = "resubmit",
        on_orphaned_intent: Literal["fail", "resubmit"] = "fail",
        max_submissions: int = 1,
        poll_interval: timedelta | float | None = None,
        timeout: timedelta | float = 1800.0,
        cancel_on_timeout: bool = False,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.prompt = prompt
        self.first_frame_image = first_frame_image
        self.last_frame_image = last_frame_image
        self.subject_reference = subject_reference
        self.reference_images = reference_images
        self.reference_videos = reference_videos
        self.reference_audios = reference_audios
        self.duration = duration
        self.resolution = resolution
        self.ratio = ratio
        self.prompt_optimizer = prompt_optimizer
        self.fast_pretreatment = fast_pretreatment
        self.aigc_watermark = aigc_watermark
        self.callback_url = callback_url
        self.extra = extra
        self.extra_body = extra_body
        self.minimax_conn_id = minimax_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.output_path = output_path
        self.overwrite = overwrite
        self.check = check
        self.preview = preview
        self.durable = durable
        self.on_clear = one_of("on_clear", on_clear, ("resubmit", "reuse"))
        self.on_orphaned_intent = one_of("on_orphaned_intent", on_orphaned_intent, ("fail", "resubmit"))
        self.max_submissions = at_least_one("max_submissions", max_submissions)
        self.poll_interval = None if poll_interval is None else seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.cancel_on_timeout = cancel_on_timeout
        self.validate = validate
        self._minimax_task_id: str | None = None
        self._is_submitting = False
        self._cancel: Callable[[], str] | None = None
        check_delivery(check, preview, output_path, delivers=wait_for_completion)
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
        from airflow_provider_minimax.delivery.landing import Landed
        from airflow_provider_minimax.receipts.decision import Done

        request = VideoRequest.of(self._content())
        place = self._place(context)
        self._wishes().check_means()
        with closing(self._hook()) as hook:
            ready = hook.prepare(request, validate=self.validate)
            held, outcome = self._obtain(context, hook, ready, place)
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
                    return self._announced(context, Landed.of(held.receipt), self._pictures())
                deadline = time.time() + self._patience()
                clip = _clip_of(request, held.receipt)
                if outcome is None and self.deferrable:
                    self._defer(context, held.receipt, deadline, clip)
                outcome = outcome or self._wait(context, hook, held.receipt, deadline, clip)
                return self._conclude(context, hook, ledger, outcome)

    def _obtain(
        self, context: Context, hook: MinimaxHook, request: VideoRequest, place: Place | None
    ) -> tuple[Bought | Resume | Done, Outcome | None]:
        """Buy unless that was done; if it was, see how it ended, should it be over."""
        from airflow_provider_minimax.receipts.decision import Resume

        buyer = self._buyer(context, hook, request, place)
        held = self._buy(context, hook, request, buyer)
        if not isinstance(held, Resume) or not self.wait_for_completion:
            return held, None
        outcome = self._look_first(hook, held.receipt)
        if outcome is None or outcome.error is None or outcome.error.code != CANCELLED:
            return held, outcome
        # An earlier try was killed while it waited; with that written down, this one buys anew.
        self._ledger(context).keep(held.receipt.failed(outcome.error))
        return self._buy(context, hook, request, buyer), None

    def _buy(self, context: Context, hook: MinimaxHook, request: VideoRequest, buyer: Buyer) -> Bought | Resume | Done:
        """Buy unless that was done; tell whoever has to look for a lost purchase what the platform lists."""
        from airflow_provider_minimax.receipts.lookalikes import told_lookalikes

        try:
            return buyer.obtain(lambda: self._submit(hook, request))
        except MinimaxSubmissionUnknownError as error:
            receipt = self._ledger(context).read_if_possible()
            if receipt is not None and (listed := told_lookalikes(hook, request, receipt.intended_at)):
                error.hint = " ".join(filter(None, (listed, error.hint)))
            raise

    def _ledger(self, context: Context) -> Ledger:
        from airflow_provider_minimax.receipts.ledger import Ledger
        from airflow_provider_minimax.receipts.of_task import ledger_of

        if not self.durable:
            return Ledger((), log=self.log)
        place = self._place(context)
        return ledger_of(context, place.url if place else None, self.log)

    def _buyer(self, context: Context, hook: MinimaxHook, request: VideoRequest, place: Place | None) -> Buyer:
        from airflow_provider_minimax.receipts.decision import Clip, Policy
        from airflow_provider_minimax.receipts.of_task import order_of
        from airflow_provider_minimax.receipts.purchase import Buyer

        ledger = self._ledger(context)
        if self.durable and not ledger.keeps and self.retries:
            self.log.warning(
                "This Airflow cannot keep a receipt for a task without output_path, so a retry after the death of the "
                "worker would buy again. Set output_path, or retries=0."
            )
        price = hook.list_price(request)
        order = order_of(
            context,
            request,
            hook.account(),
            place.url if place else None,
            price.as_dict() if price else None,
            hook.api_version(request.model),
        )
        policy = Policy(self.on_clear, self.on_orphaned_intent, self.max_submissions, self.overwrite)
        if place is None:
            return Buyer(ledger, order, policy, lambda _: Clip.ABSENT, log=self.log)
        # Writing the receipt tries a storage as well, and leaves nothing behind that was not wanted.
        try_first = place.check if place.check_leaves_no_trace or not self.durable else None
        return Buyer(ledger, order, policy, place.look, before_buying=try_first, log=self.log)

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

    def _look_first(self, hook: MinimaxHook, receipt: Receipt) -> Outcome | None:
        """Look at a task that was bought before: it may be over long since."""
        from airflow_provider_minimax.api.pace import Outcome, settle
        from airflow_provider_minimax.hooks.minimax import look

        try:
            return settle(look(hook, str(receipt.minimax_task_id), receipt.api_version))
        except MinimaxError as error:
            if error.is_final:
                return Outcome(None, error)
            self.log.warning("The first look failed, looking on: %s", error)
            return None

    def _patience(self) -> float:
        limit: timedelta | None = self.execution_timeout
        return self.timeout if limit is None else min(self.timeout, limit.total_seconds())

    def _may_cancel(self, context: Context, receipt: Receipt) -> bool:
        """Whether the remote task may be cancelled with this one: nobody else waits for it, nor does the next try."""
        from airflow_provider_minimax.receipts.of_task import owner_of

        is_own = receipt.owner == owner_of(context)
        return receipt.api_version == "v2" and self.on_clear == "resubmit" and is_own

    def _defer(self, context: Context, receipt: Receipt, deadline: float, clip: dict[str, Any]) -> None:
        from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

        self.defer(
            trigger=MinimaxTaskTrigger(
                minimax_task_id=str(receipt.minimax_task_id),
                minimax_conn_id=self.minimax_conn_id,
                deadline=deadline,
                poll_interval=self.poll_interval,
                api_version=receipt.api_version,
                cancel_on_kill=self._may_cancel(context, receipt),
                clip=clip,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self._patience() + SAFETY_NET),
        )

    def _wait(
        self, context: Context, hook: MinimaxHook, receipt: Receipt, deadline: float, clip: dict[str, Any]
    ) -> Outcome:
        from airflow_provider_minimax.api.foresight import foreseen
        from airflow_provider_minimax.api.pace import Pace, Wait, Watch
        from airflow_provider_minimax.hooks.minimax import look

        minimax_task_id = str(receipt.minimax_task_id)
        if self._may_cancel(context, receipt):
            # A signal may come in the middle of a request, so the cancellation does not share its client.
            self._cancel = lambda: self._given_up(hook.apart(), minimax_task_id, receipt.api_version)[1]
        pace = foreseen(self.minimax_conn_id, clip) if self.poll_interval is None else Pace(self.poll_interval)
        watch = Watch(minimax_task_id, deadline=deadline, pace=pace)
        step: Wait | Outcome = watch.start(time.time())
        while isinstance(step, Wait):
            if step.note:
                self.log.log(logging.WARNING if step.warn else logging.INFO, "%s", step.note)
            time.sleep(step.seconds)
            try:
                seen: VideoTask | MinimaxError = look(hook, minimax_task_id, receipt.api_version)
            except MinimaxError as error:
                seen = error
            step = watch.after(seen, time.time())
        self._cancel = None
        return step

    def _given_up(
        self, hook: MinimaxHook, minimax_task_id: str, api_version: str
    ) -> tuple[VideoTask | MinimaxError, str]:
        """Cancel a remote task if that is still possible; return what was seen of it, and the same in words."""
        from airflow_provider_minimax.cancelling import give_up, told

        with closing(hook):
            seen = give_up(hook, minimax_task_id, api_version)
        return seen, told(seen, minimax_task_id)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Turn the trigger's event into the result, and fetch the clip if asked to."""
        from airflow_provider_minimax.api.pace import Outcome

        outcome = Outcome.of_event(event)
        with closing(self._hook()) as hook:
            return self._conclude(context, hook, self._ledger(context), outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; whatever becomes of the wait, the clip is bought."""
        minimax_task_id = _id_of_event(next_kwargs) or _pushed_id(context) or self._recorded_id(context)
        self._minimax_task_id = minimax_task_id
        with self._bought(context, minimax_task_id):
            return resume(self, next_method, next_kwargs, context, minimax_task_id)

    def _recorded_id(self, context: Context) -> str | None:
        receipt = self._ledger(context).read_if_possible()
        return receipt.minimax_task_id if receipt else None

    def _conclude(self, context: Context, hook: MinimaxHook, ledger: Ledger, outcome: Outcome) -> dict[str, Any]:
        from airflow_provider_minimax.delivery.landing import land

        receipt = ledger.read_of(self._minimax_task_id)
        if receipt is not None and isinstance(outcome.error, MinimaxTaskFailedError | MinimaxModerationError):
            self._written_off(ledger, receipt, outcome.error)
        task = outcome.result()
        self.log.info("MiniMax task %s: %s", task.minimax_task_id, task.status)
        place = self._place(context)
        if place is None:
            return task.as_result()
        landed = land(hook, task, place, ledger, receipt, self._wishes(), log=self.log)
        return self._announced(context, landed, self._pictures())

    def _pictures(self) -> tuple[str, ...]:
        """Return where the pictures came from that went into the clip, for lineage."""
        given = self._content()
        values = [given[name] for name in _PICTURES]
        listed = [[value] if isinstance(value, str) else value or () for value in values]
        return tuple(picture for pictures in listed for picture in pictures if isinstance(picture, str))

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
                f"{what} This task does not retry, because the clip is bought already (task {minimax_task_id}) and a "
                f"retry would buy another. {_GET_IT}"
            ) from error

    def _cancel_after(self, context: Context, error: MinimaxTaskTimeoutError, ledger: Ledger | None) -> None:
        """Cancel what was waited for too long, if that is still possible and nobody else's, and write that down."""
        from airflow_provider_minimax.api.catalogue import api_of
        from airflow_provider_minimax.api.pace import settle
        from airflow_provider_minimax.receipts.of_task import owner_of

        minimax_task_id = str(error.minimax_task_id)
        receipt = ledger.read_of(minimax_task_id) if ledger is not None else None
        if receipt is not None and receipt.owner != owner_of(context):
            return
        seen, error.money = self._given_up(self._hook(), minimax_task_id, api_of(self.model))
        outcome = None if isinstance(seen, MinimaxError) else settle(seen)
        if outcome is None or outcome.error is None or outcome.error.code != CANCELLED:
            return
        error.hint = "Clear this task to buy anew."
        if ledger is not None and receipt is not None:
            ledger.keep(receipt.failed(outcome.error))

    def on_kill(self) -> None:
        """Cancel what is still queued, if nobody else waits for it, and say what goes on."""
        if self._is_submitting:
            self.log.warning("Killed while a clip was being submitted: it may have been bought and may be billed.")
        elif self._cancel is not None:
            self.log.warning("%s", self._cancel())
        elif self._minimax_task_id:
            self.log.warning(
                "MiniMax task %s goes on and will be billed: it is not cancelled. %s", self._minimax_task_id, _GET_IT
            )


def _clip_of(request: VideoRequest, receipt: Receipt) -> dict[str, Any]:
    """Return what the pace of looks depends on, as plain values for a trigger."""
    return {
        "model": request.model,
        "resolution": request.resolution,
        "duration": request.duration,
        "bought_at": receipt.began_at.timestamp(),
    }


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


class MinimaxVideoDownloadOperator(DeliversClips, BaseOperator):
    """
    Fetch a finished clip to its place. It buys nothing, so it may be retried; it fetches nothing twice either.

    .. seealso:: :doc:`/howto/operator` and :doc:`/delivery`

    :param minimax_task_id: the remote task whose clip to fetch. Templated.
    :param file_id: the clip's file instead, on platforms that have file ids. Templated.
    :param api_version: which version of MiniMax's API knows them: ``"v2"`` for H3, which has no file ids. The operator
        that submitted the task pushes this to XCom, under the key ``api_version``. Templated.
    :param output_path: where the clip shall land: a path, or any URL that Airflow's object storage knows; one that ends
        with a slash is a folder, in which the clip gets a name made of this task's. Its receipt is kept next to it.
        Templated.
    :param overwrite: whether a file that is already there, and is not this clip, may be replaced.
    :param check: how closely to look at the clip first: ``"none"``, ``"basic"`` or ``"full"``, as
        :class:`MinimaxVideoGenerationOperator` says.
    :param preview: whether to make a poster frame and a contact sheet next to the clip.
    :param minimax_conn_id: the connection that the clip was bought through. Templated.
    :return: a dict with ``task_id``, ``state``, ``file_id``, ``width``, ``height``, ``duration`` (each ``None`` where
        neither the platform nor ``check`` tells), ``output_path``, ``size`` in bytes and ``sha256``.
    :raises MinimaxRequestError: not exactly one of the ids, or an ``output_path`` that is none or is taken.
    :raises MinimaxReceiptError: the output is the place of another clip that is still to come.
    :raises MinimaxDownloadError: the clip could not be fetched whole; a retry goes on from where it broke.
    :raises MinimaxStorageError: its place cannot be read or written just now.
    :raises MinimaxClipRejectedError: the clip is not what was asked for, by ``check``; it is kept aside.
    """

    template_fields: Sequence[str] = ("minimax_task_id", "file_id", "api_version", "output_path", "minimax_conn_id")
    ui_color = "#fff0c4"

    def __init__(
        self,
        *,
        output_path: str,
        minimax_task_id: str | None = None,
        file_id: str | None = None,
        api_version: str = "v1",
        overwrite: bool = False,
        check: Literal["none", "basic", "full"] = "none",
        preview: bool = False,
        minimax_conn_id: str = "minimax_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.minimax_task_id = minimax_task_id
        self.file_id = file_id
        self.api_version = api_version
        self.output_path: str = output_path
        self.overwrite = overwrite
        self.check = check
        self.preview = preview
        self.minimax_conn_id = minimax_conn_id
        if (minimax_task_id is None) == (file_id is None):
            raise MinimaxRequestError(
                f"minimax_task_id={minimax_task_id!r} and file_id={file_id!r}: give exactly one of them",
                money=NOTHING_BOUGHT,
            )
        for name, value in (("minimax_task_id", minimax_task_id), ("file_id", file_id), ("output_path", output_path)):
            if value is not None and is_literal(value) and not str(value).strip():
                raise MinimaxRequestError(f"{name}={value!r}: must not be empty", money=NOTHING_BOUGHT)
        check_delivery(check, preview, output_path, delivers=True)
        if is_literal(api_version):
            one_of("api_version", api_version, API_VERSIONS)

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch the clip, unless that was done."""
        from airflow_provider_minimax.api.task import TaskState, VideoTask
        from airflow_provider_minimax.delivery.places import place_of
        from airflow_provider_minimax.hooks.minimax import MinimaxHook
        from airflow_provider_minimax.receipts.of_task import owner_of

        minimax_task_id = None if self.minimax_task_id is None else checked_id(self.minimax_task_id)
        file_id = None if self.file_id is None else str(self.file_id)
        place = place_of(self.output_path, owner_of(context))
        with closing(MinimaxHook(self.minimax_conn_id)) as hook:

            def find() -> VideoTask:
                if minimax_task_id is not None:
                    return hook.get_task(minimax_task_id, api_version=self.api_version)
                # A file may be fetched without its task being known.
                return VideoTask("", TaskState.SUCCEEDED, file_id=file_id, api_version=self.api_version)

            return self._deliver(context, hook, place, minimax_task_id, file_id, find)
