"""The sensor: the same outcomes whether it pokes or defers, on every version of Airflow."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_minimax.api.http import transport
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import (
    MinimaxConnectionUnusableError,
    MinimaxModerationError,
    MinimaxRequestError,
    MinimaxTaskFailedError,
    MinimaxTaskTimeoutError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks import clients
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

REQUEST = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"})


@pytest.fixture
def bought(connect):
    return MinimaxHook(connect()).submit(REQUEST)


def sensor(minimax_task_id="T", **options) -> MinimaxTaskSensor:
    return MinimaxTaskSensor(
        task_id="wait", minimax_task_id=minimax_task_id, **{"poke_interval": 0.01, "timeout": 5} | options
    )


async def watched(deferral: TaskDeferred) -> dict:
    """Run a deferral's trigger, and return its event."""
    return await anext(event.payload async for event in deferral.trigger.run())


async def ended(it: MinimaxTaskSensor, context):
    """Let a sensor run to its end, whichever way it waits."""
    try:
        return it.execute(context)
    except TaskDeferred as deferral:
        event = await watched(deferral)
        return it.resume_execution("execute_complete", {"event": event}, context)


WAYS = pytest.mark.parametrize("deferrable", [True, False], ids=["deferrable", "poking"])


@WAYS
async def test_a_finished_task_gives_its_facts(bought, context, deferrable):
    facts = await ended(sensor(bought, deferrable=deferrable), context)
    assert facts == {
        "task_id": bought,
        "state": "succeeded",
        "file_id": facts["file_id"],
        "width": 1366,
        "height": 768,
        "duration": None,
    }
    assert context["ti"].xcoms == {"task_id": bought}


@WAYS
def test_a_sensor_that_is_executed_again_waits_for_the_task_that_it_names_now(bought, context, connect, deferrable):
    another = MinimaxHook(connect()).submit(REQUEST)
    it = sensor(bought, deferrable=False)
    assert it.execute(context)["task_id"] == bought
    it.minimax_task_id, it.deferrable = another, deferrable
    with suppress(TaskDeferred):
        assert it.execute(context)["task_id"] == another
    assert it._job._wait.minimax_task_id == another


def test_a_task_that_is_finished_already_is_not_deferred(bought, context, minimax_emulator):
    minimax_emulator.set_job(bought, state="success")
    assert sensor(bought, deferrable=True).execute(context)["state"] == "succeeded"


@WAYS
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, MinimaxModerationError),
        ({"silent_fail": True}, MinimaxModerationError),
        ({"soft_fail": True}, AirflowSkipException),
        ({"never_fail": True}, AirflowSkipException),
    ],
)
async def test_a_failed_task_fails_at_once_or_skips(bought, context, minimax_emulator, deferrable, options, error):
    minimax_emulator.set_job(bought, state="failed", code=1027)
    with pytest.raises(error) as raised:
        await ended(sensor(bought, deferrable=deferrable, **options), context)
    assert isinstance(raised.value, AirflowSkipException | AirflowFailException)


@WAYS
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, AirflowSensorTimeout),
        ({"silent_fail": True}, AirflowSensorTimeout),
        ({"soft_fail": True}, AirflowSkipException),
        ({"never_fail": True}, AirflowSkipException),
    ],
)
async def test_a_wait_without_end_times_out_or_skips(bought, context, minimax_emulator, deferrable, options, error):
    minimax_emulator.set_job(bought, state="processing")
    with pytest.raises(error) as raised:
        await ended(sensor(bought, deferrable=deferrable, timeout=0.2, **options), context)
    if error is AirflowSensorTimeout:
        assert isinstance(raised.value, MinimaxTaskTimeoutError)
        assert f"Task {bought} keeps running and will be billed" in str(raised.value)


@WAYS
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, MinimaxUnavailableError),
        ({"soft_fail": True}, MinimaxUnavailableError),
        ({"never_fail": True}, AirflowSkipException),
    ],
)
async def test_trouble_that_lasts_is_retried_by_airflow_or_skips(
    bought, context, minimax_emulator, deferrable, options, error
):
    minimax_emulator.fault("http", operation="query", status=503, html=True, times=-1)
    with pytest.raises(error) as raised:
        await ended(sensor(bought, deferrable=deferrable, **options), context)
    assert not isinstance(raised.value, AirflowFailException)
    if error is not AirflowSkipException:
        assert bought in str(raised.value)


@WAYS
async def test_with_silent_fail_trouble_is_waited_out(bought, context, minimax_emulator, deferrable):
    minimax_emulator.fault("http", operation="query", status=503, html=True, times=20)
    facts = await ended(sensor(bought, deferrable=deferrable, silent_fail=True), context)
    assert facts["state"] == "succeeded"


def test_the_options_of_the_base_class_reach_the_trigger(bought, context):
    it = sensor(bought, deferrable=True, exponential_backoff=True, max_wait=60, silent_fail=True, poke_interval=5)
    with pytest.raises(TaskDeferred) as deferral:
        it.execute(context)
    _, kwargs = deferral.value.trigger.serialize()
    assert kwargs["exponential_backoff"] is True
    assert (kwargs["max_wait"], kwargs["poll_interval"], kwargs["max_failures"]) == (60, 5, None)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, MinimaxTaskTimeoutError),
        ({"soft_fail": True}, AirflowSkipException),
        ({"never_fail": True}, AirflowSkipException),
    ],
)
def test_airflows_own_limit_on_the_deferral_ends_as_a_time_out(context, options, error):
    with pytest.raises(error):
        sensor(**options).resume_execution("__fail__", {"error": "Trigger timeout"}, context)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, MinimaxUnavailableError),
        ({"soft_fail": True}, MinimaxUnavailableError),
        ({"never_fail": True}, AirflowSkipException),
    ],
)
def test_a_broken_trigger_may_be_retried(context, options, error):
    with pytest.raises(error) as raised:
        sensor(**options).resume_execution("__fail__", {"error": "Trigger failure"}, context)
    assert isinstance(raised.value, AirflowException)
    assert not isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minimax_task_id": ""}, "minimax_task_id=''"),
        ({"minimax_task_id": "  "}, "minimax_task_id=' '"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": -1}, "timeout=-1"),
        ({"poke_interval": 0}, "poke_interval=0"),
    ],
)
def test_a_literal_that_cannot_work_is_an_error_of_the_dag(options, said):
    with pytest.raises(MinimaxRequestError) as raised:
        sensor(**options)
    assert said in str(raised.value)


def test_a_rendered_id_that_is_empty_is_refused_before_anything_is_sent(connect, context, minimax_emulator):
    connect()
    it = sensor("{{ params.id }}")
    it.minimax_task_id = ""
    with pytest.raises(MinimaxRequestError, match="minimax_task_id=''"):
        it.execute(context)
    assert minimax_emulator.requests == []


def test_an_unknown_task_fails_at_once(connect, context):
    connect()
    with pytest.raises(AirflowFailException, match="does not know this task"):
        sensor("4711", deferrable=True).execute(context)


def test_a_poking_sensor_keeps_one_client_and_closes_it(bought, context, minimax_emulator, monkeypatch):
    opened, closed = [], []

    class Counted(transport.Transport):
        def __init__(self, endpoint):
            opened.append(self)
            super().__init__(endpoint)

        def close(self):
            closed.append(self)
            super().close()

    monkeypatch.setattr("airflow_provider_minimax.api.client.Transport", Counted)
    minimax_emulator.fault("http", operation="query", status=503, times=8)
    sensor(bought, silent_fail=True).execute(context)
    assert len(opened) == 1
    assert closed == opened


def test_rescheduling_frees_the_worker_slot_between_polls(bought, context, minimax_emulator):
    minimax_emulator.set_job(bought, state="processing")
    context["ti"].get_first_reschedule_date = lambda context: None
    with pytest.raises(Exception) as raised:
        sensor(bought, mode="reschedule").execute(context)
    # Its place in Airflow differs from version to version.
    assert type(raised.value).__name__ == "AirflowRescheduleException"


@WAYS
async def test_a_key_that_was_replaced_is_looked_up_by_a_sensor_that_waits(
    bought, context, connect, minimax_emulator, deferrable
):
    minimax_emulator.configure(lifecycle="polls", polls=3)
    it = sensor(bought, deferrable=deferrable)
    assert it.poke(context).is_done is False
    minimax_emulator.configure(key="a-new-key")
    connect(password="a-new-key")
    assert (await ended(it, context))["state"] == "succeeded"


def test_a_key_that_is_replaced_between_two_checks_of_one_wait_does_not_end_it(
    bought, context, connect, minimax_emulator, monkeypatch
):
    minimax_emulator.configure(lifecycle="polls", polls=4)
    it, poke, checks = sensor(bought), MinimaxTaskSensor.poke, []

    def poke_and_replace(self, context):
        checks.append(poke(self, context))
        if len(checks) == 1:
            minimax_emulator.configure(key="a-new-key")
            connect(password="a-new-key")
        return checks[-1]

    monkeypatch.setattr(MinimaxTaskSensor, "poke", poke_and_replace)
    assert it.execute(context)["state"] == "succeeded"
    assert len(checks) > 1


CANNOT_CONNECT = pytest.mark.parametrize(
    "changes",
    [None, {"password": "sk-wrong"}, {"extra": {"platform": "no-such"}}],
    ids=["gone", "refused", "malformed"],
)


@WAYS
@CANNOT_CONNECT
async def test_a_connection_that_the_worker_cannot_use_is_retried_by_airflow(
    bought, context, connect, monkeypatch, deferrable, changes
):
    """The task is bought, so what is wrong may be repaired, or may pass."""
    if changes is None:
        monkeypatch.delenv("AIRFLOW_CONN_MINIMAX_DEFAULT")
    else:
        connect(**changes)
    with pytest.raises(MinimaxConnectionUnusableError) as raised:
        await ended(sensor(bought, deferrable=deferrable, soft_fail=True), context)
    assert not raised.value.is_final
    assert "the worker cannot use the connection right now" in str(raised.value)
    assert (raised.value.minimax_task_id, raised.value.resumable) == (bought, True)


@WAYS
async def test_with_never_fail_a_connection_that_cannot_be_used_skips(bought, context, connect, deferrable):
    connect(password="sk-wrong")
    with pytest.raises(AirflowSkipException):
        await ended(sensor(bought, deferrable=deferrable, never_fail=True), context)


@WAYS
async def test_with_silent_fail_a_connection_that_cannot_be_used_is_waited_out(
    bought, context, connect, monkeypatch, deferrable
):
    monkeypatch.setattr(clients, "LOOKUP_INTERVAL", 0.02)
    connect(password="sk-wrong")
    repair = threading.Timer(0.4, connect)
    repair.start()
    facts = await ended(sensor(bought, deferrable=deferrable, silent_fail=True), context)
    repair.join()
    assert facts["state"] == "succeeded"


@pytest.mark.parametrize("kind", ["MinimaxAuthError", "MinimaxQuotaError", "MinimaxConfigurationError"])
def test_an_older_triggerers_final_word_on_the_connection_is_not_final(bought, context, kind):
    event = {"task": None, "error": {"kind": kind, "message": "no"}}
    with pytest.raises(MinimaxConnectionUnusableError, match="the triggerer cannot use") as raised:
        sensor(bought).resume_execution("execute_complete", {"event": event}, context)
    assert raised.value.resumable is True


def test_a_clip_that_cannot_be_fetched_for_the_connection_is_tried_again(bought, context, connect, tmp_path):
    connect(password="sk-wrong")
    it = sensor(bought, output_path=str(tmp_path / "clip.mp4"))
    event = {"task": {"task_id": bought, "state": "succeeded", "status": "Success"}, "error": None}
    with pytest.raises(MinimaxConnectionUnusableError) as raised:
        it.resume_execution("execute_complete", {"event": event}, context)
    assert raised.value.resumable is True


@CANNOT_CONNECT
def test_a_download_is_tried_again_too_when_the_worker_cannot_use_the_connection(
    bought, context, connect, monkeypatch, tmp_path, changes
):
    if changes is None:
        monkeypatch.delenv("AIRFLOW_CONN_MINIMAX_DEFAULT")
    else:
        connect(**changes)
    fetch = MinimaxVideoDownloadOperator(
        task_id="fetch", minimax_task_id=bought, output_path=str(tmp_path / "clip.mp4")
    )
    with pytest.raises(MinimaxConnectionUnusableError) as raised:
        fetch.execute(context)
    assert (raised.value.is_final, raised.value.resumable) == (False, True)


@WAYS
async def test_a_task_that_was_cancelled_was_free_and_the_sensor_says_how_to_buy_another(
    connect, context, minimax_emulator, deferrable
):
    minimax_emulator.configure(lifecycle="manual")
    h3 = {"model": "MiniMax-H3", "prompt": "a cat", "duration": 5, "resolution": "768P", "ratio": "16:9"}
    hook = MinimaxHook(connect())
    bought = hook.submit(VideoRequest.of(h3))
    hook.cancel(bought)
    with pytest.raises(MinimaxTaskFailedError) as raised:
        await ended(sensor(bought, api_version="v2", deferrable=deferrable), context)
    assert raised.value.is_final
    assert "free of charge" in str(raised.value)
    assert "Clear the task that submitted it to buy another." in str(raised.value)
