"""
The body of a request on the wire: words in memory, and between them files in blocks.

Its length is known before its first byte is sent, and it can be begun again as often as the request is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from airflow_provider_minimax.api.http.message import HttpRequest
from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.request import invalid
from airflow_provider_minimax.text.redaction import redact

_ESCAPES = {ord(character): f"%{ord(character):02X}" for character in '"\r\n'}


class Part(Protocol):
    """What is sent in blocks."""

    @property
    def length(self) -> int:
        """How many bytes it has."""

    def blocks(self) -> Iterator[bytes]:
        """Return it in blocks, from the beginning on."""


@dataclass(frozen=True, slots=True)
class Body:
    """
    What is sent after the headers.

    :param content_type: its ``Content-Type``.
    :param words: what is in memory: one more than there are files.
    :param files: what comes between them.
    """

    content_type: str
    words: Sequence[bytes]
    files: Sequence[Part] = ()

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return sum(map(len, self.words)) + sum(file.length for file in self.files)

    def blocks(self) -> Iterator[bytes]:
        """Return it in blocks, from the beginning on."""
        yield self.words[0]
        for file, words in zip(self.files, self.words[1:], strict=True):
            yield from file.blocks()
            yield words


def body_of(request: HttpRequest) -> Body | None:
    """
    Return the body of a request.

    :param request: the request.
    :raises MinimaxRequestError: something in it has no place in JSON.
    """
    if request.file is not None:
        return form_body(request.body or {}, request.file)
    return None if request.body is None else json_body(request.body)


def json_body(fields: Mapping[str, Any]) -> Body:
    """
    Return a JSON body.

    :param fields: its fields; files in them stand for their data URLs.
    :raises MinimaxRequestError: something in them has no place in JSON.
    """
    files: list[FileContent] = []
    # Nobody can have written this into a prompt, because it did not exist before.
    gap = uuid4().hex

    def leave_a_gap(value: Any) -> str:
        if not isinstance(value, FileContent):
            raise TypeError(f"{type(value).__name__} is no JSON")
        files.append(value)
        return gap

    try:
        text = json.dumps(fields, default=leave_a_gap, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        words = text.encode().split(gap.encode())
    except (TypeError, ValueError) as error:
        raise invalid([f"it holds what JSON cannot say: {redact(str(error))}"]) from error
    return Body("application/json", words, files)


def form_body(fields: Mapping[str, str], file: FileContent) -> Body:
    """
    Return the body of a form with a file, as RFC 7578 has it.

    :param fields: its other fields.
    :param file: what goes into the field ``file``.
    """
    # It is in no file, because it did not exist before.
    boundary = uuid4().hex
    before = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    before += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_escaped(file.filename)}"\r\n'
        f"Content-Type: {_escaped(file.media_type)}\r\n\r\n"
    )
    after = f"\r\n--{boundary}--\r\n"
    return Body(f"multipart/form-data; boundary={boundary}", (before.encode(), after.encode()), (file.data,))


def _escaped(text: str) -> str:
    """Write a text into a part's header as browsers do (WHATWG, multipart/form-data), so that it cannot end there."""
    return text.translate(_ESCAPES)
