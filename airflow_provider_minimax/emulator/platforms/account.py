"""MiniMax's endpoints for an account: uploaded files, its balance, and what is left of its plan.

Refusals are worded as in v1, except that an unusable file is HTTP 400.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response

from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.contract_v2 import LARGEST_FILES, MIB, FileKind
from airflow_provider_minimax.emulator.exchange import Endpoint, Exchange, Platform
from airflow_provider_minimax.emulator.platforms.official import base_resp, reply
from airflow_provider_minimax.emulator.refusals import Refusal, UnknownTask, invalid
from airflow_provider_minimax.emulator.world import Upload

PURPOSE = "video_generation_input"
KINDS: dict[str, FileKind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"), "image"),
    **dict.fromkeys((".mp4", ".mov"), "video"),
    **dict.fromkeys((".wav", ".mp3"), "audio"),
}
BOTTOMLESS = 1000.0


async def upload(exchange: Exchange) -> Response:
    """Store a file, which requests then name as ``mm_file://{file_id}``."""
    async with exchange.request.form() as form:
        purpose, file = form.get("purpose"), form.get("file")
        if purpose != PURPOSE:
            raise invalid(f"purpose must be {PURPOSE}")
        if not isinstance(file, UploadFile):
            raise invalid("file is required")
        filename, content = file.filename or "", await file.read()
    kind = KINDS.get(PurePath(filename).suffix.lower())
    if kind is None:
        raise invalid(f"file {filename!r}: must be one of {', '.join(KINDS)}")
    if not 0 < len(content) <= LARGEST_FILES[kind]:
        raise invalid(f"file: must not be larger than {LARGEST_FILES[kind] // MIB} MB and not empty")
    stored = exchange.world.store(exchange.platform.name, filename, kind, content)
    return reply({"file": _described(stored), "base_resp": base_resp()})


async def list_files(exchange: Exchange) -> Response:
    """List the uploads with a purpose; inputs of clips are the only purpose here."""
    purpose = exchange.parameter("purpose")
    uploads = exchange.world.uploads_of(exchange.platform.name) if purpose == PURPOSE else []
    return reply({"files": [_described(upload) for upload in uploads], "base_resp": base_resp()})


async def delete_file(exchange: Exchange) -> Response:
    """Delete an upload; requests can no longer name it."""
    body = await exchange.json_object()
    file_id, purpose = body.get("file_id"), body.get("purpose")
    if not isinstance(file_id, int) or isinstance(file_id, bool):
        raise invalid("file_id must be an integer")
    if purpose != PURPOSE:
        raise invalid(f"purpose must be {PURPOSE}")
    own = {upload.file_id for upload in exchange.world.uploads_of(exchange.platform.name)}
    if str(file_id) not in own:
        raise UnknownTask(f"file_id {file_id}")
    del exchange.world.uploads[str(file_id)]
    return reply({"file_id": file_id, "base_resp": base_resp()})


def _described(upload: Upload) -> dict[str, Any]:
    return {
        "file_id": int(upload.file_id),
        "bytes": upload.bytes,
        "created_at": int(upload.time),
        "filename": upload.filename,
        "purpose": PURPOSE,
    }


async def balance(exchange: Exchange) -> Response:
    """Show the balance of a pay-as-you-go key."""
    left = exchange.world.balance_left(exchange.platform.name)
    amount = f"{BOTTOMLESS if left is None else left:.2f}"
    return reply(
        {
            "available_amount": amount,
            "cash_balance": amount,
            "voucher_balance": "0.00",
            "credit_balance": "0.00",
            "owed_amount": "0.00",
            "balance_alert_switch": False,
            "balance_alert_threshold": "",
            "base_resp": base_resp(),
        }
    )


async def plan_remains(exchange: Exchange) -> Response:
    """Show what is left of a plan: nothing, because the keys here have none."""
    body: dict[str, Any] = {"model_remains": [], "base_resp": base_resp()}
    return reply(body)


def _refuse(exchange: Exchange, refusal: Refusal) -> Response:
    is_bad_file = refusal.code == 2013 and exchange.request.url.path.endswith("/upload")
    return reply({"base_resp": base_resp(refusal.code, refusal.message)}, 400 if is_bad_file else 200)


ENDPOINTS = (
    Endpoint("POST", "/v1/files/upload", "upload", upload),
    Endpoint("GET", "/v1/files/list", "upload", list_files),
    Endpoint("POST", "/v1/files/delete", "upload", delete_file),
    Endpoint("GET", "/account/query_balance", "account", balance),
    Endpoint("GET", "/v1/token_plan/remains", "account", plan_remains),
)

PLATFORMS = tuple(Platform(ADDRESSES[name], ENDPOINTS, _refuse) for name in ("minimax", "minimax-cn"))
