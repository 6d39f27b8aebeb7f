"""When to poll a task whose status changes are pushed: rarely, as long as pushes arrive."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_minimax.callbacks.reader import PushedTask
from airflow_provider_minimax.polling.poller import PollSchedule
from airflow_provider_minimax.polling.schedule import LearnedSchedule

SAFETY_NET = 120.0
"""Seconds to the first poll that makes up for a lost push, up to twice as many by ``jitter``; then twice as many."""
ONCE_MORE = 5.0
"""Seconds to the next poll if a push said that the task is over and the API does not say so yet."""


@dataclass(slots=True)
class PushedSchedule:
    """
    The times of polls of a task that was bought with a callback.

    :param usual: the schedule without pushes.
    :param task: what was pushed of it.
    :param is_stretched: whether the last wait was longer than usual, because pushes arrive.
    """

    usual: PollSchedule
    task: PushedTask
    is_stretched: bool = False
    _repeated: bool = False

    def delay(self, now: float, polls: int, jitter: float) -> float:
        """
        Return the seconds to wait.

        :param now: the time, in epoch seconds.
        :param polls: how many polls there were.
        :param jitter: a number from 0 to 1, the same for all polls of a task, that spreads the polls of many tasks.
        """
        usual = self.usual.delay(now, polls, jitter)
        before, self.is_stretched = self.is_stretched, False
        if self.task.is_over:
            if polls == 0:
                return 0.0
            self.task.is_polled = True
            if not self._repeated:
                self._repeated = True
                return min(usual, ONCE_MORE)
            return usual
        if not self.task.pushes_arrive:
            return usual
        self.is_stretched = True
        return max(usual, SAFETY_NET * (2 if before else 1) * (1 + jitter))


def learn_duration(schedule: PollSchedule, running_at: float | None, ended_by: float) -> None:
    """
    Take into account how long a clip took, if its schedule goes by that.

    :param schedule: the schedule by which it was polled.
    :param running_at: when it was last seen not to be done, in epoch seconds, if it was.
    :param ended_by: when it was seen to be done, in epoch seconds.
    """
    if isinstance(schedule, PushedSchedule):
        if schedule.task.is_over:
            # It had just ended when it was polled.
            running_at = ended_by
        elif schedule.is_stretched:
            # It may have ended minutes ago.
            return
        schedule = schedule.usual
    if isinstance(schedule, LearnedSchedule):
        schedule.learn(running_at, ended_by)
