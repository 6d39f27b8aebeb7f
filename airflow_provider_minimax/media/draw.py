"""
Draws a clip in the decoder process: a poster, a contact sheet, and its frame on a sheet of many clips.

Frames are scaled down as they are decoded, so memory depends on the size of the sheet only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_minimax.media.canvas import BRIGHT, DIM, MARGIN, Box, Canvas, column_width, jpeg
from airflow_provider_minimax.media.clip import MediaFacts, OpenClip, UnreadableClipError, opened, picture_from

if TYPE_CHECKING:
    from PIL.Image import Image

_POSTER: Box = (1280, 1280)
# The poster is chosen among so many frames.
_CANDIDATES = 7

_SHEET_WIDTH = 1600
_SHEET_FRAMES = 12
_SHEET_GAP = 12
# A picture is at most so many times as high as wide. The API's ratios end at 2:5, but a file may have any.
_SHEET_HIGHEST = 2.5


def poster(file: BinaryIO) -> bytes:
    """
    Draw one picture of a clip, as :func:`~airflow_provider_minimax.media.preview.poster` says.

    :param file: a file open for reading that can seek.
    :raises UnreadableClipError: the clip cannot be decoded.
    :raises OSError: the file itself cannot be read.
    """
    with opened(file) as clip:
        return jpeg(_most_telling(clip, _POSTER))


def contact_sheet(file: BinaryIO, name: str, model: str | None) -> bytes:
    """
    Draw twelve pictures of a clip, as :func:`~airflow_provider_minimax.media.preview.contact_sheet` says.

    :param file: a file open for reading that can seek.
    :param name: what to call the clip.
    :param model: what it was made with, if known.
    :raises UnreadableClipError: the clip cannot be decoded.
    :raises OSError: the file itself cannot be read.
    """
    with opened(file) as clip:
        columns = 4 if _is_wide(clip.facts) else 6
        width = column_width(_SHEET_WIDTH, columns, _SHEET_GAP)
        size = _fitted(clip.facts, (width, int(width * _SHEET_HIGHEST)), enlarge=True)
        rows = _SHEET_FRAMES // columns
        top = MARGIN + 84
        canvas = Canvas(_SHEET_WIDTH, top + rows * (size[1] + _SHEET_GAP) - _SHEET_GAP + MARGIN)
        canvas.write(name, (MARGIN, MARGIN - 4), _SHEET_WIDTH - 2 * MARGIN, 34, BRIGHT)
        caption = " · ".join(filter(None, (_size_and_length(clip.facts), model)))
        canvas.write(caption, (MARGIN, MARGIN + 42), _SHEET_WIDTH - 2 * MARGIN, 22, DIM)
        for number, frame in enumerate(clip.frames_at(_spread(clip.facts, _SHEET_FRAMES))):
            row, column = divmod(number, columns)
            left = MARGIN + column * (width + _SHEET_GAP) + (width - size[0]) // 2
            at = (left, top + row * (size[1] + _SHEET_GAP))
            canvas.paste(picture_from(frame, size, "RGB"), at)
            canvas.label(f"{frame.time or 0:.1f} s", (at[0], at[1] + size[1]), 18)
    return canvas.as_jpeg()


def sheet_item(file: BinaryIO, size: Box, *, four: bool) -> tuple[bytes, str]:
    """
    Draw a clip's frame on a sheet of many clips.

    :param file: a file open for reading that can seek.
    :param size: the width and height of the frame.
    :param four: whether there is room for four pictures; otherwise there is one, chosen as for a poster.
    :return: three bytes for each pixel, and the size and length of the clip in words.
    :raises UnreadableClipError: the clip cannot be decoded.
    :raises OSError: the file itself cannot be read.
    """
    canvas = Canvas(*size)
    canvas.frame((0, 0), size)
    with opened(file) as clip:
        (_draw_four if four else _draw_one)(canvas, clip, size)
        return canvas.image.tobytes(), _size_and_length(clip.facts)


def _size_and_length(facts: MediaFacts) -> str:
    length = "length unknown" if facts.duration is None else f"{facts.duration:.1f} s"
    return f"{facts.width} x {facts.height} · {length}"


def _is_wide(facts: MediaFacts) -> bool:
    width, height = _sides(facts)
    return width >= height


def _sides(facts: MediaFacts) -> Box:
    if facts.width is None or facts.height is None:
        raise UnreadableClipError("it does not say how large its frames are")
    return facts.width, facts.height


def _spread(facts: MediaFacts, count: int) -> list[float]:
    """Return the middles of equal parts: the first frame is often black, the last often part of a fade."""
    return [(number + 0.5) * (facts.duration or 0.0) / count for number in range(count)]


def _fitted(facts: MediaFacts, within: Box, *, enlarge: bool = False) -> Box:
    width, height = _sides(facts)
    scale = min(within[0] / width, within[1] / height)
    scale = scale if enlarge else min(scale, 1)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _most_telling(clip: OpenClip, within: Box) -> Image:
    size = _fitted(clip.facts, within)
    pictures = (picture_from(frame, size, "RGB") for frame in clip.frames_at(_spread(clip.facts, _CANDIDATES)))
    return max(pictures, key=lambda picture: picture.convert("L").entropy())


def _draw_one(canvas: Canvas, clip: OpenClip, within: Box) -> None:
    picture = _most_telling(clip, within)
    canvas.paste(picture, ((within[0] - picture.width) // 2, (within[1] - picture.height) // 2))


def _draw_four(canvas: Canvas, clip: OpenClip, within: Box) -> None:
    gap = 4
    # Two by two; upright pictures fit better side by side.
    columns, rows = (2, 2) if _is_wide(clip.facts) else (4, 1)
    cell = (within[0] - (columns - 1) * gap) // columns, (within[1] - (rows - 1) * gap) // rows
    size = _fitted(clip.facts, cell)
    left = (within[0] - columns * size[0] - (columns - 1) * gap) // 2
    top = (within[1] - rows * size[1] - (rows - 1) * gap) // 2
    for number, frame in enumerate(clip.frames_at(_spread(clip.facts, columns * rows))):
        row, column = divmod(number, columns)
        corner = (left + column * (size[0] + gap), top + row * (size[1] + gap))
        canvas.paste(picture_from(frame, size, "RGB"), corner)
