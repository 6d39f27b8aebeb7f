"""
A clip, opened with PyAV (the extra ``media``).

What is in the file decides nothing but pictures: it is read as MP4 whatever it says of itself, and only through the
file object, so no playlist or reference in it can lead to another file or host.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image

T = TypeVar("T")

# The longest clips have some 400. A file with more is not what was bought, and decoding it would take minutes.
MOST_FRAMES = 10_000
# Twice those of 8K; decoded, 100 MB each.
_MOST_PIXELS = 2**26
# Of pixels, seconds, pictures or pictures a second.
_BEYOND_SENSE = 2**31


class UnreadableClipError(Exception):
    """The file is no clip that can be played; says why in a few words."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """
    What a clip's file says of itself; ``None`` where it does not say, or nothing that makes sense.

    :param width: in pixels.
    :param height: in pixels.
    :param duration: in seconds.
    :param frames: how many pictures there are.
    :param fps: pictures a second, on average.
    :param codec: of the pictures, e.g. ``h264``.
    :param has_sound: whether there is a sound track.
    """

    width: int | None
    height: int | None
    duration: float | None
    frames: int | None
    fps: float | None
    codec: str | None
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

    def shown_ratio(self) -> float | None:
        """Return width to height of the pictures, whose pixels need not be square; ``None`` if unknown."""
        return _said(lambda: self.facts.width / self.facts.height * float(self.stream.sample_aspect_ratio or 1))  # type: ignore[operator]

    def is_turned(self) -> bool:
        """Whether players show the pictures turned by a quarter; goes back to the beginning to find out."""
        with suppress(Exception):
            self.container.seek(0)
            return next(self.container.decode(self.stream)).rotation % 180 == 90
        return False

    def frames(self) -> Iterator[VideoFrame]:
        """
        Decode the pictures, from where the file is.

        :raises UnreadableClipError: there are too many of them.
        """
        for number, frame in enumerate(self.container.decode(self.stream)):
            if number >= MOST_FRAMES:
                raise UnreadableClipError(f"it has more than {MOST_FRAMES} pictures")
            yield frame

    def frames_at(self, times: Sequence[float]) -> Iterator[VideoFrame]:
        """
        Read the pictures at some times, in one pass.

        :param times: in seconds, ascending; after the end, the last picture stands for all that is missing.
        :return: as many pictures as times.
        :raises UnreadableClipError: there is no picture at all.
        """
        waiting = list(times)
        frame = None
        for frame in self.frames():
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
def opened(file: BinaryIO) -> Iterator[OpenClip]:
    """
    Open a clip; errors of PyAV, while it is open too, become ours, whatever they are.

    :param file: a file open for reading that can seek; it stays open.
    :raises UnreadableClipError: the file is no MP4, has not exactly one track of pictures, or cannot be decoded.
    :raises MemoryError: there is not enough memory to decode it.
    :raises OSError: the file itself cannot be read.
    """
    import av

    file.seek(0)
    try:
        # What a file says of its title or author is nobody's concern here, and need not be UTF-8.
        with av.open(
            file, mode="r", format="mp4", metadata_errors="replace", options={"max_pixels": str(_MOST_PIXELS)}
        ) as container:
            stream = _pictures(container)
            # Several slices at once, not several frames: no more pictures in memory, and quicker on clips this short.
            stream.thread_type = "SLICE"
            stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
            facts = _facts(container, stream)
            _check_bounds(facts)
            yield OpenClip(container, stream, facts)
    except (UnreadableClipError, MemoryError):
        raise
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        raise UnreadableClipError(f"it cannot be decoded ({error.strerror or type(error).__name__})") from error
    except OSError as error:
        # A place in a file that cannot be is what the clip names, and no trouble of the storage.
        if error.errno == errno.EINVAL:
            raise UnreadableClipError("it cannot be decoded (it refers to a place before its beginning)") from error
        raise
    except Exception as error:
        # PyAV was made for sound files, and stumbles over others in ways of its own.
        raise UnreadableClipError(f"it cannot be decoded ({type(error).__name__}: {error})") from error


def _pictures(container: InputContainer) -> VideoStream:
    from av.stream import Disposition

    # A cover is a track of one picture, and no part of the film.
    films = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if len(films) != 1:
        raise UnreadableClipError(f"it has {len(films) or 'no'} tracks of pictures")
    # PyAV has no codec to offer where FFmpeg knows none.
    if films[0].codec_context is None:
        raise UnreadableClipError("it cannot be decoded (FFmpeg has no decoder for its pictures here)")
    return films[0]


def _check_bounds(facts: MediaFacts) -> None:
    if facts.width is not None and facts.height is not None and facts.width * facts.height > _MOST_PIXELS:
        raise UnreadableClipError(f"its pictures are {facts.width}x{facts.height} pixels large")
    if facts.frames is not None and facts.frames > MOST_FRAMES:
        raise UnreadableClipError(f"it has {facts.frames} pictures, more than {MOST_FRAMES}")


def _facts(container: InputContainer, stream: VideoStream) -> MediaFacts:
    duration = _said(lambda: float(stream.duration * stream.time_base))  # type: ignore[operator]
    if duration is None:
        duration = _said(lambda: container.duration / 1_000_000)  # type: ignore[operator]
    fps = _said(lambda: float(stream.average_rate or stream.guessed_rate))  # type: ignore[arg-type]
    frames = _said(lambda: stream.frames)
    if frames is None and duration is not None and fps is not None:
        frames = _said(lambda: round(duration * fps))
    return MediaFacts(
        width=_said(lambda: stream.width),
        height=_said(lambda: stream.height),
        duration=_said(lambda: round(duration, 3)),  # type: ignore[arg-type]
        frames=frames,
        fps=_said(lambda: round(fps, 3)),  # type: ignore[arg-type]
        codec=_said(lambda: stream.codec_context.name),
        has_sound=bool(container.streams.audio),
    )


def _said(read: Callable[[], T]) -> T | None:
    """Return what the file says, and nothing if reading that fails or makes no sense: a fact is no reason to refuse."""
    with suppress(Exception):
        value = read()
        if not isinstance(value, int | float) or 0 < value < _BEYOND_SENSE:
            return value
    return None


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
