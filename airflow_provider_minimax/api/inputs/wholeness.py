"""
Whether a picture, video or sound is all there, by what its format says of its own length, and can be read in sensible
time; nothing is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

from airflow_provider_minimax.api.files.mp4 import missing_bytes
from airflow_provider_minimax.api.inputs.content import FileBytes

_BLOCK = 256 * 1024
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
# Within a scan, FF stands before stuffing, restart markers and fill bytes; anything else ends the scan.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_PNG_SIGNATURE = 8
# Programs write some ten scans, and for each of the others a reader goes through the whole picture once more. Segments
# hold 64 KB each, so that these are enough for all that a picture of 30 MB can say of itself.
_MOST_SCANS, _MOST_SEGMENTS = 64, 500
# A picture of 30 MB in pieces of a kilobyte each.
_MOST_CHUNKS = 30_000
# Written by those who do not know the length in advance.
_UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)


def is_cut_off(data: FileBytes, kind: str) -> bool:
    """
    Say whether a file ends before its content does.

    :param data: its bytes.
    :param kind: its format: ``JPEG``, ``PNG``, ``WEBP``, ``WAV``, ``HEIF`` for HEIC too, ``ISO`` for MP4 and MOV; of
        any other nothing is known.
    """
    check = _CHECKS.get(kind)
    return check is not None and check(data)


def has_too_many_parts(data: FileBytes, kind: str) -> bool:
    """
    Say whether a picture is in so many pieces that reading it would take minutes, which no program writes.

    :param data: its bytes.
    :param kind: its format: ``JPEG`` or ``PNG``; of any other nothing is known.
    """
    if kind == "JPEG":
        marks = list(islice((marker for _, marker in _jpeg_markers(data)), _MOST_SEGMENTS + 1))
        return len(marks) > _MOST_SEGMENTS or marks.count(_SOS) > _MOST_SCANS
    return kind == "PNG" and sum(1 for _ in islice(_png_chunks(data), _MOST_CHUNKS + 1)) > _MOST_CHUNKS


def jpeg_end(data: FileBytes) -> int | None:
    """Return where a file's first JPEG picture ends; ``None`` if it does not. Cameras may put others behind it."""
    return next((at + 2 for at, marker in _jpeg_markers(data) if marker == _EOI), None)


def _jpeg_markers(data: FileBytes) -> Iterator[tuple[int, int]]:
    """Return where each marker is that is in no scan, and which it is; the last is the end, if there is one."""
    at: int | None = 2
    while at is not None:
        marker = data.part(at, 4)
        if len(marker) < 2 or marker[0] != 0xFF:
            return
        yield at, marker[1]
        if marker[1] == _EOI:
            return
        if marker[1] == 0xFF or marker[1] == 0x01 or 0xD0 <= marker[1] <= _SOI:
            # Fill bytes, and markers without content.
            at += 1 if marker[1] == 0xFF else 2
            continue
        if len(marker) < 4:
            return
        at += 2 + max(int.from_bytes(marker[2:]), 2)
        if marker[1] == _SOS:
            at = _end_of_scan(data, at)


def _end_of_scan(data: FileBytes, at: int) -> int | None:
    while block := data.part(at, _BLOCK):
        if match := _END_OF_SCAN.search(block):
            return at + match.start()
        if len(block) < _BLOCK:
            return None
        # A marker may lie across the border.
        at += len(block) - 1
    return None


def _png_is_cut_off(data: FileBytes) -> bool:
    return next((end > data.length for kind, end in _png_chunks(data) if kind == b"IEND"), True)


def _png_chunks(data: FileBytes) -> Iterator[tuple[bytes, int]]:
    """Return what each chunk is, and where it ends."""
    at = _PNG_SIGNATURE
    while len(head := data.part(at, 8)) == 8:
        at += 12 + int.from_bytes(head[:4])
        yield head[4:], at


def _riff_is_cut_off(data: FileBytes) -> bool:
    length = int.from_bytes(data.part(4, 4), "little")
    return length not in _UNKNOWN_LENGTHS and 8 + length > data.length


def _iso_is_cut_off(data: FileBytes) -> bool:
    with data.open() as file:
        return missing_bytes(file, data.length) > 0


def _heif_is_cut_off(data: FileBytes) -> bool:
    if _iso_is_cut_off(data):
        return True
    at = 0
    while len(head := data.part(at, 8)) == 8:
        length, kind = int.from_bytes(head[:4]), head[4:]
        # The picture is in a box of its own, or among what is said of it.
        if kind == b"mdat" or (kind == b"meta" and b"idat" in data.part(at, min(length, _BLOCK))):
            return False
        if length < 8:
            break
        at += length
    return True


_CHECKS: dict[str, Callable[[FileBytes], bool]] = {
    "JPEG": lambda data: jpeg_end(data) is None,
    "PNG": _png_is_cut_off,
    "WEBP": _riff_is_cut_off,
    "WAV": _riff_is_cut_off,
    "HEIF": _heif_is_cut_off,
    "ISO": _iso_is_cut_off,
}
