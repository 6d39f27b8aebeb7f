"""
Downloads a clip from the file host into a part file: each attempt with a fresh link, from where the last one broke.

If the platform gives two links to a clip, an attempt that got nothing from one link is followed by one with the other.
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
from airflow_provider_minimax.exceptions import MinimaxDownloadError, MinimaxStorageError
from airflow_provider_minimax.text.redaction import redact

if TYPE_CHECKING:
    from airflow_provider_minimax.api.files.client import FileStream
    from airflow_provider_minimax.api.http.transport import Transport
    from airflow_provider_minimax.api.task import VideoFile
    from airflow_provider_minimax.delivery.part_file import PartFile
    from airflow_provider_minimax.purchases.ledger import Log

ATTEMPTS = 5
# For all attempts together. A stalled connection ends sooner, after the connection's own timeout.
TOTAL_TIMEOUT = 1800.0
PROGRESS_EVERY = 10.0
_LONGEST_WAIT = 60.0

_backoff = wait_random_exponential(multiplier=1, max=10)


class _TooLargeError(MinimaxDownloadError):
    """The file host sends more bytes than any clip has."""


def download(
    transport: Transport,
    locate: Callable[[], VideoFile],
    part: PartFile,
    *,
    log: Log,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """
    Download a clip, or the rest of it.

    :param transport: the HTTP client.
    :param locate: asks the platform for links; called for each attempt, because links expire.
    :param part: the part file; afterwards it has all of the clip.
    :param log: the task's log.
    :param sleep: how to wait between attempts; for tests.
    :raises MinimaxDownloadError: the clip could not be downloaded completely; what came is kept if it can be resumed.
    :raises MinimaxStorageError: the disk of the part file is full or fails.
    """

    def log_retry(state: RetryCallState) -> None:
        log.warning("%s Trying again.", state.outcome.exception() if state.outcome else "")

    def is_worth_retrying(error: BaseException) -> bool:
        is_too_large = isinstance(error, _TooLargeError)
        return isinstance(error, MinimaxDownloadError) and (not is_too_large or links.next_is_untried)

    links = _Links(locate)
    attempts = Retrying(
        retry=retry_if_exception(is_worth_retrying),
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(TOTAL_TIMEOUT),
        wait=lambda state: 0.0 if links.next_is_untried else _wait(state),
        before_sleep=log_retry,
        sleep=sleep,
        reraise=True,
    )
    ends_at = time.monotonic() + TOTAL_TIMEOUT
    try:
        attempts(lambda: _attempt(transport, links, part, ends_at, log))
    except OSError as error:
        # Another link would not help; free disk space may.
        raise MinimaxStorageError(
            f"the clip cannot be written to {part.path} ({error.strerror or type(error).__name__})",
            hint="Check the disk, then run this again; downloading the clip costs nothing.",
        ) from error


class _Links:
    """The links to a clip, renewed for each attempt, and which of them is next."""

    def __init__(self, locate: Callable[[], VideoFile]) -> None:
        self._locate = locate
        self._next = 0
        self._tried: set[int] = set()
        self._count = 1

    def next(self) -> str:
        """Return a fresh link for this attempt."""
        file = self._locate()
        links = [file.url, *([file.backup_url] if file.backup_url else [])]
        self._count = len(links)
        self._next %= self._count
        self._tried.add(self._next)
        return links[self._next]

    def switch(self) -> None:
        """Use the other link next, if there is one."""
        self._next = (self._next + 1) % self._count

    @property
    def next_is_untried(self) -> bool:
        """Whether no attempt has used the next link yet."""
        return self._next not in self._tried


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), min(getattr(error, "retry_after", None) or 0.0, _LONGEST_WAIT))


def _attempt(transport: Transport, links: _Links, part: PartFile, ends_at: float, log: Log) -> None:
    size_before = part.size
    try:
        _fetch_rest(transport, links.next(), part, ends_at, log)
    except MinimaxDownloadError:
        # Stay with a link that sent resumable bytes: the other may have another version of the file.
        if part.version is None or part.size in (0, size_before):
            links.switch()
        raise


def _fetch_rest(transport: Transport, url: str, part: PartFile, ends_at: float, log: Log) -> None:
    try:
        with transport.fetch(url, start=part.size, version=part.version, ends_at=ends_at) as stream:
            if stream.start == 0:
                part.begin(stream.version)
            elif part.size:
                log.info("Resuming the download at byte %s.", part.size)
            _receive(stream, part, ends_at, log)
    except MinimaxDownloadError as error:
        if error.http_status in (206, 416) or isinstance(error, _TooLargeError | OverlongBodyError):
            # This host cannot resume from these bytes.
            part.begin(None)
        if time.monotonic() >= ends_at:
            raise _too_late(part) from error
        raise
    if stream.length is not None and part.size != stream.length:
        raise _short(part.size, stream.length)
    if missing := _missing_bytes(part):
        size = part.size
        part.begin(None)
        raise _short(size, size + missing)


def _receive(stream: FileStream, part: PartFile, ends_at: float, log: Log) -> None:
    _check_size(stream.length or 0)
    chunks = _bounded(stream, part, ends_at)
    if stream.start == 0:
        head = _head(chunks)
        if not is_video(head):
            part.begin(None)
            raise MinimaxDownloadError(
                f"the file host sent {_describe(stream.content_type, head)} instead of an MP4",
                hint="Downloading the clip again costs nothing.",
            )
        chunks = chain([head], chunks)
    progress = _Progress(part.size, stream.length, log)
    for chunk in chunks:
        part.write(chunk)
        now = time.monotonic()
        if now >= progress.due:
            progress.report(part.size, now)


def _bounded(stream: FileStream, part: PartFile, ends_at: float) -> Iterator[bytes]:
    """Yield the stream's chunks; raise if there are too many bytes or time is up."""
    for chunk in stream.chunks:
        yield chunk
        if time.monotonic() >= ends_at:
            raise _too_late(part)
        if stream.length is not None and part.size > stream.length:
            raise OverlongBodyError(
                f"the file host sends more than the {stream.length} bytes that it announced",
                hint="Downloading the clip again costs nothing.",
            )
        _check_size(max(part.size, stream.received()))


def _head(chunks: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    return head


def _describe(content_type: str, head: bytes) -> str:
    if not head:
        return "nothing"
    return redact(f"{content_type or 'something'} beginning with {head[:16]!r}")


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise _TooLargeError(f"the file host sends more than {LARGEST} bytes; no clip is that large")


def _too_late(part: PartFile) -> MinimaxDownloadError:
    return MinimaxDownloadError(
        f"only {part.size} bytes of the clip came within {TOTAL_TIMEOUT:g} s",
        hint="Run this again to resume the download; that costs nothing.",
    )


def _short(size: int, of: int) -> MinimaxDownloadError:
    return MinimaxDownloadError(
        f"the file host sent {size} bytes of {of}", hint="Downloading the clip again costs nothing."
    )


def _missing_bytes(part: PartFile) -> int:
    with part.path.open("rb") as file:
        return missing_bytes(file, part.size)


class _Progress:
    """Logs the progress of a long download."""

    def __init__(self, size: int, length: int | None, log: Log) -> None:
        self._first_size = size
        self._began = time.monotonic()
        self._length = length
        self._log = log
        self.due = self._began + PROGRESS_EVERY

    def report(self, size: int, now: float) -> None:
        rate = (size - self._first_size) / (now - self._began)
        share = f"{size / self._length:.0%}, " if self._length else ""
        of: Any = f" of {self._length / 1e6:.1f}" if self._length else ""
        self._log.info("Downloading the clip: %s%.1f%s MB, %.1f MB/s", share, size / 1e6, of, rate / 1e6)
        self.due = now + PROGRESS_EVERY
