"""Spoiled responses: each sends another response, but changes its length, its body or its speed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from airflow_provider_minimax.emulator.answers import server_socket, until_gone

ZEROS = bytes(64 * 1024)
DROP = 1024
"""The size of the pieces of a slow response, in bytes."""


class _EnoughError(Exception):
    """Ends the response that is being spoiled."""


class Spoiled(Response):
    """Another response, whose body is changed."""

    has_length: ClassVar[bool] = True

    def __init__(self, whole: Response) -> None:
        super().__init__(status_code=whole.status_code)
        self.whole = whole
        if not self.has_length:
            del whole.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the other response, until :meth:`_spoil` has enough of it."""
        socket = server_socket(scope)

        async def pass_on(message: Message) -> None:
            if message["type"] == "http.response.body":
                await self._spoil(message, send, socket)
            else:
                await send(message)

        try:
            await self.whole(scope, receive, pass_on)
        except _EnoughError:
            await until_gone(receive)

    async def _spoil(self, message: Message, send: Send, socket: asyncio.Transport) -> None:
        """Send a piece of the body, changed; raise ``_EnoughError`` after the last."""
        raise NotImplementedError


class _CutShort(Spoiled):
    """The first bytes of another response, then an end."""

    def __init__(self, whole: Response, after_bytes: int) -> None:
        super().__init__(whole)
        self.left = after_bytes

    async def _spoil(self, message: Message, send: Send, socket: asyncio.Transport) -> None:
        body = message.get("body", b"")
        if len(body) <= self.left:
            self.left -= len(body)
            await send(message)
            return
        await self._end(body[: self.left], body[self.left :], send, socket)
        raise _EnoughError

    async def _end(self, last: bytes, beyond: bytes, send: Send, socket: asyncio.Transport) -> None:
        """Send the last bytes; ``beyond`` are the bytes of the same piece that should have followed."""
        raise NotImplementedError


class Truncated(_CutShort):
    """The connection ends before all bytes that Content-Length announced."""

    async def _end(self, last: bytes, beyond: bytes, send: Send, socket: asyncio.Transport) -> None:
        await send({"type": "http.response.body", "body": last, "more_body": True})
        socket.close()


class Cut(_CutShort):
    """No Content-Length, and a regular end in the middle of the body."""

    has_length = False

    async def _end(self, last: bytes, beyond: bytes, send: Send, socket: asyncio.Transport) -> None:
        await send({"type": "http.response.body", "body": last, "more_body": False})


class Overlong(_CutShort):
    """More bytes are sent than Content-Length announced."""

    def __init__(self, whole: Response, announced: int) -> None:
        super().__init__(whole, announced)
        whole.headers["Content-Length"] = str(announced)

    async def _end(self, last: bytes, beyond: bytes, send: Send, socket: asyncio.Transport) -> None:
        await send({"type": "http.response.body", "body": last, "more_body": True})
        # Bypasses the server, which refuses to send more than it announced.
        socket.write(beyond)
        socket.close()


class Endless(Spoiled):
    """No Content-Length, and zeros after the other response until the client disconnects."""

    has_length = False

    async def _spoil(self, message: Message, send: Send, socket: asyncio.Transport) -> None:
        await send({**message, "more_body": True})
        if message.get("more_body", False):
            return
        while not socket.is_closing():
            await send({"type": "http.response.body", "body": ZEROS, "more_body": True})
            await asyncio.sleep(0)  # lets other requests run, even if the client reads fast
        raise _EnoughError


class Dripping(Spoiled):
    """The other response, a KiB at a time."""

    def __init__(self, whole: Response, pause: Callable[[], Awaitable[None]]) -> None:
        super().__init__(whole)
        self.pause = pause

    async def _spoil(self, message: Message, send: Send, socket: asyncio.Transport) -> None:
        body = message.get("body", b"")
        for at in range(0, len(body), DROP):
            if socket.is_closing():
                raise _EnoughError
            await send({"type": "http.response.body", "body": body[at : at + DROP], "more_body": True})
            await self.pause()
        if not message.get("more_body", False):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
