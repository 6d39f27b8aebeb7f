"""
Vtrix (cloud.vtrix.ai): models under its own names, parameters in an envelope, the clip's URL in the task itself.

Its pages, at doc.vtrix.ai below /docs/api/minimax: minimax-i2v-01-live; minimax-hailuo-02-i2v, which has
``last_frame_image``; minimax-hailuo-23-fast, which has ``fast_pretreatment``. The vendor's command line
(https://github.com/vtrix-ai/vtrix-cli) sends the latter for all Hailuo models. The pages show the parameters beside
``model``; the vendor's own clients wrap them as ``{"input": [{"params": …}]}``, which is what is sent here. Error codes
have leading zeros, so they are texts.

A finished task names its cost in USD (``usage.cost``, a text by its page, a number or empty elsewhere) and when it was
completed; the names of the times are those of the vendor's own client, ``TaskMetadata`` in
https://github.com/SeaArt-Infra/sea-sdk-go. What its ``in_queue_at`` stands for is said nowhere, so it is not read.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Field

from airflow_provider_minimax.api.cost import Billed
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.modes import Mode
from airflow_provider_minimax.api.platforms.base import Platform
from airflow_provider_minimax.api.platforms.minimax import IdFields, body
from airflow_provider_minimax.api.platforms.replies import (
    Amount,
    ErrorBody,
    MaybeObject,
    Moment,
    Reply,
    Seconds,
    Text,
    Word,
    confirmed_id,
    is_object_with,
    objects,
    read,
    task_not_found,
)
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState, VideoFile, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxQuotaError,
    MinimaxRequestError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.text.redaction import redact

_HTTP = {403: MinimaxQuotaError}
_VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".m4v")

MODEL_NAMES = {
    ("T2V-01", Mode.TEXT): "minimax_t2v_01",
    ("T2V-01-Director", Mode.TEXT): "minimax_t2v_01_director",
    ("I2V-01", Mode.FIRST_FRAME): "minimax_i2v_01",
    ("I2V-01-Director", Mode.FIRST_FRAME): "minimax_i2v_01_director",
    ("I2V-01-live", Mode.FIRST_FRAME): "minimax_i2v_01_live",
    ("MiniMax-Hailuo-02", Mode.TEXT): "minimax_hailuo_02",
    ("MiniMax-Hailuo-02", Mode.FIRST_FRAME): "minimax_hailuo_02_i2v",
    ("MiniMax-Hailuo-02", Mode.FIRST_AND_LAST_FRAME): "minimax_hailuo_02_i2v",
    ("MiniMax-Hailuo-2.3", Mode.FIRST_FRAME): "minimax_hailuo_23_i2v",
    ("MiniMax-Hailuo-2.3-Fast", Mode.FIRST_FRAME): "minimax_hailuo_23_fast_i2v",
}


class _Content(Reply):
    type: Text = ""
    url: Text = ""
    duration: Seconds = None


class _Output(Reply):
    content: Annotated[list[_Content], BeforeValidator(objects)] = Field(default_factory=list)


class _Usage(Reply):
    cost: Amount = None


class _Metadata(Reply):
    completed_at: Moment = None


class _Task(Reply):
    status: Word = ""
    created_at: Moment = None
    output: Annotated[list[_Output], BeforeValidator(objects)] = Field(default_factory=list)
    usage: Annotated[_Usage | None, MaybeObject] = None
    metadata: Annotated[_Metadata | None, MaybeObject] = None
    error: Any = None


def submit(request: VideoRequest) -> HttpRequest:
    """Make the create call."""
    model = PLATFORM.own_model(request)
    params = body(request)
    del params["model"]
    return HttpRequest("POST", "/model/v1/generation", body={"model": model, "input": [{"params": params}]}, buys=True)


def read_submission(reply: HttpReply) -> str:
    """Read the task id."""
    answer = read(reply, IdFields, http=_HTTP)
    task_id = answer.id or answer.task_id
    if not task_id:
        code, words = read(reply, ErrorBody).code_and_words()
        raise MinimaxUnavailableError(
            redact(words) or "the answer to the submission names no task", code=code or None, http_status=reply.status
        )
    return confirmed_id(reply, task_id)


def query(minimax_task_id: str) -> HttpRequest:
    """Make the query call."""
    return HttpRequest("GET", f"/model/v1/generation/task/{quote(minimax_task_id, safe='')}")


def read_task(reply: HttpReply, minimax_task_id: str) -> VideoTask:
    """Read a query's answer."""
    if reply.status == 404:
        raise task_not_found(minimax_task_id, "HTTP 404", http_status=404)
    try:
        answer = read(reply, _Task, http=_HTTP)
    except MinimaxRequestError as error:
        raise task_not_found(minimax_task_id, error.message, code=error.code, http_status=error.http_status) from None
    state = TaskState.of(answer.status)
    code, words = read(reply, ErrorBody).code_and_words() if state is TaskState.FAILED else ("", "")
    clip = _clip([content for output in answer.output for content in output.content])
    cost = answer.usage.cost if answer.usage else None
    return VideoTask(
        minimax_task_id,
        state,
        status=answer.status,
        file=VideoFile(clip.url) if clip else None,
        duration=clip.duration if clip else None,
        code=code or None,
        reason=redact(words) or None,
        created_at=answer.created_at,
        finished_at=answer.metadata.completed_at if answer.metadata else None,
        billed=None if cost is None else Billed(cost, "USD"),
    )


def _clip(contents: list[_Content]) -> _Content | None:
    """Return the first video among the results: by its type, else by the ending of its URL."""
    by_type = [content for content in contents if content.url and content.type.lower().startswith("video")]
    by_name = [content for content in contents if _is_video(content.url)]
    return next(iter(by_type + by_name), None)


def _is_video(url: str) -> bool:
    try:
        return urlsplit(url).path.lower().endswith(_VIDEO_SUFFIXES)
    except ValueError:
        return False


def recognises(reply: HttpReply) -> bool:
    """Whether the reply is of this contract."""
    return is_object_with(reply, "id", "error", "code", "message")


PLATFORM = Platform(
    name="vtrix",
    title="Vtrix",
    base_urls={"global": "https://cloud.vtrix.ai"},
    submit=submit,
    read_submission=read_submission,
    query=query,
    read_task=read_task,
    recognises=recognises,
    model_names=MODEL_NAMES,
    fields=frozenset(
        {
            "prompt",
            "first_frame_image",
            "last_frame_image",
            "duration",
            "resolution",
            "prompt_optimizer",
            "fast_pretreatment",
            "callback_url",
            "aigc_watermark",
        }
    ),
)
