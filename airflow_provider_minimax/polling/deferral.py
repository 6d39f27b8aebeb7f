"""Deferring until a remote task ends or is listed, and resuming with our errors instead of Airflow's general ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_minimax.callbacks.reader import callbacks_are_on
from airflow_provider_minimax.exceptions import MinimaxUnavailableError
from airflow_provider_minimax.polling import handover
from airflow_provider_minimax.purchases.deferral import SAFETY_NET, SETTLED, Deferral
from airflow_provider_minimax.version_compat import TaskDeferralError, TaskDeferralTimeout

if TYPE_CHECKING:
    from airflow.sdk import Context

_WAIT_ON = "Wait for it with MinimaxTaskSensor and its id; that buys nothing."


def until_ended(
    minimax_task_id: str,
    minimax_conn_id: str,
    api_version: str | None,
    *,
    deadline: float,
    longest_wait: float,
    purchase_attempt: str | None,
    **arguments: Any,
) -> Deferral:
    """
    Return a deferral until a remote task ends.

    :param minimax_task_id: the remote task.
    :param minimax_conn_id: the connection to poll it through.
    :param api_version: which version of MiniMax's API knows it, if that is known.
    :param deadline: when the wait ends, in epoch seconds.
    :param longest_wait: how many seconds it may take from now on.
    :param purchase_attempt: the purchase attempt that bought it with a callback, whose pushes have it polled at once;
        ``None`` if there are none, ``ANY_ATTEMPT`` if it is not known.
    :param arguments: further arguments of :class:`~airflow_provider_minimax.triggers.video.MinimaxTaskTrigger`.
    """
    return Deferral(
        "task",
        {
            "minimax_task_id": minimax_task_id,
            "minimax_conn_id": minimax_conn_id,
            "deadline": deadline,
            "api_version": api_version,
            "purchase_attempt": purchase_attempt if callbacks_are_on() else None,
            **arguments,
        },
        "execute_complete",
        longest_wait + SAFETY_NET,
    )


def until_listed(seconds: float, longest_wait: float) -> Deferral:
    """
    Return a deferral until the platform's list may show more.

    :param seconds: how long to wait for that.
    :param longest_wait: how many seconds the Airflow task may wait in all.
    """
    wait = max(seconds, handover.SECONDS)
    moment = datetime.now(UTC) + timedelta(seconds=wait)
    return Deferral("time", {"moment": moment}, SETTLED, max(wait, longest_wait) + SAFETY_NET)


def resume(
    operator: BaseOperator,
    next_method: str,
    next_kwargs: Mapping[str, Any] | None,
    context: Context,
    minimax_task_id: str | None,
) -> Any:
    """
    Resume an operator as ``BaseOperator`` does.

    :param operator: the operator.
    :param next_method: what Airflow wants to call.
    :param next_kwargs: with what.
    :param context: the task's context.
    :param minimax_task_id: the remote task that was waited for, if known.
    :raises MinimaxTaskTimeoutError: Airflow's time limit on the deferral passed.
    :raises MinimaxUnavailableError: the trigger failed.
    """
    try:
        return BaseOperator.resume_execution(operator, next_method, dict(next_kwargs or {}), context)
    except TaskDeferralTimeout as error:
        from airflow_provider_minimax.polling.poller import timed_out

        problem = "the triggerer did not answer within the time allowed; is one running?"
        raise timed_out(minimax_task_id, problem, hint=_WAIT_ON) from error
    except TaskDeferralError as error:
        raise MinimaxUnavailableError(
            f"the trigger failed, see the log above: {error}",
            minimax_task_id=minimax_task_id,
            billing=f"Task {minimax_task_id or 'at the platform'} keeps running and will be billed.",
            hint=_WAIT_ON,
        ) from error


def resume_before_purchase(
    operator: BaseOperator, next_method: str, next_kwargs: Mapping[str, Any] | None, context: Context, billing: str
) -> Any:
    """
    Resume an operator that knew of no clip when it left its worker, as ``BaseOperator`` does.

    :param operator: the operator.
    :param next_method: what Airflow wants to call.
    :param next_kwargs: with what.
    :param context: the task's context.
    :param billing: what was bought if the trigger failed, a whole sentence.
    :raises MinimaxUnavailableError: there was no answer from the trigger; a retry waits again.
    """
    try:
        return BaseOperator.resume_execution(operator, next_method, dict(next_kwargs or {}), context)
    except TaskDeferralTimeout as error:
        problem = "the triggerer did not answer before the purchase within the time allowed; is one running?"
        raise MinimaxUnavailableError(problem, billing=billing) from error
    except TaskDeferralError as error:
        problem = f"the trigger that waited before the purchase failed, see the log above: {error}"
        raise MinimaxUnavailableError(problem, billing=billing) from error
