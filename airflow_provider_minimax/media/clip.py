"""
Opens a clip with PyAV (the extra ``media``).

A hostile file can affect nothing but its own frames: it is read as MP4 whatever it claims to be, and only through the
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

# The longest clips have some 400. A file with more than this is not what was bought, and would take minutes to decode.
MOST_FRAMES = 10_000
# In a frame. Twice those of 8K; a decoded frame takes 100 MB.
_MOST_PIXELS = 2**26
# No number of pixels, seconds, frames or frames per second makes sense beyond this.
_BEYOND_SENSE = 2**31


class UnreadableClipError(Exception):
    """The file cannot be played; the message says why in a few words."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """
    What a clip's file says about itself; ``None`` for values that are missing or make no sense.

    :param width: in pixels.
    :param height: in pixels.
    :param duration: in seconds.
    :param frames: how many frames there are.
    :param fps: frames per second, on average.
    :param codec: of the video, such as ``h264``.
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
    An open clip.

    :param container: PyAV's reader.
    :param stream: the video track.
    :param facts: what the file says about itself.
    """

    container: InputContainer
    stream: VideoStream
    facts: MediaFacts

    def shown_ratio(self) -> float | None:
        """Return width divided by height as players show it (pixels need not be square); ``None`` if unknown."""
        return _plausible(lambda: self.facts.width / self.facts.height * float(self.stream.sample_aspect_ratio or 1))  # type: ignore[operator]

    def is_rotated(self) -> bool:
        """Return whether players rotate the frames by 90 degrees. Seeks to the beginning."""
        with suppress(Exception):
            self.container.seek(0)
            return next(self.container.decode(self.stream)).rotation % 180 == 90
        return False

    def frames(self) -> Iterator[VideoFrame]:
        """
        Decode the frames, from the current position.

        :raises UnreadableClipError: there are too many of them.
        """
        for number, frame in enumerate(self.container.decode(self.stream)):
            if number >= MOST_FRAMES:
                raise UnreadableClipError(f"it has more than {MOST_FRAMES} frames")
            yield frame

    def frames_at(self, times: Sequence[float]) -> Iterator[VideoFrame]:
        """
        Decode the frames at some times, in one pass.

        :param times: in seconds, ascending; for times after the end, the last frame is repeated.
        :return: one frame for each time.
        :raises UnreadableClipError: there are no frames.
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
            raise UnreadableClipError("it has no frames")
        for _ in waiting:
            yield frame


@contextmanager
def opened(file: BinaryIO) -> Iterator[OpenClip]:
    """
    Open a clip. All errors of PyAV become ours, also while the clip is open.

    :param file: a file open for reading that can seek; it stays open.
    :raises UnreadableClipError: the file is not an MP4, does not have exactly one video track, or cannot be decoded.
    :raises MemoryError: there is not enough memory to decode it.
    :raises OSError: the file itself cannot be read.
    """
    import av

    file.seek(0)
    try:
        # Title and author are not needed, and may not be UTF-8.
        with av.open(
            file, mode="r", format="mp4", metadata_errors="replace", options={"max_pixels": str(_MOST_PIXELS)}
        ) as container:
            stream = _video_track(container)
            # Decode slices in parallel, not frames: keeps one frame in memory, and is faster for clips this short.
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
        # The clip refers to an impossible offset; the storage is not at fault.
        if error.errno == errno.EINVAL:
            raise UnreadableClipError("it cannot be decoded (it refers to an offset before its beginning)") from error
        raise
    except Exception as error:
        # PyAV expects valid files, and fails on others with all kinds of exceptions.
        raise UnreadableClipError(f"it cannot be decoded ({type(error).__name__}: {error})") from error


def _video_track(container: InputContainer) -> VideoStream:
    from av.stream import Disposition

    # A cover is stored as a video track of one picture.
    tracks = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if len(tracks) != 1:
        raise UnreadableClipError(f"it has {len(tracks) or 'no'} video tracks")
    # PyAV has no codec context if FFmpeg has no decoder.
    if tracks[0].codec_context is None:
        raise UnreadableClipError("it cannot be decoded (FFmpeg has no decoder for its video here)")
    return tracks[0]


def _check_bounds(facts: MediaFacts) -> None:
    if facts.width is not None and facts.height is not None and facts.width * facts.height > _MOST_PIXELS:
        raise UnreadableClipError(f"its frames have {facts.width}x{facts.height} pixels")
    if facts.frames is not None and facts.frames > MOST_FRAMES:
        raise UnreadableClipError(f"it has {facts.frames} frames, more than {MOST_FRAMES}")


def _facts(container: InputContainer, stream: VideoStream) -> MediaFacts:
    duration = _plausible(lambda: float(stream.duration * stream.time_base))  # type: ignore[operator]
    if duration is None:
        duration = _plausible(lambda: container.duration / 1_000_000)  # type: ignore[operator]
    fps = _plausible(lambda: float(stream.average_rate or stream.guessed_rate))  # type: ignore[arg-type]
    frames = _plausible(lambda: stream.frames)
    if frames is None and duration is not None and fps is not None:
        frames = _plausible(lambda: round(duration * fps))
    return MediaFacts(
        width=_plausible(lambda: stream.width),
        height=_plausible(lambda: stream.height),
        duration=_plausible(lambda: round(duration, 3)),  # type: ignore[arg-type]
        frames=frames,
        fps=_plausible(lambda: round(fps, 3)),  # type: ignore[arg-type]
        codec=_plausible(lambda: stream.codec_context.name),
        has_sound=bool(container.streams.audio),
    )


def _plausible(read: Callable[[], T]) -> T | None:
    """Return a value that the file states, or None if it cannot be read or makes no sense; that rejects no clip."""
    with suppress(Exception):
        value = read()
        if not isinstance(value, int | float) or 0 < value < _BEYOND_SENSE:
            return value
    return None


def picture_from(frame: VideoFrame, size: tuple[int, int], mode: Literal["RGB", "L"]) -> Image:
    """
    Return a frame as a picture, scaled.

    :param frame: the frame.
    :param size: width and height in pixels.
    :param mode: Pillow's name of colours, or of grey levels.
    """
    from PIL import Image

    plane = frame.reformat(*size, format="gray" if mode == "L" else "rgb24", interpolation="AREA").planes[0]
    return Image.frombytes(mode, size, bytes(plane), "raw", mode, plane.line_size)
