"""
What every exchange with a platform needs, sync or async: where it goes, what an answer or a failure means.

A request that buys is repeated only when nothing can have been bought: no connection was made, or the platform said
that it did not begin. When such a request went out and no usable answer came back, the outcome is unknown and is never
tried again from here: see ``failures.py``. Requests that only read are repeated with exponential back-off, full jitter
and ``Retry-After``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, stop_before_delay, wait_random_exponential

from airflow_provider_minimax import __version__
from airflow_provider_minimax.api.http.answer import ACCEPTED_CODINGS, time_to_answer, time_to_send
from airflow_provider_minimax.api.http.body import Body
from airflow_provider_minimax.api.http.bounded import CONNECT_TIMEOUT
from airflow_provider_minimax.api.http.certificates import ssl_context
from airflow_provider_minimax.api.http.failures import broken_off, with_context
from airflow_provider_minimax.api.http.library_logs import KeptOutOfLogs
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.http.proxies import proxy_for
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)
from airflow_provider_minimax.text.redaction import body_without_key, harmless_cause

T = TypeVar("T")
Read = Callable[[HttpReply], T]

# Longer than any sensible poll interval: httpx drops idle connections after 5 s by default, so each poll would need
# another handshake.
KEEP_ALIVE = 300.0
# httpx's pool rescans its connections for every request, which costs more than the request from some 30 in flight on.
IN_FLIGHT = 8
USER_AGENT = f"airflow-provider-minimax/{__version__}"


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
    :param rate_limit_per_minute: how many clips may be submitted in a minute, if there is a limit.
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
    rate_limit_per_minute: int | None = None
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True
    auth_hint: str | None = None

    @property
    def is_plain_http(self) -> bool:
        """Whether the connection itself does without TLS, as the emulator does."""
        return self.base_url.startswith("http://")


def is_address(text: str, *schemes: str) -> bool:
    """
    Return whether a text is an address that the client takes.

    :param text: the text.
    :param schemes: the schemes that it may have.
    """
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and bool(httpx.URL(text))
    except (ValueError, httpx.InvalidURL):  # no address, or no port, as its form goes
        return False


def connection_options(endpoint: Endpoint, url: str | None = None) -> dict[str, Any]:
    """
    Return how connections are made and kept, for a transport of httpx.

    :param endpoint: the endpoint.
    :param url: where they lead; to the endpoint by default.
    :raises MinimaxConfigurationError: the authorities or the proxy that it is to use cannot be used.
    """
    proxy = proxy_for(url or endpoint.base_url, endpoint.proxy)
    return {
        "verify": ssl_context(endpoint.verify),
        "proxy": proxy and proxy.url,
        "limits": httpx.Limits(max_connections=IN_FLIGHT, keepalive_expiry=KEEP_ALIVE),
    }


def timeouts(endpoint: Endpoint) -> httpx.Timeout:
    """Return how long to wait for a connection and for each part of an answer."""
    return httpx.Timeout(endpoint.timeout, connect=min(CONNECT_TIMEOUT, endpoint.timeout))


def time_for(endpoint: Endpoint, length: int = 0) -> float:
    """
    Return how many seconds a whole exchange may take on an event loop.

    :param endpoint: where the request goes.
    :param length: how many bytes its body has.
    """
    return min(CONNECT_TIMEOUT, endpoint.timeout) + time_to_send(length) + time_to_answer(endpoint.timeout)


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """Return what stands above every request of an endpoint, with the key."""
    return {
        "Authorization": f"Bearer {endpoint.api_key}",
        "User-Agent": USER_AGENT,
        "Accept-Encoding": ACCEPTED_CODINGS,
    }


def request_options(
    endpoint: Endpoint, request: HttpRequest, body: Body | None, stream: Callable[[Iterator[bytes]], Any]
) -> dict[str, Any]:
    """
    Return a request as httpx takes it, with the key; each one is good for being sent once.

    :param endpoint: where it goes.
    :param request: what to ask.
    :param body: its body.
    :param stream: turns the blocks of a body into what this way of sending takes.
    """
    options: dict[str, Any] = {
        "method": request.method,
        "url": f"{endpoint.base_url}{endpoint.path_prefix}{request.path}",
        "headers": headers_of(endpoint),
    }
    if request.query:
        options["params"] = dict(request.query)
    if body is not None:
        options["headers"] |= {"Content-Type": body.content_type, "Content-Length": str(body.length)}
        options["content"] = stream(body.blocks()) if body.files else body.words[0]
    return options


@contextmanager
def sending(endpoint: Endpoint, request: HttpRequest) -> Iterator[None]:
    """Turn whatever happens in place of an answer into the error that it means."""
    try:
        with KeptOutOfLogs(endpoint.api_key):
            yield
    except MinimaxError as error:
        raise with_context(error, endpoint, request) from harmless_cause(error.__cause__, endpoint.api_key)
    except Exception as error:
        if not request.buys:
            raise
        # A failure that nobody has thought of is no proof that nothing was bought.
        raise with_context(broken_off(error), endpoint, request) from harmless_cause(error, endpoint.api_key)


def read_reply(reply: HttpReply, read: Read[T], endpoint: Endpoint, request: HttpRequest) -> T:
    """Return what ``read`` makes of an answer, or raise what it means, with all that the reader needs to know."""
    # Some platforms repeat the key, also in the words on a task that failed.
    body = body_without_key(reply.body, endpoint.api_key)
    if body is not reply.body:
        reply = replace(reply, body=body)
    if reply.cut_off_by is not None:
        error = with_context(reply.cut_off_by, endpoint, request, reply if request.buys else None)
        raise error from harmless_cause(reply.cut_off_by.__cause__, endpoint.api_key)
    try:
        return read(reply)
    except MinimaxError as error:
        raise with_context(error, endpoint, request, reply) from harmless_cause(error.__cause__, endpoint.api_key)
    except Exception as error:
        # An answer that trips our own reading is no licence to buy again.
        unreadable = MinimaxUnavailableError(f"the answer could not be read ({type(error).__name__})")
        raise with_context(unreadable, endpoint, request, reply) from harmless_cause(error, endpoint.api_key)


def may_repeat(error: MinimaxError, request: HttpRequest, *, after_refusals: bool = True) -> bool:
    """Return whether a request may be sent again after this became of it."""
    if isinstance(error, MinimaxRateLimitError):
        return after_refusals
    return isinstance(error, MinimaxUnavailableError if not request.buys else MinimaxUnreachableError)


backoff = wait_random_exponential(multiplier=0.5, max=20)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(backoff(state), getattr(error, "retry_after", None) or 0.0)


def repetition(
    endpoint: Endpoint,
    request: HttpRequest,
    retries: int | None,
    *,
    after_refusals: bool = True,
    within: float = math.inf,
) -> dict[str, Any]:
    """
    Return how tenacity is to repeat a request.

    :param endpoint: where it goes.
    :param request: the request.
    :param retries: how often it may be repeated; the endpoint's ``max_retries`` by default.
    :param after_refusals: whether also after the platform said that there are too many requests.
    :param within: after how many seconds no other attempt begins.
    """

    def decide(error: BaseException) -> bool:
        return isinstance(error, MinimaxError) and may_repeat(error, request, after_refusals=after_refusals)

    return {
        "retry": retry_if_exception(decide),
        "stop": stop_after_attempt(1 + (endpoint.max_retries if retries is None else retries))
        | stop_before_delay(within),
        "wait": _wait,
        "reraise": True,
    }
