"""The connection test: a free status check, read so that the four usual mistakes can be told apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import NamedTuple, TypeVar

from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.message import NO_SUCH_CALL, HttpReply, HttpRequest
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.platforms.replies import excerpt
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxRequestError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks.clients import Clients
from airflow_provider_minimax.text.redaction import described, without_key

# No platform gives this id to a task. The status check is free, and its answer shows whether the key was accepted.
_NO_TASK = "0"
_TIMEOUT = 10.0
_MODELS = {"v1": "Hailuo (API v1)", "v2": "H3 (API v2)"}
# What gateways say of an address that they do not have, in the envelope of their errors.
_NO_ADDRESS = re.compile(r"\b(url|path|route|page|endpoint|api)\b", re.IGNORECASE)

T = TypeVar("T")


class _Found(NamedTuple):
    """What was found at the addresses of one version of an API: an answer, what of it, and a refusal of the key."""

    platform: Platform
    reply: HttpReply
    is_there: bool
    refusal: MinimaxAuthError | None


def test_connection(clients: Clients, minimax_conn_id: str) -> tuple[bool, str]:
    """
    Test a connection without buying anything.

    :param clients: its clients, which know what it says.
    :param minimax_conn_id: the connection. Airflow tests it under a random id, which is left out of the answer.
    :return: whether the connection works, and what to say to the person who asked.
    """
    try:
        works, sentence = probe(*clients.get_account())
    except MinimaxError as error:
        works, sentence = False, " ".join(filter(None, (f"{error.message}.", error.hint)))
    except Exception as error:
        # Any failure is an answer to the person who pressed the button.
        works, sentence = False, described(error)
    sentence = sentence.replace(f"connection {minimax_conn_id!r}", "this connection")
    return works, without_key(sentence, clients.account[1].api_key) if clients.account else sentence


def probe(platform: Platform, endpoint: Endpoint) -> tuple[bool, str]:
    """
    Test an endpoint without buying anything: each version of the API, since gateways may have one of them only.

    :param platform: the platform that should be there.
    :param endpoint: where it should be, and the key.
    :return: whether the connection works, and what to say to the person who asked.
    :raises MinimaxConfigurationError: nothing can be sent with this connection in this environment.
    """
    where = endpoint.base_url
    try:
        found = [_found(version, endpoint) for version in platform.versions]
    except MinimaxConfigurationError:
        raise
    except MinimaxError as error:
        return False, f"The host {where} cannot be reached: {error.message}."
    working = [version for version in found if version.is_there and version.refusal is None]
    if working:
        left = _what_is_left(platform, endpoint)
        return True, (
            f"{platform.title} at {where} accepts the key.{_what_is_missing(found, working, endpoint)}{left} "
            "The test was free of charge."
        )
    refusal = next((version.refusal for version in found if version.refusal is not None), None)
    if refusal is None:
        return False, _what_is_wrong(found, where)
    own_region = platform.region_of(where)
    for region, base_url in platform.base_urls.items():
        if own_region not in (None, region) and _accepts(platform, endpoint, base_url):
            return False, (
                f"The key is right, but it is of region {region!r}: set the extra field region to {region!r}, and "
                "leave host empty."
            )
    return False, f"{platform.title} refuses the key: {refusal.message}. {endpoint.auth_hint}"


def _found(platform: Platform, endpoint: Endpoint) -> _Found:
    reply = _ask(platform, endpoint)
    refusal = _refusal(platform, reply)
    return _Found(platform, reply, refusal is None and _is_there(platform, reply), refusal)


def _is_there(platform: Platform, reply: HttpReply) -> bool:
    """Whether a call that names no task was understood, and not answered by something that has no such address."""
    if reply.status >= 500 or reply.status in (301, 302, 307, 308, 405) or not platform.recognises(reply):
        return False
    return reply.status != HTTPStatus.NOT_FOUND or _NO_ADDRESS.search(excerpt(reply)) is None


def _what_is_wrong(found: list[_Found], where: str) -> str:
    first = found[0]
    said = f"HTTP {first.reply.status}: {excerpt(first.reply)!r}"
    if first.reply.status >= 500:
        return f"{where} is reachable but has trouble just now ({said})."
    return f"{where} answers, but not as {first.platform.title} does ({said}). Check host, platform and path_prefix."


def _what_is_missing(found: list[_Found], working: list[_Found], endpoint: Endpoint) -> str:
    """Say which models cannot be had at this address, and what H3's tasks lack there."""
    words = [
        f" {_MODELS[version.platform.api_version]} cannot be had there: "
        + (
            f"the key is refused ({version.refusal.message})."
            if version.refusal is not None
            else f"the answer to its query is not that of its API (HTTP {version.reply.status})."
        )
        for version in found
        if version not in working
    ]
    h3 = next((version.platform for version in working if version.platform.api_version == "v2"), None)
    if h3 is not None:
        calls = {"listed": _has_list(h3, endpoint), "cancelled": h3.cancel is not None}
        missing = " or ".join(name for name, is_there in calls.items() if not is_there)
        words += [f" H3's tasks cannot be {missing} there."] if missing else []
    return "".join(words)


def _has_list(platform: Platform, endpoint: Endpoint) -> bool:
    if platform.list_tasks is None or platform.read_list is None:
        return False
    try:
        _send(endpoint, platform.list_tasks(1, 1, None, (), "generation"), platform.read_list)
    except MinimaxRequestError:
        return False
    except MinimaxError as error:
        return error.http_status not in NO_SUCH_CALL and error.http_status != HTTPStatus.OK
    return True


def _ask(platform: Platform, endpoint: Endpoint) -> HttpReply:
    return _send(endpoint, platform.query(_NO_TASK), lambda reply: reply)


def _send(endpoint: Endpoint, request: HttpRequest, read: Callable[[HttpReply], T]) -> T:
    with closing(Transport(replace(endpoint, timeout=min(endpoint.timeout, _TIMEOUT), max_retries=0))) as transport:
        return transport.send(request, read)


def _what_is_left(platform: Platform, endpoint: Endpoint) -> str:
    """Say what is left in the account, or nothing: a connection works whether that is known or not."""
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
