"""What the hook asks of a platform, and what it makes of the answers, whoever sends the one and reads the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_minimax.api import rules
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.message import NO_SUCH_CALL, HttpReply, HttpRequest
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.request import PaidRequest
from airflow_provider_minimax.api.task import TaskState, VideoFile, VideoTask
from airflow_provider_minimax.exceptions import MinimaxError, MinimaxRequestError, MinimaxUnavailableError

if TYPE_CHECKING:
    from airflow_provider_minimax.api.balance import Balance
    from airflow_provider_minimax.api.cost import ListPrice


@contextmanager
def about_task(minimax_task_id: str) -> Iterator[None]:
    """
    Let every error of a call about a remote task carry its id, so that whoever gets it knows that something is bought.

    :param minimax_task_id: the task; empty if only its file is known.
    """
    try:
        yield
    except MinimaxError as error:
        error.minimax_task_id = error.minimax_task_id or minimax_task_id or None
        raise


@contextmanager
def doubting_address() -> Iterator[None]:
    """Let an error of a purchase say where to look if the address may not have that call at all."""
    try:
        yield
    except MinimaxRequestError as error:
        if error.http_status in NO_SUCH_CALL:
            error.hint = error.hint or (
                "Check host, platform and path_prefix of the connection; its test says which versions of the API are "
                "there."
            )
        raise


@contextmanager
def may_be_missing(platform: Platform, what: str) -> Iterator[None]:
    """
    Let an error say that an address does not have a call which gateways leave out, if that is what is wrong.

    :param platform: who is asked; a gateway that nobody knows may be behind the address.
    :param what: what the call is for.
    """
    try:
        yield
    except (MinimaxRequestError, MinimaxUnavailableError) as error:
        if error.http_status in NO_SUCH_CALL:
            error.message = f"{what} was not found at this address, as at gateways that leave it out: {error.message}"
            error.args = (error.message,)
            error.platform = error.platform or platform.name
        raise


def no_list(platform: Platform) -> MinimaxRequestError:
    """
    Return the error for a platform that has no list of tasks.

    :param platform: who was to be asked.
    """
    return MinimaxRequestError(
        f"{platform.title} has no documented list of tasks in version {platform.api_version!r} of its API",
        platform=platform.name,
        hint="Look for them in its console.",
    )


def task_reader(platform: Platform, minimax_task_id: str) -> Callable[[HttpReply], VideoTask]:
    """
    Return what reads the answer to a look at a task.

    :param platform: who was asked.
    :param minimax_task_id: about which task.
    """

    def read(reply: HttpReply) -> VideoTask:
        task = platform.read_task(reply, minimax_task_id)
        if task.state is TaskState.SUCCEEDED and not task.has_output:
            # Seen in the field for the first seconds after the end; it must not be waited for without end.
            what = "prompt" if task.is_rewriting else "clip"
            raise MinimaxUnavailableError(
                f"the task succeeded, but the platform does not name its {what}",
                minimax_task_id=minimax_task_id,
                billing=f"The {what} was bought.",
                hint="Look again later, or ask the platform's support with this id.",
            )
        return task

    return read


def cancellation(platform: Platform, minimax_task_id: str) -> tuple[HttpRequest, Callable[[HttpReply], str]]:
    """
    Return the call that cancels a queued task, and what reads its answer.

    :param platform: who is asked.
    :param minimax_task_id: the task.
    :raises MinimaxRequestError: the platform cannot cancel.
    """
    if platform.cancel is None or platform.read_cancellation is None:
        raise MinimaxRequestError(
            f"{platform.title} cannot cancel tasks of version {platform.api_version!r} of its API, as far as its "
            "documentation goes",
            platform=platform.name,
            minimax_task_id=minimax_task_id,
            hint="The task goes on and is billed; wait for it with MinimaxTaskSensor.",
        )
    return platform.cancel(minimax_task_id), platform.read_cancellation


def cancelled(task: VideoTask, became: str) -> VideoTask:
    """
    Return a task as it is after its cancellation.

    :param task: the task as it was seen before.
    :param became: what the platform says became of it.
    :raises MinimaxUnavailableError: something else.
    """
    if became != "cancelled":
        # "deleted" means that the task ended between the look and this, and that its record is gone.
        raise MinimaxUnavailableError(
            f"the platform answered the cancellation with {became!r}", minimax_task_id=task.minimax_task_id
        )
    return replace(task, state=TaskState.CANCELLED, status=became)


def balance(platform: Platform, endpoint: Endpoint) -> tuple[HttpRequest, Callable[[HttpReply], Balance]]:
    """
    Return the call that asks what is left in an account, and what reads its answer.

    :param platform: who is asked.
    :param endpoint: whose account.
    :raises MinimaxRequestError: the platform has no such call.
    """
    if platform.balance is None or platform.read_balance is None:
        raise MinimaxRequestError(
            f"{platform.title} has no documented call for what is left in an account",
            platform=platform.name,
            hint="Look at its console.",
        )
    return platform.balance(endpoint.api_key), partial(platform.read_balance, endpoint.region)


def own_file(task: VideoTask, platform: Platform) -> VideoFile:
    """
    Return the clip that a task names itself, where there is nothing else to ask for it.

    :param task: the task as it was seen.
    :param platform: where it is.
    :raises MinimaxRequestError: it has no clip, or is not known by what was given.
    :raises MinimaxUnavailableError: it has no clip yet.
    """
    if task.file_id is not None and platform.locate is None and task.file is None:
        raise MinimaxRequestError(
            f"file_id={task.file_id!r}: {platform.title} has no file ids; give the minimax_task_id of the clip",
            platform=platform.name,
        )
    if task.is_rewriting or task.prompt is not None:
        raise MinimaxRequestError(
            f"task {task.minimax_task_id} is the rewriting of a prompt, and has no clip",
            platform=platform.name,
            minimax_task_id=task.minimax_task_id,
            hint="MinimaxTaskSensor returns its prompt.",
        )
    if task.file is None:
        raise MinimaxUnavailableError(
            f"{platform.title} has no clip for this task (its status is {task.status or 'unknown'})",
            platform=platform.name,
            minimax_task_id=task.minimax_task_id or None,
            hint="Wait for the task to succeed, with MinimaxTaskSensor, before fetching its clip.",
        )
    return task.file


def list_price_at(
    request: PaidRequest, endpoint: Endpoint, seconds: float | None = None, input_seconds: float | None = None
) -> ListPrice | None:
    """
    Return what a request lists at, where that is known: at MiniMax itself.

    :param request: what is paid for.
    :param endpoint: whose account; its region decides the currency.
    :param seconds: how long the result is, where only that decides.
    :param input_seconds: how long the reference videos are together, where that was told.
    """
    # MiniMax itself has no prefix: behind one is a gateway, which has prices of its own.
    if endpoint.platform != "minimax" or endpoint.path_prefix:
        return None
    currency = "cny" if endpoint.region == "cn" else "usd"
    return rules.list_price(request, currency=currency, seconds=seconds, input_seconds=input_seconds)
