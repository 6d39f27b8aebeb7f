"""The receipt of one task, in all its stores: the newest one decides, and all are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from typing import Any, Protocol

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from airflow_provider_minimax.exceptions import MinimaxError, MinimaxReceiptStoreError
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.stores import ReceiptStore

# How long another task that read the same as this one may take until its own intent can be read.
SETTLING_TIME = 0.5
# For what must not be lost: some ten seconds in all.
_ATTEMPTS = 6


class Log(Protocol):
    """As much of a logger as is used here: Airflow's own or Python's."""

    def info(self, event: str, /, *args: Any) -> object:
        """Say what happens."""

    def warning(self, event: str, /, *args: Any) -> object:
        """Say what needs attention."""

    def error(self, event: str, /, *args: Any) -> object:
        """Say what went wrong."""


class Ledger:
    """
    Reads and writes the receipt of one task.

    :param stores: where it is kept, the one that other tasks see too first; with none, nothing is ever found or kept.
    :param log: where to say what could not be written.
    :param sleep: how to wait; for tests.
    """

    def __init__(
        self,
        stores: Sequence[ReceiptStore],
        *,
        log: Log,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stores = tuple(stores)
        self._log = log
        self._sleep = sleep
        self._first_found: Receipt | None = None
        self._outdated: set[str] = set()

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return bool(self._stores)

    @property
    def where(self) -> str:
        """The name of the first store, for people."""
        return self._stores[0].where if self._stores else "nowhere"

    def read(self) -> Receipt | None:
        """
        Return the receipt: the newest, because one on another worker's disk may have been left behind long ago.

        :raises MinimaxReceiptStoreError: a store cannot be read.
        :raises MinimaxReceiptError: what is there cannot be read.
        """
        receipts = [store.read() for store in self._stores]
        self._first_found = receipts[0] if receipts else None
        found = None
        for receipt in receipts:
            if receipt is not None and (found is None or _is_newer(receipt, found)):
                found = receipt
        self._outdated |= {receipt.attempt for receipt in receipts if receipt is not None and receipt != found}
        return found

    def read_if_possible(self) -> Receipt | None:
        """Return the receipt, for when nothing depends on there being none: ``None`` also if it cannot be read."""
        try:
            return self.read()
        except MinimaxError as error:
            self._log.warning("%s", error)
            return None

    def read_of(self, minimax_task_id: str | None) -> Receipt | None:
        """Return the receipt of this remote task; ``None`` also if it cannot be read."""
        found = self.read_if_possible()
        return found if found is not None and found.minimax_task_id == minimax_task_id else None

    def claim(self, intent: Receipt, found: Receipt | None) -> bool:
        """
        Write down that a clip is about to be bought, or what became of a purchase that nobody else may have taken over.

        :param intent: the receipt to write.
        :param found: the one that it replaces, as :meth:`read` returned it; the first store may hold an older one.
        :return: whether it is ours; otherwise somebody else was faster, and there is another receipt to read.
        :raises MinimaxReceiptStoreError: a store cannot be written, so nothing may be bought.
        """
        if not self._stores:
            return True
        first, *others = self._stores
        there = first.read()
        if there is None:
            if not first.create(intent):
                return False
            may_have_raced = first.create_may_race
        else:
            if there not in (found, self._first_found):
                return False
            first.write(intent)
            may_have_raced = first.write_may_race
        if may_have_raced:
            self._sleep(SETTLING_TIME)
            if not _is_of(first.read(), intent):
                return False
        try:
            for store in others:
                store.write(intent)
        except MinimaxError:
            self.withdraw(intent, found)
            raise
        return True

    def withdraw(self, intent: Receipt, found: Receipt | None) -> None:
        """
        Take an intent back, because surely nothing was bought.

        :param intent: the receipt that :meth:`claim` wrote.
        :param found: the one that was there before, which is put back; another task's only where others read it.
        """
        for store in self._stores:
            # Other tasks' receipts are kept in the first store alone.
            belongs_here = found is not None and (store is self._stores[0] or found.owner == intent.owner)
            try:
                if not _is_of(store.read(), intent):
                    continue
                if found is None or not belongs_here:
                    store.erase()
                else:
                    store.write(found)
            except MinimaxError as error:
                self._log.warning(
                    "Nothing was bought, but the receipt that says it might have been stays: %s", error.message
                )

    def keep(self, receipt: Receipt, *, instead_of: Receipt | None = None) -> None:
        """
        Write down how far a purchase is, and say so if that cannot be done: what is paid for continues all the same.

        :param receipt: the receipt; another purchase's receipt is left alone.
        :param instead_of: another purchase's receipt that may be replaced.
        """
        replaceable = {receipt.attempt, instead_of.attempt if instead_of else None, *self._outdated}
        for store in self._stores:
            try:
                self._keep_in(store, receipt, replaceable)
            except MinimaxError as error:
                self._log.error(
                    "MiniMax task %s is bought, but its receipt is not up to date: %s",
                    receipt.minimax_task_id,
                    error.message,
                )

    def _keep_in(self, store: ReceiptStore, receipt: Receipt, replaceable: Container[str | None]) -> None:
        attempts = Retrying(
            retry=retry_if_exception_type(MinimaxReceiptStoreError),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.3, max=5),
            sleep=self._sleep,
            reraise=True,
        )
        there = attempts(store.read)
        if there is not None and there.attempt not in replaceable:
            self._log.error(
                "MiniMax task %s is bought, but the receipt %s is by now that of another purchase, for %s.",
                receipt.minimax_task_id,
                store.where,
                there.owner,
            )
            return
        attempts(store.write, receipt)


def _is_of(there: Receipt | None, receipt: Receipt) -> bool:
    return there is not None and there.attempt == receipt.attempt


_PROGRESS = (Phase.INTENT, Phase.SUBMITTED, Phase.FAILED, Phase.DELIVERED)


def _is_newer(receipt: Receipt, other: Receipt) -> bool:
    """Whether a receipt is of a later purchase than another one, or knows more of the same."""
    if receipt.attempt != other.attempt:
        return receipt.intended_at > other.intended_at
    return _PROGRESS.index(receipt.phase) > _PROGRESS.index(other.phase)
