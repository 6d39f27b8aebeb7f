"""
What ``MiniMax-H3`` has besides clips: a clip re-rendered in 2K, and a better prompt. Types only, as in ``request.py``.

https://platform.minimax.io/docs/api-reference/video-generation-v2-regeneration and
https://platform.minimax.io/docs/api-reference/video-generation-v2-h3-context-ir
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from airflow_provider_minimax.api.request import (
    Count,
    Id,
    Image,
    PaidRequest,
    References,
    Text,
    Url,
    as_lower,
    as_upper,
)


class _AboutAClip(PaidRequest):
    """What describes a clip of ``MiniMax-H3``, by the names of :class:`~.request.VideoRequest`."""

    prompt: Text | None = None
    first_frame_image: Image = None
    last_frame_image: Image = None
    reference_images: References = None
    reference_videos: References = None
    reference_audios: References = None
    callback_url: Url | None = Field(default=None, repr=False)
    extra_body: dict[str, Any] | None = Field(default=None, repr=False)


class RegenerationRequest(_AboutAClip):
    """
    A request to re-render a clip of 768P in 2K.

    Either ``source_task_id`` is given and nothing that describes the clip, or ``base_video`` and all that the clip was
    made of, exactly as it was sent then. What is not listed here is as in
    :class:`~airflow_provider_minimax.api.request.VideoRequest`.

    :param source_task_id: the remote task that made the clip, of the same account, at most seven days old. Accounts
        have to be enabled for it.
    :param base_video: the clip itself: a public URL, ``mm_file://{file_id}``, a ``data:video/mp4;base64,`` URL, or a
        path that is read.
    :param prompt: what the clip was made of; where a prompt was rewritten, the rewritten one. At most 40000 characters.
    :param resolution: ``2K``, the only one there is.
    :param aigc_watermark: whether to mark the clip as made by a machine.
    """

    task_type: ClassVar[str] = "regeneration"

    source_task_id: Id | None = None
    base_video: Image = None
    resolution: Annotated[Text, BeforeValidator(as_upper)] = "2K"
    aigc_watermark: bool | None = None


class PromptRewriteRequest(_AboutAClip):
    """
    A request for a better prompt: what the clip shall be, and a longer description of it comes back.

    What is not listed here is as in :class:`~airflow_provider_minimax.api.request.VideoRequest`.

    :param prompt: what to show, in any words; always needed.
    :param duration: how long the clip shall be that the prompt is for, from 4 to 15 seconds; always needed.
    :param ratio: its width to height, as for a clip.
    """

    task_type: ClassVar[str] = "h3_context_ir"

    duration: Count | None = None
    ratio: Annotated[Text | None, BeforeValidator(as_lower)] = None
