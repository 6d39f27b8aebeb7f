"""The submission of one purchase: what comes right before the receipt's intent, and the request itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxFileError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
)
from airflow_provider_minimax.purchases.callback import address_of, as_unanswered_challenge, check_callback
from airflow_provider_minimax.purchases.context import owner_of, source_fingerprint_of
from airflow_provider_minimax.version_compat import AirflowTaskTimeout

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.delivery.destination import Destination
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.jobs.failures import Failures
    from airflow_provider_minimax.options import PurchaseOptions
    from airflow_provider_minimax.polling.slots import SubmissionSlots
    from airflow_provider_minimax.purchases.deferral import Deferral
    from airflow_provider_minimax.purchases.ledger import Ledger
    from airflow_provider_minimax.purchases.receipt import Receipt


class Submission:
    """
    Sends one request to the platform, once everything that can fail beforehand was tried.

    :param hook: the way to the platform.
    :param request: what to ask for, checked and with its files; or why an earlier try's request cannot be made again.
    :param slots: whether this task may submit now.
    :param failures: what an error means.
    :param has_callback: whether the platform is given an address for what it pushes.
    :param validate: whether the platform has to document pushes then.
    :param to_probe: the destination to try before anything is bought, if any.
    :param execution_timeout: the Airflow task's own time limit, for an error.
    """

    def __init__(
        self,
        hook: MinimaxHook,
        request: PaidRequest | MinimaxError,
        slots: SubmissionSlots,
        failures: Failures,
        *,
        has_callback: bool,
        validate: bool,
        to_probe: Destination | None,
        execution_timeout: timedelta | None,
    ) -> None:
        self._hook = hook
        self._request = request
        self._slots = slots
        self._failures = failures
        self._has_callback = has_callback
        self._validate = validate
        self._to_probe = to_probe
        self._execution_timeout = execution_timeout
        self.is_under_way = False
        """Whether the request may be at the platform while its answer is not here."""

    def prepare(self) -> Deferral | None:
        """
        Do what comes right before the receipt says that a purchase begins.

        :return: what to wait for first, if anything.
        :raises MinimaxError: nothing can be bought.
        """
        if isinstance(self._request, MinimaxError):
            with self._failures.before_purchase():
                raise self._request
        if self._to_probe is not None:
            self._to_probe.check()
        if self._has_callback:
            check_callback(self._hook, self._request, validate=self._validate)
        if (deferral := self._slots.take(self._hook)) is not None:
            return deferral
        # Uploads take long, and a worker that dies in one has bought nothing.
        self._request = self._hook.upload_files(self._request)
        return None

    def send(self, intent: Receipt) -> str:
        """
        Send the request.

        :param intent: the receipt that says so; its ``attempt`` names this submission.
        :return: the remote task's id.
        :raises MinimaxSubmissionUnknownError: something may have been bought.
        :raises MinimaxError: nothing was bought.
        """
        if isinstance(self._request, MinimaxError):
            raise self._request
        request = self._request
        if self._has_callback:
            request = request.model_copy(
                update={"callback_url": address_of(self._hook.minimax_conn_id, intent.attempt)}
            )
        self.is_under_way = True
        try:
            return self._hook.submit(request, validate=False, after_refusals=not self._slots.can_defer)
        except MinimaxRequestError as error:
            if not self._has_callback:
                raise
            raise as_unanswered_challenge(error) from error.__cause__
        except AirflowTaskTimeout as error:
            raise MinimaxSubmissionUnknownError(
                f"the execution_timeout of {self._execution_timeout} passed while the submission was under way",
                billing="It may have been bought and may be billed.",
                hint="Check the platform's console before running this task again, and give it more time.",
            ) from error
        finally:
            self.is_under_way = False


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
