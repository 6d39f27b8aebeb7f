"""The connection test: a free look, read so that the four usual mistakes can be told apart."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TypeVar

from airflow_provider_minimax.api.exchange import Endpoint
from airflow_provider_minimax.api.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.platforms.replies import beginning
from airflow_provider_minimax.api.transport import Transport
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxUnavailableError,
)

# No platform gives this id to a task. The look is free, and its answer shows whether the key was accepted.
_NO_TASK = "0"
_TIMEOUT = 10.0

T = TypeVar("T")


def probe(platform: Platform, endpoint: Endpoint) -> tuple[bool, str]:
    """
    Test an endpoint without buying anything.

    :param platform: the platform that should be there.
    :param endpoint: where it should be, and the key.
    :return: whether the connection works, and one sentence for the person who asked.
    :raises MinimaxConfigurationError: nothing can be sent with this connection in this environment.
    """
    where = endpoint.base_url
    try:
        reply = _ask(platform, endpoint)
    except MinimaxConfigurationError:
        raise
    except MinimaxError as error:
        return False, f"The host {where} cannot be reached: {error.message}."
    if reply.status >= 500:
        return False, f"{where} is reachable but has trouble just now (HTTP {reply.status}: {beginning(reply)!r})."
    refusal = _refusal(platform, reply)
    if refusal is None and (reply.status in (301, 302, 307, 308, 405) or not platform.recognises(reply)):
        return False, (
            f"{where} answers, but not as {platform.title} does (HTTP {reply.status}: {beginning(reply)!r}). "
            "Check host, platform and path_prefix."
        )
    if refusal is None:
        left = _what_is_left(platform, endpoint)
        return True, f"{platform.title} at {where} accepts the key.{left} The test was free of charge."
    own_region = platform.region_of(where)
    for region, base_url in platform.base_urls.items():
        if own_region not in (None, region) and _accepts(platform, endpoint, base_url):
            return False, (
                f"The key is right, but it is of region {region!r}: set the extra field region to {region!r}, and "
                "leave host empty."
            )
    return False, f"{platform.title} refuses the key: {refusal.message}. {endpoint.auth_hint}"


def _ask(platform: Platform, endpoint: Endpoint) -> HttpReply:
    return _send(endpoint, platform.query(_NO_TASK), lambda reply: reply)


def _send(endpoint: Endpoint, request: HttpRequest, read: Callable[[HttpReply], T]) -> T:
    with closing(Transport(replace(endpoint, timeout=min(endpoint.timeout, _TIMEOUT), max_retries=0))) as transport:
        return transport.send(request, read)


def _what_is_left(platform: Platform, endpoint: Endpoint) -> str:
    """Say what is left in the account, or nothing: a connection works whether that can be told or not."""
    if platform.balance is None or platform.read_balance is None:
        return ""
    try:
        read = partial(platform.read_balance, endpoint.region)
        return f" Left in the account: {_send(endpoint, platform.balance(endpoint.api_key), read)}."
    except MinimaxError:
        return ""


def _refusal(platform: Platform, reply: HttpReply) -> MinimaxAuthError | None:
    try:
        platform.read_task(reply, _NO_TASK)
    except MinimaxAuthError as error:
        return error
    except MinimaxError:
        return None
    return None


def _accepts(platform: Platform, endpoint: Endpoint, base_url: str) -> bool:
    try:
        reply = _ask(platform, replace(endpoint, base_url=base_url))
    except MinimaxUnavailableError:
        return False
    return platform.recognises(reply) and _refusal(platform, reply) is None
