"""
After a lost answer, where the author said so: ask the platform's list, and go on with what was bought or buy.

What is concluded is written down before anything follows from it, and only if nobody else wrote meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxError, MinimaxUnavailableError
from airflow_provider_minimax.purchases.candidates import tasks_since
from airflow_provider_minimax.purchases.matching import ListingMatch, Settle, SubmissionWindow, TaskSignature, conclude
from airflow_provider_minimax.purchases.purchase import now
from airflow_provider_minimax.purchases.rules import (
    CLOCKS_DIFFER_BY,
    OTHERS_SUBMIT_WITHIN,
    Buy,
    PurchaseSpec,
    Resume,
)
from airflow_provider_minimax.purchases.sibling_receipts import sibling_receipts_of

if TYPE_CHECKING:
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.ledger import Ledger, Log
    from airflow_provider_minimax.purchases.receipt import Receipt

# While the platform is down, each submission may get an error that hides a purchase: Airflow's next try may do better.
_UNANSWERED_IN_A_TRY = 2


class LostSubmissionResolver:
    """
    Finds out what a submission without an answer bought.

    :param hook: the way to the platform.
    :param ledger: where the receipt is kept.
    :param order: what is wanted.
    :param taken: asks for ids that other tasks of the same dag run published.
    :param settle: waits for the platform's list, some seconds or less; it may end this process instead.
    :param log: where to say what was found.
    :param clock: the time; for tests.
    """

    def __init__(
        self,
        hook: MinimaxHook,
        ledger: Ledger,
        order: PurchaseSpec,
        *,
        taken: Callable[[], Set[str]],
        settle: Callable[[float], None],
        log: Log,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self._order = order
        self._taken = taken
        self._settle = settle
        self._log = log
        self._clock = clock

    def find_out(self, found: Receipt) -> tuple[Receipt, Buy | Resume] | None:
        """
        Find out what a submission without an answer bought, and write it down.

        :param found: its receipt.
        :return: the receipt as it is now, and what to do; ``None`` if somebody else wrote, so it must be read again.
        :raises MinimaxSubmissionUnknownError: nobody can know.
        :raises MinimaxError: the list or a neighbouring receipt cannot be read just now, or nothing was bought twice.
        """
        orphan = found
        if found.lost_at is None and found.owner == self._order.owner:
            # Whoever waited for the answer is gone, so from now on none can come.
            orphan = found.lost(self._clock())
            if not self._ledger.claim(orphan, found):
                return None
        step = self._concluded(orphan)
        if isinstance(step, Resume):
            return self._adopted(orphan, step)
        self._log.warning("%s", step.note)
        if step.unanswered >= _UNANSWERED_IN_A_TRY:
            if not orphan.replaced:
                # Nothing in it counts for the next try.
                self._ledger.withdraw(orphan, None)
            raise MinimaxUnavailableError(
                f"{step.unanswered} submissions in a row got no answer, and none bought a clip, as the platform's list "
                "shows",
                platform=orphan.platform,
                billing=NOTHING_BOUGHT,
            )
        return orphan, step

    def _concluded(self, orphan: Receipt) -> Buy | Resume:
        noted = None
        while True:
            try:
                sight = self._look(orphan)
            except MinimaxError as error:
                error.billing = "A clip may have been bought and may be billed; nothing was bought now."
                raise
            step = conclude(orphan, sight, self._order, where=self._ledger.where, now=self._clock())
            if not isinstance(step, Settle):
                return step
            if step.note != noted:
                self._log.info("%s", step.note)
            noted = step.note
            self._settle(step.seconds)

    def _look(self, orphan: Receipt) -> ListingMatch:
        # The list comes first: whoever bought what is on it had written an intent before.
        listed = tasks_since(self._hook, TaskSignature.of(orphan), SubmissionWindow.of(orphan).begin)
        return ListingMatch.of(orphan, listed, self._neighbours(orphan), self._taken())

    def _neighbours(self, orphan: Receipt) -> tuple[Receipt, ...]:
        if self._order.output_path is None:
            return ()
        since = SubmissionWindow.of(orphan).begin - OTHERS_SUBMIT_WITHIN - CLOCKS_DIFFER_BY
        return sibling_receipts_of(self._order.output_path, since)

    def _adopted(self, orphan: Receipt, step: Resume) -> tuple[Receipt, Resume] | None:
        if not self._ledger.claim(step.receipt, orphan):
            return None
        if any(step.receipt.minimax_task_id in receipt.all_tasks for receipt in self._neighbours(orphan)):
            # Another one adopted it at the same time, and sees that too.
            self._ledger.withdraw(step.receipt, orphan)
            return None
        self._log.warning("%s", step.note)
        return step.receipt, step
