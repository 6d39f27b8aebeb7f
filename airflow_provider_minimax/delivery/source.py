"""What a delivery needs of the remote API. ``MinimaxHook`` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow_provider_minimax.api.cost import ListPrice
    from airflow_provider_minimax.api.http.transport import Transport
    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoFile, VideoTask


class ClipSource(Protocol):
    """Where finished clips are downloaded from."""

    def account(self) -> dict[str, str]:
        """Return the platform, its base URL and the connection."""

    def get_conn(self) -> Transport:
        """Return the HTTP client."""

    def get_task(self, minimax_task_id: str, *, api_version: str) -> VideoTask:
        """Return the remote task."""

    def get_file(self, task: VideoTask) -> VideoFile:
        """Return fresh links to the clip of a finished task."""

    def list_price(
        self, request: PaidRequest, *, seconds: float | None = None, input_seconds: float | None = None
    ) -> ListPrice | None:
        """Return the list price of a request, if it is known."""
