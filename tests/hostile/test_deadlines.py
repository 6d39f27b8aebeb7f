"""The time that a task is given holds in worker, sensor and triggerer, whatever the platform does with a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_minimax.api.http import exchange
from airflow_provider_minimax.exceptions import MinimaxError, MinimaxTaskTimeoutError, MinimaxUnavailableError
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.polling import cancel as cancelling
from airflow_provider_minimax.polling import poller as pace
from airflow_provider_minimax.polling import shared_poller as pollers
from airflow_provider_minimax.polling.poller import Outcome
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.fakes import FakeTaskInstance
from tests.hostile.server import ENDLESS, HostileServer, Request, Steps, closes, stops, whole

# The connection's time-out does not end these, and nothing else is as long.
LONG = 60.0
IN_TIME = 15.0
BOUGHT = whole(b'{"task_id": "106", "base_resp": {"status_code": 0, "status_msg": "success"}}')
ATTACKS = ["never answers", "drips 100 Continue", "drips headers", "drips a body", "drips the size of a chunk"]


@pytest.fixture(autouse=True)
def _short_last_answer(monkeypatch):
    for module in (pace, pollers):
        monkeypatch.setattr(module, "LAST_ANSWER", 0.3)


@pytest.fixture(params=ATTACKS)
def platform(request, connect_to) -> Iterator[HostileServer]:
    """A platform that takes purchases, and does this to all who poll them."""

    def answer(asked: Request) -> Steps:
        return ENDLESS[request.param]() if asked.method == "GET" else stops(BOUGHT)

    with HostileServer(answer) as server:
        connect_to(server.url, timeout=LONG)
        yield server


@pytest.fixture
def context():
    ti = FakeTaskInstance()
    ti.get_first_reschedule_date = lambda context: None
    return {"ti": ti}


@pytest.fixture(autouse=True)
def _in_time():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < IN_TIME


@pytest.mark.usefixtures("platform")
def test_an_operators_time_is_over_though_a_status_check_is_under_way(context):
    operator = MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="a paper boat",
        wait_for_completion=True,
        deferrable=False,
        durable=False,
        poll_interval=0.1,
        timeout=0.4,
    )
    with pytest.raises(MinimaxTaskTimeoutError, match="keeps running and will be billed"):
        operator.execute(context)


def sensor(**options) -> MinimaxTaskSensor:
    return MinimaxTaskSensor(task_id="wait", minimax_task_id="106", poke_interval=0.05, **options)


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_sensors_time_is_over_though_a_status_check_is_under_way(mode, context):
    with pytest.raises(MinimaxTaskTimeoutError):
        sensor(mode=mode, timeout=0.4, silent_fail=True).execute(context)


@pytest.mark.usefixtures("platform")
def test_it_counts_from_when_a_sensor_that_is_rescheduled_began(context):
    began = datetime.now(UTC) - timedelta(seconds=LONG)
    context["ti"].get_first_reschedule_date = lambda context: began
    with pytest.raises(MinimaxTaskTimeoutError):
        sensor(mode="reschedule", timeout=LONG, silent_fail=True).execute(context)


def trigger(deadline: float) -> MinimaxTaskTrigger:
    return MinimaxTaskTrigger(
        minimax_task_id="106", minimax_conn_id="minimax_default", deadline=deadline, poll_interval=0.05
    )


async def outcome(it: MinimaxTaskTrigger) -> Outcome:
    return Outcome.from_event(await anext(event.payload async for event in it.run()))


@pytest.mark.usefixtures("platform", "polls_over")
async def test_a_triggers_time_is_over_though_its_status_check_waits_behind_many():
    deadline = time.time() + 0.5
    outcomes = await asyncio.gather(*(outcome(trigger(deadline)) for _ in range(50)))
    assert {type(it.error) for it in outcomes} == {MinimaxTaskTimeoutError}


@pytest.mark.usefixtures("platform")
def test_a_cancellation_that_gets_no_answer_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(cancelling, "_CANCEL_WITHIN", 0.4)
    with closing(MinimaxHook()) as hook:
        assert isinstance(cancelling.try_cancel(hook, "106", "v2"), MinimaxError)


def test_a_request_is_not_repeated_when_there_is_no_more_time_for_it(connect_to, monkeypatch):
    monkeypatch.setattr(exchange, "backoff", lambda attempt: 0.0)
    busy = whole(b"{}", "503 Service Unavailable", Retry_After=int(LONG))
    with HostileServer(lambda _: closes(busy)) as server:
        with closing(MinimaxHook(connect_to(server.url, max_retries=3))) as hook:
            with pytest.raises(MinimaxUnavailableError, match="503"):
                hook.get_task("106", within=5.0)
        assert len(server.requests) == 1


@pytest.mark.usefixtures("polls_over")
async def test_in_a_pause_that_the_platform_asked_for_the_check_at_the_deadline_is_made(connect_to):
    answers = iter([closes(whole(b"{}", "429 Too Many Requests", Retry_After=365 * 24 * 3600))])
    done = b'{"task_id": "106", "status": "Success", "file_id": "7", "base_resp": {"status_code": 0}}'
    with HostileServer(lambda _: next(answers, None) or closes(whole(done))) as server:
        connect_to(server.url)
        first = asyncio.create_task(outcome(trigger(time.time() + 2.5)))
        loop = asyncio.get_running_loop()
        while not (shared := pollers._pollers.get(loop)) or not shared["minimax_default"]._resume:  # noqa: ASYNC110 - no event is set
            await asyncio.sleep(0.01)
        others = [outcome(trigger(time.time() + 2.5)) for _ in range(3)]
        outcomes = await asyncio.gather(first, *others)
    assert [it.error for it in outcomes] == [None] * 4
    assert len(server.requests) == 5
