"""Whether a file is an MP4, and a whole one, by the boxes that it is made of (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from typing import BinaryIO

HEAD = 12
"""So many bytes at the beginning tell whether something is an MP4."""

_TOP_LEVEL = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"free", b"skip", b"wide", b"pdin"}
    | {b"meta", b"uuid", b"udta", b"emsg", b"prft"}
)


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
