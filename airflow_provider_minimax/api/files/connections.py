"""
Connections to file hosts: which way each goes, to which addresses, for how long, and for how much before a file begins.

A link comes from outside, and so does each redirect. A name is looked up once, and what is connected to are the
addresses that were checked: looked up again, it might lead elsewhere. Host and certificate stay those of the name.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from airflow_provider_minimax.api.files.host import check_address, is_inside, literal_address, resolve
from airflow_provider_minimax.api.http.exchange import Endpoint, ssl_context
from airflow_provider_minimax.api.http.proxies import Proxy, proxy_for

# The head of an answer, and what may come before it: any number of 1xx answers, and a little of the body.
LARGEST_HEAD = 1024 * 1024
# Bytes a second. At this pace no clip would end before the time for all attempts does.
SLOWEST = 100
LARGEST_PORT = 65535


class FileBounds:
    """
    What is left of the time, and of the bytes of heads, for all connections of one file.

    :param ends_at: when there is no more time, by :func:`time.monotonic`.
    :param window: over how many seconds the pace of a host is measured.
    """

    def __init__(self, ends_at: float, window: float) -> None:
        self._ends_at = ends_at
        self._window = window
        self._slow_since = time.monotonic()
        self._received_then = 0
        self._may_receive: float = 0
        self.received = 0

    def begin_answer(self) -> None:
        """Let the head of another answer come."""
        self._may_receive = self.received + LARGEST_HEAD

    def let_the_body_come(self, ends_at: float) -> None:
        """
        Count no longer, since whoever reads the body does.

        :param ends_at: when there is no more time for it.
        """
        self._ends_at = ends_at
        self._may_receive = math.inf
        self.received = self._received_then = 0
        self._slow_since = time.monotonic()

    def time_left(self, timeout: float | None, kind: type[Exception]) -> float | None:
        """
        Return how long something may take.

        :param timeout: how long it may take at most.
        :param kind: the error to raise if there is no time left.
        """
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise kind("there is no more time for it")
        if timeout is None:
            return None if left == math.inf else left
        return min(timeout, left)

    def count(self, size: int) -> None:
        """Note that so many bytes came."""
        self.received += size
        if self.received > self._may_receive:
            raise httpcore.RemoteProtocolError(f"more than {LARGEST_HEAD} bytes came before the answer began")
        now = time.monotonic()
        if now - self._slow_since <= self._window:
            return
        if self.received - self._received_then < SLOWEST * (now - self._slow_since):
            raise httpcore.ReadTimeout(f"less than {SLOWEST} bytes a second came for {self._window:g} s")
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
        self._ways: dict[Proxy | None, _Way] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, whose body is still to come."""
        if (request.url.port or 0) > LARGEST_PORT:
            raise httpx.UnsupportedProtocol(f"there is no port {request.url.port}", request=request)
        proxy = proxy_for(str(request.url), self._endpoint.proxy)
        if proxy is not None:
            self._check_literal(request.url.raw_host.decode("ascii"))
        if proxy not in self._ways:
            self._ways[proxy] = _Way(self._endpoint, proxy, self._bounds)
        return self._ways[proxy].handle_request(request)

    def _check_literal(self, host: str) -> None:
        """Check what needs no looking up; a proxy looks up the rest, and sees another network than we do."""
        address = literal_address(host)
        if address is not None:
            check_address(address, host, inside=is_inside(self._endpoint.base_url))

    def close(self) -> None:
        """Close all connections."""
        for way in self._ways.values():
            way.close()


class _Way(httpx.HTTPTransport):
    """Connections that go through one proxy, or through none."""

    def __init__(self, endpoint: Endpoint, proxy: Proxy | None, bounds: FileBounds) -> None:
        context = ssl_context(endpoint.verify)
        super().__init__(verify=context, trust_env=False)
        backend = _BoundedBackend(bounds) if proxy else _CheckingBackend(bounds, endpoint)
        # httpx has no parameter for the backend.
        self._pool = httpcore.ConnectionPool(ssl_context=context, proxy=_proxy_of(proxy), network_backend=backend)


def _proxy_of(proxy: Proxy | None) -> httpcore.Proxy | None:
    if proxy is None:
        return None
    read = httpx.Proxy(proxy.url)
    return httpcore.Proxy(str(read.url), auth=read.raw_auth)


class _BoundedBackend(httpcore.SyncBackend):
    """Makes connections that keep to the bounds of a file."""

    def __init__(self, bounds: FileBounds) -> None:
        self._bounds = bounds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._bounds.time_left(timeout, httpcore.ConnectTimeout)
        stream = super().connect_tcp(host, port, left, local_address, socket_options)
        return _BoundedStream(stream, self._bounds)


class _CheckingBackend(_BoundedBackend):
    """Connects to those addresses of a host that were checked."""

    def __init__(self, bounds: FileBounds, endpoint: Endpoint) -> None:
        super().__init__(bounds)
        self._endpoint = endpoint

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = resolve(host)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        inside = is_inside(self._endpoint.base_url)
        for address in addresses:
            check_address(address, host, inside=inside)
        *others, last = addresses
        for address in others:
            try:
                return super().connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return super().connect_tcp(str(last), port, timeout, local_address, socket_options)


class _BoundedStream(httpcore.NetworkStream):
    """A connection that keeps to the bounds of a file."""

    def __init__(self, stream: httpcore.NetworkStream, bounds: FileBounds) -> None:
        self._stream = stream
        self._bounds = bounds

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, self._bounds.time_left(timeout, httpcore.ReadTimeout))
        self._bounds.count(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._bounds.time_left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._bounds.time_left(timeout, httpcore.ConnectTimeout)
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._bounds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
