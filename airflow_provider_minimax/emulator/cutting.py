"""Shortens a film by writing its index anew: no picture is decoded, and no encoder is needed.

Made for the films of v2 and no others: each track has one chunk, samples of one length and none that depends on a
later one, and the pictures are the last thing in the file. There are 24 of them a second.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

FRAMES_A_SECOND = 24

INSIDE = frozenset({b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"})

DURATION_IN_BOX = {b"mvhd": 24, b"tkhd": 28, b"elst": 16}
"""Where a box of the index tells the film's length, in the unit of ``mvhd``."""


def cut(film: bytes, frames: int) -> bytes:
    """The beginning of a film, shorter than the whole by two pictures or more."""
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


def _shorten(film: bytearray, track: int, size: int, frames: int) -> int:
    """Leave in a track's tables what goes with so many pictures, and say where its last sample ends."""
    at = {kind: start for kind, start, _ in _boxes(film, track, track + size)}
    unit, length = _number(film, at[b"mdhd"] + 20), _number(film, at[b"stts"] + 20)
    samples = frames * unit // (FRAMES_A_SECOND * length)
    _write(film, at[b"mdhd"] + 24, samples * length)
    _write(film, at[b"stts"] + 16, samples)
    _write(film, at[b"stsc"] + 20, samples)
    return _number(film, at[b"stco"] + 16) + _drop_sizes(film, at[b"stsz"], samples)


def _drop_sizes(film: bytearray, table: int, samples: int) -> int:
    """Leave so many entries in a table of sizes, and say how large these samples are together."""
    before, each = _number(film, table + 16), _number(film, table + 12)
    _write(film, table + 16, samples)
    if each:
        return each * samples
    end, dropped = table + 20 + 4 * samples, 4 * (before - samples)
    _write(film, table, end - table)
    # Where entries were is a box that players skip, so that nothing else in the file has to move.
    struct.pack_into(">I4s", film, end, dropped, b"free")
    return sum(struct.unpack_from(f">{samples}I", film, table + 20))


def _boxes(film: bytearray, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, place and size of each box, and of those inside the boxes of the index."""
    while start < stop:
        size, kind = struct.unpack_from(">I4s", film, start)
        yield kind, start, size
        if kind in INSIDE:
            yield from _boxes(film, start + 8, start + size)
        start += size


def _number(film: bytearray, at: int) -> int:
    number: int = struct.unpack_from(">I", film, at)[0]
    return number


def _write(film: bytearray, at: int, number: int) -> None:
    struct.pack_into(">I", film, at, number)
