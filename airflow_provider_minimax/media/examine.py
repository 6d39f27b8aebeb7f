"""
Checks a clip in the decoder process.

In doubt, a clip passes: rejecting a good paid clip is worse than accepting a dull one. The comment at each tolerance
says what it allows for, and what cannot be measured is not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal

from airflow_provider_minimax.media.clip import MediaFacts, OpenClip, UnreadableClipError, opened, picture_from

if TYPE_CHECKING:
    from av import VideoFrame
    from PIL.Image import Image

Level = Literal["basic", "full"]

# The models make 17 n + 5 frames at 24 per second, so a clip differs from the requested length by one step at most.
# Older ones make 141 frames at 25 per second for "6 s".
_LENGTH_TOLERANCE = 18 / 24
# Codecs want sides that are multiples of 8, 16 or 32 (1088 for 1080); 720P and 768P differ by 6 %.
_SIDE_TOLERANCE = 0.05
# A wider picture has fewer rows instead (21:9 at 768P is 1536x672), but as many pixels as 16:9.
_AREA_TOLERANCE = 0.1
_WIDE = 16 / 9
_SHORT_SIDE = re.compile(r"(\d{3,4})P")
# The exact size of 2K is not documented.
_SHORT_SIDES_OF_2K = (1080, 1536)
_RATIO = re.compile(r"(\d{1,4}):(\d{1,4})", re.ASCII)
# Sides are rounded to the codec's grid: 832x480 and 1536x672 are 3 % off 16:9 and 21:9. The ratios that can be
# requested are at least 30 % apart.
_RATIO_TOLERANCE = 0.06
# The last frame may be shown for longer than the others, and an index may be a little off.
_END_TOLERANCE = 0.25

# Frames are compared after scaling down: each grey cell is the mean of 8 by 8 pixels, in which noise cancels out.
_CELL = 8
# Of 255. Black with film grain stays below 8; a night scene that shows only shapes reaches 18.
_BLACK = 10
# Of 255. Coding noise on a still picture is 3 at most up to x264's crf=28, whatever the preset. A zoom by 0.3 % over
# the clip changes some cell by 22, a flickering light of 4 pixels by 39, a zoom by 1 % into a night scene by 5. A still
# picture with worse coding passes.
_NOISE = 4


@dataclass(frozen=True, slots=True)
class ExpectedClip:
    """
    What was asked for.

    :param resolution: such as ``768P`` or ``2K``; ``None`` or an unknown name: any.
    :param duration: in seconds; ``None``: any.
    :param ratio: of width to height, such as ``9:16``; ``None`` or a word such as ``adaptive``: any.
    """

    resolution: str | None = None
    duration: float | None = None
    ratio: str | None = None


@dataclass(slots=True)
class CheckReport:
    """
    What a check report.

    :param facts: what the file says about itself; ``None`` if it cannot be opened.
    :param reasons: why the clip is rejected; empty if it passes.
    :param not_compared: what could not be compared with what was asked for, and why.
    """

    facts: MediaFacts | None = None
    reasons: list[str] = field(default_factory=list)
    not_compared: list[tuple[str, str]] = field(default_factory=list)


def examine(file: BinaryIO, level: Level, expected: ExpectedClip) -> CheckReport:
    """
    Compare a clip with what was asked for.

    :param file: a file open for reading that can seek.
    :param level: ``basic`` or ``full``, as :func:`~airflow_provider_minimax.media.check.check_clip` explains.
    :param expected: what was asked for.
    :raises OSError: the file itself cannot be read.
    """
    report = CheckReport()
    try:
        with opened(file) as clip:
            report.facts = clip.facts
            report.reasons += _wrong_size(report, clip.facts, expected.resolution)
            report.reasons += _wrong_length(report, clip.facts, expected.duration)
            report.reasons += _check_every_frame(report, clip) if level == "full" else _check_first_and_last(clip)
            report.reasons += _wrong_ratio(report, clip, expected.ratio)
    except UnreadableClipError as error:
        report.reasons.append(str(error))
    return report


def _wrong_size(report: CheckReport, facts: MediaFacts, resolution: str | None) -> Iterator[str]:
    sides = _short_sides(resolution or "")
    if sides is None:
        return
    if facts.width is None or facts.height is None:
        report.not_compared.append(("size", "its file does not say how large its frames are"))
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


def _wrong_length(report: CheckReport, facts: MediaFacts, duration: float | None) -> Iterator[str]:
    if duration is None:
        return
    if facts.duration is None:
        report.not_compared.append(("length", "its file does not say how long it is"))
    elif abs(facts.duration - duration) > _LENGTH_TOLERANCE:
        yield f"it lasts {facts.duration:.2f} s, and {duration:g} s were asked for"


def _wrong_ratio(report: CheckReport, clip: OpenClip, ratio: str | None) -> Iterator[str]:
    match = _RATIO.fullmatch(ratio or "")
    if match is None or not (int(match[1]) and int(match[2])):
        return
    shown = clip.shown_ratio()
    if shown is None:
        report.not_compared.append(("ratio", "its file does not say how large its frames are"))
        return
    requested = int(match[1]) / int(match[2])
    if not _is_close(shown, requested) and not (_is_close(1 / shown, requested) and clip.is_rotated()):
        yield f"it is {clip.facts.width}x{clip.facts.height} pixels, shown as {shown:.2f}:1, and {ratio} was asked for"


def _is_close(ratio: float, requested: float) -> bool:
    return requested / (1 + _RATIO_TOLERANCE) <= ratio <= requested * (1 + _RATIO_TOLERANCE)


def _check_first_and_last(clip: OpenClip) -> Iterator[str]:
    last = next(clip.frames_at([0.0]))
    if clip.stream.duration is not None:
        clip.container.seek((clip.stream.start_time or 0) + clip.stream.duration, stream=clip.stream)
    for frame in clip.frames():
        last = frame
    yield from _cut_off(clip, last)


def _check_every_frame(report: CheckReport, clip: OpenClip) -> Iterator[str]:
    last: VideoFrame | None = None
    comparison = _FrameComparison()
    for last in clip.frames():
        comparison.add(last)
    if last is None:
        raise UnreadableClipError("it has no frames")
    yield from _cut_off(clip, last)
    if comparison.why_not:
        report.not_compared.append(("content", comparison.why_not))
    else:
        yield from comparison.verdict()


class _FrameComparison:
    """Compares each frame with the first, not with the previous one, from which a slow zoom differs too little."""

    def __init__(self) -> None:
        self._brightest = self._largest_change = 0
        self._first: Image | None = None
        self.why_not = ""
        """Why the frames cannot be compared; empty if they can."""

    def add(self, frame: VideoFrame) -> None:
        """Compare the next frame."""
        if self.why_not:
            return
        try:
            self._add(frame)
        except Exception as error:
            # It was decoded, so players can show it; FFmpeg's scaler does not support every pixel format.
            self.why_not = f"its frames cannot be converted ({type(error).__name__}: {error})"

    def _add(self, frame: VideoFrame) -> None:
        from PIL import ImageChops

        cells = picture_from(frame, (max(frame.width // _CELL, 1), max(frame.height // _CELL, 1)), "L")
        self._brightest = max(self._brightest, _peak(cells))
        if self._first is None:
            self._first = cells
        elif self._largest_change <= _NOISE:
            self._largest_change = _peak(ImageChops.difference(self._first, cells))

    def verdict(self) -> Iterator[str]:
        """Yield what is wrong with the frames as a whole."""
        if self._brightest <= _BLACK:
            yield "it is black from beginning to end"
        elif self._largest_change <= _NOISE:
            yield "it shows the same picture from beginning to end"


def _cut_off(clip: OpenClip, last: VideoFrame) -> Iterator[str]:
    if clip.facts.duration is None:
        return
    end = (last.time or 0.0) + float((last.duration or 0) * (last.time_base or 0))
    if end < clip.facts.duration - _END_TOLERANCE:
        yield f"its frames end after {end:.2f} of {clip.facts.duration:.2f} s"


def _peak(cells: Image) -> int:
    return int(cells.getextrema()[1])  # type: ignore[arg-type]
