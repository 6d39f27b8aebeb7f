"""
Connections of synchronous code, on which each exchange comes to an end whatever the other side does.

httpx limits each read and each write: an answer that comes byte by byte would take for ever, and as many 1xx answers as
come would be read. It hands its time-outs through to the network as they are; here :class:`ExchangeBounds` take their
place.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore
import httpx

from airflow_provider_minimax.api.http.answer import LONGEST_ANSWER, time_to_answer, time_to_send

CONNECT_TIMEOUT = 10.0
# Of all that comes before a body, 1xx answers included.
LONGEST_HEAD = 1024 * 1024
# So that the clock is looked at while a slow host takes a long request.
_WRITTEN_AT_ONCE = 64 * 1024
_SHORTEST = 0.001
_BLANK_LINE = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class ExchangeBounds:
    """
    What is left to one exchange.

    :param timeout: the connection's time-out.
    :param length: how many bytes the request's body has.
    :param ends_at: when the exchange ends at the latest, by :func:`time.monotonic`.
    """

    def __init__(self, timeout: float, length: int = 0, ends_at: float = math.inf) -> None:
        self._timeout = timeout
        self._ends_at = ends_at
        self._write_by = self._read_by = min(ends_at, time.monotonic() + timeout + time_to_send(length))
        self._room = LONGEST_HEAD
        self._stream: _BoundedStream | None = None
        self._came = 0
        self._first = self._last = b""

    def as_timeouts(self) -> dict[str, Any]:
        """Return what httpx takes as a request's time-outs."""
        connect = max(_SHORTEST, min(CONNECT_TIMEOUT, self._timeout, self._ends_at - time.monotonic()))
        return {"connect": connect, "pool": connect, "read": self, "write": self}

    def begin_body(self) -> None:
        """Give a body room, and what is around its pieces: the head is over."""
        self._room = 2 * LONGEST_ANSWER

    def end(self, headers: Mapping[str, str]) -> None:
        """
        Let the connection be used no more if more came than the answer: the next request would take it for its own.

        :param headers: the answer's, which was read to its end.
        """
        if self._stream is None:
            return
        if "transfer-encoding" in headers:
            is_all = self._last.find(_LAST_CHUNK) == len(self._last) - len(_LAST_CHUNK)
        else:
            length = headers.get("content-length", "0")
            head = self._first.find(_BLANK_LINE) + len(_BLANK_LINE)
            is_all = length.isdecimal() and self._came == head + int(length)
        self._stream.has_more = not is_all

    def write(self, stream: httpcore.NetworkStream, buffer: bytes) -> None:
        """Write to a connection."""
        for start in range(0, len(buffer), _WRITTEN_AT_ONCE):
            stream.write(buffer[start : start + _WRITTEN_AT_ONCE], self._left(self._write_by, httpcore.WriteTimeout))
        self._came, self._first = 0, b""
        # This may be the last of the request, and then it is the answer's turn.
        self._read_by = min(self._ends_at, time.monotonic() + time_to_answer(self._timeout))

    def read(self, bounded: _BoundedStream, stream: httpcore.NetworkStream, max_bytes: int) -> bytes:
        """Read from a connection."""
        data = stream.read(max_bytes, self._left(self._read_by, httpcore.ReadTimeout))
        self._stream, self._last = bounded, data
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


class BoundedTransport(httpx.HTTPTransport):
    """
    A transport of httpx whose requests have :class:`ExchangeBounds` in place of time-outs.

    :param options: httpx's own.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # httpx has no option for this, which is one of its pool's.
        self._pool._network_backend = _BoundedBackend(self._pool._network_backend)


class _BoundedBackend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _BoundedStream(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self.has_more = False

    def read(self, max_bytes: int, timeout: ExchangeBounds | float | None = None) -> bytes:
        if isinstance(timeout, ExchangeBounds):
            return timeout.read(self, self._stream, max_bytes)
        # Only a SOCKS proxy is talked to like this, without any time-out.
        return self._stream.read(max_bytes, timeout or CONNECT_TIMEOUT)

    def write(self, buffer: bytes, timeout: ExchangeBounds | float | None = None) -> None:
        if isinstance(timeout, ExchangeBounds):
            timeout.write(self._stream, buffer)
        else:
            self._stream.write(buffer, timeout or CONNECT_TIMEOUT)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        # What makes httpcore close a connection that is idle.
        if info == "is_readable" and self.has_more:
            return True
        return self._stream.get_extra_info(info)
