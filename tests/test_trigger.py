"""The trigger: one event, no secret, nothing that a restart could lose."""

from __future__ import annotations

import asyncio
import json
import runpy
import threading
import time
from types import SimpleNamespace

import pytest

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.exceptions import (
    MinimaxConnectionUnusableError,
    MinimaxTaskTimeoutError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks import clients
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.polling import handover
from airflow_provider_minimax.polling import schedule as schedules
from airflow_provider_minimax.polling import shared_poller as pollers
from airflow_provider_minimax.polling.poller import FixedInterval, Outcome
from airflow_provider_minimax.polling.schedule import PollTimetable
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

pytestmark = pytest.mark.usefixtures("polls_over")

REQUEST = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"})


def trigger(minimax_task_id="T", **options) -> MinimaxTaskTrigger:
    defaults = {"minimax_conn_id": "minimax_default", "deadline": time.time() + 60, "poll_interval": 0.02}
    return MinimaxTaskTrigger(minimax_task_id=minimax_task_id, **defaults | options)


async def outcome(it: MinimaxTaskTrigger) -> Outcome:
    events = [event.payload async for event in it.run()]
    assert len(events) == 1
    return Outcome.from_event(json.loads(json.dumps(events[0])))


@pytest.fixture
def bought(connect):
    return MinimaxHook(connect()).submit(REQUEST)


async def test_a_finished_task_is_one_small_event_without_a_url(bought):
    events = [event.payload async for event in trigger(bought).run()]
    assert len(events) == 1
    assert Outcome.from_event(events[0]).result().state is TaskState.SUCCEEDED
    assert "http" not in json.dumps(events)
    assert len(json.dumps(events)) < 500


@pytest.mark.parametrize("platform", ["bltcy", "chainhub", "vtrix", "novita", "ai302"])
async def test_no_platforms_event_has_a_url(connect, platform):
    request = REQUEST.model_copy(update={"first_frame_image": "https://files.example/frame.jpg"})
    minimax_task_id = MinimaxHook(connect(platform)).submit(request)
    events = [event.payload async for event in trigger(minimax_task_id).run()]
    assert Outcome.from_event(events[0]).result().minimax_task_id == minimax_task_id
    assert "http" not in json.dumps(events)


@pytest.mark.parametrize("minimax_task_id", ["bought", "no-such-task"])
async def test_no_event_is_sent_before_the_executor_heard_that_the_worker_is_done(monkeypatch, bought, minimax_task_id):
    """Airflow fails a task that is resumed sooner, and a push may end the wait at once."""
    monkeypatch.setattr(handover, "SECONDS", 0.5)
    start = time.monotonic()
    await outcome(trigger(bought if minimax_task_id == "bought" else minimax_task_id))
    assert time.monotonic() - start >= 0.5


@pytest.mark.parametrize(
    ("settings", "seconds"), [({}, 6.0), ({"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "30"}, 31.0)]
)
def test_that_takes_a_second_more_than_airflow_lets_its_workers_take(monkeypatch, settings, seconds):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert runpy.run_path(handover.__file__)["SECONDS"] == seconds


async def test_a_failed_task_is_an_event_with_the_reason(bought, minimax_emulator):
    minimax_emulator.set_job(bought, state="failed", code=1027)
    error = (await outcome(trigger(bought))).error
    assert (error.code, error.minimax_task_id) == ("1027", bought)


async def test_a_log_that_nobody_reads_holds_up_no_other_trigger(bought, minimax_emulator, log_of):
    """A busy triggerer rarely reads its pipe of logs, and a line waits for room in it."""
    loop, is_said, is_read, was_read = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), []

    def wait_for_a_reader(*_):
        loop.call_soon_threadsafe(is_said.set)
        was_read.append(is_read.wait(60))

    log_of(MinimaxTaskTrigger).log.side_effect = wait_for_a_reader
    minimax_emulator.set_job(bought, state="processing")
    waiting = asyncio.create_task(outcome(trigger(bought)))
    await is_said.wait()
    minimax_emulator.set_job(bought, state="success")
    is_read.set()
    assert (await waiting).result().minimax_task_id == bought
    assert was_read == [True]


async def test_the_deadline_is_a_wall_clock_that_a_restart_does_not_move(bought, minimax_emulator):
    minimax_emulator.set_job(bought, state="processing")
    first = trigger(bought, deadline=time.time() + 0.3)
    _, kwargs = first.serialize()
    again = MinimaxTaskTrigger(**kwargs)
    assert isinstance((await outcome(again)).error, MinimaxTaskTimeoutError)
    assert time.time() < kwargs["deadline"] + 20


@pytest.mark.parametrize("what", ["answer", "lookup"])
async def test_the_deadline_holds_while_an_answer_does_not_come(what, bought, minimax_emulator, monkeypatch):
    monkeypatch.setattr(pollers, "LAST_ANSWER", 0.3)
    if what == "answer":
        minimax_emulator.fault("hold", operation="query", times=-1)
    else:
        monkeypatch.setattr(clients, "alook_up", lambda *connection: asyncio.sleep(60))
    start = time.monotonic()
    assert isinstance((await outcome(trigger(bought, deadline=time.time() + 0.3))).error, MinimaxTaskTimeoutError)
    assert time.monotonic() - start < 20
    minimax_emulator.clear_faults()
    minimax_emulator.release()


async def test_trouble_on_the_way_is_tolerated(bought, minimax_emulator):
    minimax_emulator.fault("reset_before", operation="query", times=2)
    minimax_emulator.fault("http", operation="query", status=502, html=True, times=2)
    assert (await outcome(trigger(bought))).error is None


async def test_too_many_failed_polls_in_a_row_end_the_wait_and_not_the_purchase(bought, minimax_emulator):
    minimax_emulator.fault("http", operation="query", status=502, html=True, times=-1)
    error = (await outcome(trigger(bought, max_failures=3))).error
    assert isinstance(error, MinimaxUnavailableError)
    assert "stopped after 3 failed status checks" in str(error)
    assert "may still be running" in str(error)


@pytest.fixture
def fast_lookups(monkeypatch):
    monkeypatch.setattr(clients, "LOOKUP_INTERVAL", 0.02)


async def soon(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the log is written by a thread
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("fast_lookups")
@pytest.mark.parametrize("trouble", ["gone", "refused key", "empty account"])
async def test_a_connection_that_cannot_be_used_for_a_while_ends_no_wait(
    trouble, bought, connect, minimax_emulator, log_of, monkeypatch
):
    """Airflow says "not found" of a connection whose secrets backend is down, and the clip is bought."""
    log = log_of(MinimaxTaskTrigger)
    if trouble == "gone":
        monkeypatch.delenv("AIRFLOW_CONN_MINIMAX_DEFAULT")
    elif trouble == "refused key":
        connect(password="sk-wrong")
    else:
        minimax_emulator.fault("base_resp", operation="query", code=1008, times=-1)
    waiting = asyncio.create_task(outcome(trigger(bought, max_failures=3)))
    await soon(lambda: "the triggerer cannot use the connection right now" in log.said())
    await asyncio.sleep(0.5)
    minimax_emulator.clear_faults()
    # A lookup that is under way would find the connection missing, and yet see its variable when it says why.
    await soon(lambda: not clients._lookups)
    connect()
    assert (await waiting).error is None
    assert log.said().count("cannot use the connection") == 1


@pytest.mark.parametrize("conn_id", ["gone", "refused"])
async def test_a_connection_that_cannot_be_used_until_the_deadline_is_a_time_out_that_names_it(
    bought, connect, conn_id
):
    connect(conn_id="refused", password="sk-wrong")
    error = (await outcome(trigger(bought, minimax_conn_id=conn_id, deadline=time.time() + 0.5))).error
    assert isinstance(error, MinimaxTaskTimeoutError)
    assert "the triggerer cannot use the connection right now" in str(error)
    assert f"Task {bought} keeps running and will be billed" in str(error)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra": {"platform": "unheard"}}, "platform='unheard'"),
        ({"extra": {"proxy": "nonsense"}}, "proxy"),
        ({"extra": {"verify": "/no/such/bundle.pem"}}, "/no/such/bundle.pem"),
        ({"password": ""}, "the API key is missing"),
    ],
)
async def test_a_connection_that_is_malformed_ends_the_wait_at_once_but_not_for_good(bought, connect, changes, said):
    connect(**changes)
    start = time.monotonic()
    error = (await outcome(trigger(bought, deadline=time.time() + 60))).error
    assert isinstance(error, MinimaxConnectionUnusableError)
    assert not error.is_final
    assert said in str(error)
    assert "triggerer" in str(error)
    assert time.monotonic() - start < 30


async def test_an_environment_that_no_client_can_be_made_in_ends_the_wait_at_once(bought, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    error = (await outcome(trigger(bought, deadline=time.time() + 60))).error
    assert isinstance(error, MinimaxConnectionUnusableError)
    assert "SSL_CERT_FILE" in str(error)


@pytest.mark.usefixtures("fast_lookups")
async def test_a_lookup_of_the_connection_that_fails_for_a_moment_is_tolerated(bought, monkeypatch):
    look_up, failures = clients.alook_up, iter([True, True])

    async def flaky(*connection):
        if next(failures, False):
            raise TimeoutError("the supervisor is busy")
        return await look_up(*connection)

    monkeypatch.setattr(clients, "alook_up", flaky)
    assert (await outcome(trigger(bought))).error is None


async def test_a_status_that_nobody_documents_is_waited_on(bought, minimax_emulator, log_of):
    log = log_of(MinimaxTaskTrigger)
    minimax_emulator.configure(statuses={"processing": "Polishing"})
    minimax_emulator.set_job(bought, state="processing")
    waiting = asyncio.create_task(outcome(trigger(bought)))
    await soon(lambda: "Polishing" in log.said())
    minimax_emulator.set_job(bought, state="success")
    assert (await waiting).error is None
    assert log.said().count("Polishing") == 1


async def test_triggers_of_one_connection_share_one_client(bought, minimax_emulator):
    await asyncio.gather(*(outcome(trigger(bought)) for _ in range(50)))
    assert not pollers._pollers.get(asyncio.get_running_loop())


async def test_a_trigger_that_is_cancelled_gives_its_client_back(bought, minimax_emulator):
    minimax_emulator.set_job(bought, state="processing")
    waiting = asyncio.create_task(outcome(trigger(bought)))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not pollers._pollers.get(asyncio.get_running_loop())


def test_a_trigger_is_rebuilt_from_what_it_serialises():
    it = trigger("T", exponential_backoff=True, max_wait=60.0, max_failures=None)
    path, kwargs = it.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(__import__(module, fromlist=[name]), name)(**json.loads(json.dumps(kwargs)))
    assert again.serialize() == it.serialize()


def test_what_has_its_default_is_not_stored_so_that_an_older_triggerer_can_build_the_rest():
    plain = MinimaxTaskTrigger(minimax_task_id="T", minimax_conn_id="c", deadline=1.0)
    assert plain.serialize()[1] == {"minimax_task_id": "T", "minimax_conn_id": "c", "deadline": 1.0}


def test_a_trigger_of_an_older_version_is_still_understood():
    """The first version's arguments; new ones must have defaults."""
    first_version = {"minimax_task_id": "T", "minimax_conn_id": "c", "deadline": 1.0}
    assert MinimaxTaskTrigger(**first_version).serialize()[1].items() >= first_version.items()


def test_a_clip_in_the_arguments_survives_and_may_have_what_a_later_version_adds():
    clip = {"model": "m", "resolution": "768P", "duration": 6, "bought_at": 1.0, "seed": 7}
    it = trigger("T", poll_interval=None, clip=clip)
    assert MinimaxTaskTrigger(**json.loads(json.dumps(it.serialize()[1])))._schedule() == it._schedule()


def test_the_pace_that_the_author_sets_holds_whatever_is_known_of_the_clip():
    it = trigger("T", poll_interval=3.0, clip={"model": "MiniMax-Hailuo-02", "bought_at": 1.0})
    assert it._schedule() == FixedInterval(3.0)


async def test_with_a_pace_of_its_own_it_learns_how_long_the_clip_took(bought, mocker):
    known = mocker.patch.object(schedules, "duration_stats").return_value
    known.timetable = PollTimetable([0.0, 100.0], [0.0, 1000.0])
    clip = {"model": "m", "bought_at": time.time() - 60}
    assert (await outcome(trigger(bought, poll_interval=None, clip=clip))).error is None
    (learnt,) = known.learn.call_args.args
    assert 59 <= learnt <= 70


async def test_nothing_is_learnt_from_a_task_that_failed(bought, minimax_emulator, mocker):
    known = mocker.patch.object(schedules, "duration_stats").return_value
    known.timetable = PollTimetable([0.0, 100.0], [0.0, 1000.0])
    minimax_emulator.set_job(bought, state="failed", code=1027)
    clip = {"model": "m", "bought_at": time.time()}
    assert (await outcome(trigger(bought, poll_interval=None, clip=clip))).error is not None
    assert not known.learn.called


def test_airflow_does_not_overwrite_the_remote_id():
    it = trigger("remote-1")
    it.task_instance = SimpleNamespace(task_id="generate")
    assert it.serialize()[1]["minimax_task_id"] == "remote-1"


def test_creating_a_trigger_checks_nothing_and_reads_no_connection():
    it = MinimaxTaskTrigger(minimax_task_id="", minimax_conn_id="nowhere", deadline=-1.0, poll_interval=-1.0)
    assert it.minimax_conn_id == "nowhere"


async def test_a_killed_trigger_says_what_goes_on(log_of):
    log = log_of(MinimaxTaskTrigger)
    await trigger("T").on_kill()
    assert "No longer watching MiniMax task T" in log.said()
    assert "will be billed" in log.said()


async def test_a_trigger_that_has_sent_its_event_is_not_taken_for_a_killed_one(bought, log_of):
    log = log_of(MinimaxTaskTrigger)
    it = trigger(bought)
    await outcome(it)
    await it.on_kill()
    assert "No longer watching" not in log.said()
