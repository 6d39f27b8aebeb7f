"""
When to ask again, and when to stop: pure decisions, shared by every loop that waits for a task.

The trigger, the operator's own waiting and the sensor feed what they saw and a clock to a :class:`TaskPoller` (or, for
a single status check, to :func:`settle`), so they cannot come to differ. No I/O, no sleeping, no logging.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.exceptions import (
    CANCELLED,
    MinimaxConfigurationError,
    MinimaxConnectionNotFoundError,
    MinimaxConnectionUnusableError,
    MinimaxError,
    MinimaxModerationError,
    MinimaxTaskFailedError,
    MinimaxTaskTimeoutError,
    after_purchase,
    error_from_event,
)

# Some five minutes at the default interval: nobody should have to act on an outage that short.
MAX_FAILURES = 30
# How long an answer may still take when the time allowed is over, so that the last poll can be at the deadline.
LAST_ANSWER = 5.0
_MODERATION_CODES = ("1026", "1027")


def time_left(deadline: float, now: float) -> float:
    """
    Return how many seconds a poll may take, whatever the platform does meanwhile.

    :param deadline: when the wait ends, in epoch seconds.
    :param now: the time, in epoch seconds.
    """
    return max(deadline - now, 0.0) + LAST_ANSWER


class PollSchedule(Protocol):
    """Says how long to wait between two polls."""

    def delay(self, now: float, polls: int, jitter: float) -> float:
        """
        Return the seconds to wait.

        :param now: the time, in epoch seconds.
        :param polls: how many polls there were.
        :param jitter: a number from 0 to 1, the same for all polls of a task, that spreads the polls of many tasks.
        """


@dataclass(frozen=True, slots=True)
class FixedInterval:
    """
    The same wait between all polls, or ever longer ones.

    :param interval: seconds between polls.
    :param exponential_backoff: whether the waits double from poll to poll, as Airflow's sensors do it.
    :param max_wait: the longest wait in seconds, with ``exponential_backoff``.
    """

    interval: float = 10.0
    exponential_backoff: bool = False
    max_wait: float | None = None

    def delay(self, now: float, polls: int, jitter: float) -> float:
        """Return the seconds to wait; the first poll is spread over an interval, which keeps the later ones spread."""
        if polls == 0:
            return self.interval * jitter
        if not self.exponential_backoff:
            return self.interval
        delay = max(self.interval * 2.0 ** min(polls - 2, 60), 1.0) * (1 + jitter)
        return delay if self.max_wait is None else min(delay, self.max_wait)


@dataclass(frozen=True, slots=True)
class KeepPolling:
    """
    Not settled yet.

    :param seconds: how long to wait before the next poll.
    :param note: what is worth a line in the log, if anything changed.
    :param warn: whether that line is a warning.
    """

    seconds: float
    note: str | None = None
    warn: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How a wait ended.

    :param task: the task as it was last seen, if it was.
    :param error: why there is no clip; ``None`` means that there is one.
    """

    task: VideoTask | None
    error: MinimaxError | None = None

    def result(self) -> VideoTask:
        """Return the finished task, or raise why there is none."""
        if self.error is not None:
            raise self.error
        if self.task is None:
            raise ValueError("an outcome without an error must have a task")
        return self.task

    def as_event(self) -> dict[str, Any]:
        """Return the outcome as small plain values for a trigger event: no URL, no secret."""
        return {
            "task": self.task and self.task.as_event(),
            "error": self.error and self.error.as_event(),
        }

    @classmethod
    def from_event(cls, event: Any) -> Outcome:
        """
        Read an outcome back from a trigger event.

        :param event: the event's payload; anything but what :meth:`as_event` makes (such as an event of another
            version's trigger) is an outcome with an error.
        """
        task, error = (event.get("task"), event.get("error")) if isinstance(event, Mapping) else (None, None)
        if isinstance(error, Mapping):
            return cls(None, error_from_event(dict(error)))
        if not isinstance(task, Mapping) or "task_id" not in task or task.get("state") != TaskState.SUCCEEDED:
            return cls(
                None,
                MinimaxError(
                    "the trigger ended with an event that this version of the provider cannot read",
                    hint="Install the same version of the provider for workers and triggerers, and restart them.",
                ),
            )
        return cls(VideoTask.from_event(task))


def terminal_outcome(task: VideoTask) -> Outcome | None:
    """
    Decide whether a task is over.

    :param task: the task as it was seen.
    :return: how it ended, or ``None`` while it goes on; states that nobody documents count as going on.
    """
    if task.state is TaskState.SUCCEEDED:
        return Outcome(task)
    if task.state not in (TaskState.FAILED, TaskState.CANCELLED):
        return None
    refused = task.code in _MODERATION_CODES
    # On v2 only what is still queued can be cancelled; what the word means at a gateway is not written anywhere.
    was_free = task.state is TaskState.CANCELLED and task.api_version == "v2"
    how = "was refused as sensitive" if refused else "was cancelled" if task.state is TaskState.CANCELLED else "failed"
    kind = MinimaxModerationError if refused else MinimaxTaskFailedError
    return Outcome(
        task,
        kind(
            f"the remote task {how}: {task.reason or f'the platform gave no reason (status {task.status})'}",
            minimax_task_id=task.minimax_task_id,
            # Nobody else's word may say that nothing was charged.
            code=CANCELLED if was_free else None if task.code == CANCELLED else task.code,
            billing="A task that is cancelled while it is queued is free of charge."
            if was_free
            else "Whether failed tasks are billed is not documented; check your account.",
            hint="Change the prompt or the image; the same request would be refused again." if refused else None,
        ),
    )


def timed_out(minimax_task_id: str | None, problem: str, *, hint: str) -> MinimaxTaskTimeoutError:
    """
    Return the error of a wait that took too long.

    :param minimax_task_id: the remote task, if it is known.
    :param problem: what happened.
    :param hint: how to wait on, a whole sentence.
    """
    return MinimaxTaskTimeoutError(
        problem,
        minimax_task_id=minimax_task_id,
        billing=f"Task {minimax_task_id or 'at the platform'} keeps running and will be billed.",
        hint=hint,
    )


class TaskPoller:
    """
    The wait for one task: given what was seen, it says what to do next.

    :param minimax_task_id: the remote task.
    :param deadline: when the wait ends, in epoch seconds: a wall clock, so that it survives a change of process.
    :param schedule: how long to wait between polls.
    :param process: the kind of Airflow process that waits, which is where a connection that cannot be used is to be
        looked for. Such trouble is waited out until the deadline: the task is bought.
    :param max_failures: how many polls in a row may fail before the wait ends; ``None``: as many as fit the deadline.
        Trouble with the connection does not count.
    :param jitter: a number from 0 to 1 that keeps the polls apart from those of other tasks; for tests.
    """

    def __init__(
        self,
        minimax_task_id: str,
        *,
        deadline: float,
        schedule: PollSchedule,
        process: Literal["worker", "triggerer"] = "worker",
        max_failures: int | None = MAX_FAILURES,
        jitter: float | None = None,
    ) -> None:
        self._minimax_task_id = minimax_task_id
        self._deadline = deadline
        self._schedule = schedule
        self._process = process
        self._max_failures = max_failures
        self._jitter = random.random() if jitter is None else jitter  # noqa: S311 - no secret hangs on it
        self._polls = 0
        self._failures = 0
        self._task: VideoTask | None = None
        self._trouble: MinimaxError | None = None
        self.seen_running_at: float | None = None
        """When the task was last seen to go on, in epoch seconds."""

    def start(self, now: float) -> KeepPolling:
        """Return how long to wait before the first poll; never past the deadline, and the last poll is at it."""
        return KeepPolling(self._until_next(now, 0.0))

    def after(self, seen: VideoTask | MinimaxError, now: float) -> KeepPolling | Outcome:
        """
        Return what to do after a poll.

        :param seen: the task as it was seen, or the error that came instead.
        :param now: the time, in epoch seconds.
        """
        self._polls += 1
        if isinstance(seen, MinimaxError):
            return self._after_failure(seen, now)
        is_news = self._task is None or self._task.status != seen.status or self._is_cut_off
        self._failures = 0
        self._trouble = None
        if outcome := terminal_outcome(seen):
            return outcome
        self._task = seen
        self.seen_running_at = now
        return self._go_on(
            now,
            note=f"MiniMax task {self._minimax_task_id}: {seen.status or 'no status'}" if is_news else None,
            warn=seen.state is TaskState.UNKNOWN,
        )

    def reschedule(self, seen: VideoTask, now: float) -> float | None:
        """
        Return how long to wait after a poll that showed nothing new, so that nobody need be woken for it.

        :param seen: the task as it was seen.
        :param now: the time, in epoch seconds.
        :return: seconds until the next poll; ``None``, and nothing changed here, if this one is for :meth:`after`.
        """
        last = self._task
        if last is None or seen.status != last.status or seen.state is not last.state:
            return None
        if now >= self._deadline or self._is_cut_off:
            return None
        self._polls += 1
        self._failures = 0
        self._trouble = None
        self._task = seen
        self.seen_running_at = now
        return self._until_next(now, 0.0)

    def is_last(self, seen: VideoTask, now: float) -> bool:
        """
        Return whether a poll ends the wait.

        :param seen: the task as it was seen.
        :param now: the time, in epoch seconds.
        """
        return seen.is_over or now >= self._deadline

    @property
    def _is_cut_off(self) -> bool:
        return isinstance(self._trouble, MinimaxConnectionUnusableError)

    def _after_failure(self, seen: MinimaxError, now: float) -> KeepPolling | Outcome:
        error, before = after_purchase(seen, self._process), self._trouble
        error.minimax_task_id = self._minimax_task_id
        self._trouble = error
        if error.is_final or _is_malformed(seen):
            return self._end_with(error)
        note: str | None = None
        if self._is_cut_off:
            if before is None or before.message != error.message:
                note = f"Status check failed, will keep polling until the deadline: {error}"
        else:
            self._failures += 1
            if self._max_failures is not None and self._failures >= self._max_failures:
                error.message = f"stopped after {self._failures} failed status checks in a row: {error.message}"
                return self._end_with(error)
            note = f"Status check failed ({self._failures} in a row), will keep polling: {error}"
        return self._go_on(now, at_least=error.retry_after or 0.0, note=note, warn=True)

    def _end_with(self, error: MinimaxError) -> Outcome:
        error.billing = error.billing or (
            f"Task {self._minimax_task_id} may still be running and will be billed; waiting again buys nothing."
        )
        return Outcome(self._task, error)

    def _go_on(self, now: float, *, at_least: float = 0.0, note: str | None, warn: bool) -> KeepPolling | Outcome:
        if now < self._deadline:
            return KeepPolling(self._until_next(now, at_least), note, warn)
        last = f"its last status was {self._task.status}" if self._task else "it was never seen"
        hint = "Wait for it with MinimaxTaskSensor and this id, with a longer timeout; that buys nothing."
        if self._trouble is not None:
            failed = "status check" if self._is_cut_off else f"{self._failures} status checks"
            last += f", and the last {failed} failed: {self._trouble.message}"
            if self._is_cut_off:
                hint = f"{self._trouble.hint} {hint}"
        problem = f"the task did not end within the time allowed; {last}"
        return Outcome(self._task, timed_out(self._minimax_task_id, problem, hint=hint))

    def _until_next(self, now: float, at_least: float) -> float:
        delay = max(self._schedule.delay(now, self._polls, self._jitter), at_least)
        return max(0.0, min(delay, self._deadline - now))


def _is_malformed(error: MinimaxError) -> bool:
    """Whether a connection, or this process's environment, is such that nothing could be sent: asking again is idle."""
    return (
        isinstance(error, MinimaxConfigurationError)
        and not isinstance(error, MinimaxConnectionNotFoundError)
        and error.http_status is None
    )
