"""Vtrix: one path for every model, parameters wrapped in ``input``, results in an array of arrays.

Its error codes begin with a zero, so they are text; its documents call them integers, which the settings can play too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.responses import JSONResponse, Response

from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.callbacks import Update
from airflow_provider_minimax.emulator.contract import Page, list_price, own_names, read_order
from airflow_provider_minimax.emulator.exchange import Endpoint, Exchange, Platform
from airflow_provider_minimax.emulator.jobs import Job, Sight
from airflow_provider_minimax.emulator.refusals import Refusal, UnknownTask, invalid, message_for
from airflow_provider_minimax.emulator.settings import Settings

PARAMETERS = ("prompt", "duration", "resolution", "prompt_optimizer", "callback_url", "aigc_watermark")


def _text_page(model: str) -> Page:
    return Page(own_names(*PARAMETERS), frozenset({"prompt"}), frozenset({"text"}), {"text": model})


def _image_page(model: str) -> Page:
    fields = own_names("first_frame_image", *PARAMETERS)
    return Page(fields, frozenset({"first_frame_image"}), frozenset({"first_frame"}), {"first_frame": model})


def _hailuo_02_i2v_page() -> Page:
    fields = own_names("first_frame_image", "last_frame_image", "fast_pretreatment", *PARAMETERS)
    models = dict.fromkeys(("first_frame", "first_and_last_frame"), "MiniMax-Hailuo-02")
    return Page(fields, frozenset({"first_frame_image"}), frozenset(models), models)


def _hailuo(page: Page) -> Page:
    return replace(page, fields={**page.fields, **own_names("fast_pretreatment")})


PAGES = {
    "minimax_t2v_01": _text_page("T2V-01"),
    "minimax_t2v_01_director": _text_page("T2V-01-Director"),
    "minimax_i2v_01": _image_page("I2V-01"),
    "minimax_i2v_01_director": _image_page("I2V-01-Director"),
    "minimax_i2v_01_live": _image_page("I2V-01-live"),
    "minimax_hailuo_02": _hailuo(_text_page("MiniMax-Hailuo-02")),
    "minimax_hailuo_02_i2v": _hailuo_02_i2v_page(),
    "minimax_hailuo_23_i2v": _hailuo(_image_page("MiniMax-Hailuo-2.3")),
    "minimax_hailuo_23_fast_i2v": _hailuo(_image_page("MiniMax-Hailuo-2.3-Fast")),
}

STATUSES = {
    "preparing": "in_progress",
    "queueing": "in_progress",
    "processing": "in_progress",
    "success": "completed",
    "failed": "failed",
}

HTTP_STATUSES = {1004: 401, 2049: 401, 1008: 403, 2056: 403, 2061: 403, 1002: 429, 1039: 429, 1041: 429, 2045: 429}
HTTP_STATUSES |= {2013: 400, 1026: 400, 1042: 400}

INTERNAL_ERROR = "010006095"
TASK_CREATION_ERROR = "010006099"


async def submit(exchange: Exchange) -> Response:
    """Make a job."""
    body = await exchange.json_object()
    model, parameters = _unwrapped(body, exchange.settings)
    if model not in PAGES:
        raise invalid(f"model {model!r} is not supported")
    job = await exchange.buy(
        read_order(PAGES[model], parameters),
        body,
        shown_model=model,
        callback_url=parameters.get("callback_url"),
        update=_update,
    )
    return JSONResponse(
        {"id": job.task_id, "created_at": int(job.made_at), "status": "in_progress", "model": model, "error": None}
    )


def _update(exchange: Exchange, sight: Sight) -> Update:
    # What Vtrix sends is not written anywhere; MiniMax sends what its query shows.
    return STATUSES[sight.state], _task(exchange, sight)


def _unwrapped(body: dict[str, Any], settings: Settings) -> tuple[str, dict[str, Any]]:
    model = body.get("model")
    if not isinstance(model, str):
        raise invalid("model is required")
    rest = {name: value for name, value in body.items() if name != "model"}
    if "input" not in rest and settings.vtrix_flat_body:
        return model, rest
    match rest:
        case {"input": [{"params": dict(parameters), **beside}], **above} if not beside and not above:
            return model, parameters
    raise invalid('the body must be {"model": ..., "input": [{"params": {...}}]}')


async def query(exchange: Exchange) -> Response:
    """Show the task."""
    sight = exchange.world.poll(exchange.platform.name, exchange.request.path_params["task_id"])
    return JSONResponse(_task(exchange, sight))


def _task(exchange: Exchange, sight: Sight) -> dict[str, Any]:
    job, settings = sight.job, exchange.settings
    body: dict[str, Any] = {
        "id": job.task_id,
        "status": settings.statuses.get(sight.state) or settings.statuses.get("*") or STATUSES[sight.state],
        "progress": sight.progress,
        "created_at": int(job.made_at),
        "model": job.shown_model,
        "error": None,
    }
    if sight.state == "failed":
        message = f"internal generation error: {message_for(job.code)} ({job.code})"
        body["error"] = _error(INTERNAL_ERROR, message, settings)
    if sight.state == "success":
        body["output"] = [{"content": [resource]} for resource in _resources(exchange, job)] if sight.has_file else []
        body["usage"] = {"cost": _cost(job, settings), "discount": 1}
        body["metadata"] = {"completed_at": int(job.ended_at or 0), "in_queue_at": int(job.made_at), "upload_at": 0}
    return body


def _resources(exchange: Exchange, job: Job) -> list[dict[str, Any]]:
    wanted = exchange.settings.vtrix_output
    url = exchange.sign_link(job)
    clip = {
        "type": "video_url" if wanted == "video_url" else "video",
        "url": url,
        "jobId": job.task_id,
        "duration": job.order.duration,
    }
    cover = {"type": "image", "url": url.partition("?")[0].replace("output_aigc.mp4", "cover.jpg")}
    return [cover, clip] if wanted == "cover_first" else [clip]


def _cost(job: Job, settings: Settings) -> str | float:
    price = (list_price(job.order) or {"usd": 0.30})["usd"]
    shapes: dict[str, str | float] = {"string": f"{price:.2f}", "number": price, "empty": ""}
    return shapes[settings.vtrix_cost]


def _error(code: str, message: str, settings: Settings) -> object:
    match settings.vtrix_error:
        case "object":
            return {"code": code, "error_message": message}
        case "message":
            return {"code": code, "message": message}
        case "integer":
            return {"code": int(code), "error_message": message}
        case "string":
            return f"{code}: {message}"


def _refuse(exchange: Exchange, refusal: Refusal) -> Response:
    status = 404 if isinstance(refusal, UnknownTask) else HTTP_STATUSES.get(refusal.code, 500)
    code = TASK_CREATION_ERROR if exchange.request.method == "POST" and status in (400, 500) else str(status)
    return JSONResponse({"error": _error(code, refusal.message, exchange.settings)}, status)


PLATFORMS = (
    Platform(
        ADDRESSES["vtrix"],
        (
            Endpoint("POST", "/model/v1/generation", "submit", submit),
            Endpoint("GET", "/model/v1/generation/task/{task_id}", "query", query),
        ),
        _refuse,
    ),
)
