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
        return self._run(calls.submit(self.platform, self._versions, request, after_refusals=after_refusals))

    def upload_files(self, request: R) -> R:
        """
        Upload what a request carries that is too large to travel inside it, where the platform takes uploads.

        :meth:`submit` does so by itself. To keep a receipt, upload before it is written: an upload buys nothing.

        :param request: the request, as :meth:`.MinimaxHook.prepare` returns it.
        :return: the request with addresses in the place of those files; itself if there are none.
        :raises MinimaxError: an upload failed, by what to do about it; nothing was bought.
        """
        return self._run(calls.upload_files(self.platform, request))

    def upload(self, file: FileContent, name: str) -> str:
        """Upload a file; return its address."""
        return self._run(calls.upload(self.platform.latest, file, name))

    def list_files(self) -> tuple[UploadedFile, ...]:
        """
        List what was uploaded to the account for clips to be made from, the newest first. It costs nothing.

        :return: the files that MiniMax has, each with its address; clips are not among them.
        :raises MinimaxRequestError: the platform is a gateway.
        :raises MinimaxError: the list could not be read, by what to do about it.
        """
        return self._run(calls.list_files(self.platform))

    def delete_file(self, file: str) -> None:
        """
        Delete what was uploaded to the account. Requests that name it fail from then on; clips made from it stay.

        :param file: its address, as :meth:`.MinimaxHook.upload` returned it, or its id.
        :raises MinimaxRequestError: it is neither, the account has no such upload, or the platform is a gateway.
        :raises MinimaxError: whether it was deleted is not known; see :meth:`list_files`.
        """
        self._run(calls.delete_file(self.platform, file))

    def get_task(
        self, minimax_task_id: str, api_version: str | None = None, retries: int | None = None, within: float = math.inf
    ) -> VideoTask:
        """
        Poll a remote task.

        :param minimax_task_id: its id.
        :param api_version: which version of MiniMax's API knows it: ``v1``, or ``v2`` for H3. Left out, that is found
            out with one more request at most, and remembered for this id.
        :param retries: how often to repeat a status check that failed; the connection's ``max_retries`` by default.
        :param within: how many seconds all of that may take, however long the connection's ``timeout`` is.
        :return: its state, and what is known of its clip.
        :raises MinimaxTaskGoneError: the platform does not know the id.
        :raises MinimaxRequestError: the platform has no such version.
        :raises MinimaxError: the status check failed, by what to do about it.
        """
        return self._run(calls.get_task(self.platform, self._versions, minimax_task_id, api_version, retries), within)

    def list_tasks(self, api_version: str, *, model: str | None, page: int, page_size: int, task_type: str) -> TaskPage:
        """
        List the account's remote tasks of the last seven days, on platforms that can.

        :param model: of which model; all by default.
        :param page: which page, from 1.
        :param page_size: how many a page.
        :param task_type: what the tasks are for: ``generation``, ``regeneration`` or ``h3_context_ir``.
        :param api_version: of which version of MiniMax's API; ``v1`` has no list.
        :return: the tasks of that page, and how many there are in all.
        :raises MinimaxRequestError: the platform has no list.
        """
        return self._run(
            calls.list_tasks(
                self.platform, api_version, model=model, page=page, page_size=page_size, task_type=task_type
            )
        )

    def get_file(self, task: VideoTask) -> VideoFile:
        """
        Ask where a finished task's clip is; each call gives a fresh URL, which lives for about an hour.

        :param task: the finished task, or any task with a ``file_id``.
        :return: the clip's URL at the file host.
        :raises MinimaxUnavailableError: the task has no clip, or not yet.
        :raises MinimaxError: the call failed, by what to do about it.
        """
        return self._run(calls.get_file(self.platform, task))

    def cancel(self, minimax_task_id: str, api_version: str | None, within: float = math.inf) -> VideoTask:
        """
        Cancel a remote task that is still queued, which is free of charge; leave any other alone.

        :param minimax_task_id: its id.
        :param api_version: which version of MiniMax's API knows it; ``v1`` cannot cancel. Left out, that is found out.
        :param within: how many seconds that may take, however long the connection's ``timeout`` is.
        :return: the task as it is now; its state says whether it was cancelled, now or before.
        :raises MinimaxRequestError: the platform cannot cancel, or the task began just now.
        :raises MinimaxError: the status check before it or the cancellation failed, by what to do about it.
        """
        return self._run(calls.cancel(self.platform, self._versions, minimax_task_id, api_version), within)

    def get_balance(self) -> Balance:
        """
        Ask what is left in the account, which is free of charge. Best effort: the call is on no page of the API.

        :return: the amounts, or what is left of the key's plan; ``None`` for what the platform does not report.
        :raises MinimaxRequestError: the platform is a gateway, which cannot be asked.
        :raises MinimaxError: the call failed, by what to do about it.
        """
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
