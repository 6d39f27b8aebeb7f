"""Signed links that expire, as an object storage makes them: each is unique, and any change makes it invalid."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import secrets
import time
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlencode

Link = Literal["first", "backup"]
BACKUP = "backup/"


class LinkRefusedError(Exception):
    """The link is not valid, or has expired; ``code`` is the storage's word for why."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def link_of(name: str) -> Link:
    """Return which of a clip's links leads to the object of this name."""
    return "backup" if name.startswith(BACKUP) else "first"


class LinkSigner:
    """Signs links, with a new secret for each run."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._nonces = itertools.count(1)

    def sign(self, name: str, life: int) -> str:
        """Return the query string that makes a link to ``name`` valid for so many seconds."""
        expires, nonce = str(int(time.time()) + life), str(next(self._nonces))
        return urlencode({"Expires": expires, "Nonce": nonce, "Signature": self._signature(name, expires, nonce)})

    def check(self, name: str, query: Mapping[str, str]) -> None:
        """Raise LinkRefusedError unless the link to ``name`` is valid."""
        expires, nonce = query.get("Expires", ""), query.get("Nonce", "")
        wanted = self._signature(name, expires, nonce)
        if not hmac.compare_digest(wanted.encode(), query.get("Signature", "").encode()):
            raise LinkRefusedError(
                "SignatureDoesNotMatch", "The request signature does not match the signature provided."
            )
        if time.time() >= int(expires):
            raise LinkRefusedError("AccessDenied", "Request has expired.")

    def _signature(self, name: str, expires: str, nonce: str) -> str:
        text = f"GET\n{name}\n{expires}\n{nonce}"
        return base64.b64encode(hmac.digest(self._secret, text.encode(), hashlib.sha256)).decode()
