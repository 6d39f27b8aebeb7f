"""The submission limiter: one after another, in the order they first asked, never faster than the limit."""

from __future__ import annotations

import asyncio
import statistics
import time
from itertools import pairwise

import pytest

from airflow_provider_minimax.polling import limiter as limiters
from airflow_provider_minimax.polling.limiter import SubmissionLimiter, shared_limiter

PER_MINUTE = 600
SPACE = 60 / PER_MINUTE


class Line:
    """Those who wait, in which order they passed, and when they were let pass, however late each came to run then."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.times: list[float] = []

    async def wait(self, name: str, asked_at: float, per_minute: int = PER_MINUTE, conn_id: str = "c") -> None:
        with shared_limiter(conn_id, per_minute) as limiter:
            await limiter.acquire(asked_at)
            self.passed.append(name)

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.times)]


@pytest.fixture
def line(monkeypatch):
    line, grant = Line(), SubmissionLimiter._grant

    def noted(limiter):
        line.times.append(time.monotonic())
        grant(limiter)

    monkeypatch.setattr(SubmissionLimiter, "_grant", noted)
    return line


async def test_who_asked_first_passes_first_whatever_the_order_in_which_they_came(line):
    await asyncio.gather(*(line.wait(name, asked_at) for name, asked_at in [("c", 3), ("a", 1), ("d", 4), ("b", 2)]))
    assert line.passed == ["a", "b", "c", "d"]


async def test_who_asked_at_the_same_moment_pass_as_they_came(line):
    await asyncio.gather(*(line.wait(name, 1) for name in "abcd"))
    assert "".join(line.passed) == "abcd"


async def test_slots_are_never_closer_than_the_limit_asks_for_nor_much_further_apart(line):
    start = time.monotonic()
    await asyncio.gather(*(line.wait(str(n), n) for n in range(10)))
    assert min([line.times[0] - start, *line.gaps]) >= SPACE * 0.99
    # Of a busy machine, one or two come late.
    assert statistics.median(line.gaps) < SPACE * 1.5


async def test_a_new_limiter_waits_for_the_first_slot_as_for_any_other(line):
    """So that nothing comes in a burst when a triggerer is restarted, or a lone task follows on another."""
    start = time.monotonic()
    for n in range(3):
        await line.wait(str(n), n)
    assert min([line.times[0] - start, *line.gaps]) >= SPACE * 0.99


async def test_an_unused_slot_is_not_saved_for_later(line):
    with shared_limiter("c", PER_MINUTE):
        await asyncio.sleep(5 * SPACE)
        await asyncio.gather(*(line.wait(str(n), n) for n in range(3)))
    assert min(line.gaps) >= SPACE * 0.99


async def test_a_pause_is_for_all_and_they_are_spread_after_it_too(line):
    with shared_limiter("c", PER_MINUTE) as limiter:
        waiting = asyncio.gather(*(line.wait(str(n), n) for n in range(3)))
        await asyncio.sleep(0)
        start = time.monotonic()
        limiter.pause(time.time() + 0.5)
        limiter.pause(time.time() - 60)
        await waiting
    assert line.times[0] - start >= 0.49
    assert min(line.gaps) >= SPACE * 0.99


async def test_who_comes_again_after_a_refusal_is_first_though_others_came_meanwhile(line):
    with shared_limiter("c", PER_MINUTE) as limiter:
        waiting = [asyncio.create_task(line.wait(name, asked_at)) for name, asked_at in [("b", 2), ("c", 3)]]
        limiter.pause(time.time() + 0.2)
        await asyncio.sleep(0.1)
        await asyncio.gather(*waiting, line.wait("a", 1))
    assert line.passed == ["a", "b", "c"]


async def test_a_task_that_leaves_makes_no_gap(line):
    # Long enough to tell a gap from a busy machine.
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
    with shared_limiter("c", 1) as limiter:
        waiting = [asyncio.create_task(limiter.acquire(n)) for n in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert limiter.waiting == 2
        for task in waiting:
            task.cancel()


async def test_the_latest_limit_counts(line):
    async with asyncio.timeout(20):
        with shared_limiter("c", 30) as limiter:
            limiter._next = 0.0
            await asyncio.gather(line.wait("a", 1), line.wait("b", 2, per_minute=1200))
    # By the first limit it would be two seconds.
    assert line.gaps[0] < 1


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
