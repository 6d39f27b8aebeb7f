"""
Connections to file hosts: which way each goes, to which addresses, for how long, and for how much before a file begins.

A link comes from outside, and so does each redirect. A name is looked up once, and what is connected to are the
addresses that were checked: looked up again, it might lead elsewhere. Host and certificate stay those of the name.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

import httpcore
import httpx

from airflow_provider_minimax.api.files.host import check_address, is_inside, literal_address, resolve
from airflow_provider_minimax.api.http.bounded import CONNECT_TIMEOUT, SHORTEST, BoundedStream, BoundedTransport, Bounds
from airflow_provider_minimax.api.http.certificates import ssl_context
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.proxies import Proxy, proxy_for

# The head of an answer, and what may come before it: any number of 1xx answers, and a little of the body.
LARGEST_HEAD = 1024 * 1024
# Bytes a second. At this pace no clip would end before the time for all attempts does.
SLOWEST = 100
LARGEST_PORT = 65535


class FileBounds(Bounds):
    """
    What is left of the time, and of the bytes of heads, for all connections of one file.

    :param ends_at: when there is no more time, by :func:`time.monotonic`.
    :param timeout: the connection's time-out, for each read and write; over as many seconds a host's pace is measured.
    """

    def __init__(self, ends_at: float, timeout: float) -> None:
        self._ends_at = ends_at
        self._timeout = timeout
        self._slow_since = time.monotonic()
        self._received_then = 0
        self._may_receive: float = 0
        self.received = 0

    def begin_answer(self) -> None:
        """Let the head of another answer come."""
        self._may_receive = self.received + LARGEST_HEAD

    def let_the_body_come(self, ends_at: float) -> None:
        """
        Stop counting, since the reader of the body does.

        :param ends_at: when there is no more time for it.
        """
        self._ends_at = ends_at
        self._may_receive = math.inf
        self.received = self._received_then = 0
        self._slow_since = time.monotonic()

    def seconds_to_connect(self) -> float:
        """Return how long a connection, or its TLS, may take from now on."""
        return max(SHORTEST, min(CONNECT_TIMEOUT, self._timeout, self._ends_at - time.monotonic()))

    def write(self, connection: BoundedStream, buffer: bytes) -> None:
        """Write to a connection."""
        connection.stream.write(buffer, self._left(httpcore.WriteTimeout))

    def read(self, connection: BoundedStream, max_bytes: int) -> bytes:
        """Read from a connection."""
        data = connection.stream.read(max_bytes, self._left(httpcore.ReadTimeout))
        self._count(len(data))
        return data

    def _left(self, error: type[Exception]) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise error("there is no more time for it")
        return min(self._timeout, left)

    def _count(self, size: int) -> None:
        self.received += size
        if self.received > self._may_receive:
            raise httpcore.RemoteProtocolError(f"more than {LARGEST_HEAD} bytes came before the answer began")
        now = time.monotonic()
        if now - self._slow_since <= self._timeout:
            return
        if self.received - self._received_then < SLOWEST * (now - self._slow_since):
            raise httpcore.ReadTimeout(f"less than {SLOWEST} bytes a second came for {self._timeout:g} s")
        self._slow_since, self._received_then = now, self.received


class FileTransport(httpx.BaseTransport):
    """
    Takes each request the way that its URL goes: through a proxy, or directly to addresses that may be a file host's.

    :param endpoint: the platform's, which says how connections are made.
    :param bounds: what all of them may take together.
    """

    def __init__(self, endpoint: Endpoint, bounds: FileBounds) -> None:
        self._endpoint = endpoint
        self._bounds = bounds
        self._transports: dict[Proxy | None, BoundedTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, whose body is still to come."""
        if (request.url.port or 0) > LARGEST_PORT:
            raise httpx.UnsupportedProtocol(f"there is no port {request.url.port}", request=request)
        proxy = proxy_for(str(request.url), self._endpoint.proxy)
        if proxy is not None:
            self._check_literal(request.url.raw_host.decode("ascii"))
        if proxy not in self._transports:
            self._transports[proxy] = self._open(proxy)
        request.extensions = {**request.extensions, "timeout": self._bounds.as_timeouts()}
        return self._transports[proxy].handle_request(request)

    def _open(self, proxy: Proxy | None) -> BoundedTransport:
        options: dict[str, Any] = {"verify": ssl_context(self._endpoint.verify), "trust_env": False}
        if proxy is not None:
            return BoundedTransport(proxy=proxy.url, **options)
        return BoundedTransport(addresses=partial(_checked_addresses, self._endpoint), **options)

    def _check_literal(self, host: str) -> None:
        """Check what needs no looking up; a proxy looks up the rest, and sees another network than we do."""
        address = literal_address(host)
        if address is not None:
            check_address(address, host, inside=is_inside(self._endpoint.base_url))

    def close(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            transport.close()


def _checked_addresses(endpoint: Endpoint, host: str) -> list[str]:
    """Return the addresses of a file host, all of which may be one's."""
    try:
        addresses = resolve(host)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    inside = is_inside(endpoint.base_url)
    for address in addresses:
        check_address(address, host, inside=inside)
    return [str(address) for address in addresses]
