"""
MiniMax itself, API v1 (Hailuo): https://platform.minimax.io/docs/api-reference/video-generation-intro.

Three calls: create, query, retrieve the file. HTTP says 200 even for errors; ``base_resp`` has the verdict. The
functions are shared by the gateways that speak the same contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.platforms.base import Platform
from airflow_provider_minimax.api.platforms.replies import (
    BaseResp,
    ErrorBody,
    Id,
    MaybeId,
    MaybeObject,
    MaybeText,
    Moment,
    Pixels,
    Reply,
    Word,
    confirmed_id,
    error_of_code,
    is_object_with,
    plain_code,
    read,
    task_not_found,
)
from airflow_provider_minimax.api.request import VideoRequest, invalid
from airflow_provider_minimax.api.task import TaskState, VideoFile, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxRequestError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.text.redaction import redact

BASE_URLS = {"global": "https://api.minimax.io", "cn": "https://api.minimaxi.com"}
# The mainland's pages and the vendor's own command line have moved to this name; the older one still works.
OTHER_BASE_URLS = {"https://api.minimax.cn": "cn"}
# A query that carries one of these without a status is the task's end; any other code concerns the query alone.
_MODERATION_CODES = ("1026", "1027")


class IdFields(Reply):
    """Where a submission's answer may name the task."""

    task_id: Id = ""
    id: Id = ""


class Submission(IdFields):
    """The answer to a create, in the official shape and in the gateways' wrapped ones."""

    data: Annotated[IdFields | None, MaybeObject] = None
    base_resp: Annotated[BaseResp | None, MaybeObject] = None


class Query(Reply):
    """The answer to a query; it has no times and no cost."""

    status: Word = ""
    file_id: MaybeId = None
    video_width: Pixels = None
    video_height: Pixels = None
    base_resp: Annotated[BaseResp | None, MaybeObject] = None


class File(Reply):
    """A file object; its ``bytes`` is 0 in real answers and its ``filename`` always the same, so neither is read."""

    file_id: MaybeId = None
    download_url: MaybeText = None
    backup_download_url: MaybeText = None
    created_at: Moment = None

    def as_clip(self, file_id: str | None = None) -> VideoFile | None:
        """
        Return the clip; ``None`` without a link to it.

        :param file_id: the file's id, where the object itself leaves it out.
        """
        links = [url for url in (self.download_url, self.backup_download_url) if url]
        if not links:
            return None
        return VideoFile(links[0], self.file_id or file_id, self.created_at, next(iter(links[1:]), None))


class Retrieval(Reply):
    """The answer to a file's retrieval, and to its upload."""

    file: Annotated[File | None, MaybeObject] = None
    base_resp: Annotated[BaseResp | None, MaybeObject] = None


def body(request: VideoRequest) -> dict[str, Any]:
    """Return the official JSON body of a request: only what was set, then what ``extra_body`` adds."""
    fields = request.given()
    extra = fields.pop("extra_body", {})
    if subject := fields.pop("subject_reference", None):
        fields["subject_reference"] = [{"type": "character", "image": [subject]}]
    return with_extra(fields, extra)


def with_extra(fields: dict[str, Any], extra: dict[str, Any] | None) -> dict[str, Any]:
    """
    Return a body's fields with those of ``extra_body``.

    :raises MinimaxRequestError: a field that is set in both places.
    """
    if twice := sorted(fields.keys() & (extra or {}).keys()):
        raise invalid([f"extra_body: sets {', '.join(twice)}, which the request sets too; say it in one place"])
    return {**fields, **(extra or {})}


def submit(request: VideoRequest) -> HttpRequest:
    """Make the create call."""
    return HttpRequest("POST", "/v1/video_generation", body=body(request), buys=True)


def read_submission(reply: HttpReply) -> str:
    """Read the task id: ``task_id``, ``data.task_id``, ``id`` or ``data.id``, whichever is filled first."""
    answer = read(reply, Submission)
    data = answer.data or IdFields()
    task_id = answer.task_id or data.task_id or answer.id or data.id
    if task_id:
        return confirmed_id(reply, task_id)
    refuse(reply, answer.base_resp)
    refuse_enveloped(reply)
    code, words = read(reply, ErrorBody).code_and_words()
    raise MinimaxUnavailableError(redact(words) or "the answer to the submission names no task", code=code or None)


def query(minimax_task_id: str) -> HttpRequest:
    """Make the query call."""
    return HttpRequest("GET", "/v1/query/video_generation", query={"task_id": minimax_task_id})


def read_task(reply: HttpReply, minimax_task_id: str) -> VideoTask:
    """Read a query's answer."""
    answer = read(reply, Query)
    if not answer.status:
        refuse_enveloped(reply)
    return task_of(answer, minimax_task_id)


def task_of(answer: Query, minimax_task_id: str) -> VideoTask:
    """Return the task that an official query object describes: its status decides first, then the code."""
    state = TaskState.of(answer.status)
    verdict = answer.base_resp or BaseResp()
    code = plain_code(verdict.status_code)
    if code != "0" and state not in (TaskState.FAILED, TaskState.CANCELLED):
        if code not in _MODERATION_CODES:
            error = error_of_code(code, verdict.status_msg)
            if isinstance(error, MinimaxRequestError):
                raise task_not_found(minimax_task_id, verdict.status_msg, code=code)
            raise error
        state = TaskState.FAILED
    ended_badly = state in (TaskState.FAILED, TaskState.CANCELLED)
    return VideoTask(
        minimax_task_id,
        state,
        status=answer.status,
        file_id=answer.file_id or None,
        width=answer.video_width,
        height=answer.video_height,
        code=code if ended_badly and code != "0" else None,
        reason=redact(verdict.status_msg) if ended_badly and code != "0" else None,
    )


def locate(task: VideoTask) -> HttpRequest:
    """Make the call for a finished task's file; each one answers with a fresh URL."""
    return HttpRequest("GET", "/v1/files/retrieve", query={"file_id": task.file_id or ""})


def read_file(reply: HttpReply) -> VideoFile:
    """Read where the clip is."""
    answer = read(reply, Retrieval)
    refuse(reply, answer.base_resp)
    clip = answer.file.as_clip() if answer.file else None
    if clip is None:
        refuse_enveloped(reply)
        raise MinimaxUnavailableError("the answer to the file's retrieval has no download_url yet")
    return clip


def refuse(reply: HttpReply, verdict: BaseResp | None) -> None:
    """Raise what ``base_resp`` says, if it says anything but success."""
    if verdict and plain_code(verdict.status_code) != "0":
        error = error_of_code(verdict.status_code, verdict.status_msg)
        error.http_status = reply.status
        raise error


def refuse_enveloped(reply: HttpReply) -> None:
    """Raise the error of a gateway's own envelope, ``{"error": …}``, which may come with HTTP 200 too."""
    answer = read(reply, ErrorBody)
    if not answer.error:
        return
    code, words = answer.code_and_words()
    if isinstance(answer.error, Mapping) and "err_code" in answer.error:
        # 302.AI says so what is wrong with the account: key, balance, limits.
        raise MinimaxAuthError(redact(words) or "the gateway refused the account", code=code, http_status=reply.status)
    error = error_of_code(code, words)
    error.http_status = reply.status
    raise error


def recognises(reply: HttpReply) -> bool:
    """Whether the reply is of this contract."""
    return is_object_with(reply, "base_resp", "error")


PLATFORM = Platform(
    name="minimax",
    title="MiniMax",
    base_urls=BASE_URLS,
    submit=submit,
    read_submission=read_submission,
    query=query,
    read_task=read_task,
    locate=locate,
    read_file=read_file,
    recognises=recognises,
)
