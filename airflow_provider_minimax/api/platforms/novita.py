"""
Novita (api.novita.ai): one address a model, one for all results, and the clip's URL in the result.

Pages: https://novita.ai/docs/api-reference/model-apis-minimax-video-01 and its siblings, …/model-apis-task-result. The
first frame is called ``image_url`` by the oldest model and ``image`` by the others. Times are texts of milliseconds in
``extra.debug_info``, which is left empty at times; what a clip cost is not reported.

H3 is sold in MiniMax's own shape instead, below ``/v3/minimax``: its page model-apis-minimax-h3 has the create and the
query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.modes import MEDIA_FIELDS, Mode
from airflow_provider_minimax.api.platforms import minimax_v2
from airflow_provider_minimax.api.platforms.base import Platform
from airflow_provider_minimax.api.platforms.minimax import IdFields, with_extra
from airflow_provider_minimax.api.platforms.replies import (
    MaybeObject,
    Moment,
    Reply,
    Text,
    Word,
    confirmed_id,
    is_object_with,
    objects,
    read,
    task_not_found,
)
from airflow_provider_minimax.api.request import VideoRequest, invalid
from airflow_provider_minimax.api.task import TaskState, VideoFile, VideoTask
from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxUnavailableError
from airflow_provider_minimax.text.redaction import redact


@dataclass(frozen=True, slots=True)
class _Route:
    """
    What one of the addresses takes.

    :param fields: our field to the address's name of it.
    :param fixed: fields that it has no name for, because it knows one value only.
    """

    fields: Mapping[str, str]
    fixed: Mapping[str, Any] = field(default_factory=dict)


_TEXT = {
    "prompt": "prompt",
    "duration": "duration",
    "resolution": "resolution",
    "prompt_optimizer": "enable_prompt_expansion",
}
_IMAGE = _TEXT | {"first_frame_image": "image"}
_HURRIED = {"fast_pretreatment": "fast_pretreatment"}
_TWO_IMAGES = _IMAGE | {"last_frame_image": "end_image"} | _HURRIED

_ROUTES = {
    "minimax-video-01": _Route(
        {"prompt": "prompt", "first_frame_image": "image_url", "prompt_optimizer": "enable_prompt_expansion"},
        fixed={"duration": 6, "resolution": "720P"},
    ),
    "minimax-hailuo-02": _Route(_TWO_IMAGES),
    "minimax-hailuo-2.3-t2v": _Route(_TEXT | _HURRIED),
    "minimax-hailuo-2.3-i2v": _Route(_IMAGE | _HURRIED),
    "minimax-hailuo-2.3-fast-i2v": _Route(_IMAGE),
}
_HAILUO_RESOLUTIONS = ("768P", "1080P")
# What a clip shows and how wide it is: made without one of these, it is another clip.
_CONTENT = frozenset({*MEDIA_FIELDS, "ratio"})
# For a model that is newer than this table: the names that the newer pages agree on.
_NEWER = _Route(_TWO_IMAGES)

MODEL_NAMES = {
    ("T2V-01", Mode.TEXT): "minimax-video-01",
    ("I2V-01", Mode.FIRST_FRAME): "minimax-video-01",
    ("MiniMax-Hailuo-02", Mode.TEXT): "minimax-hailuo-02",
    ("MiniMax-Hailuo-02", Mode.FIRST_FRAME): "minimax-hailuo-02",
    ("MiniMax-Hailuo-02", Mode.FIRST_AND_LAST_FRAME): "minimax-hailuo-02",
    ("MiniMax-Hailuo-2.3", Mode.TEXT): "minimax-hailuo-2.3-t2v",
    ("MiniMax-Hailuo-2.3", Mode.FIRST_FRAME): "minimax-hailuo-2.3-i2v",
    ("MiniMax-Hailuo-2.3-Fast", Mode.FIRST_FRAME): "minimax-hailuo-2.3-fast-i2v",
}


class _Task(Reply):
    status: Word = ""
    reason: Text = ""


class _Video(Reply):
    video_url: Text = ""


class _DebugInfo(Reply):
    submit_time_ms: Moment = None
    execute_time_ms: Moment = None
    complete_time_ms: Moment = None


class _Extra(Reply):
    debug_info: Annotated[_DebugInfo | None, MaybeObject] = None


class _Result(Reply):
    extra: Annotated[_Extra | None, MaybeObject] = None
    task: Annotated[_Task | None, MaybeObject] = None
    videos: Annotated[list[_Video], BeforeValidator(objects)] = Field(default_factory=list)


def submit(request: VideoRequest) -> HttpRequest:
    """Make the create call at the model's own address, under that address's names."""
    model = PLATFORM.own_model(request)
    route = _ROUTES.get(model, _NEWER)
    fields = request.given()
    del fields["model"]
    extra = fields.pop("extra_body", {})
    problems = []
    body = {}
    for name, value in fields.items():
        if name in route.fields:
            body[route.fields[name]] = value
        elif name in _CONTENT:
            problems.append(f"{name}: Novita's {model} has no such field; leave it out")
        elif name not in route.fixed:
            body[name] = value
        elif value != route.fixed[name]:
            problems.append(f"{name}={value!r}: Novita's {model} makes {route.fixed[name]} only; leave it out")
    if problems:
        raise invalid(problems)
    return HttpRequest("POST", f"/v3/async/{quote(model, safe='')}", body=with_extra(body, extra), buys=True)


def read_submission(reply: HttpReply) -> str:
    """Read the task id."""
    answer = read(reply, IdFields)
    if not answer.task_id:
        raise MinimaxUnavailableError("the answer to the submission names no task", http_status=reply.status)
    return confirmed_id(reply, answer.task_id)


def query(minimax_task_id: str) -> HttpRequest:
    """Make the query call."""
    return HttpRequest("GET", "/v3/async/task-result", query={"task_id": minimax_task_id})


def read_task(reply: HttpReply, minimax_task_id: str) -> VideoTask:
    """Read a query's answer."""
    try:
        answer = read(reply, _Result)
    except MinimaxRequestError as error:
        raise task_not_found(minimax_task_id, error.message, code=error.code, http_status=error.http_status) from None
    task = answer.task or _Task()
    times = (answer.extra and answer.extra.debug_info) or _DebugInfo()
    state = TaskState.of(task.status)
    url = next((video.video_url for video in answer.videos if video.video_url), None)
    return VideoTask(
        minimax_task_id,
        state,
        status=task.status,
        file=VideoFile(url) if url else None,
        reason=redact(task.reason) or None if state is TaskState.FAILED else None,
        created_at=times.submit_time_ms,
        started_at=times.execute_time_ms,
        finished_at=times.complete_time_ms,
    )


def recognises(reply: HttpReply) -> bool:
    """Whether the reply is of this contract."""
    return is_object_with(reply, "task", "reason", "code", "message")


def _check(request: VideoRequest, unresolved: frozenset[str]) -> list[str]:
    model = MODEL_NAMES.get((request.model, request.mode), request.model)
    if model.startswith("minimax-hailuo") and request.resolution not in (None, *_HAILUO_RESOLUTIONS):
        return [f"resolution={request.resolution!r}: Novita's {model} takes {' or '.join(_HAILUO_RESOLUTIONS)}"]
    return []


def _doubts(request: VideoRequest) -> list[str]:
    model = MODEL_NAMES.get((request.model, request.mode), request.model)
    route = _ROUTES.get(model, _NEWER)
    known = {*route.fields, *route.fixed, *_CONTENT, "model", "extra_body"}
    return [
        f"{name}: Novita's page of {model} does not name this field. It is sent, and may have no effect"
        for name in request.given()
        if name not in known
    ]


_NAME, _TITLE = "novita", "Novita"
_BASE_URLS = {"global": "https://api.novita.ai"}

PLATFORM = Platform(
    name=_NAME,
    title=_TITLE,
    base_urls=_BASE_URLS,
    next_version=minimax_v2.resold(_NAME, _TITLE, _BASE_URLS, below="/v3/minimax"),
    submit=submit,
    read_submission=read_submission,
    query=query,
    read_task=read_task,
    recognises=recognises,
    model_names=MODEL_NAMES,
    required=frozenset({"prompt"}),
    doubts=_doubts,
    check=_check,
)
