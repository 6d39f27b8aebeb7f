"""MiniMax's own v1 API, and the two gateways that offer it almost unchanged: BLTCY and 302.AI.

Most errors are HTTP 200 with a code in ``base_resp``. The gateways word only errors of the account themselves.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.callbacks import Update
from airflow_provider_minimax.emulator.contract import OFFICIAL_FIELDS, Page, own_names, read_order
from airflow_provider_minimax.emulator.exchange import Endpoint, Exchange, Platform
from airflow_provider_minimax.emulator.jobs import ON_THE_WAY, Job, Sight
from airflow_provider_minimax.emulator.refusals import Refusal, UnknownTask, message_for
from airflow_provider_minimax.emulator.settings import Settings

STATUSES = {
    "preparing": "Preparing",
    "queueing": "Queueing",
    "processing": "Processing",
    "success": "Success",
    "failed": "Fail",
}

ACCOUNT_CODES = frozenset({1004, 1008, 2049})

EVERY_FIELD = Page(fields=own_names(*OFFICIAL_FIELDS), required=frozenset({"model"}))

# BLTCY's pages name only these; the blank at the end of its "prompt_optimizer " is a typo.
BLTCY_FIRST_FRAME = Page(
    fields=own_names("model", "prompt", "duration", "first_frame_image", "resolution", "prompt_optimizer"),
    required=frozenset({"model", "prompt", "first_frame_image"}),
    modes=frozenset({"first_frame"}),
    resolutions=frozenset({"768P", "1080P"}),
)
BLTCY_FIRST_AND_LAST = Page(
    fields={**BLTCY_FIRST_FRAME.fields, "last_frame_image": "last_frame_image"},
    required=frozenset({"model", "prompt", "first_frame_image", "last_frame_image"}),
    modes=frozenset({"first_and_last_frame"}),
    resolutions=frozenset({"768P", "1080P"}),
)

# The statuses sent to a callback_url: fewer than in a query, and in lower case.
UPDATE_STATUSES = {**dict.fromkeys(ON_THE_WAY, "processing"), "success": "success", "failed": "failed"}

PageOf = Callable[[dict[str, Any]], Page]
Refuse = Callable[[Exchange, Refusal], Response]


def base_resp(code: int = 0, message: str | None = None) -> dict[str, Any]:
    """Return the object with code and message that every v1 reply has."""
    return {"status_code": code, "status_msg": message or message_for(code)}


def reply(body: dict[str, Any], status: int = 200) -> Response:
    """Return a v1 reply with its trace id."""
    return JSONResponse(body, status, headers={"Trace-Id": secrets.token_hex(16)})


def refuse_with_base_resp(exchange: Exchange, refusal: Refusal) -> Response:
    """Return MiniMax's refusal: HTTP 200 and a code."""
    body: dict[str, Any] = {"base_resp": base_resp(refusal.code, refusal.message)}
    if exchange.request.method == "POST":
        body = {"task_id": "", **body}
    return reply(body)


def status_of(sight: Sight, settings: Settings) -> str:
    """Return the status that a query shows."""
    return settings.statuses.get(sight.state) or settings.statuses.get("*") or STATUSES[sight.state]


def file_id_for(job: Job, settings: Settings) -> str | int:
    """Return the file id as a query shows it: a string, unless the settings say a number."""
    return int(job.file_id) if settings.file_id_as_number else job.file_id


def query_body(sight: Sight, settings: Settings) -> dict[str, Any]:
    """Return the reply to a query, in MiniMax's format."""
    job, status = sight.job, status_of(sight, settings)
    if sight.state == "failed":
        if settings.failure_reply == "code_only":
            return {"task_id": job.task_id, "base_resp": base_resp(job.code)}
        code = 0 if settings.failure_reply == "status_only" else job.code
        return {"task_id": job.task_id, "status": status, "file_id": "", "base_resp": base_resp(code)}
    body: dict[str, Any] = {"task_id": job.task_id, "status": status, "file_id": "", "base_resp": base_resp()}
    if sight.state == "success":
        body["video_width"], body["video_height"] = job.pixels
    if sight.has_file:
        body["file_id"] = file_id_for(job, settings)
    return body


def file_object(exchange: Exchange, job: Job, *, backup: bool) -> dict[str, Any]:
    """Return a job's file object; ``bytes`` is 0 and the name is the same for every task, as in real replies."""
    if exchange.settings.backup_links is not None:
        backup = exchange.settings.backup_links
    described = {
        "file_id": int(job.file_id),
        "bytes": 0,
        "created_at": int(job.ended_at or job.made_at),
        "filename": "output_aigc.mp4",
        "purpose": "video_generation",
        "download_url": exchange.sign_link(job),
    }
    return {**described, "backup_download_url": exchange.sign_link(job, backup=True)} if backup else described


def _update(exchange: Exchange, sight: Sight) -> Update:
    job, status = sight.job, UPDATE_STATUSES[sight.state]
    file_id = file_id_for(job, exchange.settings) if sight.has_file else ""
    return status, {
        "task_id": job.task_id,
        "status": status,
        "file_id": file_id,
        "base_resp": base_resp(job.code),
    }


def v1_endpoints(prefix: str, page_of: PageOf, *, backup: bool) -> tuple[Endpoint, ...]:
    """Return the three endpoints of v1, with a path prefix."""

    async def submit(exchange: Exchange) -> Response:
        body = await exchange.json_object()
        order = read_order(page_of(body), body)
        job = await exchange.buy(order, body, callback_url=body.get("callback_url"), update=_update)
        return reply({"task_id": job.task_id, "base_resp": base_resp()})

    async def query(exchange: Exchange) -> Response:
        sight = exchange.world.poll(exchange.platform.name, exchange.parameter("task_id"))
        return reply(query_body(sight, exchange.settings))

    return (
        Endpoint("POST", f"{prefix}/v1/video_generation", "submit", submit),
        Endpoint("GET", f"{prefix}/v1/query/video_generation", "query", query),
        file_endpoint(prefix, backup=backup),
    )


def file_endpoint(prefix: str, *, backup: bool) -> Endpoint:
    """Return the endpoint that returns a fresh link to a file."""

    async def retrieve(exchange: Exchange) -> Response:
        file_id = exchange.parameter("file_id")
        job = exchange.world.job_of_file(file_id)
        if job is None or job.platform != exchange.platform.name or job.state() != "success":
            raise UnknownTask(f"file_id {file_id!r}")
        return reply({"file": file_object(exchange, job, backup=backup), "base_resp": base_resp()})

    return Endpoint("GET", f"{prefix}/v1/files/retrieve", "file", retrieve)


def refuse_account_like_openai(otherwise: Refuse) -> Refuse:
    """Word errors of key and quota as "new-api" gateways do; ``otherwise`` words the rest."""

    def refuse(exchange: Exchange, refusal: Refusal) -> Response:
        trace = f"(request id: {secrets.token_hex(12)})"
        if refusal.code in (1004, 2049):
            error = {"message": f"无效的令牌 {trace}", "type": "new_api_error", "code": "invalid_api_key"}
            return JSONResponse({"error": error}, 401)
        if refusal.code == 1008:
            error = {"message": f"用户额度不足 {trace}", "type": "new_api_error", "code": "insufficient_user_quota"}
            return JSONResponse({"error": error}, 403)
        return otherwise(exchange, refusal)

    return refuse


def account_errors_by(account: Refuse, otherwise: Refuse) -> Refuse:
    """Word errors of key and balance with ``account``; ``otherwise`` words the rest."""

    def refuse(exchange: Exchange, refusal: Refusal) -> Response:
        return (account if refusal.code in ACCOUNT_CODES else otherwise)(exchange, refusal)

    return refuse


def refuse_like_302(exchange: Exchange, refusal: Refusal) -> Response:
    """Return 302.AI's own error for a wrong key, and MiniMax's refusal for the rest."""
    if refusal.code not in (1004, 2049):
        return refuse_with_base_resp(exchange, refusal)
    error = {"err_code": -10006, "message": "This API key is not valid.", "type": "api_error"}
    return JSONResponse({"error": error}, 401)


def _bltcy_page(body: dict[str, Any]) -> Page:
    return BLTCY_FIRST_AND_LAST if "last_frame_image" in body else BLTCY_FIRST_FRAME


def _official(name: str) -> Platform:
    return Platform(ADDRESSES[name], v1_endpoints("", lambda body: EVERY_FIELD, backup=False), refuse_with_base_resp)


PLATFORMS = (
    _official("minimax"),
    _official("minimax-cn"),
    Platform(
        ADDRESSES["bltcy"],
        v1_endpoints("/minimax", _bltcy_page, backup=True),
        refuse_account_like_openai(refuse_with_base_resp),
    ),
    Platform(
        ADDRESSES["ai302"],
        v1_endpoints("/minimaxi", lambda body: EVERY_FIELD, backup=False),
        refuse_like_302,
    ),
)
