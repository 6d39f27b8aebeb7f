"""MiniMax's second API, v2: the H3 models, errors by HTTP status, and jobs that can be listed, cancelled and deleted.

Each API knows its own jobs alone. A refusal carries its code in brackets at the end of its text. Novita and 302.AI
resell the create and the query, and nothing else of it, each with its own words for trouble with the account.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from starlette.responses import JSONResponse, Response

from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.callbacks import Update
from airflow_provider_minimax.emulator.contract import SECONDS_OF_A_REFERENCE, Order
from airflow_provider_minimax.emulator.contract_v2 import (
    LARGEST_BODY,
    MIB,
    read_context_ir,
    read_generation,
    read_regeneration,
)
from airflow_provider_minimax.emulator.exchange import Endpoint, Exchange, Platform
from airflow_provider_minimax.emulator.jobs import Job, Sight, peek, poll
from airflow_provider_minimax.emulator.platforms import novita
from airflow_provider_minimax.emulator.platforms.official import account_errors_by, refuse_like_302
from airflow_provider_minimax.emulator.refusals import Refusal, Saturated, UnknownTask, invalid, message_for

STATUSES = {
    "preparing": "queued",
    "queueing": "queued",
    "processing": "running",
    "success": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
TASK_TYPES = ("generation", "h3_context_ir", "regeneration")
USUAL_PAGE_SIZE = 20

BAD_REQUEST = (400, "bad_request_error")
UNAUTHORISED = (401, "authorized_error")
SENSITIVE = (422, "unprocessable_entity_error")
RATE_LIMIT = (429, "rate_limit_error")
SERVER_ERROR = (500, "server_error")
OVERLOADED = 2064
COMPLAINTS = {
    1002: RATE_LIMIT,
    1004: UNAUTHORISED,
    1008: (402, "insufficient_balance_error"),
    1026: SENSITIVE,
    1027: SENSITIVE,
    1039: RATE_LIMIT,
    1041: RATE_LIMIT,
    1042: BAD_REQUEST,
    2013: BAD_REQUEST,
    2038: BAD_REQUEST,
    2045: RATE_LIMIT,
    2049: UNAUTHORISED,
    2056: RATE_LIMIT,
    2061: BAD_REQUEST,
    OVERLOADED: (529, "overloaded_error"),
}
MESSAGES = {
    1000: "internal error",
    1002: "rate limit, please retry later",
    1026: "video description contains sensitive content",
}

# In the proportions of the example on the query's page.
TOKENS_OF_A_SECOND = 52_078
TOKENS_OF_AN_INPUT = 1_929
CONTEXT_IR_USAGE = {"total_tokens": 9_090, "prompt_tokens": 5_664, "completion_tokens": 3_426}


async def generate(exchange: Exchange) -> Response:
    """Make a job that ends in a clip."""
    body = await _body(exchange)
    return await _made(exchange, read_generation(body, exchange.kind_of_file), body)


async def rewrite_prompt(exchange: Exchange) -> Response:
    """Make a job that ends in a longer prompt."""
    body = await _body(exchange)
    return await _made(exchange, read_context_ir(body, exchange.kind_of_file), body)


async def regenerate(exchange: Exchange) -> Response:
    """Make a job that ends in the clip of another, enlarged."""

    def order_of(task_id: str) -> Order:
        job = _job(exchange, task_id)
        if job.state() != "success":
            raise invalid("source_task_id: the task has not succeeded")
        return job.order

    body = await _body(exchange)
    return await _made(exchange, read_regeneration(body, exchange.kind_of_file, order_of), body)


async def query(exchange: Exchange) -> Response:
    """Show one job."""
    sight = poll(_job(exchange, exchange.request.path_params["task_id"]), exchange.settings)
    return JSONResponse(_shown(exchange, sight))


async def list_jobs(exchange: Exchange) -> Response:
    """Show the jobs of the last seven days, newest first, filtered and in pages."""
    parameters = exchange.request.query_params
    number, size = _count(exchange, "page_num", 1), _count(exchange, "page_size", USUAL_PAGE_SIZE)
    status = _one_of(exchange, "filter.status", tuple(STATUSES.values()))
    task_type = _one_of(exchange, "filter.task_type", TASK_TYPES)
    task_ids, model = parameters.getlist("filter.task_ids"), parameters.get("filter.model")
    found = [
        job
        for job in reversed(exchange.world.jobs.values())
        if _is_known(exchange, job)
        and job.made_at <= time.time() - exchange.settings.v2_list_lag_seconds
        and status in (None, STATUSES[job.state()])
        and task_type in (None, job.order.task_type)
        and model in (None, job.order.model)
        and (not task_ids or job.task_id in task_ids)
    ]
    page = found[(number - 1) * size : number * size]
    items = [_task(exchange, peek(job, exchange.settings)) for job in page]
    return JSONResponse({"items": items, "total": len(found)})


async def remove(exchange: Exchange) -> Response:
    """Cancel a job that is queued, or delete the record of one that succeeded or failed."""
    job = _job(exchange, exchange.request.path_params["task_id"])
    if (state := job.state()) in ("processing", "cancelled"):
        raise invalid(f"task is {STATUSES[state]} and can be neither cancelled nor deleted")
    action = exchange.world.remove(job)
    return JSONResponse({"task_id": job.task_id, "action": action, "status": action})


async def _body(exchange: Exchange) -> dict[str, Any]:
    if len(await exchange.request.body()) > LARGEST_BODY:
        raise invalid(f"the body is larger than {LARGEST_BODY // MIB} MB")
    return await exchange.json_object()


async def _made(exchange: Exchange, order: Order, body: dict[str, Any]) -> Response:
    job = await exchange.buy(order, body, callback_url=body.get("callback_url"), update=_update)
    return JSONResponse({"task_id": job.task_id})


def _update(exchange: Exchange, sight: Sight) -> Update:
    return STATUSES[sight.state], _shown(exchange, sight)


def _shown(exchange: Exchange, sight: Sight) -> dict[str, Any]:
    return {"task": {**_task(exchange, sight), "modality": _modality(sight.job)}}


def _is_own(exchange: Exchange, job: Job) -> bool:
    return (job.platform, job.order.api) == (exchange.platform.name, "v2")


def _is_known(exchange: Exchange, job: Job) -> bool:
    is_old = job.made_at <= time.time() - exchange.settings.v2_window_seconds
    return _is_own(exchange, job) and not job.deleted and not is_old


def _job(exchange: Exchange, task_id: str) -> Job:
    job = exchange.world.job_of(exchange.platform.name, task_id, "v2")
    if not _is_known(exchange, job):
        raise UnknownTask("task_id")
    return job


def _task(exchange: Exchange, sight: Sight) -> dict[str, Any]:
    job, order, statuses = sight.job, sight.job.order, exchange.settings.statuses
    task: dict[str, Any] = {
        "id": job.task_id,
        "model": order.model,
        "status": statuses.get(sight.state) or statuses.get("*") or STATUSES[sight.state],
    }
    if sight.state == "failed":
        task["error"] = {"code": str(job.code), "message": MESSAGES.get(job.code, message_for(job.code))}
    task |= {"created_at": int(job.made_at), "updated_at": int(job.changed_at)}
    if sight.has_file:
        task["content"] = _result(exchange, job)
    if order.resolution is not None:
        task["resolution"] = order.resolution
    return task | {
        "duration": order.duration,
        "usage": _usage(order) if sight.state == "success" else {},
        "ratio": order.ratio,
        "task_type": order.task_type,
    }


def _result(exchange: Exchange, job: Job) -> dict[str, str]:
    if _modality(job) == "video":
        return {"url": exchange.sign_link(job)}
    shot = f"integrated_multimodal_description: [Shot 1] {job.order.prompt}"
    return {"prompt": f"{shot}\noverall_soundscape: Wind over hills.\nnon_diegetic_music: N/A"}


def _modality(job: Job) -> str:
    return "text" if job.order.task_type == "h3_context_ir" else "video"


def _usage(order: Order) -> dict[str, int]:
    if order.task_type == "h3_context_ir":
        return CONTEXT_IR_USAGE
    made, sent = order.duration or 0, order.videos * SECONDS_OF_A_REFERENCE
    heard = order.audios * SECONDS_OF_A_REFERENCE
    prompt_tokens = TOKENS_OF_AN_INPUT * (sent + order.images + heard)
    completion_tokens = TOKENS_OF_A_SECOND * made
    usage = {
        "total_seconds": sent + made,
        "input_seconds": sent,
        "output_seconds": made,
        "input_image_count": order.images,
    }
    if order.audios:
        usage["input_audio_seconds"] = heard
    return usage | {
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
    }


def _count(exchange: Exchange, name: str, usual: int) -> int:
    text = exchange.request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise invalid(f"{name}: must be an integer from 1")
    return int(text)


def _one_of(exchange: Exchange, name: str, allowed: tuple[str, ...]) -> str | None:
    value = exchange.request.query_params.get(name)
    if value is not None and value not in allowed:
        raise invalid(f"{name}: must be one of {', '.join(dict.fromkeys(allowed))}")
    return value


def _refuse(exchange: Exchange, refusal: Refusal) -> Response:
    code = OVERLOADED if isinstance(refusal, Saturated) else refusal.code
    status, kind = COMPLAINTS.get(code, SERVER_ERROR)
    error = {"type": kind, "message": f"{_message(refusal, code)} ({code})", "http_code": str(status)}
    return JSONResponse({"type": "error", "error": error, "request_id": secrets.token_hex(16)}, status)


def _message(refusal: Refusal, code: int) -> str:
    if isinstance(refusal, UnknownTask):
        return "invalid params, invalid task_id"
    is_usual = isinstance(refusal, Saturated) or refusal.message == message_for(code)
    return MESSAGES.get(code, message_for(code)) if is_usual else refusal.message


def _resold_below(prefix: str) -> tuple[Endpoint, ...]:
    """What gateways sell of this API."""
    return (
        Endpoint("POST", f"{prefix}/v2/video_generation", "submit", generate),
        Endpoint("GET", f"{prefix}/v2/query/video_generation/{{task_id}}", "query", query),
    )


ENDPOINTS = (
    Endpoint("POST", "/v2/video_generation", "submit", generate),
    Endpoint("POST", "/v2/h3_context_ir", "submit", rewrite_prompt),
    Endpoint("POST", "/v2/video_regeneration", "submit", regenerate),
    Endpoint("GET", "/v2/query/video_generation", "list", list_jobs),
    Endpoint("GET", "/v2/query/video_generation/{task_id}", "query", query),
    Endpoint("DELETE", "/v2/video_generation/{task_id}", "cancel", remove),
)

PLATFORMS = (
    *(Platform(ADDRESSES[name], ENDPOINTS, _refuse) for name in ("minimax", "minimax-cn")),
    Platform(ADDRESSES["novita"], _resold_below("/v3/minimax"), account_errors_by(novita.refuse, otherwise=_refuse)),
    Platform(ADDRESSES["ai302"], _resold_below("/minimaxi"), account_errors_by(refuse_like_302, otherwise=_refuse)),
)
