"""Sends values over HTTP from synchronous code, and reads the answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx
from tenacity import Retrying

from airflow_provider_minimax.api.files.client import FileHost, FileStream
from airflow_provider_minimax.api.http.answer import Answer
from airflow_provider_minimax.api.http.body import body_of
from airflow_provider_minimax.api.http.bounded import BoundedTransport
from airflow_provider_minimax.api.http.exchange import (
    Endpoint,
    Read,
    T,
    connection_options,
    read_reply,
    repetition,
    request_options,
    sending,
)
from airflow_provider_minimax.api.http.exchange_bounds import ExchangeBounds
from airflow_provider_minimax.api.http.failures import broken_off, network_error
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest


class Transport:
    """
    Sends requests of one endpoint from synchronous code, over one client that is kept open.

    :param endpoint: where to send them.
    :param sleep: how to wait between attempts; for tests.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = endpoint
        self._sleep = sleep
        # No client of httpx: it merges, redirects, keeps cookies and logs, which we do not need and which takes a third
        # of a submission.
        self._transport = BoundedTransport(**connection_options(endpoint))

    def send(
        self,
        request: HttpRequest,
        read: Read[T],
        *,
        retries: int | None = None,
        after_refusals: bool = True,
        within: float = math.inf,
    ) -> T:
        """
        Send a request and read its answer, repeating both where that is safe.

        :param request: what to send.
        :param read: reads the answer, or raises what it means.
        :param retries: how often it may be repeated; the endpoint's ``max_retries`` by default.
        :param after_refusals: whether also after the platform said that there are too many requests.
        :param within: how many seconds all of that may take.
        :return: what ``read`` made of the answer.
        :raises MinimaxError: what went wrong, by what the reader has to do about it.
        """
        ends_at = time.monotonic() + within
        options = repetition(self.endpoint, request, retries, after_refusals=after_refusals, within=within)
        answer: T = Retrying(sleep=self._sleep, **options)(self._once, request, read, ends_at)
        return answer

    def _once(self, request: HttpRequest, read: Read[T], ends_at: float) -> T:
        with sending(self.endpoint, request):
            reply = self._ask(request, ends_at)
        return read_reply(reply, read, self.endpoint, request)

    def _ask(self, request: HttpRequest, ends_at: float) -> HttpReply:
        body, answer = body_of(request), None
        bounds = ExchangeBounds(self.endpoint.timeout, body.length if body else 0, ends_at)
        try:
            options = request_options(self.endpoint, request, body, iter)
            extensions = {"timeout": bounds.as_timeouts()}
            response = self._transport.handle_request(httpx.Request(**options, extensions=extensions))
            answer = Answer(request, response.status_code, response.headers.items())
            try:
                bounds.begin_body()
                for piece in response.iter_raw() if answer.is_read else ():
                    if not answer.takes(piece):
                        break
                bounds.end(answer.headers)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if answer is None:
                raise network_error(error) from error
            return answer.reply(broken_off(error))
        return answer.reply()

    def fetch(
        self, url: str, *, start: int = 0, version: str | None = None, ends_at: float = math.inf
    ) -> AbstractContextManager[FileStream]:
        """Open a file at the file host, as :meth:`.FileHost.open` does, with the same parameters and errors."""
        return FileHost(self.endpoint).open(url, start=start, version=version, ends_at=ends_at)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
