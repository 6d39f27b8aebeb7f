"""After a lost answer: when an operator that buys asks the platform's list about it, and where it waits for that."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_minimax.arguments import check_search
from airflow_provider_minimax.deferral import SAFETY_NET

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.receipts.decision import Order
    from airflow_provider_minimax.receipts.ledger import Ledger
    from airflow_provider_minimax.receipts.purchase import FindOut

SETTLED = "execute_settled"
"""The method that a task is resumed with when the list may show more."""

# Airflow fails a task that is resumed before its executor has heard that the worker is done with it, which takes up to
# 5 s ([workers] min_heartbeat_interval).
_SHORTEST_DEFERRAL = 6.0
# How often a worker that waits itself looks.
_LOOK_EVERY = 5.0


class FindsOut:
    """
    Makes an operator find out what a submission bought whose answer was lost, if its author chose that.

    It may leave its worker for that, and decides anew when it is resumed: the receipt tells of the submission.
    """

    deferrable: bool
    on_orphaned_intent: Literal["fail", "resubmit", "adopt"]
    defer: Callable[..., Any]
    log: Any
    _is_submitting: bool
    # Returns how many seconds a wait may take.
    _patience: Callable[[], float]

    def _find_out(self, context: Context, hook: MinimaxHook, ledger: Ledger, order: Order) -> FindOut | None:
        """Return what finds out, if it is wanted; refuse where that can never be, before anything is bought."""
        if self.on_orphaned_intent != "adopt":
            return None
        from airflow_provider_minimax.receipts.of_task import published_in_run
        from airflow_provider_minimax.receipts.search import Searcher

        check_search(order.model, hook.has_list(order.api_version), ledger.keeps)

        def taken() -> set[str]:
            return published_in_run(context, FindsOut)

        return Searcher(hook, ledger, order, taken=taken, settle=self._settle, log=self.log).find_out

    def _settle(self, seconds: float) -> None:
        """Wait for the list: in the triggerer, or for a few seconds here."""
        if self.deferrable:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            wait = max(seconds, _SHORTEST_DEFERRAL)
            self.defer(
                trigger=DateTimeTrigger(moment=datetime.now(UTC) + timedelta(seconds=wait)),
                method_name=SETTLED,
                timeout=timedelta(seconds=max(wait, self._patience()) + SAFETY_NET),
            )
        # Who is killed meanwhile does not know either what was bought.
        self._is_submitting = True
        time.sleep(min(seconds, _LOOK_EVERY))
        self._is_submitting = False
