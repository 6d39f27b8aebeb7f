"""Makes texts from outside fit to be shown: no key, no signed URL, no image, no endless page."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from functools import lru_cache

from airflow_provider_minimax.text.storable import printable, storable_text

LIMIT = 500
SHORTEST_KEY = 8
"""A text of less characters is no secret, and is found in ordinary words."""

# A slash may come with a backslash before it, as some gateways write their JSON.
_SCHEME = r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}:(?:\\{0,15}/){2}"
_ENCODED_SCHEME = r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}%(?:25){0,3}3A(?:%(?:25){0,3}2F){2}"
_IMAGE = re.compile(r"data:[^\s\"'<>,:]{0,200};base64,[A-Za-z0-9+/=_%\\-]*", re.ASCII | re.IGNORECASE)
# With or without a query, so that a row of links is walked through once and not once for each of them.
_URL = re.compile(rf"({_SCHEME}[^\s\"'<>?#]+)([?#][^\s\"'<>]*)?", re.ASCII | re.IGNORECASE)
_ENCODED_URL = re.compile(
    rf"({_ENCODED_SCHEME}(?:(?!%(?:25){{0,3}}(?:3F|23))[^\s\"'<>&?#])+)(%(?:25){{0,3}}(?:3F|23)[^\s\"'<>&]*)?",
    re.ASCII | re.IGNORECASE,
)
_USER = re.compile(rf"({_SCHEME})[^\s/@]+@", re.ASCII | re.IGNORECASE)
_ENCODED_USER = re.compile(
    rf"({_ENCODED_SCHEME})(?:(?!%(?:25){{0,3}}(?:2F|40))[^\s/])+%(?:25){{0,3}}40", re.ASCII | re.IGNORECASE
)
_QUERY = re.compile(r"\?[\w.~%-]{1,80}=[^\s\"'<>]*", re.ASCII)
# The token of a callback address, as this provider's receiver has them.
_CALLBACK = re.compile(r"(/minimax/callback/|%2Fminimax%2Fcallback%2F)[\w.-]+", re.ASCII | re.IGNORECASE)
_BEARER = re.compile(r"bearer(?:\s|\+|%20)+[\w.~+/=\\%-]+", re.IGNORECASE)
# Most texts of a reply: an id, a state, a model, a ratio. No secret is recognised without another character.
_PLAIN = re.compile(r"[\w.:-]*", re.ASCII)
# How HTML writes a character of a key.
_ENTITY = re.compile(r"&(?:#|amp|lt|gt|quot|apos)")
_JSON_ESCAPE = re.compile(r"\\{1,15}(?:/|u([0-9a-f]{4}))", re.IGNORECASE)


def without_key(text: str, api_key: str) -> str:
    """
    Return the text without the key, which some platforms repeat when they refuse it.

    The key is found however JSON, HTML and URLs write its characters, each in a way of its own, and in base64 as basic
    authentication has it. So is its beginning where the text was cut.

    :param text: any text.
    :param api_key: the key; one of less than 8 characters is no secret, and is found in ordinary words.
    """
    if len(api_key) < SHORTEST_KEY:
        return text
    for encoded in _in_base64(api_key):
        text = text.replace(encoded, "…")
    if not (api_key[:SHORTEST_KEY] in text or "\\" in text or "%" in text or _ENTITY.search(text)):
        return text
    kept, end = [], 0
    for begin, stop in _mentions(text, api_key):
        kept.append(text[end:begin])
        end = stop
    return "…".join([*kept, text[end:]])


def body_without_key(body: bytes, api_key: str) -> bytes:
    """
    Return an answer's body as UTF-8 without a byte order mark, and without the key.

    :param body: the body as it came.
    :param api_key: the key.
    """
    encoding = json.detect_encoding(body)
    text = body.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
    cleaned = without_key(text, api_key)
    return body if cleaned is text and encoding == "utf-8" else cleaned.encode("utf-8", "surrogateescape")


def _mentions(text: str, api_key: str) -> Iterator[tuple[int, int]]:
    """Find where the key is, or its beginning before an end of the text."""
    for start in _beginning(api_key[:SHORTEST_KEY]).finditer(text):
        end = start.end()
        for sign in api_key[SHORTEST_KEY:]:
            following = _written(sign).match(text, end)
            if following is None:
                break
            end = following.end()
        else:
            yield start.start(), end
            continue
        if end == len(text) or text[end] == "…":
            yield start.start(), min(end + 1, len(text))


@lru_cache(maxsize=16)
def _beginning(signs: str) -> re.Pattern[str]:
    return re.compile("".join(_written(sign).pattern for sign in signs))


@lru_cache(maxsize=256)
def _written(sign: str) -> re.Pattern[str]:
    r"""Match a character as texts write it: ``/`` may be ``\/``, ``\u002f``, ``%2F`` or ``&#47;``, encoded again."""
    code = ord(sign)
    digits = "".join(f"[{digit}{digit.upper()}]" for digit in f"{code:x}")
    named = {"&": "|amp", "<": "|lt", ">": "|gt", '"': "|quot", "'": "|apos"}.get(sign, "")
    # Each way begins with a character of its own, by which a search skips what it need not try.
    return re.compile(
        rf"(?:\\(?:\\{{0,14}}(?:{re.escape(sign)}|u0{{0,2}}{digits}))|{re.escape(sign)}|%(?:25){{0,3}}{digits}"
        rf"|&(?:amp;){{0,3}}(?:#[xX]0{{0,6}}{digits}|#0{{0,6}}{code}{named});)"
    )


@lru_cache(maxsize=16)
def _in_base64(api_key: str) -> frozenset[str]:
    """Return what the key looks like within base64, which depends on how many bytes come before it."""
    found: set[str] = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + api_key.encode()).decode()
        # Only the characters that are made of the key's bits alone.
        whole = encoded[-(-before * 8 // 6) : (before + len(api_key.encode())) * 8 // 6]
        found |= {whole, whole.replace("/", "\\/"), whole.replace("+", "-").replace("/", "_")}
    return frozenset(found)


def without_secrets(text: str) -> str:
    """
    Return the text without base64 images, user names, queries and fragments of URLs (signatures), bearer keys, and
    tokens of callback addresses.

    :param text: any text.
    """
    # All of it has a colon or a blank, or is encoded.
    if ":" in text or "%" in text or "=" in text or len(text.split()) > 1:
        text = _IMAGE.sub("data:…", text)
        text = _URL.sub(_without_query, text)
        text = _USER.sub(r"\1…@", text)
        text = _CALLBACK.sub(r"\1…", text)
        text = _QUERY.sub("?…", text)
        text = _BEARER.sub("Bearer …", text)
        if "%" in text:
            text = _ENCODED_URL.sub(_without_query, text)
            text = _ENCODED_USER.sub(r"\1…@", text)
    return text


def _without_query(url: re.Match[str]) -> str:
    return f"{url[1]}?…" if url[2] else url[0]


def redact(text: str, *, limit: int = LIMIT) -> str:
    """
    Return the text without secrets and on one line, cut at a length, and with what a terminal obeys written out.

    :param text: any text, such as an error page or a field's value.
    :param limit: the longest text to return, in characters; what is cut is marked with an ellipsis.
    """
    if len(text) <= limit and _PLAIN.fullmatch(text):
        return text
    text = storable_text(_unescaped(text))
    text = printable(" ".join(without_secrets(text).split()))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _unescaped(text: str) -> str:
    """Return the text with what is written as JSON or HTML escapes put in clear, so that no secret hides in them."""
    if "\\" in text:
        text = _JSON_ESCAPE.sub(lambda sign: chr(int(sign[1], 16)) if sign[1] else "/", text)
    return html.unescape(text) if "&#" in text else text


def described(error: BaseException) -> str:
    """Return the kind of an error and its message, fit to be shown."""
    return redact(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def harmless_cause(error: BaseException | None, api_key: str = "") -> BaseException | None:
    """
    Return what caused an error, for a traceback to show; ``None`` if its words, or its own causes', hold a secret.

    :param error: the cause.
    :param api_key: the key that it may contain.
    """
    seen: set[int] = set()
    links = [error] if error is not None else []
    while links:
        link = links.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        said = _unescaped(" ".join([str(link), *getattr(link, "__notes__", ())]))
        if without_key(without_secrets(said), api_key) != said:
            return None
        before = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        links += [*([before] if before else []), *getattr(link, "exceptions", ())]
    return error
