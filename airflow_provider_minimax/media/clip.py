"""
A clip, opened with PyAV (the extra ``media``).

What is in the file decides nothing but pictures: it is read as MP4 whatever it says of itself, and only through the
file object, so no playlist or reference in it can lead to another file or host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image


class UnreadableClipError(Exception):
    """The file is no clip that can be played; says why in a few words."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """
    What a clip's file says of itself.

    :param width: in pixels.
    :param height: in pixels.
    :param duration: in seconds.
    :param frames: how many pictures there are.
    :param fps: pictures a second, on average.
    :param codec: of the pictures, e.g. ``h264``.
    :param has_sound: whether there is a sound track.
    """

    width: int
    height: int
    duration: float
    frames: int
    fps: float
    codec: str
    has_sound: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class OpenClip:
    """
    A clip whose file is open.

    :param container: PyAV's reader.
    :param stream: the pictures.
    :param facts: what the file says of itself.
    """

    container: InputContainer
    stream: VideoStream
    facts: MediaFacts

    def frames_at(self, times: Sequence[float]) -> Iterator[VideoFrame]:
        """
        Read the pictures at some times, in one pass.

        :param times: in seconds, ascending; after the end, the last picture stands for all that is missing.
        :return: as many pictures as times.
        :raises UnreadableClipError: there is no picture at all.
        """
        waiting = list(times)
        frame = None
        for frame in self.container.decode(self.stream):
            while waiting and (frame.time or 0.0) >= waiting[0]:
                del waiting[0]
                yield frame
            if not waiting:
                return
        if frame is None:
            raise UnreadableClipError("it has no pictures")
        for _ in waiting:
            yield frame


@contextmanager
def opened(file: Path | BinaryIO) -> Iterator[OpenClip]:
    """
    Open a clip; errors of PyAV, while it is open too, become ours.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :raises UnreadableClipError: the file is no MP4, has not exactly one track of pictures, or cannot be decoded.
    :raises OSError: the file itself cannot be read.
    """
    import av

    if isinstance(file, Path):
        with file.open("rb") as content, opened(content) as clip:
            yield clip
        return
    file.seek(0)
    try:
        with av.open(file, mode="r", format="mp4") as container:
            stream = _pictures(container)
            # Several slices at once, not several frames: no more pictures in memory, and quicker on clips this short.
            stream.thread_type = "SLICE"
            yield OpenClip(container, stream, _facts(container, stream))
    except av.FFmpegError as error:
        raise UnreadableClipError(f"it cannot be decoded ({error.strerror or type(error).__name__})") from error


def _pictures(container: InputContainer) -> VideoStream:
    from av.stream import Disposition

    # A cover is a track of one picture, and no part of the film.
    films = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if len(films) != 1:
        raise UnreadableClipError(f"it has {len(films) or 'no'} tracks of pictures")
    return films[0]


def _facts(container: InputContainer, stream: VideoStream) -> MediaFacts:
    fps = float(stream.average_rate or stream.guessed_rate or 0)
    if stream.duration is not None and stream.time_base is not None:
        duration = float(stream.duration * stream.time_base)
    else:
        duration = (container.duration or 0) / 1_000_000
    return MediaFacts(
        width=stream.width,
        height=stream.height,
        duration=round(duration, 3),
        frames=stream.frames or round(duration * fps),
        fps=round(fps, 3),
        codec=stream.codec_context.name,
        has_sound=bool(container.streams.audio),
    )


def picture_of(frame: VideoFrame, size: tuple[int, int], mode: Literal["RGB", "L"]) -> Image:
    """
    Return a frame as a picture of another size.

    :param frame: the frame.
    :param size: width and height in pixels.
    :param mode: Pillow's: colours, or grey levels.
    """
    from PIL import Image

    plane = frame.reformat(*size, format="gray" if mode == "L" else "rgb24", interpolation="AREA").planes[0]
    return Image.frombytes(mode, size, bytes(plane), "raw", mode, plane.line_size)
