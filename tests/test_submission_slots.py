"""Waiting for a submission slot, as a DAG author meets it: who waits, what a refusal means, when nothing is bought."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxConfigurationError,
    MinimaxRateLimitError,
    MinimaxReceiptError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.polling import handover
from airflow_provider_minimax.purchases import slots as turns
from airflow_provider_minimax.purchases.deferral import IN_TURN, SETTLED
from airflow_provider_minimax.purchases.slots import SubmissionSlot
from airflow_provider_minimax.triggers.turn import MinimaxTurnTrigger
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.conftest import load_dags
from tests.fakes import FakeTaskInstance

V1 = {"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"}
V2 = {"model": "MiniMax-H3", "prompt": "a cat", "resolution": "768P", "duration": 5, "ratio": "16:9"}
TOO_MANY = ["1002", "1039", "1041", "2045"]


@pytest.fixture(autouse=True)
def quickly(monkeypatch, minimax_emulator):
    """Wait as little as can be; clips are done at the first poll."""
    monkeypatch.setattr(turns, "_COOL_DOWN", 0.2)
    minimax_emulator.configure(lifecycle="polls", polls=1)


@pytest.fixture
def context():
    return {"ti": FakeTaskInstance(), "dag": SimpleNamespace(task_dict={})}


def generate(**changes) -> MinimaxVideoGenerationOperator:
    options = V1 | {"wait_for_completion": True, "deferrable": True, "poll_interval": 0.01} | changes
    return MinimaxVideoGenerationOperator(task_id="generate", **options)


def deferred(operator, context, *resumed) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        operator.resume_execution(*resumed, context) if resumed else operator.execute(context)
    return raised.value


async def event_of(trigger) -> dict:
    events = [event.payload async for event in trigger.run()]
    assert len(events) == 1
    return json.loads(json.dumps(events[0]))


async def shielded(context, **changes):
    """Run a task through all of its deferrals; return its result and the triggers it waited with."""
    goes_on, triggers = (lambda: generate(**changes).execute(context)), []
    while True:
        try:
            return goes_on(), triggers
        except TaskDeferred as deferral:
            triggers.append(deferral.trigger)
            kwargs = {"event": await event_of(deferral.trigger)}
            method = deferral.method_name
            goes_on = lambda: generate(**changes).resume_execution(method, kwargs, context)  # noqa: B023, E731


# -- who waits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [V1, V2])
async def test_with_a_limit_a_task_buys_in_its_slot_and_waits_and_delivers(
    content, connect, minimax_emulator, context, tmp_path
):
    connect(extra={"rate_limit_per_minute": 600})
    facts, triggers = await shielded(context, output_path=str(tmp_path / "clip.mp4"), **content)
    assert [type(trigger) for trigger in triggers] == [MinimaxTurnTrigger, MinimaxTaskTrigger]
    assert [purchase["task_id"] for purchase in minimax_emulator.purchases] == [facts["task_id"]]
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"


async def test_a_task_that_only_submits_waits_for_a_slot_too(connect, minimax_emulator, context):
    connect(extra={"rate_limit_per_minute": 600})
    minimax_task_id, triggers = await shielded(context, wait_for_completion=False)
    assert [type(trigger) for trigger in triggers] == [MinimaxTurnTrigger]
    assert minimax_emulator.purchases[0]["task_id"] == minimax_task_id == context["ti"].xcoms["task_id"]


@pytest.mark.parametrize(("extra", "deferrable"), [({}, True), ({"rate_limit_per_minute": 600}, False)])
async def test_nobody_waits_without_a_limit_or_in_a_worker(extra, deferrable, connect, context):
    connect(extra=extra)
    _, triggers = await shielded(context, deferrable=deferrable)
    assert not any(isinstance(trigger, MinimaxTurnTrigger) for trigger in triggers)


def test_before_its_slot_nothing_is_bought_nor_recorded(connect, minimax_emulator, context, tmp_path):
    connect(extra={"rate_limit_per_minute": 20})
    deferral = deferred(generate(output_path=str(tmp_path / "clip.mp4")), context)
    assert deferral.method_name == IN_TURN
    assert (minimax_emulator.requests, list(tmp_path.iterdir()), context["ti"].xcoms) == ([], [], {})


def test_a_waiting_trigger_carries_no_secret_and_no_prompt(connect, minimax_emulator, context):
    connect(extra={"rate_limit_per_minute": 20})
    deferral = deferred(generate(timeout=600), context)
    _, kwargs = deferral.trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert kwargs == {
        "minimax_conn_id": "minimax_default",
        "asked_at": pytest.approx(time.time(), abs=5),
        "deadline": pytest.approx(time.time() + 600, abs=5),
        "rate_limit_per_minute": 20,
    }
    assert deferral.timeout.total_seconds() > 600


def test_a_task_that_has_bought_needs_no_slot(connect, minimax_emulator, context, tmp_path):
    connect()
    output = {"output_path": str(tmp_path / "clip.mp4")}
    minimax_emulator.configure(lifecycle="manual")
    deferred(generate(**output), context)
    connect(extra={"rate_limit_per_minute": 1})
    deferral = deferred(generate(**output), {"ti": FakeTaskInstance(try_number=2)})
    assert isinstance(deferral.trigger, MinimaxTaskTrigger)
    assert len(minimax_emulator.purchases) == 1


def test_a_request_that_cannot_be_bought_waits_for_no_turn(connect, context, tmp_path):
    connect(extra={"rate_limit_per_minute": 20})
    (tmp_path / "clip.mp4").write_bytes(b"something else")
    with pytest.raises(AirflowFailException, match="exists already"):
        generate(output_path=str(tmp_path / "clip.mp4")).execute(context)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "often"])
def test_a_limit_that_is_none_is_an_error_of_the_connection(limit, connect, context):
    connect(extra={"rate_limit_per_minute": limit})
    with pytest.raises(MinimaxConfigurationError, match="rate_limit_per_minute="):
        generate().execute(context)


# -- a refusal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [{}, {"rate_limit_per_minute": 600}])
@pytest.mark.parametrize("code", TOO_MANY)
async def test_a_refused_task_leaves_its_worker_and_buys_in_another_slot(
    code, limit, connect, minimax_emulator, context, tmp_path, monkeypatch
):
    monkeypatch.setattr("airflow_provider_minimax.polling.limiter.USUAL_PER_MINUTE", 600)
    connect(extra=limit)
    minimax_emulator.fault("base_resp", operation="submit", code=int(code))
    start = time.monotonic()
    facts, triggers = await shielded(context, output_path=str(tmp_path / "clip.mp4"))
    again = [trigger for trigger in triggers if isinstance(trigger, MinimaxTurnTrigger)][-1]
    assert again.refusals == 1
    assert time.monotonic() - start >= 0.2
    assert [purchase["task_id"] for purchase in minimax_emulator.purchases] == [facts["task_id"]]


@pytest.mark.parametrize(
    "settings", [{"v2_tasks_in_flight": 0}, {"v2_requests_per_minute": 0}], ids=["in flight", "per minute"]
)
def test_a_full_account_is_asked_once_and_no_intent_is_left(settings, connect, minimax_emulator, context, tmp_path):
    connect()
    minimax_emulator.configure(**settings)
    deferral = deferred(generate(**V2, output_path=str(tmp_path / "clip.mp4")), context)
    assert isinstance(deferral.trigger, MinimaxTurnTrigger)
    assert [request["refused"] for request in minimax_emulator.requests] == [1002]
    assert list(tmp_path.iterdir()) == []


def test_a_refused_task_keeps_its_position_and_its_timeout(connect, minimax_emulator, context):
    connect(extra={"rate_limit_per_minute": 20})
    minimax_emulator.fault("base_resp", operation="submit", code=1002, retry_after=30)
    first = deferred(generate(timeout=600), context).trigger
    event = {"asked_at": first.asked_at, "refusals": 2, "error": None}
    again = deferred(generate(timeout=600), context, IN_TURN, {"event": event}).trigger
    assert (again.asked_at, again.deadline, again.refusals) == (first.asked_at, first.deadline, 3)
    assert 20 <= again.not_before - time.time() <= 30 * 1.25


@pytest.mark.parametrize(("refusals", "least", "most"), [(0, 10, 12.5), (1, 20, 25), (2, 40, 50), (9, 60, 75)])
def test_each_refusal_is_a_longer_pause(refusals, least, most, connect, minimax_emulator, context, monkeypatch):
    monkeypatch.setattr(turns, "_COOL_DOWN", 10.0)
    connect()
    minimax_emulator.fault("base_resp", operation="submit", code=1002)
    event = {"asked_at": time.time(), "refusals": refusals, "error": None}
    again = deferred(generate(), context, IN_TURN, {"event": event}).trigger
    assert least - 5 <= again.not_before - time.time() <= most


def test_a_refusal_that_asks_for_more_time_than_there_is_ends_the_try(connect, minimax_emulator, context):
    connect()
    minimax_emulator.fault("base_resp", operation="submit", code=1002, retry_after=60)
    with pytest.raises(MinimaxRateLimitError, match=r"Nothing was bought\.") as raised:
        generate(timeout=30).execute(context)
    assert not raised.value.is_final


def test_a_refusal_that_asks_for_a_year_is_a_pause_of_a_minute(connect, minimax_emulator, context):
    connect()
    minimax_emulator.fault("base_resp", operation="submit", code=1002, retry_after=365 * 24 * 3600)
    again = deferred(generate(timeout=600), context).trigger
    assert 50 <= again.not_before - time.time() <= 60 * 1.25


def test_a_task_that_is_not_deferrable_waits_in_its_worker_as_before(connect, minimax_emulator, context):
    connect(extra={"max_retries": 2})
    minimax_emulator.fault("base_resp", operation="submit", code=1002, times=2)
    assert generate(deferrable=False).execute(context)["state"] == "succeeded"
    assert len([request for request in minimax_emulator.requests if request["refused"]]) == 2


# -- coming back -------------------------------------------------------------------------------------------------------


def resumed_in_turn(context, next_method=IN_TURN, **changes):
    event = {"asked_at": time.time(), "refusals": 0, "error": None}
    kwargs = {"event": event} if next_method == IN_TURN else {"error": "Trigger failure"}
    return generate(**changes).resume_execution(next_method, kwargs, context)


def test_the_workers_log_says_that_the_task_goes_and_comes_back(connect, minimax_emulator, context, log_of):
    """Airflow drops what a trigger logged when the task is deferred again."""
    log = log_of(MinimaxVideoGenerationOperator)
    connect(extra={"rate_limit_per_minute": 20})
    deferred(generate(), context)
    assert "Deferring until a submission slot is free (limit: 20 per minute)" in log.said()
    with pytest.raises(TaskDeferred):
        resumed_in_turn(context)
    assert "Submission slot granted after 0 s." in log.said()


def test_what_somebody_bought_meanwhile_is_not_bought_again(connect, minimax_emulator, context, tmp_path):
    connect(extra={"rate_limit_per_minute": 20})
    output = {"output_path": str(tmp_path / "clip.mp4")}
    deferred(generate(**output), context)
    other = {"ti": FakeTaskInstance(run_id="another")}
    with pytest.raises(TaskDeferred):
        resumed_in_turn(other, **output)
    assert resumed_in_turn(context, **output)["task_id"] == other["ti"].xcoms["task_id"]
    assert len(minimax_emulator.purchases) == 1


def test_what_changed_meanwhile_is_seen(connect, minimax_emulator, context, tmp_path):
    connect(extra={"rate_limit_per_minute": 20})
    output = {"output_path": str(tmp_path / "clip.mp4")}
    deferred(generate(**output), context)
    resumed_in_turn({"ti": FakeTaskInstance(run_id="another")}, deferrable=False, **output, prompt="a dog")
    with pytest.raises(MinimaxReceiptError):
        resumed_in_turn(context, **output)
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("event", [None, {}, {"turn": "yours"}])
def test_an_event_of_another_version_is_a_slot(event, connect, minimax_emulator, context):
    connect(extra={"rate_limit_per_minute": 20})
    facts = deferred(generate(), context, IN_TURN, {"event": event})
    assert isinstance(facts.trigger, MinimaxTaskTrigger)
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize(
    ("error", "said"), [("Trigger failure", "failed"), ("Trigger timeout", "is one running?"), (None, "failed")]
)
@pytest.mark.parametrize(("do_xcom_push", "keeps"), [(True, True), (True, False), (False, True)])
def test_a_trigger_that_broke_while_it_waited_for_a_slot_is_retried_and_says_that_nothing_was_bought(
    do_xcom_push, keeps, error, said, connect, minimax_emulator, context, tmp_path
):
    connect(extra={"rate_limit_per_minute": 20})
    options = {"do_xcom_push": do_xcom_push, "output_path": str(tmp_path / "clip.mp4"), "durable": keeps}
    deferred(generate(**options), context)
    with pytest.raises(MinimaxUnavailableError, match=said) as raised:
        generate(**options).resume_execution("__fail__", {"error": error} if error else None, context)
    assert NOTHING_BOUGHT in str(raised.value)
    assert not raised.value.is_final


@pytest.mark.parametrize("do_xcom_push", [True, False])
@pytest.mark.parametrize("keeps", [True, False])
def test_a_trigger_that_broke_after_the_purchase_never_says_so(
    keeps, do_xcom_push, connect, minimax_emulator, context, tmp_path
):
    connect(extra={"rate_limit_per_minute": 20})
    minimax_emulator.configure(lifecycle="manual")
    options = {"do_xcom_push": do_xcom_push, "output_path": str(tmp_path / "clip.mp4"), "durable": keeps}
    with pytest.raises(TaskDeferred):
        resumed_in_turn(context, **options)
    with pytest.raises(AirflowSensorTimeout) as raised:
        generate(**options).resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    assert NOTHING_BOUGHT not in str(raised.value)
    with pytest.raises(Exception, match="the trigger failed") as broken:
        generate(**options).resume_execution("__fail__", {"error": "Trigger failure"}, context)
    assert NOTHING_BOUGHT not in str(broken.value)
    assert "None" not in str(broken.value)
    assert isinstance(broken.value, AirflowFailException) == (not keeps)


def test_a_trigger_that_broke_after_a_lost_answer_does_not_say_that_nothing_was_bought(
    connect, minimax_emulator, context, tmp_path
):
    connect()
    minimax_emulator.fault("reset_before", operation="submit")
    options = V2 | {"on_orphaned_intent": "adopt", "output_path": str(tmp_path / "clip.mp4")}
    assert deferred(generate(**options), context).method_name == SETTLED
    with pytest.raises(MinimaxUnavailableError, match="may have been bought") as raised:
        generate(**options).resume_execution("__fail__", {"error": "Trigger failure"}, context)
    assert not raised.value.is_final


def test_a_list_that_is_refused_after_a_lost_answer_is_no_reason_to_wait_for_a_slot(
    connect, minimax_emulator, context, tmp_path
):
    """A task that waits for a slot has bought nothing, and that is not known here."""
    connect(extra={"max_retries": 0})
    minimax_emulator.fault("lost_answer", operation="submit")
    minimax_emulator.fault("base_resp", operation="list", code=1002)
    options = V2 | {"on_orphaned_intent": "adopt", "output_path": str(tmp_path / "clip.mp4")}
    with pytest.raises(MinimaxRateLimitError, match="may have been bought"):
        generate(**options).execute(context)
    assert len(minimax_emulator.purchases) == 1


def test_a_cleared_task_whose_trigger_broke_does_not_report_its_old_clip(connect, minimax_emulator, context, tmp_path):
    connect(extra={"rate_limit_per_minute": 20})
    minimax_emulator.configure(lifecycle="manual")
    output = {"output_path": str(tmp_path / "clip.mp4"), "do_xcom_push": False, "on_clear": "resubmit"}
    with pytest.raises(TaskDeferred):
        resumed_in_turn(context, **output)
    cleared = {"ti": FakeTaskInstance(max_tries=7)}
    assert isinstance(deferred(generate(**output), cleared).trigger, MinimaxTurnTrigger)
    with pytest.raises(MinimaxUnavailableError, match=r"Nothing was bought\."):
        resumed_in_turn(cleared, "__fail__", **output)
    assert len(minimax_emulator.purchases) == 1


# -- dying, clearing, timing out ---------------------------------------------------------------------------------------


def test_a_task_that_dies_between_turn_and_purchase_asks_again_and_buys_once(
    connect, minimax_emulator, context, tmp_path, monkeypatch
):
    connect(extra={"rate_limit_per_minute": 20})
    output = {"output_path": str(tmp_path / "clip.mp4")}
    deferred(generate(**output), context)

    class Death(BaseException):
        pass

    with monkeypatch.context() as patch:
        patch.setattr(MinimaxHook, "prepare", lambda *_, **__: (_ for _ in ()).throw(Death))
        with pytest.raises(Death):
            resumed_in_turn(context, **output)
    retried = {"ti": FakeTaskInstance(try_number=2)}
    assert isinstance(deferred(generate(**output), retried).trigger, MinimaxTurnTrigger)
    with pytest.raises(TaskDeferred):
        resumed_in_turn(retried, **output)
    assert len(minimax_emulator.purchases) == 1


async def test_a_timeout_before_the_slot_comes_is_a_failure_that_may_be_retried(
    connect, minimax_emulator, context, tmp_path
):
    connect(extra={"rate_limit_per_minute": 1})
    with pytest.raises(MinimaxRateLimitError, match=r"within 0 s.*Nothing was bought\.") as raised:
        await shielded(context, timeout=0.2, output_path=str(tmp_path / "clip.mp4"))
    assert not raised.value.is_final
    assert (minimax_emulator.requests, list(tmp_path.iterdir())) == ([], [])


async def test_a_trigger_that_is_killed_while_it_waits_says_what_it_knows(log_of):
    """Another triggerer may have taken over, and the task may have bought since."""
    log, loop, is_said = log_of(MinimaxTurnTrigger), asyncio.get_running_loop(), asyncio.Event()
    log.info.side_effect = lambda *_: loop.call_soon_threadsafe(is_said.set)
    trigger = MinimaxTurnTrigger(minimax_conn_id="c", asked_at=1.0, deadline=time.time() + 60)
    waiting = asyncio.create_task(event_of(trigger))
    await is_said.wait()
    assert "Nothing is bought yet." in log.said()
    waiting.cancel()
    await trigger.on_kill()
    assert "This triggerer no longer waits for a submission slot" in log.said()
    assert "This wait bought nothing." in log.said()
    assert "Nothing was bought" not in log.said()


async def test_a_trigger_that_sent_its_event_is_not_taken_for_a_killed_one(log_of):
    log = log_of(MinimaxTurnTrigger)
    trigger = MinimaxTurnTrigger(
        minimax_conn_id="c", asked_at=1.0, deadline=time.time() + 60, rate_limit_per_minute=6000
    )
    await event_of(trigger)
    await trigger.on_kill()
    assert "No longer" not in log.said()


def test_an_operator_that_waits_for_a_slot_has_nothing_to_cancel(connect, context, log_of):
    log = log_of(MinimaxVideoGenerationOperator)
    connect(extra={"rate_limit_per_minute": 20})
    operator = generate()
    deferred(operator, context)
    operator.on_kill()
    assert "billed" not in log.said()


# -- the trigger -------------------------------------------------------------------------------------------------------


def test_a_trigger_is_rebuilt_from_what_it_serialises():
    it = MinimaxTurnTrigger(
        minimax_conn_id="c", asked_at=1.0, deadline=2.0, rate_limit_per_minute=3, not_before=4.0, refusals=5
    )
    path, kwargs = it.serialize()
    assert path == f"{MinimaxTurnTrigger.__module__}.{MinimaxTurnTrigger.__qualname__}"
    assert MinimaxTurnTrigger(**json.loads(json.dumps(kwargs))).serialize() == it.serialize()


def test_a_trigger_of_the_first_version_is_understood():
    """New arguments must have defaults."""
    first_version = {"minimax_conn_id": "c", "asked_at": 1.0, "deadline": 2.0}
    assert MinimaxTurnTrigger(**first_version).serialize()[1].items() >= first_version.items()


async def test_no_event_is_sent_before_the_executor_heard_that_the_worker_is_done(monkeypatch):
    monkeypatch.setattr(handover, "SECONDS", 0.5)
    start = time.monotonic()
    await event_of(
        MinimaxTurnTrigger(minimax_conn_id="c", asked_at=1.0, deadline=time.time() + 9, rate_limit_per_minute=6000)
    )
    assert time.monotonic() - start >= 0.5


async def test_a_log_that_nobody_reads_holds_up_no_other_trigger(log_of):
    """A busy triggerer rarely reads its pipe of logs, and a line waits for room in it."""
    loop, is_said, is_read, was_read = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), []

    def wait_for_a_reader(*_):
        loop.call_soon_threadsafe(is_said.set)
        was_read.append(is_read.wait(60))

    log_of(MinimaxTurnTrigger).info.side_effect = wait_for_a_reader
    kwargs = {"minimax_conn_id": "c", "deadline": time.time() + 60, "rate_limit_per_minute": 6000}
    waiting = asyncio.create_task(event_of(MinimaxTurnTrigger(asked_at=1.0, **kwargs)))
    await is_said.wait()
    is_read.set()
    assert (await waiting)["error"] is None
    assert was_read == [True]


async def test_triggers_that_come_back_after_a_restart_go_on_in_the_old_order():
    passed = []

    async def wait(name, asked_at):
        kwargs = {"minimax_conn_id": "c", "deadline": time.time() + 60, "rate_limit_per_minute": 600}
        await event_of(MinimaxTurnTrigger(asked_at=asked_at, **kwargs))
        passed.append(name)

    waiting = [asyncio.create_task(wait(name, asked_at)) for asked_at, name in enumerate("abc")]
    await asyncio.sleep(0.05)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.gather(*(wait(name, asked_at) for asked_at, name in reversed(list(enumerate("abc")))))
    assert passed == ["a", "b", "c"]


def test_a_slot_is_read_from_the_event_and_an_error_raised():
    assert SubmissionSlot.from_event({"asked_at": 3.0, "refusals": 2, "error": None}) == SubmissionSlot(3.0, 2)
    with pytest.raises(MinimaxRateLimitError, match="no turn"):
        SubmissionSlot.from_event({"error": MinimaxRateLimitError("no turn").as_event()})


# -- a whole DAG -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("airflow_db")
def test_a_dag_whose_task_waits_for_a_slot_and_is_refused_once_ends_in_a_clip(
    connect, minimax_emulator, tmp_path: Path
):
    connect(extra={"rate_limit_per_minute": 600})
    minimax_emulator.fault("base_resp", operation="submit", code=1002)
    done = load_dags("pipelines")["one_step_deferrable"].test(run_conf={"folder": str(tmp_path)})
    assert [str(ti.state) for ti in done.get_task_instances()] == ["success"]
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"
    assert len(minimax_emulator.purchases) == 1
    assert len([request for request in minimax_emulator.requests if request["refused"]]) == 1
