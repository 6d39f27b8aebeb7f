"""The submission limiter: one after another, in the order they first asked, never faster than the limit."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from airflow_provider_minimax.polling import limiter as limiters
from airflow_provider_minimax.polling.limiter import shared_limiter

pytestmark = pytest.mark.looptime

PER_MINUTE = 600
SPACE = 60 / PER_MINUTE
# The clock of these tests goes by microseconds.
LEAST_SPACE = SPACE - 0.0001
# Slots are up to a tenth further apart than the limit asks for.
MOST_SPACE = 1.1 * SPACE + 0.0001


class Line:
    """Those who wait, in which order they passed, and when, by the clock of the event loop."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.times: list[float] = []

    async def wait(self, name: str, asked_at: float, per_minute: int = PER_MINUTE, conn_id: str = "c") -> None:
        with shared_limiter(conn_id, per_minute) as limiter:
            await limiter.acquire(asked_at)
            self.passed.append(name)
            self.times.append(now())

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.times)]


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def line():
    return Line()


async def test_who_asked_first_passes_first_whatever_the_order_in_which_they_came(line):
    await asyncio.gather(*(line.wait(name, asked_at) for name, asked_at in [("c", 3), ("a", 1), ("d", 4), ("b", 2)]))
    assert line.passed == ["a", "b", "c", "d"]


async def test_who_asked_at_the_same_moment_pass_as_they_came(line):
    await asyncio.gather(*(line.wait(name, 1) for name in "abcd"))
    assert "".join(line.passed) == "abcd"


async def test_slots_are_never_closer_than_the_limit_asks_for_nor_much_further_apart(line):
    start = now()
    await asyncio.gather(*(line.wait(str(n), n) for n in range(10)))
    assert all(LEAST_SPACE <= gap <= MOST_SPACE for gap in [line.times[0] - start, *line.gaps])


async def test_a_new_limiter_waits_for_the_first_slot_as_for_any_other(line):
    """So that nothing comes in a burst when a triggerer is restarted, or a lone task follows on another."""
    start = now()
    for n in range(3):
        await line.wait(str(n), n)
    assert min([line.times[0] - start, *line.gaps]) >= LEAST_SPACE


async def test_an_unused_slot_is_not_saved_for_later(line):
    with shared_limiter("c", PER_MINUTE):
        await asyncio.sleep(5 * SPACE)
        await asyncio.gather(*(line.wait(str(n), n) for n in range(3)))
    assert min(line.gaps) >= LEAST_SPACE


async def test_a_pause_is_for_all_and_they_are_spread_after_it_too(line):
    with shared_limiter("c", PER_MINUTE) as limiter:
        waiting = asyncio.gather(*(line.wait(str(n), n) for n in range(3)))
        await asyncio.sleep(0)
        start = now()
        limiter.pause(time.time() + 60)
        limiter.pause(time.time() - 60)
        await waiting
    # Only what the machine took between the two readings of the clock is missing.
    assert 30 < line.times[0] - start < 60.1
    assert min(line.gaps) >= LEAST_SPACE


async def test_who_comes_again_after_a_refusal_is_first_though_others_came_meanwhile(line):
    with shared_limiter("c", PER_MINUTE) as limiter:
        waiting = [asyncio.create_task(line.wait(name, asked_at)) for name, asked_at in [("b", 2), ("c", 3)]]
        limiter.pause(time.time() + 60)
        await asyncio.sleep(1)
        await asyncio.gather(*waiting, line.wait("a", 1))
    assert line.passed == ["a", "b", "c"]


async def test_a_task_that_leaves_makes_no_gap(line):
    start = now()
    first, *others = [asyncio.create_task(line.wait(name, n)) for n, name in enumerate("abc")]
    await asyncio.sleep(SPACE / 2)
    first.cancel()
    await asyncio.gather(*others)
    assert line.passed == ["b", "c"]
    assert line.times[-1] - start <= 2 * MOST_SPACE
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_how_many_wait_is_known_without_those_who_left():
    with shared_limiter("c", 1) as limiter:
        waiting = [asyncio.create_task(limiter.acquire(n)) for n in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert limiter.waiting == 2
        for task in waiting:
            task.cancel()


async def test_the_latest_limit_counts(line):
    with shared_limiter("c", 30):
        await asyncio.gather(line.wait("a", 1), line.wait("b", 2, per_minute=PER_MINUTE))
    # By the first limit it would be two seconds.
    assert line.gaps[0] <= MOST_SPACE


async def test_a_task_that_is_refused_without_a_limit_uses_the_usual_one():
    with shared_limiter("c", None) as limiter:
        assert limiter._per_minute == limiters.USUAL_PER_MINUTE


async def test_connections_have_limiters_of_their_own(line):
    await asyncio.gather(line.wait("a", 1), line.wait("b", 2, conn_id="other"))
    assert line.gaps[0] < SPACE / 2


async def test_nothing_is_left_behind_by_the_last(line):
    await asyncio.gather(*(line.wait(str(n), n) for n in range(3)))
    gone = asyncio.create_task(line.wait("gone", 1))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert not limiters._limiters[asyncio.get_running_loop()]
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_each_loop_has_its_own_limiter():
    async def one():
        with shared_limiter("c", 1) as limiter:
            return limiter

    assert asyncio.run(one()) is not asyncio.run(one())


async def test_nothing_runs_while_it_is_nobodys_slot():
    with shared_limiter("c", 1) as limiter:
        waiting = asyncio.create_task(limiter.acquire(1))
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task(), waiting}
        waiting.cancel()
