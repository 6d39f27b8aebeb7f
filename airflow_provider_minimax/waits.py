"""What the operators that buy do once it is bought: wait in the worker or in the triggerer, and cancel what may be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_minimax.deferral import SAFETY_NET
from airflow_provider_minimax.exceptions import CANCELLED, MinimaxError, MinimaxTaskTimeoutError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.pace import Outcome
    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.receipts.ledger import Ledger
    from airflow_provider_minimax.receipts.record import Receipt


class WaitsForTasks:
    """Makes an operator wait for a remote task that a receipt tells of."""

    model: Any
    minimax_conn_id: str
    on_clear: Literal["resubmit", "reuse"]
    poll_interval: float | None
    timeout: float
    execution_timeout: timedelta | None
    defer: Callable[..., Any]
    log: Any
    _hook: Callable[[], MinimaxHook]
    _cancel: Callable[[], str] | None = None

    def _look_first(self, hook: MinimaxHook, receipt: Receipt) -> Outcome | None:
        """Look at a task that was bought before: it may be over long since."""
        from airflow_provider_minimax.api.pace import Outcome, settle
        from airflow_provider_minimax.hooks.minimax import look

        try:
            return settle(look(hook, str(receipt.minimax_task_id), receipt.api_version))
        except MinimaxError as error:
            if error.is_final:
                return Outcome(None, error)
            self.log.warning("The first look failed, looking on: %s", error)
            return None

    def _patience(self) -> float:
        limit: timedelta | None = self.execution_timeout
        return self.timeout if limit is None else min(self.timeout, limit.total_seconds())

    def _may_cancel(self, context: Context, receipt: Receipt) -> bool:
        """Whether the remote task may be cancelled with this one: nobody else waits for it."""
        from airflow_provider_minimax.receipts.of_task import owner_of

        return receipt.api_version == "v2" and receipt.owner == owner_of(context)

    def _defer(self, context: Context, receipt: Receipt, deadline: float, clip: dict[str, Any]) -> None:
        from airflow_provider_minimax.cancelling import push_attempt
        from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

        attempt = push_attempt(context) if self._may_cancel(context, receipt) else None
        self.defer(
            trigger=MinimaxTaskTrigger(
                minimax_task_id=str(receipt.minimax_task_id),
                minimax_conn_id=self.minimax_conn_id,
                deadline=deadline,
                poll_interval=self.poll_interval,
                api_version=receipt.api_version,
                clip=clip,
                cancel_on_kill=attempt is not None,
                cancel_on_clear=attempt is not None and self.on_clear == "resubmit",
                attempt=attempt,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self._patience() + SAFETY_NET),
        )

    def _wait(
        self, context: Context, hook: MinimaxHook, receipt: Receipt, deadline: float, clip: dict[str, Any]
    ) -> Outcome:
        from airflow_provider_minimax.api.foresight import foreseen
        from airflow_provider_minimax.api.pace import Pace, Wait, Watch
        from airflow_provider_minimax.hooks.minimax import look

        minimax_task_id = str(receipt.minimax_task_id)
        # A worker is not told whether its task was marked, or cleared and tried again.
        if self.on_clear == "resubmit" and self._may_cancel(context, receipt):
            # A signal may come in the middle of a request, so the cancellation does not share its client.
            self._cancel = lambda: self._given_up(hook.apart(), minimax_task_id, receipt.api_version)[1]
        pace = foreseen(self.minimax_conn_id, clip) if self.poll_interval is None else Pace(self.poll_interval)
        watch = Watch(minimax_task_id, deadline=deadline, pace=pace)
        step: Wait | Outcome = watch.start(time.time())
        while isinstance(step, Wait):
            if step.note:
                self.log.log(logging.WARNING if step.warn else logging.INFO, "%s", step.note)
            time.sleep(step.seconds)
            try:
                seen: VideoTask | MinimaxError = look(hook, minimax_task_id, receipt.api_version)
            except MinimaxError as error:
                seen = error
            step = watch.after(seen, time.time())
        self._cancel = None
        return step

    def _given_up(
        self, hook: MinimaxHook, minimax_task_id: str, api_version: str
    ) -> tuple[VideoTask | MinimaxError, str]:
        """Cancel a remote task if that is still possible; return what was seen of it, and the same in words."""
        from airflow_provider_minimax.cancelling import give_up, told

        with closing(hook):
            seen = give_up(hook, minimax_task_id, api_version)
        return seen, told(seen, minimax_task_id)

    def _cancel_after(self, context: Context, error: MinimaxTaskTimeoutError, ledger: Ledger | None) -> None:
        """Cancel what was waited for too long, if that is still possible and nobody else's, and write that down."""
        from airflow_provider_minimax.api.catalogue import api_of
        from airflow_provider_minimax.api.pace import settle
        from airflow_provider_minimax.receipts.of_task import owner_of

        minimax_task_id = str(error.minimax_task_id)
        receipt = ledger.read_of(minimax_task_id) if ledger is not None else None
        if receipt is not None and receipt.owner != owner_of(context):
            return
        seen, error.money = self._given_up(self._hook(), minimax_task_id, api_of(self.model))
        outcome = None if isinstance(seen, MinimaxError) else settle(seen)
        if outcome is None or outcome.error is None or outcome.error.code != CANCELLED:
            return
        error.hint = "Clear this task to buy anew."
        if ledger is not None and receipt is not None:
            ledger.keep(receipt.failed(outcome.error))


def clip_of(request: PaidRequest, receipt: Receipt) -> dict[str, Any]:
    """
    Return what the pace of looks depends on, as plain values for a trigger.

    :param request: what was bought.
    :param receipt: when.
    """
    is_clip = request.task_type == "generation"
    return {
        "model": request.model if is_clip else f"{request.model} {request.task_type}",
        "resolution": request.get("resolution"),
        "duration": request.get("duration"),
        "bought_at": receipt.began_at.timestamp(),
    }
