"""A clip as most DAG files describe it, checked by the same rules as a request, without the cost of reading one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_minimax.api.modes import mode_of

# What is not named here may have to be rewritten, or checked in more ways than by its type.
_TYPES = {
    "model": str,
    "prompt": str,
    "first_frame_image": str,
    "last_frame_image": str,
    "subject_reference": str,
    "duration": int,
    "resolution": str,
    "ratio": str,
    "prompt_optimizer": bool,
    "fast_pretreatment": bool,
    "aigc_watermark": bool,
}


class PlainClip:
    """
    The fields of a :class:`~airflow_provider_minimax.api.request.VideoRequest` that it would take as they are.

    :param fields: field name to value, those of :meth:`of` only.
    """

    model: str = ""
    prompt: str | None = None
    first_frame_image: str | None = None
    last_frame_image: str | None = None
    subject_reference: str | None = None
    reference_images: None = None
    reference_videos: None = None
    reference_audios: None = None
    duration: int | None = None
    resolution: str | None = None
    ratio: str | None = None
    prompt_optimizer: bool | None = None
    fast_pretreatment: bool | None = None
    aigc_watermark: bool | None = None
    callback_url: None = None
    extra: None = None

    def __init__(self, fields: Mapping[str, Any]) -> None:
        vars(self).update(fields)
        self.mode = mode_of(fields.get)
        """What the clip starts from, by what is given."""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> PlainClip | None:
        """
        Return the clip that some fields describe.

        :param fields: field name to value, of those that are set.
        :return: the clip; ``None`` if only a request can say what the fields mean, and whether they are right.
        """
        for name, value in fields.items():
            if not _is_plain(name, value):
                return None
        return cls(fields)


def _is_plain(name: str, value: Any) -> bool:
    if type(value) is not _TYPES.get(name):
        return False
    # A request refuses text that is blank or no Unicode, and strips what cannot be seen.
    return not isinstance(value, str) or (not value.isspace() and value.replace("\n", "").isprintable() and value != "")
