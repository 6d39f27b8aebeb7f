"""Waiting for a remote task in the worker itself, for operators and the sensor alike."""

from __future__ import annotations

import logging
import math
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.callbacks.reader import PushedTask, callbacks_are_on
from airflow_provider_minimax.callbacks.sleeper import PushSleeper
from airflow_provider_minimax.exceptions import (
    CANCELLED,
    MinimaxAuthError,
    MinimaxConnectionUnusableError,
    MinimaxError,
    MinimaxTaskTimeoutError,
    after_purchase,
)
from airflow_provider_minimax.polling.cancel import describe_cancellation, try_cancel
from airflow_provider_minimax.polling.poller import (
    FixedInterval,
    KeepPolling,
    Outcome,
    PollSchedule,
    TaskPoller,
    terminal_outcome,
    time_left,
)
from airflow_provider_minimax.polling.pushed import PushedSchedule
from airflow_provider_minimax.polling.schedule import learned_schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.receipt import Receipt


def poll_once(
    hook: MinimaxHook,
    minimax_task_id: str,
    api_version: str | None = None,
    *,
    within: float = math.inf,
    retries: int | None = 0,
) -> VideoTask:
    """
    Check a remote task once; after a refused key, look the connection up and ask again if it has changed.

    A wait may last hours, and keys are replaced meanwhile.

    :param hook: the hook to ask through.
    :param minimax_task_id: the remote task.
    :param api_version: which version of MiniMax's API knows it, if that is known.
    :param within: how many seconds each request may take.
    :param retries: how often to repeat a request that fails; ``None``: as often as the connection says.
    :raises MinimaxAuthError: the connection's current key was refused.
    :raises MinimaxError: the check failed, by what to do about it.
    """

    def ask() -> VideoTask:
        return hook.get_task(minimax_task_id, api_version=api_version, retries=retries, within=within)

    try:
        return ask()
    except MinimaxAuthError:
        try:
            has_changed = hook.reload()
        except MinimaxError as error:
            error.minimax_task_id = error.minimax_task_id or minimax_task_id
            raise
        if not has_changed:
            raise
    return ask()


class TaskWait:
    """
    The wait of one Airflow task for one remote task.

    :param hook: the way to the platform.
    :param minimax_task_id: the remote task.
    :param api_version: which version of MiniMax's API knows it; ``None``: the first answer says so.
    :param log: where to say what happens.
    :param deadline: when the wait ends, in epoch seconds.
    :param waits_out_connection: whether a connection that cannot be used just now is waited for, too.
    :param purchase_attempt: the purchase attempt that bought the remote task with a callback, whose pushes have it
        polled at once; ``None`` if there are none.
    """

    def __init__(
        self,
        hook: MinimaxHook,
        minimax_task_id: str,
        api_version: str | None,
        *,
        log: Any,
        deadline: float = math.inf,
        waits_out_connection: bool = False,
        purchase_attempt: str | None = None,
    ) -> None:
        self.hook = hook
        self.minimax_task_id = minimax_task_id
        self.api_version = api_version
        self.deadline = deadline
        self._log = log
        self._waits_out_connection = waits_out_connection
        self._purchase_attempt = purchase_attempt

    def poll(self, *, retries: int | None = 0) -> VideoTask:
        """
        Check the task once.

        :param retries: how often to repeat a request that fails; ``None``: as often as the connection says.
        :raises MinimaxError: the check failed, by what to do about it.
        """
        within = time_left(self.deadline, time.time())
        task = poll_once(self.hook, self.minimax_task_id, self.api_version, within=within, retries=retries)
        self.api_version = task.api_version
        return task

    def poll_first(self) -> Outcome | None:
        """
        Check a task that may have ended long ago, before the wait for it begins.

        :return: how it ended, or why there is no use in waiting; ``None`` if the wait is to begin.
        """
        try:
            task = self.poll()
        except MinimaxError as raised:
            error = after_purchase(raised, "worker")
            is_cut_off = isinstance(error, MinimaxConnectionUnusableError) and not self._waits_out_connection
            if error.is_final or is_cut_off:
                return Outcome(None, error)
            self._log.warning("First status check failed, will keep polling: %s", error)
            return None
        self._log.info("MiniMax task %s: %s", task.minimax_task_id, task.status or task.state)
        return terminal_outcome(task)

    def poll_until_done(self, poll_interval: float | None, clip: dict[str, Any]) -> Outcome:
        """
        Poll the task in this process until it ends or the deadline passes.

        :param poll_interval: seconds between status checks; ``None`` goes by how long such clips take.
        :param clip: what :func:`timing_of` returned.
        :return: how it ended.
        """
        usual = (
            learned_schedule(self.hook.minimax_conn_id, clip) if poll_interval is None else FixedInterval(poll_interval)
        )
        schedule, sleep = self._listening(usual)
        poller = TaskPoller(self.minimax_task_id, deadline=self.deadline, schedule=schedule)
        step: KeepPolling | Outcome = poller.start(time.time())
        while isinstance(step, KeepPolling):
            if step.note:
                self._log.log(logging.WARNING if step.warn else logging.INFO, "%s", step.note)
            sleep(step.seconds)
            try:
                seen: VideoTask | MinimaxError = self.poll()
            except MinimaxError as error:
                seen = error
            step = poller.after(seen, time.time())
        return step

    def _listening(self, usual: PollSchedule) -> tuple[PollSchedule, Callable[[float], None]]:
        """Return when to poll and how to sleep until then, so that a push brings the next poll forward."""
        if self._purchase_attempt is None or not callbacks_are_on():
            return usual, time.sleep
        task = PushedTask(self.minimax_task_id, self._purchase_attempt)
        return PushedSchedule(usual, task), PushSleeper(self.hook.minimax_conn_id, task, log=self._log).sleep

    def cancel(self) -> tuple[VideoTask | MinimaxError, str]:
        """
        Cancel the remote task if it is still queued.

        A signal may come in the middle of a request, so this does not share its client.

        :return: the task as it is now, or why that is not known; and the same in words.
        """
        with closing(self.hook.apart()) as hook:
            seen = try_cancel(hook, self.minimax_task_id, self.api_version)
        return seen, describe_cancellation(seen, self.minimax_task_id)

    def cancel_after_timeout(self, error: MinimaxTaskTimeoutError, *, hint: str) -> MinimaxError | None:
        """
        Cancel the remote task if it is still queued, and let the error of the time-out say what became of it.

        :param error: the error.
        :param hint: what to do if the task was cancelled, a whole sentence.
        :return: the failure to write down, if the task was cancelled.
        """
        seen, error.billing = self.cancel()
        outcome = None if isinstance(seen, MinimaxError) else terminal_outcome(seen)
        if outcome is None or not is_cancelled(outcome):
            return None
        error.hint = hint
        return outcome.error


def is_cancelled(outcome: Outcome) -> bool:
    """Whether a wait ended because the remote task was cancelled while it was queued, which was free of charge."""
    return outcome.error is not None and outcome.error.code == CANCELLED


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
