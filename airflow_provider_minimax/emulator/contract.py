"""Parses the body of a create request as strictly as the documentation allows.

A second, independent reading of the contract: it shares the catalogue's data with the provider, but no code. Each
platform describes its create endpoints as ``Page``; fields that a page does not name are refused.

Two words in a prompt trigger moderation: "forbidden" is refused at once with 1026 (input sensitive), and a job whose
prompt says "censored" runs and then fails with 1027 (output sensitive).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_minimax.api.catalogue_models import MODELS, OTHER_TASK_TYPES
from airflow_provider_minimax.api.catalogue_prices import PRICES, PRICES_PER_SECOND
from airflow_provider_minimax.emulator.clips import RATIOS, WIDE
from airflow_provider_minimax.emulator.refusals import Refusal, invalid

REFUSED_AT_ONCE = "forbidden"
REFUSED_AT_THE_END = "censored"

MODES = frozenset({"text", "first_frame", "first_and_last_frame", "subject_reference"})
OPTIONS = frozenset({"prompt_optimizer", "fast_pretreatment", "aigc_watermark", "callback_url"})
OFFICIAL_FIELDS = (
    frozenset(
        {"model", "prompt", "duration", "resolution", "first_frame_image", "last_frame_image", "subject_reference"}
    )
    | OPTIONS
)

SECONDS_OF_A_REFERENCE = 5
"""The assumed length of each reference video: its address is not fetched."""

IMAGE_LIMIT = 20 * 1024 * 1024
DATA_URL = re.compile(r"data:image/(?:jpeg|jpg|png|webp);base64,", re.ASCII)
WEB_URL = re.compile(r"https?://[^\s/]+\S*", re.ASCII)


@dataclass(frozen=True)
class Page:
    """The documentation of one create endpoint of a platform."""

    fields: Mapping[str, str]
    """Name on this page -> name in MiniMax's own contract."""
    required: frozenset[str] = frozenset()
    """Required names (of this page)."""
    modes: frozenset[str] = MODES
    models: Mapping[str, str] | None = None
    """Mode -> MiniMax's model, if the endpoint implies the model; None: the field ``model`` names it."""
    resolutions: frozenset[str] | None = None
    """The resolutions that the endpoint offers, if fewer than in the catalogue."""


@dataclass(frozen=True)
class Order:
    """What a request asks for, with defaults filled in."""

    model: str
    mode: str
    prompt: str
    resolution: str | None
    duration: int | None
    api: Literal["v1", "v2"] = "v1"
    task_type: Literal["generation", "h3_context_ir", "regeneration"] = "generation"
    ratio: str = ""
    """As the query shows it."""
    frame_ratio: str | None = None
    """The ratio of the picture or clip that the new one is made from, if its size is known."""
    images: int = 0
    videos: int = 0
    audios: int = 0

    @property
    def shape(self) -> str:
        """The ratio of the film that the clip shows."""
        return self.ratio if self.ratio in RATIOS else self.frame_ratio or WIDE

    @property
    def duration_in_all(self) -> int:
        """The length of the clip plus that of the reference videos, in seconds."""
        return (self.duration or 0) + self.videos * SECONDS_OF_A_REFERENCE


def own_names(*names: str) -> dict[str, str]:
    """Return fields that have the same names as in MiniMax's own contract."""
    return {name: name for name in names}


def list_price(order: Order) -> dict[str, float] | None:
    """Return MiniMax's list price for an order, if there is one."""
    for row in PRICES:
        if (order.resolution, order.duration) == (row["resolution"], row["duration"]) and order.model in row["models"]:
            return {"usd": float(row["usd"]), "cny": float(row["cny"])}
    if order.task_type == "regeneration":
        return {"usd": round(float(OTHER_TASK_TYPES["regeneration"]["usd"]) * (order.duration or 0), 4)}
    for row in PRICES_PER_SECOND:
        if order.task_type == "generation" and order.resolution == row["resolution"] and order.model in row["models"]:
            return _price_by_the_second(order, row)
    return None


def _price_by_the_second(order: Order, row: Mapping[str, Any]) -> dict[str, float]:
    seconds = order.duration_in_all
    pictures = max(order.images - row["free_images"], 0)
    return {
        currency: round(float(row[currency]) * seconds + float(row.get(f"image_{currency}", 0)) * pictures, 4)
        for currency in ("usd", "cny")
        if currency in row
    }


def read_order(page: Page, body: Mapping[str, object]) -> Order:
    """Return what a body orders on this page; raises Refusal if it breaks the contract."""
    fields = _in_official_names(page, body)
    for name, value in fields.items():
        if complaint := FIELD_CHECKS[name](value):
            raise invalid(f"{name}: {complaint}")
    mode = _mode(fields)
    if mode not in page.modes:
        raise invalid(f"this endpoint does not offer {mode}")
    model = str(fields.get("model", "")) if page.models is None else page.models.get(mode, "")
    entry = _catalogue_entry(model, mode)
    prompt = _prompt(fields, mode, MODELS[model]["prompt_limit"])
    for option in OPTIONS & fields.keys():
        if option not in entry["options"]:
            raise invalid(f"{option} is not supported by model {model} in mode {mode}")
    resolution, duration = _size(page, entry["resolutions"], fields, model)
    if REFUSED_AT_ONCE in prompt.lower():
        raise Refusal(1026)
    return Order(model, mode, prompt, resolution, duration)


def _in_official_names(page: Page, body: Mapping[str, object]) -> dict[str, Any]:
    for name in body:
        if name not in page.fields:
            raise invalid(f"unknown field {name!r}")
    for name in sorted(page.required):
        if name not in body:
            raise invalid(f"{name} is required")
    return {page.fields[name]: value for name, value in body.items()}


def _mode(fields: Mapping[str, object]) -> str:
    if "subject_reference" in fields:
        if "first_frame_image" in fields or "last_frame_image" in fields:
            raise invalid("subject_reference and frame images exclude each other")
        return "subject_reference"
    if "last_frame_image" in fields:
        return "first_and_last_frame"
    return "first_frame" if "first_frame_image" in fields else "text"


def _catalogue_entry(model: str, mode: str) -> dict[str, Any]:
    if model not in MODELS or MODELS[model].get("api", "v1") != "v1":
        raise invalid(f"model {model!r} is not supported")
    if mode not in MODELS[model]["modes"]:
        raise invalid(f"model {model} does not support {mode}")
    entry: dict[str, Any] = MODELS[model]["modes"][mode]
    return entry


def _prompt(fields: Mapping[str, Any], mode: str, limit: int) -> str:
    if "prompt" not in fields:
        if mode == "text":
            raise invalid("prompt is required")
        return ""
    prompt: str = fields["prompt"]
    if not prompt.strip():
        raise invalid("prompt is empty")
    if len(prompt) > limit:
        raise invalid(f"prompt is longer than {limit} characters")
    return prompt


def _size(
    page: Page, matrix: Mapping[str, list[int]], fields: Mapping[str, Any], model: str
) -> tuple[str | None, int | None]:
    if not matrix:
        for name in ("resolution", "duration"):
            if name in fields:
                raise invalid(f"model {model} does not support {name}")
        return None, None
    resolution = fields.get("resolution", next(iter(matrix)))
    # The page lists what may be requested; a model's default is allowed even if it is not on the list.
    offered = page.resolutions is None or "resolution" not in fields or resolution in page.resolutions
    if resolution not in matrix or not offered:
        raise invalid(f"model {model} does not support resolution {resolution}")
    duration = fields.get("duration", matrix[resolution][0])
    if duration not in matrix[resolution]:
        raise invalid(f"model {model} does not support resolution {resolution} with duration {duration}")
    return resolution, duration


def _wrong_text(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def _wrong_number(value: object) -> str | None:
    return None if isinstance(value, int) and not isinstance(value, bool) else "must be an integer"


def _wrong_flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be a boolean"


def _wrong_web_url(value: object) -> str | None:
    return None if isinstance(value, str) and WEB_URL.fullmatch(value) else "must be a public http(s) URL"


def _wrong_image(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if WEB_URL.fullmatch(value):
        return None
    start = DATA_URL.match(value)
    if start is None:
        return "must be a public URL or a data URL of a JPG, JPEG, PNG or WebP image"
    try:
        size = len(base64.b64decode(value[start.end() :], validate=True))
    except (binascii.Error, ValueError):
        return "is not valid base64"
    if not 0 < size < IMAGE_LIMIT:
        return "the image must be smaller than 20 MB and not empty"
    return None


def _wrong_subject(value: object) -> str | None:
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        return "must be an array of exactly one object"
    subject = value[0]
    if set(subject) != {"type", "image"} or subject["type"] != "character":
        return 'must be {"type": "character", "image": [...]}'
    if not isinstance(subject["image"], list) or len(subject["image"]) != 1:
        return "image must be an array of exactly one image"
    return _wrong_image(subject["image"][0])


FIELD_CHECKS: dict[str, Callable[[object], str | None]] = {
    "model": _wrong_text,
    "prompt": _wrong_text,
    "duration": _wrong_number,
    "resolution": _wrong_text,
    "first_frame_image": _wrong_image,
    "last_frame_image": _wrong_image,
    "subject_reference": _wrong_subject,
    "prompt_optimizer": _wrong_flag,
    "fast_pretreatment": _wrong_flag,
    "aigc_watermark": _wrong_flag,
    "callback_url": _wrong_web_url,
}
