"""Which certificate authorities connections trust."""

from __future__ import annotations

import os
import re
import ssl
from contextlib import suppress
from functools import cache

import httpx

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxConfigurationError
from airflow_provider_minimax.text.redaction import described

# OpenSSL finds a certificate in a folder by the hash of its subject.
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+", re.ASCII)


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
            f"{named}: must be a {what} that can be read here ({described(error)})", billing=NOTHING_BOUGHT
        ) from error


def _holds_authorities(folder: str) -> bool:
    with suppress(OSError, ValueError):
        return any(_HASHED_NAME.fullmatch(name) for name in os.listdir(folder))
    return False
