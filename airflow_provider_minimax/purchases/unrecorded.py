"""
Which remote tasks this process bought for an Airflow task without writing a receipt.

A retry of that task buys again whatever it fails with, which only its retry policy can prevent.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.purchases.receipt import Owner

_unrecorded: dict[Owner, set[str]] = defaultdict(set)


def bought(minimax_task_id: str) -> None:
    """
    Note a purchase of the Airflow task that runs.

    :param minimax_task_id: the remote task.
    """
    if (task := _running_task()) is not None:
        _unrecorded[task].add(minimax_task_id)


def written_down(minimax_task_id: str) -> None:
    """
    Note that a receipt holds a purchase of the Airflow task that runs.

    :param minimax_task_id: the remote task.
    """
    if (task := _running_task()) is not None:
        _unrecorded[task].discard(minimax_task_id)


def unrecorded(context: Context | None) -> list[str]:
    """
    Return what was bought without a receipt.

    :param context: the context of the Airflow task that bought, if there is one.
    :return: ids of remote tasks.
    """
    task = None if context is None else _task_of(context)
    return [] if task is None else sorted(_unrecorded.get(task, ()))


def _running_task() -> Owner | None:
    from airflow.sdk import get_current_context

    try:
        return _task_of(get_current_context())
    except RuntimeError:
        return None


def _task_of(context: Context) -> Owner | None:
    from airflow_provider_minimax.purchases.context import owner_of

    return owner_of(context) if "ti" in context else None
