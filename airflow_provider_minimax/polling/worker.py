"""Waiting for a remote task in the worker itself, and what a wait goes by wherever it is."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import MinimaxError
from airflow_provider_minimax.hooks.minimax import poll_once
from airflow_provider_minimax.polling.poller import (
    FixedInterval,
    KeepPolling,
    Outcome,
    TaskPoller,
    terminal_outcome,
    time_left,
)
from airflow_provider_minimax.polling.schedule import learned_schedule

if TYPE_CHECKING:
    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.receipt import Receipt


def poll_first(hook: MinimaxHook, receipt: Receipt, *, within: float, log: Any) -> Outcome | None:
    """
    Check a task that was bought before: it may have ended long ago.

    :param hook: the way to the platform.
    :param receipt: the purchase.
    :param within: how many seconds a wait for it may take, and so this.
    :param log: where to say that the check failed.
    :return: how the task ended; ``None`` if it has not, or that cannot be seen just now.
    """
    try:
        return terminal_outcome(poll_once(hook, str(receipt.minimax_task_id), receipt.api_version, within))
    except MinimaxError as error:
        if error.is_final:
            return Outcome(None, error)
        log.warning("First status check failed, will keep polling: %s", error)
        return None


def wait_in_worker(
    hook: MinimaxHook, receipt: Receipt, *, deadline: float, poll_interval: float | None, clip: dict[str, Any], log: Any
) -> Outcome:
    """
    Poll a remote task until it ends or the deadline passes.

    :param hook: the way to the platform.
    :param receipt: the purchase.
    :param deadline: when to stop, in epoch seconds.
    :param poll_interval: seconds between status checks; ``None`` goes by how long such clips take.
    :param clip: what :func:`timing_of` returned.
    :param log: where to say what happens.
    :return: how it ended.
    """
    minimax_task_id = str(receipt.minimax_task_id)
    pace = learned_schedule(hook.minimax_conn_id, clip) if poll_interval is None else FixedInterval(poll_interval)
    watch = TaskPoller(minimax_task_id, deadline=deadline, pace=pace)
    step: KeepPolling | Outcome = watch.start(time.time())
    while isinstance(step, KeepPolling):
        if step.note:
            log.log(logging.WARNING if step.warn else logging.INFO, "%s", step.note)
        time.sleep(step.seconds)
        try:
            within = time_left(deadline, time.time())
            seen: VideoTask | MinimaxError = poll_once(hook, minimax_task_id, receipt.api_version, within)
        except MinimaxError as error:
            seen = error
        step = watch.after(seen, time.time())
    return step


def timing_of(request: PaidRequest, receipt: Receipt) -> dict[str, Any]:
    """
    Return what the times of status checks depend on, as plain values for a trigger.

    :param request: what was bought.
    :param receipt: when.
    """
    is_clip = request.task_type == "generation"
    return {
        "model": request.model if is_clip else f"{request.model} {request.task_type}",
        "resolution": request.get("resolution"),
        "duration": request.get("duration"),
        "bought_at": receipt.began_at.timestamp(),
    }
