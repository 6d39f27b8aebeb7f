"""Who else a push wakes: a sensor that waits for what another task bought, and a task that waits on its worker."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.callbacks import reader, sleeper
from airflow_provider_minimax.callbacks.address import token_of
from airflow_provider_minimax.callbacks.reader import ANY_ATTEMPT, PushedTask
from airflow_provider_minimax.callbacks.record import Push
from airflow_provider_minimax.callbacks.sleeper import PushSleeper
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.polling.poller import Outcome
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.callbacks.conftest import BASE_URL, SOON, Server, needs_record, stored_attempt, v1
from tests.conftest import load_dags
from tests.fakes import FakeTaskInstance

pytestmark = needs_record

CONTENT = {"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"}
MINUTE = 60.0
SHORT = 15.0
"""Far less than the minute between two polls, and far more than a push takes on a busy machine."""


def queries(emulator: Any) -> int:
    return sum(request["operation"] == "query" for request in emulator.requests)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - nothing else says so
            await asyncio.sleep(0.02)


@pytest.fixture
def fan_out(connect: Any, receiver: Server, declared: str, minimax_emulator: Any) -> Callable[[], str]:
    """Buy with an operator that does not wait; the clips are not done before the test says so."""
    minimax_emulator.configure(lifecycle="manual")
    connect("minimax", declared)

    def run() -> str:
        operator = MinimaxVideoGenerationOperator(
            task_id="buy", minimax_conn_id=declared, callback_url="auto", **CONTENT
        )
        return operator.execute({"ti": FakeTaskInstance(run_id=uuid4().hex)})

    return run


@pytest.fixture
async def wait(declared: str) -> AsyncIterator[Callable[..., asyncio.Task[Outcome]]]:
    """Wait with a deferred sensor: its first check on a worker, the others as a triggerer makes them."""
    started = []

    def start(minimax_task_id: str, **options: Any) -> asyncio.Task[Outcome]:
        trigger = deferred(minimax_task_id, declared, **options)

        async def outcome() -> Outcome:
            [event] = [event.payload async for event in trigger.run()]
            return Outcome.from_event(event)

        started.append(asyncio.create_task(outcome()))
        return started[-1]

    yield start
    for waiting in started:
        waiting.cancel()
    await asyncio.gather(*started, return_exceptions=True)


def deferred(minimax_task_id: str, conn_id: str, **options: Any) -> MinimaxTaskTrigger:
    """Return the trigger of a sensor, as it comes out of Airflow's database."""
    sensor = MinimaxTaskSensor(
        task_id="wait",
        minimax_task_id=minimax_task_id,
        minimax_conn_id=conn_id,
        deferrable=True,
        **{"poke_interval": MINUTE} | options,
    )
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute({"ti": FakeTaskInstance()})
    path, kwargs = deferral.value.trigger.serialize()
    assert path == "airflow_provider_minimax.triggers.video.MinimaxTaskTrigger"
    return MinimaxTaskTrigger(**kwargs)


# -- a sensor ----------------------------------------------------------------------------------------------------------


async def test_a_push_ends_the_wait_of_a_sensor_that_did_not_buy(reads, far_polls, fan_out, wait, minimax_emulator):
    bought = fan_out()
    waiting = wait(bought)
    await until(lambda: bool(reads))
    began = time.monotonic()
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SHORT):
        assert (await waiting).result().minimax_task_id == bought
    assert time.monotonic() - began < SHORT
    assert queries(minimax_emulator) == 2, "its first check, and the poll after the push"


async def test_a_push_that_came_while_the_sensor_was_being_deferred_ends_its_wait(
    reads, far_polls, fan_out, declared, minimax_emulator
):
    bought = fan_out()
    trigger = deferred(bought, declared)
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SHORT):
        [event] = [event.payload async for event in trigger.run()]
    assert Outcome.from_event(event).error is None


async def test_a_push_of_another_task_or_through_another_connection_wakes_no_sensor(
    reads, far_polls, fan_out, wait, server, declared, minimax_emulator
):
    bought, other = fan_out(), fan_out()
    waiting = wait(bought)
    await until(lambda: bool(reads))
    minimax_emulator.set_job(other, "success")
    await asyncio.to_thread(server.push, f"{declared}_2", uuid4().hex, v1(bought, "Success"))
    await until(lambda: len(minimax_emulator.pushes) >= 3)
    seen = len(reads)
    await until(lambda: len(reads) > seen + 5)
    assert not waiting.done()
    assert queries(minimax_emulator) == 1


async def test_a_forged_push_costs_a_sensor_one_poll_and_the_true_one_still_ends_its_wait(
    reads, far_polls, fan_out, wait, server, declared, minimax_emulator, monkeypatch
):
    """Somebody has the token of another purchase. The poll is repeated once, as after any push that comes too early."""
    monkeypatch.setattr("airflow_provider_minimax.polling.pushed.ONCE_MORE", 0.1)
    bought, leaked = fan_out(), uuid4().hex
    waiting = wait(bought)
    await until(lambda: bool(reads))
    for _ in range(5):
        await asyncio.to_thread(server.push, declared, leaked, v1(bought, "Success"))
    await until(lambda: queries(minimax_emulator) == 3)
    seen = len(reads)
    await until(lambda: len(reads) > seen + 5)
    assert queries(minimax_emulator) == 3
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SHORT):
        assert (await waiting).error is None


async def test_a_sensor_polls_at_its_own_interval_whatever_else_is_pushed(reads, fan_out, wait, minimax_emulator):
    """Pushes of the connection arrive, and all of those that end the clip are lost."""
    bought = fan_out()
    waiting = wait(bought, poke_interval=0.1)
    await until(lambda: bool(reads) and len(minimax_emulator.pushes) > 0)
    minimax_emulator.fault("lost_push", operation="push", times=-1)
    polled = queries(minimax_emulator)
    await until(lambda: queries(minimax_emulator) > polled + 3)
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SHORT):
        assert (await waiting).error is None


async def test_one_reader_serves_sensors_and_operators(reads, far_polls, fan_out, wait, minimax_emulator):
    bought = [fan_out() for _ in range(10)]
    start = time.monotonic()
    waiting = [wait(task) for task in bought]
    await until(lambda: len(reads) > 5)
    assert len(reads) <= (time.monotonic() - start) / reader.READ_EVERY + 2
    for task in bought:
        minimax_emulator.set_job(task, "success")
    async with asyncio.timeout(SOON):
        outcomes = await asyncio.gather(*waiting)
    assert [outcome.result().minimax_task_id for outcome in outcomes] == bought


@pytest.mark.parametrize("base_url", ["", "no address"])
async def test_without_callbacks_a_sensor_waits_as_ever_and_reads_nothing(
    reads, fan_out, wait, declared, minimax_emulator, monkeypatch, base_url
):
    bought = fan_out()
    monkeypatch.setenv(BASE_URL, base_url)
    _, kwargs = deferred(bought, declared).serialize()
    assert "purchase_attempt" not in kwargs, "a triggerer without callbacks may not know it"
    waiting = wait(bought, poke_interval=0.05)
    await until(lambda: queries(minimax_emulator) > 5)
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SHORT):
        assert (await waiting).error is None
    assert reads == []


def test_a_triggerer_that_knows_no_unknown_attempts_polls_a_sensors_task_all_the_same(fan_out, declared):
    """It takes what it is given for the id of an attempt, and no push can ever be of that one."""
    _, kwargs = deferred(fan_out(), declared).serialize()
    assert kwargs["purchase_attempt"] == ANY_ATTEMPT
    with pytest.raises(ValueError, match="attempt"):
        token_of(declared, ANY_ATTEMPT)


# -- a task that waits on its worker -----------------------------------------------------------------------------------


@pytest.fixture
def attempts_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Read the record from the database, and not through the supervisor that only a real task has; note each time."""
    done: list[str] = []

    def read_attempt(conn_id: str, attempt: str) -> tuple[Push, ...]:
        done.append(attempt)
        return stored_attempt(conn_id, attempt)

    monkeypatch.setattr(sleeper, "read_attempt", read_attempt)
    monkeypatch.setattr(sleeper, "READ_EVERY", 0.05)
    return done


@pytest.fixture
def on_worker(
    connect: Any, receiver: Server, declared: str, minimax_emulator: Any, tmp_path: Path
) -> Callable[..., Any]:
    """Buy a clip and wait for it on the worker; it is not done before the test says so."""
    minimax_emulator.configure(lifecycle="manual")
    connect("minimax", declared)

    def operator(poll_interval: float, callback_url: str | None) -> Any:
        task = MinimaxVideoGenerationOperator(
            task_id="buy",
            minimax_conn_id=declared,
            wait_for_completion=True,
            deferrable=False,
            poll_interval=poll_interval,
            callback_url=callback_url,
            **CONTENT,
        )
        return task.execute({"ti": FakeTaskInstance()})["task_id"]

    def hook(poll_interval: float, callback_url: str | None) -> Any:
        request = VideoRequest.of(CONTENT | {"callback_url": callback_url})
        facts = MinimaxHook(declared).generate(request, output_path=f"{tmp_path}/clip.mp4", poll_interval=poll_interval)
        return facts["task_id"]

    def run(kind: str = "operator", poll_interval: float = MINUTE, callback_url: str | None = "auto") -> Any:
        return asyncio.to_thread(operator if kind == "operator" else hook, poll_interval, callback_url)

    return run


@pytest.mark.parametrize("kind", ["operator", "hook"])
async def test_a_push_ends_a_wait_on_a_worker(attempts_read, far_polls, on_worker, minimax_emulator, kind):
    waiting = asyncio.create_task(on_worker(kind))
    await until(lambda: bool(attempts_read))
    [purchase] = minimax_emulator.purchases
    polled = queries(minimax_emulator)
    minimax_emulator.set_job(purchase["task_id"], "success")
    async with asyncio.timeout(SHORT):
        assert await waiting == purchase["task_id"]
    assert queries(minimax_emulator) == polled + 1


async def test_on_a_worker_a_push_of_another_purchase_or_task_and_a_forged_one_change_nothing(
    attempts_read, far_polls, on_worker, server, declared, minimax_emulator
):
    waiting = asyncio.create_task(on_worker())
    await until(lambda: bool(attempts_read))
    bought, attempt = minimax_emulator.purchases[0]["task_id"], attempts_read[0]
    polled = queries(minimax_emulator)
    await asyncio.to_thread(server.push, declared, uuid4().hex, v1(bought, "Success"))
    await asyncio.to_thread(server.push, declared, attempt, v1("424242424242", "Success"))
    seen = len(attempts_read)
    await until(lambda: len(attempts_read) > seen + 3)
    assert queries(minimax_emulator) == polled
    assert not waiting.done()
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SHORT):
        assert await waiting == bought


async def test_a_forged_end_of_a_purchase_costs_a_worker_two_polls(
    attempts_read, far_polls, on_worker, server, declared, minimax_emulator, monkeypatch
):
    """Somebody has its token. It is polled as usual from then on."""
    monkeypatch.setattr("airflow_provider_minimax.polling.pushed.ONCE_MORE", 0.05)
    waiting = asyncio.create_task(on_worker(poll_interval=1.0))
    await until(lambda: bool(attempts_read))
    bought = minimax_emulator.purchases[0]["task_id"]
    polled, began = queries(minimax_emulator), time.monotonic()
    await asyncio.to_thread(server.push, declared, attempts_read[0], v1(bought, "Success"))
    await until(lambda: queries(minimax_emulator) >= polled + 3)
    assert queries(minimax_emulator) <= polled + 3 + (time.monotonic() - began)
    minimax_emulator.set_job(bought, "success")
    async with asyncio.timeout(SHORT):
        assert await waiting == bought


async def test_a_worker_that_waits_for_a_clip_without_a_callback_reads_nothing(
    attempts_read, on_worker, minimax_emulator
):
    waiting = asyncio.create_task(on_worker(poll_interval=0.05, callback_url=None))
    await until(lambda: queries(minimax_emulator) > 5)
    minimax_emulator.set_job(minimax_emulator.purchases[0]["task_id"], "success")
    async with asyncio.timeout(SHORT):
        await waiting
    assert attempts_read == []


async def test_a_worker_that_cannot_read_the_record_polls_and_says_so_once(
    attempts_read, on_worker, minimax_emulator, monkeypatch, capsys
):
    tried = []

    def down(conn_id: str, attempt: str) -> tuple[Push, ...]:
        tried.append(attempt)
        raise RuntimeError("the API server is down")

    monkeypatch.setattr(sleeper, "read_attempt", down)
    waiting = asyncio.create_task(on_worker(poll_interval=0.05))
    await until(lambda: len(tried) > 2 and queries(minimax_emulator) > 5)
    minimax_emulator.set_job(minimax_emulator.purchases[0]["task_id"], "success")
    async with asyncio.timeout(SHORT):
        await waiting
    said = "".join(capsys.readouterr())
    assert said.count("cannot be read, so its task is polled: RuntimeError: the API server is down") == 1


def test_dag_test_reads_the_record_too(far_polls, connect, receiver, declared, minimax_emulator):
    """There, Airflow's answers come from the process of the task itself. It would poll an hour later."""
    minimax_emulator.configure(lifecycle="time", seconds=2.0)
    connect("minimax", declared)
    assert load_dags("waiting_on_workers")["waiting_on_workers"].test(run_conf={"conn_id": declared}).state == "success"
    assert queries(minimax_emulator) == 1


@pytest.fixture
def slow_reading(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Lock, list[str]]:
    """An API server that answers when the test says so; meanwhile nobody else can ask."""
    answer, asking, reads = threading.Event(), threading.Lock(), []

    def read_attempt(conn_id: str, attempt: str) -> tuple[Push, ...]:
        with asking:
            reads.append(attempt)
            answer.wait(SOON)
        return ()

    monkeypatch.setattr(sleeper, "read_attempt", read_attempt)
    return answer, asking, reads


def test_a_worker_does_not_poll_late_because_the_record_is_read_slowly(slow_reading, monkeypatch):
    monkeypatch.setattr(sleeper, "_SECONDS_TO_READ", 0.05)
    answer, _, reads = slow_reading
    it = PushSleeper("minimax_default", PushedTask("T", "A"), log=logging.getLogger(__name__))
    began = time.monotonic()
    for _ in range(5):
        it.sleep(0.1)
    assert 0.5 <= time.monotonic() - began < SHORT
    assert reads == ["A"], "one question at a time"
    answer.set()


def test_a_task_that_is_killed_while_the_record_is_read_can_still_ask_airflow(slow_reading):
    """Airflow's ``on_kill`` runs in a signal handler, in the middle of whatever the task does."""
    answer, asking, reads = slow_reading
    asked = []

    def on_kill(number: int, frame: Any) -> None:
        answer.set()
        asked.append(asking.acquire(timeout=SOON))

    before = signal.signal(signal.SIGUSR1, on_kill)
    try:
        killer = threading.Timer(0.2, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1))
        killer.start()
        it = PushSleeper("minimax_default", PushedTask("T", "A"), log=logging.getLogger(__name__))
        it.sleep(1.0)
        killer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (asked, reads) == ([True], ["A"])
