"""Shortens a film by writing its index anew: no picture is decoded, and no encoder is needed.

Cutting is made for the films of v2 and no others: each track has one chunk, samples of one length and none that depends
on a later one, and the pictures are the last thing in the file. There are 24 of them a second. Tables keep their room,
of which players read as much as the tables count; so nothing in the file has to move.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

FRAMES_A_SECOND = 24

INSIDE = frozenset({b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"})

DURATION_IN_BOX = {b"mvhd": 24, b"tkhd": 28, b"elst": 16}
"""Where a box of the index tells the film's length, in the unit of ``mvhd``."""


def cut(film: bytes, frames: int) -> bytes:
    """The beginning of a film, so many pictures long."""
    whole = bytearray(film)
    boxes = list(_boxes(whole, 0, len(whole)))
    (unit,) = (_number(whole, at + 20) for kind, at, _ in boxes if kind == b"mvhd")
    for kind, at, _ in boxes:
        if kind in DURATION_IN_BOX:
            _write(whole, at + DURATION_IN_BOX[kind], -(-frames * unit // FRAMES_A_SECOND))
    end = max(_shorten(whole, at, size, frames) for kind, at, size in boxes if kind == b"trak")
    (data,) = (at for kind, at, _ in boxes if kind == b"mdat")
    _write(whole, data, end - data)
    return bytes(whole[:end])


def seconds_of(film: bytes) -> float | None:
    """How long any film says that it is; None where it is none, or does not say."""
    content = bytearray(film)
    try:
        for kind, at, _ in _boxes(content, 0, len(content)):
            if kind == b"mvhd" and content[at + 8] == 0:
                return _number(content, at + 24) / _number(content, at + 20)
    except (struct.error, IndexError, ZeroDivisionError):
        pass
    return None


def _shorten(film: bytearray, track: int, size: int, frames: int) -> int:
    """Leave in a track's tables what goes with so many pictures, and say where its last sample ends."""
    at = {kind: start for kind, start, _ in _boxes(film, track, track + size)}
    unit, length = _number(film, at[b"mdhd"] + 20), _number(film, at[b"stts"] + 20)
    samples = frames * unit // (FRAMES_A_SECOND * length)
    _write(film, at[b"mdhd"] + 24, samples * length)
    _write(film, at[b"stts"] + 16, samples)
    _write(film, at[b"stsc"] + 20, samples)
    _write(film, at[b"stsz"] + 16, samples)
    if (keys := at.get(b"stss")) is not None:
        _write(film, keys + 12, sum(number <= samples for number in _table(film, keys + 16, _number(film, keys + 12))))
    sizes = _table(film, at[b"stsz"] + 20, samples)
    return _number(film, at[b"stco"] + 16) + sum(sizes)


def _boxes(film: bytearray, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, place and size of each box, and of those inside the boxes of the index."""
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
