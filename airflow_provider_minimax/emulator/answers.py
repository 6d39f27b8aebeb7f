"""Responses that no framework offers: a dropped connection, a clip generated while it is sent.

They use the server's socket, which ``WithSocket`` puts into the scope of each request. Under a server that does not
expose its socket, responses that break the connection raise RuntimeError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from xml.sax.saxutils import escape

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_minimax.emulator.clips import Clip

SOCKET = "airflow_provider_minimax.emulator.socket"


class WithSocket:
    """Outermost ASGI layer: puts the server's transport into the scope, for responses that break the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the transport in its scope."""
        if scope["type"] == "http":
            # uvicorn's send is a method of the object that owns the connection.
            scope[SOCKET] = getattr(getattr(send, "__self__", None), "transport", None)
        await self.app(scope, receive, send)


def server_socket(scope: Scope) -> asyncio.Transport:
    """Return the connection of a request, for responses that break it."""
    transport: asyncio.Transport | None = scope.get(SOCKET)
    if transport is None:
        raise RuntimeError("This response breaks the connection, so the emulator must run under uvicorn.")
    return transport


async def until_gone(receive: Receive) -> None:
    """Wait until the client has disconnected or received the whole response."""
    # uvicorn responds with 500 if an app returns without a response, unless the client has disconnected.
    while (await receive())["type"] != "http.disconnect":
        pass


class Dropped(Response):
    """Closes the connection without a response."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection."""
        server_socket(scope).abort()
        await until_gone(receive)


class ClipResponse(Response):
    """A clip or a part of it, generated while it is sent, in constant memory; without Content-Length if chunked."""

    def __init__(
        self, clip: Clip, start: int, stop: int, status_code: int, headers: Mapping[str, str], *, chunked: bool
    ) -> None:
        super().__init__(
            status_code=status_code,
            headers={**headers, "Content-Length": str(stop - start)},
            media_type="video/mp4",
        )
        if chunked:
            del self.headers["Content-Length"]
        self.clip, self.start, self.stop = clip, start, stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the part; stop if the client disconnects."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        transport = scope.get(SOCKET)
        for piece in self.clip.pieces(self.start, self.stop):
            if transport is not None and transport.is_closing():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def download_refused(status: int, code: str, message: str) -> Response:
    """Return an error in the format of an object storage."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error>\n  <Code>{escape(code)}</Code>\n  <Message>{escape(message)}</Message>\n</Error>\n"
    )
    return Response(body, status, media_type="application/xml")
