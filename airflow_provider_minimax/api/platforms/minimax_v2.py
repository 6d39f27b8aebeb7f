"""
MiniMax itself, API v2 (H3): https://platform.minimax.io/docs/api-reference/video-generation-v2-create.

One create call with a list of contents, one query that names the clip's URL, a list of seven days, a call that cancels
a queued task, and one of v1 that uploads what is too large for the create call. Two more calls make tasks: one
re-renders a clip in 2K, one improves a prompt. Errors come with a real HTTP status; the inner code is in brackets at
their end. A task reports the seconds and tokens that it used, and not what they cost.

Gateways resell it below a prefix of theirs, and leave some of it out: :func:`resold`. Some report errors of the account
in HTTP 200, as v1 does. OneHub gateways answer a create with ``task_id`` and ``platform_id``; a query takes either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo

from airflow_provider_minimax.api.h3_requests import PromptRewriteRequest, RegenerationRequest
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.inputs.images import V2_PICTURES
from airflow_provider_minimax.api.platforms.base import NO_TASKS, Platform
from airflow_provider_minimax.api.platforms.minimax import BASE_URLS, Retrieval, refuse, refuse_enveloped, with_extra
from airflow_provider_minimax.api.platforms.replies import (
    BaseResp,
    Bytes,
    Id,
    MaybeId,
    MaybeObject,
    Moment,
    Reply,
    Seconds,
    Text,
    Word,
    confirmed_id,
    is_object_with,
    objects,
    plain_code,
    read,
    task_not_found,
)
from airflow_provider_minimax.api.request import PaidRequest
from airflow_provider_minimax.api.task import OVER, TaskPage, TaskState, VideoFile, VideoTask
from airflow_provider_minimax.api.uploaded_files import UploadedFile
from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxUnavailableError
from airflow_provider_minimax.text.redaction import redact

# No limit is documented; with so many ids the address stays short enough for any proxy.
PAGE_SIZE = 50

_PURPOSE = "video_generation_input"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_CANCELLED = frozenset({"cancelled", "canceled", "cancel"})
_DELETED = frozenset({"deleted", "delete"})
_NOT_CANCELLED = frozenset({TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED})

_ROLES = {"first_frame_image": "first_frame", "last_frame_image": "last_frame"}
_REFERENCES = {
    "reference_images": ("image_url", "reference_image"),
    "reference_videos": ("video_url", "reference_video"),
    "reference_audios": ("audio_url", "reference_audio"),
}


class _Submission(Reply):
    task_id: Id = ""
    platform_id: MaybeId = None
    base_resp: Annotated[BaseResp | None, MaybeObject] = None


class _Error(Reply):
    code: Word = ""
    message: Text = ""


class _Content(Reply):
    url: Text = ""
    prompt: Text = ""


class _Usage(Reply):
    input_seconds: Seconds = None


class _Task(Reply):
    id: MaybeId = None
    model: Word = ""
    status: Word = ""
    error: Annotated[_Error | None, MaybeObject] = None
    content: Annotated[_Content | None, MaybeObject] = None
    resolution: Word = ""
    ratio: Word = ""
    task_type: Word = ""
    duration: Seconds = None
    usage: Annotated[_Usage | None, MaybeObject] = None
    created_at: Moment = None
    updated_at: Moment = None


class _Query(Reply):
    task: Annotated[_Task | None, MaybeObject] = None
    base_resp: Annotated[BaseResp | None, MaybeObject] = None


def _page_of_tasks(items: Any, info: ValidationInfo) -> list[VideoTask]:
    """Read the tasks of a page; the context has what is known of them."""
    known: Mapping[str, VideoTask] = info.context or NO_TASKS
    return [task for item in objects(items) if (task := _unchanged(item, known) or _named_task(item))]


def _unchanged(item: Mapping[str, Any], known: Mapping[str, VideoTask]) -> VideoTask | None:
    """Return a task as it is known, if its status has not changed."""
    minimax_task_id = item.get("id")
    last = known.get(minimax_task_id) if isinstance(minimax_task_id, str) else None
    return last if last is not None and last.status == item.get("status") and not last.is_over else None


def _named_task(item: Mapping[str, Any]) -> VideoTask | None:
    task = _Task.model_validate(item)
    return _task_of(task, task.id) if task.id else None


class _Page(Reply):
    items: Annotated[list[Any], PlainValidator(_page_of_tasks)] = Field(default_factory=list)
    total: int | None = None


class _File(Reply):
    file_id: MaybeId = None
    filename: Text = ""
    bytes: Bytes = None
    created_at: Moment = None
    purpose: Word = ""


class _Files(Reply):
    files: Annotated[list[_File] | None, BeforeValidator(objects)] = None
    base_resp: Annotated[BaseResp | None, MaybeObject] = None


class _FileDeletion(Reply):
    base_resp: Annotated[BaseResp | None, MaybeObject] = None


class _Removed(Reply):
    action: Word = ""
    status: Word = ""


class _Deletion(_Removed):
    task: Annotated[_Removed | None, MaybeObject] = None


def _contents(fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Take the words, pictures, videos and sounds out of a request's fields, as the API's list of contents."""
    if (prompt := fields.pop("prompt", None)) is not None:
        yield {"type": "text", "text": prompt}
    for name, role in _ROLES.items():
        if (url := fields.pop(name, None)) is not None:
            yield {"type": "image_url", "image_url": {"url": url}, "role": role}
    for name, (kind, role) in _REFERENCES.items():
        for url in fields.pop(name, ()):
            yield {"type": kind, kind: {"url": url}, "role": role}
    if (url := fields.pop("base_video", None)) is not None:
        yield {"type": "video_url", "video_url": {"url": url}, "role": "base_video"}


def _create(path: str, request: PaidRequest) -> HttpRequest:
    """Make a call that buys: only what was set, then what ``extra_body`` adds."""
    fields = request.given()
    extra_body = fields.pop("extra_body", {})
    contents = list(_contents(fields))
    content = {"content": contents} if contents else {}
    body = with_extra({"model": fields.pop("model"), **content, **fields}, extra_body)
    return HttpRequest("POST", path, body=body, buys=True)


submit = partial(_create, "/v2/video_generation")
regenerate = partial(_create, "/v2/video_regeneration")
rewrite = partial(_create, "/v2/h3_context_ir")


def read_submission(reply: HttpReply) -> str:
    """Read the task id, which is all that MiniMax's own answer has."""
    answer = read(reply, _Submission)
    if task_id := answer.task_id or answer.platform_id:
        return confirmed_id(reply, task_id)
    refuse(reply, answer.base_resp)
    refuse_enveloped(reply)
    raise MinimaxUnavailableError("the answer to the submission names no task", http_status=reply.status)


def upload(file: FileContent) -> HttpRequest:
    """Make the call that uploads a file for requests to come. It is of v1, and what it takes lives for seven days."""
    return HttpRequest("POST", "/v1/files/upload", body={"purpose": _PURPOSE}, file=file)


def read_upload(reply: HttpReply) -> str:
    """Read the address by which requests name the file."""
    answer = read(reply, Retrieval)
    refuse(reply, answer.base_resp)
    if answer.file is None or not answer.file.file_id:
        refuse_enveloped(reply)
        raise MinimaxUnavailableError("the answer to the upload names no file", http_status=reply.status)
    return f"mm_file://{answer.file.file_id}"


def list_files() -> HttpRequest:
    """Make the call for all that was uploaded, which is of v1 too: …/docs/api-reference/file-management-list."""
    return HttpRequest("GET", "/v1/files/list", query={"purpose": _PURPOSE})


def read_files(reply: HttpReply) -> tuple[UploadedFile, ...]:
    """Read what was uploaded, the newest first; files of other purposes, such as clips, are left out."""
    answer = read(reply, _Files)
    refuse(reply, answer.base_resp)
    if answer.files is None:
        refuse_enveloped(reply)
        raise MinimaxUnavailableError("the answer to the list of files has no files", http_status=reply.status)
    found = [
        UploadedFile(file.file_id, redact(file.filename, limit=200), file.bytes, file.created_at)
        for file in answer.files
        if file.file_id and file.purpose in ("", _PURPOSE)
    ]
    return tuple(sorted(found, key=lambda file: (file.created_at or _LONG_AGO, file.file_id), reverse=True))


def delete_file(file_id: str) -> HttpRequest:
    """Make the call that deletes what was uploaded, and nothing else: …/docs/api-reference/file-management-delete."""
    return HttpRequest("POST", "/v1/files/delete", body={"file_id": int(file_id), "purpose": _PURPOSE})


def read_deletion(reply: HttpReply) -> None:
    """Read that a file was deleted."""
    answer = read(reply, _FileDeletion)
    refuse(reply, answer.base_resp)
    if answer.base_resp is None:
        refuse_enveloped(reply)
        raise MinimaxUnavailableError("the answer does not say that the file was deleted", http_status=reply.status)


def query(minimax_task_id: str) -> HttpRequest:
    """Make the query call."""
    return HttpRequest("GET", f"/v2/query/video_generation/{quote(minimax_task_id, safe='')}")


def read_task(reply: HttpReply, minimax_task_id: str) -> VideoTask:
    """Read a query's answer."""
    try:
        answer = read(reply, _Query)
        if answer.task is None:
            refuse(reply, answer.base_resp)
            refuse_enveloped(reply)
    except MinimaxRequestError as error:
        raise task_not_found(
            minimax_task_id, error.message, code=error.code, http_status=error.http_status, trace_id=error.trace_id
        ) from None
    if answer.task is None:
        raise MinimaxUnavailableError("the answer to the query has no task", http_status=reply.status)
    return _task_of(answer.task, minimax_task_id)


def _task_of(answer: _Task, minimax_task_id: str) -> VideoTask:
    state = TaskState.of(answer.status)
    ended_badly = state in (TaskState.FAILED, TaskState.CANCELLED)
    failure = (answer.error if ended_badly else None) or _Error()
    content = answer.content or _Content()
    return VideoTask(
        minimax_task_id,
        state,
        status=answer.status,
        file=VideoFile(content.url) if content.url else None,
        prompt=content.prompt or None,
        duration=answer.duration,
        code=plain_code(failure.code) if failure.code else None,
        reason=redact(failure.message) or None,
        created_at=answer.created_at,
        finished_at=answer.updated_at if state in OVER else None,
        api_version="v2",
        model=answer.model or None,
        resolution=answer.resolution or None,
        ratio=answer.ratio or None,
        task_type=answer.task_type or None,
        input_seconds=answer.usage.input_seconds if answer.usage else None,
    )


def cancel(minimax_task_id: str) -> HttpRequest:
    """
    Make the call that cancels a queued task.

    The same call erases the record of a finished one, clip and all: check its status first.
    """
    return HttpRequest("DELETE", f"/v2/video_generation/{quote(minimax_task_id, safe='')}")


def read_cancellation(reply: HttpReply) -> str:
    """
    Read what became of the task: ``cancelled``, ``deleted``, or another word of the answer.

    Either its ``action`` or its ``status`` may say it, in any spelling; a task that runs or has ended is not cancelled
    even if the other says so.
    """
    answer = read(reply, _Deletion)
    words = [word for level in (answer, answer.task) if level for word in (level.action, level.status) if word]
    goes_on = next((word for word in words if TaskState.of(word) in _NOT_CANCELLED), None)
    if goes_on is None and any(word.lower() in _CANCELLED for word in words):
        return "cancelled"
    if any(word.lower() in _DELETED for word in words):
        return "deleted"
    return goes_on or next(iter(words), "")


def list_tasks(page: int, size: int, model: str | None, minimax_task_ids: Sequence[str], task_type: str) -> HttpRequest:
    """Make the call for one page of the account's tasks of the last seven days, or for some of them by their ids.

    Ids already select the tasks, so the kind of task is no filter then.
    """
    query: dict[str, str | Sequence[str]] = {"page_num": str(page), "page_size": str(size)}
    if minimax_task_ids:
        query["filter.task_ids"] = list(minimax_task_ids)
    else:
        query["filter.task_type"] = task_type
    if model is not None:
        query["filter.model"] = model
    return HttpRequest("GET", "/v2/query/video_generation", query=query)


def read_list(reply: HttpReply, known: Mapping[str, VideoTask] = NO_TASKS) -> TaskPage:
    """Read one page of tasks."""
    answer = read(reply, _Page, context=known)
    if "items" not in answer.model_fields_set:
        refuse_enveloped(reply)
        raise MinimaxUnavailableError("the answer to the list has no items", http_status=reply.status)
    return TaskPage(tuple(answer.items), answer.total)


def recognises(reply: HttpReply) -> bool:
    """Whether the reply is of this contract."""
    return is_object_with(reply, "task", "error")


PLATFORM = Platform(
    name="minimax",
    title="MiniMax",
    base_urls=BASE_URLS,
    submit=submit,
    other_requests={RegenerationRequest: regenerate, PromptRewriteRequest: rewrite},
    read_submission=read_submission,
    query=query,
    read_task=read_task,
    recognises=recognises,
    api_version="v2",
    pictures=V2_PICTURES,
    upload=upload,
    read_upload=read_upload,
    list_files=list_files,
    read_files=read_files,
    delete_file=delete_file,
    read_deletion=read_deletion,
    cancel=cancel,
    read_cancellation=read_cancellation,
    list_tasks=list_tasks,
    page_size=PAGE_SIZE,
    read_list=read_list,
)


def resold(name: str, title: str, base_urls: Mapping[str, str], *, below: str = "") -> Platform:
    """
    Return a gateway that sells H3 in MiniMax's own shape: what is known of it are the create and the query.

    :param name: the gateway's name in the connection.
    :param title: its name for people.
    :param base_urls: region to base URL.
    :param below: what stands before ``/v2`` in its addresses, after the path prefix that all of them have.
    """

    def moved(request: HttpRequest) -> HttpRequest:
        return replace(request, path=f"{below}{request.path}")

    return Platform(
        name=name,
        title=title,
        base_urls=base_urls,
        submit=lambda request: moved(submit(request)),
        read_submission=read_submission,
        query=lambda minimax_task_id: moved(query(minimax_task_id)),
        read_task=read_task,
        recognises=recognises,
        api_version=PLATFORM.api_version,
        pictures=PLATFORM.pictures,
    )
