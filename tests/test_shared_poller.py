"""The poller: many triggers, one poller; each gets its own answer, and none gets in another's way."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import replace

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from airflow_provider_minimax.api.http.message import HttpRequest
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskPage, TaskState, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxConnectionLookupError,
    MinimaxConnectionNotFoundError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxTaskGoneError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks import clients
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.polling import shared_poller as pollers
from airflow_provider_minimax.triggers.shared_poller import get_shared_poller

pytestmark = pytest.mark.usefixtures("polls_over")

REQUEST = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"})
WITHIN = 30.0


@pytest.fixture
def buy(connect, minimax_emulator):
    """Buy clips that are not done before the test says so."""
    minimax_emulator.configure(lifecycle="manual")
    hook = MinimaxHook(connect())
    yield lambda count=1: [hook.submit(REQUEST) for _ in range(count)]
    hook.close()


@pytest.fixture
async def poller(connect):
    async with get_shared_poller(connect()) as poller:
        yield poller


def queries(emulator) -> int:
    return sum(request["operation"] == "query" for request in emulator.requests)


async def poll_task(poller, minimax_task_id, after=0.0, within=WITHIN):
    return await poller.poll(minimax_task_id, "v1", after=after, within=within)


async def until_queued(poller, count):
    """Wait until so many polls wait for their time."""
    async with asyncio.timeout(20):
        while sum(map(len, poller._later.values())) < count:  # noqa: ASYNC110 - nothing else says so
            await asyncio.sleep(0.01)


async def poll_tasks(poller, minimax_task_ids, after=0.0):
    """Look at all at once; an error takes the place of what was seen."""
    return await asyncio.gather(*(poll_task(poller, it, after) for it in minimax_task_ids), return_exceptions=True)


# -- answers -----------------------------------------------------------------------------------------------------------


async def test_each_of_many_gets_the_answer_about_its_own_task(poller, buy, minimax_emulator):
    bought = buy(30)
    for done in bought[::2]:
        minimax_emulator.set_job(done, state="success")
    seen = await poll_tasks(poller, bought)
    assert [task.minimax_task_id for task in seen] == bought
    assert all(task.state is TaskState.SUCCEEDED for task in seen[::2])
    assert not any(task.state is TaskState.SUCCEEDED for task in seen[1::2])


async def test_a_task_that_cannot_be_polled_does_not_disturb_the_others(poller, buy, minimax_emulator):
    minimax_emulator.fault("http", operation="query", status=503)
    seen = await poll_tasks(poller, [*buy(5), "no-such-task"])
    assert sorted(type(one).__name__ for one in seen) == [
        "MinimaxTaskGoneError",
        "MinimaxUnavailableError",
        *["VideoTask"] * 4,
    ]


async def test_a_poll_is_not_sent_before_its_time(poller, buy):
    (bought,) = buy()
    start = time.monotonic()
    await poll_task(poller, bought, after=0.3)
    assert 0.3 <= time.monotonic() - start < 10


async def test_polls_that_are_due_at_nearly_the_same_time_share_a_wake_up(poller, buy, mocker):
    woken = mocker.spy(pollers.SharedPoller, "_wake")
    await asyncio.gather(*(poll_task(poller, bought, after=1 + n / 100) for n, bought in enumerate(buy(10))))
    assert woken.call_count <= 2


@pytest.mark.parametrize(("tick", "over_aiohttp"), [(60.0, 8), (0.1, 32)])
async def test_eight_polls_begin_at_once_and_more_only_if_they_wait_and_the_client_bears_them(
    poller, buy, minimax_emulator, polls_over, monkeypatch, tick, over_aiohttp
):
    bought = buy(40)
    await poll_task(poller, bought[0])
    before, expected = queries(minimax_emulator), 8 if polls_over == "httpx" else over_aiohttp
    monkeypatch.setattr(pollers, "TICK", tick)
    minimax_emulator.fault("hold", operation="query", times=-1)
    waiting = asyncio.create_task(poll_tasks(poller, bought))
    async with asyncio.timeout(20):
        while queries(minimax_emulator) - before < expected:  # noqa: ASYNC110 - the emulator is another program
            await asyncio.sleep(0.1)
    await asyncio.sleep(0.3)
    under_way = queries(minimax_emulator) - before
    minimax_emulator.clear_faults()
    minimax_emulator.release()
    assert len(await waiting) == 40
    assert under_way == expected


async def test_a_poll_that_falls_due_as_all_others_end_is_not_forgotten(poller, mocker):
    gate = asyncio.get_running_loop().create_future()

    async def seen(minimax_task_id, *, api_version, retries):
        await gate
        return VideoTask(minimax_task_id, TaskState.RUNNING)

    mocker.patch.object(poller.hook, "aget_task", seen)
    others = asyncio.gather(*(poll_task(poller, str(n)) for n in range(8)))
    await asyncio.sleep(0.02)
    last = asyncio.create_task(poll_task(poller, "last", after=0.05))
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - the loop is busy elsewhere, so that all comes to pass in one turn of it
    gate.set_result(None)
    async with asyncio.timeout(20):
        assert (await last).minimax_task_id == "last"
    await others


async def test_an_answer_with_nothing_new_wakes_nobody_and_is_followed_by_another_poll(poller, buy, minimax_emulator):
    (bought,), seen = buy(), []

    def again(task, now):
        seen.append((task.status, round(now - time.time())))
        if len(seen) == 3:
            minimax_emulator.set_job(bought, state="success")
        return 0.05 if task.state is not TaskState.SUCCEEDED else None

    assert (await poller.poll(bought, after=0, within=WITHIN, reschedule=again)).state is TaskState.SUCCEEDED
    assert len(seen) == 4
    assert seen[-1] == ("Success", 0)


async def test_a_task_that_left_is_not_polled_again(poller, buy, minimax_emulator):
    (bought,) = buy()
    waiting = asyncio.create_task(poller.poll(bought, after=0, within=WITHIN, reschedule=lambda *_: 0.1))
    await asyncio.sleep(0.25)
    waiting.cancel()
    await asyncio.sleep(0.05)
    before = queries(minimax_emulator)
    await asyncio.sleep(0.3)
    assert queries(minimax_emulator) == before


async def test_a_mistake_in_judging_an_answer_is_raised_where_it_was_made(poller, buy):
    (bought,) = buy()
    with pytest.raises(ZeroDivisionError):
        await poller.poll(bought, after=0, within=WITHIN, reschedule=lambda *_: 1 / 0)


# -- a hint that a task has changed ------------------------------------------------------------------------------------


async def test_a_hint_brings_forward_the_next_poll_of_that_task_and_of_no_other(poller, buy, minimax_emulator):
    hinted, other = buy(2)
    waiting = [asyncio.create_task(poll_task(poller, it, after=3600, within=7200)) for it in (hinted, hinted, other)]
    await until_queued(poller, 3)
    poller.poll_now(hinted, "a-task-that-nobody-waits-for")
    async with asyncio.timeout(20):
        seen = await asyncio.gather(*waiting[:2])
    assert [task.minimax_task_id for task in seen] == [hinted, hinted]
    assert not waiting[2].done()
    assert queries(minimax_emulator) == 2
    waiting[2].cancel()


async def test_polls_that_follow_on_one_that_was_brought_forward_keep_their_interval(poller, buy, minimax_emulator):
    (bought,), seen = buy(), asyncio.Event()

    def again(task, now):
        seen.set()
        return 3600

    waiting = asyncio.create_task(poller.poll(bought, "v1", after=3600, within=7200, reschedule=again))
    await until_queued(poller, 1)
    poller.poll_now(bought)
    async with asyncio.timeout(20):
        await seen.wait()
    assert poller._dues[0] - asyncio.get_running_loop().time() > 3000
    assert queries(minimax_emulator) == 1
    waiting.cancel()


async def test_a_hint_does_not_break_a_pause_that_the_platform_asked_for(poller, buy, minimax_emulator):
    refused, hinted = buy(2)
    minimax_emulator.fault("http", operation="query", status=429, retry_after=1)
    with pytest.raises(MinimaxRateLimitError):
        await poll_task(poller, refused)
    start = time.monotonic()
    waiting = asyncio.create_task(poll_task(poller, hinted, after=3600, within=7200))
    await until_queued(poller, 1)
    poller.poll_now(hinted)
    async with asyncio.timeout(20):
        assert (await waiting).minimax_task_id == hinted
    assert time.monotonic() - start >= 0.9


# -- a pause that the platform asked for -------------------------------------------------------------------------------


async def test_after_one_refusal_nobody_asks_until_the_platform_wants_to_be_asked(poller, buy, minimax_emulator):
    refused, *others = buy(5)
    minimax_emulator.fault("http", operation="query", status=429, retry_after=1)
    with pytest.raises(MinimaxRateLimitError):
        await poll_task(poller, refused)
    before, start = queries(minimax_emulator), time.monotonic()
    waiting = asyncio.create_task(poll_tasks(poller, others))
    await asyncio.sleep(0.6)
    assert queries(minimax_emulator) == before
    assert all(isinstance(one, VideoTask) for one in await waiting)
    assert time.monotonic() - start >= 0.9


async def test_waiting_polls_are_delayed_by_as_much_and_so_stay_spread(poller, buy, minimax_emulator):
    refused, first, second = buy(3)
    start = time.monotonic()

    async def asked_at(minimax_task_id, after):
        await poll_task(poller, minimax_task_id, after=after)
        return time.monotonic() - start

    minimax_emulator.fault("http", operation="query", status=429, retry_after=1)
    waiting = asyncio.gather(asked_at(first, 0.2), asked_at(second, 0.6))
    with pytest.raises(MinimaxRateLimitError):
        await poll_task(poller, refused)
    one, other = await waiting
    assert one >= 1.15
    assert other - one == pytest.approx(0.4, abs=0.2)


async def test_a_refusal_that_names_no_time_is_a_short_pause(poller, buy, minimax_emulator, monkeypatch):
    monkeypatch.setattr(pollers, "COOL_DOWN", 0.5)
    refused, other = buy(2)
    minimax_emulator.fault("base_resp", operation="query", code=1002)
    with pytest.raises(MinimaxRateLimitError):
        await poll_task(poller, refused)
    start = time.monotonic()
    await poll_task(poller, other)
    assert time.monotonic() - start >= 0.4


async def test_a_task_whose_deadline_is_in_the_pause_is_polled_for_a_last_time(poller, buy, minimax_emulator):
    refused, other = buy(2)
    minimax_emulator.fault("http", operation="query", status=429, retry_after=60)
    with pytest.raises(MinimaxRateLimitError):
        await poll_task(poller, refused)
    start = time.monotonic()
    assert (await poll_task(poller, other, within=0.3)).minimax_task_id == other
    assert 0.25 <= time.monotonic() - start < WITHIN


async def test_a_pause_of_a_year_is_one_of_a_minute(poller, buy, minimax_emulator):
    refused, other = buy(2)
    minimax_emulator.fault("http", operation="query", status=429, retry_after=365 * 24 * 3600)
    with pytest.raises(MinimaxRateLimitError) as raised:
        await poll_task(poller, refused)
    assert raised.value.retry_after == 60
    waiting = asyncio.create_task(poll_task(poller, other))
    await asyncio.sleep(0.05)
    assert poller._dues[0] - asyncio.get_running_loop().time() <= 60
    waiting.cancel()


# -- the connection ----------------------------------------------------------------------------------------------------


async def test_a_changed_key_is_found_by_all(poller, buy, connect, minimax_emulator):
    bought = buy(20)
    await poll_task(poller, bought[0])
    minimax_emulator.configure(key="a-new-key")
    connect(password="a-new-key")
    minimax_emulator.fault("slow", operation="query", seconds=0.3, times=3)
    assert [task.minimax_task_id for task in await poll_tasks(poller, bought)] == bought


async def test_who_is_cancelled_while_the_connection_changes_leaves_no_client_open_and_hinders_nobody(
    poller, buy, connect, minimax_emulator, mocker
):
    bought = buy(6)
    await poll_task(poller, bought[0])
    closed = mocker.spy(poller.hook.clients._async_client.transport._poll_queue.client, "aclose")
    minimax_emulator.fault("hold", operation="query", times=len(bought))
    others = asyncio.create_task(poll_tasks(poller, bought))
    await asyncio.sleep(0.3)
    connect(extra={"timeout": 33})
    change = asyncio.create_task(poller.hook.areload())
    await asyncio.sleep(0.1)
    change.cancel()
    await asyncio.sleep(0.1)
    assert change.cancelled()
    minimax_emulator.clear_faults()
    minimax_emulator.release()
    assert [task.minimax_task_id for task in await others] == bought
    await asyncio.sleep(0.1)
    assert closed.call_count == 1


async def test_a_wrong_key_is_reported_to_all_after_few_more_lookups(connect, buy, mocker):
    bought, look_up = buy(20), mocker.spy(clients, "alook_up")
    async with get_shared_poller(connect(password="sk-wrong")) as poller:
        assert all(isinstance(one, MinimaxAuthError) for one in await poll_tasks(poller, bought))
    # One a second at most, however slow the machine.
    assert look_up.call_count <= 4


async def test_a_missing_connection_is_reported_to_all_after_one_lookup(mocker):
    look_up = mocker.spy(clients, "alook_up")
    async with get_shared_poller("gone") as poller:
        seen = await poll_tasks(poller, [str(n) for n in range(100)])
    assert all(isinstance(one, MinimaxConnectionNotFoundError) for one in seen)
    assert len(set(map(id, seen))) == 100
    assert look_up.call_count == 1


async def test_a_connection_that_comes_back_is_found(buy, connect, monkeypatch):
    monkeypatch.setattr(clients, "LOOKUP_INTERVAL", 0.1)
    (bought,) = buy()
    async with get_shared_poller("late") as poller:
        with pytest.raises(MinimaxConnectionNotFoundError):
            await poll_task(poller, bought)
        connect(conn_id="late")
        await asyncio.sleep(0.15)
        assert (await poll_task(poller, bought)).minimax_task_id == bought


class Hanging:
    """A lookup that takes until it is released; it notes whether somebody broke it off."""

    def __init__(self, monkeypatch) -> None:
        self.released, self.calls, self.is_broken_off = asyncio.Event(), 0, False
        look_up = clients.alook_up

        async def hanging(*connection):
            self.calls += 1
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.is_broken_off = True
                raise
            return await look_up(*connection)

        monkeypatch.setattr(clients, "alook_up", hanging)


async def test_a_lookup_that_hangs_holds_up_nobody_for_long_and_is_not_asked_twice(buy, connect, monkeypatch):
    (bought,), hanging = buy(), Hanging(monkeypatch)
    monkeypatch.setattr(clients, "LOOKUP_TIMEOUT", 0.5)
    async with get_shared_poller(connect()) as poller:
        for _ in range(2):
            start = time.monotonic()
            seen = await poll_tasks(poller, [bought] * 50, after=0.1)
            assert all(isinstance(one, MinimaxConnectionLookupError) for one in seen)
            # One after another they would take 25 seconds each time.
            assert time.monotonic() - start < 15
        hanging.released.set()
        assert (await poll_task(poller, bought)).minimax_task_id == bought
    assert (hanging.calls, hanging.is_broken_off) == (1, False)


async def test_a_poller_that_is_left_while_a_lookup_hangs_closes_at_once_and_breaks_nothing_off(connect, monkeypatch):
    """Airflow's channel to its triggerer loses its place when a request is broken off."""
    hanging = Hanging(monkeypatch)

    async def watch():
        async with get_shared_poller(connect()) as poller:
            await poll_task(poller, "T")

    waiting = asyncio.create_task(watch())
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not pollers._pollers[asyncio.get_running_loop()]
    hanging.released.set()
    async with asyncio.timeout(30):
        while asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110 - the lookup ends by itself, in a thread
            await asyncio.sleep(0.02)
    assert (hanging.calls, hanging.is_broken_off) == (1, False)


async def test_the_connection_is_looked_up_by_the_one_who_waits(connect, buy, monkeypatch):
    """Airflow 3.4 informs its supervisor by a context variable for which task a trigger asks."""
    (bought,), look_up, seen = buy(), clients.alook_up, []

    async def noted(*connection):
        seen.append(get_contextvars())
        return await look_up(*connection)

    monkeypatch.setattr(clients, "alook_up", noted)
    with bound_contextvars(trigger_id=1):
        async with get_shared_poller(connect()) as poller:
            await poll_task(poller, bought)
    assert seen == [{"trigger_id": 1}]


async def test_failing_lookups_of_the_connection_are_as_far_apart_as_polls():
    async with get_shared_poller("gone") as poller:
        start = time.monotonic()
        with pytest.raises(MinimaxConfigurationError):
            await poll_task(poller, "1", after=0.3)
    assert time.monotonic() - start >= 0.3


async def test_two_connections_have_nothing_in_common(buy, connect, minimax_emulator):
    bought = buy(2)
    minimax_emulator.fault("http", operation="query", status=429, retry_after=60)
    async with get_shared_poller(connect()) as one, get_shared_poller(connect(conn_id="other")) as other:
        assert one is not other
        with pytest.raises(MinimaxRateLimitError):
            await poll_task(one, bought[0])
        assert (await poll_task(other, bought[1])).minimax_task_id == bought[1]


def test_each_loop_has_its_own_poller(buy, connect):
    (bought,), conn_id = buy(), connect()

    async def watch():
        async with get_shared_poller(conn_id) as poller:
            await poll_task(poller, bought)
            return poller

    assert asyncio.run(watch()) is not asyncio.run(watch())


# -- coming and going --------------------------------------------------------------------------------------------------


async def test_the_last_one_out_closes_the_client(connect, buy):
    (bought,) = buy()
    async with get_shared_poller(connect()) as one:
        async with get_shared_poller(connect()) as other:
            assert one is other
            await poll_task(one, bought)
        assert one.hook.clients._async_client is not None
    assert one.hook.clients._async_client is None
    assert not pollers._pollers[asyncio.get_running_loop()]


async def test_who_is_cancelled_again_while_the_client_is_being_closed_closes_it_all_the_same(connect, buy):
    async def watch():
        async with get_shared_poller(connect()) as poller:
            await poll_task(poller, bought)
            found.set_result(poller.hook)
            await asyncio.Event().wait()

    (bought,), found = buy(), asyncio.get_running_loop().create_future()
    watching = asyncio.create_task(watch())
    hook = await found
    for _ in range(2):
        watching.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert hook.clients._async_client is None


async def test_who_is_cancelled_only_while_the_client_is_being_closed_is_cancelled_too(connect, buy):
    """The message of the cancellation says who cancelled."""

    async def watch():
        async with get_shared_poller(connect()) as poller:
            found.set_result(poller.hook)

    found = asyncio.get_running_loop().create_future()
    watching = asyncio.create_task(watch())
    await found
    watching.cancel("user-action")
    with pytest.raises(asyncio.CancelledError, match="user-action"):
        await watching
    assert (await found).clients._async_client is None


async def test_a_cancelled_poll_takes_only_itself_away(poller, buy, minimax_emulator):
    gone, stays = buy(2)
    cancelled = asyncio.create_task(poll_task(poller, gone, after=0.3))
    other = asyncio.create_task(poll_task(poller, stays, after=0.3))
    await asyncio.sleep(0.1)
    cancelled.cancel()
    assert (await other).minimax_task_id == stays
    assert queries(minimax_emulator) == 1


async def test_a_poller_that_is_left_with_a_poll_under_way_leaves_nothing_behind(connect, buy, minimax_emulator):
    (bought,) = buy()
    minimax_emulator.fault("hold", operation="query")

    async def watch():
        async with get_shared_poller(connect()) as poller:
            await poll_task(poller, bought)

    waiting = asyncio.create_task(watch())
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not pollers._pollers[asyncio.get_running_loop()]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nothing_runs_while_nothing_is_due(poller, buy):
    (bought,) = buy()
    await poll_task(poller, bought)
    waiting = asyncio.create_task(poll_task(poller, bought, after=60))
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == {asyncio.current_task(), waiting}
    waiting.cancel()


async def test_what_is_logged_on_the_way_is_in_no_triggers_log(poller, buy, mocker):
    """Airflow leads a line to a trigger's log by structlog's context variables."""
    (bought,), seen = buy(), []
    task = VideoTask(bought, TaskState.RUNNING)
    mocker.patch.object(poller.hook, "aget_task", side_effect=lambda *_, **__: seen.append(get_contextvars()) or task)
    with bound_contextvars(trigger_id=1):
        await poll_task(poller, bought)
    assert seen == [{}]


async def test_the_loop_goes_on_while_answers_are_waited_for(poller, buy, minimax_emulator):
    bought = buy(3)
    await poll_task(poller, bought[0])  # opens the client, which reads the certificates once in a process
    minimax_emulator.fault("slow", operation="query", seconds=0.6, times=3)
    waiting, beats = asyncio.create_task(poll_tasks(poller, bought)), 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        beats += 1
    assert all(isinstance(task, VideoTask) for task in waiting.result())
    # A loop that stood still for each answer would have beaten a few times in between.
    assert beats > 10


# -- a platform that lists tasks ---------------------------------------------------------------------------------------


@pytest.fixture
def listing(monkeypatch, minimax_emulator):
    """Give MiniMax a call for lists, answered by the emulator's query of one task; it shows what the test adds."""
    pages: list[list[str]] = []
    shown: dict[str, VideoTask] = {}

    def list_tasks(page, size, model, minimax_task_ids, task_type):
        pages.append(list(minimax_task_ids))
        return HttpRequest("GET", "/v1/query/video_generation", {"task_id": minimax_task_ids[0]})

    def read_list(reply, known):
        PLATFORMS["minimax"].read_task(reply, pages[-1][0])
        return TaskPage(tuple(shown[it] for it in pages[-1] if it in shown), len(shown))

    platform = replace(PLATFORMS["minimax"], page_size=10, list_tasks=list_tasks, read_list=read_list)
    monkeypatch.setitem(PLATFORMS, "minimax", platform)
    return pages, shown


async def test_a_page_of_tasks_is_one_request(poller, buy, minimax_emulator, listing):
    pages, shown = listing
    bought = buy(11)
    shown |= {it: VideoTask(it, TaskState.RUNNING, "Processing") for it in bought}
    await poll_task(poller, bought[0])
    before = queries(minimax_emulator)
    assert [task.minimax_task_id for task in await poll_tasks(poller, bought[1:], after=0.1)] == bought[1:]
    assert (len(pages), queries(minimax_emulator) - before) == (1, 1)


async def test_what_a_page_shows_to_go_on_is_on_the_next_page_too(poller, buy, listing):
    pages, shown = listing
    bought = buy(10)
    shown |= {it: VideoTask(it, TaskState.RUNNING, "Processing") for it in bought}
    await poll_task(poller, bought[0])

    def again(task, now):
        return None if len(pages) == 3 else 0.05

    await asyncio.gather(*(poller.poll(it, "v1", after=0.1, within=WITHIN, reschedule=again) for it in bought))
    assert len(pages) == 3


async def test_tasks_of_an_unknown_version_are_asked_for_one_by_one_and_then_in_pages(
    poller, buy, minimax_emulator, listing
):
    pages, shown = listing
    bought = buy(4)
    shown |= {it: VideoTask(it, TaskState.RUNNING, "Processing") for it in bought}
    await asyncio.gather(
        *(
            poller.poll(it, after=0.1, within=WITHIN, reschedule=lambda task, now: None if pages else 0.05)
            for it in bought
        )
    )
    # One each, before any of them could be on a page.
    assert queries(minimax_emulator) >= len(bought)
    assert pages


async def test_a_task_that_a_page_lacks_is_polled_by_itself(poller, buy, listing):
    _, shown = listing
    bought = buy(4)
    shown |= {bought[1]: VideoTask(bought[1], TaskState.RUNNING, "Processing")}
    await poll_task(poller, bought[0])
    seen = await poll_tasks(poller, [*bought, "no-such-task"], after=0.1)
    assert [task.minimax_task_id for task in seen[:4]] == bought
    assert isinstance(seen[4], MinimaxTaskGoneError)


async def test_a_page_that_one_task_spoils_is_asked_for_one_by_one(poller, buy, listing):
    bought = buy(3)
    await poll_task(poller, bought[0])
    seen = await poll_tasks(poller, ["no-such-task", *bought], after=0.1)
    assert isinstance(seen[0], MinimaxTaskGoneError)
    assert [task.minimax_task_id for task in seen[1:]] == bought


async def test_a_page_that_cannot_be_read_is_asked_for_one_by_one(poller, buy, minimax_emulator, listing):
    bought = buy(3)
    await poll_task(poller, bought[0])
    minimax_emulator.fault("non_json", operation="query")
    assert [task.minimax_task_id for task in await poll_tasks(poller, bought, after=0.1)] == bought


async def test_a_version_that_the_platform_does_not_have_is_reported_to_the_task_that_asked_for_it(connect):
    async with asyncio.timeout(30), get_shared_poller(connect("bltcy")) as poller:
        with pytest.raises(MinimaxRequestError, match="BLTCY has 'v1'"):
            await poller.poll("a-task", "v2", after=0, within=WITHIN)


async def test_a_page_that_fails_is_reported_to_each_task_in_its_own_error(poller, buy, minimax_emulator, listing):
    bought = buy(3)
    await poll_task(poller, bought[0])
    before = queries(minimax_emulator)
    minimax_emulator.fault("http", operation="query", status=502)
    seen = await poll_tasks(poller, bought, after=0.1)
    assert all(isinstance(error, MinimaxUnavailableError) for error in seen)
    assert [error.minimax_task_id for error in seen] == bought
    assert queries(minimax_emulator) - before == 1


async def test_a_page_that_is_refused_is_a_pause_for_all(poller, buy, minimax_emulator, listing):
    bought = buy(3)
    await poll_task(poller, bought[0])
    minimax_emulator.fault("http", operation="query", status=429, retry_after=1)
    await poll_tasks(poller, bought[:2], after=0.1)
    start = time.monotonic()
    await poll_task(poller, bought[2])
    assert time.monotonic() - start >= 0.9


async def test_tasks_of_the_newer_api_are_looked_at_by_the_page(connect, minimax_emulator):
    """Against the emulator's own reading of that list."""
    request = VideoRequest.of(
        {"model": "MiniMax-H3", "prompt": "a cat", "duration": 5, "resolution": "768P", "ratio": "16:9"}
    )
    with closing(MinimaxHook(connect())) as hook:
        bought = [hook.submit(request) for _ in range(12)]
        older = hook.submit(REQUEST)
    minimax_emulator.set_job(bought[3], state="success")
    async with get_shared_poller("minimax_default") as poller:
        await poller.poll(bought[0], "v2", after=0, within=60)
        before = len(minimax_emulator.requests)
        waits = [poller.poll(it, "v2", after=0.1, within=60) for it in bought]
        waits.append(poller.poll(older, "v1", after=0.1, within=60))
        waits.append(poller.poll("no-such-task", "v2", after=0.1, within=60))
        *seen, gone = await asyncio.gather(*waits, return_exceptions=True)
    assert [task.minimax_task_id for task in seen] == [*bought, older]
    assert [task.has_output for task in seen[:12]] == [it == bought[3] for it in bought]
    assert isinstance(gone, MinimaxTaskGoneError)
    operations = sorted(request["operation"] for request in minimax_emulator.requests[before:])
    assert operations.count("query") <= 3
    assert "list" in operations


async def test_a_change_on_a_page_is_seen_among_many_that_go_on_as_they_did(connect, minimax_emulator):
    request = VideoRequest.of(
        {"model": "MiniMax-H3", "prompt": "a cat", "duration": 5, "resolution": "768P", "ratio": "16:9"}
    )
    minimax_emulator.configure(lifecycle="manual")
    with closing(MinimaxHook(connect())) as hook:
        bought = [hook.submit(request) for _ in range(6)]
    seen: dict[str, list[str]] = {it: [] for it in bought}

    def again(task, now):
        states = seen[task.minimax_task_id]
        states.append(str(task.state))
        if len(states) == 3 and task.minimax_task_id == bought[0]:
            minimax_emulator.set_job(bought[2], state="processing")
        if "running" in seen[bought[2]]:
            minimax_emulator.set_job(bought[2], state="success")
            minimax_emulator.set_job(bought[4], state="failed")
        return 0.1 if task.state in (TaskState.PENDING, TaskState.RUNNING) else None

    async with asyncio.timeout(60), get_shared_poller("minimax_default") as poller:
        waiting = [asyncio.create_task(poller.poll(it, "v2", after=0.1, within=60, reschedule=again)) for it in bought]
        changed = [await waiting[2], await waiting[4]]
        for task in waiting:
            task.cancel()
    assert [(task.state, task.has_output) for task in changed] == [
        (TaskState.SUCCEEDED, True),
        (TaskState.FAILED, False),
    ]
    assert "running" in seen[bought[2]]
    assert set(seen[bought[0]]) == {"pending"}
