"""Makes texts from outside fit to be shown: no key, no signed URL, no image, no endless page."""

from __future__ import annotations

import re

from airflow_provider_minimax.api.storable import storable_text

LIMIT = 500
SHORTEST_KEY = 8
"""A text of less characters is no secret, and is found in ordinary words."""

# A slash may come with a backslash before it: some gateways write their JSON so, and its beginning is shown as it came.
_IMAGE = re.compile(r"data:[^\s\"'<>,:]{0,200};base64,[A-Za-z0-9+/=_%\\-]*", re.ASCII | re.IGNORECASE)
# With or without a query, so that a row of links is walked through once and not once for each of them.
_URL = re.compile(r"(https?:(?:\\?/){2}[^\s\"'<>?]+)(\?[^\s\"'<>]*)?", re.IGNORECASE)
_URL_USER = re.compile(r"(https?:(?:\\?/){2})[^\s/@]+@", re.IGNORECASE)
_BEARER = re.compile(r"bearer\s+[\w.~+/=\\-]+", re.IGNORECASE)


def without_key(text: str, api_key: str) -> str:
    """
    Return the text without the key, which some platforms repeat when they refuse it.

    :param text: any text.
    :param api_key: the key; one of less than 8 characters is no secret, and is found in ordinary words.
    """
    if len(api_key) < SHORTEST_KEY:
        return text
    text = text.replace(api_key, "…")
    # Where the text was cut, the beginning of the key may be left.
    for length in range(len(api_key) - 1, SHORTEST_KEY - 1, -1):
        text = text.replace(f"{api_key[:length]}…", "…")
    return text


def redact(text: str, *, limit: int = LIMIT) -> str:
    """
    Return the text without base64 images, query strings of URLs (signatures) and bearer keys, cut at a length.

    :param text: any text, such as an error page or a field's value.
    :param limit: the longest text to return, in characters; what is cut is marked with an ellipsis.
    """
    text = storable_text(text)
    # All of it has a colon or a blank, and most texts have neither: an id, a state, a code.
    if ":" in text or len(text.split()) > 1:
        text = _IMAGE.sub("data:…", text)
        text = _URL.sub(lambda url: f"{url[1]}?…" if url[2] else url[0], text)
        text = _URL_USER.sub(r"\1…@", text)
        text = _BEARER.sub("Bearer …", text)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
