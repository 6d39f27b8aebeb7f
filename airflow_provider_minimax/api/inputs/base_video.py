"""Whether a clip can be re-rendered in 2K: only unedited 768P clips of ``MiniMax-H3`` can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from airflow_provider_minimax.api.catalogue import facts_of
from airflow_provider_minimax.media.clip import MediaFacts, UnreadableClipError
from airflow_provider_minimax.media.decoder import facts_of_clip

# Files store the frame rate as a fraction, which may be slightly off.
_FPS_TOLERANCE = 0.1


def unfit_for_regeneration(file: BinaryIO) -> list[str]:
    """
    Return why a clip cannot be re-rendered.

    :param file: the clip's file, open for reading; it stays open.
    :return: one clause for each broken rule: what the clip is, and what it must be. Empty if no broken rule is known.
    :raises ImportError: PyAV is not installed.
    """
    try:
        return list(_broken_rules(facts_of_clip(file)))
    except UnreadableClipError as error:
        return [str(error)]


def _broken_rules(clip: MediaFacts) -> Iterator[str]:
    rules = facts_of("regeneration")["base_video"]
    if not clip.has_sound:
        yield "it has no sound track, and must have one"
    if clip.fps is not None and abs(clip.fps - rules["fps"]) > _FPS_TOLERANCE:
        yield f"it has {clip.fps:g} frames per second, and must have {rules['fps']}"
    if clip.width is not None and clip.height is not None:
        yield from _wrong_sides(clip.width, clip.height, rules)
    least, most, step = rules["least_frames"], rules["most_frames"], rules["frames_step"]
    if clip.frames is not None and clip.frames not in range(least, most + 1, step):
        yield f"it has {clip.frames} frames, and must have from {least} to {most} in steps of {step}"


def _wrong_sides(width: int, height: int, rules: Mapping[str, Any]) -> Iterator[str]:
    size, step = f"{width} x {height} px", rules["sides_multiple_of"]
    if width % step or height % step:
        yield f"it is {size}, and both sides must be multiples of {step}"
    (a, b), (c, d) = rules["least_area"], rules["largest_area"]
    if not a * b <= width * height <= c * d:
        yield f"it is {size}, and its area must be from {a} x {b} to {c} x {d}"
