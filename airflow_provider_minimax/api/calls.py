"""
Every call of the remote API, described once: what to send, and what the answer means.

Each function is a generator. It yields a :class:`Call`, a request with its reader, and continues with what the reader
made of the answer, or with the error. So a call of several requests, such as a cancellation, reads from top to bottom,
and nothing here knows whether :class:`~.client.Client` or :class:`~.async_client.AsyncClient` sends them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_minimax.api.call_errors import doubting_address, may_be_missing, uploading
from airflow_provider_minimax.api.files.uploads import to_upload, with_addresses
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.request import PaidRequest
from airflow_provider_minimax.api.task import TaskPage, TaskState, VideoFile, VideoTask
from airflow_provider_minimax.api.uploaded_files import UploadedFile, file_id_of
from airflow_provider_minimax.api.versions import TaskVersions, remember, search_for
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxRequestError,
    MinimaxUnavailableError,
)

if TYPE_CHECKING:
    from airflow_provider_minimax.api.balance import Balance

R = TypeVar("R", bound=PaidRequest)
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Call(Generic[T]):
    """
    One request and what reads its answer.

    :param request: what to send.
    :param read: reads the answer, or raises what it means.
    :param retries: how often it may be repeated; as often as the connection allows by default.
    :param after_refusals: whether also after the platform said that there are too many requests.
    """

    request: HttpRequest
    read: Callable[[HttpReply], T]
    retries: int | None = None
    after_refusals: bool = True


Steps = Generator[Call[Any], Any, T]
"""The requests of one call, one after the other, and in the end its result."""


def submit(
    platform: Platform, versions: TaskVersions, request: PaidRequest, *, after_refusals: bool = True
) -> Steps[str]:
    """
    Buy what is asked for; upload its large files first.

    :param platform: the platform, by the first version of its API.
    :param versions: notes which version of the API knows the task.
    :param request: the request, with the contents of its files.
    :param after_refusals: whether to submit again when there are too many requests.
    :return: the remote task id.
    """
    version = platform.for_request(request)
    ready = yield from upload_files(platform, request)
    with doubting_address():
        minimax_task_id: str = yield Call(
            version.submission(ready), version.read_submission, after_refusals=after_refusals
        )
    remember(versions, minimax_task_id, version.api_version)
    return minimax_task_id


def upload_files(platform: Platform, request: R) -> Steps[R]:
    """
    Upload what a request carries that is too large to travel inside it, where the platform takes uploads.

    :param platform: the platform, by the first version of its API.
    :param request: the request, with the contents of its files.
    :return: the request with addresses in the place of those files.
    """
    version = platform.for_request(request)
    if version.upload is None:
        return request
    # What the platform cannot be sent is refused before anything is uploaded.
    version.submission(request)
    addresses = {}
    for name, file in to_upload(request).items():
        addresses[file] = yield from upload(version, file, name)
    return with_addresses(request, addresses)


def upload(version: Platform, file: FileContent, name: str) -> Steps[str]:
    """
    Upload a file.

    :param version: the version of the platform's API whose clips are to use it.
    :param file: the file.
    :param name: what to call it in the log and in errors.
    :return: its address.
    :raises MinimaxRequestError: the platform takes no uploads.
    """
    make, read = upload_call(version)
    with uploading(name), may_be_missing(version, "a call that uploads a file"):
        address: str = yield Call(make(file), read)
    log.info("Uploaded %s (%.1f MB) as %s, free of charge", name, file.data.length / 1_000_000, address)
    return address


def upload_call(version: Platform) -> tuple[Callable[[FileContent], HttpRequest], Callable[[HttpReply], str]]:
    """
    Return what makes the request for an upload, and what reads the address from its answer.

    :param version: the version of the platform's API whose clips are to use the files.
    :raises MinimaxRequestError: the platform takes no uploads.
    """
    if version.upload is None or version.read_upload is None:
        raise MinimaxRequestError(
            f"{version.title} has no documented call that uploads a file",
            platform=version.name,
            billing=NOTHING_BOUGHT,
            hint="Give a public URL, or a path, which is sent inside the request.",
        )
    return version.upload, version.read_upload


def list_files(platform: Platform) -> Steps[tuple[UploadedFile, ...]]:
    """
    List what was uploaded to the account.

    :param platform: the platform, by the first version of its API.
    :raises MinimaxRequestError: the platform has no such call.
    """
    version = platform.latest
    if version.upload is None or version.list_files is None or version.read_files is None:
        raise _no_call_for_files(version)
    with may_be_missing(version, "a call that lists uploads"):
        files: tuple[UploadedFile, ...] = yield Call(version.list_files(), version.read_files)
    return files


def delete_file(platform: Platform, file: str) -> Steps[None]:
    """
    Delete what was uploaded to the account.

    :param platform: the platform, by the first version of its API.
    :param file: its address or id.
    :raises MinimaxRequestError: the platform has no such call, or there is no such address.
    """
    version = platform.latest
    if version.upload is None or version.delete_file is None or version.read_deletion is None:
        raise _no_call_for_files(version)
    with may_be_missing(version, "a call that deletes uploads"):
        # Sent again after a lost answer, it would be refused, because the file is gone.
        yield Call(version.delete_file(file_id_of(file)), version.read_deletion, retries=0)


def _no_call_for_files(version: Platform) -> MinimaxRequestError:
    return MinimaxRequestError(
        f"{version.title} has no documented call that lists or deletes uploads", platform=version.name
    )


def get_task(
    platform: Platform,
    versions: TaskVersions,
    minimax_task_id: str,
    api_version: str | None = None,
    retries: int | None = None,
) -> Steps[VideoTask]:
    """
    Poll a remote task.

    :param platform: the platform, by the first version of its API.
    :param versions: which version knows which task, as far as that was found out.
    :param minimax_task_id: the task.
    :param api_version: which version knows it; ``None`` to find out.
    :param retries: how often to repeat a request that failed; as often as the connection allows by default.
    """
    search = search_for(minimax_task_id, platform, api_version, versions)
    for version in search.versions:
        try:
            task: VideoTask = yield Call(
                version.query(minimax_task_id), _task_reader(version, minimax_task_id), retries
            )
        except MinimaxError as error:
            search.failed(error)
        else:
            if search.found(task):
                return task
    return search.result()


def _task_reader(version: Platform, minimax_task_id: str) -> Callable[[HttpReply], VideoTask]:
    def read(reply: HttpReply) -> VideoTask:
        task = version.read_task(reply, minimax_task_id)
        if task.state is TaskState.SUCCEEDED and not task.has_output:
            # Seen in the field for the first seconds after the end; it must not be waited for without end.
            what = "prompt" if task.is_rewriting else "clip"
            raise MinimaxUnavailableError(
                f"the task succeeded, but the platform does not name its {what}",
                minimax_task_id=minimax_task_id,
                billing=f"The {what} was bought.",
                hint="Check again later, or ask the platform's support with this id.",
            )
        return task

    return read


def get_tasks(
    platform: Platform, minimax_task_ids: Sequence[str], api_version: str, known: Mapping[str, VideoTask]
) -> Steps[dict[str, VideoTask]]:
    """
    Poll several remote tasks with one request.

    :param platform: the platform, by the first version of its API.
    :param minimax_task_ids: the tasks, at most ``page_size`` of them.
    :param api_version: which version of the API knows them.
    :param known: tasks as they were last seen, by their ids; one whose status has not changed is returned as it is.
    :return: those that the platform says enough about, by their ids; the others have to be polled one by one.
    """
    version = platform.of_version(api_version)
    if version.list_tasks is None or version.read_list is None:
        return {}
    request = version.list_tasks(1, len(minimax_task_ids), None, minimax_task_ids, "")
    page: TaskPage = yield Call(request, partial(version.read_list, known=known), retries=0)
    return {
        task.minimax_task_id: task for task in page.tasks if task.state is not TaskState.SUCCEEDED or task.has_output
    }


def list_tasks(
    platform: Platform, api_version: str, *, model: str | None, page: int, page_size: int, task_type: str
) -> Steps[TaskPage]:
    """
    List the account's remote tasks.

    :param platform: the platform, by the first version of its API.
    :param api_version: of which version of the API.
    :param model: of which model; all if ``None``.
    :param page: which page, from 1.
    :param page_size: how many a page.
    :param task_type: what the tasks are for.
    :raises MinimaxRequestError: the platform has no list.
    """
    version = platform.of_version(api_version)
    if version.list_tasks is None or version.read_list is None:
        raise MinimaxRequestError(
            f"{version.title} has no documented list of tasks in version {api_version!r} of its API",
            platform=version.name,
            hint="Look for them in its console.",
        )
    with may_be_missing(version, "a list of tasks"):
        tasks: TaskPage = yield Call(version.list_tasks(page, page_size, model, (), task_type), version.read_list)
    return tasks


def get_file(platform: Platform, task: VideoTask) -> Steps[VideoFile]:
    """
    Ask where a finished task's clip is.

    :param platform: the platform, by the first version of its API.
    :param task: the finished task, or any task with a ``file_id``.
    """
    version = platform.of_version(task.api_version)
    if version.locate is None or version.read_file is None or task.file_id is None:
        return _own_file(version, task)
    file: VideoFile = yield Call(version.locate(task), version.read_file)
    return file


def _own_file(version: Platform, task: VideoTask) -> VideoFile:
    """Return the clip that a task names itself, where there is nothing else to ask for it."""
    if task.file_id is not None and version.locate is None and task.file is None:
        raise MinimaxRequestError(
            f"file_id={task.file_id!r}: {version.title} has no file ids; give the minimax_task_id of the clip",
            platform=version.name,
        )
    if task.is_rewriting or task.prompt is not None:
        raise MinimaxRequestError(
            f"task {task.minimax_task_id} rewrites a prompt, and has no clip",
            platform=version.name,
            minimax_task_id=task.minimax_task_id,
            hint="MinimaxTaskSensor returns its prompt.",
        )
    if task.file is None:
        raise MinimaxUnavailableError(
            f"{version.title} has no clip for this task (its status is {task.status or 'unknown'})",
            platform=version.name,
            minimax_task_id=task.minimax_task_id or None,
            hint="Wait for the task to succeed, with MinimaxTaskSensor, before fetching its clip.",
        )
    return task.file


def cancel(
    platform: Platform, versions: TaskVersions, minimax_task_id: str, api_version: str | None = None
) -> Steps[VideoTask]:
    """
    Cancel a remote task that is still queued; leave any other alone.

    The platform's call for this erases the record of a finished task, so the task is polled first.

    :param platform: the platform, by the first version of its API.
    :param versions: which version knows which task, as far as that was found out.
    :param minimax_task_id: the task.
    :param api_version: which version knows it; ``None`` to find out.
    :return: the task as it is now.
    :raises MinimaxRequestError: the platform cannot cancel.
    """
    # What cannot be cancelled at all is refused before anything is asked.
    _cancellation(platform.of_version(api_version) if api_version else platform.latest, minimax_task_id)
    task = yield from get_task(platform, versions, minimax_task_id, api_version)
    if task.state is not TaskState.PENDING:
        return task
    version = platform.of_version(task.api_version)
    with may_be_missing(version, "a call that cancels a task"):
        became: str = yield _cancellation(version, minimax_task_id)
    if became != "cancelled":
        # "deleted" means that the task ended since it was polled, and that its record is gone.
        raise MinimaxUnavailableError(
            f"the platform answered the cancellation with {became!r}", minimax_task_id=minimax_task_id
        )
    return replace(task, state=TaskState.CANCELLED, status=became)


def _cancellation(version: Platform, minimax_task_id: str) -> Call[str]:
    if version.cancel is None or version.read_cancellation is None:
        raise MinimaxRequestError(
            f"{version.title} cannot cancel tasks of version {version.api_version!r} of its API, as far as its "
            "documentation goes",
            platform=version.name,
            minimax_task_id=minimax_task_id,
            hint="The task keeps running and will be billed; wait for it with MinimaxTaskSensor.",
        )
    return Call(version.cancel(minimax_task_id), version.read_cancellation, retries=0)


def get_balance(platform: Platform, api_key: str, region: str) -> Steps[Balance]:
    """
    Ask what is left in an account.

    :param platform: the platform, by the first version of its API.
    :param api_key: the account's key; its kind decides the call.
    :param region: the account's region, which decides the currency.
    :raises MinimaxRequestError: the platform has no such call.
    """
    if platform.balance is None or platform.read_balance is None:
        raise MinimaxRequestError(
            f"{platform.title} has no documented call for what is left in an account",
            platform=platform.name,
            hint="Check its console.",
        )
    balance: Balance = yield Call(platform.balance(api_key), partial(platform.read_balance, region))
    return balance
