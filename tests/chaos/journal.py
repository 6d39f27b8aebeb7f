"""What the lives of one task wrote down on their way, and what can be known from it about the purchase."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Self

KILLED = "killed at "
# Between these the purchase is under way and its outcome is not written down anywhere.
IN_DOUBT = ("intent half written", "intent written", "before request", "answer awaited", "answer received")
SETTLED = ("receipt half written", "receipt written", "withdrawn")
# Somebody who dies here by a kill that was not planned may or may not have written what was about to be written.
WRITING = ("before intent", "answer received", "withdrawing")


class Verdict(StrEnum):
    """What the next life can know."""

    KNOWN = "known"
    UNKNOWABLE = "unknowable"
    EITHER = "either"


@dataclass(frozen=True)
class Life:
    """One process of a task: the points that it passed, and the one at which it was killed on purpose."""

    pid: int
    points: tuple[str, ...]
    death: str | None

    @property
    def verdict(self) -> Verdict:
        purchase = [point for point in self.points if point in (*IN_DOUBT, *SETTLED, *WRITING)]
        if not purchase or any(point in SETTLED for point in purchase):
            return Verdict.KNOWN
        if self.death == "before intent":
            return Verdict.KNOWN
        if self.death is None and purchase[-1] in WRITING:
            return Verdict.EITHER
        return Verdict.UNKNOWABLE


@dataclass(frozen=True)
class Journal:
    """All lives of a task, oldest first."""

    lives: tuple[Life, ...]

    @classmethod
    def of(cls, path: Path) -> Self:
        notes = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        # Two lives may overlap, if Airflow gives one up for dead that is not.
        pids = dict.fromkeys(note["pid"] for note in notes)
        return cls(tuple(_life(pid, [note["what"] for note in notes if note["pid"] == pid]) for pid in pids))

    @property
    def deaths(self) -> list[str]:
        return [life.death for life in self.lives if life.death]

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the last life could know what the ones before it had bought."""
        verdicts = {life.verdict for life in self.lives}
        return next((v for v in (Verdict.UNKNOWABLE, Verdict.EITHER) if v in verdicts), Verdict.KNOWN)


def _life(pid: int, notes: list[str]) -> Life:
    deaths = [note.removeprefix(KILLED) for note in notes if note.startswith(KILLED)]
    return Life(pid, tuple(note for note in notes if not note.startswith(KILLED)), deaths[0] if deaths else None)
