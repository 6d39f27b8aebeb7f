"""
What every exchange with a platform needs, whoever sends it: where it goes, what an answer or a failure means.

A request that buys is repeated only when nothing can have been bought: no connection was made, or the platform said
that it did not begin. When such a request went out and no usable answer came back, the outcome is unknown and is never
tried again from here. :func:`explained` decides that for every platform and both ways of sending: only a refusal that
names no task says that nothing was bought. Requests that only look are repeated with exponential back-off, full jitter
and ``Retry-After``.
"""

from __future__ import annotations

import math
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, stop_before_delay, wait_random_exponential

from airflow_provider_minimax import __version__
from airflow_provider_minimax.api.http.answer import ACCEPTED_CODINGS, time_to_answer, time_to_send
from airflow_provider_minimax.api.http.body import Body
from airflow_provider_minimax.api.http.connections import CONNECT_TIMEOUT
from airflow_provider_minimax.api.http.library_logs import KeptOutOfLogs
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.http.named_task import UNREADABLE, named_task
from airflow_provider_minimax.api.http.proxies import proxy_for
from airflow_provider_minimax.api.redaction import body_without_key, harmless_cause, redact, without_key
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxSubmissionUnknownError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)

T = TypeVar("T")
Read = Callable[[HttpReply], T]

# Longer than any sensible poll interval: httpx drops idle connections after 5 s by default, so each poll would shake
# hands anew.
KEEP_ALIVE = 300.0
# httpx's pool rescans its connections for every request, which costs more than the request from some 30 in flight on.
IN_FLIGHT = 8
LONGEST_WAIT = 60.0
_SECONDS = re.compile(r"\d+(\.\d*)?", re.ASCII)
# OpenSSL finds a certificate in a folder by the hash of its subject.
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+", re.ASCII)
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
    :param rate_limit_per_minute: how many clips those who wait for a turn may submit in a minute, if there is a limit.
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


def ssl_context(verify: bool | str) -> ssl.SSLContext:
    """
    Return the context for connections, from which authorities it takes as the connection and the environment say.

    :param verify: whether to check certificates, or the path of a bundle of authorities to check them against.
    :raises MinimaxConfigurationError: the field or the variable that names the authorities does not lead to any.
    """
    if isinstance(verify, str):
        # What is no path may be the key in a wrong field.
        shown = f"={verify!r}" if verify.startswith("/") else ""
        return _context_of(f"the connection's extra field verify{shown}", verify, None)
    if verify and (file := os.environ.get("SSL_CERT_FILE")):
        return _context_of(f"SSL_CERT_FILE={file!r} in the environment of this process", file, None)
    if verify and (folder := os.environ.get("SSL_CERT_DIR")):
        return _context_of(f"SSL_CERT_DIR={folder!r} in the environment of this process", None, folder)
    return _usual_context(verify)


@cache
def _usual_context(verify: bool) -> ssl.SSLContext:
    """Return the one context for all clients: loading the authorities takes longer than the rest of a client."""
    return httpx.create_ssl_context(verify=verify, trust_env=False)


@cache
def _context_of(named: str, file: str | None, folder: str | None) -> ssl.SSLContext:
    """Return the one context of a bundle of authorities, or of folders of them."""
    try:
        if folder is not None and not any(map(_holds_authorities, folder.split(os.pathsep))):
            # OpenSSL does not mind, and would trust nobody.
            raise FileNotFoundError("no folder with certificates that `openssl rehash` gave their names")
        return ssl.create_default_context(cafile=file, capath=folder)
    except (OSError, ValueError) as error:
        what = "bundle of authorities" if folder is None else "folder of authorities"
        raise MinimaxConfigurationError(
            f"{named}: must be a {what} that can be read here ({_told(error)})", billing=NOTHING_BOUGHT
        ) from error


def _holds_authorities(folder: str) -> bool:
    with suppress(OSError, ValueError):
        return any(_HASHED_NAME.fullmatch(name) for name in os.listdir(folder))
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


def network_error(error: Exception) -> MinimaxError:
    """Return what a failure of httpx means: whether the request can have left this machine."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return unreachable(error)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return unusable(error)
    # All others may come after everything was sent, a LocalProtocolError too: if a body is longer than it was to be.
    return broken_off(error)


def unreachable(error: Exception) -> MinimaxError:
    """Return the error for a request that cannot have left this machine."""
    return MinimaxUnreachableError(f"no connection could be made ({_told(error)})")


def unusable(error: Exception) -> MinimaxError:
    """Return the error for a request that no client would send."""
    return MinimaxConfigurationError(f"the connection's host, proxy or key cannot be used ({_told(error)})")


def broken_off(error: Exception) -> MinimaxError:
    """Return the error for a request that went out, or may have, and that no whole answer came to."""
    is_late = isinstance(error, TimeoutError | httpx.TimeoutException)
    what = "no whole answer came in time" if is_late else "the connection broke before a whole answer came back"
    failure = MinimaxUnavailableError(f"{what} ({_told(error)})")
    failure.__cause__ = error
    return failure


def _told(error: Exception) -> str:
    return redact(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def with_context(
    error: MinimaxError, endpoint: Endpoint, request: HttpRequest, reply: HttpReply | None = None
) -> MinimaxError:
    """Return the error with what only the sender knows: platform, trace, what was at stake, what to do."""
    if reply is not None:
        error.http_status = error.http_status or reply.status
        trace_id = without_key(reply.headers.get("trace-id", ""), endpoint.api_key)
        error.trace_id = error.trace_id or redact(trace_id, limit=100) or None
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
    named = error.minimax_task_id or (None if reply is None else named_task(reply, request))
    if named is None and _bought_nothing(error, reply):
        error.billing = NOTHING_BOUGHT
        return error
    return _unknown(error, named)


def _bought_nothing(error: MinimaxError, reply: HttpReply | None) -> bool:
    """Whether it is certain that a purchase was not accepted, if no task is named."""
    if isinstance(error, MinimaxUnavailableError):
        return isinstance(error, MinimaxUnreachableError)
    # Whoever redirects need not be the platform, and may have passed the request on.
    return reply is None or not 300 <= reply.status < 400


def _unknown(error: MinimaxError, named: str | None) -> MinimaxSubmissionUnknownError:
    what = "the submission went out, but whether it was accepted is unknown"
    hint = (
        "Look at the platform's console or bill before running this task again: doing so may buy it again. "
        "If you find the task there, wait for it with MinimaxTaskSensor and its id."
    )
    if named == UNREADABLE:
        what = "the submission was not clearly accepted, yet its answer may name a task"
    elif named is not None:
        what = f"the submission was not clearly accepted, yet its answer names task {named}"
        hint = (
            f"Look for task {named} at the platform before running this task again, which may buy it again. If it is "
            "there, give its id to the receipt with `airflow minimax receipts adopt` and clear this task, which goes "
            "on with it; without a receipt, wait for it with MinimaxTaskSensor."
        )
    return MinimaxSubmissionUnknownError(
        f"{what}: {error.message}",
        platform=error.platform,
        http_status=error.http_status,
        code=error.code,
        minimax_task_id=named or None,
        trace_id=error.trace_id,
        billing="It may have been bought and may be billed.",
        hint=hint,
    )


def retry_after(reply: HttpReply, *, now: Callable[[], float] = time.time) -> float | None:
    """
    Return how many seconds the platform asked to wait, from ``Retry-After`` in seconds or as an HTTP date.

    One minute at most, whatever it asks for: nobody's clip should wait for a mistake in a header.

    :param reply: the reply.
    :param now: the wall clock, in epoch seconds.
    """
    value = reply.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(0.0, seconds), LONGEST_WAIT)


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
