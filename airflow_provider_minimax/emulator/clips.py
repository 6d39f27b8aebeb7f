"""The bytes of each job's clip: a real film, told apart by a box that players skip, filled up to any size.

The films are in ``films/``. All show a sun that rises over three layers of rolling hills, and have nothing to do with
the prompt: H.264 High in yuv420p, 24 frames a second, index in front. Like the platform's own they have 17 n + 5
frames. They were painted with NumPy, frame by frame, in units of the picture's height: a sky of two colours and the
sun's glow by day's and night's shares, a disc, and for each layer of hills the sum of two sines that drifts at the
layer's own speed. PyAV 18.1 encoded them with libx264 (``crf=34``).

For v1 there is one of each resolution and length that can be ordered: 141 frames for 6 seconds, 243 for 10, one key
frame, no sound (``preset=veryslow``). For v2 there is one of each resolution, of 362 frames for 15 seconds, from which
shorter ones are cut: a key frame every 85, no picture that depends on a later one, and silence in stereo in front of
the pictures (``preset=slow``, ``g=85``, ``bf=0``). Those are 16:9. For each other ratio there is a plainer one, in
which nothing but the sun moves, and it four times a second: one key frame, and pictures that do not change take some
twenty bytes (``qp=36``, ``bf=0``, ``cabac=0``, ``ipratio=1``).

An ISO media file may hold ``free`` boxes, whose content means nothing. One with the job's id gives every clip its own
hash; another of any length gives it any size without a byte of it being kept in memory.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from airflow_provider_minimax.emulator.cutting import FRAMES_A_SECOND, cut

PIECE = 64 * 1024
LONGEST = 15
LARGEST_SHORT_BOX = 2**32 - 1
WIDE = "16:9"
RATIOS = {"21:9": 21 / 9, WIDE: 16 / 9, "4:3": 4 / 3, "1:1": 1.0, "3:4": 3 / 4, "9:16": 9 / 16}


def film(resolution: str | None = "768P", duration: int | None = 6) -> bytes:
    """The film for an order; some models sell 6 seconds of 720P and have nothing to choose."""
    return _stored(f"{resolution or '720P'}-{duration or 6}s.mp4")


@cache
def _stored(name: str) -> bytes:
    return files("airflow_provider_minimax.emulator").joinpath("films", name).read_bytes()


def film_v2(resolution: str, duration: int, ratio: str = WIDE) -> bytes:
    """The film for an order at v2, of as many frames as its seconds need at least."""
    shape = "" if ratio == WIDE else f"-{ratio.replace(':', 'x')}"
    frames = -(-(duration * FRAMES_A_SECOND - 5) // 17) * 17 + 5
    return cut(_stored(f"{resolution}{shape}-{LONGEST}s.mp4"), frames)


def nearest_ratio(width: int, height: int) -> str:
    """The ratio, of those that there are films of, that a picture of this size is nearest to."""
    return min(RATIOS, key=lambda ratio: abs(math.log(width / height / RATIOS[ratio])))


def begins_as_film(content: bytes) -> bool:
    """Whether this may be an MP4, be it broken behind its beginning."""
    return content[4:8] == b"ftyp"


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


def clip_of(task_id: str, least_size: int | None, shown: bytes | None = None) -> Clip:
    """The clip of one job, at least so large, that shows a film: the usual one, unless another is given."""
    real = (film() if shown is None else shown) + free_box(f"task {task_id}".encode())
    missing = (least_size or 0) - len(real)
    if missing <= 0:
        return Clip(real, len(real))
    padding = max(missing, len(free_box_head(missing)))
    return Clip(real + free_box_head(padding), len(real) + padding)
