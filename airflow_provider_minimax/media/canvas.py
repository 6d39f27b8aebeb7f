"""Draws the sheets: one style, the font that comes with Pillow, JPEG."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

Box = tuple[int, int]

BACKGROUND = "#14161b"
FRAME = "#1f232b"
BRIGHT = "#f4f2ec"
DIM = "#9aa1ad"
ALARM = "#ff8f7a"
MARGIN = 40

_QUALITY = 88
# A JPEG comment that marks files which may be replaced by a later picture.
_MADE_BY = b"airflow-provider-minimax"
_COMMENT_WITHIN = 512
# In characters; the narrowest is 3 pixels wide.
_LONGEST_LINE = 800
# The font has ASCII and these.
_ALSO_IN_FONT = "·…"


def column_width(sheet: int, columns: int, gap: int) -> int:
    """Return the width of a column.

    :param sheet: the width of the sheet.
    :param columns: how many columns there are.
    :param gap: between two columns.
    """
    return (sheet - 2 * MARGIN - (columns - 1) * gap) // columns


class Canvas:
    """
    A picture to draw on.

    :param width: in pixels.
    :param height: in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.image = Image.new("RGB", (width, height), BACKGROUND)
        self._pen = ImageDraw.Draw(self.image, "RGBA")

    def frame(self, at: Box, size: Box) -> None:
        """
        Draw the dark frame in which a clip's pictures are shown.

        :param at: its upper left corner.
        :param size: its width and height.
        """
        self._pen.rounded_rectangle((*at, at[0] + size[0] - 1, at[1] + size[1] - 1), radius=6, fill=FRAME)

    def paste(self, picture: Image, at: Box) -> None:
        """
        Paste a picture.

        :param picture: the picture.
        :param at: its upper left corner.
        """
        self.image.paste(picture, at)

    def write(self, text: str, at: Box, width: int, size: int, colour: str) -> None:
        """
        Write a line of text, shortened to a width.

        :param text: the line; characters that the font lacks lose their accents or become question marks.
        :param at: its upper left corner.
        :param width: how wide it may be.
        :param size: of the letters, in pixels.
        :param colour: of the letters.
        """
        font = _font(size)
        # A text from outside may have any length, and measuring a very long one takes long.
        self._pen.text(at, _cut(_in_font(_shortened(text)), font, width), font=font, fill=colour)

    def label(self, text: str, at: Box, size: int) -> None:
        """
        Write a few characters onto a picture, on a dark background.

        :param text: the characters.
        :param at: the background's lower left corner.
        :param size: of the letters, in pixels.
        """
        font = _font(size)
        pad = size // 3
        width, height = int(font.getlength(text)) + 2 * pad, size + pad
        self._pen.rectangle((at[0], at[1] - height, at[0] + width, at[1] - 1), fill=(10, 11, 14, 190))
        self._pen.text((at[0] + pad, at[1] - height // 2), text, font=font, fill=BRIGHT, anchor="lm")

    def as_jpeg(self) -> bytes:
        """Return the picture as a JPEG file."""
        return jpeg(self.image)


def jpeg(image: Image) -> bytes:
    """
    Return a picture as a JPEG file.

    :param image: the picture.
    """
    content = BytesIO()
    image.save(content, "JPEG", quality=_QUALITY, optimize=True, progressive=True, comment=_MADE_BY)
    return content.getvalue()


def is_made_here(file: BinaryIO) -> bool:
    """
    Return whether a file is a JPEG that :func:`jpeg` made.

    :param file: the file, open at its beginning.
    """
    beginning = file.read(_COMMENT_WITHIN)
    return beginning.startswith(b"\xff\xd8") and _MADE_BY in beginning


@cache
def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - with a size, it is
    return font


def has_letters_of(text: str) -> bool:
    """
    Return whether the font has all characters of a text.

    :param text: the text.
    """
    text = _shortened(text)
    return _in_font(text).count("?") == text.count("?")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE // 2]}…{text[-_LONGEST_LINE // 2 :]}"


def _in_font(text: str) -> str:
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" or letter in _ALSO_IN_FONT else "?" for letter in plain)


def _cut(text: str, font: FreeTypeFont, width: int) -> str:
    """Shorten a text in its middle: file names differ at their ends."""
    text = _shortened(text)
    if font.getlength(text) <= width:
        return text

    def length(kept: int) -> int:
        return math.ceil(font.getlength(_without_middle(text, kept)))

    kept = bisect_right(range(len(text)), width, lo=1, key=length)
    return _without_middle(text, max(kept - 1, 1))


def _without_middle(text: str, kept: int) -> str:
    tail = kept // 2
    return f"{text[: kept - tail]}…{text[len(text) - tail :]}"
