"""Whether a file is an MP4, and a whole one, by the boxes that it is made of (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from typing import BinaryIO

HEAD = 12
"""So many bytes at the beginning tell whether something is an MP4."""

# So many boxes are looked at; no whole file has as many before its movie header.
_MOST_BOXES = 1000
_LONGEST_HEADER = 32
_TOP_LEVEL = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"free", b"skip", b"wide", b"pdin"}
    | {b"meta", b"uuid", b"udta", b"emsg", b"prft"}
)


def seconds_of(file: BinaryIO, size: int) -> float | None:
    """
    Return how long an MP4 or MOV is, by its movie header; ``None`` where it does not say.

    :param file: the file, open for reading.
    :param size: its size in bytes.
    """
    movie = _find(file, b"moov", 0, size)
    header = movie and _find(file, b"mvhd", *movie)
    if not header:
        return None
    file.seek(header[0])
    content = file.read(_LONGEST_HEADER)
    # Version, flags, and two times come before the number of units in a second.
    layout, start = (">IQ", 20) if content[:1] == b"\x01" else (">II", 12)
    if len(content) < start + struct.calcsize(layout):
        return None
    units, length = struct.unpack_from(layout, content, start)
    return length / units if units and length else None


def _find(file: BinaryIO, kind: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Return where the content of the first box of a kind begins and ends, among the first boxes from a place on."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return None
        file.seek(start)
        head = file.read(16)
        length, found = struct.unpack_from(">I4s", head.ljust(8, b"\0"))
        content = start + 8
        if length == 1 and len(head) == 16:
            (length,), content = struct.unpack_from(">Q", head, 8), start + 16
        if length < content - start:
            return None
        if found == kind:
            return content, min(start + length, end)
        start += length
    return None


def is_video(head: bytes) -> bool:
    """Whether a file that begins with these bytes can be an MP4: most begin with ``ftyp``, but any box may be first."""
    return len(head) >= HEAD and head[4:8] in _TOP_LEVEL


def missing_bytes(file: BinaryIO, size: int) -> int:
    """
    Return how many bytes the file lacks at its end, by the length of its last box; 0 if it is whole.

    Whatever follows the last box that can be recognised is nobody's, and not counted.

    :param file: the file, open for reading.
    :param size: its size in bytes.
    """
    start = 0
    while start + 8 <= size:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind not in _TOP_LEVEL:
            return 0
        if length == 1:
            wide = file.read(8)
            if len(wide) < 8:
                return 8 - len(wide)
            (length,) = struct.unpack(">Q", wide)
        if length == 0:
            # This box reaches to the end of the file, wherever that is.
            return 0
        if length < 8:
            return 0
        start += length
    return max(0, start - size)
