"""Submission slots: when an operator that buys waits in the triggerer before it submits."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRateLimitError, error_from_event
from airflow_provider_minimax.polling.deferral import IN_TURN, SAFETY_NET
from airflow_provider_minimax.purchases.deferral import Deferral

if TYPE_CHECKING:
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

# How long nobody submits after a refusal that names no time; it doubles with each refusal of a task.
_COOL_DOWN = 10.0
_LONGEST_COOL_DOWN = 60.0
# Several triggerers know nothing of each other, so their pauses do not end together.
_SPREAD = 0.25


@dataclass(frozen=True, slots=True)
class SubmissionSlot:
    """
    A task's permission to submit, which those who buy through its connection get one after the other.

    :param asked_at: when it first asked for a slot, in epoch seconds.
    :param refusals: how often the platform refused it since.
    """

    asked_at: float
    refusals: int = 0

    @classmethod
    def from_event(cls, event: Any) -> SubmissionSlot:
        """
        Read the event of a :class:`~airflow_provider_minimax.triggers.turn.MinimaxTurnTrigger`.

        :param event: what it sent.
        :raises MinimaxError: there was no slot, and why.
        """
        values = event if isinstance(event, Mapping) else {}
        if values.get("error"):
            raise error_from_event(dict(values["error"]))
        return cls(float(values.get("asked_at") or time.time()), int(values.get("refusals") or 0))


class SubmissionSlots:
    """
    Sends a task that can be deferred to the triggerer until it may submit.

    The task decides again whether to buy when it is resumed: things may have changed meanwhile.

    :param minimax_conn_id: the connection to buy through.
    :param longest_wait: how many seconds the wait may take.
    :param can_defer: whether the task can wait in the triggerer; otherwise it does not wait.
    :param slot: its slot, if it has waited for one.
    :param log: where to say what happens.
    """

    def __init__(
        self, minimax_conn_id: str, longest_wait: float, *, can_defer: bool, slot: SubmissionSlot | None, log: Any
    ) -> None:
        self._minimax_conn_id = minimax_conn_id
        self._longest_wait = longest_wait
        self.can_defer = can_defer
        self._slot = slot
        self._log = log

    def take(self, hook: MinimaxHook) -> Deferral | None:
        """
        Return the wait for a slot, if the connection has a limit and this task has no slot yet.

        :param hook: the connection.
        """
        if not self.can_defer or self._slot is not None or (limit := hook.rate_limit_per_minute()) is None:
            return None
        self._log.info("Deferring until a submission slot is free (limit: %d per minute).", limit)
        return self._wait_for(SubmissionSlot(time.time()), hook)

    def requeue(self, refusal: MinimaxRateLimitError, hook: MinimaxHook) -> Deferral | None:
        """
        Return the wait for another slot after a refusal to buy, which also holds up all others for a while.

        :param refusal: what the platform said.
        :param hook: the connection.
        :return: the wait; ``None`` if there is no time for it.
        """
        if not self.can_defer or refusal.billing != NOTHING_BOUGHT:
            # Another request was refused: whether an earlier one bought a clip is still to be found out.
            return None
        slot = self._slot or SubmissionSlot(time.time())
        pause = refusal.retry_after
        if pause is None:
            pause = min(_COOL_DOWN * 2**slot.refusals, _LONGEST_COOL_DOWN)
        not_before = time.time() + pause * random.uniform(1, 1 + _SPREAD)  # noqa: S311 - no secret
        if not_before >= slot.asked_at + self._longest_wait:
            return None
        self._log.warning("%s Queuing for another submission slot, in %.0f s at the earliest.", refusal, pause)
        return self._wait_for(SubmissionSlot(slot.asked_at, slot.refusals + 1), hook, not_before)

    def _wait_for(self, slot: SubmissionSlot, hook: MinimaxHook, not_before: float = 0.0) -> Deferral:
        deadline = slot.asked_at + self._longest_wait
        arguments = {
            "minimax_conn_id": self._minimax_conn_id,
            "asked_at": slot.asked_at,
            "deadline": deadline,
            "rate_limit_per_minute": hook.rate_limit_per_minute(),
            "not_before": not_before,
            "refusals": slot.refusals,
        }
        return Deferral("slot", arguments, IN_TURN, deadline - time.time() + SAFETY_NET)
