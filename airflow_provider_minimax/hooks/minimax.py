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
from airflow_provider_minimax.api.request import PaidRequest
from airflow_provider_minimax.api.task import TaskPage, VideoFile, VideoTask
from airflow_provider_minimax.arguments import (
    at_least_one,
    check_delivery,
    check_overwrite,
    checked_id,
    one_of,
    seconds,
)
from airflow_provider_minimax.hooks.clients import Clients
from airflow_provider_minimax.hooks.connection_test import test_connection
from airflow_provider_minimax.hooks.preparation import prepare, prepare_upload
from airflow_provider_minimax.purchases.unrecorded import bought

if TYPE_CHECKING:
    from airflow_provider_minimax.api.balance import Balance
    from airflow_provider_minimax.api.cost import ListPrice
    from airflow_provider_minimax.api.uploaded_files import UploadedFile
    from airflow_provider_minimax.paths import AnyPath

R = TypeVar("R", bound=PaidRequest)
T = TypeVar("T")


class MinimaxHook(BaseHook):
    """
    MiniMax, or one of the gateways that resell it, through an Airflow connection.

    :param minimax_conn_id: the connection: its password is the API key, its host the base URL (the platform's own if
        empty), its extra field ``platform`` one of ``minimax``, ``bltcy``, ``chainhub``, ``vtrix``, ``novita``,
        ``ai302``. MiniMax itself, Novita and 302.AI have two versions of the API, each of which knows its own remote
        tasks only; the model decides which one a clip is bought through. Calls about a remote task take it as
        ``api_version``; left out, the first is asked, then the second, and the answer is remembered. What a gateway
        lacks of the second is refused before anything is sent: :ref:`h3-gateways`.
    """

    conn_name_attr = "minimax_conn_id"
    default_conn_name = "minimax_default"
    conn_type = "minimax"
    hook_name = "MiniMax"

    def __init__(self, minimax_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimax_conn_id = minimax_conn_id
        self.clients = Clients(self, minimax_conn_id)

    # -- buying a clip -------------------------------------------------------------------------------------------------

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
        platform, endpoint = self.clients.platform, self.clients.endpoint
        self.clients.versions.remember(minimax_task_id, platform.for_request(request).api_version)
        price = rules.list_price_at(request, endpoint)
        self.log.info(
            "Bought at %s: MiniMax task %s, %s%s%s",
            endpoint.platform,
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

        A retry of the task goes on with what an earlier try bought, whatever that one died of. The context of the task
        is found by itself. The wait holds the worker slot; ``MinimaxVideoGenerationOperator`` can wait without one.
        Outside Airflow it works likewise: the receipt next to the output is found by the next call.

        .. seealso:: :doc:`/never-pay-twice`

        :param request: what to make: a :class:`~airflow_provider_minimax.api.request.VideoRequest`, or a
            ``RegenerationRequest``. What it carries may be paths, which are read here.
        :param output_path: where the clip shall land: a path, or any URL that Airflow's object storage knows; one that
            ends with a slash is a folder, in which the clip gets a name made of the Airflow task's. Several calls in
            one Airflow task need a path each.
        :param overwrite: whether a file that is already there may be replaced: ``False``, ``True`` (every run buys
            another clip) or ``"changed"`` (a changed request does).
        :param check: how closely to look at the clip first: ``"none"``, ``"basic"`` or ``"full"``.
        :param preview: whether to make a poster frame and a contact sheet next to the clip.
        :param on_clear: what clearing the task does about a clip that is bought but not delivered: ``"reuse"`` goes on
            with it, ``"resubmit"`` buys another.
        :param on_orphaned_intent: what to do if the answer to an earlier submission was lost: ``"fail"``,
            ``"resubmit"`` or ``"adopt"``.
        :param max_submissions: how many clips may be bought in all if the remote task fails for a reason that may pass,
            one a try; 1 or more.
        :param poll_interval: seconds between status checks, more than 0; by default as such clips' times suggest.
        :param timeout: seconds until the wait ends, more than 0; the remote task keeps running and will be billed.
        :param cancel_on_timeout: whether to cancel the remote task then if it is still queued; H3 only.
        :param validate: whether to check the request before paying.
        :return: a dict with ``task_id``, ``state``, ``file_id``, ``width``, ``height``, ``duration``, ``output_path``,
            ``size`` in bytes, ``sha256``, ``model``, ``prompt``, ``cost``, ``previews`` and ``map_index``.
        :raises MinimaxRequestError: the request or an argument is invalid, or the output is taken; nothing was bought.
        :raises MinimaxReceiptError: the receipt cannot be read, or is that of another request; nothing was bought.
        :raises MinimaxSubmissionUnknownError: no usable answer came, now or in an earlier try, so a clip may have been
            bought.
        :raises MinimaxError: what else went wrong, and what became of the money.
        """
        from airflow_provider_minimax.purchases.generate import generate
        from airflow_provider_minimax.purchases.options import PurchaseOptions

        options = PurchaseOptions(
            minimax_conn_id=self.minimax_conn_id,
            output_path=output_path,
            overwrite=check_overwrite(overwrite, output_path, durable=True),
            check=check,
            preview=preview,
            on_clear=one_of("on_clear", on_clear, ("resubmit", "reuse")),
            on_orphaned_intent=one_of("on_orphaned_intent", on_orphaned_intent, ("fail", "resubmit", "adopt")),
            max_submissions=at_least_one("max_submissions", max_submissions),
            poll_interval=None if poll_interval is None else seconds("poll_interval", poll_interval),
            timeout=seconds("timeout", timeout),
            cancel_on_timeout=cancel_on_timeout,
            validate=validate,
        )
        check_delivery(check, preview, output_path, delivers=True)
        return generate(self, request, options)

    def list_price(
        self, request: PaidRequest, *, seconds: float | None = None, input_seconds: float | None = None
    ) -> ListPrice | None:
        """
        Return what a clip lists at for this account: an estimate of its cost.

        :param request: what to buy.
        :param seconds: the length of the clip, where the request does not say it and the platform did.
        :param input_seconds: how long its reference videos are together, where the platform reported it; otherwise the
            files of a request that :meth:`prepare` returned are measured.
        :return: the price in the account's currency; ``None`` where none is known, as on every gateway.
        """
        return rules.list_price_at(request, self.clients.endpoint, seconds, input_seconds)

    # -- files that clips are made from --------------------------------------------------------------------------------

    def upload_files(self, request: R) -> R:
        """
        Upload what a request carries that is too large to travel inside it, where the platform takes uploads.

        :meth:`submit` does so by itself. To keep a receipt, upload before it is written: an upload buys nothing.

        :param request: the request, as :meth:`prepare` returns it.
        :return: the request with addresses in the place of those files; itself if there are none.
        :raises MinimaxError: an upload failed, by what to do about it; nothing was bought.
        """
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
        :return: its address, ``mm_file://`` and an id, which a request takes in the place of a path for seven days.
        :raises MinimaxRequestError: it cannot be read or breaks a rule, or the platform is a gateway.
        :raises MinimaxError: the upload failed, by what to do about it.
        """
        return self.clients.get().upload(*prepare_upload(self.clients.platform, path, validate=validate))

    async def aupload(self, path: AnyPath, *, validate: bool = True) -> str:
        """Do what :meth:`upload` does, on an event loop."""
        client = await self.clients.aget()
        return await client.upload(*await asyncio.to_thread(prepare_upload, client.platform, path, validate=validate))

    def list_files(self) -> tuple[UploadedFile, ...]:
        """
        List what was uploaded to the account for clips to be made from, the newest first. It costs nothing.

        :return: the files that MiniMax has, each with its address; clips are not among them.
        :raises MinimaxRequestError: the platform is a gateway.
        :raises MinimaxError: the list could not be read, by what to do about it.
        """
        return self.clients.get().list_files()

    async def alist_files(self) -> tuple[UploadedFile, ...]:
        """Do what :meth:`list_files` does, on an event loop."""
        return await (await self.clients.aget()).list_files()

    def delete_file(self, file: str) -> None:
        """
        Delete what was uploaded to the account. Requests that name it fail from then on; clips made from it stay.

        :param file: its address, as :meth:`upload` returned it, or its id.
        :raises MinimaxRequestError: it is neither, the account has no such upload, or the platform is a gateway.
        :raises MinimaxError: whether it was deleted is not known; see :meth:`list_files`.
        """
        self.clients.get().delete_file(file)

    async def adelete_file(self, file: str) -> None:
        """Do what :meth:`delete_file` does, on an event loop."""
        await (await self.clients.aget()).delete_file(file)

    # -- remote tasks --------------------------------------------------------------------------------------------------

    def get_task(
        self,
        minimax_task_id: str,
        *,
        api_version: str | None = None,
        retries: int | None = None,
        within: float = math.inf,
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
        self, minimax_task_ids: Sequence[str], *, api_version: str, known: Mapping[str, VideoTask]
    ) -> dict[str, VideoTask]:
        """
        Poll several remote tasks with one request, where :meth:`page_size` is more than 1.

        :param minimax_task_ids: their ids, at most ``page_size``.
        :param api_version: which version of MiniMax's API knows them.
        :param known: tasks as they were last seen, by their ids; one that goes on as it did is returned as it is here.
        :return: those that the platform says enough about, by their ids; the others have to be polled one by one.
        :raises MinimaxError: the status check failed, by what to do about it.
        """
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
        return self.clients.get().list_tasks(
            api_version, model=model, page=page, page_size=page_size, task_type=task_type
        )

    def cancel(self, minimax_task_id: str, *, api_version: str | None = None, within: float = math.inf) -> VideoTask:
        """
        Cancel a remote task that is still queued, which is free of charge; leave any other alone.

        :param minimax_task_id: its id.
        :param api_version: which version of MiniMax's API knows it; ``v1`` cannot cancel. Left out, that is found out.
        :param within: how many seconds that may take, however long the connection's ``timeout`` is.
        :return: the task as it is now; its state says whether it was cancelled, now or before.
        :raises MinimaxRequestError: the platform cannot cancel, or the task began just now.
        :raises MinimaxError: the status check before it or the cancellation failed, by what to do about it.
        """
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            return self.clients.get().cancel(minimax_task_id, api_version, within)

    async def acancel(self, minimax_task_id: str, *, api_version: str | None = None) -> VideoTask:
        """Do what :meth:`cancel` does, on an event loop."""
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            return await (await self.clients.aget()).cancel(minimax_task_id, api_version)

    # -- clips ---------------------------------------------------------------------------------------------------------

    def get_file(self, task: VideoTask) -> VideoFile:
        """
        Ask where a finished task's clip is; each call gives a fresh URL, which lives for about an hour.

        :param task: the finished task, or any task with a ``file_id``.
        :return: the clip's URL at the file host.
        :raises MinimaxUnavailableError: the task has no clip, or not yet.
        :raises MinimaxError: the call failed, by what to do about it.
        """
        with about_task(task.minimax_task_id):
            return self.clients.get().get_file(task)

    async def aget_file(self, task: VideoTask) -> VideoFile:
        """Do what :meth:`get_file` does, on an event loop."""
        with about_task(task.minimax_task_id):
            return await (await self.clients.aget()).get_file(task)

    def download(self, task: VideoTask, output_path: AnyPath, *, overwrite: bool = False) -> dict[str, Any]:
        """
        Deliver a finished task's clip, as the operators do: whole, resumed after a break, and never half there.

        No receipt is kept; give an operator ``output_path`` to have one.

        :param task: the finished task, or any task with a ``file_id``.
        :param output_path: a path, or any URL that Airflow's object storage knows; not a folder.
        :param overwrite: whether a file that is there already may be replaced.
        :return: the task's facts, with ``output_path``, ``size`` in bytes and ``sha256``.
        :raises MinimaxRequestError: ``output_path`` is none, or is taken.
        :raises MinimaxDownloadError: the clip could not be fetched whole; the next call resumes where it broke off.
        :raises MinimaxStorageError: its destination cannot be read or written just now.
        """
        from airflow_provider_minimax.delivery.deliver import DeliveryOptions, deliver_clip
        from airflow_provider_minimax.delivery.destination import destination_of
        from airflow_provider_minimax.purchases.ledger import Ledger

        with about_task(task.minimax_task_id):
            place, no_receipt = destination_of(output_path, None), Ledger((), log=self.log)
            return deliver_clip(self, task, place, no_receipt, None, DeliveryOptions(overwrite), log=self.log).facts

    # -- the account ---------------------------------------------------------------------------------------------------

    def get_balance(self) -> Balance:
        """
        Ask what is left in the account, which is free of charge. Best effort: the call is on no page of the API.

        :return: the amounts, or what is left of the key's plan; ``None`` for what the platform does not report.
        :raises MinimaxRequestError: the platform is a gateway, which cannot be asked.
        :raises MinimaxError: the call failed, by what to do about it.
        """
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
        Return which version of the API has a model here: ``v1`` or ``v2``.

        :param model: the model's name.
        :raises MinimaxRequestError: the platform is not known to have the version that sells the model.
        """
        return self.clients.platform.for_model(model).api_version

    def has_list(self, api_version: str) -> bool:
        """Return whether :meth:`list_tasks` can list the tasks of a version of the API."""
        return self.clients.platform.of_version(api_version).list_tasks is not None

    def can_cancel(self, api_version: str) -> bool:
        """Return whether :meth:`cancel` can cancel the queued tasks of a version of the API."""
        return self.clients.platform.of_version(api_version).cancel is not None

    def test_connection(self) -> tuple[bool, str]:
        """
        Ask for a task that does not exist, which costs nothing and shows how the platform takes the key.

        :return: whether the connection works, and one sentence: it does; the key is wrong; the key is of another
            region; the host cannot be reached; the host is not this platform; or a field is wrong.
        """
        return test_connection(self.clients.connection, self.minimax_conn_id)

    # -- the connection ------------------------------------------------------------------------------------------------

    def get_conn(self) -> Transport:
        """Return the transport to the connection's endpoint, opened at the first call."""
        return self.clients.get().transport

    def reload(self) -> bool:
        """
        Look the connection up again, for instance after its key was refused.

        :return: whether anything in it changed; if so, the next request uses it.
        """
        return self.clients.reload()

    async def areload(self) -> bool:
        """Do what :meth:`reload` does, on an event loop."""
        return await self.clients.areload()

    def apart(self) -> Self:
        """Return a hook for the same connection, which it knows already, with clients of its own."""
        other = type(self)(self.minimax_conn_id)
        other.clients = Clients(other, self.minimax_conn_id, self.clients.connection.account)
        return other

    def close(self) -> None:
        """Close the synchronous client."""
        self.clients.close()

    async def aclose(self) -> None:
        """Close the event loop's client."""
        await self.clients.aclose()
