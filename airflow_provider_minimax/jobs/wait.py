"""
One try at waiting for a remote task that another Airflow task submitted, and at delivering its clip.

It buys nothing, so it may be begun again after any death, in any process.
"""

from __future__ import annotations

import math
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_minimax.callbacks.reader import ANY_ATTEMPT
from airflow_provider_minimax.exceptions import CANCELLED, MinimaxError, MinimaxTaskTimeoutError, after_purchase
from airflow_provider_minimax.jobs.fetch import FetchJob
from airflow_provider_minimax.options import checked_id, known_version
from airflow_provider_minimax.polling import deferral
from airflow_provider_minimax.polling.poller import MAX_FAILURES, Outcome, terminal_outcome, timed_out
from airflow_provider_minimax.polling.worker import TaskWait
from airflow_provider_minimax.version_compat import AirflowSensorTimeout, AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.delivery.assets import ClipAsset
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.options import DeliveryOptions
    from airflow_provider_minimax.purchases.deferral import Deferral
    from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

_BUY_ANOTHER = "Clear the task that submitted it to buy another."
_WAIT_ON = "Clear this sensor to wait on, with a longer timeout if need be; that buys nothing."


class WaitJob:
    """
    One try at one wait.

    :param hook: the way to the platform, for all status checks of this process; closed by :meth:`close`.
    :param sensor: the sensor, with its options and Airflow's own.
    :param delivery: what the author chose about the file.
    """

    def __init__(self, hook: MinimaxHook, sensor: MinimaxTaskSensor, delivery: DeliveryOptions) -> None:
        self._hook = hook
        self._sensor = sensor
        self._delivery = delivery
        self._log = sensor.log
        self._deadline = math.inf
        self.delivered: ClipAsset | None = None

    def close(self) -> None:
        """Close the connection's client."""
        self._hook.close()

    @cached_property
    def _wait(self) -> TaskWait:
        return TaskWait(
            self._hook,
            checked_id(self._sensor.minimax_task_id),
            known_version(self._sensor.api_version),
            deadline=self._deadline,
            log=self._log,
            waits_out_connection=self._sensor.silent_fail,
        )

    def poke(self) -> PokeReturnValue:
        """Check once: not yet, the task's facts, or why there is no clip."""
        task = self._poll()
        self._log.info("MiniMax task %s: %s", task.minimax_task_id, task.status or task.state)
        outcome = terminal_outcome(task)
        if outcome is None:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=outcome.result().as_result())

    def _poll(self) -> VideoTask:
        try:
            return self._wait.poll(retries=None)
        except MinimaxError as error:
            raise after_purchase(error, "worker") from error.__cause__

    def run(self, context: Context) -> dict[str, Any] | Deferral:
        """
        Wait for the task, and deliver its clip if the author wants that.

        :param context: the context of the sensor's task.
        :return: the task's facts; a :class:`Deferral` if the sensor is to wait in the triggerer.
        :raises MinimaxError: why there is no clip.
        :raises AirflowSkipException: the same, where the author wants the sensor skipped.
        """
        self._deadline = self._began_at(context) + self._sensor.timeout
        try:
            if self._fetch(context).destination() is not None:
                self._delivery.check_dependencies()
            return self._poll_then_defer(context) if self._sensor.deferrable else self._poke_until_done(context)
        except MinimaxError as error:
            self._complete(error)
            raise

    def _began_at(self, context: Context) -> float:
        """Return when the wait began, in epoch seconds: this process may not be its first."""
        ti: Any = context["ti"]
        is_rescheduled = self._sensor.reschedule and not self._sensor.deferrable
        first = ti.get_first_reschedule_date(context) if is_rescheduled else None
        return time.time() if first is None else first.timestamp()

    def _poke_until_done(self, context: Context) -> dict[str, Any]:
        try:
            facts = BaseSensorOperator.execute(self._sensor, context)
        except MinimaxError:
            # Whether to skip instead was decided by the base class.
            raise
        except AirflowSensorTimeout:
            problem = f"the task did not end within {self._sensor.timeout:g} s"
            self._fail(timed_out(checked_id(self._sensor.minimax_task_id), problem, hint=_WAIT_ON))
        return self._done(context, facts)

    def _poll_then_defer(self, context: Context) -> dict[str, Any] | Deferral:
        try:
            wait = self._wait
        except MinimaxError as error:
            self._fail(error)
        outcome = wait.poll_first()
        if outcome is not None:
            return self._done(context, self._result(outcome).as_result())
        sensor = self._sensor
        return deferral.until_ended(
            wait.minimax_task_id,
            self._hook.minimax_conn_id,
            wait.api_version,
            deadline=self._deadline,
            longest_wait=sensor.timeout,
            purchase_attempt=ANY_ATTEMPT,
            poll_interval=sensor.poke_interval,
            exponential_backoff=sensor.exponential_backoff,
            max_wait=sensor.max_wait.total_seconds() if sensor.max_wait else None,
            max_failures=None if sensor.silent_fail else MAX_FAILURES,
        )

    def finish(self, context: Context, outcome: Outcome) -> dict[str, Any]:
        """
        Return what came of a wait in the triggerer, or raise why there is nothing.

        :param context: the context of the sensor's task.
        :param outcome: how the wait ended.
        :return: the task's facts.
        """
        task = self._result(outcome)
        self._log.info("MiniMax task %s: %s", task.minimax_task_id, task.status)
        return self._done(context, self._with_prompt(task).as_result())

    def _result(self, outcome: Outcome) -> VideoTask:
        try:
            task = outcome.result()
            self._wait.api_version = task.api_version
        except MinimaxError as error:
            self._fail(after_purchase(error, "triggerer"))
        return task

    def _with_prompt(self, task: VideoTask) -> VideoTask:
        """Return a task as the trigger saw it; what a rewriting wrote, its event does not carry."""
        try:
            return self._poll() if task.is_rewriting else task
        except MinimaxError as error:
            self._fail(error)

    def _done(self, context: Context, facts: Any) -> dict[str, Any]:
        """Deliver the clip if the options say so; push the id, so that ``sensor.output["task_id"]`` works."""
        if self._sensor.do_xcom_push:
            context["ti"].xcom_push(key="task_id", value=facts["task_id"])
        fetch = self._fetch(context)
        try:
            destination = fetch.destination()
            if destination is None:
                return dict(facts)
            return fetch.deliver(destination, checked_id(self._sensor.minimax_task_id), None, self._poll)
        except MinimaxError as error:
            self._fail(after_purchase(error, "worker"))
        finally:
            self.delivered = fetch.delivered

    def _fetch(self, context: Context) -> FetchJob:
        return FetchJob(self._hook, context, self._sensor, self._delivery)

    def resume(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume the sensor with the same outcomes as without deferral, on every version of Airflow.

        :param next_method: what Airflow wants to call.
        :param next_kwargs: with what.
        :param context: the context of the sensor's task.
        :raises MinimaxError: why there is no clip.
        :raises AirflowSkipException: the same, where the author wants the sensor skipped.
        """
        try:
            return deferral.resume(self._sensor, next_method, next_kwargs, context, str(self._sensor.minimax_task_id))
        except AirflowSkipException:
            raise
        except MinimaxError as error:
            self._fail(error)

    def _fail(self, error: MinimaxError) -> NoReturn:
        """Fail or skip as a poking sensor does: final errors obey ``soft_fail``, all errors obey ``never_fail``."""
        self._complete(error)
        if self._sensor.cancel_on_timeout and isinstance(error, MinimaxTaskTimeoutError):
            self._wait.cancel_after_timeout(error, hint=_BUY_ANOTHER)
        if self._sensor.never_fail or (self._sensor.soft_fail and error.is_final):
            raise AirflowSkipException(f"Skipped instead of failed: {error}") from error
        raise error

    def _complete(self, error: MinimaxError) -> None:
        """Add to an error what holds for all of a sensor's: which task, and that to wait for it again buys nothing."""
        error.minimax_task_id = error.minimax_task_id or str(self._sensor.minimax_task_id) or None
        error.resumable = True
        if error.code == CANCELLED:
            error.hint = _BUY_ANOTHER
