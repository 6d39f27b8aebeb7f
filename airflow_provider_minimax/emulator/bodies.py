"""Limits the size of request bodies, so that no client can fill the emulator's memory."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Message

MIB = 1024 * 1024


class BodyTooLargeError(Exception):
    """A request's body is larger than its limit."""

    def __init__(self, largest: int) -> None:
        super().__init__(f"the body must not be larger than {largest // MIB} MiB")


def with_limited_body(request: Request, largest: int) -> Request:
    """Return the request, whose body raises BodyTooLargeError when it is read, if it is larger than so many bytes."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        if int(request.headers.get("Content-Length", 0)) > largest:
            raise BodyTooLargeError(largest)
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > largest:
            raise BodyTooLargeError(largest)
        return message

    return Request(request.scope, receive)
