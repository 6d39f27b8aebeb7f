"""What the operators and the sensor that deliver clips have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.downstream import Delivered, TellsOfClips
from airflow_provider_minimax.links import MinimaxClipLink, MinimaxFactsLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.delivery.landing import Landed, Wishes
    from airflow_provider_minimax.delivery.places import Place
    from airflow_provider_minimax.hooks.minimax import MinimaxHook


class DeliversClips(TellsOfClips):
    """Makes an operator put clips in their place; it has ``output_path``, ``overwrite``, ``check`` and ``preview``."""

    operator_extra_links: Collection[BaseOperatorLink] = (MinimaxClipLink(), MinimaxFactsLink())

    output_path: Any
    overwrite: bool
    check: str
    preview: bool
    log: Any
    _place_found: Place | None = None

    def _place(self, context: Context) -> Place | None:
        from airflow_provider_minimax.delivery.places import place_of
        from airflow_provider_minimax.receipts.of_task import owner_of

        if self.output_path is not None and self._place_found is None:
            self._place_found = place_of(self.output_path, owner_of(context))
        return self._place_found

    def _wishes(self) -> Wishes:
        from airflow_provider_minimax.delivery.landing import Wishes

        return Wishes(self.overwrite, self.check, self.preview)

    def _deliver(
        self,
        context: Context,
        hook: MinimaxHook,
        place: Place,
        minimax_task_id: str | None,
        file_id: str | None,
        find: Callable[[], VideoTask],
    ) -> dict[str, Any]:
        """Deliver a clip that is known by its id, and return its facts."""
        from airflow_provider_minimax.delivery.landing import deliver

        landed = deliver(
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

    def _announced(self, context: Context, landed: Landed, pictures: tuple[str, ...] = ()) -> dict[str, Any]:
        """Tell Airflow of a clip that is in its place, and return its facts."""
        self._tell(context, Delivered(landed.facts["output_path"], landed.told(), pictures))
        return landed.facts
