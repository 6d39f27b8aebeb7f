"""The request of one try: checked and with its files, or why an earlier try's request cannot be made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import MinimaxError, MinimaxFileError, MinimaxStorageError
from airflow_provider_minimax.purchases.context import owner_of, source_fingerprint_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.options import PurchaseOptions
    from airflow_provider_minimax.purchases.ledger import Ledger
    from airflow_provider_minimax.purchases.receipt import Receipt


def prepare_request(
    hook: MinimaxHook,
    written: PaidRequest,
    ledger: Ledger,
    options: PurchaseOptions,
    context: Context,
    *,
    log: Any,
) -> PaidRequest | MinimaxError:
    """
    Return a request, checked and with its files; or why they cannot be had, if an earlier try submitted it.

    :param hook: the way to the platform.
    :param written: the request as its author wrote it.
    :param ledger: where the receipt is kept.
    :param options: what the author chose about buying.
    :param context: the context of the Airflow task that buys.
    :param log: where to say that the request cannot be made again.
    """
    try:
        return hook.prepare(written.with_callback(), validate=options.validate)
    except (MinimaxFileError, MinimaxStorageError) as error:
        if not _was_submitted_before(hook, written, ledger.read(), options, context):
            raise
        log.warning("The request cannot be made again (%s), but an earlier try submitted it.", error.message)
        return error


def _was_submitted_before(
    hook: MinimaxHook, written: PaidRequest, receipt: Receipt | None, options: PurchaseOptions, context: Context
) -> bool:
    """Whether an earlier try, which this one continues, submitted the same request as its author wrote it."""
    if receipt is None or receipt.asked is None or receipt.owner != owner_of(context):
        return False
    ti: Any = context["ti"]
    continues = options.on_clear == "reuse" or receipt.max_tries in (None, ti.max_tries)
    fingerprint = source_fingerprint_of(written, hook.account(), hook.api_version(written.model))
    return continues and receipt.asked == fingerprint
