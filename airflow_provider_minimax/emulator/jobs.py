"""A job's life: which state it is in by the clock, by the number of queries, or by hand.

Pure values and arithmetic; it knows no platform and sends nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_minimax.emulator.contract import REFUSED_AT_THE_END, Order
from airflow_provider_minimax.emulator.settings import FOR_EVER, Settings, State

WAITING: tuple[State, ...] = ("preparing", "queueing")
ON_THE_WAY: tuple[State, ...] = (*WAITING, "processing")
ENDS: tuple[State, ...] = ("success", "failed", "cancelled")
# Shares of a job's time after which it is no longer preparing, queueing, processing.
ENDS_OF_STATES = (0.15, 0.4, 1.0)

PIXELS = {"512P": (910, 512), "720P": (1280, 720), "768P": (1366, 768), "1080P": (1920, 1080)}


@dataclass
class Job:
    """One clip that was ordered and paid for."""

    task_id: str
    file_id: str
    platform: str
    shown_model: str
    order: Order
    life: Settings
    made_at: float = field(default_factory=time.time)
    polls: int = 0
    polls_at_success: int = 0
    last_seen: State = "preparing"
    changed_at: float = field(default_factory=time.time)
    started_at: float | None = None
    ended_at: float | None = None
    deleted: bool = False
    pinned: State | None = None
    pinned_code: int | None = None

    def state(self) -> State:
        """Where the job stands now."""
        if self.pinned is not None:
            return self.pinned
        if self.life.lifecycle == "manual":
            return "preparing"
        if self.life.lifecycle == "polls":
            return self._state_by_polls()
        age = time.time() - self.made_at
        for state, end in zip(ON_THE_WAY, ENDS_OF_STATES, strict=True):
            if age < end * self.life.seconds:
                return state
        return self._end()

    def _state_by_polls(self) -> State:
        if self.polls >= self.life.polls:
            return self._end()
        seen_before = max(self.polls - 1, 0)
        return ON_THE_WAY[seen_before * len(ON_THE_WAY) // max(self.life.polls - 1, 1)]

    def _end(self) -> State:
        return "failed" if self._is_censored() else self.life.outcome

    def _is_censored(self) -> bool:
        return REFUSED_AT_THE_END in self.order.prompt.lower()

    @property
    def code(self) -> int:
        """The code of a failed job; 0 for any other."""
        if self.state() != "failed":
            return 0
        if self.pinned_code is not None:
            return self.pinned_code
        return 1027 if self._is_censored() else self.life.failure_code

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height that the platform reports for the clip."""
        return PIXELS[self.order.resolution or "720P"]

    def pin(self, state: State, code: int | None) -> None:
        """Put the job into a state by hand; it stays there."""
        self.pinned, self.pinned_code = state, code

    def as_dict(self) -> dict[str, Any]:
        """The job as the control endpoint shows it."""
        return {
            "task_id": self.task_id,
            "file_id": self.file_id,
            "platform": self.platform,
            "model": self.shown_model,
            "mode": self.order.mode,
            "api": self.order.api,
            "task_type": self.order.task_type,
            "state": self.state(),
            "code": self.code,
            "polls": self.polls,
            "deleted": self.deleted,
            "made_at": self.made_at,
        }


@dataclass(frozen=True)
class Sight:
    """What one query gets to see of a job."""

    job: Job
    state: State
    has_file: bool

    @property
    def progress(self) -> float:
        """How far the job is, from 0 to 1."""
        return {"preparing": 0.0, "queueing": 0.1, "processing": 0.5}.get(self.state, 1.0)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self.state in ENDS


def poll(job: Job, settings: Settings) -> Sight:
    """Count one poll of the job, and return what it shows."""
    job.polls += 1
    state = _noted_state(job)
    if state == "success":
        job.polls_at_success += 1
    return _sight(job, state, settings, job.polls_at_success)


def peek(job: Job, settings: Settings) -> Sight:
    """Return what a list shows of the job; it does not count as a poll."""
    return _sight(job, _noted_state(job), settings, job.polls_at_success + 1)


def _noted_state(job: Job) -> State:
    state = job.state()
    if state != job.last_seen:
        job.last_seen, job.changed_at = state, time.time()
    if state not in WAITING and job.started_at is None:
        job.started_at = time.time()
    if state in ENDS and job.ended_at is None:
        job.ended_at = time.time()
    return state


def _sight(job: Job, state: State, settings: Settings, polls_at_success: int) -> Sight:
    hidden = settings.polls_without_file
    return Sight(job, state, state == "success" and hidden != FOR_EVER and polls_at_success > hidden)
