"""Shortens a film by rewriting its index: no frame is decoded, and no encoder is needed.

This works for the bundled films of v2 only: each track has one chunk, samples of one length and none that depends on a
later one, and the frames are the last thing in the file, 24 per second. Tables keep their size; only their counts
change, so nothing in the file has to move.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

FRAMES_PER_SECOND = 24

INSIDE = frozenset({b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"})

DURATION_IN_BOX = {b"mvhd": 24, b"tkhd": 28, b"elst": 16}
"""The offset of the film's length in each box of the index, in the unit of ``mvhd``."""


def cut(film: bytes, frames: int) -> bytes:
    """Return the first frames of a film."""
    whole = bytearray(film)
    boxes = list(_boxes(whole, 0, len(whole)))
    (unit,) = (_number(whole, at + 20) for kind, at, _ in boxes if kind == b"mvhd")
    for kind, at, _ in boxes:
        if kind in DURATION_IN_BOX:
            _write(whole, at + DURATION_IN_BOX[kind], -(-frames * unit // FRAMES_PER_SECOND))
    end = max(_shorten(whole, at, size, frames) for kind, at, size in boxes if kind == b"trak")
    (data,) = (at for kind, at, _ in boxes if kind == b"mdat")
    _write(whole, data, end - data)
    return bytes(whole[:end])


def seconds_of(film: bytes) -> float | None:
    """Return the length that a film states; None if there is none."""
    content = bytearray(film)
    try:
        for kind, at, _ in _boxes(content, 0, len(content)):
            if kind == b"mvhd" and content[at + 8] == 0:
                return _number(content, at + 24) / _number(content, at + 20)
    except (struct.error, IndexError, ZeroDivisionError):
        pass
    return None


def _shorten(film: bytearray, track: int, size: int, frames: int) -> int:
    """Shorten a track's tables to so many frames, and return where its last sample ends."""
    at = {kind: start for kind, start, _ in _boxes(film, track, track + size)}
    unit, length = _number(film, at[b"mdhd"] + 20), _number(film, at[b"stts"] + 20)
    samples = frames * unit // (FRAMES_PER_SECOND * length)
    _write(film, at[b"mdhd"] + 24, samples * length)
    _write(film, at[b"stts"] + 16, samples)
    _write(film, at[b"stsc"] + 20, samples)
    _write(film, at[b"stsz"] + 16, samples)
    if (keys := at.get(b"stss")) is not None:
        _write(film, keys + 12, sum(number <= samples for number in _table(film, keys + 16, _number(film, keys + 12))))
    sizes = _table(film, at[b"stsz"] + 20, samples)
    return _number(film, at[b"stco"] + 16) + sum(sizes)


def _boxes(film: bytearray, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, offset and size of each box, and of the boxes inside the index."""
    while start < stop:
        size, kind = struct.unpack_from(">I4s", film, start)
        yield kind, start, size
        if kind in INSIDE:
            yield from _boxes(film, start + 8, start + size)
        if size < 8:
            return
        start += size


def _table(film: bytearray, at: int, length: int) -> tuple[int, ...]:
    return struct.unpack_from(f">{length}I", film, at)


def _number(film: bytearray, at: int) -> int:
    number: int = struct.unpack_from(">I", film, at)[0]
    return number


def _write(film: bytearray, at: int, number: int) -> None:
    struct.pack_into(">I", film, at, number)
