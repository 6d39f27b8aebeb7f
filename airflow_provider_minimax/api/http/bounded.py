"""
Connections of synchronous code on which everything comes to an end, whatever the other side does.

httpx limits each read and each write alone: an answer that comes byte by byte would take for ever, and any number of
1xx answers would be read. It passes its time-outs on to the network as they are; here :class:`Bounds` take their place,
which know the whole exchange.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore
import httpx

CONNECT_TIMEOUT = 10.0
SHORTEST = 0.001
"""A time-out of nothing would be none; this one is over at once."""


class Bounds(ABC):
    """What one exchange may take, in time and in bytes."""

    def as_timeouts(self) -> dict[str, Any]:
        """Return what httpx takes as a request's time-outs."""
        return {"connect": self, "read": self, "write": self, "pool": self.seconds_to_connect()}

    @abstractmethod
    def seconds_to_connect(self) -> float:
        """Return how long a connection, or its TLS, may take from now on."""

    @abstractmethod
    def write(self, connection: BoundedStream, buffer: bytes) -> None:
        """Write to a connection."""

    @abstractmethod
    def read(self, connection: BoundedStream, max_bytes: int) -> bytes:
        """Read from a connection."""


def _itself(host: str) -> Sequence[str]:
    return (host,)


class BoundedTransport(httpx.HTTPTransport):
    """
    A transport of httpx whose requests have :class:`Bounds` in place of time-outs.

    :param addresses: returns where to connect to for a host, in this order until one answers.
    :param options: httpx's own.
    """

    def __init__(self, *, addresses: Callable[[str], Sequence[str]] = _itself, **options: Any) -> None:
        super().__init__(**options)
        # httpx has no option for this, which is one of its pool's.
        self._pool._network_backend = _BoundedBackend(self._pool._network_backend, addresses)


class _BoundedBackend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend, addresses: Callable[[str], Sequence[str]]) -> None:
        self._backend = backend
        self._addresses = addresses

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Bounds | float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        def connect(address: str) -> BoundedStream:
            seconds = _seconds(timeout)
            return BoundedStream(self._backend.connect_tcp(address, port, seconds, local_address, socket_options))

        *others, last = self._addresses(host)
        for address in others:
            try:
                return connect(address)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return connect(last)


class BoundedStream(httpcore.NetworkStream):
    """
    A connection.

    :param stream: the same without bounds.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self.stream = stream
        self.has_more = False
        """Whether more came than the answer, which the next request would take for its own."""

    def read(self, max_bytes: int, timeout: Bounds | float | None = None) -> bytes:
        """Read what has come, or the next that comes."""
        if isinstance(timeout, Bounds):
            return timeout.read(self, max_bytes)
        # Only a SOCKS proxy is talked to like this, without any time-out.
        return self.stream.read(max_bytes, timeout or CONNECT_TIMEOUT)

    def write(self, buffer: bytes, timeout: Bounds | float | None = None) -> None:
        """Write all of it."""
        if isinstance(timeout, Bounds):
            timeout.write(self, buffer)
        else:
            self.stream.write(buffer, timeout or CONNECT_TIMEOUT)

    def close(self) -> None:
        """Close it."""
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Bounds | float | None = None
    ) -> httpcore.NetworkStream:
        """Return the same connection with TLS."""
        return BoundedStream(self.stream.start_tls(ssl_context, server_hostname, _seconds(timeout)))

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks of a connection."""
        # What makes httpcore close a connection that is idle.
        if info == "is_readable" and self.has_more:
            return True
        return self.stream.get_extra_info(info)


def _seconds(timeout: Bounds | float | None) -> float | None:
    return timeout.seconds_to_connect() if isinstance(timeout, Bounds) else timeout
