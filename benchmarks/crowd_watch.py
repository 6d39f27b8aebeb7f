"""The figures of :mod:`triggerer`: what its processes take while the tasks wait, and when the tasks' events came."""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from crowd_states import events, fired, last_start, states
from lab import MIB, percentile, say

from airflow_provider_minimax.emulator import EmulatorClient

BLOCKED = re.compile(r"^(\S+Z) .*async thread was blocked for ([\d.]+) seconds", re.MULTILINE)
HEADER = "     s  deferred  taken   ended  runner%  runner MiB  supervisor%  supervisor MiB  emulator%  connections"


@dataclass
class Watched:
    """A process, seen now and then: its CPU and its memory."""

    process: psutil.Process
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def poll(self) -> None:
        times = self.process.cpu_times()
        self.cpu.append(times.user + times.system)
        self.memory.append(self.process.memory_info().rss / MIB)

    def busiest(self, clock: list[float]) -> float:
        """Return the highest share of a core over ten polls."""
        width = min(10, len(clock) - 1)
        spans = zip(self.cpu, self.cpu[width:], clock, clock[width:], strict=False)
        return max((after - before) / (end - start) for before, after, start, end in spans)


@dataclass
class Crowd:
    """What is seen of the processes while the tasks wait."""

    triggerer: psutil.Popen
    emulator: psutil.Popen

    def __post_init__(self) -> None:
        (runner,) = self.triggerer.children()
        self.runner, self.supervisor = Watched(runner), Watched(self.triggerer)
        self.platform = Watched(self.emulator)
        self.clock: list[float] = []
        self.states: list[dict[str, int]] = []
        self.connections: list[int] = []
        self.files: list[int] = []

    def poll(self, port: int) -> dict[str, int]:
        if not self.triggerer.is_running():
            raise RuntimeError("the triggerer has ended")
        self.clock.append(time.monotonic())
        for watched in (self.runner, self.supervisor, self.platform):
            watched.poll()
        open_now = self.runner.process.net_connections("tcp")
        self.connections.append(sum(bool(one.raddr) and one.raddr.port == port for one in open_now))
        self.files.append(self.triggerer.num_fds())
        self.states.append(states())
        return self.states[-1]

    def line(self) -> str:
        seen, runner, supervisor = self.states[-1], self.runner, self.supervisor
        width = min(10, len(self.clock) - 1)
        span = (self.clock[-1] - self.clock[-1 - width]) or 1.0
        shares = [100 * (one.cpu[-1] - one.cpu[-1 - width]) / span for one in (runner, supervisor, self.platform)]
        return (
            f"{self.clock[-1] - self.clock[0]:6.0f} {seen.get('deferred', 0):9} {seen['taken']:7} "
            f"{seen.get('scheduled', 0):6} {shares[0]:8.0f} {runner.memory[-1]:10.0f} {shares[1]:12.0f} "
            f"{supervisor.memory[-1]:14.0f} {shares[2]:10.0f} {self.connections[-1]:12}"
        )


def watch(crowd: Crowd, port: int, timeout: float) -> None:
    """Poll at the crowd every second until every task has had its event."""
    say(HEADER)
    deadline = time.monotonic() + timeout
    while crowd.poll(port).get("deferred", 0) and time.monotonic() < deadline:
        if len(crowd.clock) % 10 == 1:
            say(crowd.line())
        time.sleep(1)
    say(crowd.line())


def figures(crowd: Crowd, platform: EmulatorClient, bought: dict[str, float], folder: Path) -> dict[str, Any]:
    log = (folder / "triggerer.log").read_text()
    logs = [path.read_text() for path in (folder / "logs").rglob("*.trigger.*.log")]
    found, sent, jobs = events(), fired(logs), {job["task_id"]: job for job in platform.jobs}
    seen = [one for one in bought if one in found and one in sent]
    late = [sent[one] - jobs[one]["made_at"] - bought[one] for one in seen]
    handled = [found[one] - sent[one] for one in seen]
    blocked = [(datetime.fromisoformat(when).timestamp(), float(seconds)) for when, seconds in BLOCKED.findall(log)]
    all_started = last_start(logs)
    later = [seconds for when, seconds in blocked if when - seconds > all_started]
    requests = platform.requests
    runner, supervisor = crowd.runner, crowd.supervisor
    return {
        "tasks": len(bought),
        "ended": crowd.states[-1].get("scheduled", 0),
        "clips_found": len(found),
        "at_once": max(seen["taken"] for seen in crowd.states),
        "blocked_warnings": len(blocked),
        "blocked_longest_s": max((seconds for _, seconds in blocked), default=0.0),
        "blocked_warnings_after_start": len(later),
        "blocked_longest_after_start_s": max(later, default=0.0),
        "connections": max(crowd.connections),
        "supervisor_files": max(crowd.files),
        "seen_after_p50_s": round(percentile(late, 0.5), 2),
        "seen_after_p99_s": round(percentile(late, 0.99), 2),
        "handled_after_p50_s": round(percentile(handled, 0.5), 2),
        "handled_after_p99_s": round(percentile(handled, 0.99), 2),
        "polls_per_task": round(statistics.fmean(jobs[one]["polls"] for one in bought), 1),
        "list_requests": sum(request["operation"] == "list" for request in requests),
        "refused_requests": sum(request["status"] != 200 for request in requests),
        "runner_cpu_s": round(runner.cpu[-1] - runner.cpu[0], 1),
        "runner_busiest": round(runner.busiest(crowd.clock), 2),
        "runner_mib_before": round(runner.memory[0]),
        "runner_mib_highest": round(max(runner.memory)),
        "supervisor_cpu_s": round(supervisor.cpu[-1] - supervisor.cpu[0], 1),
        "supervisor_busiest": round(supervisor.busiest(crowd.clock), 2),
        "supervisor_mib_before": round(supervisor.memory[0]),
        "supervisor_mib_highest": round(max(supervisor.memory)),
        "emulator_busiest": round(crowd.platform.busiest(crowd.clock), 2),
        "seconds": round(crowd.clock[-1] - crowd.clock[0]),
    }
