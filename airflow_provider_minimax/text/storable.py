"""
Makes values from outside fit for Airflow's database, whose server refuses some that a worker takes.

A task is failed for such a value after it has ended: without a word in its log, and with its clip in place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, time
from typing import Any

# msgpack, in which workers speak with their supervisor, has no larger integers.
_INTEGERS = range(-(2**63), 2**63)
# The server reads JSON of some 250 levels.
_DEEPEST = 50
# What a terminal or an editor obeys, or what hides or reorders other text: control characters (C0, DEL, C1), marks and
# overrides of direction, separators of lines and paragraphs, and halves of surrogate pairs.
_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


def storable(value: Any) -> Any:
    r"""
    Return a value as XComs, asset events and stored state can hold it on every database that Airflow runs on.

    :param value: any value; it is not changed.
    :return: plain JSON: keys are texts, and what has no form in JSON becomes a text. Numbers that are not finite become
        ``None``. Characters that no database stores are written out: NUL as ``\x00``, a lone surrogate as ``\udc80``.
    """
    return _storable(value, _DEEPEST)


def _storable(value: Any, levels: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, int):
        return int(value) if value in _INTEGERS else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, date | time):
        return value.isoformat()
    if levels and isinstance(value, Mapping):
        return {storable_text(str(key)): _storable(item, levels - 1) for key, item in value.items()}
    if levels and isinstance(value, list | tuple | set | frozenset):
        return [_storable(item, levels - 1) for item in value]
    return storable_text(str(value))


def storable_text(text: str) -> str:
    """
    Return a text without characters that no database stores: NUL and lone surrogates are written out.

    :param text: any text.
    """
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "\\x00")


def printable(text: str) -> str:
    r"""
    Return a text that no terminal, log or page obeys: control characters are written out, ESC as ``\x1b``.

    :param text: any text; one that went through here already stays as it is.
    """
    return _OBEYED.sub(_written_out, text)


def _written_out(sign: re.Match[str]) -> str:
    code = ord(sign[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def escaped_json(text: str) -> str:
    r"""
    Return a JSON text with the same values, and with what a terminal obeys as JSON escapes: DEL as ``\u007f``.

    :param text: the JSON text; its line breaks stay.
    """
    return _OBEYED.sub(lambda sign: sign[0] if sign[0] == "\n" else f"\\u{ord(sign[0]):04x}", text)
