"""Makes texts from outside fit to be shown: no key, no signed URL, no image, no endless page."""

from __future__ import annotations

import re

LIMIT = 500

_IMAGE = re.compile(r"data:[\w.+/-]*;base64,[A-Za-z0-9+/=_%-]*", re.ASCII)
_URL_QUERY = re.compile(r"(https?://[^\s\"'<>?]+)\?[^\s\"'<>]*")
_URL_USER = re.compile(r"(https?://)[^\s/@]+@")
_BEARER = re.compile(r"(?i)bearer\s+[\w.~+/=-]+")


def without_key(text: str, api_key: str) -> str:
    """
    Return the text without the key, which some platforms repeat when they refuse it.

    :param text: any text.
    :param api_key: the key; one of less than 8 characters is no secret, and is found in ordinary words.
    """
    return text.replace(api_key, "…") if len(api_key) >= 8 else text


def redact(text: str, *, limit: int = LIMIT) -> str:
    """
    Return the text without base64 images, query strings of URLs (signatures) and bearer keys, cut at a length.

    :param text: any text, such as an error page or a field's value.
    :param limit: the longest text to return, in characters; what is cut is marked with an ellipsis.
    """
    text = _IMAGE.sub("data:…", text)
    text = _URL_QUERY.sub(r"\1?…", text)
    text = _URL_USER.sub(r"\1…@", text)
    text = _BEARER.sub("Bearer …", text)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
