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
        """
        Buy a clip, or what else is asked for; large files are uploaded first, where the platform takes uploads.

        A retry of the caller buys again: no receipt is kept.

        :param request: the request, as :meth:`.MinimaxHook.prepare` returns it.
        :param after_refusals: whether to wait and submit again when there are too many requests, as often as the
            connection's ``max_retries`` allows; otherwise the first such refusal is raised.
        :return: the remote task id.
        :raises MinimaxSubmissionUnknownError: no usable answer came, so a clip may have been bought.
        :raises MinimaxError: the platform refused, or a file could not be uploaded; nothing was bought.
        """
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
        """
        Upload an image, video or sound that several H3 clips share. It costs nothing.

        :param file: its content.
        :param name: what to call it in the log and in errors.
        :return: its address, ``mm_file://`` and an id, which a request takes in place of a path for seven days.
        :raises MinimaxRequestError: the platform takes no uploads.
        :raises MinimaxError: the upload failed, by what to do about it.
        """
        return self._run(calls.upload(self.platform.latest, file, name))

    def list_files(self) -> tuple[UploadedFile, ...]:
        """
        List the files that were uploaded to the account as inputs, newest first. It costs nothing.

        :return: the files, each with its address; clips are not among them.
        :raises MinimaxRequestError: the platform is a gateway.
        :raises MinimaxError: the list could not be read, by what to do about it.
        """
        return self._run(calls.list_files(self.platform))

    def delete_file(self, file: str) -> None:
        """
        Delete a file that was uploaded to the account. Requests that name it will fail; clips made from it stay.

        :param file: its address, as :meth:`.MinimaxHook.upload` returned it, or its id.
        :raises MinimaxRequestError: ``file`` is neither, the account has no such upload, or the platform is a gateway.
        :raises MinimaxError: whether it was deleted is not known; see :meth:`list_files`.
        """
        self._run(calls.delete_file(self.platform, file))

    def get_task(
        self, minimax_task_id: str, api_version: str | None = None, retries: int | None = None, within: float = math.inf
    ) -> VideoTask:
        """
        Poll a remote task.

        :param minimax_task_id: its id, as the submission returned it.
        :param api_version: which version of MiniMax's API knows it: ``v1``, or ``v2`` for H3. If it is left out, that
            costs one more request at most, and is remembered for this id.
        :param retries: how often to repeat a status check that failed; the connection's ``max_retries`` by default.
        :param within: the most seconds that all requests together may take; no limit by default. A single request also
            has the connection's ``timeout``.
        :return: its state, and what is known of its clip.
        :raises MinimaxTaskGoneError: the platform does not know the id.
        :raises MinimaxRequestError: the platform has no such version.
        :raises MinimaxError: the status check failed, by what to do about it.
        """
        return self._run(calls.get_task(self.platform, self._versions, minimax_task_id, api_version, retries), within)

    def list_tasks(self, api_version: str, *, model: str | None, page: int, page_size: int, task_type: str) -> TaskPage:
        """
        List the account's remote tasks of the last seven days, on platforms that can.

        :param api_version: which version of MiniMax's API to ask; ``v1`` has no list.
        :param model: only tasks of this model; all by default.
        :param page: the number of the page, from 1.
        :param page_size: how many tasks to a page.
        :param task_type: what the tasks are for: ``generation``, ``regeneration`` or ``h3_context_ir``.
        :return: the tasks of that page, and how many there are in all.
        :raises MinimaxRequestError: the platform has no list.
        :raises MinimaxError: the list could not be read, by what to do about it.
        """
        return self._run(
            calls.list_tasks(
                self.platform, api_version, model=model, page=page, page_size=page_size, task_type=task_type
            )
        )

    def get_file(self, task: VideoTask) -> VideoFile:
        """
        Ask where a finished task's clip is. Each call returns a fresh URL, which expires after about an hour.

        :param task: the finished task, as :meth:`get_task` returned it, or any task with a ``file_id``.
        :return: the clip's URL at the file host.
        :raises MinimaxRequestError: the task rewrites a prompt and has no clip, or the platform has no file ids.
        :raises MinimaxUnavailableError: the task has no clip, or not yet.
        :raises MinimaxError: the call failed, by what to do about it.
        """
        return self._run(calls.get_file(self.platform, task))

    def cancel(self, minimax_task_id: str, api_version: str | None, within: float = math.inf) -> VideoTask:
        """
        Cancel a remote task that is still queued, which is free of charge; leave any other alone.

        :param minimax_task_id: its id, as the submission returned it.
        :param api_version: which version of MiniMax's API knows it; ``v1`` cannot cancel. If it is left out, that
            costs one more request at most.
        :param within: the most seconds that all requests together may take; no limit by default.
        :return: the task as it is now; its state says whether it was cancelled, now or before.
        :raises MinimaxRequestError: the platform cannot cancel, or the task began just now.
        :raises MinimaxError: the status check before it or the cancellation failed, by what to do about it.
        """
        return self._run(calls.cancel(self.platform, self._versions, minimax_task_id, api_version), within)

    def get_balance(self) -> Balance:
        """
        Ask what is left in the account, which is free of charge. MiniMax does not document this call, so it may break.

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
