"""
The trigger that waits for a submission slot, without a worker slot.

It calls no platform. A task that waits has bought nothing, and the worker decides once more whether to buy. Its keyword
arguments are a wire format, as are those of the trigger that polls remote tasks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRateLimitError
from airflow_provider_minimax.polling import handover
from airflow_provider_minimax.polling.limiter import shared_limiter
from airflow_provider_minimax.text.storable import storable
from airflow_provider_minimax.triggers.wire_format import changed_arguments


class MinimaxTurnTrigger(BaseTrigger):
    """
    Wait for a submission slot of a connection, or until the deadline; then send one small event.

    :param minimax_conn_id: the connection.
    :param asked_at: when the task first asked for a slot, in epoch seconds; the earliest comes first.
    :param deadline: when the wait ends, in epoch seconds.
    :param rate_limit_per_minute: how many slots there are in a minute; ``None``: 20, for tasks that were refused.
    :param not_before: until when nobody gets a slot, in epoch seconds, because the platform refused this task.
    :param refusals: how often it did; sent back with the event.
    """

    def __init__(
        self,
        *,
        minimax_conn_id: str,
        asked_at: float,
        deadline: float,
        rate_limit_per_minute: int | None = None,
        not_before: float = 0.0,
        refusals: int = 0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.minimax_conn_id = minimax_conn_id
        self.asked_at = asked_at
        self.deadline = deadline
        self.rate_limit_per_minute = rate_limit_per_minute
        self.not_before = not_before
        self.refusals = refusals
        self._is_over = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the keyword arguments to build this trigger again."""
        return "airflow_provider_minimax.triggers.turn.MinimaxTurnTrigger", changed_arguments(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield one event and return at once: a trigger that lingers is taken for one that was killed."""
        began = asyncio.get_running_loop().time()
        error: MinimaxRateLimitError | None = None
        try:
            async with asyncio.timeout(self.deadline - time.time()):
                await self._wait_for_slot(began)
        except TimeoutError:
            error = self._no_slot()
            await handover.finished(began)
        self._is_over = True
        event = {
            "asked_at": self.asked_at,
            "refusals": self.refusals,
            "error": None if error is None else error.as_event(),
        }
        yield TriggerEvent(storable(event))  # type: ignore[no-untyped-call]

    async def _wait_for_slot(self, began: float) -> None:
        with shared_limiter(self.minimax_conn_id, self.rate_limit_per_minute) as limiter:
            limiter.pause(self.not_before)
            # Nor before all who waited have come back after a restart of the triggerer.
            await handover.finished(began)
            # From a thread, because a full pipe of logs would hold up the loop.
            await asyncio.to_thread(
                self.log.info,
                "Waiting for a submission slot of connection %r; %d others wait too. Nothing is bought yet.",
                self.minimax_conn_id,
                limiter.waiting,
            )
            await limiter.acquire(self.asked_at)

    def _no_slot(self) -> MinimaxRateLimitError:
        refused = f", and the platform refused {self.refusals} times" if self.refusals else ""
        return MinimaxRateLimitError(
            f"no submission slot of connection {self.minimax_conn_id!r} became free within "
            f"{self.deadline - self.asked_at:.0f} s{refused}",
            billing=NOTHING_BOUGHT,
            hint="Give the task a longer timeout, or let fewer tasks wait at once with a pool.",
        )

    async def on_kill(self) -> None:
        """Say that this wait is over; whether the task was killed or goes on at another triggerer is not known."""
        if not self._is_over:
            await asyncio.to_thread(
                self.log.warning,
                "This triggerer no longer waits for a submission slot: the Airflow task was ended or cleared, or "
                "another triggerer waits for it now. This wait bought nothing.",
            )
