"""Sends values over HTTP from synchronous code, and reads the answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx
from tenacity import Retrying

from airflow_provider_minimax.api.exchange import (
    Endpoint,
    Read,
    T,
    connection_options,
    network_error,
    read_reply,
    repetition,
    reply_of,
    request_options,
    sending,
    timeouts,
)
from airflow_provider_minimax.api.file_client import FileHost, FileStream
from airflow_provider_minimax.api.message import HttpReply, HttpRequest


class Transport:
    """
    Sends requests of one endpoint from synchronous code, over one client that is kept open.

    :param endpoint: where to send them.
    :param sleep: how to wait between attempts; for tests.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = endpoint
        self._sleep = sleep
        self._extensions = {"timeout": timeouts(endpoint).as_dict()}
        # No client of httpx: it merges, redirects, keeps cookies and logs, which we do not need and which takes a third
        # of a submission.
        self._transport = httpx.HTTPTransport(**connection_options(endpoint))

    def send(
        self, request: HttpRequest, read: Read[T], *, retries: int | None = None, after_refusals: bool = True
    ) -> T:
        """
        Send a request and read its answer, repeating both where that is safe.

        :param request: what to send.
        :param read: reads the answer, or raises what it means.
        :param retries: how often it may be repeated; the endpoint's ``max_retries`` by default.
        :param after_refusals: whether also after the platform said that there are too many requests.
        :return: what ``read`` made of the answer.
        :raises MinimaxError: what went wrong, by what the reader has to do about it.
        """
        options = repetition(self.endpoint, request, retries, after_refusals=after_refusals)
        answer: T = Retrying(sleep=self._sleep, **options)(self._once, request, read)
        return answer

    def _once(self, request: HttpRequest, read: Read[T]) -> T:
        with sending(self.endpoint, request):
            reply = self._ask(request)
        return read_reply(reply, read, self.endpoint, request)

    def _ask(self, request: HttpRequest) -> HttpReply:
        try:
            options = request_options(self.endpoint, request, iter)
            response = self._transport.handle_request(httpx.Request(**options, extensions=self._extensions))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise network_error(error) from error
        received = bytearray()
        try:
            for piece in response.iter_bytes():
                received += piece
        except httpx.HTTPError as error:
            return reply_of(response, received, error)
        return reply_of(response, received)

    def fetch(
        self, url: str, *, start: int = 0, version: str | None = None, ends_at: float = math.inf
    ) -> AbstractContextManager[FileStream]:
        """Open a file at the file host, as :meth:`.FileHost.open` does, with the same parameters and errors."""
        return FileHost(self.endpoint).open(url, start=start, version=version, ends_at=ends_at)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
