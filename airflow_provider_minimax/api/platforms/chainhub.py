"""
ChainHub (api.chainhub.tech) and gateways on the same software: the official create below ``/minimax``, queries in a
wrapper.

The wrapper says ``code`` as a text (``"success"``) or a number, has two statuses (the inner, official one wins), and on
success keeps the *file id* in ``fail_reason``: so that field is only read when the task failed.

Times are seconds, and 0 where one is not known: https://app.apifox.com/web/project/5443236/apis/api-327360871-run. That
page has no cost. Newer versions of the software behind it add ``quota``: ``TaskDto`` in ``dto/task.go`` of
https://github.com/QuantumNous/new-api.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from airflow_provider_minimax.api.cost import Billed
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.platforms import minimax
from airflow_provider_minimax.api.platforms.replies import (
    Amount,
    BaseResp,
    ErrorBody,
    MaybeObject,
    Moment,
    Reply,
    Text,
    Word,
    http_error,
    is_object_with,
    read,
    task_not_found,
)
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.text.redaction import redact

_SUCCESS = ("", "0", "200", "success")
# The API's own default, said aloud because this gateway's schema requires the field.
_DEFAULT_DURATION = 6
# The gateway's software answers in Chinese: "no channel available" for a model that nobody behind it serves, and
# "upstream load saturated" when it did not pass the request on.
_NO_CHANNEL = "无可用渠道"
_SATURATED = "饱和"


class _InnerQuery(minimax.Query):
    file: Annotated[minimax.File | None, MaybeObject] = None


class _WrappedTask(Reply):
    status: Word = ""
    fail_reason: Text = ""
    submit_time: Moment = None
    start_time: Moment = None
    finish_time: Moment = None
    quota: Amount = None
    data: Annotated[_InnerQuery | None, MaybeObject] = None


class _Query(_InnerQuery):
    code: Word = ""
    message: Text = ""
    data: Annotated[_WrappedTask | None, MaybeObject] = None


def submit(request: VideoRequest) -> HttpRequest:
    """Make the create call, always with a duration."""
    return minimax.submit(request.model_copy(update={"duration": request.duration or _DEFAULT_DURATION}))


def read_submission(reply: HttpReply) -> str:
    """Read the task id from the plain or the wrapped answer."""
    _refuse(reply)
    return minimax.read_submission(reply)


def read_task(reply: HttpReply, minimax_task_id: str) -> VideoTask:
    """Read a query's answer, wrapped or plain."""
    try:
        _refuse(reply)
    except MinimaxRequestError as error:
        raise task_not_found(minimax_task_id, error.message, code=error.code, http_status=error.http_status) from None
    answer = read(reply, _Query)
    outer = answer.data
    if outer is None:
        if answer.code.lower() not in _SUCCESS:
            raise task_not_found(minimax_task_id, answer.message, code=answer.code)
        return minimax.read_task(reply, minimax_task_id)
    inner = outer.data or _InnerQuery()
    if not inner.status:
        inner = inner.model_copy(update={"status": outer.status, "base_resp": BaseResp()})
    task = replace(
        minimax.task_of(inner, minimax_task_id),
        created_at=outer.submit_time,
        started_at=outer.start_time,
        finished_at=outer.finish_time,
    )
    # The gateway charges in advance, gives back what a failed task cost, and leaves the number as it was.
    if task.state is TaskState.SUCCEEDED and outer.quota is not None:
        task = replace(task, billed=Billed(outer.quota, "quota"))
    if task.state is TaskState.FAILED and not task.reason:
        task = replace(task, reason=redact(outer.fail_reason) or None)
    return replace(task, file=inner.file.as_clip(task.file_id)) if inner.file else task


def _refuse(reply: HttpReply) -> None:
    """Raise what the gateway itself has to say, before the official reading is tried."""
    code, words = "", ""
    if is_object_with(reply, "error", "message", "code"):
        code, words = read(replace(reply, status=200), ErrorBody).code_and_words()
    kind: type[MinimaxError] | None = None
    if _NO_CHANNEL in words:
        kind = MinimaxRequestError
    elif _SATURATED in words:
        kind = MinimaxRateLimitError
    if kind is not None:
        raise kind(redact(words), http_status=reply.status, code=code or None)
    if reply.status >= 300:
        raise http_error(reply, {})
    if is_object_with(reply, "error") and not is_object_with(reply, "data", "task_id"):
        raise MinimaxUnavailableError(redact(words), code=code or None, http_status=reply.status)


def recognises(reply: HttpReply) -> bool:
    """Whether the reply is of this contract."""
    return is_object_with(reply, "base_resp", "error", "data")


PLATFORM = replace(
    minimax.PLATFORM,
    name="chainhub",
    title="ChainHub",
    base_urls={"global": "https://api.chainhub.tech"},
    path_prefix="/minimax",
    submit=submit,
    read_submission=read_submission,
    read_task=read_task,
    recognises=recognises,
    fields=frozenset({"prompt", "first_frame_image", "duration", "resolution", "prompt_optimizer"}),
    required=frozenset({"prompt"}),
)
