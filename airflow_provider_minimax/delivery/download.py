"""
From the file host into a part file: with a fresh link for each attempt, and from where the last one broke.

Where the platform gives two links to a clip, the other one is tried after each that led to no clip.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from airflow_provider_minimax.api.files.host import LARGEST, OverlongBodyError
from airflow_provider_minimax.api.files.mp4 import HEAD, is_video, missing_bytes
from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.exceptions import MinimaxDownloadError, MinimaxStorageError

if TYPE_CHECKING:
    from airflow_provider_minimax.api.files.client import FileStream
    from airflow_provider_minimax.api.http.transport import Transport
    from airflow_provider_minimax.api.task import VideoFile
    from airflow_provider_minimax.delivery.part_file import PartFile
    from airflow_provider_minimax.purchases.ledger import Log

ATTEMPTS = 5
# For all attempts together. A stalled connection ends sooner, with the connection's own time-out.
TOTAL_TIMEOUT = 1800.0
PROGRESS_EVERY = 10.0
_LONGEST_WAIT = 60.0

_backoff = wait_random_exponential(multiplier=1, max=10)


class _EndlessError(MinimaxDownloadError):
    """What comes is no clip, and would come for ever."""


def download(
    transport: Transport,
    locate: Callable[[], VideoFile],
    unfinished: PartFile,
    *,
    log: Log,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """
    Fetch a clip, or what is missing of it.

    :param transport: the way to the file host.
    :param locate: asks where the clip is; called once an attempt, because links expire.
    :param unfinished: what is here of it; afterwards all of it.
    :param log: where to say how far it is.
    :param sleep: how to wait between attempts; for tests.
    :raises MinimaxDownloadError: it could not be fetched whole; what is here is kept if it can be gone on with.
    :raises MinimaxStorageError: the disk of the part file is full, or fails.
    """

    def say_so(state: RetryCallState) -> None:
        log.warning("%s Trying again.", state.outcome.exception() if state.outcome else "")

    def may_help(error: BaseException) -> bool:
        is_endless = isinstance(error, _EndlessError)
        return isinstance(error, MinimaxDownloadError) and (not is_endless or links.next_is_untried)

    links = _Links(locate)
    attempts = Retrying(
        retry=retry_if_exception(may_help),
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(TOTAL_TIMEOUT),
        wait=lambda state: 0.0 if links.next_is_untried else _wait(state),
        before_sleep=say_so,
        sleep=sleep,
        reraise=True,
    )
    ends_at = time.monotonic() + TOTAL_TIMEOUT
    try:
        attempts(lambda: _attempt(transport, links, unfinished, ends_at, log))
    except OSError as error:
        # No link would help. Room on the disk may.
        raise MinimaxStorageError(
            f"the clip cannot be written to {unfinished.path} ({error.strerror or type(error).__name__})",
            hint="See to the disk, then run this again: fetching the clip costs nothing.",
        ) from error


class _Links:
    """Which of a clip's links to try; all are fresh for each attempt."""

    def __init__(self, locate: Callable[[], VideoFile]) -> None:
        self._locate = locate
        self._next = 0
        self._tried: set[int] = set()
        self._count = 1

    def next(self) -> str:
        """Return the link to try now."""
        file = self._locate()
        links = [file.url, *([file.backup_url] if file.backup_url else [])]
        self._count = len(links)
        self._next %= self._count
        self._tried.add(self._next)
        return links[self._next]

    def turn(self) -> None:
        """Try the other one next, if there is one."""
        self._next = (self._next + 1) % self._count

    @property
    def next_is_untried(self) -> bool:
        """Whether it is not known yet what the link for the next attempt leads to."""
        return self._next not in self._tried


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), min(getattr(error, "retry_after", None) or 0.0, _LONGEST_WAIT))


def _attempt(transport: Transport, links: _Links, unfinished: PartFile, ends_at: float, log: Log) -> None:
    size_before = unfinished.size
    try:
        _fetch_rest(transport, links.next(), unfinished, ends_at, log)
    except MinimaxDownloadError:
        # Another link may have another version of the file. What came of this one is worth staying for.
        if unfinished.version is None or unfinished.size in (0, size_before):
            links.turn()
        raise


def _fetch_rest(transport: Transport, url: str, unfinished: PartFile, ends_at: float, log: Log) -> None:
    try:
        with transport.fetch(url, start=unfinished.size, version=unfinished.version, ends_at=ends_at) as stream:
            if stream.start == 0:
                unfinished.begin(stream.version)
            elif unfinished.size:
                log.info("Going on from byte %s of the clip, which are here already.", unfinished.size)
            _receive(stream, unfinished, ends_at, log)
    except MinimaxDownloadError as error:
        if error.http_status in (206, 416) or isinstance(error, _EndlessError | OverlongBodyError):
            # What is here is no use with this host.
            unfinished.begin(None)
        if time.monotonic() >= ends_at:
            raise _too_late(unfinished) from error
        raise
    if stream.length is not None and unfinished.size != stream.length:
        raise _short(unfinished.size, stream.length)
    if missing := _missing_bytes(unfinished):
        size = unfinished.size
        unfinished.begin(None)
        raise _short(size, size + missing)


def _receive(stream: FileStream, unfinished: PartFile, ends_at: float, log: Log) -> None:
    _check_size(stream.length or 0)
    chunks = _bounded(stream, unfinished, ends_at)
    if stream.start == 0:
        head = _head(chunks)
        if not is_video(head):
            unfinished.begin(None)
            raise MinimaxDownloadError(
                f"the file host sent no MP4 but {_what_came(stream.content_type, head)}",
                hint="Asking for the file again costs nothing.",
            )
        chunks = chain([head], chunks)
    progress = _Progress(unfinished.size, stream.length, log)
    for chunk in chunks:
        unfinished.write(chunk)
        now = time.monotonic()
        if now >= progress.due:
            progress.tell(unfinished.size, now)


def _bounded(stream: FileStream, unfinished: PartFile, ends_at: float) -> Iterator[bytes]:
    """Return the stream's pieces until there are too many, or time is up."""
    for chunk in stream.chunks:
        yield chunk
        if time.monotonic() >= ends_at:
            raise _too_late(unfinished)
        if stream.length is not None and unfinished.size > stream.length:
            raise OverlongBodyError(
                f"the file host sends more than the {stream.length} bytes that it announced",
                hint="Fetching the clip again costs nothing.",
            )
        _check_size(max(unfinished.size, stream.received()))


def _head(chunks: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    return head


def _what_came(content_type: str, head: bytes) -> str:
    if not head:
        return "nothing at all"
    return redact(f"{content_type or 'something'} that begins with {head[:16]!r}")


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise _EndlessError(f"the file host sends more than {LARGEST} bytes, which no clip has")


def _too_late(unfinished: PartFile) -> MinimaxDownloadError:
    return MinimaxDownloadError(
        f"only {unfinished.size} bytes of the clip came within {TOTAL_TIMEOUT:g} s",
        hint="Run this again to go on from there; that costs nothing.",
    )


def _short(size: int, of: int) -> MinimaxDownloadError:
    return MinimaxDownloadError(
        f"the file host sent {size} bytes of {of}", hint="Fetching the clip again costs nothing."
    )


def _missing_bytes(unfinished: PartFile) -> int:
    with unfinished.path.open("rb") as file:
        return missing_bytes(file, unfinished.size)


class _Progress:
    """Says now and then how far a long download is."""

    def __init__(self, size: int, length: int | None, log: Log) -> None:
        self._first_size = size
        self._began = time.monotonic()
        self._length = length
        self._log = log
        self.due = self._began + PROGRESS_EVERY

    def tell(self, size: int, now: float) -> None:
        rate = (size - self._first_size) / (now - self._began)
        share = f"{size / self._length:.0%}, " if self._length else ""
        of: Any = f" of {self._length / 1e6:.1f}" if self._length else ""
        self._log.info("Fetching the clip: %s%.1f%s MB, %.1f MB/s", share, size / 1e6, of, rate / 1e6)
        self.due = now + PROGRESS_EVERY
