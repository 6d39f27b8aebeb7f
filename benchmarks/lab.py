"""What all benchmarks share: child processes, clocks, memory, and rows of the final table."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MIB = 2**20

Runs = dict[str, list[dict[str, Any]]]
"""Results by name, one a round, in the order of the rounds."""


@dataclass(frozen=True)
class Row:
    """One line of the final table; without a limit it is there for information."""

    goal: str
    measured: str
    met: bool | None = None

    def __str__(self) -> str:
        return f"| {self.goal} | {self.measured} | {'–' if self.met is None else 'yes' if self.met else '**NO**'} |"


def table(rows: Iterable[Row]) -> str:
    return "\n".join(["| Goal | Measured | Met |", "|---|---|---|", *map(str, rows)])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def child(script: str, *arguments: Any, env: Mapping[str, str], timeout: float = 180) -> dict[str, Any]:
    """Run one of our scripts in a fresh process; the last line that it prints is its result."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env={**os.environ, **env})
    if done.returncode:
        raise RuntimeError(f"{script} {arguments}: {done.stderr[-1500:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def interleaved(
    names: Sequence[str], rounds: int, run: Callable[[str, int], dict[str, Any]], *, warm: bool = False
) -> Runs:
    """
    Run each name once a round, in an order that rotates and turns, so that slow drifts of the machine hit all alike.

    :param names: what to run.
    :param rounds: how often.
    :param run: runs one, given its name and the round.
    :param warm: whether to throw a first round away, which fills the page cache and writes the ``.pyc`` files.
    """
    runs: Runs = {name: [] for name in names}
    for number in range(-1 if warm else 0, rounds):
        turn = (number // 2) % len(names)
        order = [*names[turn:], *names[:turn]]
        for name in reversed(order) if number % 2 else order:
            result = run(name, number)
            if number >= 0:
                runs[name].append(result)
    return runs


def middle(results: Sequence[Mapping[str, Any]], key: str) -> float:
    return statistics.median(result[key] for result in results)


def ratios(runs: Runs, name: str, to: str, key: str) -> list[float]:
    """Return one name's figure by another's of the same round, a round each."""
    return [one[key] / other[key] for one, other in zip(runs[name], runs[to], strict=True)]


def ratio(runs: Runs, name: str, to: str, key: str) -> float:
    """Return the median over rounds of one name's figure by another's of the same round."""
    return statistics.median(ratios(runs, name, to, key))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def cpu() -> float:
    """Return the CPU seconds of this process so far, all threads."""
    return time.process_time()


def memory() -> float:
    """Return the resident memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Return the highest resident memory since :func:`reset_peak`, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
