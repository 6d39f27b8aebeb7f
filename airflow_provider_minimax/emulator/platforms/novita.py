"""
Novita: a path and a set of field names for each model, one path for every result, errors by HTTP status.

H3 it sells in MiniMax's own shape: see ``minimax_v2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.contract import Page, read_order
from airflow_provider_minimax.emulator.exchange import Endpoint, Exchange, Handler, Platform
from airflow_provider_minimax.emulator.jobs import Job, Sight
from airflow_provider_minimax.emulator.refusals import Refusal, UnknownTask, message_for

COMMON = {"prompt": "prompt"}
EXPANSION = {"enable_prompt_expansion": "prompt_optimizer"}
HURRY = {"fast_pretreatment": "fast_pretreatment"}
SIZE = {"duration": "duration", "resolution": "resolution"}
OFFERED = frozenset({"768P", "1080P"})
HAILUO_02, HAILUO_23, HAILUO_23_FAST = "MiniMax-Hailuo-02", "MiniMax-Hailuo-2.3", "MiniMax-Hailuo-2.3-Fast"


def _image_page(model: str, options: dict[str, str]) -> Page:
    fields = {**COMMON, **SIZE, **options, "image": "first_frame_image"}
    return Page(fields, frozenset({"prompt", "image"}), frozenset({"first_frame"}), {"first_frame": model}, OFFERED)


PAGES = {
    # Fixed at 6 seconds and 720p, as MiniMax's first models are.
    "minimax-video-01": Page(
        {**COMMON, **EXPANSION, "image_url": "first_frame_image"},
        frozenset({"prompt"}),
        models={"text": "T2V-01", "first_frame": "I2V-01"},
    ),
    "minimax-hailuo-02": Page(
        {**COMMON, **SIZE, **EXPANSION, **HURRY, "image": "first_frame_image", "end_image": "last_frame_image"},
        frozenset({"prompt"}),
        models=dict.fromkeys(("text", "first_frame", "first_and_last_frame"), HAILUO_02),
        resolutions=OFFERED,
    ),
    "minimax-hailuo-2.3-t2v": Page(
        {**COMMON, **SIZE, **EXPANSION, **HURRY},
        frozenset({"prompt"}),
        models={"text": HAILUO_23},
        resolutions=OFFERED,
    ),
    "minimax-hailuo-2.3-i2v": _image_page(HAILUO_23, EXPANSION | HURRY),
    "minimax-hailuo-2.3-fast-i2v": _image_page(HAILUO_23_FAST, EXPANSION),
}

STATUSES = {
    "preparing": "TASK_STATUS_QUEUED",
    "queueing": "TASK_STATUS_QUEUED",
    "processing": "TASK_STATUS_PROCESSING",
    "success": "TASK_STATUS_SUCCEED",
    "failed": "TASK_STATUS_FAILED",
}


@dataclass(frozen=True)
class Complaint:
    """How Novita names a class of errors."""

    status: int
    reason: str


INVALID_REQUEST = Complaint(400, "INVALID_REQUEST_BODY")
TASK_NOT_FOUND = Complaint(400, "TASK_NOT_FOUND")
SERVER_ERROR = Complaint(500, "INTERNAL_SERVER_ERROR")
RATE_LIMIT = Complaint(429, "RATE_LIMIT_EXCEEDED")
COMPLAINTS = {
    1002: RATE_LIMIT,
    1004: Complaint(401, "INVALID_API_KEY"),
    1008: Complaint(403, "NOT_ENOUGH_BALANCE"),
    1026: Complaint(400, "SENSITIVE_CONTENT"),
    1039: RATE_LIMIT,
    1041: RATE_LIMIT,
    1042: INVALID_REQUEST,
    2013: INVALID_REQUEST,
    2045: RATE_LIMIT,
    2049: Complaint(401, "INVALID_API_KEY"),
    2056: Complaint(403, "QUOTA_EXCEEDED"),
    2061: Complaint(403, "MODEL_ACCESS_DENIED"),
}


def _submit_to(model: str) -> Handler:
    async def submit(exchange: Exchange) -> Response:
        body = await exchange.json_object()
        job = await exchange.buy(read_order(PAGES[model], body), body, shown_model=model)
        return JSONResponse({"task_id": job.task_id})

    return submit


async def query(exchange: Exchange) -> Response:
    """Show the task and what it made."""
    sight = exchange.world.poll(exchange.platform.name, exchange.parameter("task_id"))
    return JSONResponse(
        {
            "extra": {"debug_info": _debug_info(sight.job)},
            "task": _task(exchange, sight),
            "images": [],
            "videos": [_video(exchange, sight)] if sight.has_file else [],
            "audios": [],
        }
    )


def _debug_info(job: Job) -> dict[str, Any]:
    """Times are numbers of milliseconds, and 0 while they are not known: Novita's own client takes nothing else."""
    times = {"submit_time_ms": job.made_at, "execute_time_ms": job.started_at, "complete_time_ms": job.ended_at}
    return {"request_info": ""} | {name: round((time or 0) * 1000) for name, time in times.items()}


def _task(exchange: Exchange, sight: Sight) -> dict[str, Any]:
    job, statuses = sight.job, exchange.settings.statuses
    return {
        "task_id": job.task_id,
        "task_type": job.shown_model.upper().replace("-", "_"),
        "status": statuses.get(sight.state) or statuses.get("*") or STATUSES[sight.state],
        "reason": message_for(job.code) if sight.state == "failed" else "",
        "eta": 0 if sight.is_over else round(job.life.seconds),
        "progress_percent": round(sight.progress * 100),
    }


def _video(exchange: Exchange, sight: Sight) -> dict[str, Any]:
    life = exchange.settings.url_seconds
    return {
        "video_url": exchange.sign_link(sight.job),
        "video_url_ttl": life if exchange.settings.novita_ttl_as_number else str(life),
        "video_type": "mp4",
    }


def refuse(exchange: Exchange, refusal: Refusal) -> Response:
    """Novita's refusal: an HTTP status and a reason."""
    is_unknown = isinstance(refusal, UnknownTask)
    complaint = TASK_NOT_FOUND if is_unknown else COMPLAINTS.get(refusal.code, SERVER_ERROR)
    body = {"code": complaint.status, "reason": complaint.reason, "message": refusal.message, "metadata": {}}
    return JSONResponse(body, complaint.status)


PLATFORMS = (
    Platform(
        ADDRESSES["novita"],
        (
            *(Endpoint("POST", f"/v3/async/{model}", "submit", _submit_to(model)) for model in PAGES),
            Endpoint("GET", "/v3/async/task-result", "query", query),
        ),
        refuse,
    ),
)
