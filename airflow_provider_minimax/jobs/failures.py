"""What an error means for an Airflow task that buys: what became of the money, and whether a retry may help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import CANCELLED, NOTHING_BOUGHT, MinimaxError, after_purchase
from airflow_provider_minimax.purchases.context import owner_of
from airflow_provider_minimax.purchases.receipt import Phase
from airflow_provider_minimax.purchases.rules import may_pass
from airflow_provider_minimax.text.redaction import redact
from airflow_provider_minimax.version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.jobs.product import Product
    from airflow_provider_minimax.options import PurchaseOptions
    from airflow_provider_minimax.purchases.ledger import Ledger
    from airflow_provider_minimax.purchases.receipt import Receipt


class _RetryBuysAnotherError(AirflowException):
    """There is no clip, and a retry may buy another: what was bought was free, or the author allows one more."""


class Failures:
    """
    Gives errors of one purchase their meaning.

    :param ledger: where the receipt is kept.
    :param context: the context of the Airflow task that buys.
    :param product: what is bought.
    :param options: what the author chose about buying.
    :param log: where to say that a retry continues.
    """

    def __init__(
        self, ledger: Ledger, context: Context, product: Product, options: PurchaseOptions, *, log: Any
    ) -> None:
        self._ledger = ledger
        self._context = context
        self._owner = owner_of(context)
        self._product = product
        self._options = options
        self._log = log

    @contextmanager
    def before_purchase(self) -> Iterator[None]:
        """Let errors before a purchase name an earlier one, which also decides whether they are final."""
        try:
            yield
        except MinimaxError as error:
            meant = self._correct_billing_note(error)
            if meant is error:
                raise
            raise meant from error

    def _correct_billing_note(self, error: MinimaxError) -> MinimaxError:
        try:
            receipt = self._ledger.read()
        except MinimaxError:
            # Something may be bought, and the next try reads the receipt before it buys anything.
            return after_purchase(error, "worker")
        if receipt is None or receipt.owner != self._owner or receipt.phase is Phase.FAILED:
            return error
        error = after_purchase(error, "worker")
        error.minimax_task_id = receipt.minimax_task_id
        error.resumable = True
        did = "bought" if receipt.minimax_task_id else "may have bought"
        error.billing = f"Nothing was bought now; an earlier submission {did} a {self._product.product_name}."
        return error

    @contextmanager
    def after_purchase(self, minimax_task_id: str | None) -> Iterator[None]:
        """
        Let a failure in here be retried if a retry continues with the purchase, and only then.

        :param minimax_task_id: the remote task that was bought.
        """
        try:
            yield
        except (Exception, AirflowTaskTimeout) as error:
            meant = self._no_retry_without_receipt(error, minimax_task_id)
            if meant is error:
                raise
            raise meant from error

    def _no_retry_without_receipt(self, error: BaseException, minimax_task_id: str | None) -> BaseException:
        if isinstance(error, MinimaxError):
            error = after_purchase(error, "worker")
            error.minimax_task_id = error.minimax_task_id or minimax_task_id
        if isinstance(error, AirflowFailException | AirflowSensorTimeout | _RetryBuysAnotherError):
            return error
        if self._next_try_continues(minimax_task_id):
            if isinstance(error, MinimaxError):
                error.resumable = True
            self._log.warning("MiniMax task %s is in the receipt: a retry continues from there.", minimax_task_id)
            return error
        what = str(error) if isinstance(error, AirflowException) else redact(f"{type(error).__name__}: {error}.")
        if minimax_task_id is None:
            named, advice = "", "Check the platform's console for its task before you clear this one."
        else:
            named, advice = f" (task {minimax_task_id})", self._product.how_to_get_it
        return AirflowFailException(
            f"{what} This task does not retry, because the {self._product.product_name} is bought already{named} and a "
            f"retry would buy another. {advice}"
        )

    def _next_try_continues(self, minimax_task_id: str | None) -> bool:
        """Whether the next try finds the purchase, or stops before it buys because it cannot read the receipt."""
        if not self._options.durable:
            return False
        try:
            receipt = self._ledger.read()
        except MinimaxError:
            return True
        return receipt is not None and minimax_task_id in (None, receipt.minimax_task_id)

    def billing_without_id(self) -> str | None:
        """
        Return what was bought, in words, by a task that had published no id when its trigger broke.

        :return: a sentence; ``None`` if that is not known.
        """
        try:
            receipt = self._ledger.read()
        except MinimaxError:
            return None
        if receipt is not None and receipt.phase is Phase.INTENT:
            return "It may have been bought and may be billed."
        if self._product.publishes:
            # The id is published before any other wait.
            return NOTHING_BOUGHT
        ti: Any = self._context["ti"]
        is_of_this_round = receipt is not None and receipt.max_tries == ti.max_tries
        return NOTHING_BOUGHT if self._ledger.keeps and not is_of_this_round else None

    def record(self, receipt: Receipt | None, error: MinimaxError) -> None:
        """
        Write down that there is no clip, and let Airflow retry if that may buy another.

        :param receipt: the purchase's receipt, if there is one.
        :param error: why there is no clip.
        """
        if receipt is not None:
            self._ledger.keep(receipt.failed(error))
        if error.code == CANCELLED:
            raise _RetryBuysAnotherError(f"{error} A retry buys another.") from error
        allowed = self._options.max_submissions
        if receipt is not None and may_pass(error) and receipt.submissions < allowed:
            raise _RetryBuysAnotherError(
                f"{error} A retry buys another: purchase {receipt.submissions + 1} of at most {allowed}."
            ) from error
