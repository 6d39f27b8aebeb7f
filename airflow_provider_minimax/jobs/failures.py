"""What an error means for an Airflow task that buys: what became of the money, and whether a retry may help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_minimax.exceptions import CANCELLED, NOTHING_BOUGHT, MinimaxError, after_purchase
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
    from airflow_provider_minimax.jobs.product import Product
    from airflow_provider_minimax.purchases.ledger import Ledger, Log
    from airflow_provider_minimax.purchases.receipt import Owner, Receipt


class _RetryBuysAnotherError(AirflowException):
    """There is no clip, and a retry may buy another: what was bought was free, or the author allows one more."""


@contextmanager
def naming_earlier_purchase(ledger: Ledger, owner: Owner, product: Product) -> Iterator[None]:
    """
    Let errors before a purchase name an earlier one, which also decides whether they are final.

    :param ledger: where the receipt is kept.
    :param owner: the Airflow task that buys.
    :param product: what it buys.
    """
    try:
        yield
    except MinimaxError as error:
        meant = _with_earlier_purchase(error, ledger, owner, product)
        if meant is error:
            raise
        raise meant from error


def _with_earlier_purchase(error: MinimaxError, ledger: Ledger, owner: Owner, product: Product) -> MinimaxError:
    try:
        receipt = ledger.read()
    except MinimaxError:
        # Something may be bought, and the next try reads the receipt before it buys anything.
        return after_purchase(error, "worker")
    if receipt is None or receipt.owner != owner or receipt.phase is Phase.FAILED:
        return error
    error = after_purchase(error, "worker")
    error.minimax_task_id = receipt.minimax_task_id
    error.resumable = True
    did = "bought" if receipt.minimax_task_id else "may have bought"
    error.billing = f"Nothing was bought now; an earlier submission {did} a {product.product_name}."
    return error


@contextmanager
def no_retry_buys_another(
    minimax_task_id: str | None, ledger: Ledger, product: Product, *, durable: bool, log: Log
) -> Iterator[None]:
    """
    Let a failure after a purchase be retried if a retry continues with it, and only then.

    :param minimax_task_id: the remote task that was bought.
    :param ledger: where its receipt is kept.
    :param product: what was bought.
    :param durable: whether the next try reads the receipt.
    :param log: where to say that a retry continues.
    """
    try:
        yield
    except (Exception, AirflowTaskTimeout) as raised:
        error: BaseException = raised
        if isinstance(error, MinimaxError):
            error = after_purchase(error, "worker")
            error.minimax_task_id = error.minimax_task_id or minimax_task_id
        if not isinstance(error, AirflowFailException | AirflowSensorTimeout | _RetryBuysAnotherError):
            if durable and _is_kept(minimax_task_id, ledger):
                if isinstance(error, MinimaxError):
                    error.resumable = True
                log.warning("MiniMax task %s is in the receipt: a retry continues from there.", minimax_task_id)
            else:
                error = _final(error, minimax_task_id, product)
        if error is raised:
            raise
        raise error from raised


def _is_kept(minimax_task_id: str | None, ledger: Ledger) -> bool:
    """Whether the next try finds the purchase, or stops before it buys because it cannot read the receipt."""
    try:
        receipt = ledger.read()
    except MinimaxError:
        return True
    return receipt is not None and minimax_task_id in (None, receipt.minimax_task_id)


def _final(error: BaseException, minimax_task_id: str | None, product: Product) -> AirflowFailException:
    what = str(error) if isinstance(error, AirflowException) else redact(f"{type(error).__name__}: {error}.")
    if minimax_task_id is None:
        named, advice = "", "Check the platform's console for its task before you clear this one."
    else:
        named, advice = f" (task {minimax_task_id})", product.how_to_get_it
    return AirflowFailException(
        f"{what} This task does not retry, because the {product.product_name} is bought already{named} and a "
        f"retry would buy another. {advice}"
    )


def billing_without_id(ledger: Ledger, product: Product, max_tries: int) -> str | None:
    """
    Return what was bought, in words, by a task that had published no id when its trigger broke.

    :param ledger: where the receipt is kept.
    :param product: what the task buys.
    :param max_tries: the task's ``max_tries``.
    :return: a sentence; ``None`` if that is not known.
    """
    try:
        receipt = ledger.read()
    except MinimaxError:
        return None
    if receipt is not None and receipt.phase is Phase.INTENT:
        return "It may have been bought and may be billed."
    if product.publishes:
        # The id is published before any other wait.
        return NOTHING_BOUGHT
    is_of_this_round = receipt is not None and receipt.max_tries == max_tries
    return NOTHING_BOUGHT if ledger.keeps and not is_of_this_round else None


def record_failure(error: MinimaxError, receipt: Receipt | None, ledger: Ledger, *, max_submissions: int) -> None:
    """
    Write down that there is no clip, and let Airflow retry if that may buy another.

    :param error: why there is no clip.
    :param receipt: the purchase's receipt, if there is one.
    :param ledger: where it is kept.
    :param max_submissions: how many clips may be bought in all.
    """
    if receipt is not None:
        ledger.keep(receipt.failed(error))
    if error.code == CANCELLED:
        raise _RetryBuysAnotherError(f"{error} A retry buys another.") from error
    if receipt is not None and may_pass(error) and receipt.submissions < max_submissions:
        raise _RetryBuysAnotherError(
            f"{error} A retry buys another: purchase {receipt.submissions + 1} of at most {max_submissions}."
        ) from error
