"""
After a lost answer, where the author said so: search the platform's list, and continue with what was bought or buy.

Each conclusion is written down before anything follows from it, and only if nobody else wrote meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxError, MinimaxUnavailableError
from airflow_provider_minimax.purchases.candidates import tasks_since
from airflow_provider_minimax.purchases.context import published_in_run
from airflow_provider_minimax.purchases.matching import ListingMatch, SubmissionWindow, TaskSignature, conclude
from airflow_provider_minimax.purchases.receipt import now
from airflow_provider_minimax.purchases.rules import (
    CLOCKS_DIFFER_BY,
    OTHERS_SUBMIT_WITHIN,
    Buy,
    Resume,
    Settle,
)
from airflow_provider_minimax.purchases.sibling_receipts import sibling_receipts_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.ledger import Ledger, Log
    from airflow_provider_minimax.purchases.receipt import Receipt
    from airflow_provider_minimax.purchases.spec import PurchaseSpec

# While the platform is down, each submission may get an error that hides a purchase: Airflow's next try may do better.
_UNANSWERED_IN_A_TRY = 2
# How often a worker that waits for the platform's list itself asks for it.
_LIST_EVERY = 5.0


class LostSubmissionResolver:
    """
    Finds out what a submission without an answer bought, from the platform's list.

    :param hook: the way to the platform.
    :param ledger: where the receipt is kept.
    :param spec: what is wanted.
    :param context: the context of the Airflow task that buys; other tasks of its run may have published theirs.
    :param waits: whether to wait for the list in this process, a few seconds at a time; otherwise that is left to the
        caller.
    :param log: where to say what was found.
    :param clock: the time; for tests.
    """

    def __init__(
        self,
        hook: MinimaxHook,
        ledger: Ledger,
        spec: PurchaseSpec,
        context: Context,
        *,
        waits: bool,
        log: Log,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self._spec = spec
        self._context = context
        self._waits = waits
        self._log = log
        self._clock = clock
        self.is_waiting = False
        """Whether it waits for the list: who is killed meanwhile does not know what was bought."""

    def resolve(self, found: Receipt) -> tuple[Receipt, Buy | Resume] | Settle | None:
        """
        Find out what a submission without an answer bought, and write it down.

        :param found: its receipt.
        :return: the receipt as it is now, and what to do; how long to wait until the list may show more; ``None`` if
            somebody else wrote, so it must be read again.
        :raises MinimaxSubmissionUnknownError: nobody can know.
        :raises MinimaxError: the list or a sibling receipt cannot be read just now, or nothing was bought twice.
        """
        orphan = found
        if found.lost_at is None and found.owner == self._spec.owner:
            # The process that waited for the answer is gone, so from now on none can come.
            orphan = found.lost(self._clock())
            if not self._ledger.claim(orphan, found):
                return None
        step = self._concluded(orphan)
        if isinstance(step, Settle):
            return step
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

    def _concluded(self, orphan: Receipt) -> Buy | Resume | Settle:
        noted = None
        while True:
            try:
                match = self._match(orphan)
            except MinimaxError as error:
                error.billing = "A clip may have been bought and may be billed; nothing was bought now."
                raise
            step = conclude(orphan, match, self._spec, where=self._ledger.where, now=self._clock())
            if not isinstance(step, Settle):
                return step
            if step.note != noted:
                self._log.info("%s", step.note)
            if not self._waits:
                return step
            noted = step.note
            self._wait(step.seconds)

    def _wait(self, seconds: float) -> None:
        self.is_waiting = True
        time.sleep(min(seconds, _LIST_EVERY))
        self.is_waiting = False

    def _match(self, orphan: Receipt) -> ListingMatch:
        # The list comes first: each purchase on it was preceded by an intent.
        begin = SubmissionWindow.from_receipt(orphan).begin
        listed = tasks_since(self._hook, TaskSignature.from_receipt(orphan), begin)
        return ListingMatch.from_list(orphan, listed, self._siblings(orphan), published_in_run(self._context))

    def _siblings(self, orphan: Receipt) -> tuple[Receipt, ...]:
        if self._spec.output_path is None:
            return ()
        since = SubmissionWindow.from_receipt(orphan).begin - OTHERS_SUBMIT_WITHIN - CLOCKS_DIFFER_BY
        return sibling_receipts_of(self._spec.output_path, since)

    def _adopted(self, orphan: Receipt, step: Resume) -> tuple[Receipt, Resume] | None:
        if not self._ledger.claim(step.receipt, orphan):
            return None
        if any(step.receipt.minimax_task_id in receipt.all_tasks for receipt in self._siblings(orphan)):
            # Another one adopted it at the same time, and sees that too.
            self._ledger.withdraw(step.receipt, orphan)
            return None
        self._log.warning("%s", step.note)
        return step.receipt, step
