"""Cancelling a remote task that nobody waits for any more, and saying what becomes of it and of the money."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import MinimaxError, MinimaxUnavailableError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

ATTEMPT = "minimax_attempt"
"""The XCom that says which attempt of an Airflow task deferred last."""

log = logging.getLogger(__name__)

# Airflow gives a killed trigger 30 s by default, and then ends it without a word; a killed worker has 60 s.
_CANCEL_WITHIN = 25.0


def push_attempt(context: Context) -> str | None:
    """
    Push to XCom which attempt this is, right before it defers, so that its trigger knows who is waiting.

    :param context: the task's context.
    :return: the attempt; ``None`` if it could not be pushed, which is no reason to fail a task that has bought.
    """
    ti = context["ti"]
    try:
        attempt = str(ti.id)
        ti.xcom_push(key=ATTEMPT, value=attempt)
    except Exception as error:
        log.warning(
            "The remote task will not be cancelled if this one is killed: no XCom could be pushed (%s)",
            _as_ours(error).message,
        )
        return None
    return attempt


def try_cancel(hook: MinimaxHook, minimax_task_id: str, api_version: str | None) -> VideoTask | MinimaxError:
    """
    Cancel a remote task if it is still queued; errors are returned, not raised: the wait is over.

    :param hook: the way to the platform.
    :param minimax_task_id: the task.
    :param api_version: which version of MiniMax's API knows it, if that is known.
    :return: the task as it is now, or why it is not known.
    """
    try:
        return hook.cancel(minimax_task_id, api_version=api_version, within=_CANCEL_WITHIN)
    except Exception as error:
        return _as_ours(error)


async def atry_cancel(hook: MinimaxHook, minimax_task_id: str, api_version: str | None) -> VideoTask | MinimaxError:
    """Do what :func:`try_cancel` does, on an event loop."""
    try:
        async with asyncio.timeout(_CANCEL_WITHIN):
            return await hook.acancel(minimax_task_id, api_version=api_version)
    except TimeoutError:
        return MinimaxUnavailableError(f"the platform did not answer within {_CANCEL_WITHIN:g} s")
    except Exception as error:
        return _as_ours(error)


async def shielded(work: Coroutine[Any, Any, None]) -> asyncio.CancelledError | None:
    """
    Await something to its end, even if the task that awaits it is cancelled.

    Airflow cancels a trigger that was killed once a second until it has ended, and its ``on_kill`` with it, which would
    break off the cancellation of a remote task.

    :param work: what to await.
    :return: the first of those cancellations, for who has to end by it.
    """
    task, cancelled = asyncio.create_task(work), None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    await task
    return cancelled


def describe_cancellation(seen: VideoTask | MinimaxError, minimax_task_id: str) -> str:
    """
    Say what became of a task that nobody waits for any more.

    :param seen: what :func:`try_cancel` returned.
    :param minimax_task_id: the task.
    """
    from airflow_provider_minimax.api.task import TaskState

    if isinstance(seen, MinimaxError):
        why = seen.message.rstrip(". ")
        return f"Task {minimax_task_id} could not be cancelled ({why}), so it may keep running and be billed."
    match seen.state:
        case TaskState.CANCELLED:
            return f"Task {minimax_task_id} was cancelled while it was queued, which is free of charge."
        case TaskState.SUCCEEDED:
            return f"Task {minimax_task_id} succeeded meanwhile and is billed."
        case TaskState.FAILED:
            return f"Task {minimax_task_id} failed meanwhile; whether failed tasks are billed is not documented."
        case _:
            why = "is no longer queued, so it cannot be cancelled"
            return f"Task {minimax_task_id} {why}: it keeps running and is billed."


def _as_ours(error: Exception) -> MinimaxError:
    from airflow_provider_minimax.text.redaction import redact

    if isinstance(error, MinimaxError):
        return error
    return MinimaxUnavailableError(redact(f"{type(error).__name__}: {error}"))
