"""
The only module that talks HTTP: it sends values, reads answers, and repeats what may be repeated.

A request that buys is repeated only when nothing can have been bought: no connection was made, or the platform said
that it did not begin. When such a request went out and no usable answer came back, the outcome is unknown and is never
tried again from here. Requests that only look are repeated with exponential back-off, full jitter and ``Retry-After``.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar
from urllib.request import getproxies

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from airflow_provider_minimax import __version__
from airflow_provider_minimax.api.file_host import address_of, check_address, check_host, is_inside, part_of
from airflow_provider_minimax.api.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.redaction import SHORTEST_KEY, redact, without_key
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxDownloadError,
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxSubmissionUnknownError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)

T = TypeVar("T")
Read = Callable[[HttpReply], T]

CONNECT_TIMEOUT = 10.0
# Longer than any sensible poll interval: httpx drops idle connections after 5 s by default, so each poll would shake
# hands anew.
KEEP_ALIVE = 300.0
# httpx's pool rescans its connections for every request, which costs more than the request from some 30 in flight on.
IN_FLIGHT = 8
LONGEST_WAIT = 60.0
USER_AGENT = f"airflow-provider-minimax/{__version__}"
REDIRECTS = 5
LINK_IS_SPENT = frozenset({401, 403, 404, 410})


@dataclass(frozen=True)
class Endpoint:
    """
    Where to send requests, and as whom.

    :param platform: the platform's name, for errors.
    :param base_url: scheme, host and optional path, without a slash at the end.
    :param api_key: the key. Not shown by ``repr``.
    :param region: where the key was issued, which also decides the currency.
    :param path_prefix: what comes between the base URL and every path.
    :param timeout: seconds to wait for an answer, and for each part of a longer one.
    :param max_retries: how often a request may be repeated.
    :param proxy: URL of a proxy; ``None`` leaves it to the environment (``HTTPS_PROXY`` and so on).
    :param verify: whether to check certificates, or the path of a bundle of authorities to check them against.
    :param auth_hint: what to do when the key is refused.
    """

    platform: str
    base_url: str
    api_key: str = field(repr=False)
    region: str = "global"
    path_prefix: str = ""
    timeout: float = 60.0
    max_retries: int = 3
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True
    auth_hint: str | None = None

    @property
    def is_plain_http(self) -> bool:
        """Whether the connection itself does without TLS, as the emulator does."""
        return self.base_url.startswith("http://")


@cache
def _ssl_context(verify: bool | str) -> ssl.SSLContext:
    """Return the one context for all clients: loading the authorities takes longer than the rest of a client."""
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return httpx.create_ssl_context(verify=verify)


def _connection_options(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "verify": _ssl_context(endpoint.verify),
        "proxy": endpoint.proxy,
        "limits": httpx.Limits(max_connections=IN_FLIGHT, keepalive_expiry=KEEP_ALIVE),
    }


def _client_options(endpoint: Endpoint) -> dict[str, Any]:
    return {
        **_connection_options(endpoint),
        "timeout": _timeout(endpoint),
        "headers": {"User-Agent": USER_AGENT},
    }


def _timeout(endpoint: Endpoint) -> httpx.Timeout:
    return httpx.Timeout(endpoint.timeout, connect=min(CONNECT_TIMEOUT, endpoint.timeout))


def _request_options(endpoint: Endpoint, request: HttpRequest) -> dict[str, Any]:
    options: dict[str, Any] = {
        "method": request.method,
        "url": f"{endpoint.base_url}{endpoint.path_prefix}{request.path}",
        "headers": {"Authorization": f"Bearer {endpoint.api_key}", "User-Agent": USER_AGENT},
    }
    if request.query:
        options["params"] = dict(request.query)
    if request.body is not None:
        options["json"] = request.body
    return options


def _reply(response: httpx.Response) -> HttpReply:
    return HttpReply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)


def _read(reply: HttpReply, read: Read[T], endpoint: Endpoint, request: HttpRequest) -> T:
    key = endpoint.api_key.encode()
    if len(key) >= SHORTEST_KEY and key in reply.body:
        # Some platforms repeat it, also in the words on a task that failed.
        reply = replace(reply, body=reply.body.replace(key, "…".encode()))
    try:
        return read(reply)
    except MinimaxError as error:
        raise _explained(error, endpoint, request, reply) from error.__cause__
    except Exception as error:
        # An answer that trips our own reading is no licence to buy again.
        unreadable = MinimaxUnavailableError(f"the answer could not be read ({type(error).__name__})")
        raise _explained(unreadable, endpoint, request, reply) from error


def _network_error(error: Exception) -> MinimaxError:
    """Return what a failure of the HTTP client means: whether the request can have left this machine."""
    what = redact(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return MinimaxUnreachableError(f"no connection could be made ({what})")
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL):
        return MinimaxConfigurationError(f"the connection's host, proxy or key cannot be used ({what})")
    return MinimaxUnavailableError(f"the connection broke before a whole answer came back ({what})")


def _explained(
    error: MinimaxError, endpoint: Endpoint, request: HttpRequest, reply: HttpReply | None = None
) -> MinimaxError:
    """Return the error with what only the sender knows: platform, trace, what was at stake, what to do."""
    if reply is not None:
        error.http_status = error.http_status or reply.status
        error.trace_id = error.trace_id or redact(reply.headers.get("trace-id", ""), limit=100) or None
        error.retry_after = retry_after(reply)
    error.platform = endpoint.platform
    error.message = without_key(error.message, endpoint.api_key)
    error.code = error.code and without_key(error.code, endpoint.api_key)
    error.trace_id = error.trace_id and without_key(error.trace_id, endpoint.api_key)
    error.args = (error.message,)
    if isinstance(error, MinimaxAuthError):
        error.hint = error.hint or endpoint.auth_hint
    if not request.buys:
        return error
    if not isinstance(error, MinimaxUnavailableError) or isinstance(error, MinimaxUnreachableError):
        error.money = NOTHING_BOUGHT
        return error
    return MinimaxSubmissionUnknownError(
        f"the submission went out, but whether it was accepted is unknown: {error.message}",
        platform=error.platform,
        http_status=error.http_status,
        code=error.code,
        trace_id=error.trace_id,
        money="A clip may have been bought and may be billed.",
        hint="Look at the platform's console or bill before running this task again: doing so may buy a second clip. "
        "If you find the task there, wait for it with MinimaxTaskSensor and its id.",
    )


def retry_after(reply: HttpReply, *, now: Callable[[], float] = time.time) -> float | None:
    """
    Return how many seconds the platform asked to wait, from ``Retry-After`` in seconds or as an HTTP date.

    :param reply: the reply.
    :param now: the wall clock, in epoch seconds.
    """
    value = reply.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (ValueError, OverflowError):
        return None


def _may_repeat(request: HttpRequest) -> Callable[[BaseException], bool]:
    refused: tuple[type[MinimaxError], ...] = (MinimaxRateLimitError, MinimaxUnreachableError)
    repeatable = refused if request.buys else (*refused, MinimaxUnavailableError)

    def decide(error: BaseException) -> bool:
        patient = not isinstance(error, MinimaxError) or (error.retry_after or 0) <= LONGEST_WAIT
        return isinstance(error, repeatable) and patient

    return decide


_backoff = wait_random_exponential(multiplier=0.5, max=20)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), getattr(error, "retry_after", None) or 0.0)


def _repetition(endpoint: Endpoint, request: HttpRequest, retries: int | None) -> dict[str, Any]:
    return {
        "retry": retry_if_exception(_may_repeat(request)),
        "stop": stop_after_attempt(1 + (endpoint.max_retries if retries is None else retries)),
        "wait": _wait,
        "reraise": True,
    }


class Transport:
    """
    Sends requests of one endpoint from synchronous code, over one client that is kept open.

    :param endpoint: where to send them.
    :param sleep: how to wait between attempts; for tests.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = endpoint
        self._sleep = sleep
        self._client = httpx.Client(**_client_options(endpoint))

    def send(self, request: HttpRequest, read: Read[T], *, retries: int | None = None) -> T:
        """
        Send a request and read its answer, repeating both where that is safe.

        :param request: what to send.
        :param read: reads the answer, or raises what it means.
        :param retries: how often it may be repeated; the endpoint's ``max_retries`` by default.
        :return: what ``read`` made of the answer.
        :raises MinimaxError: what went wrong, by what the reader has to do about it.
        """
        repetition = _repetition(self.endpoint, request, retries)
        answer: T = Retrying(sleep=self._sleep, **repetition)(self._once, request, read)
        return answer

    def _once(self, request: HttpRequest, read: Read[T]) -> T:
        try:
            reply = _reply(self._client.request(**_request_options(self.endpoint, request)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _explained(_network_error(error), self.endpoint, request) from error
        return _read(reply, read, self.endpoint, request)

    @contextmanager
    def fetch(self, url: str, *, start: int = 0, version: str | None = None) -> Iterator[FileStream]:
        """
        Open a file at the file host: without the key, following a few redirects, and never logging its signed URL.

        :param url: where the file is.
        :param start: where the wanted bytes begin, if those before are here already.
        :param version: what names the version that those are of; the host sends all of the file if it is another.
        :return: the open stream; it begins at ``start``, or with the file.
        :raises MinimaxDownloadError: the host cannot be reached, refuses, sends other bytes, or breaks off; or the link
            leads to where no clip can be.
        """
        headers = {"Accept-Encoding": "identity"}
        if start and version:
            headers |= {"Range": f"bytes={start}-", "If-Range": version}
        hiding = _fetching_file.set(True)
        try:
            with (
                httpx.Client(
                    **_client_options(self.endpoint),
                    follow_redirects=True,
                    max_redirects=REDIRECTS,
                    event_hooks={"request": [self._check_link], "response": [self._check_peer]},
                ) as client,
                client.stream("GET", url, headers=headers) as response,
            ):
                yield _file_stream(response, start, self.endpoint)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MinimaxDownloadError(
                f"the clip could not be fetched whole ({redact(f'{type(error).__name__}: {error}')})",
                platform=self.endpoint.platform,
                hint="Fetching it again costs nothing.",
            ) from error
        finally:
            _fetching_file.reset(hiding)

    def _check_link(self, request: httpx.Request) -> None:
        if request.url.scheme != "https" and not self.endpoint.is_plain_http:
            raise MinimaxDownloadError(
                f"the clip's link is not https but {request.url.scheme}, which is refused: it could be read on its way",
                platform=self.endpoint.platform,
            )
        check_host(request.url.host, resolve=not self._has_proxy, inside=is_inside(self.endpoint.base_url))

    def _check_peer(self, response: httpx.Response) -> None:
        """Look at whom we are really talking to: a name may lead elsewhere than it did when it was checked."""
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if peer is not None and not self._has_proxy:
            check_address(address_of(str(peer[0])), response.request.url.host, inside=is_inside(self.endpoint.base_url))

    @property
    def _has_proxy(self) -> bool:
        return bool(self.endpoint.proxy or getproxies())

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()


@dataclass(frozen=True, slots=True)
class FileStream:
    """
    A file that is being fetched.

    :param content_type: what the host says it is.
    :param start: where in the file the first of its bytes is.
    :param length: the size of the whole file in bytes, if the host says so.
    :param version: what names this version of the file, to go on with it after a break; ``None`` if nothing does.
    :param chunks: its bytes, as they arrive.
    """

    content_type: str
    start: int
    length: int | None
    version: str | None
    chunks: Iterator[bytes]


def _file_stream(response: httpx.Response, asked_from: int, endpoint: Endpoint) -> FileStream:
    headers = {name.lower(): value for name, value in response.headers.items()}
    part = part_of(response.status_code, headers, asked_from)
    if part is None:
        raise MinimaxDownloadError(
            _refusal(response.status_code),
            platform=endpoint.platform,
            http_status=response.status_code,
            retry_after=retry_after(HttpReply(response.status_code, headers, b"")),
            hint="Asking for the file again gives a fresh link and costs nothing.",
        )
    chunks = response.iter_raw() if response.status_code != 416 else iter(())
    return FileStream(headers.get("content-type", ""), part.start, part.length, part.version, chunks)


def _refusal(status: int) -> str:
    if status in LINK_IS_SPENT:
        return "the file host refused the clip's link; it may have expired"
    if status == 416 or status < 400:
        return "the file host sent no clip, or another part of it than was asked for"
    return "the file host could not answer"


class AsyncTransport:
    """
    Sends requests of one endpoint from one event loop, over one client that is kept open.

    :param endpoint: where to send them.
    :param sleep: how to wait between attempts; for tests.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.endpoint = endpoint
        self._sleep = sleep
        self._extensions = {"timeout": _timeout(endpoint).as_dict()}
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        # A client merges, redirects, keeps cookies and logs, which we do not need and which takes a third of a look. It
        # knows which hosts go through which proxy, though.
        self._client: httpx.AsyncClient | httpx.AsyncHTTPTransport
        self._answer: Callable[[httpx.Request], Awaitable[httpx.Response]]
        if endpoint.proxy or getproxies():
            self._client = httpx.AsyncClient(**_connection_options(endpoint))
            self._answer = self._client.send
        else:
            self._client = httpx.AsyncHTTPTransport(**_connection_options(endpoint))
            self._answer = self._client.handle_async_request

    async def send(self, request: HttpRequest, read: Read[T], *, retries: int | None = None) -> T:
        """Do what :meth:`Transport.send` does, with the same parameters and errors."""
        if retries == 0:
            # A trigger's look: its own loop repeats it, so a thousand of them should not build a retrying loop each.
            return await self._once(request, read)
        repetition = _repetition(self.endpoint, request, retries)
        return await AsyncRetrying(sleep=self._sleep, **repetition)(self._once, request, read)

    async def _once(self, request: HttpRequest, read: Read[T]) -> T:
        try:
            async with self._in_flight:
                options = _request_options(self.endpoint, request)
                response = await self._answer(httpx.Request(**options, extensions=self._extensions))
                await response.aread()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _explained(_network_error(error), self.endpoint, request) from error
        return _read(_reply(response), read, self.endpoint, request)

    async def aclose(self) -> None:
        """Close the client's connections, once all who are using them have their answers."""
        for _ in range(IN_FLIGHT):
            await self._in_flight.acquire()
        try:
            await self._client.aclose()
        finally:
            for _ in range(IN_FLIGHT):
                self._in_flight.release()


_fetching_file: ContextVar[bool] = ContextVar("fetching_file", default=False)


class _HideSignedUrls(logging.Filter):
    """Cuts the query off the URLs that httpx logs while a file is fetched: whoever has it can fetch the file too."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _fetching_file.get() and isinstance(record.args, tuple):
            record.args = tuple(redact(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return True


logging.getLogger("httpx").addFilter(_HideSignedUrls())
