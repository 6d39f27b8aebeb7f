"""What MiniMax has for an account besides clips: a place for files to send, its balance, and what its plan leaves.

Refused in the words of v1, except that a file which cannot be used is HTTP 400.
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
from airflow_provider_minimax.emulator.refusals import Refusal, invalid

PURPOSE = "video_generation_input"
KINDS: dict[str, FileKind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"), "image"),
    **dict.fromkeys((".mp4", ".mov"), "video"),
    **dict.fromkeys((".wav", ".mp3"), "audio"),
}
BOTTOMLESS = 1000.0


async def upload(exchange: Exchange) -> Response:
    """Take a file, which orders then name as ``mm_file://{file_id}``."""
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
    described = {
        "file_id": int(stored.file_id),
        "bytes": stored.bytes,
        "created_at": int(stored.time),
        "filename": filename,
        "purpose": PURPOSE,
    }
    return reply({"file": described, "base_resp": base_resp()})


async def balance(exchange: Exchange) -> Response:
    """What a key that pays as it goes has left."""
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
    """What a plan has left: nothing, because the keys here have none."""
    body: dict[str, Any] = {"model_remains": [], "base_resp": base_resp()}
    return reply(body)


def _refuse(exchange: Exchange, refusal: Refusal) -> Response:
    is_bad_file = refusal.code == 2013 and exchange.request.method == "POST"
    return reply({"base_resp": base_resp(refusal.code, refusal.message)}, 400 if is_bad_file else 200)


ENDPOINTS = (
    Endpoint("POST", "/v1/files/upload", "upload", upload),
    Endpoint("GET", "/account/query_balance", "account", balance),
    Endpoint("GET", "/v1/token_plan/remains", "account", plan_remains),
)

PLATFORMS = tuple(Platform(ADDRESSES[name], ENDPOINTS, _refuse) for name in ("minimax", "minimax-cn"))
