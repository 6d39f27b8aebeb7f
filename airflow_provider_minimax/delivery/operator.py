"""What Airflow asks of operators that deliver clips, besides running them: rendered paths, links, and lineage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.delivery.assets import warn_instead_of_raising
from airflow_provider_minimax.paths import as_text

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseOperatorLink, Context


def render_template_fields(
    operator: Any,
    render: Callable[..., None],
    parent: Any,
    template_fields: Iterable[str],
    context: Context,
    jinja_env: Any,
    seen_oids: set[int],
) -> None:
    """
    Let Airflow render templates in path objects too, and remember what the author wrote for ``output_path``.

    :param operator: the operator; its ``_written_path`` becomes ``output_path`` as the author wrote it, or nothing of
        one that came from another task.
    :param render: how Airflow renders fields, which takes the parameters below.
    :param parent: what has the fields: the operator itself, or a value in one of its fields.
    :param template_fields: their names.
    :param context: the task's context.
    :param jinja_env: the environment of the templates.
    :param seen_oids: what Airflow has seen already, which are values of other tasks and must not be rendered.
    """
    if parent is not operator:
        render(parent, template_fields, context, jinja_env, seen_oids)
        return
    wants_path = operator.output_path is not None
    for name in operator.template_fields:
        value = getattr(operator, name)
        if id(value) not in seen_oids and (text := as_text(value)) is not value:
            setattr(operator, name, text)
    is_written = isinstance(operator.output_path, str) and id(operator.output_path) not in seen_oids
    operator._written_path = operator.output_path if is_written else ""
    render(parent, template_fields, context, jinja_env, seen_oids)
    if wants_path and operator.output_path is None:
        # The author wanted a clip delivered; this is no path, and is refused as such.
        operator.output_path = ""


def clip_links() -> Collection[BaseOperatorLink]:
    """Return the links of a task in the UI. Airflow asks for them when it stores the DAG, not when it parses it."""
    from airflow_provider_minimax.delivery.links import MinimaxClipLink, MinimaxFactsLink

    return MinimaxClipLink(), MinimaxFactsLink()


def lineage_on_complete(operator: Any) -> OperatorLineage[Any, Any] | None:
    """
    Return the lineage of the clip that an operator delivered, for Airflow's OpenLineage provider.

    :param operator: the operator, at the end of its task; its ``_delivered`` is the clip, if there is one.
    :return: the lineage; ``None`` without a clip, or if it cannot be made, which is logged.
    """
    if operator._delivered is None:
        return None
    with warn_instead_of_raising(operator.log, "No lineage of the clip, which is delivered all the same"):
        from airflow_provider_minimax.delivery.openlineage import lineage_of

        return lineage_of(operator._delivered)
    return None
