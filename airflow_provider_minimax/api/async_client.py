"""The remote API for an event loop: each call of ``calls.py`` in about one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_minimax.api import calls
from airflow_provider_minimax.api.http.async_transport import AsyncTransport
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.request import PaidRequest
from airflow_provider_minimax.api.task import TaskPage, VideoFile, VideoTask
from airflow_provider_minimax.api.versions import TaskVersions
from airflow_provider_minimax.exceptions import MinimaxError

if TYPE_CHECKING:
    from airflow_provider_minimax.api.balance import Balance
    from airflow_provider_minimax.api.inputs.content import FileContent
    from airflow_provider_minimax.api.uploaded_files import UploadedFile

R = TypeVar("R", bound=PaidRequest)
T = TypeVar("T")


class AsyncClient:
    """
    Does what :class:`~.client.Client` does, on one event loop.

    :param platform: the platform, by the first version of its API.
    :param endpoint: where it is, and the key.
    :param versions: which version knows which task; may be shared with other clients.
    """

    def __init__(self, platform: Platform, endpoint: Endpoint, versions: TaskVersions) -> None:
        self.platform = platform
        self.transport = AsyncTransport(endpoint)
        self._versions = versions

    async def submit(self, request: PaidRequest) -> str:
        """Do what :meth:`.Client.submit` does."""
        return await self._run(calls.submit(self.platform, self._versions, request))

    async def upload_files(self, request: R) -> R:
        """Do what :meth:`.Client.upload_files` does."""
        return await self._run(calls.upload_files(self.platform, request))

    async def upload(self, file: FileContent, name: str) -> str:
        """Do what :meth:`.Client.upload` does."""
        return await self._run(calls.upload(self.platform.latest, file, name))

    async def list_files(self) -> tuple[UploadedFile, ...]:
        """Do what :meth:`.Client.list_files` does."""
        return await self._run(calls.list_files(self.platform))

    async def delete_file(self, file: str) -> None:
        """Do what :meth:`.Client.delete_file` does."""
        await self._run(calls.delete_file(self.platform, file))

    async def get_task(self, minimax_task_id: str, api_version: str | None, retries: int | None) -> VideoTask:
        """Do what :meth:`.Client.get_task` does."""
        return await self._run(calls.get_task(self.platform, self._versions, minimax_task_id, api_version, retries))

    async def get_tasks(
        self, minimax_task_ids: Sequence[str], api_version: str, known: Mapping[str, VideoTask]
    ) -> dict[str, VideoTask]:
        """
        Poll several remote tasks with one request, on platforms that have a list of tasks.

        :param minimax_task_ids: their ids, at most as many as one page of the list has.
        :param api_version: which version of MiniMax's API knows them.
        :param known: tasks as they were last seen, by their ids; one whose status has not changed is returned as it is.
        :return: those that the platform says enough about, by their ids; the others have to be polled one by one.
        :raises MinimaxError: the status check failed, by what to do about it.
        """
        return await self._run(calls.get_tasks(self.platform, minimax_task_ids, api_version, known))

    async def list_tasks(
        self, api_version: str, *, model: str | None, page: int, page_size: int, task_type: str
    ) -> TaskPage:
        """Do what :meth:`.Client.list_tasks` does."""
        return await self._run(
            calls.list_tasks(
                self.platform, api_version, model=model, page=page, page_size=page_size, task_type=task_type
            )
        )

    async def get_file(self, task: VideoTask) -> VideoFile:
        """Do what :meth:`.Client.get_file` does."""
        return await self._run(calls.get_file(self.platform, task))

    async def cancel(self, minimax_task_id: str, api_version: str | None) -> VideoTask:
        """Do what :meth:`.Client.cancel` does."""
        return await self._run(calls.cancel(self.platform, self._versions, minimax_task_id, api_version))

    async def get_balance(self) -> Balance:
        """Do what :meth:`.Client.get_balance` does."""
        endpoint = self.transport.endpoint
        return await self._run(calls.get_balance(self.platform, endpoint.api_key, endpoint.region))

    async def aclose(self) -> None:
        """Close the connections, as soon as the requests under way have been answered."""
        await self.transport.aclose()

    async def _run(self, steps: calls.Steps[T]) -> T:
        """Send one request of a call after the other, and return the call's result."""
        try:
            call = next(steps)
            while True:
                try:
                    answer = await self.transport.send(
                        call.request, call.read, retries=call.retries, after_refusals=call.after_refusals
                    )
                except MinimaxError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
