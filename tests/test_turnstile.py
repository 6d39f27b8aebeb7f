"""The turnstile: one after another, in the order they first asked, never faster than the limit."""

from __future__ import annotations

import asyncio
import statistics
import time
from itertools import pairwise

import pytest

from airflow_provider_minimax.polling import limiter as turnstiles
from airflow_provider_minimax.polling.limiter import shared_limiter

PER_MINUTE = 600
SPACE = 60 / PER_MINUTE


class Line:
    """Those who wait, and who passed when."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.times: list[float] = []

    async def wait(self, name: str, asked_at: float, per_minute: int = PER_MINUTE, conn_id: str = "c") -> None:
        with shared_limiter(conn_id, per_minute) as turnstile:
            await turnstile.acquire(asked_at)
            self.passed.append(name)
            self.times.append(time.monotonic())

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.times)]


@pytest.fixture
def line():
    return Line()


async def test_who_asked_first_passes_first_whatever_the_order_in_which_they_came(line):
    await asyncio.gather(*(line.wait(name, asked_at) for name, asked_at in [("c", 3), ("a", 1), ("d", 4), ("b", 2)]))
    assert line.passed == ["a", "b", "c", "d"]


async def test_who_asked_at_the_same_moment_pass_as_they_came(line):
    await asyncio.gather(*(line.wait(name, 1) for name in "abcd"))
    assert "".join(line.passed) == "abcd"


async def test_turns_are_never_closer_than_the_limit_asks_for_nor_much_further_apart(line):
    start = time.monotonic()
    await asyncio.gather(*(line.wait(str(n), n) for n in range(10)))
    assert min([line.times[0] - start, *line.gaps]) >= SPACE * 0.99
    # Of a busy machine, one or two come late.
    assert statistics.median(line.gaps) < SPACE * 1.5


async def test_a_new_turnstile_waits_for_the_first_turn_as_for_any_other(line):
    """So that nothing comes in a burst when a triggerer is restarted, or a lone task follows on another."""
    start = time.monotonic()
    for n in range(3):
        await line.wait(str(n), n)
    assert min([line.times[0] - start, *line.gaps]) >= SPACE * 0.99


async def test_a_turn_that_nobody_took_is_not_saved_up(line):
    with shared_limiter("c", PER_MINUTE):
        await asyncio.sleep(5 * SPACE)
        await asyncio.gather(*(line.wait(str(n), n) for n in range(3)))
    assert min(line.gaps) >= SPACE * 0.99


async def test_a_pause_is_for_all_and_they_are_spread_after_it_too(line):
    with shared_limiter("c", PER_MINUTE) as turnstile:
        waiting = asyncio.gather(*(line.wait(str(n), n) for n in range(3)))
        await asyncio.sleep(0)
        start = time.monotonic()
        turnstile.pause(time.time() + 0.5)
        turnstile.pause(time.time() - 60)
        await waiting
    assert line.times[0] - start >= 0.49
    assert min(line.gaps) >= SPACE * 0.99


async def test_who_comes_again_after_a_refusal_is_first_though_others_came_meanwhile(line):
    with shared_limiter("c", PER_MINUTE) as turnstile:
        waiting = [asyncio.create_task(line.wait(name, asked_at)) for name, asked_at in [("b", 2), ("c", 3)]]
        turnstile.pause(time.time() + 0.2)
        await asyncio.sleep(0.1)
        await asyncio.gather(*waiting, line.wait("a", 1))
    assert line.passed == ["a", "b", "c"]


async def test_who_leaves_makes_no_gap(line):
    # Long enough for a gap to be told from a busy machine.
    space = 4 * SPACE
    first, *others = [asyncio.create_task(line.wait(name, n, PER_MINUTE // 4)) for n, name in enumerate("abc")]
    await asyncio.sleep(space / 2)
    start = time.monotonic()
    first.cancel()
    await asyncio.gather(*others)
    assert line.passed == ["b", "c"]
    assert time.monotonic() - start < 2.3 * space
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_how_many_wait_is_known_without_those_who_left():
    with shared_limiter("c", 1) as turnstile:
        waiting = [asyncio.create_task(turnstile.acquire(n)) for n in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert turnstile.waiting == 2
        for task in waiting:
            task.cancel()


async def test_the_limit_that_was_told_last_counts(line):
    async with asyncio.timeout(20):
        with shared_limiter("c", 30) as turnstile:
            turnstile._next = 0.0
            await asyncio.gather(line.wait("a", 1), line.wait("b", 2, per_minute=1200))
    # By the first limit it would be two seconds.
    assert line.gaps[0] < 1


async def test_who_was_refused_without_a_limit_goes_by_the_usual_one():
    with shared_limiter("c", None) as turnstile:
        assert turnstile._per_minute == turnstiles.USUAL_PER_MINUTE


async def test_connections_have_turnstiles_of_their_own(line):
    await asyncio.gather(line.wait("a", 1), line.wait("b", 2, conn_id="other"))
    assert line.gaps[0] < SPACE / 2


async def test_nothing_is_left_behind_by_the_last(line):
    await asyncio.gather(*(line.wait(str(n), n) for n in range(3)))
    gone = asyncio.create_task(line.wait("gone", 1))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert not turnstiles._limiters[asyncio.get_running_loop()]
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_each_loop_has_a_turnstile_of_its_own():
    async def one():
        with shared_limiter("c", 1) as turnstile:
            return turnstile

    assert asyncio.run(one()) is not asyncio.run(one())


async def test_nothing_runs_while_it_is_nobodys_turn():
    with shared_limiter("c", 1) as turnstile:
        waiting = asyncio.create_task(turnstile.acquire(1))
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task(), waiting}
        waiting.cancel()
