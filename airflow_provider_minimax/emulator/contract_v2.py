"""Parses the bodies of create requests to MiniMax's second API, v2.

Like ``contract``, it refuses fields that the documentation does not name. Files behind public addresses are not
fetched, and for files in the request only the size in bytes is checked, not pixels and seconds. A PNG or JPEG as the
first frame gives the clip its ratio, as on the real platform.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_minimax.api.catalogue_models import MODELS
from airflow_provider_minimax.emulator.clips import nearest_ratio
from airflow_provider_minimax.emulator.contract import (
    FIELD_CHECKS,
    REFUSED_AT_ONCE,
    SECONDS_OF_A_REFERENCE,
    WEB_URL,
    Order,
)
from airflow_provider_minimax.emulator.cutting import seconds_of
from airflow_provider_minimax.emulator.pictures import size_of
from airflow_provider_minimax.emulator.refusals import Refusal, invalid

MIB = 1024 * 1024
LARGEST_BODY = 64 * MIB
MOST_FILES = 12
LONGEST_FINAL_PROMPT = 40_000

H3 = "MiniMax-H3"
ADAPTIVE = "adaptive"

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
"""Returns the kind of the account's file with an id."""


@dataclass(frozen=True)
class Content:
    """A parsed content array."""

    text: str
    roles: Counter[str]

    @property
    def mode(self) -> str:
        """The mode that the roles imply."""
        if not self.roles:
            return "text"
        if not FRAMES & self.roles.keys():
            return "reference"
        return "first_and_last_frame" if "last_frame" in self.roles else "first_frame"

    def count(self, kind: FileKind) -> int:
        """Return how many files of this kind there are."""
        return sum(number for role, number in self.roles.items() if KIND_OF_ROLE[role] == kind)


def read_generation(body: Mapping[str, Any], kind_of_file: KindOfFile) -> Order:
    """Return what a body of ``/v2/video_generation`` orders; raises Refusal if it breaks the contract."""
    _check_fields(body, CREATE_FIELDS, ("model", "content", "resolution", "duration"))
    model, resolution = body["model"], body["resolution"]
    entry = _catalogue_entry(model)
    content = _content(body["content"], kind_of_file, entry["prompt_limit"])
    limits = entry["modes"][content.mode]
    if resolution not in limits["resolutions"]:
        raise invalid(f"model {model} does not support resolution {resolution}")
    if body["duration"] not in limits["resolutions"][resolution]:
        raise invalid(f"model {model} does not support resolution {resolution} with duration {body['duration']}")
    if "extra" in body:
        _check_extra(model, entry.get("extra", {}), body["extra"])
    return _order(model, content, body, _ratio(limits, content, body.get("ratio")), resolution=resolution)


def read_context_ir(body: Mapping[str, Any], kind_of_file: KindOfFile) -> Order:
    """Return what a body of ``/v2/h3_context_ir`` orders: an improved prompt, not a clip."""
    _check_fields(body, CONTEXT_IR_FIELDS, ("model", "content", "duration"))
    _check_is_h3(body["model"])
    entry = _catalogue_entry(H3)
    content = _content(body["content"], kind_of_file, entry["prompt_limit"])
    limits = entry["modes"][content.mode]
    if not any(body["duration"] in durations for durations in limits["resolutions"].values()):
        raise invalid(f"duration {body['duration']} is not supported")
    return _order(H3, content, body, _ratio(limits, content, body.get("ratio")), task_type="h3_context_ir")


def read_regeneration(body: Mapping[str, Any], kind_of_file: KindOfFile, order_of: Callable[[str], Order]) -> Order:
    """Return what a body of ``/v2/video_regeneration`` orders: a 768P clip re-rendered in 2K.

    The body names the task of the clip, whose order ``order_of`` returns, or it has the clip itself with all its
    inputs, which cannot be verified.
    """
    _check_fields(body, REGENERATION_FIELDS, ("model", "resolution"))
    _check_is_h3(body["model"])
    if body["resolution"] != "2K":
        raise invalid(f"video regeneration does not support resolution {body['resolution']}")
    if ("source_task_id" in body) == ("content" in body):
        raise invalid("exactly one of source_task_id and content is required")
    if "content" in body:
        base, content = _base_video_and_content(body["content"], kind_of_file)
        return _regeneration("base_video", content.text, _seconds_of(base["video_url"]["url"]))
    source = order_of(body["source_task_id"])
    if (source.model, source.resolution, source.task_type) != (H3, "768P", "generation"):
        raise invalid(f"source_task_id: only a generation of {H3} in 768P can be regenerated")
    return _regeneration("source_task", source.prompt, source.duration, source.shape)


def _regeneration(mode: str, prompt: str, duration: int | None, ratio: str | None = None) -> Order:
    if REFUSED_AT_ONCE in prompt.lower():
        raise Refusal(1026)
    return Order(H3, mode, prompt, "2K", duration, api="v2", task_type="regeneration", frame_ratio=ratio)


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
        api="v2",
        task_type=task_type,
        ratio=ratio,
        frame_ratio=_frame_ratio(body["content"]),
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


def _catalogue_entry(model: str) -> dict[str, Any]:
    entry = MODELS.get(model, {})
    if entry.get("api") != "v2":
        raise invalid(f"model {model!r} is not supported")
    return entry


def _check_extra(model: str, known: Mapping[str, Sequence[str]], extra: object) -> None:
    if not known:
        raise invalid(f"model {model} does not support extra")
    if not isinstance(extra, dict) or not extra.keys() <= known.keys():
        raise invalid(f"extra: must be an object with nothing but {', '.join(known)}")
    for name, value in extra.items():
        if value not in known[name]:
            raise invalid(f"extra: {name} must be one of {', '.join(known[name])}")


def _ratio(limits: Mapping[str, Any], content: Content, ratio: object) -> str:
    if ratio is None and "ratio" in limits["required"]:
        raise invalid(f"ratio is required in {content.mode} mode")
    if ratio is not None and ratio not in limits["ratios"]:
        raise invalid(f"ratio {ratio!r} is not supported in {content.mode} mode")
    has_frames = content.mode in ("first_frame", "first_and_last_frame")
    return ADAPTIVE if ratio is None or has_frames else str(ratio)


def _frame_ratio(items: list[dict[str, Any]]) -> str | None:
    for item in items:
        if item.get("type") == "image_url" and item.get("role", "first_frame") == "first_frame":
            url = item["image_url"]["url"]
            start = DATA_URL.match(url)
            size = size_of(base64.b64decode(url[start.end() :])) if start else None
            return nearest_ratio(*size) if size and all(size) else None
    return None


def _content(items: object, kind_of_file: KindOfFile, longest_text: int) -> Content:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid("content: must be an array of objects")
    texts = [_text(item, longest_text) for item in items if item.get("type") == "text"]
    if len(texts) != 1 or not texts[0].strip():
        raise invalid("content must include a non-empty text item (prompt is required)")
    files = [item for item in items if item.get("type") != "text"]
    roles = Counter(_role(item, kind_of_file, is_alone=len(files) == 1) for item in files)
    _check_roles(roles)
    return Content(texts[0], roles)


def _text(item: Mapping[str, Any], longest: int) -> str:
    if item.keys() != {"type", "text"} or not isinstance(item["text"], str):
        raise invalid('content: a text item must be {"type": "text", "text": ...}')
    if len(item["text"]) > longest:
        raise invalid(f"content: text is longer than {longest} characters")
    return str(item["text"])


def _role(item: Mapping[str, Any], kind_of_file: KindOfFile, *, is_alone: bool) -> str:
    kind = _check_file(item, kind_of_file)
    role = item.get("role", "first_frame" if kind == "image" and is_alone else None)
    if role is None:
        raise invalid(f"content: role is required for this {item['type']}")
    if not isinstance(role, str) or role not in MOST_OF_ROLE or KIND_OF_ROLE[role] != kind:
        raise invalid(f"content: role {role!r} is not supported for {item['type']}")
    return role


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


def _base_video_and_content(items: object, kind_of_file: KindOfFile) -> tuple[Mapping[str, Any], Content]:
    if not isinstance(items, list):
        raise invalid("content: must be an array of objects")
    bases = [item for item in items if isinstance(item, dict) and item.get("role") == "base_video"]
    if len(bases) != 1 or bases[0].get("type") != "video_url":
        raise invalid("content must include exactly one video_url of role base_video")
    _check_file(bases[0], kind_of_file)
    rest = [item for item in items if item is not bases[0]]
    return bases[0], _content(rest, kind_of_file, LONGEST_FINAL_PROMPT)


def _seconds_of(url: str) -> int:
    """Return the length of a clip in the request; one behind an address has the assumed length of a reference."""
    start = DATA_URL.match(url)
    seconds = seconds_of(base64.b64decode(url[start.end() :])) if start else None
    return min(max(int(seconds), 4), 15) if seconds else SECONDS_OF_A_REFERENCE


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
