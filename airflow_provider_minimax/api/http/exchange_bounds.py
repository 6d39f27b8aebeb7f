"""What one exchange with a platform may take, over a connection that others used before and will use after it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import httpcore

from airflow_provider_minimax.api.http.answer import LONGEST_ANSWER, time_to_answer, time_to_send
from airflow_provider_minimax.api.http.bounded import CONNECT_TIMEOUT, SHORTEST, BoundedStream, Bounds

# Of all that comes before a body, 1xx answers included.
LONGEST_HEAD = 1024 * 1024
# So that the clock is checked while a slow host takes a long request.
_WRITTEN_AT_ONCE = 64 * 1024
_BLANK_LINE = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class ExchangeBounds(Bounds):
    """
    What is left of the time and of the bytes of one exchange.

    :param timeout: the connection's time-out.
    :param length: how many bytes the request's body has.
    :param ends_at: when the exchange ends at the latest, by :func:`time.monotonic`.
    """

    def __init__(self, timeout: float, length: int = 0, ends_at: float = math.inf) -> None:
        self._timeout = timeout
        self._ends_at = ends_at
        self._write_by = self._read_by = min(ends_at, time.monotonic() + timeout + time_to_send(length))
        self._room = LONGEST_HEAD
        self._connection: BoundedStream | None = None
        self._came = 0
        self._first = self._last = b""

    def seconds_to_connect(self) -> float:
        """Return how long a connection, or its TLS, may take from now on."""
        return max(SHORTEST, min(CONNECT_TIMEOUT, self._timeout, self._ends_at - time.monotonic()))

    def begin_body(self) -> None:
        """Give a body room, and what is around its pieces: the head is over."""
        self._room = 2 * LONGEST_ANSWER

    def end(self, headers: Mapping[str, str]) -> None:
        """
        Let the connection be used no more if more came than the answer: the next request would take it for its own.

        :param headers: the answer's, which was read to its end.
        """
        if self._connection is None:
            return
        if "transfer-encoding" in headers:
            is_all = self._last.find(_LAST_CHUNK) == len(self._last) - len(_LAST_CHUNK)
        else:
            length = headers.get("content-length", "0")
            head = self._first.find(_BLANK_LINE) + len(_BLANK_LINE)
            is_all = length.isdecimal() and self._came == head + int(length)
        self._connection.has_more = not is_all

    def write(self, connection: BoundedStream, buffer: bytes) -> None:
        """Write to a connection."""
        for start in range(0, len(buffer), _WRITTEN_AT_ONCE):
            left = self._left(self._write_by, httpcore.WriteTimeout)
            connection.stream.write(buffer[start : start + _WRITTEN_AT_ONCE], left)
        self._came, self._first = 0, b""
        # This may be the last of the request, after which the answer's time begins.
        self._read_by = min(self._ends_at, time.monotonic() + time_to_answer(self._timeout))

    def read(self, connection: BoundedStream, max_bytes: int) -> bytes:
        """Read from a connection."""
        data = connection.stream.read(max_bytes, self._left(self._read_by, httpcore.ReadTimeout))
        self._connection, self._last = connection, data
        self._first = self._first or data
        self._came += len(data)
        self._room -= len(data)
        if self._room < 0:
            raise httpcore.RemoteProtocolError("more than any answer should be")
        return data

    def _left(self, until: float, error: type[Exception]) -> float:
        left = until - time.monotonic()
        if left <= 0:
            raise error("all of it took too long")
        return min(left, self._timeout)
