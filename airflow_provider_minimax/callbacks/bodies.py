"""
What platforms post: a challenge, or the status of a task in one of their shapes.

MiniMax's pages show ``{"challenge": …}`` and, for v1, the answer of a query; for v2 a query's answer is
``{"task": {…}}``. Vtrix documents that it posts, not what; a query's answer there has ``id`` and ``status``. The others
pass ``callback_url`` on to MiniMax.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from airflow_provider_minimax.api.platforms.replies import Id, MaybeObject, Reply, Word

LONGEST_CHALLENGE = 1024
_LONGEST_TASK_ID = 128


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    What a platform wants to have echoed before it accepts an address.

    :param value: the text to echo.
    """

    value: str


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """
    What a platform says of a task.

    :param minimax_task_id: the task's id, not empty.
    :param status: the platform's word for its status, not empty.
    """

    minimax_task_id: str
    status: str


class _Task(Reply):
    """The part of a body that says how a task is, in v1's, v2's and Vtrix's words."""

    task_id: Id = ""
    id: Id = ""
    status: Word = ""


class _Body(_Task):
    """A whole body, which in v2 has the task inside."""

    task: Annotated[_Task | None, MaybeObject] = None


_CHALLENGE = TypeAdapter(Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_CHALLENGE)])


def read_body(body: bytes) -> Challenge | StatusUpdate | None:
    """
    Read what was posted.

    :param body: the bytes, of bounded length.
    :return: ``None`` for whatever is neither a challenge nor a status.
    """
    try:
        value: Any = json.loads(body)
        if not isinstance(value, dict):
            return None
        if "challenge" in value:
            return Challenge(_CHALLENGE.validate_python(value["challenge"]))
        whole = _Body.model_validate(value)
    # json's own errors are ValueErrors, as is its refusal of endless numbers; what is nested too deep is none.
    except (ValidationError, ValueError, RecursionError):
        return None
    task = whole.task or whole
    minimax_task_id = task.task_id or task.id
    if not minimax_task_id or not task.status or len(minimax_task_id) > _LONGEST_TASK_ID:
        return None
    return StatusUpdate(minimax_task_id, task.status)
