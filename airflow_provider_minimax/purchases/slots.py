"""Submission slots: when an operator that buys waits in the triggerer before it submits."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRateLimitError, error_from_event
from airflow_provider_minimax.purchases.deferral import IN_TURN, SAFETY_NET, Deferral

if TYPE_CHECKING:
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.ledger import Log

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


def wait_for_slot(hook: MinimaxHook, longest_wait: float, *, log: Log) -> Deferral | None:
    """
    Return the wait for a slot in the triggerer, if the connection has a limit.

    The task decides again whether to buy when it is resumed: things may have changed meanwhile.

    :param hook: the connection.
    :param longest_wait: how many seconds the wait may take.
    :param log: where to say what is waited for.
    """
    limit = hook.rate_limit_per_minute()
    if limit is None:
        return None
    log.info("Deferring until a submission slot is free (limit: %d per minute).", limit)
    return _until_slot(hook, SubmissionSlot(time.time()), longest_wait)


def wait_for_another_slot(
    refusal: MinimaxRateLimitError, hook: MinimaxHook, slot: SubmissionSlot | None, longest_wait: float, *, log: Log
) -> Deferral | None:
    """
    Return the wait for another slot after a refusal to buy, which also holds up all others for a while.

    :param refusal: what the platform said.
    :param hook: the connection.
    :param slot: the slot that the refused task had, if it has waited for one.
    :param longest_wait: how many seconds all of the task's waits for a slot may take.
    :param log: where to say what is waited for.
    :return: the wait; ``None`` if there is no time for it.
    """
    if refusal.billing != NOTHING_BOUGHT:
        # Another request was refused: whether an earlier one bought a clip is still to be found out.
        return None
    slot = slot or SubmissionSlot(time.time())
    pause = refusal.retry_after
    if pause is None:
        pause = min(_COOL_DOWN * 2**slot.refusals, _LONGEST_COOL_DOWN)
    not_before = time.time() + pause * random.uniform(1, 1 + _SPREAD)  # noqa: S311 - no secret
    if not_before >= slot.asked_at + longest_wait:
        return None
    log.warning("%s Queuing for another submission slot, in %.0f s at the earliest.", refusal, pause)
    return _until_slot(hook, SubmissionSlot(slot.asked_at, slot.refusals + 1), longest_wait, not_before)


def _until_slot(hook: MinimaxHook, slot: SubmissionSlot, longest_wait: float, not_before: float = 0.0) -> Deferral:
    deadline = slot.asked_at + longest_wait
    arguments = {
        "minimax_conn_id": hook.minimax_conn_id,
        "asked_at": slot.asked_at,
        "deadline": deadline,
        "rate_limit_per_minute": hook.rate_limit_per_minute(),
        "not_before": not_before,
        "refusals": slot.refusals,
    }
    return Deferral("slot", arguments, IN_TURN, deadline - time.time() + SAFETY_NET)
