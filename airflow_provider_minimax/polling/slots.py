"""Waiting for a turn to buy: when an operator that buys leaves its worker, and how it comes back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator

from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxRateLimitError,
    MinimaxUnavailableError,
    error_from_event,
)
from airflow_provider_minimax.polling.deferral import SAFETY_NET
from airflow_provider_minimax.version_compat import TaskDeferralError, TaskDeferralTimeout

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.deferral import Deferral

IN_TURN = "execute_in_turn"
"""The method that a task is resumed with when it is its turn."""

# How long nobody is sent again after a refusal that names no time; it doubles from one refusal to the next of a task.
_COOL_DOWN = 10.0
_LONGEST_COOL_DOWN = 60.0
# Several triggerers know nothing of each other, so their pauses do not end together.
_SPREAD = 0.25


@dataclass(frozen=True, slots=True)
class SubmissionSlot:
    """
    A task's place among those who buy through its connection.

    :param asked_at: when it first asked for a turn, in epoch seconds.
    :param refusals: how often the platform refused it since.
    """

    asked_at: float
    refusals: int = 0

    @classmethod
    def from_event(cls, event: Any) -> SubmissionSlot:
        """
        Read the event of a :class:`~airflow_provider_minimax.triggers.turn.MinimaxTurnTrigger`.

        :param event: what it sent.
        :raises MinimaxError: there was no turn, and why.
        """
        told = event if isinstance(event, Mapping) else {}
        if told.get("error"):
            raise error_from_event(dict(told["error"]))
        return cls(float(told.get("asked_at") or time.time()), int(told.get("refusals") or 0))


class SubmissionSlots:
    """
    Lets a task that can be deferred wait in the triggerer for its turn to buy.

    The task decides again whether to buy when it is resumed: things may have changed meanwhile.

    :param minimax_conn_id: the connection to buy through.
    :param longest_wait: how many seconds the wait may take.
    :param log: where to say what happens.
    :param defer: the task's ``defer``; ``None`` if it does not wait.
    :param turn: its turn, if that has come.
    """

    def __init__(
        self,
        minimax_conn_id: str,
        longest_wait: float,
        *,
        log: Any,
        defer: Callable[[Deferral], None] | None,
        turn: SubmissionSlot | None,
    ) -> None:
        self._minimax_conn_id = minimax_conn_id
        self._longest_wait = longest_wait
        self._log = log
        self._defer = defer
        self._turn = turn

    def take(self, hook: MinimaxHook) -> None:
        """
        Leave the worker until it is this task's turn, if the connection has a limit and it is not its turn yet.

        :param hook: the connection.
        """
        limit = hook.rate_limit_per_minute()
        if self._defer is not None and self._turn is None and limit is not None:
            self._log.info("Deferring until a submission slot is free (limit: %d per minute).", limit)
            self._wait_for(SubmissionSlot(time.time()), hook)

    def requeue(self, refusal: MinimaxRateLimitError, hook: MinimaxHook) -> None:
        """
        Leave the worker after a refusal to buy, and let nobody pass for a while; stay if there is no time for it.

        :param refusal: what the platform said.
        :param hook: the connection.
        """
        if self._defer is None or refusal.billing != NOTHING_BOUGHT:
            # Another request was refused: whether an earlier one bought a clip is still to be found out.
            return
        asked = self._turn or SubmissionSlot(time.time())
        pause = refusal.retry_after
        if pause is None:
            pause = min(_COOL_DOWN * 2**asked.refusals, _LONGEST_COOL_DOWN)
        not_before = time.time() + pause * random.uniform(1, 1 + _SPREAD)  # noqa: S311 - no secret
        if not_before >= asked.asked_at + self._longest_wait:
            return
        self._log.warning("%s Queuing for another submission slot, in %.0f s at the earliest.", refusal, pause)
        self._wait_for(SubmissionSlot(asked.asked_at, asked.refusals + 1), hook, not_before)

    def _wait_for(self, turn: SubmissionSlot, hook: MinimaxHook, not_before: float = 0.0) -> None:
        deadline = turn.asked_at + self._longest_wait
        arguments = {
            "minimax_conn_id": self._minimax_conn_id,
            "asked_at": turn.asked_at,
            "deadline": deadline,
            "rate_limit_per_minute": hook.rate_limit_per_minute(),
            "not_before": not_before,
            "refusals": turn.refusals,
        }
        from airflow_provider_minimax.purchases.deferral import Deferral

        defer = cast("Callable[[Deferral], None]", self._defer)
        defer(Deferral("slot", arguments, IN_TURN, deadline - time.time() + SAFETY_NET))


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
    :raises MinimaxUnavailableError: there was no answer from the trigger; a retry waits anew.
    """
    try:
        return BaseOperator.resume_execution(operator, next_method, dict(next_kwargs or {}), context)
    except TaskDeferralTimeout as error:
        problem = "the triggerer did not answer before the purchase within the time allowed; is one running?"
        raise MinimaxUnavailableError(problem, billing=billing) from error
    except TaskDeferralError as error:
        problem = f"the trigger that this task waited with before its purchase broke, see the log above: {error}"
        raise MinimaxUnavailableError(problem, billing=billing) from error
