"""
A thousand triggers in one event loop, run as Airflow's triggerer runs them.

Each is iterated in a task of its own with the greenback portal, under ``asyncio.run``, and logs JSON to ``/dev/null``.
One job is watched before, so that imports and what a process pays once stay out of the figures.

``python benchmarks/triggers.py --n 1000 --json`` runs ours and the bare sockets, twice each in turn, and prints the
figures as one line of JSON; ``--compare dense`` and ``--compare honest`` run all systems.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab import (
    MIB,
    Row,
    Runs,
    child,
    cpu,
    interleaved,
    memory,
    middle,
    percentile,
    ratio,
    ratios,
    say,
    table,
)
from server import Server, running
from systems import COMPARED, ERRORS, PEERS, SYSTEMS, environment, is_installed, log_to_nowhere

COUNT = 1000
RAW = "raw sockets"
OVER_AIOHTTP, OVER_HTTPX, BY_THE_PAGE = "ours (aiohttp)", "ours (httpx)", "ours (v2 list)"
LAG_MS, KIB = 10.0, 10.0
POOLS = {OVER_AIOHTTP: 32, OVER_HTTPX: 8, BY_THE_PAGE: 32}
BEAT = 0.02


@dataclass(frozen=True)
class Setting:
    """
    How a crowd is set.

    :param name: what it is called.
    :param interval: seconds between two polls of a job.
    :param delay: seconds that an answer takes.
    :param first: seconds until the first of the jobs ends.
    :param last: seconds until the last of them ends.
    :param limit: seconds until the run is stopped.
    :param times_raw: how much CPU a poll may cost, by that of raw sockets.
    """

    name: str
    interval: float
    delay: float
    first: float
    last: float
    limit: float
    times_raw: dict[str, float]


DENSE = Setting(
    "1 s interval, jobs of 4–8 s", 1.0, 0.0, 4.0, 8.0, 30.0, {OVER_AIOHTTP: 3.0, OVER_HTTPX: 13.0, BY_THE_PAGE: 1.0}
)
HONEST = Setting(
    "10 s interval, 50 ms answers, jobs of 15–35 s", 10.0, 0.05, 15.0, 35.0, 60.0, {OVER_AIOHTTP: 4.0, OVER_HTTPX: 18.0}
)
SETTINGS = {"dense": DENSE, "honest": HONEST}
SHOWN = {
    "done": "jobs found",
    "net_ms_per_poll": "CPU ms/poll",
    "net_ms_per_job": "CPU ms/job found",
    "requests_per_job": "requests/job",
    "connections": "connections",
    "kib": "KiB/trigger",
    "lag_p99": "lag p99 ms",
    "lag_own": "p99 ms outside GC",
    "lag_max": "lag max ms",
    "late_p50": "found after, p50 s",
    "late_p99": "p99 s",
}


def measure(
    server: Server, env: dict[str, str], key: str, rounds: int, names: Sequence[str] = COMPARED, count: int = COUNT
) -> list[Row]:
    """
    Run crowds of all systems in turn, tell of each on standard error, and return how ours stands to its goals.

    :param server: the fake platform.
    :param env: the environment of the processes.
    :param key: the setting.
    :param rounds: how often each system is run.
    :param names: the systems; those that are not installed are left out, and that is said.
    :param count: how many triggers.
    """
    setting = SETTINGS[key]
    absent = [name for name in names if not is_installed(name)]
    names = [name for name in names if name not in absent]

    def run(name: str, number: int) -> dict[str, Any]:
        result = child("triggers.py", server.url, name, key, number, count, env=env, timeout=setting.limit + 90)
        say(f"  {name}: " + ", ".join(f"{result[field]:.4g} {title}" for field, title in SHOWN.items()))
        return result

    runs = interleaved(names, rounds, run)
    say("\n" + _comparison(runs, setting, count, rounds))
    for name in absent:
        say(f"LEFT OUT, because it is not installed: {name}")
    title = f"{count:,} triggers, {setting.name}"
    return [row for name in POOLS if name in runs for row in _rows(runs, name, setting, f"{title}, {name}", count)]


def _rows(runs: Runs, name: str, setting: Setting, title: str, count: int) -> list[Row]:
    ours = {field: middle(runs[name], field) for field in SHOWN}
    peers = [peer for peer in runs if peer in PEERS]

    def beside(field: str, form: str = ".0f") -> str:
        return "".join(f"; {peer} {middle(runs[peer], field):{form}}" for peer in peers)

    late = ours["late_p99"] - setting.interval
    rows = [
        Row(
            f"{title}: ≤ {POOLS[name]} connections, all jobs found",
            f"{ours['connections']:.0f} connections, {ours['done']:.0f} found{beside('connections')}",
            ours["connections"] <= POOLS[name] and ours["done"] == count,
        ),
        Row(
            f"{title}: event-loop lag p99 ≤ {LAG_MS:g} ms",
            f"{ours['lag_p99']:.1f} ms, {ours['lag_own']:.1f} outside Python's garbage collector{beside('lag_p99')}",
            ours["lag_p99"] <= LAG_MS,
        ),
        Row(
            f"{title}: ≤ {KIB:g} KiB of memory a trigger",
            f"{ours['kib']:.1f} KiB{beside('kib')}",
            ours["kib"] <= KIB,
        ),
        Row(
            f"{title}: an end is seen an interval, an answer's time and 50 ms later at most (p99)",
            f"{late:+.2f} s beside the interval; p50 {ours['late_p50']:.2f} s{beside('late_p99', '.2f')}",
            late <= setting.delay + 0.05,
        ),
    ]
    if RAW in runs:
        times, most = ratio(runs, name, RAW, "net_ms_per_poll"), setting.times_raw.get(name)
        rows.append(
            Row(
                f"{title}: CPU a poll" + (f" ≤ {most:g} × raw sockets" if most else ", by that of raw sockets"),
                f"{times:.2f} × ({ours['net_ms_per_poll']:.3f} ms){beside('net_ms_per_poll', '.3f')}",
                times <= most if most else None,
            )
        )
    return rows


def figures(count: int, system: str) -> dict[str, float]:
    """Return what a crowd of ours costs, and its CPU beside that of bare sockets in the same round."""
    with running() as server, tempfile.TemporaryDirectory(prefix="bench-airflow-") as home:
        env = environment(server.url, home)

        def run(name: str, number: int) -> dict[str, Any]:
            return child("triggers.py", server.url, name, "dense", number, count, env=env, timeout=DENSE.limit + 90)

        runs = interleaved([system, RAW], 2, run)
    ours = {field: middle(runs[system], field) for field in SHOWN}
    return {
        "lag_p99_ms": round(ours["lag_p99"], 2),
        "lag_p99_outside_gc_ms": round(ours["lag_own"], 2),
        "connections": ours["connections"],
        "rss_kib_per_trigger": round(ours["kib"], 2),
        "detection_p99_over_interval_s": round(ours["late_p99"] - DENSE.interval, 3),
        "cpu_ms_per_check": round(ours["net_ms_per_poll"], 3),
        "cpu_per_check_vs_raw": round(ratio(runs, system, RAW, "net_ms_per_poll"), 2),
        "found": ours["done"],
    }


def _comparison(runs: Runs, setting: Setting, count: int, rounds: int) -> str:
    lines = [
        f"{count} triggers, {setting.name}; medians of {rounds} rounds, in brackets the least and the most\n",
        f"| System | CPU a poll × raw | {' | '.join(SHOWN.values())} |",
        "|---" * (2 + len(SHOWN)) + "|",
    ]
    for name, results in runs.items():
        times = sorted(ratios(runs, name, RAW, "net_ms_per_poll")) if RAW in runs else []
        by_raw = f"{statistics.median(times):.2f} ({times[0]:.2f}–{times[-1]:.2f})" if times else "–"
        lines.append(f"| {name} | {by_raw} | {' | '.join(f'{middle(results, field):.4g}' for field in SHOWN)} |")
    return "\n".join(lines) + "\n"


def _with_missed(lags: list[float]) -> list[float]:
    """A loop that stands still beats rarely: add the beats that were missed, of a stall of L those of L - BEAT, …"""
    every = []
    for lag in lags:
        while lag > 0:
            every.append(lag)
            lag -= BEAT
    return every + [0.0] * max(0, len(lags) - len(every))


class Crowd:
    """All triggers of one system, and what is seen of them."""

    def __init__(self, url: str, name: str, setting: Setting, seed: int, count: int) -> None:
        self.setting, self.seed, self.count = setting, seed, count
        self.server = Server(int(url.rsplit(":", 1)[1]), 0)
        self.make = SYSTEMS[name](url, setting.interval)
        self.found: dict[int, float] = {}
        self.lags: list[float] = []
        self.own_lags: list[float] = []
        self.highest = self.collecting = 0.0
        self.collections = 0
        gc.callbacks.append(self.note_collection)

    def note_collection(self, phase: str, info: dict[str, int]) -> None:
        """Add up what the garbage collector takes, which is Airflow's heap more than any trigger's."""
        self.collections += phase == "stop" and info["generation"] == 2
        self.collecting += time.monotonic() if phase == "stop" else -time.monotonic()

    async def watch(self, job: int, trigger: Any) -> None:
        import greenback

        await greenback.ensure_portal()
        try:
            async for _ in trigger.run():
                self.found[job] = time.monotonic()
        except Exception as error:
            ERRORS[type(error).__name__] += 1

    async def beat(self) -> None:
        while True:
            start, collecting = time.monotonic(), self.collecting
            await asyncio.sleep(BEAT)
            lag = time.monotonic() - start - BEAT
            self.lags.append(max(0.0, lag))
            self.own_lags.append(max(0.0, lag - (self.collecting - collecting)))
            if len(self.lags) % 5 == 0:
                self.highest = max(self.highest, memory())

    async def cpu_of_the_beat(self) -> float:
        """Return the CPU seconds a second that measuring takes itself."""
        start = cpu()
        await asyncio.sleep(1)
        return cpu() - start

    async def run(self) -> None:
        setting = self.setting
        self.server.reset()
        await asyncio.create_task(self.watch(0, self.make(0)))
        self.found.clear()
        gc.collect()
        beating = asyncio.create_task(self.beat())
        self.pulse = await self.cpu_of_the_beat()
        self.lags, self.own_lags, self.memory = [], [], memory()
        self.ends = self.server.reset(
            jobs=self.count, first=setting.first, last=setting.last, delay=setting.delay, seed=self.seed
        )
        # A loop that is blocked for good cannot tell; the signal can.
        signal.signal(signal.SIGALRM, lambda *_: self.finish(time.monotonic() - self.start))
        signal.setitimer(signal.ITIMER_REAL, setting.limit + 15)
        self.start, self.cpu = time.monotonic(), cpu()
        tasks = []
        for job in range(self.count):
            # Airflow, too, lets the others run before and after it loads a trigger.
            await asyncio.sleep(0)
            trigger = self.make(job)
            await asyncio.sleep(0)
            tasks.append(asyncio.create_task(self.watch(job, trigger)))
        await asyncio.wait(tasks, timeout=setting.limit)
        self.finish(0.0)
        beating.cancel()

    def finish(self, stall: float) -> None:
        """Print the result and leave at once: closing a thousand clients is not measured."""
        used = cpu() - self.cpu
        self.highest = max(self.highest, memory())
        stats = Server(self.server.port, 0).stats()
        late = [seen - self.ends[job] for job, seen in self.found.items()]
        lags, own_lags = _with_missed(self.lags or [stall]), _with_missed(self.own_lags or [stall])
        net_ms = 1000 * (used - self.pulse * (time.monotonic() - self.start))
        result = {
            "done": len(self.found),
            "net_ms_per_poll": net_ms / max(1.0, stats["polls"]),
            "net_ms_per_job": net_ms / max(1, len(self.found)),
            "requests_per_job": stats["requests"] / max(1, len(self.found)),
            "collections": self.collections,
            "connections": stats["accepted"] - 1,
            "kib": (self.highest - self.memory) * MIB / 1024 / self.count,
            "lag_p99": 1000 * percentile(lags, 0.99),
            "lag_own": 1000 * percentile(own_lags, 0.99),
            "lag_max": 1000 * max(self.lags, default=stall),
            "late_p50": percentile(late, 0.5),
            "late_p99": percentile(late, 0.99),
            "errors": ERRORS,
        }
        print(json.dumps(result), flush=True)
        os._exit(0)


def _child(address: str, system: str, which: str, number: str, count: str) -> None:
    log_to_nowhere()

    async def run() -> None:
        await Crowd(address, system, SETTINGS[which], 100 + int(number), int(count)).run()

    # asyncio.run, not uvloop: that is what Airflow does.
    asyncio.run(run())


def _compare(arguments: argparse.Namespace) -> None:
    names = arguments.systems.split(",") if arguments.systems else COMPARED
    if unknown := set(names) - set(SYSTEMS):
        raise SystemExit(f"no such system: {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}")
    with running() as server, tempfile.TemporaryDirectory(prefix="bench-airflow-") as home:
        env = environment(server.url, home)
        print(table(measure(server, env, arguments.compare, arguments.rounds, names, arguments.n)))


def _main() -> None:
    parser = argparse.ArgumentParser(description="What a crowd of triggers costs, and how soon it sees jobs end.")
    parser.add_argument("--n", type=int, default=COUNT, help="how many triggers (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of one line a figure")
    parser.add_argument("--system", default="ours", help="whom to measure: one of ours (default: %(default)s)")
    parser.add_argument("--compare", choices=SETTINGS, help="hold all systems against each other in this setting")
    parser.add_argument("--rounds", type=int, default=1, help="rounds of a comparison (default: %(default)s)")
    parser.add_argument("--systems", help="whom to compare, with commas between (default: all that is installed)")
    arguments = parser.parse_args()
    if arguments.compare:
        _compare(arguments)
        return
    result = figures(arguments.n, arguments.system)
    print(json.dumps(result) if arguments.json else "\n".join(f"{name}: {value:g}" for name, value in result.items()))


if __name__ == "__main__":
    if len(sys.argv) == 6 and sys.argv[1].startswith("http"):
        _child(*sys.argv[1:])
    else:
        _main()
