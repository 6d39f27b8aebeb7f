"""What the operators and the sensor that deliver clips have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_minimax.delivery.links import MinimaxClipLink, MinimaxFactsLink
from airflow_provider_minimax.paths import as_text

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseOperator, BaseOperatorLink, Context

    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.delivery.assets import Delivered
    from airflow_provider_minimax.delivery.deliver import DeliveryOptions
    from airflow_provider_minimax.delivery.delivered_clip import DeliveredClip
    from airflow_provider_minimax.delivery.destination import Destination
    from airflow_provider_minimax.hooks.minimax import MinimaxHook


class RendersPaths:
    """Makes Airflow render templates in path objects too, and remembers what the author wrote for ``output_path``."""

    template_fields: Collection[str]
    output_path: Any = None
    _written_path: str | None = None
    """``output_path`` as the author wrote it; nothing of one that came from another task, ``None`` before rendering."""

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        wants_path = parent is self and self.output_path is not None
        if parent is self:
            # What Airflow has seen already are values of other tasks, which must not be rendered.
            for name in self.template_fields:
                value = getattr(self, name)
                if id(value) not in seen_oids and (text := as_text(value)) is not value:
                    setattr(self, name, text)
            is_written = isinstance(self.output_path, str) and id(self.output_path) not in seen_oids
            self._written_path = self.output_path if is_written else ""
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)  # type: ignore[misc]
        if wants_path and self.output_path is None:
            # A clip with no place is not what was asked for; this is no path, and is refused as such.
            self.output_path = ""


class DeliversClips(RendersPaths):
    """
    Makes an operator put clips in their place, and tell of them: to assets, to lineage, and in its links.

    The operator has ``output_path``, ``overwrite``, ``check`` and ``preview``.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (MinimaxClipLink(), MinimaxFactsLink())

    overwrite: bool
    check: str
    preview: bool
    log: Any
    _place_found: Destination | None = None
    _delivered: Delivered | None = None

    def _place(self, context: Context) -> Destination | None:
        from airflow_provider_minimax.delivery.destination import destination_of
        from airflow_provider_minimax.purchases.context import owner_of

        if self.output_path is not None and self._place_found is None:
            self._place_found = destination_of(self.output_path, owner_of(context), written=self._written_path)
        return self._place_found

    def _wishes(self) -> DeliveryOptions:
        from airflow_provider_minimax.delivery.deliver import DeliveryOptions

        return DeliveryOptions(self.overwrite, self.check, self.preview)

    def _deliver(
        self,
        context: Context,
        hook: MinimaxHook,
        place: Destination,
        minimax_task_id: str | None,
        file_id: str | None,
        find: Callable[[], VideoTask],
    ) -> dict[str, Any]:
        """Deliver a clip that is known by its id, and return its facts."""
        from airflow_provider_minimax.delivery.deliver import deliver_by_id

        landed = deliver_by_id(
            context,
            hook,
            place,
            self._wishes(),
            minimax_task_id=minimax_task_id,
            file_id=file_id,
            find=find,
            log=self.log,
        )
        return self._announced(context, landed)

    def _announced(self, context: Context, landed: DeliveredClip) -> dict[str, Any]:
        """Tell Airflow about a clip that is in its place, and return its facts."""
        from airflow_provider_minimax.delivery.assets import Delivered, result_of, warn_instead_of_raising

        with warn_instead_of_raising(self.log, "Airflow hears nothing of the clip, which is delivered all the same"):
            self._tell(context, Delivered(landed.facts["output_path"], landed.facts_with_origin()))
        return result_of(context, landed.facts)

    def _tell(self, context: Context, delivered: Delivered) -> None:
        from airflow_provider_minimax.delivery.assets import announce

        self._delivered = delivered
        announce(context, cast("BaseOperator", self), delivered)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Return the clip's lineage, for Airflow's OpenLineage provider, which calls this at the end of the task."""
        if self._delivered is None:
            return None
        from airflow_provider_minimax.delivery.assets import warn_instead_of_raising

        with warn_instead_of_raising(self.log, "No lineage of the clip, which is delivered all the same"):
            from airflow_provider_minimax.delivery.openlineage import lineage_of

            return lineage_of(self._delivered)
        return None
