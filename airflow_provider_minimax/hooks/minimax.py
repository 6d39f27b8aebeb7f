"""
The hook: everything that MiniMax, and the gateways that resell it, can be asked through an Airflow connection.

What an event loop may need exists twice, for synchronous code and with an ``a`` in front. Clients are opened at the
first use and kept; all triggers of an event loop that use one connection share one, through ``polling/shared_poller``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_minimax.api import rules
from airflow_provider_minimax.api.call_errors import about_task
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.api.platforms.base import NO_TASKS
from airflow_provider_minimax.api.request import PaidRequest
from airflow_provider_minimax.api.task import TaskPage, VideoFile, VideoTask
from airflow_provider_minimax.hooks.clients import Clients
from airflow_provider_minimax.hooks.connection_test import test_connection
from airflow_provider_minimax.hooks.preparation import prepare, prepare_upload
from airflow_provider_minimax.options import (
    DeliveryOptions,
    PurchaseOptions,
    WaitOptions,
    check_changed,
    check_output_path,
    checked_id,
)
from airflow_provider_minimax.purchases.unrecorded import bought

if TYPE_CHECKING:
    from airflow_provider_minimax.api.balance import Balance
    from airflow_provider_minimax.api.cost import ListPrice
    from airflow_provider_minimax.api.uploaded_files import UploadedFile
    from airflow_provider_minimax.paths import AnyPath

R = TypeVar("R", bound=PaidRequest)


class MinimaxHook(BaseHook):
    """
    MiniMax, or one of the gateways that resell it, through an Airflow connection.

    :param minimax_conn_id: the connection: its password is the API key, its host the base URL (the platform's own if
        empty), its extra field ``platform`` one of ``minimax``, ``bltcy``, ``chainhub``, ``vtrix``, ``novita``,
        ``ai302``. MiniMax itself, Novita and 302.AI have two versions of the API, and each knows only its own remote
        tasks. The model decides which one a clip is bought through. Calls about a remote task take ``api_version``; if
        it is left out, both are tried and the result is remembered. What gateways lack: :ref:`h3-gateways`.
    """

    conn_name_attr = "minimax_conn_id"
    default_conn_name = "minimax_default"
    conn_type = "minimax"
    hook_name = "MiniMax"

    def __init__(self, minimax_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimax_conn_id = minimax_conn_id
        self.clients = Clients(self, minimax_conn_id)

    def prepare(self, request: R, *, validate: bool = True) -> R:
        """
        Do everything about a submission that costs nothing: check the request, read its images, videos and sounds.

        :param request: what to make. What it carries may be paths, which are read here.
        :param validate: whether to check the request against the catalogue and the platform's documentation.
        :return: the request with URLs, data URLs and the contents of files, which are kept on disk as long as the
            request exists; :meth:`submit` takes it with ``validate=False``.
        :raises MinimaxRequestError: the request is invalid.
        :raises MinimaxStorageError: the worker's folder for temporary files has no room for a copy of a file.
        """
        return prepare(self.clients.platform, request, validate=validate, log=self.log)

    def submit(self, request: PaidRequest, *, validate: bool = True, after_refusals: bool = True) -> str:
        """
        Buy a clip, or what else is asked for; large files are uploaded first, where the platform takes uploads.

        .. warning:: This is the bare call. It keeps no receipt, does not wait and delivers nothing: a retry of the
            Airflow task that calls it buys again. :meth:`generate` and the operators buy once.

        :param request: what to make: a :class:`~airflow_provider_minimax.api.request.VideoRequest`, or at MiniMax one
            of :mod:`~airflow_provider_minimax.api.h3_requests`. What it carries may be paths, which are read here.
        :param validate: whether to check the request against the catalogue and the platform's documentation first.
        :param after_refusals: whether to wait and submit again when there are too many requests; otherwise the first
            such refusal is raised.
        :return: the remote task id.
        :raises MinimaxRequestError: the request is invalid; nothing was sent.
        :raises MinimaxSubmissionUnknownError: no usable answer came, so a clip may have been bought; if the answer
            names a task all the same, ``minimax_task_id`` is its id.
        :raises MinimaxError: the platform refused, or a file could not be uploaded; nothing was bought.
        """
        ready = self.prepare(request, validate=validate)
        minimax_task_id = self.clients.get().submit(ready, after_refusals=after_refusals)
        return self._note_purchase(minimax_task_id, ready)

    async def asubmit(self, request: PaidRequest, *, validate: bool = True) -> str:
        """Do what :meth:`submit` does, on an event loop."""
        client = await self.clients.aget()
        ready = await asyncio.to_thread(prepare, client.platform, request, validate=validate, log=self.log)
        return self._note_purchase(await client.submit(ready), ready)

    def _note_purchase(self, minimax_task_id: str, request: PaidRequest) -> str:
        bought(minimax_task_id)
        price = self.list_price(request)
        self.log.info(
            "Bought at %s: MiniMax task %s, %s%s%s",
            self.clients.endpoint.platform,
            minimax_task_id,
            request.model,
            "" if request.task_type == "generation" else f" {request.task_type}",
            f", {price}" if price else "",
        )
        return minimax_task_id

    def generate(
        self,
        request: PaidRequest,
        *,
        output_path: AnyPath,
        overwrite: bool | Literal["changed"] = False,
        check: Literal["none", "basic", "full"] = "none",
        preview: bool = False,
        on_clear: Literal["resubmit", "reuse"] = "reuse",
        on_orphaned_intent: Literal["fail", "resubmit", "adopt"] = "fail",
        max_submissions: int = 1,
        poll_interval: timedelta | float | None = None,
        timeout: timedelta | float = 1800.0,
        cancel_on_timeout: bool = False,
        validate: bool = True,
    ) -> dict[str, Any]:
        """
        Buy a clip once, wait for it and deliver it, with the same receipt as the operators: safe in a ``@task``.

        A retry of the task continues with what an earlier try bought, whatever ended that one. The task's context is
        found automatically. The wait holds the worker slot; ``MinimaxVideoGenerationOperator`` can wait without one.
        Outside Airflow, too, the next call finds the receipt next to the output: :doc:`/never-pay-twice`.

        :param request: a ``VideoRequest`` or ``RegenerationRequest``; files may be given as paths, which are read here.
        :param output_path: where to deliver the clip: a path, or any URL that Airflow's object storage knows; one that
            ends with a slash is a folder, in which the clip gets a name made of the Airflow task's. Several calls in
            one Airflow task need a path each.
        :param overwrite: whether a file that is already there may be replaced: ``False``, ``True`` (every run buys
            another clip) or ``"changed"`` (a changed request does).
        :param check: how thoroughly to check the clip first: ``"none"``, ``"basic"`` or ``"full"``.
        :param preview: whether to make a poster frame and a contact sheet next to the clip.
        :param on_clear: what clearing the task does about a clip that is bought but not delivered: ``"reuse"``
            continues with it, ``"resubmit"`` buys another.
        :param on_orphaned_intent: what to do if the answer to an earlier submission was lost: ``"fail"``,
            ``"resubmit"`` or ``"adopt"``.
        :param max_submissions: how many clips may be bought in all if the remote task fails for a reason that may pass,
            one a try; 1 or more.
        :param poll_interval: seconds between status checks, more than 0; by default as long as such clips usually take.
        :param timeout: seconds until the wait ends, more than 0; the remote task keeps running and will be billed.
        :param cancel_on_timeout: whether to cancel the remote task then if it is still queued; H3 only.
        :param validate: whether to check the request before paying.
        :return: a dict with ``task_id``, ``state``, ``file_id``, ``width``, ``height``, ``duration``, ``output_path``,
            ``size`` in bytes, ``sha256``, ``model``, ``prompt``, ``cost``, ``previews`` and ``map_index``.
        :raises MinimaxRequestError: the request or an argument is invalid, or the output is taken; nothing was bought.
        :raises MinimaxReceiptError: the receipt cannot be read, or is that of another request; nothing was bought.
        :raises MinimaxSubmissionUnknownError: no usable answer came, now or in an earlier try, so a clip may have been
            bought.
        :raises MinimaxError: anything else; it says what was billed.
        """
        from airflow_provider_minimax.jobs.generate import generate

        purchase = PurchaseOptions(
            on_clear=on_clear,
            on_orphaned_intent=on_orphaned_intent,
            max_submissions=max_submissions,
            validate=validate,
        )
        wait = WaitOptions(poll_interval=poll_interval, timeout=timeout, cancel_on_timeout=cancel_on_timeout)
        delivery = DeliveryOptions(output_path=output_path, overwrite=overwrite, check=check, preview=preview)
        check_output_path(output_path)
        check_changed(delivery, purchase)
        return generate(self, request, purchase=purchase, wait=wait, delivery=delivery)

    def list_price(
        self, request: PaidRequest, *, seconds: float | None = None, input_seconds: float | None = None
    ) -> ListPrice | None:
        """
        Return what a clip lists at for this account: an estimate of its cost.

        :param request: what to buy.
        :param seconds: the clip's length, if the platform has reported one that the request does not give.
        :param input_seconds: the length of all its reference videos together, as the platform reported it; otherwise
            the files of a request that :meth:`prepare` returned are measured.
        :return: the price in the account's currency; ``None`` where none is known, as on every gateway.
        """
        return rules.list_price_at(request, self.clients.endpoint, seconds, input_seconds)

    def upload_files(self, request: R) -> R:
        """Upload the large files of a request, without buying anything: see :meth:`.Client.upload_files`."""
        return self.clients.get().upload_files(request)

    async def aupload_files(self, request: R) -> R:
        """Do what :meth:`upload_files` does, on an event loop."""
        return await (await self.clients.aget()).upload_files(request)

    def upload(self, path: AnyPath, *, validate: bool = True) -> str:
        """
        Upload an image, video or sound to MiniMax that several H3 clips share. It costs nothing.

        A submission uploads its large files by itself. Upload a shared file in an Airflow task of its own, since each
        upload has another address, and another address makes another request.

        :param path: where it is: a local path, or any URL that Airflow's object storage knows.
        :param validate: whether to check it against MiniMax's documentation first.
        :return: its address, ``mm_file://`` and an id, which a request takes in place of a path for seven days.
        :raises MinimaxRequestError: it cannot be read or breaks a rule, or the platform is a gateway.
        :raises MinimaxError: the upload failed, by what to do about it.
        """
        return self.clients.get().upload(*prepare_upload(self.clients.platform, path, validate=validate))

    async def aupload(self, path: AnyPath, *, validate: bool = True) -> str:
        """Do what :meth:`upload` does, on an event loop."""
        client = await self.clients.aget()
        return await client.upload(*await asyncio.to_thread(prepare_upload, client.platform, path, validate=validate))

    def list_files(self) -> tuple[UploadedFile, ...]:
        """List the files that were uploaded to the account as inputs: see :meth:`.Client.list_files`."""
        return self.clients.get().list_files()

    async def alist_files(self) -> tuple[UploadedFile, ...]:
        """Do what :meth:`list_files` does, on an event loop."""
        return await (await self.clients.aget()).list_files()

    def delete_file(self, file: str) -> None:
        """Delete a file that was uploaded to the account: see :meth:`.Client.delete_file`."""
        self.clients.get().delete_file(file)

    async def adelete_file(self, file: str) -> None:
        """Do what :meth:`delete_file` does, on an event loop."""
        await (await self.clients.aget()).delete_file(file)

    def get_task(
        self,
        minimax_task_id: str,
        *,
        api_version: str | None = None,
        retries: int | None = None,
        within: float = math.inf,
    ) -> VideoTask:
        """Poll a remote task: see :meth:`.Client.get_task`."""
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            return self.clients.get().get_task(minimax_task_id, api_version, retries, within)

    async def aget_task(
        self, minimax_task_id: str, *, api_version: str | None = None, retries: int | None = None
    ) -> VideoTask:
        """Do what :meth:`get_task` does, on an event loop."""
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            return await (await self.clients.aget()).get_task(minimax_task_id, api_version, retries)

    async def aget_tasks(
        self, minimax_task_ids: Sequence[str], *, api_version: str, known: Mapping[str, VideoTask] = NO_TASKS
    ) -> dict[str, VideoTask]:
        """Poll several remote tasks with one request: see :meth:`.AsyncClient.get_tasks`."""
        return await (await self.clients.aget()).get_tasks(minimax_task_ids, api_version, known)

    def list_tasks(
        self,
        *,
        model: str | None = None,
        page: int = 1,
        page_size: int = 20,
        task_type: str = "generation",
        api_version: str = "v2",
    ) -> TaskPage:
        """List the account's remote tasks of the last seven days: see :meth:`.Client.list_tasks`."""
        return self.clients.get().list_tasks(
            api_version, model=model, page=page, page_size=page_size, task_type=task_type
        )

    def cancel(self, minimax_task_id: str, *, api_version: str | None = None, within: float = math.inf) -> VideoTask:
        """Cancel a remote task that is still queued, free of charge: see :meth:`.Client.cancel`."""
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            return self.clients.get().cancel(minimax_task_id, api_version, within)

    async def acancel(self, minimax_task_id: str, *, api_version: str | None = None) -> VideoTask:
        """Do what :meth:`cancel` does, on an event loop."""
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            return await (await self.clients.aget()).cancel(minimax_task_id, api_version)

    def get_file(self, task: VideoTask) -> VideoFile:
        """Ask for a fresh link to a finished task's clip: see :meth:`.Client.get_file`."""
        with about_task(task.minimax_task_id):
            return self.clients.get().get_file(task)

    async def aget_file(self, task: VideoTask) -> VideoFile:
        """Do what :meth:`get_file` does, on an event loop."""
        with about_task(task.minimax_task_id):
            return await (await self.clients.aget()).get_file(task)

    def download(self, task: VideoTask, output_path: AnyPath, *, overwrite: bool = False) -> dict[str, Any]:
        """
        Download a finished task's clip, as the operators do: complete or not at all. A broken download is resumed.

        No receipt is kept; give an operator ``output_path`` to have one.

        :param task: the finished task, or any task with a ``file_id``.
        :param output_path: a path, or any URL that Airflow's object storage knows; not a folder.
        :param overwrite: whether a file that is there already may be replaced.
        :return: the task's facts, with ``output_path``, ``size`` in bytes and ``sha256``.
        :raises MinimaxRequestError: ``output_path`` is not usable, or another file is there.
        :raises MinimaxDownloadError: the clip could not be fetched whole; the next call resumes where it broke off.
        :raises MinimaxStorageError: the destination cannot be read or written at the moment.
        """
        from airflow_provider_minimax.delivery.deliver import deliver_clip
        from airflow_provider_minimax.delivery.destination import destination_of
        from airflow_provider_minimax.purchases.ledger import Ledger

        with about_task(task.minimax_task_id):
            place, no_receipt = destination_of(output_path, None), Ledger((), log=self.log)
            options = DeliveryOptions(output_path=output_path, overwrite=overwrite)
            return deliver_clip(self, task, place, no_receipt, None, options, log=self.log).facts

    def get_balance(self) -> Balance:
        """Ask what is left in the account, free of charge: see :meth:`.Client.get_balance`."""
        return self.clients.get().get_balance()

    async def aget_balance(self) -> Balance:
        """Do what :meth:`get_balance` does, on an event loop."""
        return await (await self.clients.aget()).get_balance()

    def account(self) -> dict[str, str]:
        """Return where clips are bought through this connection: ``platform``, ``base_url``, ``minimax_conn_id``."""
        platform, endpoint = self.clients.platform, self.clients.endpoint
        base_url = f"{endpoint.base_url}{endpoint.path_prefix}"
        return {"platform": platform.name, "base_url": base_url, "minimax_conn_id": self.minimax_conn_id}

    def rate_limit_per_minute(self) -> int | None:
        """Return how many clips may be submitted in a minute through this connection, if its author said so."""
        return self.clients.endpoint.rate_limit_per_minute

    def api_version(self, model: str) -> str:
        """
        Return which version of MiniMax's API has a model on this platform: ``v1`` or ``v2``.

        :param model: its official name, such as ``MiniMax-H3``.
        :raises MinimaxRequestError: the platform does not have it.
        """
        return self.clients.platform.for_model(model).api_version

    def has_list(self, api_version: str) -> bool:
        """Return whether :meth:`list_tasks` can list the tasks of a version of the API."""
        return self.clients.platform.of_version(api_version).list_tasks is not None

    def can_cancel(self, api_version: str) -> bool:
        """Return whether :meth:`cancel` can cancel the queued tasks of a version of the API."""
        return self.clients.platform.of_version(api_version).cancel is not None

    def documents_callbacks(self, request: PaidRequest) -> bool:
        """Return whether the platform documents that it posts status changes of what is asked for."""
        return self.clients.platform.for_request(request).documents(request, "callback_url")

    def test_connection(self) -> tuple[bool, str]:
        """
        Ask for a task that does not exist, which costs nothing and shows how the platform takes the key.

        :return: whether the connection works, and one sentence on why it does not: the key is wrong or belongs to
            another region, the host cannot be reached or is not this platform, or a field is wrong.
        """
        return test_connection(self.clients, self.minimax_conn_id)

    def get_conn(self) -> Transport:
        """Return the transport to the connection's endpoint, opened at the first call."""
        return self.clients.get().transport

    def reload(self) -> bool:
        """Look the connection up again, as after a refused key; return whether it changed, and use it from now on."""
        return self.clients.reload()

    async def areload(self) -> bool:
        """Do what :meth:`reload` does, on an event loop."""
        return await self.clients.areload()

    def apart(self) -> Self:
        """Return a hook for the same connection, which it knows already, with clients of its own."""
        other = type(self)(self.minimax_conn_id)
        other.clients = Clients(other, self.minimax_conn_id, self.clients.account)
        return other

    def close(self) -> None:
        """Close the synchronous client."""
        self.clients.close()

    async def aclose(self) -> None:
        """Close the event loop's client."""
        await self.clients.aclose()
