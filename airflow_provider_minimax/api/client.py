"""The remote API for synchronous code: each call of ``calls.py`` in about one line."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_minimax.api import calls
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.transport import Transport
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


class Client:
    """
    Calls one account at a platform, over connections that are kept open.

    :param platform: the platform, by the first version of its API.
    :param endpoint: where it is, and the key.
    :param versions: which version knows which task; may be shared with other clients.
    """

    def __init__(self, platform: Platform, endpoint: Endpoint, versions: TaskVersions) -> None:
        self.platform = platform
        self.transport = Transport(endpoint)
        self._versions = versions

    def submit(self, request: PaidRequest, *, after_refusals: bool = True) -> str:
        """Buy what is asked for; upload its large files first."""
        return self._run(calls.submit(self.platform, request, after_refusals=after_refusals))

    def upload_files(self, request: R) -> R:
        """Upload what a request carries that is too large to travel inside it."""
        return self._run(calls.upload_files(self.platform, request))

    def upload(self, file: FileContent, name: str) -> str:
        """Upload a file; return its address."""
        return self._run(calls.upload(self.platform.latest, file, name))

    def list_files(self) -> tuple[UploadedFile, ...]:
        """List what was uploaded to the account."""
        return self._run(calls.list_files(self.platform))

    def delete_file(self, file: str) -> None:
        """Delete what was uploaded to the account."""
        self._run(calls.delete_file(self.platform, file))

    def get_task(
        self, minimax_task_id: str, api_version: str | None, retries: int | None, within: float = math.inf
    ) -> VideoTask:
        """Poll a remote task."""
        return self._run(calls.get_task(self.platform, self._versions, minimax_task_id, api_version, retries), within)

    def list_tasks(self, api_version: str, *, model: str | None, page: int, page_size: int, task_type: str) -> TaskPage:
        """List the account's remote tasks."""
        return self._run(
            calls.list_tasks(
                self.platform, api_version, model=model, page=page, page_size=page_size, task_type=task_type
            )
        )

    def get_file(self, task: VideoTask) -> VideoFile:
        """Ask where a finished task's clip is."""
        return self._run(calls.get_file(self.platform, task))

    def cancel(self, minimax_task_id: str, api_version: str | None, within: float = math.inf) -> VideoTask:
        """Cancel a remote task that is still queued."""
        return self._run(calls.cancel(self.platform, self._versions, minimax_task_id, api_version), within)

    def get_balance(self) -> Balance:
        """Ask what is left in the account."""
        endpoint = self.transport.endpoint
        return self._run(calls.get_balance(self.platform, endpoint.api_key, endpoint.region))

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def _run(self, steps: calls.Steps[T], within: float = math.inf) -> T:
        """Send one request of a call after the other, all within so many seconds, and return the call's result."""
        ends_at = time.monotonic() + within
        try:
            call = next(steps)
            while True:
                try:
                    answer = self.transport.send(
                        call.request,
                        call.read,
                        retries=call.retries,
                        after_refusals=call.after_refusals,
                        within=ends_at - time.monotonic(),
                    )
                except MinimaxError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
