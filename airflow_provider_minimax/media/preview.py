"""
Draws pictures of clips: a poster, a contact sheet of one clip, a sheet of many clips.

One clip is open at a time. Sheets are 1600 or 1920 pixels wide; a sheet of many clips shows 500 at most and is less
than 12,000 pixels high.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from airflow_provider_minimax.media.canvas import ALARM, BRIGHT, DIM, MARGIN, Box, Canvas, column_width
from airflow_provider_minimax.media.clip import UnreadableClipError
from airflow_provider_minimax.media.decoder import DecoderFailedError, decode
from airflow_provider_minimax.text.redaction import redact

MOST_CLIPS = 500

_BATCH_WIDTH = 1920
_BATCH_GAP = 24
# Up to so many clips, there are four pictures of each.
_ROOMY = 24
# Seconds for all clips of a sheet; for those that are left after that, the sheet says so.
_BATCH_TIME = 900.0


@dataclass(frozen=True, slots=True)
class SheetItem:
    """
    A clip on a sheet of many clips.

    :param label: its name.
    :param open: opens its file for reading; called once, when the clip is drawn. ``None`` if there is no clip.
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
    :param unreadable: the clips that could not be drawn, by number from 0, with the reasons.
    """

    picture: bytes
    unreadable: dict[int, str]


def poster(file: Path | BinaryIO) -> bytes:
    """
    Draw one picture of a clip.

    Of seven frames spread evenly over the clip, it is the one with the most varied grey levels (the highest entropy),
    which avoids black or white frames and fades.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :return: a JPEG file, its longer side 1280 pixels at most.
    :raises UnreadableClipError: the clip cannot be decoded here, for any reason.
    :raises OSError: the file itself cannot be read.
    """
    return _drawn("poster", file)[1]


def contact_sheet(file: Path | BinaryIO, name: str = "", model: str | None = None) -> bytes:
    """
    Draw twelve frames spread evenly over a clip, with their times.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :param name: the clip's name; by default its file name, if ``file`` is a path.
    :param model: the model that made it, if known.
    :return: a JPEG file, 1600 pixels wide.
    :raises UnreadableClipError: the clip cannot be decoded here, for any reason.
    :raises OSError: the file itself cannot be read.
    """
    name = name or (file.name if isinstance(file, Path) else "A clip")
    return _drawn("contact_sheet", file, name=name, model=model)[1]


def batch_sheet(clips: Sequence[SheetItem], title: str) -> BatchSheet:
    """
    Draw many numbered clips on one sheet: four pictures of each, or for more than 24 clips one, chosen as for a poster.

    Clips that are missing or cannot be read are marked as such.

    :param clips: the clips, from 1 to 500.
    :param title: the sheet's first line.
    :raises ValueError: there are no clips, or too many.
    """
    if not 1 <= len(clips) <= MOST_CLIPS:
        raise ValueError(f"{len(clips)} clips; a sheet has from 1 to {MOST_CLIPS}")
    columns, letters = (min(3, len(clips)), 22) if len(clips) <= _ROOMY else (8, 15)
    width = column_width(_BATCH_WIDTH, columns, _BATCH_GAP)
    frame = (width, width * 9 // 16)
    step = (width + _BATCH_GAP, frame[1] + 3 * letters + _BATCH_GAP)
    top = MARGIN + 72
    canvas = Canvas(_BATCH_WIDTH, top + math.ceil(len(clips) / columns) * step[1] - _BATCH_GAP + MARGIN)
    canvas.write(title, (MARGIN, MARGIN - 4), _BATCH_WIDTH - 2 * MARGIN, 40, BRIGHT)
    unreadable: dict[int, str] = {}
    ends_at = time.monotonic() + _BATCH_TIME
    for number, item in enumerate(clips):
        row, column = divmod(number, columns)
        at = (MARGIN + column * step[0], top + row * step[1])
        alarm, note, colour = "", "", DIM
        try:
            if item.open is None:
                alarm, note = "no clip", item.missing
            elif time.monotonic() > ends_at:
                raise UnreadableClipError(f"drawing the clips before it took {_BATCH_TIME:g} s")
            else:
                note = _draw_item(canvas, item.open, at, frame, four=len(clips) <= _ROOMY)
        # Each storage has its own exceptions, and one bad clip must not cost the sheet of the others.
        except Exception as error:
            alarm, note = "cannot be read", redact(str(error) or type(error).__name__, limit=200)
            unreadable[number] = note
        if alarm:
            colour = ALARM
            canvas.frame(at, frame)
            canvas.write(alarm, (at[0] + letters, at[1] + frame[1] // 2 - letters), width, letters + 4, ALARM)
        below = at[1] + frame[1] + letters // 3
        canvas.write(f"{number + 1}  {item.label}", (at[0], below), width, letters, BRIGHT)
        canvas.write(note, (at[0], below + letters + letters // 4), width, letters - 3, colour)
    return BatchSheet(canvas.as_jpeg(), unreadable)


def _draw_item(
    canvas: Canvas, open_file: Callable[[], AbstractContextManager[BinaryIO]], at: Box, frame: Box, *, four: bool
) -> str:
    """Draw a clip in its frame, and return its size and length in words."""
    from PIL import Image

    with open_file() as file:
        words, picture = _drawn("sheet_item", file, size=frame, four=four)
    canvas.paste(Image.frombytes("RGB", frame, picture), at)
    return str(words)


def _drawn(task: str, file: Path | BinaryIO, **options: Any) -> tuple[Any, bytes]:
    try:
        return decode(task, file, **options)
    except DecoderFailedError as error:
        raise UnreadableClipError(str(error)) from None
