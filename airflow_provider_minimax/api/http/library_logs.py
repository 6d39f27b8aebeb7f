"""Keeps what the HTTP libraries log of our exchanges free of keys and signatures, at DEBUG too."""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar

from airflow_provider_minimax.text.redaction import redact, without_key

_LIBRARIES = (
    *("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks"),
    *("aiohttp.client", "aiohttp.internal"),
)
_LONGEST = 2000
# An answer's headers, which may set cookies that are as good as a key, and a proxy's user and password.
_HEADERS = re.compile(r"\[\(b['\"].*\)\]", re.DOTALL)
_PROXY_USER = re.compile(r"\bauth=\(.*\)", re.DOTALL)

_key: ContextVar[str | None] = ContextVar("minimax_key", default=None)


class KeptOutOfLogs:
    """
    Keeps secrets out of what the libraries log in here. A context manager of its own, since every request has one.

    :param api_key: the key that is sent, or that an answer may repeat.
    """

    __slots__ = ("_api_key", "_token")

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __enter__(self) -> None:
        self._token = _key.set(self._api_key)

    def __exit__(self, *_: object) -> None:
        try:
            _key.reset(self._token)
        except ValueError:
            # What is thrown away unfinished may end in another context.
            return


class _WithoutSecrets(logging.Filter):
    """Changes records of our own exchanges, and leaves those of others in this process alone."""

    def filter(self, record: logging.LogRecord) -> bool:
        api_key = _key.get()
        if api_key is not None:
            text = _PROXY_USER.sub("auth=…", _HEADERS.sub("[…]", record.getMessage()))
            record.msg, record.args = redact(without_key(text, api_key), limit=_LONGEST), ()
        return True


for _name in _LIBRARIES:
    logging.getLogger(_name).addFilter(_WithoutSecrets())
