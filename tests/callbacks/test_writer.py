"""Pushes may be lost, repeated, late and out of order; the record only goes forward, and each clip is one event."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.callbacks.record import (
    MOST_RECENT,
    MOST_TASKS_PER_ATTEMPT,
    RECENT_KEY,
    RECENT_SECONDS,
    Push,
    asset_name,
    attempt_key,
)
from tests.callbacks.conftest import events, needs_record, stored, stored_attempt

PENDING = ("Queueing", TaskState.PENDING)
RUNNING = ("processing", TaskState.RUNNING)
DONE = ("success", TaskState.SUCCEEDED)


def push(what=RUNNING, task="1", attempt="attempt", at=None) -> Push:
    return Push(task, *what, time.time() if at is None else at, attempt)


def record(conn_id: str, *pushes: Push) -> None:
    from airflow.utils.session import create_session

    from airflow_provider_minimax.callbacks.writer import record_pushes

    with create_session() as session:
        record_pushes(session, conn_id, pushes)


def states(pushes) -> list[TaskState]:
    return [one.state for one in pushes]


def test_the_end_of_a_task_is_an_event_that_says_which(declared):
    record(declared, push(RUNNING), push(DONE))
    assert events(declared) == [
        {
            "minimax_task_id": "1",
            "status": "success",
            "state": "succeeded",
            "attempt": "attempt",
            "minimax_conn_id": declared,
        }
    ]


def test_two_attempts_are_two_events(declared):
    record(declared, push(DONE, "1", "one"), push(DONE, "2", "two"))
    assert [event["minimax_task_id"] for event in events(declared)] == ["1", "2"]


def test_clips_that_end_together_are_all_for_the_run_that_the_first_one_starts(declared):
    """Airflow gives a run the events up to the time that the queue says, and since 3.4 those that are in the queue."""
    from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel, DagScheduleAssetReference
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    from airflow_provider_minimax.callbacks.writer import QUEUES_EACH_EVENT

    with create_session() as session:
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset_name(declared)))
        session.add(DagBundleModel(name=declared))
        session.flush()
        session.add(DagModel(dag_id=declared, bundle_name=declared, is_paused=False, is_stale=False))
        session.flush()
        session.add(DagScheduleAssetReference(dag_id=declared, asset_id=asset_id))
    record(declared, push(DONE, "1", "one"), push(DONE, "2", "two"))
    record(declared, push(DONE, "3", "three"))
    with create_session() as session:
        latest = session.scalar(select(func.max(AssetEvent.timestamp)).where(AssetEvent.asset_id == asset_id))
        query = select(AssetDagRunQueue.created_at).where(AssetDagRunQueue.target_dag_id == declared)
        queued_at = session.scalars(query).all()
    assert len(events(declared)) == 3
    if QUEUES_EACH_EVENT:
        assert len(queued_at) == 3
    else:
        assert len(queued_at) == 1
        assert queued_at[0] >= latest


@pytest.mark.parametrize("order", list(itertools.permutations([PENDING, RUNNING, DONE, DONE])))
def test_in_whatever_order_pushes_come_twice_there_is_one_event(declared, order):
    for what in order:
        record(declared, push(what), push(what))
    assert len(events(declared)) == 1


@needs_record
@pytest.mark.parametrize("order", list(itertools.permutations([PENDING, RUNNING, DONE])))
def test_in_whatever_order_pushes_come_the_end_stays(declared, order):
    for what in (*order, *order):
        record(declared, push(what))
    assert states(stored_attempt(declared, "attempt")) == [TaskState.SUCCEEDED]
    assert states(stored(declared, RECENT_KEY)) == [TaskState.SUCCEEDED]


@needs_record
def test_a_push_that_says_nothing_new_changes_nothing(declared):
    first = push(RUNNING)
    record(declared, first)
    record(declared, push(RUNNING, at=first.at + 60), push(PENDING, at=first.at + 61))
    assert stored(declared, RECENT_KEY) == stored_attempt(declared, "attempt") == (first,)


@needs_record
def test_a_failure_is_not_made_a_success_by_a_later_push(declared):
    record(declared, push(("failed", TaskState.FAILED)))
    record(declared, push(DONE))
    assert states(stored_attempt(declared, "attempt")) == [TaskState.FAILED]


@needs_record
def test_a_push_that_names_another_task_does_not_hide_the_right_one(declared):
    record(declared, push(DONE, "forged"), push(RUNNING, "right"))
    assert [one.minimax_task_id for one in stored_attempt(declared, "attempt")] == ["forged", "right"]


@needs_record
def test_an_attempt_has_few_tasks_and_one_event_whatever_is_pushed(declared):
    for number in range(50):
        record(declared, push(DONE, f"forged-{number}"))
    assert len(stored_attempt(declared, "attempt")) == MOST_TASKS_PER_ATTEMPT
    assert len(stored(declared, RECENT_KEY)) == MOST_TASKS_PER_ATTEMPT
    assert len(events(declared)) == 1


@needs_record
def test_the_latest_pushes_are_limited_in_number_and_age(declared):
    now = time.time()
    record(declared, push(attempt="old", at=now - RECENT_SECONDS - 1))
    record(declared, *(push(attempt=f"a{number}", at=now + number / 1000) for number in range(MOST_RECENT + 10)))
    kept = [one.attempt for one in stored(declared, RECENT_KEY)]
    assert kept == [f"a{number}" for number in range(10, MOST_RECENT + 10)]


@needs_record
def test_clocks_of_two_api_servers_that_differ_by_five_minutes_lose_nothing(declared):
    now = time.time()
    record(declared, push(attempt="ahead", at=now + 300))
    record(declared, push(attempt="right", at=now))
    record(declared, push(DONE, attempt="ahead", at=now + 1))
    assert {one.attempt: one.state for one in stored(declared, RECENT_KEY)} == {
        "right": TaskState.RUNNING,
        "ahead": TaskState.SUCCEEDED,
    }


@needs_record
def test_nor_do_they_if_the_server_that_is_ahead_gets_most_pushes(declared):
    now = time.time()
    record(declared, *(push(attempt=f"a{number}", at=now + 300) for number in range(MOST_RECENT)))
    record(declared, push(attempt="right", at=now))
    record(declared, push(DONE, attempt="a100", at=now + 300))
    assert [one.attempt for one in stored(declared, RECENT_KEY)][-2:] == ["right", "a100"]


@needs_record
def test_what_a_worker_forgot_makes_no_second_event_when_it_is_pushed_again(declared):
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    record(declared, push(DONE))
    with create_session() as session:
        session.execute(delete(AssetStateStoreModel).where(AssetStateStoreModel.key == attempt_key("attempt")))
    record(declared, push(DONE))
    assert len(events(declared)) == 1


@needs_record
def test_an_asset_that_no_dag_names_is_made_and_kept_by_the_scheduler(airflow_db, conn_id):
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.asset import AssetActive
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    record(conn_id, push(RUNNING))
    with create_session() as session:
        scheduler = SchedulerJobRunner.__new__(SchedulerJobRunner)
        scheduler._update_asset_orphanage(session=session)
    assert states(stored_attempt(conn_id, "attempt")) == [TaskState.RUNNING]
    # As after a clean-up of the database that knows nothing of aliases.
    with create_session() as session:
        session.execute(delete(AssetActive).where(AssetActive.name == asset_name(conn_id)))
    record(conn_id, push(DONE))
    assert states(stored_attempt(conn_id, "attempt")) == [TaskState.SUCCEEDED]


@needs_record
def test_an_asset_of_the_users_with_the_same_uri_is_left_alone(airflow_db, conn_id, mocker):
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from airflow_provider_minimax.callbacks import writer

    with create_session() as session:
        session.add(AssetModel(name=conn_id, uri=asset_name(conn_id), group="asset", extra={}))
        session.flush()
        session.add(AssetActive(name=conn_id, uri=asset_name(conn_id)))
    log = mocker.patch.object(writer, "log")
    record(conn_id, push(DONE))
    log.warning.assert_called_once()
    with create_session() as session:
        assert session.scalars(select(AssetModel.name).where(AssetModel.uri == asset_name(conn_id))).all() == [conn_id]


@needs_record
def test_pushes_that_come_at_the_same_time_are_all_kept(airflow_db, conn_id):
    from airflow_provider_minimax.callbacks.recorder import Recorder

    recorders = [Recorder() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        written = pool.map(
            lambda number: recorders[number % 4]._write(conn_id, [push(attempt=f"a{number}")]), range(40)
        )
        assert all(written)
    assert {one.attempt for one in stored(conn_id, RECENT_KEY)} == {f"a{number}" for number in range(40)}
    assert all(stored_attempt(conn_id, f"a{number}") for number in range(40))


@needs_record
def test_what_nobody_forgot_is_deleted_after_a_week(declared):
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    from airflow_provider_minimax.callbacks.writer import sweep

    record(declared, push(attempt="old"), push(attempt="new"))
    with create_session() as session:
        session.execute(
            update(AssetStateStoreModel)
            .where(AssetStateStoreModel.key == attempt_key("old"))
            .values(updated_at=datetime.now(UTC) - timedelta(days=8))
        )
    with create_session() as session:
        sweep(session, declared, time.time())
    assert (len(stored_attempt(declared, "old")), len(stored_attempt(declared, "new"))) == (0, 1)
    assert len(stored(declared, RECENT_KEY)) == 2
