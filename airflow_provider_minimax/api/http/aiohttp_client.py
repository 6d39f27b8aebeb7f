"""
The faster client for status checks. Needs aiohttp, which the extra ``aiohttp`` brings and many an Airflow has anyway.

Only for status checks: aiohttp repeats by itself what it sent over a connection that turns out to be closed.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
    ThreadedResolver,
)

from airflow_provider_minimax.api.http.answer import Answer
from airflow_provider_minimax.api.http.bounded import CONNECT_TIMEOUT
from airflow_provider_minimax.api.http.certificates import ssl_context
from airflow_provider_minimax.api.http.exchange import KEEP_ALIVE, Endpoint, headers_of
from airflow_provider_minimax.api.http.failures import broken_off, unreachable, unusable
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.exceptions import MinimaxError

# As long as what httpx reads of an answer's head; aiohttp stops at 8 KiB.
LONGEST_HEADER = 64 * 1024


class AiohttpClient:
    """
    Sends status checks over aiohttp: requests without a body that may be sent twice.

    :param endpoint: where to send them; it must need no proxy.
    """

    # aiohttp's cost a request does not rise with those under way; more connections than this help no platform.
    in_flight = 32

    def __init__(self, endpoint: Endpoint) -> None:
        self._base = f"{endpoint.base_url}{endpoint.path_prefix}"
        connect = min(CONNECT_TIMEOUT, endpoint.timeout)
        # For all of it: an answer to a status check comes in one piece, and another timer would cost as much as it.
        self._time_for_one = connect + endpoint.timeout
        self._session = ClientSession(
            connector=TCPConnector(
                ssl=ssl_context(endpoint.verify),
                limit=self.in_flight,
                keepalive_timeout=KEEP_ALIVE,
                # Names as the system and httpx resolve them; where aiodns is installed, aiohttp would ask it.
                resolver=ThreadedResolver(),
            ),
            timeout=ClientTimeout(total=None, connect=connect),
            headers=headers_of(endpoint),
            # What httpx's transport does not send either.
            skip_auto_headers=("Accept",),
            # In one go, whatever it comes to.
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )

    async def ask(self, request: HttpRequest) -> HttpReply:
        """Send a status check once, or once more if the connection had been closed meanwhile."""
        url = f"{self._base}{request.path}"
        if request.query:
            url = f"{url}?{urlencode(request.query, doseq=True)}"
        answer = None
        try:
            async with asyncio.timeout(self._time_for_one):
                # A redirect would take the key along.
                response = await self._session.get(url, allow_redirects=False)
                answer = Answer(request, response.status, response.headers.items())
                try:
                    while answer.is_read and not response.content.at_eof():
                        if not answer.takes(await response.content.readany()):
                            break
                finally:
                    if not response.closed:
                        response.close()
        except (ClientError, TimeoutError, OSError, UnicodeError) as error:
            failure = _network_error(error)
            if answer is None:
                raise failure from error
            return answer.reply(failure)
        return answer.reply()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()


def _network_error(error: Exception) -> MinimaxError:
    if isinstance(error, ClientConnectorError | ConnectionTimeoutError):
        # What it was caused by says why; aiohttp's own words say where to, and which object holds the certificates.
        return unreachable(error.__cause__ if isinstance(error.__cause__, Exception) else error)
    if isinstance(error, InvalidURL):
        return unusable(error)
    if isinstance(error, UnicodeError):  # a host's name that the resolver does not take
        return unreachable(error)
    return broken_off(error)
