"""
The trigger: watches one remote task without a worker slot.

It never submits, downloads or holds a secret. Its keyword arguments are a wire format, kept in Airflow's database in
plain text and read back by other versions of this code: new ones need defaults.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextvars import copy_context
from typing import Any, cast

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_minimax.api.task import VideoTask
from airflow_provider_minimax.callbacks.reader import PushedTask
from airflow_provider_minimax.exceptions import MinimaxError, MinimaxUnavailableError
from airflow_provider_minimax.polling import handover
from airflow_provider_minimax.polling.background_log import Line
from airflow_provider_minimax.polling.cancel import atry_cancel, describe_cancellation, shielded
from airflow_provider_minimax.polling.poller import MAX_FAILURES, FixedInterval, KeepPolling, Outcome, TaskPoller
from airflow_provider_minimax.polling.pushed import PushedSchedule, learn_duration
from airflow_provider_minimax.polling.schedule import LearnedSchedule, learned_schedule
from airflow_provider_minimax.polling.shared_poller import Reschedule, SharedPoller
from airflow_provider_minimax.text.redaction import redact
from airflow_provider_minimax.text.storable import storable
from airflow_provider_minimax.triggers.killed import Reason, why_killed
from airflow_provider_minimax.triggers.shared_poller import get_shared_poller
from airflow_provider_minimax.triggers.wire_format import changed_arguments


class MinimaxTaskTrigger(BaseTrigger):
    """
    Poll a remote task until it ends or the deadline passes; then send one small event.

    :param minimax_task_id: the remote task. Not named ``task_id``, which Airflow overwrites on triggers.
    :param minimax_conn_id: the connection to poll through.
    :param deadline: when the wait ends, in epoch seconds, so that it survives a restart of the triggerer.
    :param poll_interval: seconds between polls; ``None`` goes by how long such clips take.
    :param exponential_backoff: whether the waits double from poll to poll.
    :param max_wait: the longest wait in seconds, with ``exponential_backoff``.
    :param max_failures: how many polls in a row may fail before the wait ends; ``None``: as many as fit the deadline.
    :param api_version: which version of MiniMax's API knows the remote task; ``None``: the first answer says so.
    :param cancel_on_kill: whether to cancel the remote task, if it is still queued, when the Airflow task is marked or
        deleted. Needs ``attempt``.
    :param cancel_on_clear: whether to do so when the Airflow task is cleared, too; not if its next attempt would go on
        with the remote task.
    :param attempt: the attempt that waits, as :func:`~airflow_provider_minimax.polling.cancel.push_attempt` pushed it.
        Airflow also kills triggers of a task that merely went to another triggerer; nothing else distinguishes them.
    :param purchase_attempt: the purchase attempt that bought the remote task, if the platform was given its callback
        address; pushes to it bring the next poll forward, and make the others rare. ``"*"`` if it is not known: pushes
        of the remote task bring the next poll forward, and the others stay as they are.
    :param clip: what is known of the clip, for a schedule of its own: ``model``, ``resolution``, ``duration``, and
        ``bought_at`` in epoch seconds.
    """

    def __init__(
        self,
        *,
        minimax_task_id: str,
        minimax_conn_id: str,
        deadline: float,
        poll_interval: float | None = None,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        max_failures: int | None = MAX_FAILURES,
        api_version: str | None = None,
        cancel_on_kill: bool = False,
        clip: dict[str, Any] | None = None,
        cancel_on_clear: bool = False,
        attempt: str | None = None,
        purchase_attempt: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.minimax_task_id = minimax_task_id
        self.minimax_conn_id = minimax_conn_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.max_failures = max_failures
        self.api_version = api_version
        self.cancel_on_kill = cancel_on_kill
        self.clip = clip
        self.cancel_on_clear = cancel_on_clear
        self.attempt = attempt
        self.purchase_attempt = purchase_attempt
        self._is_over = False

    @property
    def log(self) -> Any:
        """The logger, one for all triggers: one for each would be a tenth of what a trigger holds while it waits."""
        return self.logger()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the keyword arguments to build this trigger again."""
        return "airflow_provider_minimax.triggers.video.MinimaxTaskTrigger", changed_arguments(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll, then yield one event and return at once: a trigger that lingers is taken for one that was killed."""
        began = asyncio.get_running_loop().time()
        async with get_shared_poller(self.minimax_conn_id) as shared_poller:
            with shared_poller.pushes.follow(self.minimax_task_id, self.purchase_attempt) as pushed:
                outcome = await self._watch(shared_poller, pushed)
        await handover.finished(began)
        self._is_over = True
        yield TriggerEvent(storable(outcome.as_event()))  # type: ignore[no-untyped-call]

    async def _watch(self, shared_poller: SharedPoller, pushed: PushedTask | None) -> Outcome:
        schedule = self._schedule() if pushed is None else PushedSchedule(self._schedule(), pushed)
        task_poller = TaskPoller(
            self.minimax_task_id,
            deadline=self.deadline,
            schedule=schedule,
            process="triggerer",
            max_failures=self.max_failures,
        )
        context = copy_context()

        def say(step: KeepPolling) -> None:
            if step.note:
                shared_poller.log.add(Line(self.log, context, step.note, step.warn))

        def reschedule(task: VideoTask, now: float) -> float | None:
            self.api_version = task.api_version
            after = task_poller.reschedule(task, now)
            if after is None and not task_poller.is_last(task, now):
                # Only news: waking this trigger for it would cost several times as much.
                step = cast("KeepPolling", task_poller.after(task, now))
                say(step)
                after = step.seconds
            return after

        step: KeepPolling | Outcome = task_poller.start(time.time())
        while isinstance(step, KeepPolling):
            say(step)
            step = task_poller.after(await self._poll(shared_poller, step.seconds, reschedule), time.time())
        await shared_poller.log.written()
        if step.error is None:
            learn_duration(schedule, task_poller.seen_running_at, time.time())
        return step

    def _schedule(self) -> FixedInterval | LearnedSchedule:
        if self.poll_interval is not None:
            return FixedInterval(self.poll_interval, self.exponential_backoff, self.max_wait)
        if self.clip is None:
            return FixedInterval()
        return learned_schedule(self.minimax_conn_id, self.clip)

    async def _poll(
        self, shared_poller: SharedPoller, after: float, reschedule: Reschedule
    ) -> VideoTask | MinimaxError:
        try:
            return await shared_poller.poll(
                self.minimax_task_id,
                self.api_version,
                after=after,
                within=self.deadline - time.time(),
                reschedule=reschedule,
            )
        except MinimaxError as error:
            return error
        except Exception as error:
            # A trigger that breaks ends the wait for a task that is bought.
            return MinimaxUnavailableError(redact(f"{type(error).__name__}: {error}"))

    async def on_kill(self) -> None:
        """Cancel what may be cancelled when the deferred task is cleared or marked, and say what goes on."""
        if self._is_over:
            return
        if self.cancel_on_kill:
            await shielded(self._end())
        else:
            await self._say(
                f"No longer watching MiniMax task {self.minimax_task_id} in this triggerer: the Airflow task was ended "
                "or cleared, or another triggerer watches it now. The remote task is not cancelled, so it goes on and "
                "will be billed; wait for it with MinimaxTaskSensor and this id.",
                warn=True,
            )

    async def _end(self) -> None:
        """Cancel the remote task if the Airflow task has really left its wait, and say what was done and why."""
        if time.time() >= self.deadline:
            reason = Reason.TIMED_OUT
        else:
            reason = await why_killed(self.task_instance, self.attempt)
        if reason is Reason.ENDED or (reason is Reason.CLEARED and self.cancel_on_clear):
            async with get_shared_poller(self.minimax_conn_id) as shared_poller:
                seen = await atry_cancel(shared_poller.hook, self.minimax_task_id, self.api_version)
            await self._say(
                f"No longer watching: {reason.value}. {describe_cancellation(seen, self.minimax_task_id)}", warn=True
            )
        else:
            await self._say(
                f"No longer watching in this triggerer: {reason.value}. MiniMax task {self.minimax_task_id} is not "
                "cancelled, so it goes on and will be billed.",
                warn=reason is Reason.UNKNOWN,
            )

    async def _say(self, text: str, *, warn: bool) -> None:
        """Log from a thread: a busy triggerer rarely reads its pipe of logs, and a full one would block the loop."""
        await asyncio.to_thread(self.log.log, logging.WARNING if warn else logging.INFO, "%s", text)
