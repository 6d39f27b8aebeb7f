"""
Pictures of clips, for people who look rather than read: a poster, a sheet of one clip, a sheet of many.

One clip is open at a time. The sheet is 1600 or 1920 pixels wide; one of many clips has 500 at most and stays below
12,000 pixels in height.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.media.canvas import ALARM, BRIGHT, DIM, MARGIN, Box, Canvas, column_width
from airflow_provider_minimax.media.clip import UnreadableClipError
from airflow_provider_minimax.media.decoder import DecoderFailedError, decode

MOST_CLIPS = 500

_BATCH_WIDTH = 1920
_BATCH_GAP = 24
# Up to so many clips there is room for four pictures of each.
_ROOMY = 24
# Seconds for all clips of a sheet; those that are left then have a place that says so.
_BATCH_TIME = 900.0


@dataclass(frozen=True, slots=True)
class SheetItem:
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
    :raises UnreadableClipError: the clip cannot be decoded here, whatever the reason.
    :raises OSError: the file itself cannot be read.
    """
    return _drawn("poster", file)[1]


def contact_sheet(file: Path | BinaryIO, name: str = "", model: str | None = None) -> bytes:
    """
    Draw twelve pictures spread evenly over a clip, with their times.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :param name: what to call the clip; by default the name of the file, if that is a path.
    :param model: what it was made with, if known.
    :return: a JPEG file, 1600 pixels wide.
    :raises UnreadableClipError: the clip cannot be decoded here, whatever the reason.
    :raises OSError: the file itself cannot be read.
    """
    name = name or (file.name if isinstance(file, Path) else "A clip")
    return _drawn("contact_sheet", file, name=name, model=model)[1]


def batch_sheet(clips: Sequence[SheetItem], title: str) -> BatchSheet:
    """
    Draw many clips on one sheet, numbered: four pictures of each, or above 24 clips one, chosen as for a poster.

    A clip that is missing or cannot be read has a place on it that says so.

    :param clips: the clips, from 1 to 500.
    :param title: the sheet's first line.
    :raises ValueError: there are no clips, or too many.
    """
    if not 1 <= len(clips) <= MOST_CLIPS:
        raise ValueError(f"{len(clips)} clips; a sheet has from 1 to {MOST_CLIPS}")
    columns, letters = (min(3, len(clips)), 22) if len(clips) <= _ROOMY else (8, 15)
    width = column_width(_BATCH_WIDTH, columns, _BATCH_GAP)
    place = (width, width * 9 // 16)
    step = (width + _BATCH_GAP, place[1] + 3 * letters + _BATCH_GAP)
    top = MARGIN + 72
    canvas = Canvas(_BATCH_WIDTH, top + math.ceil(len(clips) / columns) * step[1] - _BATCH_GAP + MARGIN)
    canvas.write(title, (MARGIN, MARGIN - 4), _BATCH_WIDTH - 2 * MARGIN, 40, BRIGHT)
    unreadable: dict[int, str] = {}
    ends_at = time.monotonic() + _BATCH_TIME
    for number, exhibit in enumerate(clips):
        row, column = divmod(number, columns)
        at = (MARGIN + column * step[0], top + row * step[1])
        alarm, note, colour = "", "", DIM
        try:
            if exhibit.open is None:
                alarm, note = "no clip", exhibit.missing
            elif time.monotonic() > ends_at:
                raise UnreadableClipError(f"the clips before it took {_BATCH_TIME:g} s")
            else:
                note = _show(canvas, exhibit.open, at, place, four=len(clips) <= _ROOMY)
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


def _show(
    canvas: Canvas, open_file: Callable[[], AbstractContextManager[BinaryIO]], at: Box, place: Box, *, four: bool
) -> str:
    """Show a clip in its place, and return its size and length in words."""
    from PIL import Image

    with open_file() as file:
        words, picture = _drawn("place", file, size=place, four=four)
    canvas.show(Image.frombytes("RGB", place, picture), at)
    return str(words)


def _drawn(task: str, file: Path | BinaryIO, **options: Any) -> tuple[Any, bytes]:
    try:
        return decode(task, file, **options)
    except DecoderFailedError as error:
        raise UnreadableClipError(str(error)) from None
