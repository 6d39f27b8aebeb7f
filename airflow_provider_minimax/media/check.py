"""
Whether a clip is what was bought.

In doubt for the clip: a paid clip that is refused wrongly is worse than a dull one that passes. What each bound leaves
room for is said where it stands, and what cannot be measured is not compared.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxClipRejectedError, MinimaxRequestError
from airflow_provider_minimax.media.clip import MediaFacts, OpenClip, UnreadableClipError, opened, picture_of

if TYPE_CHECKING:
    from av import VideoFrame
    from PIL.Image import Image

__all__ = ["Level", "MediaFacts", "Wanted", "check_clip", "ensure_available"]

Level = Literal["basic", "full"]

log = logging.getLogger(__name__)

# The models draw on a grid of 17 n + 5 frames at 24 a second, so the length asked for is met within one step. Older
# ones have 141 frames at 25 a second for "6 s".
_LENGTH_TOLERANCE = 18 / 24
# Codecs want sides that are multiples of 8, 16 or 32 (1088 for 1080); 720P and 768P differ by 6 %.
_SIDE_TOLERANCE = 0.05
# Where a wide picture has fewer rows instead (21:9 at 768P is 1536x672), it has the pixels of 16:9.
_AREA_TOLERANCE = 0.1
_WIDE = 16 / 9
_SHORT_SIDE = re.compile(r"(\d{3,4})P")
# What exactly is sold as 2K is not documented.
_SHORT_SIDES_OF_2K = (1080, 1536)
_RATIO = re.compile(r"(\d{1,4}):(\d{1,4})", re.ASCII)
# Sides are rounded to the codec's grid: 832x480 and 1536x672 are 3 % off 16:9 and 21:9. The ratios that can be ordered
# are at least 30 % apart.
_RATIO_TOLERANCE = 0.06
# The last picture may be shown for longer than the others, and an index may be a little off.
_END_TOLERANCE = 0.25

# Pictures are compared after shrinking: each grey cell is the mean of 8 by 8 pixels, in which noise cancels out.
_CELL = 8
# Of 255. Black with film grain stays below 8; a scene by night in which one can see nothing but shapes reaches 18.
_BLACK = 10
# Of 255. Coding noise on a picture that stands still is 3 at most up to x264's crf=28, whatever the preset. A zoom by
# 0.3 % over the clip changes some cell by 22, a light of 4 pixels that flickers by 39, a zoom by 1 % into a scene by
# night by 5. A picture that stands still in worse coding passes.
_NOISE = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What was asked for.

    :param resolution: such as ``768P`` or ``2K``; ``None``, or a name that is unknown here: any.
    :param duration: in seconds; ``None``: any.
    :param ratio: of width to height, such as ``9:16``; ``None``, or a word such as ``adaptive``: any.
    """

    resolution: str | None = None
    duration: float | None = None
    ratio: str | None = None


def ensure_available(field: str, value: str) -> None:
    """
    Make sure, before anything is bought, that clips can be looked at here.

    :param field: the parameter that asks for it.
    :param value: what was given.
    :raises MinimaxRequestError: PyAV or Pillow is not installed.
    """
    missing = [name for module, name in (("av", "PyAV"), ("PIL", "Pillow")) if find_spec(module) is None]
    if missing:
        raise MinimaxRequestError(
            f"{field}={value!r}: needs {' and '.join(missing)}, which this worker does not have",
            money=NOTHING_BOUGHT,
            hint="Install them: pip install 'airflow-provider-minimax[media]'",
        )


def check_clip(file: Path | BinaryIO, level: Level, wanted: Wanted) -> MediaFacts:
    """
    Look whether a clip is what was asked for.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :param level: ``basic``: it opens, its first and last picture can be decoded, and size, length and ratio are
        what was asked for. ``full``: also every picture can be decoded, they are not all black, and not all the same.
    :param wanted: what was asked for.
    :return: what the file says of itself.
    :raises MinimaxClipRejectedError: it is not, with all reasons.
    :raises OSError: the file itself cannot be read.
    """
    reasons: list[str] = []
    try:
        with opened(file) as clip:
            facts = clip.facts
            reasons += _wrong_size(facts, wanted.resolution)
            reasons += _wrong_length(facts, wanted.duration)
            reasons += _look_at_all(clip) if level == "full" else _look_at_ends(clip)
            reasons += _wrong_ratio(clip, wanted.ratio)
    except UnreadableClipError as error:
        reasons.append(str(error))
    if reasons:
        raise MinimaxClipRejectedError(f"the clip is not what was asked for: {'; '.join(reasons)}")
    return facts


def _not_compared(what: str, why: str) -> None:
    log.warning("The clip's %s cannot be compared with what was asked for: %s.", what, why)


def _wrong_size(facts: MediaFacts, resolution: str | None) -> Iterator[str]:
    sides = _short_sides(resolution or "")
    if sides is None:
        return
    if facts.width is None or facts.height is None:
        _not_compared("size", "its file does not say how large its pictures are")
        return
    least, most = sides
    short, area = min(facts.width, facts.height), facts.width * facts.height
    fits = least * (1 - _SIDE_TOLERANCE) <= short <= most * (1 + _SIDE_TOLERANCE)
    fits_by_area = least**2 * _WIDE * (1 - _AREA_TOLERANCE) <= area <= most**2 * _WIDE * (1 + _AREA_TOLERANCE)
    if not (fits or fits_by_area):
        about = f"{least}" if least == most else f"{least} to {most}"
        yield f"it is {facts.width}x{facts.height} pixels, and {resolution} has a short side of about {about}"


def _short_sides(resolution: str) -> tuple[int, int] | None:
    if resolution.upper() == "2K":
        return _SHORT_SIDES_OF_2K
    match = _SHORT_SIDE.fullmatch(resolution.upper())
    return (int(match[1]), int(match[1])) if match else None


def _wrong_length(facts: MediaFacts, duration: float | None) -> Iterator[str]:
    if duration is None:
        return
    if facts.duration is None:
        _not_compared("length", "its file does not say how long it is")
    elif abs(facts.duration - duration) > _LENGTH_TOLERANCE:
        yield f"it lasts {facts.duration:.2f} s, and {duration:g} s were asked for"


def _wrong_ratio(clip: OpenClip, ratio: str | None) -> Iterator[str]:
    match = _RATIO.fullmatch(ratio or "")
    if match is None or not (int(match[1]) and int(match[2])):
        return
    shown = clip.shown_ratio()
    if shown is None:
        _not_compared("ratio", "its file does not say how large its pictures are")
        return
    asked = int(match[1]) / int(match[2])
    if not _is_like(shown, asked) and not (_is_like(1 / shown, asked) and clip.is_turned()):
        yield f"it is {clip.facts.width}x{clip.facts.height} pixels, shown as {shown:.2f}:1, and {ratio} was asked for"


def _is_like(ratio: float, asked: float) -> bool:
    return asked / (1 + _RATIO_TOLERANCE) <= ratio <= asked * (1 + _RATIO_TOLERANCE)


def _look_at_ends(clip: OpenClip) -> Iterator[str]:
    last = next(clip.frames_at([0.0]))
    if clip.stream.duration is not None:
        clip.container.seek((clip.stream.start_time or 0) + clip.stream.duration, stream=clip.stream)
    for frame in clip.container.decode(clip.stream):
        last = frame
    yield from _cut_off(clip, last)


def _look_at_all(clip: OpenClip) -> Iterator[str]:
    last: VideoFrame | None = None
    compared = _Compared()
    for last in clip.container.decode(clip.stream):
        compared.add(last)
    if last is None:
        raise UnreadableClipError("it has no pictures")
    yield from _cut_off(clip, last)
    yield from compared.verdict()


class _Compared:
    """Compares each picture with the first, not with the one before: a slow zoom changes no two neighbours visibly."""

    def __init__(self) -> None:
        self._brightest = self._largest_change = 0
        self._first: Image | None = None
        self._is_possible = True

    def add(self, frame: VideoFrame) -> None:
        """Take the next picture."""
        if not self._is_possible:
            return
        try:
            self._add(frame)
        except Exception as error:
            # It was decoded, so it can be shown; FFmpeg's scaler does not take every form of pixels.
            self._is_possible = False
            _not_compared("content", f"its pictures cannot be converted ({type(error).__name__}: {error})")

    def _add(self, frame: VideoFrame) -> None:
        from PIL import ImageChops

        cells = picture_of(frame, (max(frame.width // _CELL, 1), max(frame.height // _CELL, 1)), "L")
        self._brightest = max(self._brightest, _peak(cells))
        if self._first is None:
            self._first = cells
        elif self._largest_change <= _NOISE:
            self._largest_change = _peak(ImageChops.difference(self._first, cells))

    def verdict(self) -> Iterator[str]:
        """Say what is wrong with the pictures as a whole."""
        if not self._is_possible:
            return
        if self._brightest <= _BLACK:
            yield "it is black from beginning to end"
        elif self._largest_change <= _NOISE:
            yield "its picture stands still from beginning to end"


def _cut_off(clip: OpenClip, last: VideoFrame) -> Iterator[str]:
    if clip.facts.duration is None:
        return
    end = (last.time or 0.0) + float((last.duration or 0) * (last.time_base or 0))
    if end < clip.facts.duration - _END_TOLERANCE:
        yield f"its pictures end after {end:.2f} of {clip.facts.duration:.2f} s"


def _peak(cells: Image) -> int:
    return int(cells.getextrema()[1])  # type: ignore[arg-type]
