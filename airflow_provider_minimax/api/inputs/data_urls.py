"""
Data URLs as people and their tools write them, read as the bytes that they stand for.

RFC 2397 has parameters, percent signs and URLs without base64; tools break lines, leave out the padding, or take the
alphabet that is safe in URLs. All of it says the same bytes, so it is the same picture.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_HEAD = re.compile(r'data:([^;,"]*)((?:;[^;,="]*(?:=(?:"[^"]*"|[^;,"]*))?)*),', re.IGNORECASE)
_LONGEST_HEAD = 4096
# A byte takes four thirds of a character in base64, and each of these three if it is percent-encoded.
_MOST_CHARACTERS_A_BYTE = 4
_TO_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\n\r\x0b\x0c"


class UnreadableDataUrlError(Exception):
    """The text is no data URL that can be read; says why."""


class LongDataUrlError(UnreadableDataUrlError):
    """It holds more than is wanted."""


@dataclass(frozen=True, slots=True)
class DataUrl:
    """
    What a data URL says.

    :param media_type: its media type in small letters, without parameters; empty where it names none.
    :param data: its bytes.
    :param is_plain: whether it is written as every platform takes it: ``data:type/subtype;base64,`` and base64.
    """

    media_type: str
    data: bytes
    is_plain: bool


def read_data_url(url: str, limit: int | None = None) -> DataUrl:
    """
    Read a data URL.

    :param url: the URL.
    :param limit: how many bytes are too many; a URL that can only be longer is not decoded.
    :raises LongDataUrlError: it holds that many or more.
    :raises UnreadableDataUrlError: it is no data URL, or its base64 cannot be decoded.
    """
    head = _HEAD.match(url[:_LONGEST_HEAD])
    if head is None:
        raise UnreadableDataUrlError("it has no comma between its media type and its data")
    if limit is not None and len(url) - head.end() > _MOST_CHARACTERS_A_BYTE * limit:
        raise LongDataUrlError(f"it has {len(url)} characters")
    media_type = head[1].strip().lower()
    parameters = [parameter.strip() for parameter in head[2].split(";")[1:]]
    payload = url[head.end() :]
    if not any(parameter.lower() == "base64" for parameter in parameters):
        return DataUrl(media_type, _unquoted(payload), False)
    try:
        data = base64.b64decode(payload, validate=True)
    except ValueError:
        return DataUrl(media_type, _leniently_decoded(payload), False)
    return DataUrl(media_type, data, head[0] == f"data:{media_type};base64,")


def _unquoted(payload: str) -> bytes:
    try:
        return unquote_to_bytes(payload)
    except UnicodeEncodeError as error:
        raise UnreadableDataUrlError(f"it holds what is no character ({error.reason})") from None


def _leniently_decoded(payload: str) -> bytes:
    letters = _unquoted(payload)
    letters = letters.translate(_TO_STANDARD_ALPHABET, _BLANKS).rstrip(b"=")
    try:
        return base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except binascii.Error as error:
        raise UnreadableDataUrlError(f"its base64 cannot be decoded ({error})") from None
