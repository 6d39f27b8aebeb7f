"""
The body of a request on the wire: words in memory, and between them files in blocks.

Its length is known before its first byte is sent, and it can be begun again as often as the request is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from airflow_provider_minimax.api.content import FileContent
from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.api.request import invalid


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
    files: Sequence[FileContent] = ()

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
