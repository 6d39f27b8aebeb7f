"""
The record of pushes: its format, and how workers and triggerers read it.

It is kept in Airflow's asset state store (Airflow 3.3 and later), under one asset for each connection. The receiver
writes two kinds of keys: ``attempt/{attempt}`` with the pushes of one purchase attempt, and ``recent`` with the latest
pushes of the connection. ``callbacks.writer`` is the side that writes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import Asset

from airflow_provider_minimax.api.task import TaskState

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

HAS_RECORD = importlib.util.find_spec("airflow.state") is not None
"""Whether this Airflow has an asset state store. Without one nothing is recorded, and the readers return nothing."""

RECENT_KEY = "recent"
MOST_TASKS_PER_ATTEMPT = 4
"""An attempt buys one task. A few more are kept, so that a push that names a wrong one does not hide the right one."""
MOST_RECENT = 256
RECENT_SECONDS = 3600.0
"""``recent`` has at most so many pushes, none of them older than this by the receiver's clock."""

FINAL_STATES = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Push:
    """
    What a platform posted of a task. Nothing of it is proved: ask the API before acting on it.

    :param minimax_task_id: the remote task's id, as the platform wrote it.
    :param status: the platform's own word for the task's status.
    :param state: what the word means; ``UNKNOWN`` for one that no platform documents.
    :param at: when the receiver got it, in seconds since 1970 by the clock of its machine.
    :param attempt: the id of the purchase attempt whose address it was posted to.
    """

    minimax_task_id: str
    status: str
    state: TaskState
    at: float
    attempt: str

    @property
    def is_final(self) -> bool:
        """Whether the task is over, if the push is right."""
        return self.state in FINAL_STATES

    def as_json(self) -> dict[str, Any]:
        """Return it as the record keeps it."""
        return asdict(self) | {"state": str(self.state)}

    @classmethod
    def from_json(cls, value: Any) -> Push | None:
        """
        Read it from the record.

        :param value: anything.
        :return: ``None`` for what is no push.
        """
        if not isinstance(value, Mapping):
            return None
        try:
            return cls(
                minimax_task_id=str(value["minimax_task_id"]),
                status=str(value["status"]),
                state=TaskState(value["state"]),
                at=float(value["at"]),
                attempt=str(value["attempt"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


def asset_name(conn_id: str) -> str:
    """
    Return the name, which is also the URI, of the asset of a connection's finished clips.

    :param conn_id: the Airflow connection that buys.
    """
    return f"minimax://{quote(conn_id, safe='')}/clips"


def clips_asset(conn_id: str) -> Asset:
    """
    Return the asset of a connection's finished clips, to schedule DAGs on.

    Each push that says that a task is over is an event of it, once for each purchase attempt; its ``extra`` has
    ``minimax_task_id``, ``status``, ``state``, ``attempt`` and ``minimax_conn_id``.

    :param conn_id: the Airflow connection that buys.
    """
    return Asset(name=asset_name(conn_id), uri=asset_name(conn_id))


def attempt_key(attempt: str) -> str:
    """
    Return the record's key for a purchase attempt.

    :param attempt: its id.
    """
    return f"attempt/{attempt}"


def pushes_from_json(value: Any) -> tuple[Push, ...]:
    """
    Read the value of one of the record's keys.

    :param value: anything; what is no push in it is left out.
    """
    items = value if isinstance(value, list) else []
    return tuple(push for push in map(Push.from_json, items) if push)


async def read_recent(conn_id: str) -> tuple[Push, ...]:
    """
    Return the latest pushes of a connection, the oldest first; for triggerers.

    Each push stays until it is an hour old or 256 newer ones have come, so a reader keeps those it has seen in a set.
    A push of the same status again changes nothing here. Reading takes a request to Airflow's API server.

    :param conn_id: the Airflow connection that buys.
    :return: nothing on Airflow before 3.3, or if nothing has been recorded.
    :raises AirflowRuntimeError: the API server cannot be asked.
    """
    if not HAS_RECORD:
        return ()
    return pushes_from_json(await _accessor(conn_id).aget(RECENT_KEY))


def read_attempt(conn_id: str, attempt: str) -> tuple[Push, ...]:
    """
    Return the last push of each task that was pushed for a purchase attempt, the oldest first; for workers.

    :param conn_id: the Airflow connection that buys.
    :param attempt: the attempt's id.
    :return: nothing on Airflow before 3.3, or if nothing has been pushed. Several tasks mean that all but one of them
        are wrong, and none may be right: ask the API.
    :raises AirflowRuntimeError: the API server cannot be asked.
    """
    if not HAS_RECORD:
        return ()
    return pushes_from_json(_accessor(conn_id).get(attempt_key(attempt)))


def forget_attempt(conn_id: str, attempt: str) -> None:
    """
    Delete what is recorded of a purchase attempt; for workers that need it no more.

    :param conn_id: the Airflow connection that buys.
    :param attempt: the attempt's id.
    :raises AirflowRuntimeError: the API server cannot be asked, or no push of the connection was ever recorded.
    """
    if HAS_RECORD:
        _accessor(conn_id).delete(attempt_key(attempt))


def _accessor(conn_id: str) -> AssetStateStoreAccessor:
    # Only in the processes that Airflow runs tasks and triggers in; importing it costs more than all of this module.
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

    return AssetStateStoreAccessor(name=asset_name(conn_id))
