"""
The side of the record that writes, in the process that receives pushes. It needs Airflow's database.

Everything happens in one transaction that holds a lock on the asset's row, so that any number of API servers may write.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetActive, AssetAliasModel, AssetDagRunQueue, AssetEvent, AssetModel
from sqlalchemy import String, cast, delete, select, update

from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.callbacks.address import TOKEN_LIFETIME
from airflow_provider_minimax.callbacks.record import (
    HAS_RECORD,
    MOST_RECENT,
    MOST_TASKS_PER_ATTEMPT,
    RECENT_KEY,
    RECENT_SECONDS,
    Push,
    asset_name,
    attempt_key,
    pushes_from_json,
)

if HAS_RECORD:
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.state import AssetScope, get_state_backend

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

QUEUES_EACH_EVENT = hasattr(AssetDagRunQueue, "asset_event_id")
"""Whether Airflow's queue has an entry for each event, not one for each asset."""
ALIAS = "minimax-callbacks"
"""The asset alias that keeps Airflow's scheduler from deactivating assets which no DAG names."""
KEPT_SECONDS = 7 * 24 * 3600.0
"""How long the pushes of an attempt are kept if nobody deletes them."""

_ORDER = {TaskState.PENDING: 0, TaskState.UNKNOWN: 1, TaskState.RUNNING: 1}
_FINAL = 2


def record_pushes(session: Session, conn_id: str, pushes: Sequence[Push]) -> None:
    """
    Record pushes of one connection, and register an asset event for each attempt that is newly over.

    A push that says nothing new, or less than an earlier one, changes nothing. The caller commits.

    :param session: a session of Airflow's database, in which nothing was read yet.
    :param conn_id: the connection that bought.
    :param pushes: in the order in which they came.
    :raises SQLAlchemyError: the database cannot be written; roll back, then try again or drop the pushes.
    """
    asset_id = _locked_asset(session, conn_id)
    if asset_id is None and HAS_RECORD:
        asset_id = _activated_asset(session, conn_id)
    if asset_id is None:
        # Before Airflow 3.3 there is only the event, which is for DAGs: no DAG names this asset.
        return
    news = _changes(session, asset_id, pushes) if HAS_RECORD else pushes
    if HAS_RECORD and news:
        _write_recent(session, asset_id, news)
    for push in news:
        if push.is_final and not _has_event(session, asset_id, push.attempt):
            _register_event(session, asset_id, conn_id, push)


def sweep(session: Session, conn_id: str, now: float) -> None:
    """
    Delete the attempts of a connection that were last written more than a week ago.

    :param session: a session of Airflow's database; the caller commits.
    :param conn_id: the connection.
    :param now: the time, in seconds since 1970.
    """
    if not HAS_RECORD:
        return
    entry = AssetStateStoreModel
    asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset_name(conn_id)))
    too_old = datetime.fromtimestamp(now - KEPT_SECONDS, UTC)
    session.execute(
        delete(entry)
        .where(entry.asset_id == asset_id, entry.key.startswith(attempt_key("")), entry.updated_at < too_old)
        .execution_options(synchronize_session=False)
    )


def is_news(known: Mapping[str, Push], push: Push) -> bool:
    """
    Say whether a push says something new: pushes may come twice and in any order, and tasks never go back.

    :param known: what is known of the push's attempt: the last push of each task by the task's id.
    :param push: the push.
    """
    before = known.get(push.minimax_task_id)
    if before is None:
        return len(known) < MOST_TASKS_PER_ATTEMPT
    return _ORDER.get(push.state, _FINAL) > _ORDER.get(before.state, _FINAL)


def _locked_asset(session: Session, conn_id: str) -> int | None:
    """Lock the row of the connection's asset; nothing if the asset is not active, whose values Airflow deletes."""
    name = asset_name(conn_id)
    active = select(AssetModel.id).where(AssetModel.name == name, AssetModel.uri == name, AssetModel.active.has())
    if session.get_bind().dialect.name == "sqlite":
        # SQLite has no row locks; an update that changes nothing takes its one lock for writing.
        session.execute(
            update(AssetModel)
            .where(AssetModel.name == name)
            .values(id=AssetModel.id)
            .execution_options(synchronize_session=False)
        )
        return session.scalar(active)
    return session.scalar(active.with_for_update(key_share=True))


def _activated_asset(session: Session, conn_id: str) -> int | None:
    """
    Make the connection's asset, or activate it again, and lock its row; ``None`` if another asset has its URI.

    The scheduler deactivates assets that nothing refers to. It counts an alias, which nobody has to declare in a DAG.
    """
    name = asset_name(conn_id)
    rival = select(AssetActive.name).where((AssetActive.uri == name) | (AssetActive.name == name))
    if session.scalar(rival) is not None:
        log.warning("Pushes of connection %r are not recorded: another asset is called %s", conn_id, name)
        return None
    asset = session.scalar(select(AssetModel).where(AssetModel.name == name, AssetModel.uri == name))
    if asset is None:
        asset = AssetModel(name=name, uri=name, group="asset", extra={})
        session.add(asset)
        session.flush()
    alias = session.scalar(select(AssetAliasModel).where(AssetAliasModel.name == ALIAS))
    if alias is None:
        alias = AssetAliasModel(name=ALIAS, group=ALIAS)
        session.add(alias)
    if asset not in alias.assets:
        alias.assets.append(asset)
    session.add(AssetActive(name=name, uri=name))
    session.flush()
    return _locked_asset(session, conn_id)


def _changes(session: Session, asset_id: int, pushes: Sequence[Push]) -> list[Push]:
    """Write the attempts' keys, and return the pushes that changed one."""
    changed = []
    for attempt, group in _by_attempt(pushes).items():
        # Read once: within a transaction Airflow's backend returns what it read first, whatever was written since.
        known = {push.minimax_task_id: push for push in pushes_from_json(_get(session, asset_id, attempt_key(attempt)))}
        news = []
        for push in group:
            if is_news(known, push):
                known[push.minimax_task_id] = push
                news.append(push)
        if news:
            _set(session, asset_id, attempt_key(attempt), known.values())
            changed += news
    return changed


def _by_attempt(pushes: Sequence[Push]) -> dict[str, list[Push]]:
    groups: dict[str, list[Push]] = {}
    for push in pushes:
        groups.setdefault(push.attempt, []).append(push)
    return groups


def _write_recent(session: Session, asset_id: int, news: Sequence[Push]) -> None:
    """
    Put the news behind the latest pushes, of which too many and too old ones go.

    They stay in the order in which they were written: the clocks of API servers differ, and what the server that is
    behind has just written would count as the oldest.
    """
    latest = {
        (push.attempt, push.minimax_task_id): push for push in pushes_from_json(_get(session, asset_id, RECENT_KEY))
    }
    for push in news:
        latest.pop((push.attempt, push.minimax_task_id), None)
        latest[push.attempt, push.minimax_task_id] = push
    newest = max(push.at for push in news)
    kept = [push for push in latest.values() if push.at > newest - RECENT_SECONDS]
    _set(session, asset_id, RECENT_KEY, kept[-MOST_RECENT:])


def _has_event(session: Session, asset_id: int, attempt: str) -> bool:
    """Whether there was an event of the attempt already, though its key may have been deleted since."""
    since = datetime.now(UTC) - timedelta(seconds=TOKEN_LIFETIME)
    extras = session.scalars(
        select(AssetEvent.extra).where(
            AssetEvent.asset_id == asset_id,
            AssetEvent.timestamp > since,
            cast(AssetEvent.extra, String).contains(attempt, autoescape=True),
        )
    )
    return any(extra.get("attempt") == attempt for extra in extras)


def _register_event(session: Session, asset_id: int, conn_id: str, push: Push) -> None:
    asset: Any = session.get(AssetModel, asset_id)
    # Waits for a scheduler that is about to empty the queue, and would take this event's entry with it.
    _have_next_runs_take_all_events(session, asset_id)
    asset_manager.register_asset_change(
        asset=asset,
        extra={
            "minimax_task_id": push.minimax_task_id,
            "status": push.status,
            "state": str(push.state),
            "attempt": push.attempt,
            "minimax_conn_id": conn_id,
        },
        session=session,
    )
    session.flush()
    _have_next_runs_take_all_events(session, asset_id)


def _have_next_runs_take_all_events(session: Session, asset_id: int) -> None:
    """
    Let the events of several clips that end together start a DAG.

    Before 3.4, Airflow gives a run the events up to the time at which the first one was queued; the others would wait
    for one more event (apache/airflow#54659).
    """
    if QUEUES_EACH_EVENT:
        return
    now = datetime.now(UTC)
    session.execute(
        update(AssetDagRunQueue)
        .where(AssetDagRunQueue.asset_id == asset_id, AssetDagRunQueue.created_at < now)
        .values(created_at=now)
        .execution_options(synchronize_session=False)
    )


def _get(session: Session, asset_id: int, key: str) -> Any:
    value = get_state_backend().get(AssetScope(asset_id=asset_id), key, session=session)
    return None if value is None else json.loads(value)


def _set(session: Session, asset_id: int, key: str, pushes: Iterable[Push]) -> None:
    value = json.dumps([push.as_json() for push in pushes])
    get_state_backend().set(AssetScope(asset_id=asset_id), key, value, session=session)
