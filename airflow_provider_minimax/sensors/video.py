"""The sensor: waits for a remote task, with or without holding a worker slot. It buys nothing, so it may be retried."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseSensorOperator, PokeReturnValue

from airflow_provider_minimax.options import (
    DeliveryOptions,
    check_api_version,
    check_output_path,
    checked_id,
    invalid_option,
    is_literal,
    seconds,
)
from airflow_provider_minimax.version_compat import conf

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_minimax.delivery.assets import ClipAsset
    from airflow_provider_minimax.jobs.wait import WaitJob
    from airflow_provider_minimax.options import Check, Overwrite
    from airflow_provider_minimax.paths import AnyPath


class MinimaxTaskSensor(BaseSensorOperator):
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
    _job: WaitJob | None = None
    """The wait of this execution; its status checks share a connection."""
    _written_path: str | None = None
    _delivered: ClipAsset | None = None

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
        output_path: AnyPath | None = None,
        overwrite: Overwrite = False,
        check: Check = "none",
        preview: bool = False,
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
        self.output_path = output_path
        self.overwrite = overwrite
        self.check = check
        self.preview = preview
        if is_literal(minimax_task_id):
            checked_id(minimax_task_id)
        check_api_version(api_version)
        if cancel_on_timeout and api_version == "v1":
            raise invalid_option(
                "cancel_on_timeout=True: is for api_version='v2'; the first version of MiniMax's API cannot cancel"
            )
        # Made for its checks; what is rendered is read when it is needed.
        self._delivery_options()
        check_output_path(output_path)

    def _delivery_options(self) -> DeliveryOptions:
        return DeliveryOptions(
            output_path=self.output_path,
            overwrite=self.overwrite,
            check=self.check,
            preview=self.preview,
            written_path=self._written_path,
        )

    def _open_job(self) -> WaitJob:
        from airflow_provider_minimax.hooks.minimax import MinimaxHook
        from airflow_provider_minimax.jobs.wait import WaitJob

        self._job = WaitJob(MinimaxHook(self.minimax_conn_id), self, self._delivery_options())
        return self._job

    def poke(self, context: Context) -> PokeReturnValue:
        """Check once: not yet, the task's facts, or why there is no clip."""
        return (self._job or self._open_job()).poke()

    def execute(self, context: Context) -> Any:
        """Wait for the task, in this process or in the triggerer, and deliver its clip if the options say so."""
        from airflow_provider_minimax.purchases.deferral import Deferral
        from airflow_provider_minimax.triggers.deferring import defer

        with closing(self._open_job()) as job:
            result = job.run(context)
        self._delivered = job.delivered
        return defer(self, result) if isinstance(result, Deferral) else result

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Turn the trigger's event into the sensor's result or failure."""
        from airflow_provider_minimax.polling.poller import Outcome

        with closing(self._open_job()) as job:
            result = job.finish(context, Outcome.from_event(event))
        self._delivered = job.delivered
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; unlike the base class, with the same outcomes as without deferral, on every version of Airflow."""
        if next_method == "execute_complete":
            # It fails or skips by itself, which must not be decided once more.
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
        with closing(self._open_job()) as job:
            return job.resume(next_method, next_kwargs, context)

    # -- what Airflow asks besides -------------------------------------------------------------------------------------

    @property
    def operator_extra_links(self) -> Collection[BaseOperatorLink]:  # type: ignore[override]
        """Links of the task in the UI."""
        from airflow_provider_minimax.delivery.operator import clip_links

        return clip_links()

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        from airflow_provider_minimax.delivery.operator import render_template_fields

        render = super()._do_render_template_fields
        render_template_fields(self, render, parent, template_fields, context, jinja_env, seen_oids)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Return the clip's lineage, for Airflow's OpenLineage provider, which calls this at the end of the task."""
        from airflow_provider_minimax.delivery.operator import lineage_on_complete

        return lineage_on_complete(self)
