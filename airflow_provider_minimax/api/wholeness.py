"""Whether a picture, video or sound is all there, by what its format says of its own length; nothing is decoded."""

from __future__ import annotations

import re
from collections.abc import Callable

from airflow_provider_minimax.api.content import FileBytes
from airflow_provider_minimax.api.mp4 import missing_bytes

_BLOCK = 256 * 1024
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
# Within a scan, FF stands before stuffing, restart markers and fill bytes; anything else ends the scan.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_PNG_SIGNATURE = 8
# Written by those who do not know the length in advance.
_UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)


def is_cut_off(data: FileBytes, kind: str) -> bool:
    """
    Say whether a file ends before its content does.

    :param data: its bytes.
    :param kind: its format: ``JPEG``, ``PNG``, ``WEBP``, ``WAV``, ``ISO`` for MP4, MOV, HEIC and HEIF; of any other
        nothing is known.
    """
    check = _CHECKS.get(kind)
    return check is not None and check(data)


def jpeg_end(data: FileBytes) -> int | None:
    """Return where a file's first JPEG picture ends; ``None`` if it does not. Cameras may put others behind it."""
    at = 2
    while True:
        marker = data.part(at, 4)
        if len(marker) < 2 or marker[0] != 0xFF:
            return None
        if marker[1] == _EOI:
            return at + 2
        if marker[1] == 0xFF or marker[1] == 0x01 or 0xD0 <= marker[1] <= _SOI:
            # Fill bytes, and markers without content.
            at += 1 if marker[1] == 0xFF else 2
            continue
        if len(marker) < 4:
            return None
        at += 2 + max(int.from_bytes(marker[2:]), 2)
        if marker[1] == _SOS:
            found = _end_of_scan(data, at)
            if found is None:
                return None
            at = found


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
    at = _PNG_SIGNATURE
    while len(head := data.part(at, 8)) == 8:
        at += 12 + int.from_bytes(head[:4])
        if head[4:] == b"IEND":
            return at > data.length
    return True


def _riff_is_cut_off(data: FileBytes) -> bool:
    length = int.from_bytes(data.part(4, 4), "little")
    return length not in _UNKNOWN_LENGTHS and 8 + length > data.length


def _iso_is_cut_off(data: FileBytes) -> bool:
    with data.open() as file:
        return missing_bytes(file, data.length) > 0


_CHECKS: dict[str, Callable[[FileBytes], bool]] = {
    "JPEG": lambda data: jpeg_end(data) is None,
    "PNG": _png_is_cut_off,
    "WEBP": _riff_is_cut_off,
    "WAV": _riff_is_cut_off,
    "ISO": _iso_is_cut_off,
}
