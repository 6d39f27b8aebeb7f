"""Reads the size of a picture from its header, without decoding it."""

from __future__ import annotations

import struct

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
# The markers of frame headers, for all kinds of coding; the three that are left out are tables.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def size_of(picture: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG or JPEG; None for anything else."""
    try:
        if picture.startswith(PNG):
            width, height = struct.unpack_from(">II", picture, 16)
            return width, height
        return _size_of_jpeg(picture) if picture.startswith(JPEG) else None
    except struct.error:
        return None


def _size_of_jpeg(picture: bytes) -> tuple[int, int] | None:
    at = len(JPEG)
    while True:
        start, marker, length = struct.unpack_from(">BBH", picture, at)
        if start != 0xFF or length < 2:
            return None
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", picture, at + 5)
            return width, height
        at += 2 + length
