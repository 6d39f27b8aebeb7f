"""A remote task is found by its id alone: which version of the API knows it is found out, once."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_minimax.api import versions
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxRequestError,
    MinimaxTaskGoneError,
    MinimaxTaskTimeoutError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator
from airflow_provider_minimax.polling.poller import Outcome
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

HAILUO = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"})
H3 = VideoRequest.of(
    {"model": "MiniMax-H3", "prompt": "a paper boat", "resolution": "768P", "duration": 5, "ratio": "16:9"}
)


@pytest.fixture
def buy(connect):
    """Buy through a hook of its own, so that nobody else knows the version."""

    def bought(request=H3, platform="minimax") -> str:
        with closing(MinimaxHook(connect(platform))) as hook:
            return hook.submit(request)

    return bought


@pytest.fixture
def asked(minimax_emulator):
    """The versions that were asked for a task, in their order."""

    def in_order() -> list[str]:
        queries = [request["path"] for request in minimax_emulator.requests if request["operation"] == "query"]
        return ["v2" if "/v2/" in path else "v1" for path in queries]

    return in_order


# -- the hook ----------------------------------------------------------------------------------------------------------


def test_a_task_of_h3_is_found_with_one_more_request_and_remembered(hook, buy, asked):
    bought = buy()
    assert [hook.get_task(bought).model for _ in range(3)] == ["MiniMax-H3"] * 3
    assert asked() == ["v1", "v2", "v2", "v2"]


def test_a_task_of_hailuo_takes_no_more_requests_than_before(hook, buy, asked):
    bought = buy(HAILUO)
    assert {hook.get_task(bought).api_version for _ in range(2)} == {"v1"}
    assert asked() == ["v1", "v1"]


async def test_it_is_the_same_on_an_event_loop(connect, buy, asked):
    bought, hook = buy(), MinimaxHook(connect())
    assert [(await hook.aget_task(bought)).api_version for _ in range(2)] == ["v2", "v2"]
    assert asked() == ["v1", "v2", "v2"]
    with pytest.raises(MinimaxTaskGoneError, match="both versions of its API were asked"):
        await hook.aget_task("1")
    await hook.aclose()


def test_the_task_that_bought_the_clip_knows_its_api_version(hook, asked):
    assert hook.get_task(hook.submit(H3)).api_version == "v2"
    assert asked() == ["v2"]


def test_an_id_that_neither_knows_is_an_error_that_says_both_were_asked(hook, asked):
    with pytest.raises(MinimaxTaskGoneError) as raised:
        hook.get_task("123")
    assert "both versions of its API were asked (v1: invalid params, task_id '123' not found; v2:" in str(raised.value)
    assert raised.value.minimax_task_id == "123"
    assert asked() == ["v1", "v2"]


def test_a_version_that_was_named_is_asked_alone_and_the_error_says_so(hook, buy, asked):
    bought = buy()
    with pytest.raises(MinimaxTaskGoneError, match="Only version 'v1' of its API was asked"):
        hook.get_task(bought, api_version="v1")
    assert asked() == ["v1"]


def test_a_gateway_of_one_version_is_asked_once(connect, asked, minimax_emulator):
    with closing(MinimaxHook(connect("vtrix"))) as hook, pytest.raises(MinimaxTaskGoneError) as raised:
        hook.get_task("123")
    assert "Only version" not in str(raised.value)
    assert "both versions" not in str(raised.value)
    assert asked() == ["v1"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "<html>not found</html>"),
        (405, ""),
        (302, ""),
        (200, "<html>home</html>"),
        (200, {}),
        (200, {"base_resp": {"status_code": 1000, "status_msg": "unknown error"}}),
    ],
)
def test_an_address_without_the_first_version_is_no_end_of_the_search(status, body, hook, buy, minimax_emulator, asked):
    """As of a gateway that has the second version only; if nobody knows the task, it is trouble that may pass."""
    bought = buy()
    minimax_emulator.fault("http", operation="query", status=status, body=body)
    assert hook.get_task(bought, retries=0).model == "MiniMax-H3"
    assert asked() == ["v1", "v2"]


def test_an_answer_that_makes_no_sense_is_not_taken_for_a_task_that_is_gone(hook, minimax_emulator):
    minimax_emulator.fault("http", operation="query", status=200, body="<html>home</html>")
    with pytest.raises(MinimaxUnavailableError, match="not the JSON"):
        hook.get_task("123", retries=0)


def test_trouble_of_the_first_version_does_not_mean_that_it_does_not_know_the_task(hook, buy, minimax_emulator, asked):
    bought = buy()
    minimax_emulator.fault("http", operation="query", status=503)
    with pytest.raises(MinimaxUnavailableError):
        hook.get_task(bought, retries=0)
    assert hook.get_task(bought, retries=0).api_version == "v2"
    assert asked() == ["v1", "v1", "v2"]


@pytest.mark.parametrize(("status", "error"), [(503, MinimaxUnavailableError), (401, MinimaxAuthError)])
def test_trouble_of_the_second_version_is_not_taken_for_a_task_that_is_gone(status, error, hook, buy, minimax_emulator):
    bought = buy()
    minimax_emulator.fault("http", operation="query", status=status, after=1)
    with pytest.raises(error, match="version 'v1' of the API does not know this task"):
        hook.get_task(bought, retries=0)
    assert hook.get_task(bought, retries=0).api_version == "v2"


def test_a_task_in_a_state_that_nobody_documents_is_looked_for_once_and_then_left_with_its_version(
    hook, buy, minimax_emulator, asked
):
    minimax_emulator.configure(statuses={"*": "Resting"})
    bought = buy(HAILUO)
    assert [hook.get_task(bought).state for _ in range(2)] == [TaskState.UNKNOWN] * 2
    assert asked() == ["v1", "v2", "v1"]


def test_a_queued_task_is_cancelled_by_its_id_alone(hook, buy, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    assert hook.cancel(buy()).state is TaskState.CANCELLED
    with pytest.raises(MinimaxRequestError, match="cannot cancel tasks of version 'v1'"):
        hook.cancel(buy(HAILUO))


async def test_a_queued_task_is_cancelled_by_its_id_alone_on_an_event_loop(connect, buy, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    bought, hook = buy(), MinimaxHook(connect())
    assert (await hook.acancel(bought)).state is TaskState.CANCELLED
    await hook.aclose()


def test_what_cannot_be_cancelled_at_all_is_said_before_anything_is_asked(connect, minimax_emulator):
    with closing(MinimaxHook(connect("vtrix"))) as hook, pytest.raises(MinimaxRequestError, match="cannot cancel"):
        hook.cancel("123")
    assert minimax_emulator.requests == []


def test_what_is_remembered_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(versions, "_REMEMBERED", 3)
    known: versions.TaskVersions = {}
    for number in range(10):
        versions.remember(known, str(number), "v2")
    assert list(known) == ["7", "8", "9"]


# -- those who wait ----------------------------------------------------------------------------------------------------


def trigger(minimax_task_id: str) -> MinimaxTaskTrigger:
    return MinimaxTaskTrigger(
        minimax_task_id=minimax_task_id,
        minimax_conn_id="minimax_default",
        deadline=time.time() + 30,
        poll_interval=0.02,
    )


async def test_a_trigger_asks_the_wrong_version_once_in_all_its_polls(buy, minimax_emulator, asked, polls_over):
    minimax_emulator.configure(lifecycle="polls", polls=5)
    waiting = trigger(buy())
    (event,) = [event async for event in waiting.run()]
    assert Outcome.from_event(event.payload).result().api_version == "v2"
    assert (asked().count("v1"), asked().count("v2") >= 3) == (1, True)
    assert waiting.serialize()[1]["api_version"] == "v2"


@pytest.mark.parametrize("version", [None, "None", ""])
def test_a_poking_sensor_finds_a_task_of_h3(version, buy, minimax_emulator, context, asked):
    minimax_emulator.configure(lifecycle="polls", polls=3)
    sensor = MinimaxTaskSensor(task_id="wait", minimax_task_id=buy(), poke_interval=0.01, deferrable=False)
    # As a template renders that found no XCom.
    sensor.api_version = version
    assert sensor.execute(context)["state"] == "succeeded"
    assert asked().count("v1") == 1


@pytest.mark.parametrize("request_", [HAILUO, H3], ids=["hailuo", "h3"])
def test_a_deferring_sensor_passes_on_what_its_first_status_check_found_out(request_, buy, minimax_emulator, context):
    minimax_emulator.configure(lifecycle="manual")
    bought = buy(request_)
    sensor = MinimaxTaskSensor(task_id="wait", minimax_task_id=bought, deferrable=True)
    with pytest.raises(TaskDeferred) as raised:
        sensor.execute(context)
    version = "v2" if request_ is H3 else "v1"
    assert raised.value.trigger.serialize()[1]["api_version"] == version


async def test_a_sensor_that_was_resumed_delivers_without_asking_the_wrong_version(
    buy, minimax_emulator, context, asked, tmp_path
):
    minimax_emulator.configure(lifecycle="polls", polls=1)
    output = tmp_path / "boat.mp4"
    bought = buy()
    (event,) = [event async for event in trigger(bought).run()]
    before = len(asked())
    MinimaxTaskSensor(task_id="wait", minimax_task_id=bought, output_path=str(output)).execute_complete(
        context, event.payload
    )
    assert output.stat().st_size > 0
    assert set(asked()[before:]) == {"v2"}


def test_a_sensor_whose_wait_timed_out_cancels_a_queued_task_of_h3(buy, minimax_emulator, context):
    minimax_emulator.configure(lifecycle="manual")
    sensor = MinimaxTaskSensor(
        task_id="wait", minimax_task_id=buy(), poke_interval=0.01, timeout=0.1, cancel_on_timeout=True, deferrable=False
    )
    with pytest.raises(MinimaxTaskTimeoutError, match="free of charge"):
        sensor.execute(context)
    assert minimax_emulator.jobs[0]["state"] == "cancelled"


def test_a_sensor_with_an_id_that_nobody_knows_says_that_both_versions_were_asked(connect, context):
    connect()
    sensor = MinimaxTaskSensor(task_id="wait", minimax_task_id="123", poke_interval=0.01, deferrable=False)
    with pytest.raises(MinimaxTaskGoneError, match="both versions of its API were asked"):
        sensor.execute(context)


def test_a_download_finds_a_clip_of_h3_and_one_by_its_file_id(buy, hook, context, tmp_path, asked, minimax_emulator):
    """Only the first version has file ids."""
    bought = buy()
    minimax_emulator.set_job(bought, state="success")
    of_h3 = MinimaxVideoDownloadOperator(
        task_id="fetch", minimax_task_id=bought, output_path=str(tmp_path / "boat.mp4")
    ).execute(context)
    assert asked().count("v1") == 1
    bought = buy(HAILUO)
    minimax_emulator.set_job(bought, state="success")
    file_id = hook.get_task(bought).file_id
    of_hailuo = MinimaxVideoDownloadOperator(
        task_id="fetch", file_id=file_id, output_path=str(tmp_path / "cat.mp4")
    ).execute(context)
    assert of_h3["size"] > 0 < of_hailuo["size"]
