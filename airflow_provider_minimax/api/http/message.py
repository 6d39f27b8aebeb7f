"""One HTTP request and one reply as plain values. No I/O here: the transports send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.exceptions import MinimaxError

NO_SUCH_CALL = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""What an address answers to a call that it does not have."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """
    What to ask of a platform.

    :param method: the HTTP method.
    :param path: the path below the connection's base URL and path prefix, with its leading slash.
    :param query: the query string's fields; one with several values comes several times.
    :param body: the fields of the JSON body, if there is one. Not shown by ``repr``: it may hold an image.
    :param file: a file to send as a form's ``file``; ``body`` has the form's other fields then.
    :param buys: whether an accepted request costs money, so that it must never be sent twice by itself.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    query: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    file: FileContent | None = None
    buys: bool = False


@dataclass(frozen=True, slots=True)
class HttpReply:
    """
    What a platform answered.

    :param status: the HTTP status.
    :param headers: the header fields, names in lower case.
    :param body: the whole body, decoded. Not shown by ``repr``: it may hold a signed URL.
    :param cut_off_by: why the body is not whole, if it is not; what came of it is the body then.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    cut_off_by: MinimaxError | None = None
