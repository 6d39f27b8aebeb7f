"""The bytes of each job's clip: one real film, told apart by a box that players skip, filled up to any size.

The film is ``clip.mp4``: 6 seconds, 1366x768, 24 frames a second, H.264 High in yuv420p, no sound, index in front. It
shows a sun that rises over three layers of rolling hills, painted frame by frame with NumPy and encoded by PyAV 18.1
with libx264 (``crf=36``, ``preset=veryslow``, ``keyint=144``, ``movflags=faststart``). It has nothing to do with the
prompt.

An ISO media file may hold ``free`` boxes, whose content means nothing. One with the job's id gives every clip its own
hash; another of any length gives it any size without a byte of it being kept in memory.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

PIECE = 64 * 1024
LARGEST_SHORT_BOX = 2**32 - 1


@cache
def film() -> bytes:
    """The film that every clip shows."""
    return files("airflow_provider_minimax.emulator").joinpath("clip.mp4").read_bytes()


def free_box(content: bytes) -> bytes:
    """A box that players skip."""
    return struct.pack(">I4s", 8 + len(content), b"free") + content


def free_box_head(size: int) -> bytes:
    """The first bytes of a ``free`` box of so many bytes; the rest may be anything."""
    if size <= LARGEST_SHORT_BOX:
        return struct.pack(">I4s", size, b"free")
    return struct.pack(">I4sQ", 1, b"free", size)


@dataclass(frozen=True)
class Clip:
    """A playable file: some real bytes, then zeros up to its size."""

    real: bytes
    size: int

    @property
    def etag(self) -> str:
        """What the storage calls this content."""
        return '"' + hashlib.md5(self.real, usedforsecurity=False).hexdigest().upper() + '"'

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``, in small pieces."""
        for at in range(start, stop, PIECE):
            length = min(PIECE, stop - at)
            yield self.real[at : at + length].ljust(length, b"\0")


def clip_of(task_id: str, least_size: int | None) -> Clip:
    """The clip of one job, at least so large."""
    real = film() + free_box(f"task {task_id}".encode())
    missing = (least_size or 0) - len(real)
    if missing <= 0:
        return Clip(real, len(real))
    padding = max(missing, len(free_box_head(missing)))
    return Clip(real + free_box_head(padding), len(real) + padding)
