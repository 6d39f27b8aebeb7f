"""Who posts too often is answered a second later, and nobody else is."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_minimax.callbacks import throttle as throttle_module
from airflow_provider_minimax.callbacks.address import token_of
from airflow_provider_minimax.callbacks.throttle import AT_ONCE, PER_SECOND, Throttle
from tests.callbacks.conftest import SOON, serving, v1

NEVER = 3600.0


@pytest.fixture
def now(mocker):
    """Stop the clock that posts are counted by; the test sets it."""
    clock = mocker.patch.object(throttle_module, "time")
    clock.monotonic.return_value = 1000.0
    return clock.monotonic


@pytest.fixture
def delays(mocker):
    """Count the delays instead of waiting for them; servers in other threads sleep as before."""
    return mocker.patch.object(throttle_module, "asyncio", sleep=mocker.AsyncMock()).sleep


async def post(throttle: Throttle, sender: str, times: int) -> None:
    for _ in range(times):
        await throttle.wait(sender)


async def test_a_platform_is_never_delayed_by_what_it_posts_of_a_clip(now, delays):
    """A challenge and four statuses, each of them twice."""
    await post(Throttle(), "attempt", 10)
    assert delays.call_count == 0


async def test_who_posts_too_often_waits_for_each_answer(now, delays):
    await post(Throttle(), "attempt", AT_ONCE + 7)
    assert delays.call_count == 7


async def test_others_are_not_delayed_with_it(now, delays):
    throttle = Throttle()
    await post(throttle, "attempt", AT_ONCE)
    await post(throttle, "another", AT_ONCE)
    assert delays.call_count == 0


async def test_it_is_answered_at_once_again_after_a_rest(now, delays):
    throttle = Throttle()
    await post(throttle, "attempt", AT_ONCE + 1)
    now.return_value += 5 / PER_SECOND
    await post(throttle, "attempt", 5)
    assert delays.call_count == 1
    await post(throttle, "attempt", 1)
    assert delays.call_count == 2


async def test_only_so_many_answers_are_delayed_at_once(now, monkeypatch):
    monkeypatch.setattr(throttle_module, "DELAY_SECONDS", NEVER)
    monkeypatch.setattr(throttle_module, "MOST_DELAYED", 3)
    throttle = Throttle()
    await post(throttle, "attempt", AT_ONCE)
    delayed = [asyncio.create_task(throttle.wait("attempt")) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.wait_for(throttle.wait("attempt"), SOON)
    for task in delayed:
        task.cancel()
    await asyncio.gather(*delayed, return_exceptions=True)
    assert throttle._delayed == 0


async def test_it_remembers_a_bounded_number_of_senders(now, delays, monkeypatch):
    monkeypatch.setattr(throttle_module, "MOST_SENDERS", 3)
    throttle = Throttle()
    await post(throttle, "first", AT_ONCE)
    for number in range(10):
        await throttle.wait(str(number))
    assert len(throttle._busy_until) == 3
    await throttle.wait("first")
    assert delays.call_count == 0


@pytest.mark.parametrize("kind", ["forged", "leaked"])
def test_a_flood_leaves_a_platform_its_answer(airflow_db, conn_id, now, monkeypatch, mocker, kind):
    """While a flood's answers are delayed for long, a challenge and a push of another purchase are answered."""
    monkeypatch.setattr(throttle_module, "DELAY_SECONDS", NEVER)
    posts = mocker.spy(Throttle, "wait")
    token = {"forged": "forged", "leaked": token_of(conn_id, "leaked")}[kind]
    with ThreadPoolExecutor(5) as pool, serving() as server:
        for _ in range(AT_ONCE):
            server.post(token, {"challenge": "a"})
        flood = [pool.submit(server.post, token, {"challenge": "a"}) for _ in range(5)]
        deadline = time.monotonic() + SOON
        while posts.call_count < AT_ONCE + 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert server.push(conn_id, "attempt", {"challenge": "a"}).json() == {"challenge": "a"}
        assert server.push(conn_id, "attempt", v1("1", "success")).status_code == 200
        assert not any(answer.done() for answer in flood)
