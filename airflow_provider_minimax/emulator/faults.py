"""Trouble on demand: what can go wrong with a request, and how an answer is spoiled.

Every fault waits in a queue until a request of its operation (and platform, and job) comes by. Whether the request's
work is still done is part of the fault: a refused or broken request makes no job, a lost, slow, held or cut answer
comes after the job was made. ``job_made`` turns an HTTP error or a wrong body into one that hides a job already made,
and ``job_named`` into one that names it beside the error.

What goes to a ``callback_url`` is the operation ``push``: a lost push is never sent, a repeated one is sent twice, a
delayed one ``seconds`` late, and a reordered one behind the one that follows it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.answers import Dropped, download_refused
from airflow_provider_minimax.emulator.links import Link
from airflow_provider_minimax.emulator.refusals import NoChannel, Refusal, Saturated, UnknownTask
from airflow_provider_minimax.emulator.settings import FOR_EVER
from airflow_provider_minimax.emulator.spoiled import Cut, Dripping, Endless, Overlong, Truncated

if TYPE_CHECKING:
    from airflow_provider_minimax.emulator.exchange import Exchange

Work = Callable[[], Awaitable[Response]]

API = frozenset({"submit", "query", "file", "list", "cancel", "upload", "account"})
EVERYWHERE = API | {"download"}
PUSH = frozenset({"push"})

OPERATIONS_OF_KIND = {
    "base_resp": API,
    "http": EVERYWHERE,
    "non_json": API,
    "lost_answer": EVERYWHERE,
    "reset_before": EVERYWHERE,
    "slow": EVERYWHERE,
    "hold": EVERYWHERE,
    "truncated": frozenset({"download"}),
    "expired": frozenset({"download"}),
    "html_video": frozenset({"download"}),
    "cut": frozenset({"download"}),
    "overlong": frozenset({"download"}),
    "endless": frozenset({"download"}),
    "drip": frozenset({"download"}),
    "empty": frozenset({"download"}),
    "replaced": frozenset({"download"}),
    "unknown_task": frozenset({"query", "file", "cancel"}),
    "no_channel": frozenset({"submit"}),
    "saturated": API,
    "lost_push": PUSH,
    "repeated_push": PUSH,
    "delayed_push": PUSH,
    "reordered_push": PUSH,
}
WORK_IS_DONE = frozenset({"lost_answer", "slow", "hold", "truncated", "cut", "overlong", "endless", "drip"})

HTML_ERROR = """<html>
<head><title>{status} {phrase}</title></head>
<body><center><h1>{status} {phrase}</h1></center><hr><center>nginx</center></body>
</html>
"""


class Fault(BaseModel):
    """One thing that goes wrong, and which requests it affects."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal[
        "base_resp",
        "http",
        "non_json",
        "lost_answer",
        "reset_before",
        "slow",
        "hold",
        "truncated",
        "expired",
        "html_video",
        "cut",
        "overlong",
        "endless",
        "drip",
        "empty",
        "replaced",
        "unknown_task",
        "no_channel",
        "saturated",
        "lost_push",
        "repeated_push",
        "delayed_push",
        "reordered_push",
    ]
    operation: Literal["any", "submit", "query", "file", "list", "cancel", "upload", "account", "download", "push"] = (
        "any"
    )
    """The requests that it affects, by what they do; each kind has operations that it can affect."""
    platform: str | None = None
    """Only requests to this platform; all by default."""
    times: int = Field(1, ge=FOR_EVER)
    """How many requests it affects; -1: all of them until faults are cleared."""
    after: int = Field(0, ge=0)
    """How many such requests pass unaffected first."""
    containing: str | None = Field(None, min_length=1)
    """Only requests about one job among many: submissions whose body contains this text as it was sent, and queries and
    downloads of a job whose prompt contains it."""

    link: Link | None = None
    """Only downloads by the first of a clip's links, or only those by its ``backup``."""

    code: int = 1000
    """``base_resp``: MiniMax's code, shown in the platform's own shape."""
    message: str | None = None
    """``base_resp``: the text next to the code; ``no_channel``: the model that has no channel."""
    status: int = Field(500, ge=200, le=599)
    """``http``: the status; the body is ``body`` as JSON, else an HTML page if ``html``, else a line of text."""
    html: bool = False
    """``http``: whether the body is an HTML page."""
    body: Any = None
    """``http``: the body, sent as JSON."""
    retry_after: int | None = None
    """``http``, ``base_resp`` and ``saturated``: Retry-After in seconds."""
    retry_after_date: int | None = None
    """The same, sent as an HTTP date this many seconds after the answer."""
    location: str | None = None
    """``http``: the ``Location`` to which a redirect leads."""
    job_made: bool = False
    """``http``, ``non_json`` and ``base_resp``: whether a job is made all the same."""
    job_named: bool = False
    """``http`` and ``base_resp`` on a submission: whether a job is made all the same, and named next to the error."""
    seconds: float = Field(1.0, ge=0)
    """``slow``: how long the answer takes; ``drip``: how long each KiB of it does; ``delayed_push``: how late it is."""
    after_bytes: int = Field(1000, ge=0)
    """``truncated`` and ``cut``: how much of the body arrives; ``overlong``: the Content-Length."""

    @model_validator(mode="after")
    def _can_ever_happen(self) -> Fault:
        if self.operation != "any" and self.operation not in OPERATIONS_OF_KIND[self.kind]:
            raise ValueError(f"a fault of kind {self.kind} cannot affect the operation {self.operation}")
        if self.job_named and (self.operation != "submit" or self.kind not in ("http", "base_resp")):
            raise ValueError("job_named: needs the kind 'http' or 'base_resp', and the operation 'submit'")
        if self.location is not None and self.kind != "http":
            raise ValueError("location: needs the kind 'http'")
        if self.link is not None and self.operation != "download":
            raise ValueError(f"link={self.link!r}: needs the operation 'download'")
        if self.platform is not None and self.platform not in ADDRESSES:
            raise ValueError(f"platform={self.platform!r}: must be one of {', '.join(ADDRESSES)}")
        return self

    def concerns(self, operation: str, platform: str | None, subject: str, link: Link | None) -> bool:
        """Whether a request of this operation and platform, about this subject, by this link, meets the fault."""
        return (
            operation in OPERATIONS_OF_KIND[self.kind]
            and self.operation in ("any", operation)
            and self.platform in (None, platform)
            and (self.containing is None or self.containing in subject)
            and self.link in (None, link)
        )


async def perform(exchange: Exchange, fault: Fault, work: Work) -> Response:
    """Answer a request that meets a fault; ``work`` does what the request asks for."""
    answer = await work() if fault.kind in WORK_IS_DONE or fault.job_made or fault.job_named else Response()
    match fault.kind:
        case "lost_answer" | "reset_before":
            return Dropped()
        case "slow":
            await exchange.world.pause(fault.seconds)
            return answer
        case "hold":
            await exchange.world.pause(None)
            return answer
        case "truncated":
            return Truncated(answer, fault.after_bytes)
        case "cut":
            return Cut(answer, fault.after_bytes)
        case "overlong":
            return Overlong(answer, fault.after_bytes)
        case "endless":
            return Endless(answer)
        case "drip":
            return Dripping(answer, partial(exchange.world.pause, fault.seconds))
        case "empty":
            return Response(media_type="video/mp4")
        case "replaced":
            exchange.world.replace_clips()
            return await work()
        case "expired":
            return download_refused(403, "AccessDenied", "Request has expired.")
        case "html_video" | "non_json":
            return HTMLResponse(HTML_ERROR.format(status=200, phrase="OK"))
        case "http":
            trouble = _http_error(fault)
        case _:
            trouble = exchange.refuse(_refusal(exchange, fault))
    return _with_retry_after(_with_job(trouble, answer) if fault.job_named else trouble, fault)


def _with_job(trouble: Response, answer: Response) -> Response:
    """An error that names the job beside it: the good answer, with all that the error says."""
    is_json = trouble.headers["Content-Type"] == "application/json"
    said = json.loads(bytes(trouble.body)) if is_json else {}
    body = json.loads(bytes(answer.body)) | {name: value for name, value in said.items() if value}
    headers = {name: value for name, value in trouble.headers.items() if name == "location"}
    return JSONResponse(body, trouble.status_code, headers)


def _refusal(exchange: Exchange, fault: Fault) -> Refusal:
    match fault.kind:
        case "unknown_task":
            return UnknownTask("task_id")
        case "no_channel":
            return NoChannel(fault.message or "MiniMax-Hailuo-2.3")
        case "saturated":
            return Saturated()
        case _:
            return Refusal(fault.code, fault.message)


def _http_error(fault: Fault) -> Response:
    headers = {"Location": fault.location} if fault.location is not None else {}
    if fault.body is not None:
        return JSONResponse(fault.body, fault.status, headers)
    phrase = HTTPStatus(fault.status).phrase if fault.status in HTTPStatus._value2member_map_ else "Error"
    if fault.html:
        return HTMLResponse(HTML_ERROR.format(status=fault.status, phrase=phrase), fault.status, headers)
    return PlainTextResponse(f"{fault.status} {phrase}", fault.status, headers)


def _with_retry_after(answer: Response, fault: Fault) -> Response:
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = str(fault.retry_after)
    elif fault.retry_after_date is not None:
        answer.headers["Retry-After"] = formatdate(time.time() + fault.retry_after_date, usegmt=True)
    return answer
