"""The trigger of an ``AssetWatcher``: one event for each clip that ends, whatever becomes of the triggerer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.triggers import clips
from airflow_provider_minimax.triggers.clips import MinimaxClipsTrigger
from tests.callbacks.conftest import SOON
from tests.conftest import EXAMPLE_DAGS, load_file
from tests.fakes import HAS_STORE

H3 = VideoRequest.of({"model": "MiniMax-H3", "prompt": "a cat", "duration": 5, "resolution": "768P", "ratio": "16:9"})
with_store = pytest.mark.skipif(not HAS_STORE, reason="Airflow has an asset state store since 3.3")


class Store:
    """What a triggerer gives a watcher's trigger: it outlives the triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.writes = 0

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        self.writes += 1
        self.values[key] = json.dumps(value)

    @property
    def announced(self) -> set[str]:
        """The clips whose events are known to be stored."""
        return set(json.loads(self.values[clips.KEY])["announced"])


class Watcher:
    """A triggerer that runs the trigger, and may be killed and started again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events: list[dict[str, Any]] = []
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        path, kwargs = MinimaxClipsTrigger(poll_interval=0.02).serialize()
        assert path.endswith(".MinimaxClipsTrigger")
        trigger = MinimaxClipsTrigger(**kwargs)
        trigger.asset_state_store = self.store  # type: ignore[assignment]
        async for event in trigger.run():
            self.events.append(event.payload)

    async def kill(self) -> None:
        assert self._running is not None
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    @property
    def ids(self) -> list[str]:
        return [event["minimax_task_id"] for event in self.events]


@pytest.fixture
def buy(connect: Any, minimax_emulator: Any) -> Callable[[], str]:
    minimax_emulator.configure(lifecycle="manual")
    connect()
    return lambda: MinimaxHook("minimax_default").submit(H3)


@pytest.fixture
async def watcher(buy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(clips, "STORED_WITHIN", 0.05)
    it = Watcher(Store())
    yield it
    await it.kill()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - nothing else says so
            await asyncio.sleep(0.01)


async def until_listed_again(emulator: Any, times: int = 3) -> None:
    def lists() -> int:
        return sum(request["operation"] == "list" for request in emulator.requests)

    before = lists()
    await until(lambda: lists() >= before + times)


@with_store
async def test_each_clip_that_ends_is_one_event_without_a_url(watcher, buy, minimax_emulator):
    good, bad, pending = buy(), buy(), buy()
    watcher.start()
    await until(lambda: watcher.store.writes)
    minimax_emulator.set_job(good, "success")
    minimax_emulator.set_job(bad, "failed")
    await until(lambda: len(watcher.events) == 2)
    await until_listed_again(minimax_emulator)
    assert sorted(watcher.ids) == sorted([good, bad])
    assert pending not in watcher.ids
    event = next(event for event in watcher.events if event["minimax_task_id"] == good)
    assert event == {
        "minimax_task_id": good,
        "status": "succeeded",
        "state": "succeeded",
        "minimax_conn_id": "minimax_default",
    }


@with_store
async def test_what_had_ended_before_the_first_reading_is_left_out_and_what_ends_later_is_not(
    watcher, buy, minimax_emulator
):
    old, slow = buy(), buy()
    minimax_emulator.set_job(old, "success")
    watcher.start()
    await until(lambda: watcher.store.writes)
    minimax_emulator.set_job(slow, "success")
    await until(lambda: watcher.events)
    assert watcher.ids == [slow]


@with_store
async def test_a_restart_repeats_nothing_and_misses_nothing(watcher, buy, minimax_emulator):
    bought = [buy() for _ in range(8)]
    watcher.start()
    await until(lambda: watcher.store.writes)
    for number, task in enumerate(bought):
        minimax_emulator.set_job(task, "success")
        if number % 2:
            await until(lambda: len(watcher.events) >= number)  # noqa: B023 - awaited at once
            await until_listed_again(minimax_emulator, 2)
            await watcher.kill()
            watcher.start()
    await until(lambda: len(watcher.events) >= len(bought))
    await until_listed_again(minimax_emulator)
    assert sorted(watcher.ids) == sorted(bought)
    assert not any("may_be_repeated" in event for event in watcher.events)


@with_store
async def test_an_event_of_which_nobody_knows_whether_it_was_stored_is_sent_again_and_says_so(
    watcher, buy, minimax_emulator, monkeypatch
):
    monkeypatch.setattr(clips, "STORED_WITHIN", 3600.0)
    task = buy()
    watcher.start()
    await until(lambda: watcher.store.writes)
    minimax_emulator.set_job(task, "success")
    await until(lambda: watcher.events)
    await watcher.kill()
    monkeypatch.setattr(clips, "STORED_WITHIN", 0.05)
    watcher.start()
    await until(lambda: len(watcher.events) == 2)
    await until_listed_again(minimax_emulator)
    assert watcher.ids == [task, task]
    assert [event.get("may_be_repeated") for event in watcher.events] == [None, True]


class StandsStill:
    """A triggerer that stands still from when it has sent events until the test lets it go on."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def aget(self, key: str, default: Any = None) -> Any:
        await self.goes_on.wait()
        self.asked += 1
        return await self.store.aget(key, default)

    async def aset(self, key: str, value: Any) -> None:
        await self.goes_on.wait()
        await self.store.aset(key, value)
        if value["announcing"]:
            self.goes_on.clear()


@with_store
async def test_a_triggerer_that_stood_still_does_not_undo_what_another_one_has_announced(
    watcher, buy, minimax_emulator
):
    first, second = buy(), buy()
    store = watcher.store
    watcher.store = stalled = StandsStill(store)
    watcher.start()
    await until(lambda: store.writes)
    minimax_emulator.set_job(first, "success")
    await until(lambda: watcher.events)
    other = Watcher(store)
    other.start()
    minimax_emulator.set_job(second, "success")
    await until(lambda: store.announced == {first, second})
    seen = stalled.asked
    stalled.goes_on.set()
    await until(lambda: stalled.asked > seen + 3)
    await other.kill()
    assert store.announced == {first, second}
    marked = [(event["minimax_task_id"], "may_be_repeated" in event) for event in watcher.events + other.events]
    assert sorted(marked) == sorted([(first, False), (first, True), (second, False)])


class Triggerer(Store):
    """
    A store that is asked as a triggerer's supervisor is.

    In each pass it reads all requests that are there, among them the one with the events, which comes once a second;
    it stores the events at the end of the pass.
    """

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self.stored = 0
        self.stored_at_each_write: list[int] = []
        self._watcher = watcher

    async def aget(self, key: str, default: Any = None) -> Any:
        value = await super().aget(key, default)
        await asyncio.sleep(0)
        self.stored = len(self._watcher.events)
        return value

    async def aset(self, key: str, value: Any) -> None:
        self.stored_at_each_write.append(self.stored)
        await super().aset(key, value)
        await asyncio.sleep(0)
        self.stored = len(self._watcher.events)


@with_store
async def test_an_event_is_stored_before_it_counts_as_announced(watcher, buy, minimax_emulator):
    watcher.store = Triggerer(watcher)
    task = buy()
    watcher.start()
    await until(lambda: watcher.store.writes)
    minimax_emulator.set_job(task, "success")
    await until(lambda: watcher.store.announced == {task})
    assert watcher.store.stored_at_each_write == [0, 0, 1], "the beginning, the intent, and what is announced"


@with_store
async def test_a_list_that_cannot_be_read_is_read_later(watcher, buy, minimax_emulator):
    task = buy()
    watcher.start()
    await until(lambda: watcher.store.writes)
    minimax_emulator.fault("http", operation="list", status=502, times=3)
    minimax_emulator.set_job(task, "success")
    await until(lambda: watcher.events)
    assert watcher.ids == [task]


@with_store
async def test_while_nothing_happens_nothing_is_written(watcher, buy, minimax_emulator):
    buy()
    watcher.start()
    await until(lambda: watcher.store.writes)
    await until_listed_again(minimax_emulator)
    written = watcher.store.writes
    await until_listed_again(minimax_emulator, 5)
    assert watcher.store.writes == written


def test_a_pace_that_is_none_is_refused_when_the_dag_is_parsed():
    with pytest.raises(MinimaxRequestError):
        MinimaxClipsTrigger(poll_interval=0)


@pytest.mark.skipif(HAS_STORE, reason="this Airflow has an asset state store")
def test_an_airflow_without_a_store_is_refused_when_the_dag_is_parsed():
    assert not hasattr(BaseEventTrigger, "asset_state_store")
    with pytest.raises(MinimaxRequestError, match=r"needs Airflow 3\.3"):
        MinimaxClipsTrigger()


@with_store
def test_the_example_in_the_docs_is_scheduled_on_the_watched_asset():
    (dag,) = load_file(EXAMPLE_DAGS.parent / "docs" / "examples" / "since_3_3" / "watched_clips.py").values()
    ((watcher,),) = [asset.watchers for asset in dag.schedule]
    assert isinstance(watcher.trigger, MinimaxClipsTrigger)
