"""Sends values over HTTP from an event loop, and reads the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Protocol

import httpx
from tenacity import AsyncRetrying

from airflow_provider_minimax.api.http.answer import Answer, time_to_answer
from airflow_provider_minimax.api.http.body import body_of
from airflow_provider_minimax.api.http.exchange import (
    IN_FLIGHT,
    Endpoint,
    Read,
    T,
    connection_options,
    read_reply,
    repetition,
    request_options,
    sending,
    time_for,
    timeouts,
)
from airflow_provider_minimax.api.http.failures import broken_off, network_error
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.http.proxies import proxy_for


class Client(Protocol):
    """What sends a request and reads its answer, over connections that are kept open."""

    in_flight: int
    """How many requests may be under way at once."""

    async def ask(self, request: HttpRequest) -> HttpReply:
        """
        Send a request once.

        :param request: what to send.
        :raises MinimaxError: no whole answer came.
        """

    async def aclose(self) -> None:
        """Close the connections."""


class HttpxClient:
    """
    Sends anything, over httpx.

    :param endpoint: where to send it.
    """

    in_flight = IN_FLIGHT

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._extensions = {"timeout": timeouts(endpoint).as_dict()}
        # No client of httpx: it merges, redirects, keeps cookies and logs, which we do not need and which takes a third
        # of a status check.
        self._transport = httpx.AsyncHTTPTransport(**connection_options(endpoint))

    async def ask(self, request: HttpRequest) -> HttpReply:
        """Send a request once."""
        if not request.buys:
            return await self._ask(self._transport, request)
        # Over a connection that nobody used before: what came late or twice there would be taken for the answer.
        async with httpx.AsyncHTTPTransport(**connection_options(self._endpoint)) as transport:
            return await self._ask(transport, request)

    async def _ask(self, transport: httpx.AsyncHTTPTransport, request: HttpRequest) -> HttpReply:
        body, answer = body_of(request), None
        limit = asyncio.timeout(time_for(self._endpoint, body.length if body else 0))
        try:
            async with limit:
                options = request_options(self._endpoint, request, body, partial(self._blocks, limit))
                response = await transport.handle_async_request(httpx.Request(**options, extensions=self._extensions))
                answer = Answer(request, response.status_code, response.headers.items())
                try:
                    if answer.is_read:
                        async for piece in response.aiter_raw():
                            if not answer.takes(piece):
                                break
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            if answer is None:
                raise network_error(error) from error
            return answer.reply(broken_off(error))
        return answer.reply()

    async def _blocks(self, limit: asyncio.Timeout, blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
        # In a thread: a file may lie on a disk that is far away.
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            yield block
        limit.reschedule(asyncio.get_running_loop().time() + time_to_answer(self._endpoint.timeout))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


async def _client_for_polls(endpoint: Endpoint) -> Client | None:
    """Return the faster client, where aiohttp is installed; what goes through a proxy is left to httpx."""
    if proxy_for(endpoint.base_url, endpoint.proxy) is not None:
        return None
    try:
        # In a thread: the first import of aiohttp takes long enough for a triggerer to say that its loop was blocked.
        module = await asyncio.to_thread(import_module, "airflow_provider_minimax.api.http.aiohttp_client")
    except ImportError:
        return None
    client: Client = module.AiohttpClient(endpoint)
    return client


class _Queue:
    """A client, and those who wait because as many requests are under way as it may have."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._slots = asyncio.Semaphore(client.in_flight)

    async def ask(self, request: HttpRequest) -> HttpReply:
        async with self._slots:
            return await self.client.ask(request)

    async def aclose(self) -> None:
        """Close the client, once all who are using it have their answers."""
        for _ in range(self.client.in_flight):
            await self._slots.acquire()
        try:
            await self.client.aclose()
        finally:
            for _ in range(self.client.in_flight):
                self._slots.release()


class AsyncTransport:
    """
    Sends requests of one endpoint from one event loop, over connections that are kept open.

    Status checks that are not repeated from here, which are those of triggers, go over aiohttp where that is installed:
    it takes a fraction of httpx's CPU. Nothing else does, because aiohttp silently repeats what it sent over a
    connection that turns out to be closed, cancellations included.

    :param endpoint: where to send them.
    :param sleep: how to wait between attempts; for tests.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.endpoint = endpoint
        self._sleep = sleep
        self._queue = _Queue(HttpxClient(endpoint))
        self._poll_queue: _Queue | None = None
        self._opening = asyncio.Lock()

    @property
    def max_in_flight(self) -> int:
        """How many status checks with ``retries=0`` may be under way at once."""
        return (self._poll_queue or self._queue).client.in_flight

    async def send(
        self, request: HttpRequest, read: Read[T], *, retries: int | None = None, after_refusals: bool = True
    ) -> T:
        """Do what the synchronous :class:`~.transport.Transport` does, with the same parameters and errors."""
        if retries == 0:
            # A trigger's status check: its own loop repeats it, so a thousand should not build a retrying loop each.
            queue = self._queue
            if request.method == "GET":
                queue = self._poll_queue or await self._open_poll_queue()
            return await self._once(queue, request, read)
        options = repetition(self.endpoint, request, retries, after_refusals=after_refusals)
        return await AsyncRetrying(sleep=self._sleep, **options)(self._once, self._queue, request, read)

    async def _open_poll_queue(self) -> _Queue:
        async with self._opening:
            if self._poll_queue is None:
                client = await _client_for_polls(self.endpoint)
                self._poll_queue = _Queue(client) if client else self._queue
        return self._poll_queue

    async def _once(self, queue: _Queue, request: HttpRequest, read: Read[T]) -> T:
        with sending(self.endpoint, request):
            reply = await queue.ask(request)
        return read_reply(reply, read, self.endpoint, request)

    async def aclose(self) -> None:
        """Close the connections, once all who are using them have their answers."""
        async with self._opening:
            try:
                if self._poll_queue not in (None, self._queue):
                    await self._poll_queue.aclose()
            finally:
                await self._queue.aclose()
