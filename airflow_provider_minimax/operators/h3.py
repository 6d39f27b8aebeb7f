"""The operators for what MiniMax-H3 has besides clips: a clip re-rendered in 2K, and a better prompt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError
from airflow_provider_minimax.operators.base import PurchaseOperator

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink

    from airflow_provider_minimax.api.h3_requests import PromptRewriteRequest, RegenerationRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.jobs.job import PurchaseJob
    from airflow_provider_minimax.purchases.receipt import Receipt

_PICTURES = ("first_frame_image", "last_frame_image", "reference_images")
_DESCRIPTION = ("prompt", *_PICTURES, "reference_videos", "reference_audios")
_SECRETS = (*_PICTURES, "reference_videos", "reference_audios", "callback_url", "extra_body")
_REGENERATION = (
    "model",
    "source_task_id",
    "base_video",
    *_DESCRIPTION,
    "resolution",
    "aigc_watermark",
    "callback_url",
    "extra_body",
)
_REWRITING = ("model", *_DESCRIPTION, "duration", "ratio", "callback_url", "extra_body")
# What operators that buy clips take, and what it is for a prompt.
_FOR_CLIPS: dict[str, Any] = {
    "wait_for_completion": True,
    "output_path": None,
    "overwrite": False,
    "check": "none",
    "preview": False,
    "on_clear": "reuse",
}


class MinimaxVideoRegenerationOperator(PurchaseOperator):
    """
    Re-render an approved 768P clip of MiniMax-H3 in 2K.

    It buys, waits, cancels and delivers as
    :class:`~airflow_provider_minimax.operators.video.MinimaxVideoGenerationOperator` does, with the same receipts. On
    MiniMax itself only, and for clips that ``MiniMax-H3`` made in 768P.

    .. seealso:: :doc:`/h3` and :doc:`/never-pay-twice`

    Either ``source_task_id`` is given, or ``base_video`` with all that the clip was made of: ``prompt``, frames and
    references, exactly as they were sent then. The options besides these, such as ``output_path``, are those of
    :class:`~airflow_provider_minimax.operators.base.PurchaseOperator`.

    :param source_task_id: the remote task that made the clip, usually the XCom of the task that submitted it: of the
        same account, succeeded, at most seven days old. MiniMax has to enable an account for it. Templated, like all
        fields down to ``extra_body``.
    :param base_video: the clip itself: a path (local, or any that Airflow's object storage knows), a public URL,
        ``mm_file://{file_id}``, or a ``data:video/mp4;base64,`` URL. What the worker reads is checked, with PyAV (extra
        ``[media]``): an MP4 of up to 50 MB with sound, 24 pictures a second, sides that are multiples of 32, an area
        from 768x768 to 768x1344, and from 107 to 362 pictures in steps of 17. Files of more than 8 MB are uploaded just
        before the purchase, free of charge.
    :param prompt: with ``base_video``: what the clip was made of. If a prompt was rewritten, the rewritten one; at most
        40000 characters.
    :param first_frame_image: with ``base_video``: the opening frame, if the clip was made of one.
    :param last_frame_image: with ``base_video``: likewise.
    :param reference_images: with ``base_video``: likewise.
    :param reference_videos: with ``base_video``: likewise.
    :param reference_audios: with ``base_video``: likewise.
    :param resolution: ``2K``, the only one there is.
    :param aigc_watermark: whether to mark the clip as made by a machine.
    :param callback_url: where the platform posts status changes. ``"auto"``: to this Airflow's own receiver, so that
        the task is resumed within seconds, and a lost answer is made up for: :doc:`/callbacks`. A URL: to a receiver of
        yours, which must echo the platform's challenge within 3 seconds or the request is refused.
    :param extra_body: further fields of the request's body, sent as they are.
    :param model: the model's name.
    :return: as ``MinimaxVideoGenerationOperator``.
    :raises MinimaxRequestError: the request is invalid: literals are checked when the DAG is parsed, the rest before
        anything is sent; or the platform refuses it, such as a ``source_task_id`` of an account that is not enabled.
    :raises MinimaxError: as ``MinimaxVideoGenerationOperator``.
    """

    template_fields: Sequence[str] = (*_REGENERATION, "output_path", "minimax_conn_id")
    template_fields_renderers = {"prompt": "md", "extra_body": "json"}  # noqa: RUF012 - Airflow reads it from the class
    ui_color = "#ffc4d6"
    _content_fields = _REGENERATION
    _picture_fields = ("base_video", *_PICTURES)
    _secret_fields = ("base_video", *_SECRETS)

    source_task_id: str | None
    base_video: str | None
    prompt: str | None
    first_frame_image: str | None
    last_frame_image: str | None
    reference_images: str | list[str] | None
    reference_videos: str | list[str] | None
    reference_audios: str | list[str] | None
    resolution: str
    aigc_watermark: bool | str | None
    callback_url: str | None
    extra_body: dict[str, Any] | None
    model: str

    def __init__(
        self,
        *,
        source_task_id: str | None = None,
        base_video: str | None = None,
        prompt: str | None = None,
        first_frame_image: str | None = None,
        last_frame_image: str | None = None,
        reference_images: str | list[str] | None = None,
        reference_videos: str | list[str] | None = None,
        reference_audios: str | list[str] | None = None,
        resolution: str = "2K",
        aigc_watermark: bool | str | None = None,
        callback_url: str | None = None,
        extra_body: dict[str, Any] | None = None,
        model: str = "MiniMax-H3",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set_content(
            model=model,
            source_task_id=source_task_id,
            base_video=base_video,
            prompt=prompt,
            first_frame_image=first_frame_image,
            last_frame_image=last_frame_image,
            reference_images=reference_images,
            reference_videos=reference_videos,
            reference_audios=reference_audios,
            resolution=resolution,
            aigc_watermark=aigc_watermark,
            callback_url=callback_url,
            extra_body=extra_body,
        )

    def _request_class(self) -> type[RegenerationRequest]:
        from airflow_provider_minimax.api.h3_requests import RegenerationRequest

        return RegenerationRequest

    def result_of(self, job: PurchaseJob, receipt: Receipt | None, task: VideoTask) -> Any:
        """Deliver the clip; how long it is, and so what it lists at, is known only now."""
        if receipt is not None and receipt.cost is None:
            price = job.hook.list_price(self.make_request(), seconds=task.duration)
            receipt = receipt.model_copy(update={"cost": price and price.as_dict()})
        return job.deliver(receipt, task)


class MinimaxPromptRewriteOperator(PurchaseOperator):
    """
    Ask MiniMax to improve the prompt for a clip of MiniMax-H3: its own model writes a description of shots and sounds.

    It returns the prompt, so that it can be another operator's ``prompt``. A rewriting is charged by the token and
    costs a cent or two; it is bought once all the same: on Airflow 3.3 and later a receipt is kept in the task state
    store, and a retry continues with what an earlier try bought. On MiniMax itself only.

    .. seealso:: :doc:`/h3`

    The clip that the prompt is for is described as for the operator that makes it; frames and references are taken into
    account too. Give the same ones in the same order to that operator. Its options besides these, such as ``timeout``,
    are those of :class:`~airflow_provider_minimax.operators.base.PurchaseOperator`, without those for a clip's file.

    :param prompt: what to show, in any words; at most 7000 characters. Templated, like all fields down to
        ``extra_body``.
    :param duration: how long the clip is that the prompt is for: from 4 to 15 seconds.
    :param ratio: its width to height: ``21:9``, ``16:9``, ``4:3``, ``1:1``, ``3:4`` or ``9:16``, needed for text alone;
        or ``adaptive``, the default wherever there are pictures to go by.
    :param first_frame_image: the opening frame of the clip.
    :param last_frame_image: the closing frame.
    :param reference_images: up to 9 pictures to go by; not together with frames.
    :param reference_videos: up to 3 videos to go by.
    :param reference_audios: up to 3 sounds to go by; never the only references.
    :param callback_url: where the platform posts status changes. ``"auto"``: to this Airflow's own receiver, so that
        the task is resumed within seconds, and a lost answer is made up for: :doc:`/callbacks`. A URL: to a receiver of
        yours, which must echo the platform's challenge within 3 seconds or the request is refused.
    :param extra_body: further fields of the request's body, sent as they are.
    :param model: the model's name.
    :return: the prompt, a text. The remote task's id is pushed to XCom under the key ``task_id``.
    :raises MinimaxRequestError: the request is invalid.
    :raises MinimaxModerationError: the platform refused the prompt, or what goes with it, as sensitive.
    :raises MinimaxError: as ``MinimaxVideoGenerationOperator``, but for what is about files.
    """

    template_fields: Sequence[str] = (*_REWRITING, "minimax_conn_id")
    template_fields_renderers = {"prompt": "md", "extra_body": "json"}  # noqa: RUF012 - Airflow reads it from the class
    ui_color = "#e8dcff"
    operator_extra_links: Collection[BaseOperatorLink] = ()
    _content_fields = _REWRITING
    _picture_fields = ()
    _secret_fields = _SECRETS
    product_name = "prompt"
    how_to_get_it = "MinimaxTaskSensor returns it for this id, free of charge."
    without_receipt = "Set retries=0."

    prompt: str
    duration: int | str
    ratio: str | None
    first_frame_image: str | None
    last_frame_image: str | None
    reference_images: str | list[str] | None
    reference_videos: str | list[str] | None
    reference_audios: str | list[str] | None
    callback_url: str | None
    extra_body: dict[str, Any] | None
    model: str

    def __init__(
        self,
        *,
        prompt: str,
        duration: int | str,
        ratio: str | None = None,
        first_frame_image: str | None = None,
        last_frame_image: str | None = None,
        reference_images: str | list[str] | None = None,
        reference_videos: str | list[str] | None = None,
        reference_audios: str | list[str] | None = None,
        callback_url: str | None = None,
        extra_body: dict[str, Any] | None = None,
        model: str = "MiniMax-H3",
        **kwargs: Any,
    ) -> None:
        if meant_for_clips := sorted(_FOR_CLIPS.keys() & kwargs):
            raise MinimaxRequestError(
                f"{', '.join(meant_for_clips)}: is for operators that buy clips; this one always waits, and "
                "writes no file",
                billing=NOTHING_BOUGHT,
            )
        # Named here, so that a DAG's default_args for clips do not reach a prompt.
        super().__init__(**_FOR_CLIPS, **kwargs)
        self._set_content(
            model=model,
            prompt=prompt,
            duration=duration,
            ratio=ratio,
            first_frame_image=first_frame_image,
            last_frame_image=last_frame_image,
            reference_images=reference_images,
            reference_videos=reference_videos,
            reference_audios=reference_audios,
            callback_url=callback_url,
            extra_body=extra_body,
        )

    def _request_class(self) -> type[PromptRewriteRequest]:
        from airflow_provider_minimax.api.h3_requests import PromptRewriteRequest

        return PromptRewriteRequest

    def result_of(self, job: PurchaseJob, receipt: Receipt | None, task: VideoTask) -> Any:
        """Return the prompt; a trigger's event does not carry it."""
        if task.prompt is None:
            task = job.hook.get_task(task.minimax_task_id, api_version=task.api_version)
        return task.prompt
