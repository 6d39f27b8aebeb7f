"""How far a remote task is, and what came out of it: plain values, the same for every platform."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_provider_minimax.api.cost import Billed


class TaskState(StrEnum):
    """Where a remote task stands, whatever the platform calls it."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, status: str) -> TaskState:
        """
        Read a platform's own word for a state.

        :param status: the word in any spelling: ``Queueing``, ``TASK_STATUS_SUCCEED``, ``in_progress``, …
        :return: the state; ``UNKNOWN`` for a word that no platform documents, which means: ask again.
        """
        return _STATES.get(status.strip().lower().removeprefix("task_status_"), cls.UNKNOWN)


OVER = (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)
"""Where nothing changes any more."""

_STATES = {
    word: state
    for state, words in {
        TaskState.PENDING: "preparing queueing queued pending submitted not_start in_queue",
        TaskState.RUNNING: "processing running in_progress",
        TaskState.SUCCEEDED: "success succeed succeeded finished completed",
        TaskState.FAILED: "fail failed failure expired",
        TaskState.CANCELLED: "cancelled canceled",
    }.items()
    for word in words.split()
}


@dataclass(frozen=True, slots=True)
class VideoFile:
    """
    A finished clip at the file host.

    :param url: where it can be fetched, for about an hour and by anyone who has it: a secret while it lives.
    :param file_id: the platform's id of the file, if it has one.
    :param created_at: when the platform says that the file was made, where it does: MiniMax and the gateways that pass
        its files on (``created_at`` of the file object).
    :param backup_url: a second link to the same clip, at another file host, where the platform gives one
        (``backup_download_url`` of the file object). As much of a secret as the first.
    """

    url: str = field(repr=False)
    file_id: str | None = None
    created_at: datetime | None = None
    backup_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class VideoTask:
    """
    A remote task, as one status check found it.

    :param minimax_task_id: the id that the submission returned.
    :param state: where it stands.
    :param status: the platform's own word for it.
    :param file_id: the id of the clip's file, on platforms that have one, once the task succeeded.
    :param file: the clip itself, on platforms that answer with it at once.
    :param width: the clip's width in pixels, where the platform reports it.
    :param height: the clip's height in pixels, where the platform reports it.
    :param duration: the clip's length in seconds, where the platform reports it; MiniMax's v2 reports what was asked
        for, and its clips are a little longer.
    :param code: the platform's error code of a failed task.
    :param reason: the platform's words on a failed task, already redacted.
    :param created_at: when the task was queued, where the platform reports it: MiniMax's v2, ChainHub, Vtrix, Novita.
    :param started_at: when the work on it began, where the platform reports it: ChainHub (often 0 there) and Novita.
    :param finished_at: when it ended, where the platform reports it: MiniMax's v2, ChainHub, Vtrix and Novita.
    :param billed: what was charged for a finished task, where the platform reports it: Vtrix, and ChainHub if its
        software is new enough.
    :param api_version: which version of MiniMax's API knows the task: ``v1``, or ``v2`` for H3.
    :param model: the model, where the platform reports it: only v2 does, as with the next two.
    :param resolution: the clip's resolution in the API's words.
    :param ratio: the clip's width to height in the API's words.
    :param task_type: what the task is for, where the platform reports it: v2 has ``generation``, ``regeneration`` and
        ``h3_context_ir``, which is the rewriting of a prompt.
    :param input_seconds: how long the reference videos were together, for which v2 charges.
    :param prompt: the prompt that such a task has written. Not shown by ``repr``, and in no event: it may be long.
    """

    minimax_task_id: str
    state: TaskState
    status: str = ""
    file_id: str | None = None
    file: VideoFile | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    code: str | None = None
    reason: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    billed: Billed | None = None
    api_version: str = "v1"
    model: str | None = None
    resolution: str | None = None
    ratio: str | None = None
    task_type: str | None = None
    input_seconds: float | None = None
    prompt: str | None = field(default=None, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether the task has ended, well or badly; a state that nobody documents is no end."""
        return self.state in OVER

    @property
    def has_output(self) -> bool:
        """Whether the result is there: a finished task that names no file, URL or prompt has to be read again."""
        return self.file is not None or self.file_id is not None or self.prompt is not None

    @property
    def is_rewriting(self) -> bool:
        """Whether the task writes a prompt, and makes no clip."""
        return self.task_type == "h3_context_ir"

    def as_result(self) -> dict[str, Any]:
        """Return the facts that are worth an XCom: small, JSON, and without any URL."""
        return self._facts() if self.prompt is None else self._facts() | {"prompt": self.prompt}

    def _facts(self) -> dict[str, Any]:
        return {
            "task_id": self.minimax_task_id or None,
            "state": str(self.state),
            "file_id": self.file_id,
            "width": self.width,
            "height": self.height,
            "duration": self.duration,
        }

    def as_event(self) -> dict[str, Any]:
        """Return what a trigger's event carries: the result's facts, and the times and the bill if they are known."""
        details = {
            "created_at": self.created_at and self.created_at.isoformat(),
            "started_at": self.started_at and self.started_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
            "billed": self.billed and self.billed.as_dict(),
            "task_type": self.task_type,
            "input_seconds": self.input_seconds,
        }
        known = {name: value for name, value in details.items() if value is not None}
        return self._facts() | {"status": self.status, "api_version": self.api_version} | known

    @classmethod
    def from_event(cls, values: Mapping[str, Any]) -> VideoTask:
        """
        Read what :meth:`as_event` made.

        :param values: its values, with a ``task_id`` and a ``state``; all others may be missing, because other versions
            write events too.
        """
        return cls(
            str(values["task_id"]),
            TaskState(values["state"]),
            status=str(values.get("status", "")),
            file_id=values.get("file_id"),
            width=values.get("width"),
            height=values.get("height"),
            duration=values.get("duration"),
            created_at=_moment(values.get("created_at")),
            started_at=_moment(values.get("started_at")),
            finished_at=_moment(values.get("finished_at")),
            billed=Billed.from_dict(values.get("billed")),
            api_version=str(values.get("api_version", "v1")),
            task_type=values.get("task_type"),
            input_seconds=_seconds(values.get("input_seconds")),
        )


@dataclass(frozen=True, slots=True)
class TaskPage:
    """
    One page of an account's remote tasks.

    :param tasks: the tasks.
    :param total: how many there are on all pages; ``None`` if the platform does not say.
    """

    tasks: tuple[VideoTask, ...]
    total: int | None


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 < value < math.inf else None


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
