"""What a clip starts from, and values that mean something special. DAG files read this: it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

IMAGE_FIELDS = ("first_frame_image", "last_frame_image", "subject_reference")
REFERENCE_FIELDS = ("reference_images", "reference_videos", "reference_audios")
MEDIA_FIELDS = (*IMAGE_FIELDS, *REFERENCE_FIELDS)
AUTO_CALLBACK = "auto"
"""The ``callback_url`` that stands for an address of Airflow's own receiver, a new one for each purchase."""


class Mode(StrEnum):
    """What a request starts from; it follows from the images, videos and sounds that are given."""

    TEXT = "text"
    FIRST_FRAME = "first_frame"
    FIRST_AND_LAST_FRAME = "first_and_last_frame"
    SUBJECT_REFERENCE = "subject_reference"
    REFERENCE = "reference"


def mode_of(get: Callable[[str], Any]) -> Mode:
    """
    Return what a clip starts from.

    :param get: returns the value of a field; ``None`` where it is not set.
    """
    for name in REFERENCE_FIELDS:
        if get(name) is not None:
            return Mode.REFERENCE
    if get("subject_reference") is not None:
        return Mode.SUBJECT_REFERENCE
    if get("last_frame_image") is not None:
        return Mode.FIRST_AND_LAST_FRAME
    return Mode.TEXT if get("first_frame_image") is None else Mode.FIRST_FRAME
