"""
Random deaths, random trouble, and services that die all the while: nothing is bought twice, and nothing is forgotten.

As many schedules are drawn as can be started within a minute. ``CHAOS_SEED`` draws those of an earlier run again,
``CHAOS_SCHEDULES`` says how many.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import pytest

from tests.chaos.journal import Verdict
from tests.chaos.lab import Errand, prompt_of, send_on_errand
from tests.chaos.schedules import POINTS, Schedule, draw
from tests.standalone.airflow_up import Airflow, until

# It has a limit of its own, by how many schedules there are.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(0), pytest.mark.xdist_group("schedules")]

SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
COUNT = int(os.environ.get("CHAOS_SCHEDULES") or 0)
# Without a count: schedules are started for so long, and on a slow machine until there are so many.
SECONDS = 60
LEAST = 16
# Most of a run's time is a wait in the triggerer, so Airflow's 8 workers are busy with that many.
AT_ONCE = 24
SECONDS_EACH = 30
A_JOB_TAKES = (5.0, 12.0)
TRIGGERERS_LIVE = (20.0, 45.0)
SCHEDULERS_LIVE = (60.0, 120.0)
SHARE_OF_TRIGGERERS_THAT_STAND_STILL = 0.5
# Longer than Airflow takes to give their triggers to another one.
TRIGGERERS_STAND_STILL = (12.0, 20.0)
TWO_TRIGGERERS_LIVE = (5.0, 15.0)


def test_no_schedule_pays_twice_or_forgets_a_clip(airflow, say, report):
    """Each run buys once and delivers, or stops because nobody can know whether a clip was bought, and says so."""
    say(f"chaos: schedules of seed {SEED} (again with CHAOS_SEED={SEED})")
    began = time.monotonic()
    killer = Killer(airflow, random.Random(SEED))
    started: list[tuple[Schedule, Errand]] = []

    def is_enough() -> bool:
        return len(started) >= (COUNT or LEAST) and (COUNT > 0 or time.monotonic() > began + SECONDS)

    def are_over() -> bool:
        airflow.emulator.configure(seconds=killer.jitter.uniform(*A_JOB_TAKES))
        killer.fire()
        unfinished = airflow.count_unfinished(list(POINTS))
        while not is_enough() and unfinished < AT_ONCE:
            schedule = draw(SEED, len(started))
            started.append((schedule, start(airflow, schedule)))
            unfinished += 1
        return unfinished == 0

    until("all schedules are over", are_over, timeout=600 + SECONDS_EACH * COUNT)
    killer.leave_one_triggerer()
    airflow.emulator.configure(seconds=8)

    sold = airflow.emulator.purchases
    cases = [Case.of(schedule, errand, sold) for schedule, errand in started]
    cases = [case.among(cases) for case in cases]
    report(summary(cases, killer, time.monotonic() - began))
    if complaints := [case.description() for case in cases if case.complaint]:
        pytest.fail("\n\n".join(complaints), pytrace=False)


def start(airflow: Airflow, schedule: Schedule) -> Errand:
    """Start a schedule's run; clips that are all of one kind lie in one folder."""
    folder = airflow.folder / "together"
    output = {"output": str(folder / f"{schedule.number}.clip.mp4")} if schedule.is_together else {}
    return send_on_errand(airflow, schedule.dag, plan=schedule.plan, trouble=schedule.trouble, **output)


@dataclass
class Killer:
    """
    Kills triggerers, and now and then a scheduler with all of its workers, and starts others in their place.

    Some triggerers stand still instead, come back when another one has taken over, and are killed after that. One that
    dies by itself, which on SQLite is of a database that another process has locked, is replaced, and counted.
    """

    airflow: Airflow
    jitter: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    died_by_themselves: Counter[str] = field(init=False)
    stops: int = 0
    stopped: list[psutil.Process] = field(default_factory=list)
    came_back: list[psutil.Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.died_by_themselves = self.airflow.died_by_themselves
        self._due = {name: time.monotonic() + self.jitter.uniform(*life) for name, life in self._lives.items()}

    _lives = {"triggerer": TRIGGERERS_LIVE, "scheduler": SCHEDULERS_LIVE}  # noqa: RUF012 - no field

    def fire(self) -> None:
        if not [process for process in self.airflow.alive("triggerer") if process not in self.stopped]:
            self.airflow.start("triggerer")
            self.died_by_themselves["triggerer"] += 1
        for name, due in self._due.items():
            if time.monotonic() > due and self.airflow.alive(name):
                life = self._kill_triggerer() if name == "triggerer" else self._replace(name)
                self._due[name] = time.monotonic() + self.jitter.uniform(*life)

    def leave_one_triggerer(self) -> None:
        """End the triggerer that stood still, whether it came back or not."""
        for process in (*self.stopped, *self.came_back):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.stopped, self.came_back = [], []

    def _kill_triggerer(self) -> tuple[float, float]:
        """Do what is next, and return how long that is to last."""
        if self.came_back:
            self.leave_one_triggerer()
            self.kills["triggerer"] += 1
            return TRIGGERERS_LIVE
        if self.stopped:
            for process in self.stopped:
                process.resume()
            self.stopped, self.came_back = [], self.stopped
            return TWO_TRIGGERERS_LIVE
        if self.jitter.random() >= SHARE_OF_TRIGGERERS_THAT_STAND_STILL:
            return self._replace("triggerer")
        self.stopped = self.airflow.oldest("triggerer")
        for process in self.stopped:
            process.suspend()
        self.airflow.start("triggerer")
        self.stops += 1
        return TRIGGERERS_STAND_STILL

    def _replace(self, name: str) -> tuple[float, float]:
        self.airflow.kill(name)
        self.airflow.start(name)
        self.kills[name] += 1
        return self._lives[name]


@dataclass(frozen=True)
class Case:
    """What became of one schedule."""

    schedule: Schedule
    errand: Errand
    verdict: Verdict
    purchases: list[dict[str, Any]]
    complaint: str | None
    complaint_if_either: str | None

    @classmethod
    def of(cls, schedule: Schedule, errand: Errand, sold: list[dict[str, Any]]) -> Case:
        # One that was cancelled while it was queued, by a try that Airflow ended, costs nothing.
        purchases = [item for item in sold if prompt_of(item) == errand.prompt and item["charged"]]
        verdict = errand.journal(schedule.buyer).verdict
        has_output = not schedule.dag.endswith("without_output")
        not_once = errand.why_not_delivered_once(purchases) if has_output else errand.why_not_bought_once(purchases)
        in_doubt = errand.why_not_stopped_in_doubt(schedule.buyer, purchases)
        either = not_once and in_doubt and f"{not_once}, and {in_doubt}"
        complaints = {Verdict.KNOWN: not_once, Verdict.UNKNOWABLE: in_doubt, Verdict.EITHER: either}
        if schedule.settles_doubts:
            complaints = dict.fromkeys(Verdict, not_once)
        elif schedule.is_pushed and verdict is not Verdict.KNOWN:
            # A push may have named the task of the lost answer, and may have been lost as well.
            complaints[verdict] = either
        return cls(schedule, errand, verdict, purchases, complaints[verdict], either)

    @property
    def was_in_doubt(self) -> bool:
        """Whether the answer of a submission may have been lost."""
        return self.verdict is not Verdict.KNOWN

    def among(self, cases: list[Case]) -> Case:
        """Return what there is to complain of if two submissions in doubt may have bought the same clip."""
        rivals = [other for other in cases if other.schedule.is_together and other.was_in_doubt and other != self]
        may_stop = self.schedule.is_together and self.was_in_doubt and rivals
        return replace(self, complaint=self.complaint_if_either) if may_stop else self

    @property
    def is_settled(self) -> bool:
        return self.schedule.settles_doubts and self.was_in_doubt and not self.is_stopped

    @property
    def is_stopped(self) -> bool:
        return self.errand.run.state == "failed"

    def description(self) -> str:
        lives = {task: [(*life.points, life.death) for life in j.lives] for task, j in self.errand.journals.items()}
        return (
            f"seed {SEED}, schedule {self.schedule.number}: {self.complaint}. The outcome was {self.verdict}; "
            f"{self.schedule}; {self.errand.run.path}; {lives}"
        )


def summary(cases: list[Case], killer: Killer, seconds: float) -> str:
    deaths = Counter(point for case in cases for journal in case.errand.journals.values() for point in journal.deaths)
    verdicts = Counter(case.verdict for case in cases if not case.schedule.settles_doubts)
    pushed = [case for case in cases if case.schedule.is_pushed]
    least = verdicts[Verdict.KNOWN] + sum(case.schedule.settles_doubts and not case.is_stopped for case in cases)
    killed = ", ".join(f"{point} {count}" for point, count in (*killer.kills.items(), *deaths.most_common()))
    return (
        f"chaos: {len(cases)} schedules in {seconds:.0f} s "
        f"(again with CHAOS_SEED={SEED} CHAOS_SCHEDULES={len(cases)}). "
        f"Killed {deaths.total() + killer.kills.total()} times: {killed}. "
        f"Triggerers that stood still and came back: {killer.stops}. "
        f"Died by themselves and were replaced: {dict(killer.died_by_themselves) or 'none'}. "
        f"Purchases: {least} to {len(cases)} expected, {sum(len(case.purchases) for case in cases)} seen, "
        f"{max((len(case.purchases) for case in cases), default=0)} at most in one run. "
        f"Stopped as unknowable: {sum(case.is_stopped for case in cases)} "
        f"({verdicts[Verdict.UNKNOWABLE]} had to, {verdicts[Verdict.EITHER]} might, "
        f"{sum(case.schedule.settles_doubts and case.is_stopped for case in cases)} could not be told apart). "
        f"In doubt and settled by the platform's list: {sum(case.is_settled for case in cases)}. "
        f"With pushes: {len(pushed)}, of which in doubt and repaired by a push: "
        f"{sum(case.was_in_doubt and not case.schedule.settles_doubts and not case.is_stopped for case in pushed)}."
    )
