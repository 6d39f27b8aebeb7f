"""
Why a trigger is killed: its task was ended or cleared, or another triggerer watches it now.

Airflow says "cancelled by user action" in either case: to a triggerer that stood still until its triggers were given to
another one, and that goes on after that, too. The state of the Airflow task and its attempt make the difference.
"""

from __future__ import annotations

import asyncio
import time
from enum import Enum
from typing import Any

from airflow_provider_minimax.polling.cancel import ATTEMPT

# How long to ask Airflow, and how often. The first request of a triggerer takes it some five seconds.
_ASK_FOR = 15.0
_ASK_EVERY = 1.0
# Requests that go on although nobody waits for them any more: Airflow's channel loses its place if one is broken off.
_requests: set[asyncio.Task[Any]] = set()


class Reason(Enum):
    """Why a trigger is killed."""

    ENDED = "the Airflow task was marked, or deleted"
    CLEARED = "the Airflow task was cleared"
    TAKEN_OVER = "another triggerer took it over"
    TIMED_OUT = "its time is over, so that it ended by itself"
    UNKNOWN = "Airflow did not say in time whether the Airflow task was ended, or goes on at another triggerer"


def reason_of(state: str | None, attempt: str | None, own: str) -> Reason:
    """
    Return why a trigger is killed.

    :param state: the Airflow task's state; ``"removed"`` if there is none such any more.
    :param attempt: the attempt that last pushed its id, if any did and it was not wiped.
    :param own: the attempt that the trigger waits for.
    """
    if attempt not in (None, own):
        return Reason.CLEARED
    if state in ("failed", "success", "skipped", "removed"):
        return Reason.ENDED
    if state is None:
        return Reason.CLEARED
    if state == "deferred" and attempt == own:
        return Reason.TAKEN_OVER
    # It was cleared and has not begun yet, or it has just been resumed by another triggerer.
    return Reason.UNKNOWN


async def why_killed(task_instance: Any, own: str | None) -> Reason:
    """
    Ask Airflow why a trigger is killed, for as long as the answer may still become clear.

    :param task_instance: the Airflow task that waits, if Airflow gave it to the trigger.
    :param own: the attempt that the trigger waits for, if the operator pushed it.
    """
    if task_instance is None or own is None:
        return Reason.UNKNOWN
    deadline = time.monotonic() + _ASK_FOR
    while (left := deadline - time.monotonic()) > 0:
        request = asyncio.create_task(_ask(task_instance))
        _requests.add(request)
        request.add_done_callback(_end_request)
        await asyncio.wait({request}, timeout=left)
        if request.done() and request.exception() is None:
            reason = reason_of(*request.result(), own)
            if reason is not Reason.UNKNOWN:
                return reason
        await asyncio.sleep(_ASK_EVERY)
    return Reason.UNKNOWN


def _end_request(request: asyncio.Task[Any]) -> None:
    _requests.discard(request)
    if not request.cancelled():
        request.exception()


async def _ask(task_instance: Any) -> tuple[str | None, str | None]:
    """Return the task's state and the attempt that last pushed its id."""
    from airflow.sdk.execution_time.comms import GetTaskStates, GetXCom, TaskStatesResult, XComResult
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
    from airflow.sdk.execution_time.xcom import XCom

    dag_id, run_id = task_instance.dag_id, task_instance.run_id
    task_id, map_index = task_instance.task_id, task_instance.map_index
    states, xcom = await asyncio.gather(
        SUPERVISOR_COMMS.asend(GetTaskStates(dag_id=dag_id, run_ids=[run_id], task_ids=[task_id], map_index=map_index)),
        SUPERVISOR_COMMS.asend(
            GetXCom(key=ATTEMPT, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
        ),
        return_exceptions=True,
    )
    if isinstance(states, BaseException):
        raise states
    if not isinstance(states, TaskStatesResult):
        raise TypeError(f"not the states of tasks: {states!r}")
    # The platform of a custom XCom backend may be far away.
    is_known = isinstance(xcom, XComResult) and xcom.value is not None
    attempt = await asyncio.to_thread(XCom.deserialize_value, xcom) if is_known else None
    name = task_id if map_index < 0 else f"{task_id}_{map_index}"
    return states.task_states.get(run_id, {}).get(name, "removed"), attempt
