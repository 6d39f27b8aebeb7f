"""
Pictures of clips, for people who look rather than read: a poster, a sheet of one clip, a sheet of many.

One clip is open at a time and its pictures are shrunk as they are decoded, so memory grows with the sheet alone. The
sheet is 1600 or 1920 pixels wide; one of many clips has 500 at most and stays below 12,000 pixels in height.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.media.canvas import ALARM, BRIGHT, DIM, MARGIN, Box, Canvas, jpeg
from airflow_provider_minimax.media.clip import MediaFacts, OpenClip, UnreadableClipError, opened, picture_of

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_CLIPS = 500

_POSTER: Box = (1280, 1280)
# Among so many pictures the poster is chosen.
_CANDIDATES = 7

_SHEET_WIDTH = 1600
_SHEET_FRAMES = 12
_SHEET_GAP = 12
# How many times as high as wide a picture's place is at most. What the API takes ends at 2:5; what a file may be, ends
# beyond what a JPEG can hold.
_SHEET_HIGHEST = 2.5

_BATCH_WIDTH = 1920
_BATCH_GAP = 24
# Up to so many clips there is room for four pictures of each.
_ROOMY = 24


@dataclass(frozen=True, slots=True)
class Exhibit:
    """
    A clip on a sheet of many.

    :param label: its name.
    :param open: opens its file for reading; called once, when its turn comes. ``None`` if there is no such clip.
    :param missing: why there is none.
    """

    label: str
    open: Callable[[], AbstractContextManager[BinaryIO]] | None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class BatchSheet:
    """
    A sheet of many clips.

    :param picture: a JPEG file.
    :param unreadable: which clips could not be shown (the first is 0), with the reasons.
    """

    picture: bytes
    unreadable: dict[int, str]


def poster(file: Path | BinaryIO) -> bytes:
    """
    Draw one telling picture of a clip.

    Of seven pictures spread evenly over the clip it is the one whose grey levels are the most varied (their entropy),
    so none that is black, white, or in the middle of a fade.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :return: a JPEG file, its longer side 1280 pixels at most.
    :raises UnreadableClipError: the clip cannot be decoded.
    :raises OSError: the file itself cannot be read.
    """
    with opened(file) as clip:
        return jpeg(_most_telling(clip, _POSTER))


def contact_sheet(file: Path | BinaryIO, name: str = "", model: str | None = None) -> bytes:
    """
    Draw twelve pictures spread evenly over a clip, with their times.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :param name: what to call the clip; by default the name of the file, if that is a path.
    :param model: what it was made with, if known.
    :return: a JPEG file, 1600 pixels wide.
    :raises UnreadableClipError: the clip cannot be decoded.
    :raises OSError: the file itself cannot be read.
    """
    with opened(file) as clip:
        columns = 4 if _is_wide(clip.facts) else 6
        width = _column_width(_SHEET_WIDTH, columns, _SHEET_GAP)
        size = _fitted(clip.facts, (width, int(width * _SHEET_HIGHEST)), enlarge=True)
        rows = _SHEET_FRAMES // columns
        top = MARGIN + 84
        canvas = Canvas(_SHEET_WIDTH, top + rows * (size[1] + _SHEET_GAP) - _SHEET_GAP + MARGIN)
        heading = name or (file.name if isinstance(file, Path) else "A clip")
        canvas.write(heading, (MARGIN, MARGIN - 4), _SHEET_WIDTH - 2 * MARGIN, 34, BRIGHT)
        caption = " · ".join(filter(None, (_size_and_length(clip.facts), model)))
        canvas.write(caption, (MARGIN, MARGIN + 42), _SHEET_WIDTH - 2 * MARGIN, 22, DIM)
        for number, frame in enumerate(clip.frames_at(_spread(clip.facts, _SHEET_FRAMES))):
            row, column = divmod(number, columns)
            left = MARGIN + column * (width + _SHEET_GAP) + (width - size[0]) // 2
            at = (left, top + row * (size[1] + _SHEET_GAP))
            canvas.show(picture_of(frame, size, "RGB"), at)
            canvas.label(f"{frame.time or 0:.1f} s", (at[0], at[1] + size[1]), 18)
    return canvas.as_jpeg()


def batch_sheet(clips: Sequence[Exhibit], title: str) -> BatchSheet:
    """
    Draw many clips on one sheet, numbered: four pictures of each, or above 24 clips one, chosen as for a poster.

    A clip that is missing or cannot be read has a place on it that says so.

    :param clips: the clips, from 1 to 500.
    :param title: the sheet's first line.
    :raises ValueError: there are no clips, or too many.
    """
    if not 1 <= len(clips) <= MOST_CLIPS:
        raise ValueError(f"{len(clips)} clips; a sheet has from 1 to {MOST_CLIPS}")
    columns, letters, hang = (min(3, len(clips)), 22, _hang_four) if len(clips) <= _ROOMY else (8, 15, _hang_one)
    width = _column_width(_BATCH_WIDTH, columns, _BATCH_GAP)
    place = (width, width * 9 // 16)
    step = (width + _BATCH_GAP, place[1] + 3 * letters + _BATCH_GAP)
    top = MARGIN + 72
    canvas = Canvas(_BATCH_WIDTH, top + math.ceil(len(clips) / columns) * step[1] - _BATCH_GAP + MARGIN)
    canvas.write(title, (MARGIN, MARGIN - 4), _BATCH_WIDTH - 2 * MARGIN, 40, BRIGHT)
    unreadable: dict[int, str] = {}
    for number, exhibit in enumerate(clips):
        row, column = divmod(number, columns)
        at = (MARGIN + column * step[0], top + row * step[1])
        canvas.mount(at, place)
        alarm, note, colour = "", "", DIM
        try:
            if exhibit.open is None:
                alarm, note = "no clip", exhibit.missing
            else:
                with exhibit.open() as file, opened(file) as clip:
                    hang(canvas, clip, at, place)
                    note = _size_and_length(clip.facts)
        # Each storage has errors of its own, and one clip shall not spoil the sheet of the others.
        except Exception as error:
            alarm, note = "cannot be read", redact(str(error) or type(error).__name__, limit=200)
            unreadable[number] = note
        if alarm:
            colour = ALARM
            canvas.mount(at, place)
            canvas.write(alarm, (at[0] + letters, at[1] + place[1] // 2 - letters), width, letters + 4, ALARM)
        below = at[1] + place[1] + letters // 3
        canvas.write(f"{number + 1}  {exhibit.label}", (at[0], below), width, letters, BRIGHT)
        canvas.write(note, (at[0], below + letters + letters // 4), width, letters - 3, colour)
    return BatchSheet(canvas.as_jpeg(), unreadable)


def _column_width(sheet: int, columns: int, gap: int) -> int:
    return (sheet - 2 * MARGIN - (columns - 1) * gap) // columns


def _size_and_length(facts: MediaFacts) -> str:
    length = "length unknown" if facts.duration is None else f"{facts.duration:.1f} s"
    return f"{facts.width} x {facts.height} · {length}"


def _is_wide(facts: MediaFacts) -> bool:
    width, height = _sides(facts)
    return width >= height


def _sides(facts: MediaFacts) -> Box:
    if facts.width is None or facts.height is None:
        raise UnreadableClipError("it does not say how large its pictures are")
    return facts.width, facts.height


def _spread(facts: MediaFacts, count: int) -> list[float]:
    """The middles of so many equal parts: the very first picture is often black, the very last often a fade."""
    return [(number + 0.5) * (facts.duration or 0.0) / count for number in range(count)]


def _fitted(facts: MediaFacts, within: Box, *, enlarge: bool = False) -> Box:
    width, height = _sides(facts)
    scale = min(within[0] / width, within[1] / height)
    scale = scale if enlarge else min(scale, 1)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _most_telling(clip: OpenClip, within: Box) -> Image:
    size = _fitted(clip.facts, within)
    pictures = (picture_of(frame, size, "RGB") for frame in clip.frames_at(_spread(clip.facts, _CANDIDATES)))
    return max(pictures, key=lambda picture: picture.convert("L").entropy())


def _hang_one(canvas: Canvas, clip: OpenClip, at: Box, place: Box) -> None:
    picture = _most_telling(clip, place)
    canvas.show(picture, (at[0] + (place[0] - picture.width) // 2, at[1] + (place[1] - picture.height) // 2))


def _hang_four(canvas: Canvas, clip: OpenClip, at: Box, place: Box) -> None:
    gap = 4
    # Two by two; tall ones have more room side by side.
    columns, rows = (2, 2) if _is_wide(clip.facts) else (4, 1)
    cell = (place[0] - (columns - 1) * gap) // columns, (place[1] - (rows - 1) * gap) // rows
    size = _fitted(clip.facts, cell)
    left = at[0] + (place[0] - columns * size[0] - (columns - 1) * gap) // 2
    top = at[1] + (place[1] - rows * size[1] - (rows - 1) * gap) // 2
    for number, frame in enumerate(clip.frames_at(_spread(clip.facts, columns * rows))):
        row, column = divmod(number, columns)
        corner = (left + column * (size[0] + gap), top + row * (size[1] + gap))
        canvas.show(picture_of(frame, size, "RGB"), corner)
