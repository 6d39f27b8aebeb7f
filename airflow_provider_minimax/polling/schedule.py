"""
When to poll for a clip of a kind whose making takes a time that is roughly known: often only when it is likely to end.

The gaps between polls are proportional to one over the square root of the chance that a clip which is not done ends
just then; no other schedule with as many polls finds clips sooner. How long a kind takes is first read from
``durations.toml`` and later learned from the clips that this process has seen end. Pure, but for what was learned.
"""

from __future__ import annotations

import math
import tomllib
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from statistics import NormalDist, fmean, median, pstdev
from typing import Any

from airflow_provider_minimax.polling.poller import FixedInterval

# With it, clips are found as late on average as with a poll every ten seconds.
MEAN_GAP = 11.0
SHORTEST_GAP = 1.0
# A published time may be wrong by a factor of two; this keeps the mean lateness below eight seconds all the same.
LONGEST_GAP = 16.0
# Times that were seen can be relied on, so the gaps may be longer, and there is no poll before any clip was done.
LONGEST_GAP_LEARNED = 30.0
ENOUGH, REMEMBERED = 8, 32
UNKNOWN = FixedInterval()

_NORMAL = NormalDist()
_QUANTILES = [_NORMAL.inv_cdf((n + 0.5) / 60) for n in range(60)]
_SOONEST, _LATEST, _FIRST_PERCENT = -8.0, 3.5, -2.326
_STEPS = 120


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What decides how long a clip takes.

    :param minimax_conn_id: where it is made.
    :param model: the model's name.
    :param resolution: the resolution, if it was asked for.
    :param duration: the clip's length in seconds, if it was asked for.
    """

    minimax_conn_id: str
    model: str
    resolution: str | None = None
    duration: int | None = None


@dataclass(frozen=True, slots=True)
class DurationModel:
    """
    How long clips of a kind take: logarithms of seconds that are distributed normally.

    :param median: the seconds within which half of them are done.
    :param sigma: the standard deviation of the logarithms.
    """

    median: float
    sigma: float

    @classmethod
    def between(cls, least: float, most: float) -> DurationModel:
        """Return the model by which nine of ten take from ``least`` to ``most`` seconds."""
        return cls(math.sqrt(least * most), math.log(most / least) / (2 * _NORMAL.inv_cdf(0.95)))

    @classmethod
    def from_seconds(cls, seconds: list[float]) -> DurationModel:
        """Return the model that fits what was seen, rounded so that a little more of it rarely makes another."""
        logs = [math.log(value) for value in seconds]
        return cls(math.exp(_rounded(median(logs))), min(1.0, max(0.15, _rounded(pstdev(logs)))))

    def after(self, z: float) -> float:
        """Return the seconds that are ``z`` standard deviations from the median."""
        return self.median * math.exp(self.sigma * z)

    def gap(self, z: float) -> float:
        """Return how long to wait there, but for a factor: one by the square root of the hazard."""
        return math.sqrt(self.sigma * self.after(z) * (1 - _NORMAL.cdf(z)) / _NORMAL.pdf(z))


def _rounded(value: float) -> float:
    return round(value * 20) / 20


@dataclass(frozen=True, slots=True)
class PollTimetable:
    """
    How many polls a clip should have had at which age.

    :param ages: ages in seconds, ascending.
    :param polls: the polls until then, not in whole numbers.
    """

    ages: list[float]
    polls: list[float]

    @classmethod
    def from_model(cls, model: DurationModel, *, longest: float, start: float) -> PollTimetable:
        """
        Make the timetable for a model.

        :param model: how long clips take.
        :param longest: the longest gap, in seconds.
        :param start: the age before which there is no poll, in seconds; 0: gaps of ``longest`` from the beginning.
        """
        scale = _scale([model.gap(z) for z in _QUANTILES], longest)
        first = max(_SOONEST, math.log(start / model.median) / model.sigma) if start else _SOONEST / 2
        step = (_LATEST - first) / _STEPS
        ages = [model.after(first + n * step) for n in range(_STEPS + 1)]
        polls = [0.0]
        for n in range(_STEPS):
            gap = min(max(SHORTEST_GAP, scale * model.gap(first + (n + 0.5) * step)), longest)
            polls.append(polls[-1] + (ages[n + 1] - ages[n]) / gap)
        if start:
            return cls(ages, polls)
        return cls([0.0, *ages], [0.0, *(ages[0] / longest + count for count in polls)])

    def next(self, age: float, jitter: float, *, is_first: bool) -> float:
        """
        Return the age at which to poll next.

        :param age: the age now, in seconds.
        :param jitter: a number from 0 to 1, the same for all polls of a task, that spreads the polls of many tasks.
        :param is_first: whether there was no poll yet. A later one keeps some distance from the poll just made, which
            need not have been quite on time.
        """
        count = _between(age, self.ages, self.polls, 1 / UNKNOWN.interval) + (0.0 if is_first else 0.25)
        return _between(math.ceil(count - jitter) + jitter, self.polls, self.ages, UNKNOWN.interval)


def _scale(gaps: list[float], longest: float) -> float:
    """Return the factor that makes the mean of the gaps what it shall be, though none is longer than ``longest``."""
    low, high = 0.0, 1000.0
    for _ in range(30):
        middle = (low + high) / 2
        if fmean(min(max(SHORTEST_GAP, middle * gap), longest) for gap in gaps) < MEAN_GAP:
            low = middle
        else:
            high = middle
    return low


def _between(x: float, xs: list[float], ys: list[float], slope: float) -> float:
    """Return the ``y`` that belongs to ``x``; ``slope`` says how it goes on past the end."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1] + (x - xs[-1]) * slope
    after = bisect_right(xs, x)
    share = (x - xs[after - 1]) / (xs[after] - xs[after - 1])
    return ys[after - 1] + share * (ys[after] - ys[after - 1])


@cache
def _rows() -> list[dict[str, Any]]:
    data = tomllib.loads(Path(__file__).with_name("durations.toml").read_text("utf-8"))
    return list(data["rows"])


def published(kind: Kind) -> DurationModel | None:
    """
    Return how long clips of a kind are said to take.

    :param kind: the kind.
    :return: the model, or ``None`` where nobody says.
    """
    for row in _rows():
        wanted = (row.get("resolution", kind.resolution), row.get("duration", kind.duration))
        if kind.model in row["models"] and wanted == (kind.resolution, kind.duration):
            return DurationModel.between(row["least"], row["most"])
    return None


@lru_cache(maxsize=64)
def _timetable(model: DurationModel, longest: float, start: float) -> PollTimetable:
    return PollTimetable.from_model(model, longest=longest, start=start)


class DurationStats:
    """
    What is known of how long a kind of clip takes.

    :param kind: the kind.
    """

    def __init__(self, kind: Kind) -> None:
        self._seen: deque[float] = deque(maxlen=REMEMBERED)
        model = published(kind)
        self.timetable = None if model is None else _timetable(model, LONGEST_GAP, 0.0)

    def learn(self, seconds: float) -> None:
        """
        Take a clip into account that was seen to end.

        :param seconds: how long it took.
        """
        self._seen.append(max(SHORTEST_GAP, seconds))
        if len(self._seen) < ENOUGH:
            return
        model = DurationModel.from_seconds(list(self._seen))
        start = min(model.after(_FIRST_PERCENT), math.exp(_rounded(math.log(0.9 * min(self._seen)))))
        self.timetable = _timetable(model, LONGEST_GAP_LEARNED, start)


@lru_cache(maxsize=256)
def duration_stats(kind: Kind) -> DurationStats:
    """
    Return what this process knows of a kind; it is the same object for all who ask.

    :param kind: the kind.
    """
    return DurationStats(kind)


@dataclass(frozen=True, slots=True)
class LearnedSchedule:
    """
    The polls for a clip of a kind; every ten seconds as long as nothing is known of it.

    :param known: what is known of the kind, by now.
    :param bought_at: when the clip was bought, in epoch seconds.
    """

    known: DurationStats
    bought_at: float

    def delay(self, now: float, polls: int, jitter: float) -> float:
        """
        Return the seconds to wait.

        :param now: the time, in epoch seconds.
        :param polls: how many polls there were.
        :param jitter: a number from 0 to 1, the same for all polls of a task, that spreads the polls of many tasks.
        """
        if self.known.timetable is None:
            return UNKNOWN.delay(now, polls, jitter)
        age = max(0.0, now - self.bought_at)
        return max(self.known.timetable.next(age, jitter, is_first=polls == 0) - age, 0.0)

    def learn(self, running_at: float | None, ended_by: float) -> None:
        """
        Take into account that the clip was seen to be done.

        :param running_at: when it was last seen not to be, in epoch seconds, if it was.
        :param ended_by: when it was seen to be, in epoch seconds.
        """
        self.known.learn(((running_at or self.bought_at) + ended_by) / 2 - self.bought_at)


def learned_schedule(minimax_conn_id: str, clip: Mapping[str, Any]) -> LearnedSchedule:
    """
    Return the schedule for a clip that was bought.

    :param minimax_conn_id: where it is made.
    :param clip: its ``model``, ``resolution``, ``duration`` and ``bought_at``, as in a trigger's arguments.
    """
    kind = Kind(minimax_conn_id, clip["model"], clip.get("resolution"), clip.get("duration"))
    return LearnedSchedule(duration_stats(kind), clip["bought_at"])
