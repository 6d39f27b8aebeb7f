"""ChainHub, a gateway of the "new-api" kind: MiniMax's paths, a wrapper around the query, and its own traps.

Two statuses at once, ``fail_reason`` that holds the file id of a success, an inner reply that is null before the work
starts, and a ``code`` that is a string in the query and a number in the submit.
"""

from __future__ import annotations

import secrets
from typing import Any

from starlette.responses import JSONResponse, Response

from airflow_provider_minimax.api.catalogue_models import MODELS
from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.contract import Page, own_names, read_order
from airflow_provider_minimax.emulator.exchange import Endpoint, Exchange, Platform
from airflow_provider_minimax.emulator.jobs import Sight
from airflow_provider_minimax.emulator.platforms.official import (
    base_resp,
    file_endpoint,
    file_object,
    query_body,
    refuse_account_like_openai,
    refuse_with_base_resp,
    reply,
)
from airflow_provider_minimax.emulator.refusals import NoChannel, Refusal, Saturated, UnknownTask, message_for

PAGE = Page(
    fields=own_names("model", "prompt", "duration", "first_frame_image", "resolution", "prompt_optimizer"),
    required=frozenset({"model", "prompt", "duration"}),
    modes=frozenset({"text", "first_frame"}),
)
OUTER_STATUSES = {
    "preparing": "NOT_START",
    "queueing": "QUEUED",
    "processing": "IN_PROGRESS",
    "success": "SUCCESS",
    "failed": "FAILURE",
}


async def submit(exchange: Exchange) -> Response:
    """Make a job; the answer is MiniMax's own or the gateway's, as the settings say."""
    body = await exchange.json_object()
    model = body.get("model")
    if isinstance(model, str) and model not in MODELS:
        raise NoChannel(model)
    job = await exchange.buy(read_order(PAGE, body), body)
    if exchange.settings.chainhub_submit == "plain":
        return reply({"task_id": job.task_id, "base_resp": base_resp()})
    made_at = int(job.made_at)
    data = {"task_id": job.task_id, "task_status": "SUBMITTED", "created_at": made_at, "updated_at": made_at}
    return JSONResponse({"code": 0, "message": "success", "request_id": secrets.token_hex(12), "data": data})


async def query(exchange: Exchange) -> Response:
    """The gateway's record of the task around MiniMax's reply."""
    sight = exchange.world.poll(exchange.platform.name, exchange.parameter("task_id"))
    return JSONResponse({"code": "success", "message": "", "data": _record(exchange, sight)})


def _record(exchange: Exchange, sight: Sight) -> dict[str, Any]:
    job, inner = sight.job, _inner(exchange, sight)
    statuses = exchange.settings.statuses
    own_word = statuses.get(sight.state) or statuses.get("*") if inner is None else None
    return {
        "task_id": job.task_id,
        "action": "video_generation",
        "status": own_word or OUTER_STATUSES[sight.state],
        "fail_reason": _fail_reason(sight),
        "submit_time": int(job.made_at),
        "start_time": 0,
        "finish_time": int(job.ended_at or 0),
        "progress": f"{round(sight.progress * 100)}%",
        "data": inner,
    }


def _inner(exchange: Exchange, sight: Sight) -> dict[str, Any] | None:
    if sight.state == "preparing":
        return None
    body = query_body(sight, exchange.settings)
    if sight.has_file and exchange.settings.chainhub_file_inline:
        body["file"] = file_object(exchange, sight.job, backup=True)
    return body


def _fail_reason(sight: Sight) -> str:
    if sight.state == "failed":
        return message_for(sight.job.code)
    return sight.job.file_id if sight.has_file else ""


def _refuse(exchange: Exchange, refusal: Refusal) -> Response:
    match refusal:
        case NoChannel():
            return _gateway_error(503, refusal.message, "model_not_found")
        case Saturated():
            return _gateway_error(429, refusal.message, "upstream_saturated")
        case UnknownTask() if exchange.request.url.path.endswith("/query/video_generation"):
            return JSONResponse({"code": "task_not_exist", "message": "task_not_exist", "data": None}, 400)
    if exchange.request.method == "POST" and exchange.settings.chainhub_submit == "wrapped":
        envelope = {"code": refusal.code, "message": refusal.message, "request_id": secrets.token_hex(12), "data": None}
        return JSONResponse(envelope)
    return refuse_with_base_resp(exchange, refusal)


def _gateway_error(status: int, text: str, code: str) -> Response:
    message = f"{text} (request id: {secrets.token_hex(12)})"
    return JSONResponse({"error": {"message": message, "type": "new_api_error", "code": code}}, status)


PLATFORMS = (
    Platform(
        ADDRESSES["chainhub"],
        (
            Endpoint("POST", "/minimax/v1/video_generation", "submit", submit),
            Endpoint("GET", "/minimax/v1/query/video_generation", "query", query),
            file_endpoint("/minimax", backup=True),
        ),
        refuse_account_like_openai(_refuse),
    ),
)
