"""MiniMax's second API as a DAG author meets it: the model chooses it, and a queued task can be cancelled."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import closing
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from PIL import Image

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.exceptions import (
    MinimaxModerationError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskGoneError,
    MinimaxTaskTimeoutError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.fakes import FakeTaskInstance
from tests.test_sensor import ended

H3 = {"model": "MiniMax-H3", "prompt": "a paper boat", "resolution": "768P", "duration": 5, "ratio": "16:9"}
REQUEST = VideoRequest.of(H3)


def generate(**changes) -> MinimaxVideoGenerationOperator:
    options = H3 | {"wait_for_completion": True, "deferrable": False, "poll_interval": 0.01} | changes
    return MinimaxVideoGenerationOperator(task_id="generate", **options)


def receipt_of(output: Path) -> str:
    return Path(f"{output}.receipt.json").read_text()


def paths(minimax_emulator) -> list[str]:
    return [f"{request['method']} {request['path']}" for request in minimax_emulator.requests]


# -- the model chooses -------------------------------------------------------------------------------------------------


def test_the_model_decides_where_a_clip_is_bought(hook, minimax_emulator):
    hook.submit(REQUEST)
    hook.submit(VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a paper boat"}))
    assert [path.rpartition("/minimax")[2] for path in paths(minimax_emulator)] == [
        "/v2/video_generation",
        "/v1/video_generation",
    ]


def test_a_task_is_known_to_its_own_version_only(hook):
    minimax_task_id = hook.submit(REQUEST)
    assert hook.get_task(minimax_task_id, api_version="v2").model == "MiniMax-H3"
    with pytest.raises(MinimaxTaskGoneError):
        hook.get_task(minimax_task_id, api_version="v1")


async def test_the_same_works_on_an_event_loop(connect, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    hook = MinimaxHook(connect())
    minimax_task_id = await hook.asubmit(REQUEST)
    assert (await hook.aget_task(minimax_task_id, api_version="v2")).api_version == "v2"
    assert (await hook.acancel(minimax_task_id)).state is TaskState.CANCELLED
    await hook.aclose()


def test_pictures_videos_and_sounds_are_sent_with_their_roles(hook, minimax_emulator, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(64))
    hook.submit(
        VideoRequest.of(
            H3
            | {
                "reference_images": ["https://files.example/a.png"],
                "reference_videos": [str(tmp_path / "a.mp4")],
                "reference_audios": "https://files.example/a.mp3",
            }
        )
    )
    content = minimax_emulator.purchases[0]["body"]["content"]
    assert [item.get("role") for item in content] == [None, "reference_image", "reference_video", "reference_audio"]
    # The emulator keeps the hash of what it was sent.
    assert content[2]["video_url"]["url"].startswith("sha256:")


def test_a_list_shows_the_tasks_of_the_account(hook):
    bought = {hook.submit(REQUEST) for _ in range(3)}
    page = hook.list_tasks(model="MiniMax-H3", page_size=2)
    assert (len(page.tasks), page.total) == (2, 3)
    assert {task.minimax_task_id for task in (*page.tasks, *hook.list_tasks(page=2, page_size=2).tasks)} == bought
    assert {(task.resolution, task.duration, task.ratio) for task in page.tasks} <= {("768P", 5, "16:9")}


@pytest.mark.parametrize("call", ["list_tasks", "cancel"])
def test_what_a_version_cannot_do_is_said_and_not_tried(call, hook, minimax_emulator):
    with pytest.raises(MinimaxRequestError, match=r"'v1' of its API"):
        hook.list_tasks(api_version="v1") if call == "list_tasks" else hook.cancel("1", api_version="v1")
    assert minimax_emulator.requests == []


@pytest.mark.parametrize("deferrable", [True, False])
async def test_the_cost_of_reference_videos_is_in_the_receipt_once_the_platform_reports_their_seconds(
    deferrable, connect, minimax_emulator, context, tmp_path
):
    """The emulator counts five seconds for each."""
    connect()
    output = tmp_path / "boat.mp4"
    minimax_emulator.configure(lifecycle="polls", polls=1)
    operator = generate(deferrable=deferrable, output_path=str(output), reference_videos="https://files.example/a.mp4")
    try:
        facts = operator.execute(context)
    except TaskDeferred as deferral:
        (event,) = [event async for event in deferral.trigger.run()]
        facts = operator.execute_complete(context, json.loads(json.dumps(event.payload)))
    assert facts["cost"]["amount"] == minimax_emulator.purchases[0]["price"]["usd"] == 0.8
    assert json.loads(receipt_of(output))["cost"] == facts["cost"]


def test_a_sensor_that_delivers_completes_the_price_in_the_receipt(connect, minimax_emulator, context, tmp_path):
    connect()
    output = str(tmp_path / "boat.mp4")
    minimax_emulator.configure(lifecycle="polls", polls=1)
    bought = generate(
        wait_for_completion=False, output_path=output, reference_videos="https://files.example/a.mp4"
    ).execute(context)
    assert json.loads(receipt_of(output))["cost"] is None
    MinimaxTaskSensor(
        task_id="wait", minimax_task_id=bought, output_path=output, poke_interval=0.01, deferrable=False
    ).execute(context)
    assert json.loads(receipt_of(output))["cost"]["amount"] == 0.8


# -- bought, waited for, delivered -------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [True, False])
async def test_a_clip_is_bought_waited_for_and_delivered(deferrable, connect, minimax_emulator, context, tmp_path):
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=2)
    output = tmp_path / "boat.mp4"
    operator = generate(deferrable=deferrable, output_path=str(output))
    try:
        facts = operator.execute(context)
    except TaskDeferred as deferral:
        event = await anext(event.payload async for event in deferral.trigger.run())
        assert "http" not in json.dumps(event)
        facts = operator.resume_execution("execute_complete", {"event": event}, context)
    receipt = json.loads(receipt_of(output))
    assert output.read_bytes()[4:8] == b"ftyp"
    assert (facts["task_id"], facts["state"]) == (receipt["minimax_task_id"], "succeeded")
    assert (receipt["api_version"], receipt["cost"]["amount"]) == ("v2", 0.4)
    assert context["ti"].xcoms["api_version"] == "v2"


def test_a_retry_goes_on_with_the_task_of_an_earlier_try(connect, minimax_emulator, tmp_path):
    connect()
    minimax_emulator.configure(lifecycle="manual")
    options = {"output_path": str(tmp_path / "boat.mp4"), "timeout": 0.1}
    with pytest.raises(AirflowSensorTimeout):
        generate(**options).execute({"ti": FakeTaskInstance()})
    minimax_emulator.set_job(minimax_emulator.purchases[0]["task_id"], "success")
    facts = generate(**options).execute({"ti": FakeTaskInstance(try_number=2)})
    assert facts["task_id"] == minimax_emulator.purchases[0]["task_id"]
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("deferrable", [True, False])
async def test_a_sensor_and_a_download_learn_the_version_from_the_xcom(
    deferrable, connect, minimax_emulator, context, tmp_path
):
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=2)
    generate(wait_for_completion=False).execute(context)
    known = {"minimax_task_id": context["ti"].xcoms["task_id"], "api_version": context["ti"].xcoms["api_version"]}
    wait = MinimaxTaskSensor(task_id="wait", deferrable=deferrable, poke_interval=0.01, timeout=60, **known)
    try:
        facts = wait.execute(context)
    except TaskDeferred as deferral:
        event = await anext(event.payload async for event in deferral.trigger.run())
        facts = wait.resume_execution("execute_complete", {"event": event}, context)
    assert (facts["state"], facts["duration"]) == ("succeeded", 5)
    download = MinimaxVideoDownloadOperator(task_id="download", output_path=str(tmp_path / "boat.mp4"), **known)
    assert download.execute(context)["size"] == (tmp_path / "boat.mp4").stat().st_size


def test_a_refused_clip_is_recognised_by_its_code(connect, minimax_emulator, context):
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=1, outcome="failed", failure_code=1026)
    with pytest.raises(MinimaxModerationError, match="code 1026"):
        generate().execute(context)


def test_rendered_references_show_no_signature_and_no_bytes():
    operator = generate(
        reference_images=["https://files.example/a.png?sig={{ params.sig }}"],
        reference_videos=["data:video/mp4;base64," + "AAAA" * 50],
        validate=False,
    )
    operator.render_template_fields({"params": {"sig": "SIGNATURE"}})
    shown = str({field: getattr(operator, field) for field in operator.template_fields})
    assert "SIGNATURE" not in shown
    assert "AAAAAAAA" not in shown
    assert operator._content()["reference_images"] == ["https://files.example/a.png?sig=SIGNATURE"]


# -- a lost answer -----------------------------------------------------------------------------------------------------


def lost(connect, output: Path, **changes) -> str:
    """Return what a submission says whose answer is lost."""
    connect(extra={"max_retries": 0})
    with pytest.raises(MinimaxSubmissionUnknownError) as raised:
        generate(output_path=str(output), **changes).execute({"ti": FakeTaskInstance()})
    return str(raised.value)


def test_after_a_lost_answer_the_tasks_that_it_may_be_are_named(connect, minimax_emulator, tmp_path):
    connect()
    minimax_emulator.configure(lifecycle="manual")
    with closing(MinimaxHook()) as hook:
        for other in ({"duration": 8}, {"resolution": "2K"}, {"ratio": "1:1"}, {"model": "MiniMax-H3-Max"}):
            hook.submit(VideoRequest.of(H3 | other))
    minimax_emulator.fault("lost_answer", operation="submit")
    first = lost(connect, tmp_path / "boat.mp4")
    named = f"lists from that time: {minimax_emulator.purchases[-1]['task_id']} (queued); not all may be yours."
    assert named in first
    assert named in lost(connect, tmp_path / "boat.mp4")
    assert len(minimax_emulator.purchases) == 5


def test_a_submission_that_was_not_accepted_is_not_on_the_list(connect, minimax_emulator, tmp_path):
    minimax_emulator.fault("http", operation="submit", status=500)
    assert "The platform lists no task of this model and size from that time." in lost(connect, tmp_path / "boat.mp4")


def test_a_list_that_cannot_be_read_is_no_further_trouble(connect, minimax_emulator, tmp_path):
    minimax_emulator.fault("lost_answer", operation="submit")
    minimax_emulator.fault("http", operation="list", status=500)
    said = lost(connect, tmp_path / "boat.mp4")
    assert "may have been bought" in said
    assert "lists" not in said


# -- cancelling --------------------------------------------------------------------------------------------------------


def test_a_queued_task_is_cancelled(hook, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    task = hook.cancel(hook.submit(REQUEST))
    assert task.state is TaskState.CANCELLED
    assert minimax_emulator.jobs[0]["state"] == "cancelled"


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ("processing", TaskState.RUNNING),
        ("success", TaskState.SUCCEEDED),
        ("failed", TaskState.FAILED),
        ("cancelled", TaskState.CANCELLED),
    ],
)
def test_what_is_not_queued_is_left_alone(hook, minimax_emulator, state, seen):
    """The platform's own call would erase the record of a finished clip."""
    minimax_task_id = hook.submit(REQUEST)
    minimax_emulator.set_job(minimax_task_id, state)
    assert hook.cancel(minimax_task_id).state is seen
    assert not [path for path in paths(minimax_emulator) if path.startswith("DELETE")]
    assert not minimax_emulator.jobs[0]["deleted"]


def test_a_cancellation_whose_answer_was_lost_is_not_repeated(hook, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    minimax_task_id = hook.submit(REQUEST)
    minimax_emulator.fault("http", operation="cancel", status=502, html=True, times=2)
    with pytest.raises(Exception, match="502"):
        hook.cancel(minimax_task_id)
    assert len([path for path in paths(minimax_emulator) if path.startswith("DELETE")]) == 1


def killed(connect, minimax_emulator, context, state="preparing", **changes) -> MinimaxVideoGenerationOperator:
    """Return an operator that was killed while it waited for a task in a state."""
    connect()
    minimax_emulator.configure(lifecycle="manual")
    operator = generate(**changes)
    get_task = MinimaxHook.get_task

    class Kill(BaseException):
        pass

    def get_task_and_die(self, minimax_task_id, **options):
        if options.get("retries") != 0:
            return get_task(self, minimax_task_id, **options)
        minimax_emulator.set_job(minimax_task_id, state)
        operator.on_kill()
        raise Kill

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MinimaxHook, "get_task", get_task_and_die)
        with pytest.raises(Kill):
            operator.execute(context)
    return operator


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("preparing", "was cancelled while it was queued, which is free of charge"),
        ("processing", "cannot be cancelled: it keeps running and is billed"),
        ("success", "succeeded meanwhile and is billed"),
    ],
)
def test_a_killed_operator_cancels_what_is_queued_and_says_so(state, said, connect, minimax_emulator, context, log_of):
    log = log_of(MinimaxVideoGenerationOperator)
    killed(connect, minimax_emulator, context, state)
    assert said in log.said()
    assert minimax_emulator.jobs[0]["state"] == ("cancelled" if state == "preparing" else state)


@pytest.mark.parametrize("on_clear", ["reuse", "resubmit"])
def test_that_is_so_whatever_a_clear_does_because_the_next_try_buys_another_free_of_charge(
    on_clear, connect, minimax_emulator, context, tmp_path
):
    killed(connect, minimax_emulator, context, on_clear=on_clear, output_path=str(tmp_path / "boat.mp4"))
    assert minimax_emulator.jobs[0]["state"] == "cancelled"


def test_a_retry_after_a_cancellation_buys_again(connect, minimax_emulator, tmp_path):
    output = {"output_path": str(tmp_path / "boat.mp4")}
    killed(connect, minimax_emulator, {"ti": FakeTaskInstance()}, **output)
    minimax_emulator.configure(lifecycle="polls", polls=1)
    facts = generate(**output).execute({"ti": FakeTaskInstance(try_number=2)})
    first, second = (purchase["task_id"] for purchase in minimax_emulator.purchases)
    assert facts["task_id"] == second
    receipt = json.loads(receipt_of(tmp_path / "boat.mp4"))
    assert (receipt["replaced"], receipt["submissions"]) == ([first], 1)


def test_a_retry_after_a_cancellation_needs_its_pictures(connect, minimax_emulator, tmp_path):
    picture = tmp_path / "boat.png"
    Image.new("RGB", (400, 400)).save(picture)
    given = {"output_path": str(tmp_path / "boat.mp4"), "first_frame_image": str(picture), "ratio": None}
    killed(connect, minimax_emulator, {"ti": FakeTaskInstance()}, **given)
    picture.unlink()
    with pytest.raises(MinimaxRequestError, match="first_frame_image=.*boat.png"):
        generate(**given).execute({"ti": FakeTaskInstance(try_number=2)})
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize(("on_clear", "cancels"), [("resubmit", True), ("reuse", False)])
def test_a_deferred_operator_lets_the_trigger_know_when_it_may_cancel(
    on_clear, cancels, connect, minimax_emulator, context, tmp_path
):
    connect()
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(TaskDeferred) as deferral:
        generate(deferrable=True, on_clear=on_clear, output_path=str(tmp_path / "boat.mp4")).execute(context)
    trigger = deferral.value.trigger
    assert (trigger.api_version, trigger.cancel_on_kill, trigger.cancel_on_clear) == ("v2", True, cancels)
    assert trigger.attempt == context["ti"].xcoms["minimax_attempt"] == str(context["ti"].id)


def test_a_task_that_another_one_bought_is_not_cancelled(connect, minimax_emulator, tmp_path):
    connect()
    minimax_emulator.configure(lifecycle="manual")
    options = {"deferrable": True, "output_path": str(tmp_path / "boat.mp4")}
    for run_id, cancels in (("one", True), ("other", False)):
        with pytest.raises(TaskDeferred) as deferral:
            generate(**options).execute({"ti": FakeTaskInstance(run_id=run_id)})
        assert deferral.value.trigger.cancel_on_kill is cancels
    assert len(minimax_emulator.purchases) == 1


def test_an_attempt_that_cannot_be_pushed_fails_no_task_that_has_bought(connect, minimax_emulator, context):
    """Without it nothing is cancelled, because nobody could tell a kill from a change of triggerers."""
    push = context["ti"].xcom_push

    def flaky(key, value):
        if key == "minimax_attempt":
            raise OSError("the API server is away")
        push(key, value)

    context["ti"].xcom_push = flaky
    connect()
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(TaskDeferred) as deferral:
        generate(deferrable=True).execute(context)
    assert deferral.value.trigger.cancel_on_kill is False


def waiting_trigger(minimax_task_id: str, **changes) -> MinimaxTaskTrigger:
    """A trigger of the first attempt, as Airflow's triggerer rebuilds it."""
    options = {"deadline": time.time() + 60, "api_version": "v2", "cancel_on_kill": True, "attempt": "first"}
    trigger = MinimaxTaskTrigger(
        minimax_task_id=minimax_task_id, minimax_conn_id="minimax_default", **options | changes
    )
    trigger.task_instance = FakeTaskInstance()
    return trigger


@pytest.fixture
def queued(hook, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    return hook.submit(REQUEST)


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed", "deleted"])
async def test_a_queued_clip_is_cancelled_when_its_task_was_marked_or_deleted(
    state, queued, minimax_emulator, supervisor, log_of
):
    log, supervisor.state, supervisor.attempt = log_of(MinimaxTaskTrigger), state, "first"
    await waiting_trigger(queued).on_kill()
    assert minimax_emulator.jobs[0]["state"] == "cancelled"
    assert "was cancelled while it was queued, which is free of charge" in log.said()


@pytest.mark.parametrize(
    ("state", "attempt"),
    [(None, "first"), (None, None), ("deferred", "second"), ("running", "second"), ("failed", "second")],
)
@pytest.mark.parametrize("buys_another", [True, False])
async def test_a_queued_clip_is_cancelled_when_its_task_was_cleared_to_buy_another(
    state, attempt, buys_another, queued, minimax_emulator, supervisor, log_of
):
    log, supervisor.state, supervisor.attempt = log_of(MinimaxTaskTrigger), state, attempt
    await waiting_trigger(queued, cancel_on_clear=buys_another).on_kill()
    assert (minimax_emulator.jobs[0]["state"] == "cancelled") is buys_another
    assert "the Airflow task was cleared" in log.said()


async def test_a_triggerer_that_comes_back_leaves_alone_what_another_one_watches_now(
    queued, minimax_emulator, supervisor, log_of
):
    """Airflow kills its triggers as if a person had ended their tasks."""
    log, supervisor.state, supervisor.attempt = log_of(MinimaxTaskTrigger), "deferred", "first"
    await waiting_trigger(queued, cancel_on_clear=True).on_kill()
    assert minimax_emulator.jobs[0]["state"] == "preparing"
    assert "another triggerer took it over" in log.said()
    assert [call.args[0] for call in log.log.mock_calls] == [logging.INFO]


@pytest.mark.parametrize(
    ("state", "attempt"),
    [("running", "first"), ("scheduled", "first"), ("queued", "first"), ("running", None), ("deferred", None)],
)
async def test_a_queued_clip_is_left_alone_where_what_airflow_says_fits_a_kill_and_none(
    state, attempt, queued, minimax_emulator, supervisor, log_of
):
    """Another triggerer may have resumed the task, or it may have been cleared and not begun yet."""
    log, supervisor.state, supervisor.attempt = log_of(MinimaxTaskTrigger), state, attempt
    await waiting_trigger(queued, cancel_on_clear=True).on_kill()
    assert minimax_emulator.jobs[0]["state"] == "preparing"
    assert f"MiniMax task {queued} is not cancelled, so it goes on and will be billed" in log.said()
    assert supervisor.asked > 2


async def test_airflow_is_asked_again_until_the_new_attempt_of_a_cleared_task_shows(
    queued, minimax_emulator, supervisor
):
    supervisor.state, supervisor.attempt = "queued", "first"
    killed = asyncio.create_task(waiting_trigger(queued, cancel_on_clear=True).on_kill())
    await asyncio.sleep(0.15)
    supervisor.state, supervisor.attempt = "deferred", "second"
    await killed
    assert minimax_emulator.jobs[0]["state"] == "cancelled"


@pytest.mark.parametrize("trouble", ["error", "silence", "no attempt", "no task instance"])
async def test_a_queued_clip_is_left_alone_where_airflow_cannot_be_asked(
    trouble, queued, minimax_emulator, supervisor, log_of
):
    log, trigger = log_of(MinimaxTaskTrigger), waiting_trigger(queued)
    if trouble == "error":
        supervisor.trouble = ConnectionError("no API server")
    elif trouble == "silence":
        supervisor.answers_after = 2
    elif trouble == "no attempt":
        trigger = waiting_trigger(queued, attempt=None)
    else:
        trigger.task_instance = None
    await trigger.on_kill()
    assert minimax_emulator.jobs[0]["state"] == "preparing"
    assert "Airflow did not say in time" in log.said()
    # Airflow's channel to its triggerer loses its place when a request is broken off.
    assert not supervisor.is_broken_off


async def test_a_clip_whose_time_was_over_is_left_alone_whatever_became_of_its_task(
    queued, minimax_emulator, supervisor
):
    """Another triggerer ended the wait, which failed the task; that is no wish to cancel."""
    supervisor.state, supervisor.attempt = "failed", "first"
    await waiting_trigger(queued, deadline=time.time() - 1).on_kill()
    assert minimax_emulator.jobs[0]["state"] == "preparing"


async def test_a_mapped_tasks_trigger_asks_about_its_own_task(queued, minimax_emulator, supervisor):
    supervisor.attempt = "first"
    trigger = waiting_trigger(queued)
    trigger.task_instance = FakeTaskInstance(map_index=1)
    await trigger.on_kill()
    assert minimax_emulator.jobs[0]["state"] == "cancelled"


async def test_a_killed_trigger_that_may_not_cancel_asks_nobody(queued, minimax_emulator, supervisor, log_of):
    log = log_of(MinimaxTaskTrigger)
    await waiting_trigger(queued, cancel_on_kill=False).on_kill()
    assert (minimax_emulator.jobs[0]["state"], supervisor.asked) == ("preparing", 0)
    assert "goes on and will be billed" in log.said()


async def test_a_killed_trigger_cancels_although_airflow_kills_it_again_every_second(
    queued, minimax_emulator, supervisor, log_of
):
    log, supervisor.attempt, supervisor.answers_after = log_of(MinimaxTaskTrigger), "first", 0.3
    minimax_emulator.fault("slow", operation="query", seconds=0.5)
    killed = asyncio.create_task(asyncio.wait_for(waiting_trigger(queued).on_kill(), 30))
    async with asyncio.timeout(60):
        while "free of charge" not in log.said():
            await asyncio.sleep(0.1)
            killed.cancel("user-action")
    assert minimax_emulator.jobs[0]["state"] == "cancelled"
    assert not supervisor.is_broken_off


async def test_a_killed_trigger_that_cannot_reach_the_platform_says_so(connect, supervisor, log_of):
    connect(host="http://127.0.0.1:9", extra={"max_retries": 0})
    log, supervisor.attempt = log_of(MinimaxTaskTrigger), "first"
    await waiting_trigger("T").on_kill()
    assert "Task T could not be cancelled (no connection could be made" in log.said()


async def test_a_killed_trigger_speaks_before_airflow_ends_it(
    queued, minimax_emulator, supervisor, log_of, monkeypatch
):
    minimax_emulator.fault("slow", operation="query", seconds=5)
    monkeypatch.setattr("airflow_provider_minimax.polling.cancel._CANCEL_WITHIN", 0.2)
    log, supervisor.attempt = log_of(MinimaxTaskTrigger), "first"
    await waiting_trigger(queued).on_kill()
    assert (
        f"Task {queued} could not be cancelled (the platform did not answer within 0.2 s), so it may keep running"
        in log.said()
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [("preparing", "was cancelled while it was queued"), ("processing", "it keeps running and is billed")],
)
def test_a_wait_that_timed_out_cancels_if_asked_to(state, said, connect, minimax_emulator, context, tmp_path):
    connect()
    minimax_emulator.configure(lifecycle="manual", statuses={} if state == "preparing" else {"preparing": "running"})
    with pytest.raises(MinimaxTaskTimeoutError) as raised:
        generate(timeout=0.05, cancel_on_timeout=True, output_path=str(tmp_path / "boat.mp4")).execute(context)
    assert said in str(raised.value)
    assert minimax_emulator.jobs[0]["state"] == ("cancelled" if state == "preparing" else "preparing")
    receipt = json.loads(receipt_of(tmp_path / "boat.mp4"))
    assert receipt["phase"] == ("failed" if state == "preparing" else "submitted")


def test_a_wait_that_timed_out_leaves_a_task_alone_that_another_one_bought(connect, minimax_emulator, tmp_path):
    connect()
    minimax_emulator.configure(lifecycle="manual")
    options = {"timeout": 0.05, "output_path": str(tmp_path / "boat.mp4")}
    for run_id, cancels in (("one", False), ("other", True)):
        with pytest.raises(MinimaxTaskTimeoutError, match="keeps running and will be billed"):
            generate(cancel_on_timeout=cancels, **options).execute({"ti": FakeTaskInstance(run_id=run_id)})
    assert minimax_emulator.jobs[0]["state"] == "preparing"


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("cancels", [True, False])
async def test_so_does_a_sensor_and_asks_for_it_once(cancels, deferrable, hook, minimax_emulator, context):
    minimax_emulator.configure(lifecycle="manual")
    wait = MinimaxTaskSensor(
        task_id="wait",
        minimax_task_id=hook.submit(REQUEST),
        api_version="v2",
        timeout=0.05,
        poke_interval=0.01,
        deferrable=deferrable,
        cancel_on_timeout=cancels,
    )
    with pytest.raises(MinimaxTaskTimeoutError) as raised:
        await ended(wait, context)
    assert ("free of charge" in str(raised.value)) is cancels
    assert minimax_emulator.jobs[0]["state"] == ("cancelled" if cancels else "preparing")
    assert (minimax_emulator.requests[-1]["method"] == "DELETE") is cancels, "nothing is asked after the cancellation"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_version": "2"}, "api_version='2': must be one of 'v1', 'v2'"),
        ({"cancel_on_timeout": True, "api_version": "v1"}, "cancel_on_timeout=True: is for api_version='v2'"),
    ],
)
def test_a_sensor_that_cannot_work_is_an_error_of_the_dag(options, said):
    with pytest.raises(MinimaxRequestError) as raised:
        MinimaxTaskSensor(task_id="wait", minimax_task_id="T", **options)
    assert said in str(raised.value)
