"""
The address that a platform posts a purchase's status changes to.

It ends in a token, which says for which purchase attempt the platform was given it, and is signed so that nobody else
can make one. The signing key is derived from a secret that Airflow's processes have in common.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from urllib.parse import urlsplit

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxConfigurationError
from airflow_provider_minimax.version_compat import conf

SECTION = "minimax"
URL_PREFIX = "/minimax"
"""Where the API server has the receiver."""
CALLBACK_PATH = "/callback/"
LONGEST_TOKEN = 700
TOKEN_LIFETIME = 9 * 24 * 3600.0
"""Seconds for which a token is good: MiniMax forgets a task after 7 days, and queues none for long."""

_LONGEST_CONN_ID = 250
_ATTEMPT = re.compile(r"[\w.-]{1,64}", re.ASCII)
_TOKEN = re.compile(r"([\w-]{1,600})\.([\w-]{43})", re.ASCII)
# Machines' clocks may differ by so much.
_CLOCK_SKEW = 3600.0
_PURPOSE = b"airflow-provider-minimax callback token"


def callback_base_url() -> str | None:
    """
    Return the public address of the receiver's server, without a slash at its end; ``None`` where callbacks are off.

    :raises MinimaxConfigurationError: ``[minimax] callback_base_url`` is not an absolute ``https`` or ``http`` URL, or
        has more than a host and a path.
    """
    url = (conf.get(SECTION, "callback_base_url", fallback=None) or "").strip()
    if not url:
        return None
    problem = _base_url_problem(url)
    if problem:
        raise MinimaxConfigurationError(
            f"[minimax] callback_base_url: {problem}",
            billing=NOTHING_BOUGHT,
            hint="Give the address under which the internet reaches Airflow's API server, like "
            "https://airflow.example.com, or leave the option out.",
        )
    return url.rstrip("/")


def _base_url_problem(url: str) -> str | None:
    # The value itself is not shown: it may hold a password.
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("https", "http") or not has_host:
        return "must be an absolute URL that starts with https:// or http://"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password"
    if "?" in url or "#" in url:
        return "must not contain a query or a fragment"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "must consist of printable ASCII characters without blanks"
    return None


def token_of(conn_id: str, attempt: str) -> str:
    """
    Return a token that only the receiver of this Airflow accepts, and only for one purchase attempt.

    It holds the time at which it was made, so two calls may return two tokens, both good for the same attempt.

    :param conn_id: the Airflow connection that buys.
    :param attempt: an id of the attempt to buy: 1 to 64 ASCII letters, digits, ``_``, ``.`` and ``-``.
    :raises ValueError: one of them cannot be in a token.
    :raises MinimaxConfigurationError: this process has no secret to sign with.
    """
    if not conn_id or len(conn_id) > _LONGEST_CONN_ID or not conn_id.isascii():
        raise ValueError(f"conn_id: must have 1 to {_LONGEST_CONN_ID} ASCII characters")
    if not _ATTEMPT.fullmatch(attempt):
        raise ValueError("attempt: must have 1 to 64 ASCII letters, digits, '_', '.' and '-'")
    keys = _keys()
    if not keys:
        raise MinimaxConfigurationError(
            "callback_url='auto': this process has no secret to sign the address with",
            billing=NOTHING_BOUGHT,
            hint="Set [minimax] callback_secret to the same long random text for the API server and the workers; "
            "neither [core] fernet_key nor [api_auth] jwt_secret is set here.",
        )
    content = _encoded(json.dumps([conn_id, attempt, int(time.time())], separators=(",", ":")).encode())
    return f"{content}.{_signature(keys[0], content)}"


def callback_url(conn_id: str, attempt: str) -> str:
    """
    Return the address that a platform is given with a purchase.

    :param conn_id: the Airflow connection that buys.
    :param attempt: an id of the attempt to buy, as in ``token_of``.
    :raises ValueError: one of them cannot be in a token.
    :raises MinimaxConfigurationError: ``[minimax] callback_base_url`` is missing or wrong, or there is no secret.
    """
    base_url = callback_base_url()
    if base_url is None:
        raise MinimaxConfigurationError(
            "callback_url='auto': [minimax] callback_base_url is not set",
            billing=NOTHING_BOUGHT,
            hint="Set it to the address under which the internet reaches Airflow's API server, or leave callback_url "
            "out.",
        )
    return f"{base_url}{URL_PREFIX}{CALLBACK_PATH}{token_of(conn_id, attempt)}"


def read_token(token: str) -> tuple[str, str] | None:
    """
    Return the connection id and the purchase attempt of a token that this Airflow made.

    :param token: any text.
    :return: ``None`` if it is no token, if its signature is wrong, or if it is older than ``TOKEN_LIFETIME``. The
        signature is compared in constant time.
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    if not any(hmac.compare_digest(_signature(key, match[1]), match[2]) for key in _keys()):
        return None
    conn_id, attempt, made_at = json.loads(urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))
    age = time.time() - made_at
    return (conn_id, attempt) if -_CLOCK_SKEW <= age <= TOKEN_LIFETIME else None


@cache
def _keys() -> tuple[bytes, ...]:
    """
    Derive the keys: the first one signs, all of them are accepted. Read once, because an option may run a command.

    A worker may have fewer of Airflow's secrets than the API server, which therefore accepts each that it has.
    """
    own = _secrets(SECTION, "callback_secret")
    secrets = own or (*_secrets("core", "fernet_key"), *_secrets("api_auth", "jwt_secret"))
    return tuple(hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256) for secret in secrets)


def _secrets(section: str, option: str) -> tuple[str, ...]:
    """Return an option's values, the newest first: secrets are rotated by putting a new one before the old."""
    value = conf.get(section, option, fallback=None) or ""
    # In a task's process Airflow may leave the placeholder of a default as it is, which is no secret at all.
    return tuple(part for part in map(str.strip, value.split(",")) if part and not part.startswith("{"))


def _signature(key: bytes, content: str) -> str:
    return _encoded(hmac.digest(key, content.encode(), hashlib.sha256))


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")
