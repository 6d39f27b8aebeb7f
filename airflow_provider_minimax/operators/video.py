"""The operators: buy a clip, and fetch one that was bought."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_minimax.operators.base import PurchaseOperator
from airflow_provider_minimax.options import (
    DeliveryOptions,
    check_api_version,
    check_output_path,
    invalid_option,
    is_literal,
)

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.delivery.assets import ClipAsset
    from airflow_provider_minimax.options import Check, Overwrite
    from airflow_provider_minimax.paths import AnyPath

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


class MinimaxVideoGenerationOperator(PurchaseOperator):
    """
    Buy one clip: submit a request, publish the remote task id and, if the options say so, wait for the clip and deliver
    it.

    The id is pushed to XCom under the key ``task_id`` as soon as it is known. What is bought is written down in a
    receipt: next to the output (``clip.mp4.receipt.json``), and on Airflow 3.3 and later in the task state store. So a
    retry continues with the clip that an earlier try bought, whatever that one died of, and never buys another.

    .. seealso:: :doc:`/howto/operator` and :doc:`/never-pay-twice`

    "H3" below stands for ``MiniMax-H3`` and the other H3 models, on the second version of MiniMax's API; the model
    decides which version it is, and nothing else has to be said. The version is pushed to XCom under the key
    ``api_version``.

    Its options besides these, such as ``output_path``, ``deferrable`` and ``timeout``, are those of
    :class:`~airflow_provider_minimax.operators.base.PurchaseOperator`.

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
        ``mm_file://{file_id}``, ``data:video/mp4;base64,`` URLs, or paths that are read. MP4 or MOV, up to 50 MB. Files
        of more than 8 MB that H3 goes by, of all kinds, are uploaded just before the purchase, free of charge.
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
    :param callback_url: where the platform posts status changes. ``"auto"``: to this Airflow's own receiver, so that
        the task is resumed within seconds, and a lost answer is made up for: :doc:`/callbacks`. A URL: to a receiver of
        yours, which must echo the platform's challenge within 3 seconds or the request is refused.
    :param extra: further settings; ``MiniMax-H3-Max`` only: ``prompt_expansion_mode`` is ``disabled``, ``balanced`` or
        ``quality``.
    :param extra_body: further fields of the request's body, sent as they are.
    :return: the remote task id; with ``wait_for_completion`` a dict with ``task_id``, ``state``, ``file_id``,
        ``width``, ``height``, ``duration`` (each ``None`` where the platform does not report it), and with
        ``output_path`` also ``output_path``, ``size`` in bytes and ``sha256``.
    :raises MinimaxRequestError: the request is invalid: literals are checked when the DAG is parsed, the rest before
        anything is sent.
    :raises MinimaxRateLimitError: the platform refused, or no submission slot came in time; nothing was bought.
    :raises MinimaxSubmissionUnknownError: no usable answer came, now or in an earlier try, so a clip may have been
        bought.
    :raises MinimaxReceiptError: the receipt cannot be read, or is that of another request; nothing was bought.
    :raises MinimaxReceiptStoreError: receipts cannot be kept just now; nothing was bought.
    :raises MinimaxStorageError: the destination cannot be written just now; that is tried before anything is bought.
    :raises MinimaxDownloadError: the clip could not be fetched whole; a retry continues from where it broke.
    :raises MinimaxClipRejectedError: the clip is not what was asked for, by ``check``.
    """

    template_fields: Sequence[str] = (*_CONTENT, "output_path", "minimax_conn_id")
    template_fields_renderers = {"prompt": "md", "subject_reference": "json", "extra": "json", "extra_body": "json"}  # noqa: RUF012 - Airflow reads it from the class
    ui_color = "#ffd0c4"
    _content_fields = _CONTENT
    _picture_fields = _PICTURES
    _secret_fields = (*_PICTURES, "reference_videos", "reference_audios", "callback_url", "extra_body")
    _asks_for_clip = True

    model: str
    prompt: str | None
    first_frame_image: str | None
    last_frame_image: str | None
    subject_reference: str | list[dict[str, Any]] | None
    reference_images: str | list[str] | None
    reference_videos: str | list[str] | None
    reference_audios: str | list[str] | None
    duration: int | str | None
    resolution: str | None
    ratio: str | None
    prompt_optimizer: bool | str | None
    fast_pretreatment: bool | str | None
    aigc_watermark: bool | str | None
    callback_url: str | None
    extra: dict[str, Any] | None
    extra_body: dict[str, Any] | None

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set_content(
            model=model,
            prompt=prompt,
            first_frame_image=first_frame_image,
            last_frame_image=last_frame_image,
            subject_reference=subject_reference,
            reference_images=reference_images,
            reference_videos=reference_videos,
            reference_audios=reference_audios,
            duration=duration,
            resolution=resolution,
            ratio=ratio,
            prompt_optimizer=prompt_optimizer,
            fast_pretreatment=fast_pretreatment,
            aigc_watermark=aigc_watermark,
            callback_url=callback_url,
            extra=extra,
            extra_body=extra_body,
        )

    def _request_class(self) -> type[VideoRequest]:
        from airflow_provider_minimax.api.request import VideoRequest

        return VideoRequest


class MinimaxVideoDownloadOperator(BaseOperator):
    """
    Download a finished clip. It buys nothing, so it may be retried; it downloads nothing twice either.

    .. seealso:: :doc:`/howto/operator` and :doc:`/delivery`

    :param minimax_task_id: the remote task whose clip to fetch. Templated.
    :param file_id: the clip's file instead, on platforms that have file ids. Templated.
    :param api_version: which version of MiniMax's API knows them: ``"v1"``, or ``"v2"`` for H3, which has no file ids.
        Left out, that is found out with one more request at most. The operator that submitted the task pushes this to
        XCom, under the key ``api_version``. Templated.
    :param output_path: where to put the clip: a path, or any URL that Airflow's object storage knows; one that ends
        with a slash is a folder, in which the clip gets a name made of this task's. Its receipt is kept next to it.
        Templated.
    :param overwrite: whether a file that is already there, and is not this clip, may be replaced.
    :param check: how closely to examine the clip first: ``"none"``, ``"basic"`` or ``"full"``, as
        :class:`MinimaxVideoGenerationOperator` says.
    :param preview: whether to make a poster frame and a contact sheet next to the clip.
    :param minimax_conn_id: the connection that the clip was bought through. Templated.
    :return: a dict with ``task_id``, ``state``, ``file_id``, ``width``, ``height``, ``duration`` (each ``None`` where
        neither the platform nor ``check`` reports it), ``output_path``, ``size`` in bytes and ``sha256``.
    :raises MinimaxRequestError: not exactly one of the ids, or an ``output_path`` that is none or is taken.
    :raises MinimaxReceiptError: the output is that of another clip that is still to come.
    :raises MinimaxDownloadError: the clip could not be fetched whole; a retry continues from where it broke.
    :raises MinimaxStorageError: the destination cannot be read or written just now.
    :raises MinimaxClipRejectedError: the clip fails ``check``; it is kept next to the destination.
    """

    template_fields: Sequence[str] = ("minimax_task_id", "file_id", "api_version", "output_path", "minimax_conn_id")
    ui_color = "#fff0c4"
    _written_path: str | None = None
    _delivered: ClipAsset | None = None

    def __init__(
        self,
        *,
        output_path: AnyPath,
        minimax_task_id: str | None = None,
        file_id: str | None = None,
        api_version: str | None = None,
        minimax_conn_id: str = "minimax_default",
        overwrite: Overwrite = False,
        check: Check = "none",
        preview: bool = False,
        **kwargs: Any,
    ) -> None:
        if (minimax_task_id is None) == (file_id is None):
            raise invalid_option(
                f"minimax_task_id={minimax_task_id!r} and file_id={file_id!r}: give exactly one of them"
            )
        for name, value in (("minimax_task_id", minimax_task_id), ("file_id", file_id), ("output_path", output_path)):
            if value is not None and is_literal(value) and not str(value).strip():
                raise invalid_option(f"{name}={value!r}: must not be empty")
        check_api_version(api_version)
        super().__init__(**kwargs)
        self.minimax_task_id = minimax_task_id
        self.file_id = file_id
        self.api_version = api_version
        self.minimax_conn_id = minimax_conn_id
        self.output_path = output_path
        self.overwrite = overwrite
        self.check = check
        self.preview = preview
        # Made for its checks; what is rendered is read when it is needed.
        self._delivery_options()
        check_output_path(output_path)

    def _delivery_options(self) -> DeliveryOptions:
        return DeliveryOptions(
            output_path=self.output_path,
            overwrite=self.overwrite,
            check=self.check,
            preview=self.preview,
            written_path=self._written_path,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch the clip, unless that was done."""
        from airflow_provider_minimax.hooks.minimax import MinimaxHook
        from airflow_provider_minimax.jobs.fetch import FetchJob

        with closing(FetchJob(MinimaxHook(self.minimax_conn_id), context, self, self._delivery_options())) as job:
            result = job.run(self.minimax_task_id, self.file_id, self.api_version)
        self._delivered = job.delivered
        return result

    # -- what Airflow asks besides -------------------------------------------------------------------------------------

    @property
    def operator_extra_links(self) -> Collection[BaseOperatorLink]:  # type: ignore[override]
        """Links of the task in the UI."""
        from airflow_provider_minimax.delivery.operator import clip_links

        return clip_links()

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        from airflow_provider_minimax.delivery.operator import render_template_fields

        render = super()._do_render_template_fields
        render_template_fields(self, render, parent, template_fields, context, jinja_env, seen_oids)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Return the clip's lineage, for Airflow's OpenLineage provider, which calls this at the end of the task."""
        from airflow_provider_minimax.delivery.operator import lineage_on_complete

        return lineage_on_complete(self)
