"""Sends values over HTTP from an event loop, and reads the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.request import getproxies

import httpx
from tenacity import AsyncRetrying

from airflow_provider_minimax.api.exchange import (
    IN_FLIGHT,
    Endpoint,
    Read,
    T,
    connection_options,
    explained,
    network_error,
    read_reply,
    repetition,
    reply_of,
    request_options,
    timeouts,
)
from airflow_provider_minimax.api.message import HttpRequest


class AsyncTransport:
    """
    Sends requests of one endpoint from one event loop, over one client that is kept open.

    :param endpoint: where to send them.
    :param sleep: how to wait between attempts; for tests.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.endpoint = endpoint
        self._sleep = sleep
        self._extensions = {"timeout": timeouts(endpoint).as_dict()}
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        # A client merges, redirects, keeps cookies and logs, which we do not need and which takes a third of a look. It
        # knows which hosts go through which proxy, though.
        self._client: httpx.AsyncClient | httpx.AsyncHTTPTransport
        self._answer: Callable[[httpx.Request], Awaitable[httpx.Response]]
        if endpoint.proxy or getproxies():
            self._client = httpx.AsyncClient(**connection_options(endpoint))
            self._answer = self._client.send
        else:
            self._client = httpx.AsyncHTTPTransport(**connection_options(endpoint))
            self._answer = self._client.handle_async_request

    async def send(self, request: HttpRequest, read: Read[T], *, retries: int | None = None) -> T:
        """Do what the synchronous :class:`~.transport.Transport` does, with the same parameters and errors."""
        if retries == 0:
            # A trigger's look: its own loop repeats it, so a thousand of them should not build a retrying loop each.
            return await self._once(request, read)
        options = repetition(self.endpoint, request, retries)
        return await AsyncRetrying(sleep=self._sleep, **options)(self._once, request, read)

    async def _once(self, request: HttpRequest, read: Read[T]) -> T:
        try:
            async with self._in_flight:
                options = request_options(self.endpoint, request)
                response = await self._answer(httpx.Request(**options, extensions=self._extensions))
                await response.aread()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise explained(network_error(error), self.endpoint, request) from error
        return read_reply(reply_of(response), read, self.endpoint, request)

    async def aclose(self) -> None:
        """Close the client's connections, once all who are using them have their answers."""
        for _ in range(IN_FLIGHT):
            await self._in_flight.acquire()
        try:
            await self._client.aclose()
        finally:
            for _ in range(IN_FLIGHT):
                self._in_flight.release()
