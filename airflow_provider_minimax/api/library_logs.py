"""Keeps what the HTTP libraries log of our exchanges free of keys and signatures, at DEBUG too."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from airflow_provider_minimax.api.redaction import redact, without_key

_LIBRARIES = (
    *("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks"),
    *("aiohttp.client", "aiohttp.internal"),
)
_LONGEST = 2000
# An answer's headers, which may set cookies that are as good as a key, and a proxy's user and password.
_HEADERS = re.compile(r"\[\(b['\"].*\)\]", re.DOTALL)
_PROXY_USER = re.compile(r"\bauth=\(.*\)", re.DOTALL)

_key: ContextVar[str | None] = ContextVar("minimax_key", default=None)


@contextmanager
def without_secrets_in_logs(api_key: str) -> Iterator[None]:
    """
    Keep secrets out of what the libraries log in here.

    :param api_key: the key that is sent, or that an answer may repeat.
    """
    token = _key.set(api_key)
    try:
        yield
    finally:
        # What is thrown away unfinished may end in another context.
        with suppress(ValueError):
            _key.reset(token)


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
