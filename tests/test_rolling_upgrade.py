"""
Workers and triggerers of two versions, as they meet while a new one is rolled out: each goes on with the other's waits.

The older one is the code of the previous release, from git.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxTaskTimeoutError,
    after_purchase,
)
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.polling.poller import Outcome, terminal_outcome
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from airflow_provider_minimax.triggers.turn import MinimaxTurnTrigger
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.fakes import FakeTaskInstance

TASK_TRIGGER = "airflow_provider_minimax.triggers.video.MinimaxTaskTrigger"
TURN_TRIGGER = "airflow_provider_minimax.triggers.turn.MinimaxTurnTrigger"

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def previous_process(previous_code: Path) -> Iterator[tuple[IO[str], IO[str]]]:
    """A process with the previous release's code; Airflow takes seconds to be imported."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("previous_release.py"), str(writing)],
        env=os.environ | {"PYTHONPATH": str(previous_code)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        pass_fds=[writing],
    )
    os.close(writing)
    with process, os.fdopen(reading) as answers:
        assert process.stdin is not None
        yield process.stdin, answers
        process.stdin.close()


@pytest.fixture
def previous(previous_process: tuple[IO[str], IO[str]]) -> Ask:
    """Have the previous release do something, with the connections of this test."""
    questions, answers = previous_process

    def ask(what: str, *arguments: Any) -> Any:
        connections = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}
        print(json.dumps([what, arguments, connections]), file=questions, flush=True)
        answer = answers.readline()
        assert answer, "the previous release broke; its traceback is in what this test printed"
        return json.loads(answer)

    return ask


def deferral_of(operator: Any, context: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        operator.execute(context)
    return raised.value


@pytest.mark.parametrize("output", [True, False], ids=["delivering", "waiting"])
def test_an_older_triggerer_watches_for_a_newer_operator(
    output, previous, connect, minimax_emulator, context, tmp_path
):
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=2)
    operator = MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="a cat",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=0.1,
        output_path=str(tmp_path / "cat.mp4") if output else None,
    )
    deferral = deferral_of(operator, context)
    (event,) = previous("watch", *deferral.trigger.serialize())
    facts = operator.resume_execution(deferral.method_name, {"event": event}, context)
    assert facts["task_id"] == minimax_emulator.purchases[0]["task_id"]
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("api_version", ["v1", "v2"])
def test_an_older_triggerer_takes_a_newer_sensors_wait(api_version, previous, context, connect, minimax_emulator):
    connect()
    minimax_emulator.fault("http", operation="query", status=503, times=-1)
    options = {"exponential_backoff": True, "max_wait": 60, "silent_fail": True, "poke_interval": 5}
    it = MinimaxTaskSensor(task_id="wait", minimax_task_id="T", api_version=api_version, deferrable=True, **options)
    path, kwargs = deferral_of(it, context).trigger.serialize()
    _, understood = previous("serialize", path, kwargs)
    assert understood | kwargs == understood
    assert MinimaxTaskTrigger(**understood).serialize() == (path, kwargs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"poll_interval": 0.1, "exponential_backoff": True, "max_wait": 1.0, "max_failures": None},
        {"clip": {"model": "MiniMax-Hailuo-2.3", "resolution": "768P", "duration": 6, "bought_at": 1.0}},
        {"api_version": "v2", "cancel_on_kill": True},
    ],
)
def test_a_newer_triggerer_takes_an_older_workers_wait(options, previous):
    required = {"minimax_task_id": "T", "minimax_conn_id": "c", "deadline": 10.0}
    path, kwargs = previous("serialize", TASK_TRIGGER, required | options)
    # The older version's default is explicit in a newer one.
    assert MinimaxTaskTrigger(**kwargs).serialize() == (path, required | {"api_version": "v1"} | options)


def test_submission_slots_are_waited_for_across_versions(previous):
    options = {"minimax_conn_id": "c", "asked_at": 1.0, "deadline": 10.0}
    for more in ({}, {"rate_limit_per_minute": 5, "not_before": 2.0, "refusals": 1}):
        stored = MinimaxTurnTrigger(**options, **more).serialize()
        _, understood = previous("serialize", *stored)
        assert MinimaxTurnTrigger(**understood).serialize() == stored == (TURN_TRIGGER, options | more)


async def test_an_older_worker_reads_that_there_is_a_clip(previous, connect, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    conn_id = connect()
    context = {"ti": FakeTaskInstance()}
    operator = MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="a cat",
        wait_for_completion=True,
        deferrable=True,
        minimax_conn_id=conn_id,
    )
    deferral_of(operator, context)
    bought = context["ti"].xcoms["task_id"]
    minimax_emulator.set_job(bought, state="success")
    kwargs = {"minimax_task_id": bought, "minimax_conn_id": conn_id, "deadline": time.time() + 60, "poll_interval": 0.1}
    (event,) = [event.payload async for event in MinimaxTaskTrigger(**kwargs).run()]
    seen = previous("read", event)
    assert seen["error"] is None
    assert seen["task"]["task_id"] == bought


@pytest.mark.parametrize(
    ("error", "is_final"),
    [
        (after_purchase(MinimaxAuthError("the key was refused"), "triggerer"), False),
        (after_purchase(MinimaxConfigurationError("platform='x'"), "triggerer"), False),
        (MinimaxTaskTimeoutError("too long", billing="T goes on and will be billed.", resumable=True), True),
        (terminal_outcome(VideoTask("T", TaskState.CANCELLED, "cancelled", api_version="v2")).error, True),
    ],
    ids=["refused key", "malformed", "time-out", "cancelled"],
)
def test_an_older_worker_reads_why_there_is_none(error, is_final, previous):
    """Of a kind that it does not know it makes an error that Airflow retries, never a success."""
    seen = previous("read", json.loads(json.dumps(Outcome(None, error).as_event())))
    assert seen["task"] is None
    assert seen["error"]["is_final"] is is_final
    assert error.message in seen["error"]["text"]


def test_an_older_worker_makes_no_success_of_an_event_with_more_in_it(previous):
    task = Outcome(VideoTask("T", TaskState.SUCCEEDED, "Success", file_id="F")).as_event()
    task["task"]["novelty"] = task["novelty"] = {"a": 1}
    assert previous("read", task)["task"]["task_id"] == "T"
    error = {"task": None, "error": MinimaxError("new").as_event() | {"kind": "MinimaxNovelError", "novelty": 1}}
    assert previous("read", error)["error"]["text"] == "new."
