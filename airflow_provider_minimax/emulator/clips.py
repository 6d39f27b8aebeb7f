"""The bytes of each job's clip: a real film, with a box that makes each clip different, padded to any size.

The films are in ``films/``. All show the sun rising over three layers of hills, whatever the prompt: H.264 High in
yuv420p, 24 frames per second, index in front. Like the platform's own clips they have 17 n + 5 frames. They were
painted with NumPy, frame by frame, in units of the picture's height: a sky of two colours and the sun's glow, a disc,
and for each layer of hills the sum of two sines that drifts at the layer's own speed. PyAV 18.1 encoded them with
libx264 (``crf=34``).

For v1 there is one film for each resolution and length that can be requested: 141 frames for 6 seconds, 243 for 10,
one key frame, no sound (``preset=veryslow``). For v2 there is one for each resolution, with 362 frames for 15 seconds,
from which shorter ones are cut: a key frame every 85, no frame that depends on a later one, and silence in stereo in
front of the frames (``preset=slow``, ``g=85``, ``bf=0``). Those are 16:9. For each other ratio there is a simpler film,
in which only the sun moves, four times a second: one key frame, and unchanged frames take some twenty bytes
(``qp=36``, ``bf=0``, ``cabac=0``, ``ipratio=1``).

An ISO media file may have ``free`` boxes, whose content is ignored. One with the job's id gives every clip its own
hash; another of any length pads it to any size without using memory.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from airflow_provider_minimax.emulator.cutting import FRAMES_PER_SECOND, cut

PIECE = 64 * 1024
LONGEST = 15
LARGEST_SHORT_BOX = 2**32 - 1
WIDE = "16:9"
RATIOS = {"21:9": 21 / 9, WIDE: 16 / 9, "4:3": 4 / 3, "1:1": 1.0, "3:4": 3 / 4, "9:16": 9 / 16}


def film(resolution: str | None = "768P", duration: int | None = 6) -> bytes:
    """Return the film for a v1 order; models without a choice make 6 seconds in 720P."""
    return _stored(f"{resolution or '720P'}-{duration or 6}s.mp4")


@cache
def _stored(name: str) -> bytes:
    return files("airflow_provider_minimax.emulator").joinpath("films", name).read_bytes()


def film_v2(resolution: str, duration: int, ratio: str = WIDE) -> bytes:
    """Return the film for a v2 order, with at least as many frames as its seconds need."""
    shape = "" if ratio == WIDE else f"-{ratio.replace(':', 'x')}"
    frames = -(-(duration * FRAMES_PER_SECOND - 5) // 17) * 17 + 5
    return cut(_stored(f"{resolution}{shape}-{LONGEST}s.mp4"), frames)


def nearest_ratio(width: int, height: int) -> str:
    """Return the ratio closest to that of a picture, among those that have a film."""
    return min(RATIOS, key=lambda ratio: abs(math.log(width / height / RATIOS[ratio])))


def begins_as_film(content: bytes) -> bool:
    """Return whether this begins like an MP4; the rest may be broken."""
    return content[4:8] == b"ftyp"


def free_box(content: bytes) -> bytes:
    """Return a box that players skip."""
    return struct.pack(">I4s", 8 + len(content), b"free") + content


def free_box_head(size: int) -> bytes:
    """Return the header of a ``free`` box of this size; its content may be anything."""
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
        """The ETag of this content."""
        return '"' + hashlib.md5(self.real, usedforsecurity=False).hexdigest().upper() + '"'

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``, in small pieces."""
        for at in range(start, stop, PIECE):
            length = min(PIECE, stop - at)
            yield self.real[at : at + length].ljust(length, b"\0")


def clip_of(task_id: str, least_size: int | None, shown: bytes | None = None) -> Clip:
    """Return the clip of a job, of at least this size, with the default film or another one."""
    real = (film() if shown is None else shown) + free_box(f"task {task_id}".encode())
    missing = (least_size or 0) - len(real)
    if missing <= 0:
        return Clip(real, len(real))
    padding = max(missing, len(free_box_head(missing)))
    return Clip(real + free_box_head(padding), len(real) + padding)
