"""From a wait as a value to the trigger that waits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_minimax.purchases.deferral import Deferral


def defer(operator: BaseOperator, deferral: Deferral) -> None:
    """
    Defer an operator; this does not return.

    :param operator: the operator.
    :param deferral: what to wait for.
    :raises TaskDeferred: always, which is how Airflow defers.
    """
    operator.defer(
        trigger=_trigger_of(deferral),
        method_name=deferral.method_name,
        timeout=timedelta(seconds=deferral.timeout),
    )


def _trigger_of(deferral: Deferral) -> BaseTrigger:
    if deferral.kind == "task":
        from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

        return MinimaxTaskTrigger(**deferral.arguments)
    if deferral.kind == "slot":
        from airflow_provider_minimax.triggers.turn import MinimaxTurnTrigger

        return MinimaxTurnTrigger(**deferral.arguments)
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    return DateTimeTrigger(**deferral.arguments)
