"""
The receiver: answers a platform's challenge, and has its pushes recorded. An ASGI application with one address.

Posting needs a token that this Airflow made; without one, the answer is a bare 404, as it would be without a receiver.
The token is cut out of what servers log of a request.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocketClose

from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.callbacks.address import CALLBACK_PATH, LONGEST_TOKEN, read_token
from airflow_provider_minimax.callbacks.bodies import Challenge, read_body
from airflow_provider_minimax.callbacks.record import Push
from airflow_provider_minimax.callbacks.recorder import Recorder
from airflow_provider_minimax.callbacks.throttle import Throttle

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

LARGEST_BODY = 64 * 1024
SECONDS_TO_SEND = 3.0
"""How long a body may take to arrive."""
MOST_BODIES = 256
"""How many bodies are read at once, each at most ``LARGEST_BODY``; 16 MiB in all."""

_NOBODY = ""
"""All who post without a token, whose posts are counted together."""
_SHOWN_IN_LOGS = f"{CALLBACK_PATH}…"
# What is left of a body that is not read to its end must not be taken for the next request, nor be waited for.
_CLOSE = {"Connection": "close"}


class Receiver:
    """
    The application.

    :param recorder: what records pushes.
    """

    def __init__(self, recorder: Recorder | None = None) -> None:
        self._recorder = recorder or Recorder()
        self._throttle = Throttle()
        self._bodies = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        token = _taken_out(scope)
        try:
            response = await self._answer(token, Request(scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, token: str, request: Request) -> Response:
        owner = read_token(token) if len(token) <= LONGEST_TOKEN and request.method == "POST" else None
        if owner is None:
            await self._throttle.wait(_NOBODY)
            return _not_found()
        conn_id, attempt = owner
        await self._throttle.wait(attempt)
        if self._bodies >= MOST_BODIES:
            return _overloaded()
        self._bodies += 1
        try:
            body = await _body(request)
        finally:
            self._bodies -= 1
        said = None if body is None else read_body(body)
        if said is None:
            return _not_found()
        if isinstance(said, Challenge):
            return JSONResponse({"challenge": said.value}, headers={"X-Content-Type-Options": "nosniff"})
        push = Push(said.minimax_task_id, said.status, TaskState.of(said.status), time.time(), attempt)
        return JSONResponse({"status": "success"}) if await self._recorder.record(conn_id, push) else _overloaded()


def _taken_out(scope: Scope) -> str:
    """Take the token out of the path, which servers and middleware log from this same ``scope`` after the answer."""
    start, found, token = scope["path"].rpartition(CALLBACK_PATH)
    scope["path"] = start + _SHOWN_IN_LOGS
    scope["raw_path"] = scope["path"].encode()
    return token if found else ""


async def _body(request: Request) -> bytes | None:
    """Read the body; ``None`` if it is too long or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS_TO_SEND):
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST_BODY:
                    return None
    except TimeoutError:
        return None
    return bytes(body)


def _not_found() -> Response:
    return Response(status_code=404, headers=_CLOSE)


def _overloaded() -> Response:
    return Response(status_code=503, headers=_CLOSE)
