"""Sends a challenge to the receiver's public address, as a platform would, and says in plain words what is wrong."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Iterator

import httpx

from airflow_provider_minimax.api.http.certificates import ssl_context
from airflow_provider_minimax.api.http.library_logs import KeptOutOfLogs
from airflow_provider_minimax.version_compat import conf

PLATFORMS_WAIT = 3.0
"""Seconds that MiniMax gives the receiver."""
_WE_WAIT = 15.0
_LARGEST_ANSWER = 64 * 1024


def echo_seconds(url: str) -> float:
    """
    Return how long the receiver takes to echo a challenge.

    :param url: an address that ends in a token; the token is in no message.
    :raises ValueError: the receiver does not do it, or is too slow for the platforms; the message says why.
    """
    challenge = secrets.token_hex(16)
    where = url.rpartition("/")[0]
    began = time.monotonic()
    try:
        with (
            KeptOutOfLogs(url.rpartition("/")[2]),
            httpx.Client(verify=ssl_context(True), timeout=_WE_WAIT) as client,
            client.stream("POST", url, json={"challenge": challenge}) as response,
        ):
            content = _beginning(response)
    except httpx.HTTPError as error:
        raise ValueError(_unreachable(httpx.URL(url), error)) from None
    took = time.monotonic() - began
    if problem := _wrong_status(response, content, where):
        raise ValueError(problem)
    if not _echoes(content, challenge):
        raise ValueError(f"Something else answers at {where}: it took the challenge and did not echo it.")
    if took > PLATFORMS_WAIT:
        raise ValueError(f"Too slow: the echo took {took:.1f} s, and platforms wait for {PLATFORMS_WAIT:.0f} s.")
    return took


def _beginning(response: httpx.Response) -> bytes:
    content = b""
    for piece in response.iter_bytes():
        content += piece
        if len(content) > _LARGEST_ANSWER:
            break
    return content


def _echoes(content: bytes, challenge: str) -> bool:
    try:
        answer = httpx.Response(200, content=content).json()
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("challenge") == challenge


def _unreachable(url: httpx.URL, error: httpx.HTTPError) -> str:
    address = f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return (
                f"DNS: nobody knows the name {url.host!r}. Correct [minimax] callback_base_url, or the name's record."
            )
        if isinstance(cause, ConnectionRefusedError):
            return f"Refused: nothing listens at {address}. Start the API server, or correct the port or the firewall."
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: the certificate of {address} is not accepted: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return f"TLS: no secure connection to {address}: {cause.reason or cause}. Does it speak https at all?"
    if isinstance(error, httpx.ConnectTimeout):
        return f"No connection to {address} within {_WE_WAIT:.0f} s. A firewall may drop what is sent there."
    if isinstance(error, httpx.TimeoutException):
        return f"Too slow: no answer within {_WE_WAIT:.0f} s, and platforms wait for {PLATFORMS_WAIT:.0f} s."
    return f"The connection to {address} broke off: {type(error).__name__}."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _wrong_status(response: httpx.Response, content: bytes, where: str) -> str | None:
    status = response.status_code
    if status == 404 and not content:
        return (
            "The receiver answers and does not accept the token. It was made with another secret: set [minimax] "
            "callback_secret to the same text for the API server and the workers. Or the clocks differ by over an hour."
        )
    if status in (404, 405):
        return (
            f"No receiver at {where}. Set [minimax] callback_base_url for the API server too and restart it, or "
            f"correct the path in it: {_about_the_path(where)}"
        )
    if status == 400 and where.startswith("http:"):
        return f"{where} answers with an error (400). It may want https: correct [minimax] callback_base_url."
    if status in (502, 504):
        return (
            f"What stands before the API server answers ({status}) and does not reach it. Start the API server, or "
            "correct its address in the proxy."
        )
    if status in (401, 403, 407):
        return f"{where} asks for a login ({status}). Whatever stands before the API server must let this path through."
    if response.is_redirect:
        return f"{where} redirects ({status}). Platforms may not follow: give the last address as callback_base_url."
    if not response.is_success:
        return f"{where} answers with an error ({status}). The API server, or what stands before it, logs why."
    return None


def _about_the_path(where: str) -> str:
    path = httpx.URL(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    if not path or httpx.URL(where).path.startswith(f"{path}/"):
        return "the API server's own base URL may have one."
    return f"[api] base_url has {path}, which is missing here."
