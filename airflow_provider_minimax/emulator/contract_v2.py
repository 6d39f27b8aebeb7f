"""Reads the bodies of MiniMax's second API, v2, and says what was ordered.

Like ``contract``, it refuses whatever the pages do not name. Files behind public addresses are not fetched, and those
that come with the request are measured in bytes alone: pixels and seconds of what is sent are not looked at.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_minimax.emulator.contract import FIELD_CHECKS, REFUSED_AT_ONCE, WEB_URL, Order
from airflow_provider_minimax.emulator.refusals import Refusal, invalid

MIB = 1024 * 1024
LARGEST_BODY = 64 * MIB
LONGEST_TEXT = 7000
MOST_FILES = 12

ADAPTIVE = "adaptive"
RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
EXPANSION_MODES = ("disabled", "balanced", "quality")

CREATE_FIELDS = frozenset(
    {"model", "content", "resolution", "duration", "ratio", "extra", "callback_url", "aigc_watermark"}
)
CONTEXT_IR_FIELDS = frozenset({"model", "content", "duration", "ratio", "callback_url"})
REGENERATION_FIELDS = frozenset({"model", "source_task_id", "content", "resolution", "callback_url", "aigc_watermark"})

FileKind = Literal["image", "video", "audio"]
DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.ASCII)
MM_FILE = re.compile(r"mm_file://(\d+)", re.ASCII)

FORMATS: dict[FileKind, frozenset[str]] = {
    "image": frozenset(f"image/{name}" for name in ("jpg", "jpeg", "png", "webp", "heic", "heif")),
    "video": frozenset({"video/mp4", "video/mov", "video/quicktime"}),
    "audio": frozenset({"audio/wav", "audio/x-wav", "audio/mp3", "audio/mpeg"}),
}
LARGEST_FILES: dict[FileKind, int] = {"image": 30 * MIB, "video": 50 * MIB, "audio": 15 * MIB}
KINDS: dict[str, FileKind] = {"image_url": "image", "video_url": "video", "audio_url": "audio"}

FRAMES = frozenset({"first_frame", "last_frame"})
MOST_OF_ROLE = {"first_frame": 1, "last_frame": 1, "reference_image": 9, "reference_video": 3, "reference_audio": 3}
KIND_OF_ROLE: dict[str, FileKind] = {
    "first_frame": "image",
    "last_frame": "image",
    "reference_image": "image",
    "reference_video": "video",
    "reference_audio": "audio",
    "base_video": "video",
}

KindOfFile = Callable[[str], FileKind | None]
"""What the account has under a file id."""


@dataclass(frozen=True)
class Model:
    """What one model of v2 sells."""

    resolutions: tuple[str, ...]
    durations: range
    takes_extra: bool = False
    reference_needs_ratio: bool = False


H3 = "MiniMax-H3"
MODELS = {
    H3: Model(("768P", "2K"), range(4, 16)),
    "MiniMax-H3-Max": Model(("480P", "768P"), range(5, 16), takes_extra=True),
    "MiniMax-H3-Highspeed": Model(("768P",), range(4, 16)),
    "MiniMax-H3-Lite": Model(("480P", "768P"), range(4, 16), reference_needs_ratio=True),
}


@dataclass(frozen=True)
class Content:
    """What a content array says."""

    text: str
    roles: Counter[str]

    @property
    def mode(self) -> str:
        """The scene that the roles make."""
        if not self.roles:
            return "text"
        if not FRAMES & self.roles.keys():
            return "reference"
        return "first_and_last_frame" if "last_frame" in self.roles else "first_frame"

    def count(self, kind: FileKind) -> int:
        """How many files of this kind there are."""
        return sum(number for role, number in self.roles.items() if KIND_OF_ROLE[role] == kind)


def read_generation(body: Mapping[str, Any], kind_of_file: KindOfFile) -> Order:
    """What a body of ``/v2/video_generation`` orders; raises a Refusal where the contract is broken."""
    _check_fields(body, CREATE_FIELDS, ("model", "content", "resolution", "duration"))
    name = body["model"]
    if name not in MODELS:
        raise invalid(f"model {name!r} is not supported")
    model = MODELS[name]
    content = _content(body["content"], kind_of_file)
    if body["resolution"] not in model.resolutions:
        raise invalid(f"model {name} does not support resolution {body['resolution']}")
    _check_duration(name, model, body["duration"])
    if "extra" in body:
        _check_extra(name, model, body["extra"])
    ratio = _ratio(model, content, body.get("ratio"))
    return _order(name, content, body, ratio, resolution=body["resolution"])


def read_context_ir(body: Mapping[str, Any], kind_of_file: KindOfFile) -> Order:
    """What a body of ``/v2/h3_context_ir`` orders: a better prompt, and no clip."""
    _check_fields(body, CONTEXT_IR_FIELDS, ("model", "content", "duration"))
    _check_is_h3(body["model"])
    content = _content(body["content"], kind_of_file)
    _check_duration(H3, MODELS[H3], body["duration"])
    ratio = _ratio(MODELS[H3], content, body.get("ratio"))
    return _order(H3, content, body, ratio, task_type="h3_context_ir")


def read_regeneration(
    body: Mapping[str, Any], kind_of_file: KindOfFile, order_of: Callable[[str], Order], unmeasured: int
) -> Order:
    """What a body of ``/v2/video_regeneration`` orders: a clip of 768P made anew in 2K.

    ``order_of`` tells what a task that succeeded was; a clip that was not made here counts as ``unmeasured`` seconds.
    """
    _check_fields(body, REGENERATION_FIELDS, ("model", "resolution"))
    _check_is_h3(body["model"])
    if body["resolution"] != "2K":
        raise invalid(f"video regeneration does not support resolution {body['resolution']}")
    if ("source_task_id" in body) == ("content" in body):
        raise invalid("exactly one of source_task_id and content is required")
    if "content" in body:
        _check_base_video(body["content"], kind_of_file)
        return Order(H3, "base_video", "", "2K", unmeasured, "v2", "regeneration")
    source = order_of(body["source_task_id"])
    if (source.model, source.resolution, source.task_type) != (H3, "768P", "generation"):
        raise invalid(f"source_task_id: only a generation of {H3} in 768P can be regenerated")
    return Order(H3, "source_task", source.prompt, "2K", source.duration, "v2", "regeneration")


def _order(
    model: str,
    content: Content,
    body: Mapping[str, Any],
    ratio: str,
    *,
    resolution: str | None = None,
    task_type: Literal["generation", "h3_context_ir"] = "generation",
) -> Order:
    if REFUSED_AT_ONCE in content.text.lower():
        raise Refusal(1026)
    return Order(
        model,
        content.mode,
        content.text,
        resolution,
        body["duration"],
        "v2",
        task_type,
        ratio,
        images=content.count("image"),
        videos=content.count("video"),
        audios=content.count("audio"),
    )


def _check_fields(body: Mapping[str, Any], known: frozenset[str], required: tuple[str, ...]) -> None:
    for name in body:
        if name not in known:
            raise invalid(f"unknown field {name!r}")
    for name in required:
        if name not in body:
            raise invalid(f"{name} is required")
    for name in sorted(body.keys() & FIELD_CHECKS.keys()):
        if complaint := FIELD_CHECKS[name](body[name]):
            raise invalid(f"{name}: {complaint}")
    if "source_task_id" in body and not isinstance(body["source_task_id"], str):
        raise invalid("source_task_id: must be a string")


def _check_is_h3(model: str) -> None:
    if model != H3:
        raise invalid(f"model {model!r} is not supported")


def _check_duration(name: str, model: Model, duration: int) -> None:
    if duration not in model.durations:
        least, most = model.durations[0], model.durations[-1]
        raise invalid(f"model {name} does not support duration {duration}, only {least} to {most}")


def _check_extra(name: str, model: Model, extra: object) -> None:
    if not model.takes_extra:
        raise invalid(f"model {name} does not support extra")
    if not isinstance(extra, dict) or not extra.keys() <= {"prompt_expansion_mode"}:
        raise invalid("extra: must be an object with prompt_expansion_mode alone")
    if extra and extra["prompt_expansion_mode"] not in EXPANSION_MODES:
        raise invalid(f"extra: prompt_expansion_mode must be one of {', '.join(EXPANSION_MODES)}")


def _ratio(model: Model, content: Content, ratio: object) -> str:
    if ratio is not None and ratio not in (ADAPTIVE, *RATIOS):
        raise invalid(f"ratio {ratio!r} is not supported")
    if content.mode not in ("text", "reference"):
        return ADAPTIVE
    must_be_told = content.mode == "text" or model.reference_needs_ratio
    if must_be_told and ratio in (None, ADAPTIVE):
        raise invalid(f"ratio is required and must not be adaptive in {content.mode} mode")
    return ADAPTIVE if ratio is None else str(ratio)


def _content(items: object, kind_of_file: KindOfFile) -> Content:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid("content: must be an array of objects")
    texts = [_text(item) for item in items if item.get("type") == "text"]
    if len(texts) != 1 or not texts[0].strip():
        raise invalid("content must include a non-empty text item (prompt is required)")
    files = [item for item in items if item.get("type") != "text"]
    roles = Counter(_role(item, kind_of_file, is_alone=len(files) == 1) for item in files)
    _check_roles(roles)
    return Content(texts[0], roles)


def _text(item: Mapping[str, Any]) -> str:
    if item.keys() != {"type", "text"} or not isinstance(item["text"], str):
        raise invalid('content: a text item must be {"type": "text", "text": ...}')
    if len(item["text"]) > LONGEST_TEXT:
        raise invalid(f"content: text is longer than {LONGEST_TEXT} characters")
    return str(item["text"])


def _role(item: Mapping[str, Any], kind_of_file: KindOfFile, *, is_alone: bool) -> str:
    kind = _check_file(item, kind_of_file)
    role = item.get("role", "first_frame" if kind == "image" and is_alone else None)
    if role is None:
        raise invalid(f"content: role is required for this {item['type']}")
    if role not in MOST_OF_ROLE or KIND_OF_ROLE[role] != kind:
        raise invalid(f"content: role {role!r} is not supported for {item['type']}")
    return str(role)


def _check_roles(roles: Counter[str]) -> None:
    for role, most in MOST_OF_ROLE.items():
        if roles[role] > most:
            raise invalid(f"content: at most {most} of role {role}")
    if FRAMES & roles.keys() and roles.keys() - FRAMES:
        raise invalid("content: first_frame and last_frame exclude reference_image, reference_video, reference_audio")
    if roles.total() > MOST_FILES:
        raise invalid(f"content: at most {MOST_FILES} files")
    if roles.keys() == {"reference_audio"}:
        raise invalid("content: reference_audio needs a reference_image or reference_video beside it")


def _check_base_video(items: object, kind_of_file: KindOfFile) -> None:
    match items:
        case [dict(item)] if (item.get("type"), item.get("role")) == ("video_url", "base_video"):
            _check_file(item, kind_of_file)
        case _:
            raise invalid("content: must be exactly one video_url of role base_video")


def _check_file(item: Mapping[str, Any], kind_of_file: KindOfFile) -> FileKind:
    name = item.get("type")
    if not isinstance(name, str) or name not in KINDS:
        raise invalid(f"content: type {name!r} is not supported")
    match item.get(name):
        case {"url": str(url), **beside} if not beside and item.keys() <= {"type", name, "role"}:
            if complaint := _wrong_address(url, KINDS[name], kind_of_file):
                raise invalid(f"content: {name}: {complaint}")
        case _:
            raise invalid(f'content: must be {{"type": "{name}", "{name}": {{"url": ...}}, "role": ...}}')
    return KINDS[name]


def _wrong_address(url: str, kind: FileKind, kind_of_file: KindOfFile) -> str | None:
    if WEB_URL.fullmatch(url):
        return None
    if stored := MM_FILE.fullmatch(url):
        found = kind_of_file(stored[1])
        return None if found == kind else f"file_id {stored[1]} is {'no ' + kind if found else 'not found'}"
    start = DATA_URL.match(url)
    if start is None:
        return "must be a public URL, mm_file://{file_id} or a data URL with its format in lower case"
    if start[1] not in FORMATS[kind]:
        return f"{start[1]} is not supported"
    try:
        size = len(base64.b64decode(url[start.end() :], validate=True))
    except (binascii.Error, ValueError):
        return "is not valid base64"
    if not 0 < size <= LARGEST_FILES[kind]:
        return f"the {kind} must not be larger than {LARGEST_FILES[kind] // MIB} MB and not empty"
    return None
