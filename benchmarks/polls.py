"""CPU of one trigger's first poll and of each later one; portal and logging as in Airflow's triggerer."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from typing import Any

from lab import Row, child, cpu, interleaved, middle, ratio, say
from server import Server
from systems import PEERS, SYSTEMS, is_installed, log_to_nowhere

FIRST_MS, LATER = 0.6, 1.2
POLLS, BLOCKS, REPEATS = 20, 15, 5
INTERVAL = 1e-6
BARE, ALONE, BESIDE = "httpx shared", "ours", "ours, beside another"


def measure(server: Server, env: dict[str, str], rounds: int) -> list[Row]:
    peers = [name for name in PEERS if is_installed(name)]
    groups = [f"{BARE}|{ALONE}|{BESIDE}", *peers]
    raw = interleaved(groups, rounds, lambda group, _: child("polls.py", server.url, group, env=env))
    runs = {name: [result[name] for result in raw[group]] for group in groups for name in group.split("|")}
    for name in runs:
        say(
            f"  {name}: very first {middle(runs[name], 'very_first'):.1f} ms, first poll "
            f"{middle(runs[name], 'first'):.2f} ms, later polls {middle(runs[name], 'later'):.3f} ms"
        )
    first, alone, later = (
        middle(runs[BESIDE], "first"),
        middle(runs[ALONE], "first"),
        ratio(runs, BESIDE, BARE, "later"),
    )
    return [
        Row(
            f"First poll of a trigger, from its making to its event: ≤ {FIRST_MS:g} ms CPU",
            f"{first:.2f} ms beside another trigger of the connection; bare httpx {middle(runs[BARE], 'first'):.2f} ms"
            + "".join(f"; {name} {middle(runs[name], 'first'):.1f} ms" for name in peers),
            first <= FIRST_MS,
        ),
        Row(
            "The same for a trigger alone, which opens and closes a client (for information)",
            f"{alone:.2f} ms; the first trigger of a process, with lazy imports: "
            f"{middle(runs[BARE], 'very_first') + middle(runs[ALONE], 'very_first'):.0f} ms",
        ),
        Row(
            f"Later polls: ≤ {LATER:g} × a bare shared `httpx.AsyncClient`",
            f"{later:.2f} × ({middle(runs[BESIDE], 'later'):.2f} ms)"
            + "".join(f"; {name} {middle(runs[name], 'later'):.2f} ms" for name in peers),
            later <= LATER,
        ),
    ]


async def _watch(watcher: Any) -> None:
    import greenback

    await greenback.ensure_portal()
    async for _ in watcher.run():
        pass


async def _cost(make: Any, server: Server, polls: int) -> float:
    """Return the milliseconds of CPU of a trigger whose job is done at that poll."""
    server.reset(jobs=2, polls=polls)
    start = cpu()
    await asyncio.create_task(_watch(make(0)))
    return 1000 * (cpu() - start)


async def _beside_another(make: Any, server: Server, polls: list[int]) -> list[float]:
    """Return the costs while the client of the connection is held open, as another trigger would."""
    from airflow_provider_minimax.triggers.shared_poller import get_shared_poller

    server.reset(jobs=2, polls=2)
    async with get_shared_poller("minimax_default") as poller:
        await poller.poll("1", after=0, within=60)
        return [await _cost(make, server, poll) for poll in polls]


async def _child(url: str, names: list[str]) -> None:
    from airflow_provider_minimax.polling import shared_poller

    log_to_nowhere()
    # Shorter waits are rounded up to this, which costs no CPU but would make the run take minutes.
    shared_poller.TICK = INTERVAL
    server = Server(int(url.rsplit(":", 1)[1]), 0)
    makes = {name: SYSTEMS["ours" if name == BESIDE else name](url, INTERVAL) for name in names}
    very_first = {name: await _cost(makes[name], server, 1) for name in names}
    first: dict[str, list[float]] = {name: [] for name in names}
    later: dict[str, list[float]] = {name: [] for name in names}
    polls = [1] * REPEATS + [1 + POLLS] * REPEATS
    for _ in range(BLOCKS):
        for name in names:
            if name == BESIDE:
                costs = await _beside_another(makes[name], server, polls)
            else:
                costs = [await _cost(makes[name], server, poll) for poll in polls]
            first[name] += costs[:REPEATS]
            later[name] += [(cost - statistics.median(costs[:REPEATS])) / POLLS for cost in costs[REPEATS:]]
    results = {
        name: {
            "very_first": very_first[name],
            "first": statistics.median(first[name]),
            "later": statistics.median(later[name]),
        }
        for name in names
    }
    print(json.dumps(results), flush=True)
    os._exit(0)  # some peers' clients would take long to close


if __name__ == "__main__":
    asyncio.run(_child(sys.argv[1], sys.argv[2].split("|")))
