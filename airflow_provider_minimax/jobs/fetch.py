"""One try at fetching a clip that is bought already. It buys nothing, so it may be repeated at will."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.delivery.assets import ClipAsset, announce, result_of, warn_instead_of_raising
from airflow_provider_minimax.delivery.deliver import deliver_by_id
from airflow_provider_minimax.delivery.destination import destination_of
from airflow_provider_minimax.exceptions import MinimaxRequestError, retry_buys_nothing
from airflow_provider_minimax.options import checked_id, known_version
from airflow_provider_minimax.purchases.context import owner_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_minimax.delivery.destination import Destination
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.options import DeliveryOptions


class FetchJob:
    """
    One try at fetching one clip.

    :param hook: the way to the platform; closed by :meth:`close`.
    :param context: the context of the Airflow task that fetches.
    :param task: that task; its assets and lineage hear of the clip.
    :param delivery: what the author chose about the file.
    """

    def __init__(self, hook: MinimaxHook, context: Context, task: BaseOperator, delivery: DeliveryOptions) -> None:
        self._hook = hook
        self._context = context
        self._task = task
        self._delivery = delivery
        self.delivered: ClipAsset | None = None

    def close(self) -> None:
        """Close the connection's client."""
        self._hook.close()

    def destination(self) -> Destination | None:
        """
        Return where the clip goes, if anywhere.

        :raises MinimaxRequestError: ``output_path`` is no path.
        """
        if self._delivery.output_path is None:
            return None
        return destination_of(self._delivery.output_path, owner_of(self._context), written=self._delivery.written_path)

    def run(self, minimax_task_id: Any, file_id: Any, api_version: str | None) -> dict[str, Any]:
        """
        Fetch a clip by the id of its remote task or of its file, unless that was done.

        :param minimax_task_id: the remote task, as the author's parameter was rendered.
        :param file_id: the file instead, likewise.
        :param api_version: which version of MiniMax's API knows them, likewise.
        :return: the clip's facts.
        :raises MinimaxError: there is no clip; a retry buys nothing.
        """
        with retry_buys_nothing():
            if minimax_task_id is None and file_id is None:
                raise MinimaxRequestError(
                    "minimax_task_id=None and file_id=None: the template of the one that was given became None",
                    hint="Give the XCom of the task that submitted.",
                )
            task_id = None if minimax_task_id is None else checked_id(minimax_task_id)
            file_id = None if file_id is None else checked_id(file_id, "file_id")
            version = known_version(api_version)
            destination = self.destination()
            if destination is None:
                raise MinimaxRequestError("output_path=None: must be a path or URL")

            def find() -> VideoTask:
                if task_id is not None:
                    return self._hook.get_task(task_id, api_version=version)
                # A file may be fetched without its task being known; only the first version of the API has file ids.
                return VideoTask("", TaskState.SUCCEEDED, file_id=file_id, api_version=version or "v1")

            return self.deliver(destination, task_id, file_id, find)

    def deliver(
        self,
        destination: Destination,
        minimax_task_id: str | None,
        file_id: str | None,
        find: Callable[[], VideoTask],
    ) -> dict[str, Any]:
        """
        Deliver a clip unless that was done, and report it to Airflow.

        :param destination: where it goes.
        :param minimax_task_id: its remote task, if it is known by that.
        :param file_id: its file, if it is known by that.
        :param find: asks the platform for the remote task.
        :return: the clip's facts.
        """
        log = self._task.log
        clip = deliver_by_id(
            self._context,
            self._hook,
            destination,
            self._delivery,
            minimax_task_id=minimax_task_id,
            file_id=file_id,
            find=find,
            log=log,
        )
        with warn_instead_of_raising(log, "Airflow hears nothing of the clip, which is delivered all the same"):
            self.delivered = ClipAsset(clip.facts["output_path"], clip.facts_with_origin())
            announce(self._context, self._task, self.delivered)
        return result_of(self._context, clip.facts)
