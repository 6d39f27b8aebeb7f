"""The sensor: waits for a remote task, with or without holding a worker slot. It buys nothing, so it may be retried."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_minimax.delivery.operator import DeliversClips
from airflow_provider_minimax.exceptions import (
    CANCELLED,
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxRequestError,
    MinimaxTaskTimeoutError,
    after_purchase,
)
from airflow_provider_minimax.options import (
    check_api_version,
    checked_id,
    is_literal,
    known_version,
    seconds,
)
from airflow_provider_minimax.version_compat import AirflowSensorTimeout, AirflowSkipException, conf

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.polling.poller import Outcome
    from airflow_provider_minimax.polling.worker import TaskWait

_BUY_ANOTHER = "Clear the task that submitted it to buy another."
_WAIT_ON = "Clear this sensor to wait on, with a longer timeout if need be; that buys nothing."


class MinimaxTaskSensor(DeliversClips, BaseSensorOperator):
    """
    Wait until a remote task is over, and return its facts; with ``output_path``, deliver its clip too.

    All options of :class:`~airflow.sdk.BaseSensorOperator` hold in all modes. A task that failed at the platform, and a
    wait that took longer than ``timeout``, fail the sensor at once (with ``soft_fail`` or ``never_fail`` they skip it);
    other errors are retried, with ``silent_fail`` until the time-out. So is what is wrong with the connection, because
    the task is bought.

    .. seealso:: :doc:`/howto/sensor`

    :param minimax_task_id: the remote task's id, usually the XCom of the task that submitted it. Templated.
    :param api_version: which version of MiniMax's API knows it: ``"v1"``, or ``"v2"`` for H3. Left out, that is found
        out by the first status check of a process, with one more request at most. The operator that submitted it pushes
        this to XCom too, under the key ``api_version``. Templated.
    :param minimax_conn_id: the connection it was submitted through. Templated.
    :param deferrable: whether to wait in the triggerer, without a worker slot; by default what Airflow's option
        ``[operators] default_deferrable`` says.
    :param poke_interval: seconds between status checks, more than 0.
    :param timeout: seconds until the wait ends, more than 0; the remote task keeps running and is billed all the same.
    :param cancel_on_timeout: whether to cancel the remote task when the wait timed out, if it is still queued, which is
        free of charge; H3 only. One that is being made keeps running in either case.
    :param output_path: where to put the clip, if the sensor is to deliver it: a path, or any URL that Airflow's
        object storage knows; one that ends with a slash is a folder, in which the clip gets a name made of this task's.
        Its receipt is kept next to it. Templated.
    :param overwrite: whether a file that is already there, and is not this clip, may be replaced.
    :param check: how closely to examine the clip first: ``"none"``, ``"basic"`` or ``"full"``, as
        :class:`~airflow_provider_minimax.operators.video.MinimaxVideoGenerationOperator` says.
    :param preview: whether to make a poster frame and a contact sheet next to the clip.
    :return: a dict with ``task_id``, ``state``, ``file_id``, ``width``, ``height`` and ``duration``, each ``None``
        where the platform does not report it, and with ``output_path`` also ``output_path``, ``size`` in bytes and
        ``sha256``; for the rewriting of a prompt, also ``prompt``. The id is pushed to XCom by itself too, under the
        key ``task_id``.
    """

    template_fields: Sequence[str] = ("minimax_task_id", "api_version", "minimax_conn_id", "output_path")
    ui_color = "#ffe3dc"
    _deadline = math.inf
    _seen_version: str | None = None
    """The version of the API that knew the task at the last check."""

    def __init__(
        self,
        *,
        minimax_task_id: str,
        api_version: str | None = None,
        minimax_conn_id: str = "minimax_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 10.0,
        timeout: timedelta | float = 1800.0,
        cancel_on_timeout: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=seconds("poke_interval", poke_interval), timeout=seconds("timeout", timeout), **kwargs
        )
        self.minimax_task_id = minimax_task_id
        self.api_version = api_version
        self.minimax_conn_id = minimax_conn_id
        self.deferrable = deferrable
        self.cancel_on_timeout = cancel_on_timeout
        if is_literal(minimax_task_id):
            checked_id(minimax_task_id)
        check_api_version(api_version)
        if cancel_on_timeout and api_version == "v1":
            raise MinimaxRequestError(
                "cancel_on_timeout=True: is for api_version='v2'; the first version of MiniMax's API cannot cancel",
                billing=NOTHING_BOUGHT,
            )

    @cached_property
    def hook(self) -> MinimaxHook:
        """The hook, kept for all status checks of this process so that they share a connection."""
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        return MinimaxHook(self.minimax_conn_id)

    @property
    def _wait(self) -> TaskWait:
        from airflow_provider_minimax.callbacks.reader import ANY_ATTEMPT
        from airflow_provider_minimax.polling.worker import TaskWait

        return TaskWait(
            self.hook,
            checked_id(self.minimax_task_id),
            self._seen_version or known_version(self.api_version),
            deadline=self._deadline,
            log=self.log,
            waits_out_connection=self.silent_fail,
            purchase_attempt=ANY_ATTEMPT,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Check once: not yet, the task's facts, or why there is no clip."""
        from airflow_provider_minimax.polling.poller import terminal_outcome

        task = self._poll()
        self.log.info("MiniMax task %s: %s", task.minimax_task_id, task.status or task.state)
        outcome = terminal_outcome(task)
        if outcome is None:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=outcome.result().as_result())

    def _poll(self) -> VideoTask:
        try:
            task = self._wait.poll(retries=None)
        except MinimaxError as error:
            raise after_purchase(error, "worker") from error.__cause__
        self._seen_version = task.api_version
        return task

    def _began_at(self, context: Context) -> float:
        """Return when the wait began, in epoch seconds: this process may not be its first."""
        ti: Any = context["ti"]
        first = ti.get_first_reschedule_date(context) if self.reschedule and not self.deferrable else None
        return time.time() if first is None else first.timestamp()

    def execute(self, context: Context) -> Any:
        """Wait for the task, in this process or in the triggerer, and deliver its clip if the options say so."""
        self._deadline = self._began_at(context) + self.timeout
        try:
            if self._destination(context) is not None:
                self._delivery_options().check_dependencies()
            with closing(self.hook):
                return self._poll_then_defer(context) if self.deferrable else self._poke_until_done(context)
        except MinimaxError as error:
            self._complete(error)
            raise

    def _poke_until_done(self, context: Context) -> dict[str, Any]:
        from airflow_provider_minimax.polling.poller import timed_out

        try:
            facts = super().execute(context)
        except MinimaxError:
            # Whether to skip instead was decided by the base class.
            raise
        except AirflowSensorTimeout:
            problem = f"the task did not end within {self.timeout:g} s"
            self._fail(timed_out(checked_id(self.minimax_task_id), problem, hint=_WAIT_ON))
        return self._done(context, facts)

    def _poll_then_defer(self, context: Context) -> Any:
        try:
            wait = self._wait
        except MinimaxError as error:
            self._fail(error)
        outcome = wait.poll_first()
        if outcome is not None:
            return self._done(context, self._result(outcome).as_result())
        from airflow_provider_minimax.polling.poller import MAX_FAILURES
        from airflow_provider_minimax.triggers.deferring import defer

        deferral = wait.in_triggerer(
            self.timeout,
            poll_interval=self.poke_interval,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait.total_seconds() if self.max_wait else None,
            max_failures=None if self.silent_fail else MAX_FAILURES,
        )
        return defer(self, deferral)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Turn the trigger's event into the sensor's result or failure."""
        from airflow_provider_minimax.polling.poller import Outcome

        task = self._result(Outcome.from_event(event))
        self._seen_version = task.api_version
        self.log.info("MiniMax task %s: %s", task.minimax_task_id, task.status)
        with closing(self.hook):
            return self._done(context, self._with_prompt(task).as_result())

    def _result(self, outcome: Outcome) -> VideoTask:
        try:
            return outcome.result()
        except MinimaxError as error:
            self._fail(after_purchase(error, "triggerer"))

    def _with_prompt(self, task: VideoTask) -> VideoTask:
        """Return a task as the trigger saw it; what a rewriting wrote, its event does not carry."""
        try:
            return self._poll() if task.is_rewriting else task
        except MinimaxError as error:
            self._fail(error)

    def _done(self, context: Context, facts: Any) -> dict[str, Any]:
        """Deliver the clip if the options say so; push the id, so that ``sensor.output["task_id"]`` works."""
        if self.do_xcom_push:
            context["ti"].xcom_push(key="task_id", value=facts["task_id"])
        try:
            destination = self._destination(context)
            if destination is None:
                return dict(facts)
            minimax_task_id = checked_id(self.minimax_task_id)
            return self._deliver(
                context, self.hook, destination, minimax_task_id=minimax_task_id, file_id=None, find=self._poll
            )
        except MinimaxError as error:
            self._fail(after_purchase(error, "worker"))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; unlike the base class, with the same outcomes as without deferral, on every version of Airflow."""
        from airflow_provider_minimax.polling import deferral

        try:
            return deferral.resume(self, next_method, next_kwargs, context, str(self.minimax_task_id))
        except AirflowSkipException:
            raise
        except MinimaxError as error:
            self._fail(error)

    def _fail(self, error: MinimaxError) -> NoReturn:
        """Fail or skip as a poking sensor does: final errors obey ``soft_fail``, all errors obey ``never_fail``."""
        self._complete(error)
        if self.cancel_on_timeout and isinstance(error, MinimaxTaskTimeoutError):
            self._wait.cancel_after_timeout(error, hint=_BUY_ANOTHER)
        if self.never_fail or (self.soft_fail and error.is_final):
            raise AirflowSkipException(f"Skipped instead of failed: {error}") from error
        raise error

    def _complete(self, error: MinimaxError) -> None:
        """Add to an error what holds for all of a sensor's: which task, and that to wait for it again buys nothing."""
        error.minimax_task_id = error.minimax_task_id or str(self.minimax_task_id) or None
        error.resumable = True
        if error.code == CANCELLED:
            error.hint = _BUY_ANOTHER
