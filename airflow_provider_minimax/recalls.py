"""What earlier tries of a task left behind: its receipt, and the id that this try pushed before it left its worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.delivery.places import Place
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.receipts.ledger import Ledger


class RecallsEarlierTries:
    """Makes an operator that buys know what was bought for it before."""

    _product: ClassVar[str]
    durable: bool
    on_clear: Literal["resubmit", "reuse"]
    do_xcom_push: bool
    log: Any
    # Returns the output's place, if there is an output.
    _place: Callable[[Context], Place | None]

    def _ledger(self, context: Context) -> Ledger:
        from airflow_provider_minimax.receipts.ledger import Ledger
        from airflow_provider_minimax.receipts.of_task import ledger_of

        if not self.durable:
            return Ledger((), log=self.log)
        place = self._place(context)
        return ledger_of(context, place.url if place else None, self.log)

    @contextmanager
    def _mindful_of_earlier_tries(self, context: Context) -> Iterator[None]:
        """Let no error in here say that nothing was bought if an earlier submission of this task did or may have."""
        from airflow_provider_minimax.receipts.of_task import owner_of
        from airflow_provider_minimax.receipts.record import Phase

        try:
            yield
        except MinimaxError as error:
            receipt = None
            with suppress(MinimaxError):
                receipt = self._ledger(context).read()
            if receipt is not None and receipt.owner == owner_of(context) and receipt.phase is not Phase.FAILED:
                error.minimax_task_id = receipt.minimax_task_id
                did = "bought" if receipt.minimax_task_id else "may have bought"
                error.money = f"Nothing was bought now; an earlier submission {did} a {self._product}."
            raise

    def _asked_before(self, context: Context, hook: MinimaxHook, request: PaidRequest) -> bool:
        """Whether an earlier try, which this one goes on from, submitted the same request as its author wrote it."""
        from airflow_provider_minimax.receipts.of_task import mark_of, owner_of

        receipt = self._ledger(context).read()
        if receipt is None or receipt.asked is None or receipt.owner != owner_of(context):
            return False
        ti: Any = context["ti"]
        goes_on = self.on_clear == "reuse" or receipt.max_tries in (None, ti.max_tries)
        return goes_on and receipt.asked == mark_of(request, hook.account(), hook.api_version(request.model))

    def _recorded_id(self, context: Context) -> str | None:
        receipt = self._ledger(context).read_if_possible()
        return receipt.minimax_task_id if receipt else None

    def _told_without_clip(self, context: Context) -> str | None:
        """Return what was bought, in words, if a trigger broke before this try knew of a clip; it tells nothing."""
        from airflow_provider_minimax.receipts.record import Phase

        if pushed_id(context) is not None:
            return None
        try:
            ledger = self._ledger(context)
            receipt = ledger.read()
        except MinimaxError:
            return None
        if receipt is not None and receipt.phase is Phase.INTENT:
            return "It may have been bought and may be billed."
        if self.do_xcom_push:
            # The id is pushed before any other wait.
            return NOTHING_BOUGHT
        ti: Any = context["ti"]
        is_of_this_round = receipt is not None and receipt.max_tries == ti.max_tries
        return NOTHING_BOUGHT if ledger.keeps and not is_of_this_round else None


def id_of_event(next_kwargs: dict[str, Any] | None) -> str | None:
    """Return the id that the trigger's event is about, if it sent one that we understand."""
    from airflow_provider_minimax.api.pace import Outcome

    outcome = Outcome.of_event((next_kwargs or {}).get("event"))
    known = outcome.task or outcome.error
    return known.minimax_task_id if known else None


def pushed_id(context: Context) -> str | None:
    """Return the id that this try pushed before it deferred; Airflow keeps it until the next try."""
    ti: Any = context["ti"]
    pushed = ti.xcom_pull(task_ids=ti.task_id, key="task_id", map_indexes=ti.map_index)
    return None if pushed is None else str(pushed)
