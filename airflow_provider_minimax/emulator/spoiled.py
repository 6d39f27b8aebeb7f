"""Good answers that go bad on their way: each sends another answer and changes its length, its body or its pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from airflow_provider_minimax.emulator.answers import server_socket, until_gone

ZEROS = bytes(64 * 1024)
DROP = 1024
"""How many bytes of a dripping answer come at a time."""


class _EnoughError(Exception):
    """Stops the answer that is being spoiled."""


class Spoiled(Response):
    """Another answer with a body of its own making."""

    tells_length: ClassVar[bool] = True

    def __init__(self, whole: Response) -> None:
        super().__init__(status_code=whole.status_code)
        self.whole = whole
        if not self.tells_length:
            del whole.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the other answer until there is enough of it."""
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
        """Send a piece of the body in this answer's way; raise ``_EnoughError`` after the last."""
        raise NotImplementedError


class _CutShort(Spoiled):
    """The first so many bytes of another answer, and an end."""

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
        """Send the last bytes; ``beyond`` are those of the same piece that should have followed."""
        raise NotImplementedError


class Truncated(_CutShort):
    """The connection ends before all the bytes that Content-Length told."""

    async def _end(self, last: bytes, beyond: bytes, send: Send, socket: asyncio.Transport) -> None:
        await send({"type": "http.response.body", "body": last, "more_body": True})
        socket.close()


class Cut(_CutShort):
    """No Content-Length, and an end in the middle that looks like the end."""

    tells_length = False

    async def _end(self, last: bytes, beyond: bytes, send: Send, socket: asyncio.Transport) -> None:
        await send({"type": "http.response.body", "body": last, "more_body": False})


class Overlong(_CutShort):
    """Content-Length tells fewer bytes than are sent."""

    def __init__(self, whole: Response, told: int) -> None:
        super().__init__(whole, told)
        whole.headers["Content-Length"] = str(told)

    async def _end(self, last: bytes, beyond: bytes, send: Send, socket: asyncio.Transport) -> None:
        await send({"type": "http.response.body", "body": last, "more_body": True})
        # Past the server, which would refuse to send more than it told.
        socket.write(beyond)
        socket.close()


class Endless(Spoiled):
    """No Content-Length, and zeros after the other answer until the client goes away."""

    tells_length = False

    async def _spoil(self, message: Message, send: Send, socket: asyncio.Transport) -> None:
        await send({**message, "more_body": True})
        if message.get("more_body", False):
            return
        while not socket.is_closing():
            await send({"type": "http.response.body", "body": ZEROS, "more_body": True})
            await asyncio.sleep(0)  # a fast reader never makes the server wait, and others want to be served too
        raise _EnoughError


class Dripping(Spoiled):
    """The other answer, a KiB at a time."""

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
