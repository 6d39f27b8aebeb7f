"""
What the platform's list shows of a submission whose answer was lost.

For a person to choose from; :mod:`.recovery` goes on with one where the author said so.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_minimax.exceptions import MinimaxError, MinimaxUnavailableError
from airflow_provider_minimax.purchases.matching import SubmissionWindow, TaskSignature

if TYPE_CHECKING:
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.receipt import Receipt

_PAGE_SIZE = 50
_PAGES = 100
_SHOWN = 10


def tasks_since(hook: MinimaxHook, signature: TaskSignature, begin: datetime) -> list[VideoTask]:
    """
    Return all that the account ordered of a model since some time; older and other ones may be among them.

    :param hook: the way to the platform.
    :param signature: what was ordered: its model and kind are asked for.
    :param begin: since when.
    :raises MinimaxUnavailableError: the list is not whole, so that nothing can be concluded from it.
    """
    found: list[VideoTask] = []
    for number in range(1, _PAGES + 1):
        page = hook.list_tasks(
            model=signature.model, page=number, page_size=_PAGE_SIZE, task_type=signature.task_type or "generation"
        )
        found += page.tasks
        if _is_newest_first(found) and page.tasks and _is_before(page.tasks[-1], begin):
            return found
        if page.total is None:
            raise _incomplete("does not say how many tasks there are")
        if len(found) >= page.total:
            return found
        if not page.tasks:
            raise _incomplete(f"says that there are {page.total} tasks, and shows {len(found)}")
    raise _incomplete(f"has more than {_PAGES} pages")


def _is_newest_first(tasks: list[VideoTask]) -> bool:
    """Whether the list is in an order, which no page promises, in which all that follow are older."""
    times = [task.created_at for task in tasks]
    known = [when for when in times if when is not None]
    return len(known) == len(times) > 1 and known[0] > known[-1] and known == sorted(known, reverse=True)


def _is_before(task: VideoTask, begin: datetime) -> bool:
    return task.created_at is not None and task.created_at < begin


def _incomplete(problem: str) -> MinimaxUnavailableError:
    return MinimaxUnavailableError(f"the platform's list of tasks {problem}")


def describe_candidates(hook: MinimaxHook, orphan: Receipt) -> str | None:
    """
    Say which remote tasks may be a submission whose answer was lost.

    :param hook: the way to the platform.
    :param orphan: the submission's receipt.
    :return: a sentence; ``None`` if the platform has no list, or it cannot be read just now.
    """
    if not hook.has_list(orphan.api_version):
        return None
    window, signature = SubmissionWindow.from_receipt(orphan), TaskSignature.from_receipt(orphan)
    try:
        listed = tasks_since(hook, signature, window.begin)
    except MinimaxError:
        return None
    found = [
        task for task in listed if window.holds(task.created_at) and signature.is_like(TaskSignature.from_task(task))
    ]
    if not found:
        return "The platform lists no task of this model and size from that time."
    shown = ", ".join(f"{task.minimax_task_id} ({task.status})" for task in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"Tasks of this model and size that the platform lists from that time: {shown}{more}; not all may be yours."
