"""What the operators and the sensor that deliver clips have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_minimax.options import Check, DeliveryOptions, Overwrite, check_output_path
from airflow_provider_minimax.paths import as_text

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.delivery.assets import ClipAsset
    from airflow_provider_minimax.delivery.destination import Destination
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.paths import AnyPath


@contextmanager
def rendered_paths(operator: Any, seen_oids: set[int]) -> Iterator[None]:
    """
    Let Airflow render templates in path objects too, and remember what the author wrote for ``output_path``.

    :param operator: the operator whose fields are rendered in here; its ``_written_path`` becomes ``output_path`` as
        the author wrote it, or nothing of one that came from another task.
    :param seen_oids: what Airflow has seen already, which are values of other tasks and must not be rendered.
    """
    wants_path = operator.output_path is not None
    for name in operator.template_fields:
        value = getattr(operator, name)
        if id(value) not in seen_oids and (text := as_text(value)) is not value:
            setattr(operator, name, text)
    is_written = isinstance(operator.output_path, str) and id(operator.output_path) not in seen_oids
    operator._written_path = operator.output_path if is_written else ""
    yield
    if wants_path and operator.output_path is None:
        # The author wanted a clip delivered; this is no path, and is refused as such.
        operator.output_path = ""


class DeliversClips(BaseOperator):
    """
    An operator that delivers clips, and reports them to assets, to lineage, and in its links.

    :param output_path: where to put the clip: a path, or any URL that Airflow's object storage knows; one that ends
        with a slash is a folder, in which the clip gets a name made of this task's. Its receipt is kept next to it.
        Templated.
    :param overwrite: whether a file that is already there, and is not this clip, may be replaced.
    :param check: how closely to examine the clip first: ``"none"``, ``"basic"`` or ``"full"``.
    :param preview: whether to make a poster frame and a contact sheet next to the clip.
    """

    _written_path: str | None = None
    """``output_path`` as the author wrote it; nothing of one that came from another task, ``None`` before rendering."""
    _delivered: ClipAsset | None = None

    def __init__(
        self,
        *,
        output_path: AnyPath | None = None,
        overwrite: Overwrite = False,
        check: Check = "none",
        preview: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.overwrite = overwrite
        self.check = check
        self.preview = preview
        # Made for its checks; what is rendered is read when it is needed.
        self._delivery_options()
        check_output_path(output_path)

    @property
    def operator_extra_links(self) -> Collection[BaseOperatorLink]:  # type: ignore[override]
        """Links of the task in the UI. Airflow asks for them when it stores the DAG, not when it parses it."""
        from airflow_provider_minimax.delivery.links import MinimaxClipLink, MinimaxFactsLink

        return MinimaxClipLink(), MinimaxFactsLink()

    @property
    def _delivers(self) -> bool:
        """Whether this task delivers the clip itself."""
        return True

    def _delivery_options(self) -> DeliveryOptions:
        return DeliveryOptions(
            output_path=self.output_path,
            overwrite=self.overwrite,
            check=self.check,
            preview=self.preview,
            delivers=self._delivers,
            written_path=self._written_path,
        )

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
            return
        with rendered_paths(self, seen_oids):
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def _destination(self, context: Context) -> Destination | None:
        if self.output_path is None:
            return None
        from airflow_provider_minimax.delivery.destination import destination_of
        from airflow_provider_minimax.purchases.context import owner_of

        return destination_of(self.output_path, owner_of(context), written=self._written_path)

    def _deliver(
        self,
        context: Context,
        hook: MinimaxHook,
        destination: Destination,
        *,
        minimax_task_id: str | None,
        file_id: str | None,
        find: Callable[[], VideoTask],
    ) -> dict[str, Any]:
        """Deliver a clip that is known by its id, report it to Airflow, and return its facts."""
        from airflow_provider_minimax.delivery.assets import ClipAsset, result_of, warn_instead_of_raising
        from airflow_provider_minimax.delivery.deliver import deliver_by_id

        clip = deliver_by_id(
            context,
            hook,
            destination,
            self._delivery_options(),
            minimax_task_id=minimax_task_id,
            file_id=file_id,
            find=find,
            log=self.log,
        )
        with warn_instead_of_raising(self.log, "Airflow hears nothing of the clip, which is delivered all the same"):
            self._announce(context, ClipAsset(clip.facts["output_path"], clip.facts_with_origin()))
        return result_of(context, clip.facts)

    def _announce(self, context: Context, delivered: ClipAsset) -> None:
        from airflow_provider_minimax.delivery.assets import announce

        self._delivered = delivered
        announce(context, self, delivered)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Return the clip's lineage, for Airflow's OpenLineage provider, which calls this at the end of the task."""
        if self._delivered is None:
            return None
        from airflow_provider_minimax.delivery.assets import warn_instead_of_raising

        with warn_instead_of_raising(self.log, "No lineage of the clip, which is delivered all the same"):
            from airflow_provider_minimax.delivery.openlineage import lineage_of

            return lineage_of(self._delivered)
        return None
