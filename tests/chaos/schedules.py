"""Random schedules: what one dag run goes through, drawn from a seed so that it can be drawn again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.chaos.journal import IN_DOUBT
from tests.chaos.lab import Plan

BUYING = ("start", "before intent", *IN_DOUBT, "receipt half written", "receipt written")
ADOPTING = (*BUYING, "asking")
FETCHING = ("downloading", "hash written", "renamed", "delivered", "finished")
# The points of each task, in the order in which a purchase comes by them.
POINTS = {
    "scheduled_deferring": {"generate": (*BUYING, "deferring", "polling", "resumed", *FETCHING)},
    "scheduled_waiting": {"generate": (*BUYING, "polling", *FETCHING)},
    "scheduled_without_output": {"generate": (*BUYING, "deferring", "polling", "resumed", "finished")},
    "scheduled_h3": {"generate": (*BUYING, "deferring", "polling", "resumed", *FETCHING)},
    "scheduled_adopting": {"generate": (*ADOPTING, "deferring", "polling", "resumed", *FETCHING)},
    "scheduled_adopting_waiting": {"generate": (*ADOPTING, "polling", *FETCHING)},
    "scheduled_adopting_together": {"generate": (*ADOPTING, "deferring", "polling", "resumed", *FETCHING)},
    "scheduled_three_tasks": {
        "submit": (*BUYING, "finished"),
        "wait": ("start", "polling", "deferring", "resumed", "finished"),
        "download": ("start", "polling", *FETCHING),
    },
}
# The same with pushes, but for those that lie together.
POINTS |= {
    dag.replace("scheduled_", "scheduled_pushed_").removesuffix("_deferring"): tasks
    for dag, tasks in POINTS.items()
    if "together" not in dag
}
MOST_DEATHS = 4
SHARE_OF_DEATHS_IN_DOUBT = 0.1
# Where doubts can be settled there are to be many.
SHARE_OF_DEATHS_IN_DOUBT_WHERE_IT_IS_SETTLED = 0.4
TIMES_MORE_LOST_ANSWERS_THERE = 5
SHARE_OF_WORKERS_AMONG_THE_DEAD = 0.3


@dataclass(frozen=True)
class Schedule:
    """
    What one dag run goes through.

    :param number: which one it is of its seed.
    :param dag: how the clip is made.
    :param plan: where its tasks are killed.
    :param trouble: what the platform does to it.
    """

    number: int
    dag: str
    plan: Plan
    trouble: list[dict[str, Any]]

    @property
    def buyer(self) -> str:
        """The task that buys."""
        return next(iter(POINTS[self.dag]))

    @property
    def settles_doubts(self) -> bool:
        """Whether the platform's list is asked after a lost answer."""
        return "adopting" in self.dag

    @property
    def is_pushed(self) -> bool:
        """Whether the platform posts its status changes, so that a lost answer may be repaired."""
        return "pushed" in self.dag

    @property
    def is_together(self) -> bool:
        """Whether other runs buy clips of the same kind, which the list shows too."""
        return "together" in self.dag


def draw(seed: int, number: int) -> Schedule:
    """Return a schedule, always the same for the same numbers."""
    jitter = random.Random(f"{seed}/{number}")
    dag = jitter.choice(list(POINTS))
    return Schedule(number, dag, _plan(jitter, dag), _trouble(jitter, dag))


def _plan(jitter: random.Random, dag: str) -> Plan:
    tasks = POINTS[dag]
    plan: Plan = {task: [] for task in tasks}
    for _ in range(jitter.randint(0, MOST_DEATHS)):
        task = jitter.choice(list(tasks))
        settles = "adopting" in dag
        in_doubt = jitter.random() < (
            SHARE_OF_DEATHS_IN_DOUBT_WHERE_IT_IS_SETTLED if settles else SHARE_OF_DEATHS_IN_DOUBT
        )
        points = [point for point in tasks[task] if (point in IN_DOUBT) == in_doubt]
        if points:
            victim = "worker" if jitter.random() < SHARE_OF_WORKERS_AMONG_THE_DEAD else "task"
            plan[task].append((jitter.choice(points), victim))
    for task, deaths in plan.items():
        deaths.sort(key=lambda death: tasks[task].index(death[0]))
    return plan


def _trouble(jitter: random.Random, dag: str) -> list[dict[str, Any]]:
    more = TIMES_MORE_LOST_ANSWERS_THERE if "adopting" in dag else 1
    possible = [
        (0.05 * more, {"kind": "lost_answer", "operation": "submit"}),
        (
            0.03 * more,
            {"kind": "http", "operation": "submit", "status": jitter.choice([500, 502, 504]), "job_made": True},
        ),
        (0.02 * more, {"kind": "http", "operation": "submit", "status": 503}),
        (0.02 * more, {"kind": "reset_before", "operation": "submit"}),
        (0.10, {"kind": "base_resp", "operation": "submit", "code": 1002, "times": jitter.randint(1, 3)}),
        (0.20, {"kind": "http", "operation": "query", "status": 503, "times": jitter.randint(1, 5)}),
        (0.10, {"kind": "reset_before", "operation": "query", "times": jitter.randint(1, 5)}),
        (0.10, {"kind": "lost_answer", "operation": "file", "times": jitter.randint(1, 3)}),
        (
            0.25,
            {
                "kind": "truncated",
                "operation": "download",
                "times": jitter.randint(1, 5),
                "after_bytes": jitter.randint(0, 140_000),
            },
        ),
    ]
    if "pushed" in dag:
        possible += [
            (0.25, {"kind": "lost_push", "operation": "push", "times": jitter.randint(1, 6)}),
            (0.25, {"kind": "repeated_push", "operation": "push", "times": jitter.randint(1, 6)}),
            (0.25, {"kind": "delayed_push", "operation": "push", "times": jitter.randint(1, 6)}),
            (0.25, {"kind": "reordered_push", "operation": "push", "times": jitter.randint(1, 6)}),
        ]
    return [fault for share, fault in possible if jitter.random() < share]
