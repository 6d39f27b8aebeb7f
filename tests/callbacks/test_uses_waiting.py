"""Waiting for a task that was bought with a callback: a push ends the wait; what is lost or forged costs only time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.callbacks import reader
from airflow_provider_minimax.callbacks.reader import PushedTask, PushReader
from airflow_provider_minimax.callbacks.record import Push
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.polling import schedule
from airflow_provider_minimax.polling.poller import FixedInterval, Outcome
from airflow_provider_minimax.polling.pushed import ONCE_MORE, SAFETY_NET, PushedSchedule
from airflow_provider_minimax.polling.schedule import Kind, duration_stats
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.callbacks.conftest import SOON, Server, needs_record, v1, v2

pytestmark = needs_record

REQUEST = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"})
H3 = VideoRequest.of({"model": "MiniMax-H3", "prompt": "a cat", "duration": 5, "resolution": "768P", "ratio": "16:9"})
NEVER = 3600.0


@pytest.fixture
def buy(connect: Any, declared: str, minimax_emulator: Any) -> Callable[[], str]:
    """Buy clips that are not done before the test says so."""
    minimax_emulator.configure(lifecycle="manual")
    connect("minimax", declared)
    return lambda request=REQUEST: MinimaxHook(declared).submit(request)


@pytest.fixture
async def wait(declared: str, far_polls: None) -> AsyncIterator[Callable[..., asyncio.Task[Outcome]]]:
    """Wait for a task as a triggerer does."""
    started = []

    def start(minimax_task_id: str, attempt: str | None, **options: Any) -> asyncio.Task[Outcome]:
        defaults = {"deadline": time.time() + NEVER, "poll_interval": NEVER, "minimax_conn_id": declared}
        trigger = MinimaxTaskTrigger(minimax_task_id=minimax_task_id, purchase_attempt=attempt, **defaults | options)

        async def outcome() -> Outcome:
            [event] = [event.payload async for event in trigger.run()]
            return Outcome.from_event(event)

        started.append(asyncio.create_task(outcome()))
        return started[-1]

    yield start
    for waiting in started:
        waiting.cancel()
    await asyncio.gather(*started, return_exceptions=True)


@pytest.fixture
def push(server: Server, declared: str) -> Callable[..., Any]:
    """Post to the receiver, in the platform's place."""
    return lambda attempt, body: asyncio.to_thread(server.push, declared, attempt, body)


def queries(emulator: Any) -> int:
    return sum(request["operation"] in ("query", "list") for request in emulator.requests)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - nothing else says so
            await asyncio.sleep(0.02)


def new_attempt() -> str:
    return uuid4().hex


@pytest.mark.parametrize("request_", [REQUEST, H3], ids=["v1", "v2"])
async def test_a_push_that_a_task_is_over_ends_its_wait_with_one_poll(
    reads, buy, wait, push, minimax_emulator, request_
):
    bought, attempt = buy(request_), new_attempt()
    version = "v2" if request_ is H3 else "v1"
    waiting = wait(bought, attempt, api_version=version)
    await until(lambda: bool(reads))
    minimax_emulator.set_job(bought, "success")
    await push(attempt, v1(bought, "Success") if version == "v1" else v2(bought, "succeeded"))
    async with asyncio.timeout(SOON):
        assert (await waiting).result().state is TaskState.SUCCEEDED
    assert queries(minimax_emulator) == 1


async def test_a_push_that_came_before_the_trigger_ends_the_wait_too(reads, buy, wait, push, minimax_emulator):
    bought, attempt = buy(), new_attempt()
    minimax_emulator.set_job(bought, "success")
    await push(attempt, v1(bought, "Success"))
    async with asyncio.timeout(SOON):
        assert (await wait(bought, attempt)).result().minimax_task_id == bought


async def test_a_push_of_a_failure_is_polled_for_like_any_other_end(reads, buy, wait, push, minimax_emulator):
    bought, attempt = buy(), new_attempt()
    minimax_emulator.set_job(bought, "failed", code=1027)
    await push(attempt, v1(bought, "Fail"))
    async with asyncio.timeout(SOON):
        assert (await wait(bought, attempt)).error.code == "1027"


async def test_the_api_has_the_last_word(reads, buy, wait, push, minimax_emulator, monkeypatch):
    """A push says that the task is over, and the API does not say so until a moment later."""
    monkeypatch.setattr("airflow_provider_minimax.polling.pushed.ONCE_MORE", 0.2)
    bought, attempt = buy(), new_attempt()
    minimax_emulator.set_job(bought, "processing")
    waiting = wait(bought, attempt)
    await push(attempt, v1(bought, "Success"))
    await until(lambda: queries(minimax_emulator) == 1)
    assert not waiting.done()
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SOON):
        assert (await waiting).error is None
    assert queries(minimax_emulator) == 2


async def test_a_forged_push_has_no_effect_at_all(reads, server, buy, wait, push, declared, minimax_emulator):
    """Without a token nothing is recorded; with that of another attempt, nothing is polled."""
    bought, attempt = buy(), new_attempt()
    wait(bought, attempt)
    await until(lambda: bool(reads))
    for token in (attempt, f"{attempt}.{'A' * 43}", "x" * 700):
        assert (await asyncio.to_thread(server.post, token, v1(bought, "Success"))).status_code == 404
    await push(new_attempt(), v1(bought, "Success"))
    await push(attempt, v1("424242424242", "Success"))
    await push(attempt, v1(bought, "Processing"))
    seen = len(reads)
    await until(lambda: len(reads) > seen + 3)
    assert queries(minimax_emulator) == 0


async def test_pushes_that_come_again_and_again_cost_no_more_polls(reads, buy, wait, push, minimax_emulator):
    bought, attempt = buy(), new_attempt()
    minimax_emulator.set_job(bought, "processing")
    wait(bought, attempt)
    for status in ("Success", "Success", "Fail", "Success", "Processing") * 4:
        await push(attempt, v1(bought, status))
    await until(lambda: queries(minimax_emulator) == 1)
    seen = len(reads)
    await until(lambda: len(reads) > seen + 5)
    assert queries(minimax_emulator) == 1


async def test_one_reader_serves_all_who_wait_and_ends_with_them(reads, buy, wait, declared, push, minimax_emulator):
    attempts = [new_attempt() for _ in range(40)]
    bought = [buy() for _ in attempts]
    start = time.monotonic()
    waiting = [wait(task, attempt) for task, attempt in zip(bought, attempts, strict=True)]
    await until(lambda: len(reads) > 5)
    assert len(reads) <= (time.monotonic() - start) / reader.READ_EVERY + 2
    for task, attempt in zip(bought, attempts, strict=True):
        minimax_emulator.set_job(task, "success")
        await push(attempt, v1(task, "Success"))
    async with asyncio.timeout(SOON):
        outcomes = await asyncio.gather(*waiting)
    assert [outcome.result().minimax_task_id for outcome in outcomes] == bought
    assert queries(minimax_emulator) == len(bought)
    await asyncio.sleep(3 * reader.READ_EVERY)
    seen = len(reads)
    await asyncio.sleep(5 * reader.READ_EVERY)
    assert len(reads) == seen


async def test_two_who_wait_for_one_purchase_both_hear_of_it(reads, buy, wait, push, minimax_emulator):
    bought, attempt = buy(), new_attempt()
    waiting = [wait(bought, attempt), wait(bought, attempt)]
    await until(lambda: bool(reads))
    minimax_emulator.set_job(bought, "success")
    await push(attempt, v1(bought, "Success"))
    async with asyncio.timeout(SOON):
        assert [outcome.error for outcome in await asyncio.gather(*waiting)] == [None, None]


async def test_a_task_that_was_bought_without_a_callback_starts_no_reader(reads, buy, wait, minimax_emulator):
    bought = buy()
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SOON):
        assert (await wait(bought, None, poll_interval=0.05)).error is None
    assert reads == []


async def test_without_a_single_push_a_task_is_polled_as_ever(reads, buy, wait, minimax_emulator):
    bought = buy()
    waiting = wait(bought, new_attempt(), poll_interval=0.05)
    await until(lambda: queries(minimax_emulator) > 3)
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SOON):
        assert (await waiting).error is None


async def test_a_record_that_cannot_be_read_costs_nothing_but_time(buy, wait, minimax_emulator, monkeypatch):
    tried = []

    async def down(conn_id: str) -> tuple[Push, ...]:
        tried.append(conn_id)
        raise RuntimeError("the API server is down")

    monkeypatch.setattr(reader, "read_recent", down)
    bought = buy()
    waiting = wait(bought, new_attempt(), poll_interval=0.05)
    await until(lambda: queries(minimax_emulator) > 3 and bool(tried))
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SOON):
        assert (await waiting).error is None


async def test_the_last_poll_at_the_deadline_stays(reads, buy, wait, push, minimax_emulator):
    """All pushes but the first are lost, and the wait ends in time all the same, with a look at the task."""
    bought, attempt = buy(), new_attempt()
    await push(attempt, v1(bought, "Processing"))
    minimax_emulator.set_job(bought, "success")
    waiting = wait(bought, attempt, deadline=time.time() + 1, poll_interval=NEVER)
    async with asyncio.timeout(SOON):
        assert (await waiting).error is None
    assert queries(minimax_emulator) == 1


async def test_how_long_a_clip_took_is_learnt_from_a_push_too(reads, buy, wait, push, declared, minimax_emulator):
    """Nobody saw it go on, so without a push half of its time would be taken for all of it."""
    duration_stats.cache_clear()
    for _ in range(schedule.ENOUGH):
        bought, attempt = buy(), new_attempt()
        minimax_emulator.set_job(bought, "success")
        await push(attempt, v1(bought, "Success"))
        clip = {"model": "a model", "bought_at": time.time() - 100}
        async with asyncio.timeout(SOON):
            await wait(bought, attempt, poll_interval=None, clip=clip)
    known = duration_stats(Kind(declared, "a model"))
    assert min(known._seen) > 95


# -- the pace, without a clock -----------------------------------------------------------------------------------------


def pushed(*, arrive: bool, is_over: bool = False) -> PushedTask:
    task = PushedTask("T", "A", lambda pushed_at: arrive)
    task.is_over = is_over
    return task


def test_polls_are_rare_while_pushes_arrive_and_as_usual_when_they_do_not():
    arriving, missing = pushed(arrive=True), pushed(arrive=False)
    usual = FixedInterval(10.0)
    assert PushedSchedule(usual, missing).delay(0.0, 3, 0.5) == 10.0
    pace = PushedSchedule(usual, arriving)
    assert pace.delay(0.0, 1, 0.5) == SAFETY_NET * 1.5
    assert pace.delay(0.0, 2, 0.5) == SAFETY_NET * 3


def test_a_pace_that_is_slower_than_the_safety_net_stays():
    assert PushedSchedule(FixedInterval(1000.0), pushed(arrive=True)).delay(0.0, 1, 0.5) == 1000.0


def test_a_task_that_is_said_to_be_over_is_polled_at_once_then_soon_then_as_usual():
    pace = PushedSchedule(FixedInterval(60.0), pushed(arrive=True, is_over=True))
    assert [pace.delay(0.0, polls, 0.5) for polls in range(4)] == [0.0, ONCE_MORE, 60.0, 60.0]


async def test_pushes_are_relied_on_for_ten_minutes_and_only_while_the_record_can_be_read(monkeypatch, conn_id):
    clock = [1000.0]
    it = PushReader(conn_id, lambda *ids: None)
    monkeypatch.setattr(it, "_loop", type("Loop", (), {"time": staticmethod(lambda: clock[0])})())
    it._note((Push("T", "Processing", TaskState.RUNNING, time.time(), "A"),))
    assert it._arrive(None)
    clock[0] += 31
    assert not it._arrive(None)
    it._note(())
    assert it._arrive(None)
    clock[0] += reader.TRUSTED_FOR
    it._note(())
    assert not it._arrive(None)


async def test_an_old_push_in_the_record_of_a_new_reader_does_not_count_as_new(conn_id):
    it = PushReader(conn_id, lambda *ids: None)
    it._note((Push("T", "Success", TaskState.SUCCEEDED, time.time() - reader.TRUSTED_FOR - 1, "A"),))
    assert not it._arrive(None)
