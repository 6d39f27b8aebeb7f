"""
After a lost answer: which of the account's remote tasks may be the one whose answer it was.

For a person to choose from, never to go on with by itself: the platform's list tells model, size and time of a task and
not its words, so another Airflow task's clip looks the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_minimax.exceptions import MinimaxError
from airflow_provider_minimax.receipts.decision import CLOCKS_DIFFER_BY, OTHERS_SUBMIT_WITHIN

if TYPE_CHECKING:
    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

_PAGE_SIZE = 50
_PAGES = 4
_SHOWN = 10


def told_lookalikes(hook: MinimaxHook, request: PaidRequest, intended_at: datetime) -> str | None:
    """
    Say which remote tasks look like a submission whose answer was lost.

    :param hook: the way to the platform.
    :param request: what was submitted.
    :param intended_at: when.
    :return: a sentence; ``None`` if the platform has no list, or it cannot be read just now.
    """
    if hook.api_version(request.model) == "v1":
        return None
    try:
        found = _lookalikes(hook, request, intended_at)
    except MinimaxError:
        return None
    if not found:
        return "The platform lists no task of this model and size from that time."
    shown = ", ".join(f"{task.minimax_task_id} ({task.status})" for task in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"Tasks of this model and size that the platform lists from that time: {shown}{more}; not all may be yours."


def _lookalikes(hook: MinimaxHook, request: PaidRequest, intended_at: datetime) -> list[VideoTask]:
    begin, end = intended_at - CLOCKS_DIFFER_BY, intended_at + OTHERS_SUBMIT_WITHIN + CLOCKS_DIFFER_BY
    found: list[VideoTask] = []
    for page in range(1, _PAGES + 1):
        tasks = hook.list_tasks(model=request.model, page=page, page_size=_PAGE_SIZE, task_type=request.task_type).tasks
        found += [
            task for task in tasks if task.created_at and begin <= task.created_at <= end and _is_like(task, request)
        ]
        if len(tasks) < _PAGE_SIZE:
            break
    return found


def _is_like(task: VideoTask, request: PaidRequest) -> bool:
    # A clip that is made anew has the length of another one, and the ratio is not always told.
    same_length = request.get("duration") in (None, task.duration)
    same_size = request.get("resolution") == task.resolution
    return same_length and same_size and request.get("ratio") in (None, "adaptive", task.ratio)
