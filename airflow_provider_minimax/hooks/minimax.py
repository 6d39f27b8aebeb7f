"""
The hook: all that can be asked of MiniMax, and of the gateways that resell it.

What an event loop may need is there twice, for synchronous code and with an ``a`` in front. Clients are opened at
the first use and kept; all triggers of an event loop that use one connection share one, through the hub.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow_provider_minimax.api import rules
from airflow_provider_minimax.api.http.exchange import IN_FLIGHT, Endpoint
from airflow_provider_minimax.api.inputs.media import with_media
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.redaction import redact, without_key
from airflow_provider_minimax.api.request import UNCHECKED, PaidRequest, VideoRequest, invalid
from airflow_provider_minimax.api.task import TaskPage, TaskState, VideoFile, VideoTask
from airflow_provider_minimax.exceptions import MinimaxError, MinimaxRequestError
from airflow_provider_minimax.hooks.calls import (
    about_task,
    balance,
    cancellation,
    cancelled,
    doubting_address,
    list_price_at,
    may_be_missing,
    no_list,
    own_file,
    task_reader,
)
from airflow_provider_minimax.hooks.connection_test import probe
from airflow_provider_minimax.hooks.uploading import UploadingHook, open_file
from airflow_provider_minimax.hooks.versions import TaskVersions
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
    from airflow_provider_minimax.paths import AnyPath

R = TypeVar("R", bound=PaidRequest)


class MinimaxHook(UploadingHook):
    """
    MiniMax, or one of the gateways that resell it, through an Airflow connection.

    :param minimax_conn_id: the connection: its password is the API key, its host the base URL (the platform's own if
        empty), its extra field ``platform`` one of ``minimax``, ``bltcy``, ``chainhub``, ``vtrix``, ``novita``,
        ``ai302``. MiniMax itself, Novita and 302.AI have two versions of the API, each of which knows its own remote
        tasks only: the model decides which one a clip is bought through. What asks for a remote task takes it as
        ``api_version``; left out, the first is asked, then the second, and the answer is remembered. What a gateway
        lacks of the second is refused before anything is sent: :ref:`h3-gateways`.
    """

    def __init__(self, minimax_conn_id: str = UploadingHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(minimax_conn_id, **kwargs)
        self._task_versions = TaskVersions()

    # -- buying a clip -------------------------------------------------------------------------------------------------

    def prepare(self, request: R, *, validate: bool = True) -> R:
        """
        Do all of a submission that costs nothing: check the request, and read its pictures, videos and sounds.

        :param request: what to make. What it carries may be paths, which are read here.
        :param validate: whether to check the request against the catalogue and the platform's documentation.
        :return: the request with URLs, data URLs and the contents of files, which are kept out of memory as long as
            somebody has the request; :meth:`submit` takes it with ``validate=False``.
        :raises MinimaxRequestError: the request is invalid.
        :raises MinimaxStorageError: the worker's folder for temporary files has no room for a copy of a file.
        """
        platform = self._resolve()[0].for_request(request)
        self._check(request, platform, validate)
        return with_media(
            request, open_file, check=validate, rules=platform.pictures, uploads=platform.upload is not None
        )

    def api_version(self, model: str) -> str:
        """
        Return which version of the API has a model here, for those who ask for its tasks later.

        :param model: the model's name.
        :return: ``v1`` or ``v2``.
        :raises MinimaxRequestError: the platform is not known to have the version that sells the model.
        """
        return self._resolve()[0].for_model(model).api_version

    def has_list(self, api_version: str) -> bool:
        """
        Return whether :meth:`list_tasks` can list the tasks of a version of the API.

        :param api_version: which version of MiniMax's API.
        """
        return self._resolve()[0].of_version(api_version).list_tasks is not None

    def can_cancel(self, api_version: str) -> bool:
        """
        Return whether :meth:`cancel` can cancel the queued tasks of a version of the API.

        :param api_version: which version of MiniMax's API.
        """
        return self._resolve()[0].of_version(api_version).cancel is not None

    def documents_callbacks(self, request: PaidRequest) -> bool:
        """
        Return whether the platform documents that it posts status changes of what is asked for.

        :param request: the request, with a ``callback_url``.
        """
        return self._resolve()[0].for_request(request).documents(request, "callback_url")

    def account(self) -> dict[str, str]:
        """Return where clips are bought through this connection: ``platform``, ``base_url``, ``minimax_conn_id``."""
        platform, endpoint = self._resolve()
        return {
            "platform": platform.name,
            "base_url": f"{endpoint.base_url}{endpoint.path_prefix}",
            "minimax_conn_id": self.minimax_conn_id,
        }

    def rate_limit_per_minute(self) -> int | None:
        """Return how many clips may be submitted in a minute through this connection, if its author said so."""
        return self._resolve()[1].rate_limit_per_minute

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
            names a task for all that, ``minimax_task_id`` is its id.
        :raises MinimaxError: the platform refused, or a file could not be uploaded; nothing was bought.
        """
        family, endpoint = self._resolve()
        platform = family.for_request(request)
        ready = self.prepare(request, validate=validate)
        order = platform.order(self.upload_files(ready))
        with doubting_address():
            minimax_task_id = self.get_conn().send(order, platform.read_submission, after_refusals=after_refusals)
        bought(minimax_task_id)
        self._task_versions.remember(minimax_task_id, platform.api_version)
        self._log_submission(minimax_task_id, ready, endpoint)
        return minimax_task_id

    async def asubmit(self, request: PaidRequest, *, validate: bool = True) -> str:
        """Do what :meth:`submit` does, on an event loop."""
        family, transport = await self._aconn()
        platform = family.for_request(request)
        self._check(request, platform, validate)
        ready = await asyncio.to_thread(
            with_media,
            request,
            open_file,
            check=validate,
            rules=platform.pictures,
            uploads=platform.upload is not None,
        )
        order = platform.order(await self.aupload_files(ready))
        with doubting_address():
            minimax_task_id = await transport.send(order, platform.read_submission)
        bought(minimax_task_id)
        self._task_versions.remember(minimax_task_id, platform.api_version)
        self._log_submission(minimax_task_id, ready, transport.endpoint)
        return minimax_task_id

    def _check(self, request: PaidRequest, platform: Platform, validate: bool) -> None:
        if not validate:
            return
        own_names = frozenset(platform.model_names.values())
        findings = rules.check(request, model_name=platform.official_model(request), own_names=own_names)
        if problems := findings.problems + platform.problems(request):
            raise invalid(problems, hint=UNCHECKED)
        if isinstance(request, VideoRequest):
            # What the platform has no name for is not sent unchecked either.
            platform.own_model(request)
        for warning in (*findings.warnings, *platform.warnings(request)):
            self.log.warning("%s", warning)

    def _log_submission(self, minimax_task_id: str, request: PaidRequest, endpoint: Endpoint) -> None:
        price = list_price_at(request, endpoint)
        self.log.info(
            "Bought at %s: MiniMax task %s, %s%s%s",
            endpoint.platform,
            minimax_task_id,
            request.model,
            "" if request.task_type == "generation" else f" {request.task_type}",
            f", {price}" if price else "",
        )

    def list_price(
        self, request: PaidRequest, *, seconds: float | None = None, input_seconds: float | None = None
    ) -> ListPrice | None:
        """
        Return what a clip lists at for this account: an estimate of its cost.

        :param request: what to buy.
        :param seconds: the length of the clip, where the request does not say it and the platform did.
        :param input_seconds: how long its reference videos are together, where the platform told; otherwise the files
            of a request that :meth:`prepare` returned are measured.
        :return: the price in the account's currency; ``None`` where none is known, as on every gateway.
        """
        return list_price_at(request, self._resolve()[1], seconds, input_seconds)

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

    # -- looking at it -------------------------------------------------------------------------------------------------

    def get_task(
        self,
        minimax_task_id: str,
        *,
        api_version: str | None = None,
        retries: int | None = None,
        within: float = math.inf,
    ) -> VideoTask:
        """
        Look at a remote task.

        :param minimax_task_id: its id.
        :param api_version: which version of MiniMax's API knows it: ``v1``, or ``v2`` for H3. Left out, that is found
            out with one more request at most, and remembered for this id.
        :param retries: how often to repeat a failed look; the connection's ``max_retries`` by default.
        :param within: how many seconds all of that may take, however long the connection's ``timeout`` is.
        :return: where it stands.
        :raises MinimaxTaskGoneError: the platform does not know the id.
        :raises MinimaxRequestError: the platform has no such version.
        :raises MinimaxError: the look failed, by what to do about it.
        """
        minimax_task_id = checked_id(minimax_task_id)
        ends_at = time.monotonic() + within
        with about_task(minimax_task_id):
            search = self._task_versions.search(self._resolve()[0], minimax_task_id, api_version)
            for version in search.versions:
                try:
                    task = self.get_conn().send(
                        version.query(minimax_task_id),
                        task_reader(version, minimax_task_id),
                        retries=retries,
                        within=ends_at - time.monotonic(),
                    )
                except MinimaxError as error:
                    search.failed(error)
                else:
                    if search.found(task):
                        return task
            return search.result()

    async def aget_task(
        self, minimax_task_id: str, *, api_version: str | None = None, retries: int | None = None
    ) -> VideoTask:
        """Do what :meth:`get_task` does, on an event loop."""
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            family, transport = await self._aconn()
            search = self._task_versions.search(family, minimax_task_id, api_version)
            for version in search.versions:
                try:
                    task = await transport.send(
                        version.query(minimax_task_id), task_reader(version, minimax_task_id), retries=retries
                    )
                except MinimaxError as error:
                    search.failed(error)
                else:
                    if search.found(task):
                        return task
            return search.result()

    @property
    def max_in_flight(self) -> int:
        """How many looks of triggers may be under way at once."""
        return self._async_transport.max_in_flight if self._async_transport else IN_FLIGHT

    def page_size(self, api_version: str | None) -> int:
        """
        Return how many tasks one request can look at: 1 where there is no list, and before the connection is looked up.

        :param api_version: which version of MiniMax's API knows them; 1 if that is not known, or if the platform has no
            such version, which a look says.
        """
        try:
            return self._resolved[0].of_version(api_version).page_size if self._resolved and api_version else 1
        except MinimaxRequestError:
            return 1

    async def aget_tasks(
        self, minimax_task_ids: Sequence[str], *, api_version: str, known: Mapping[str, VideoTask]
    ) -> dict[str, VideoTask]:
        """
        Look at several remote tasks with one request, where :meth:`page_size` is more than 1.

        :param minimax_task_ids: their ids, at most ``page_size``.
        :param api_version: which version of MiniMax's API knows them.
        :param known: tasks as they were last seen, by their ids; one that goes on as it did is returned as it is here.
        :return: those that the platform tells enough of, by their ids; the others have to be looked at one by one.
        :raises MinimaxError: the look failed, by what to do about it.
        """
        family, transport = await self._aconn()
        platform = family.of_version(api_version)
        if platform.list_tasks is None or platform.read_list is None:
            return {}
        request = platform.list_tasks(1, len(minimax_task_ids), None, minimax_task_ids, "")
        page = await transport.send(request, partial(platform.read_list, known=known), retries=0)
        return {
            task.minimax_task_id: task
            for task in page.tasks
            if task.state is not TaskState.SUCCEEDED or task.has_output
        }

    def get_file(self, task: VideoTask) -> VideoFile:
        """
        Ask where a finished task's clip is; each call gives a fresh URL, which lives for about an hour.

        :param task: the finished task, or any task with a ``file_id``.
        :return: the clip's place at the file host.
        :raises MinimaxUnavailableError: the task has no clip, or not yet.
        :raises MinimaxError: the look failed, by what to do about it.
        """
        with about_task(task.minimax_task_id):
            platform = self._resolve()[0].of_version(task.api_version)
            if platform.locate is None or platform.read_file is None or task.file_id is None:
                return own_file(task, platform)
            return self.get_conn().send(platform.locate(task), platform.read_file)

    async def aget_file(self, task: VideoTask) -> VideoFile:
        """Do what :meth:`get_file` does, on an event loop."""
        with about_task(task.minimax_task_id):
            family, transport = await self._aconn()
            platform = family.of_version(task.api_version)
            if platform.locate is None or platform.read_file is None or task.file_id is None:
                return own_file(task, platform)
            return await transport.send(platform.locate(task), platform.read_file)

    def download(self, task: VideoTask, output_path: AnyPath, *, overwrite: bool = False) -> dict[str, Any]:
        """
        Fetch a finished task's clip to its place, as the operators do: whole, resumed where it broke, never half there.

        No receipt is kept; give an operator ``output_path`` to have one.

        :param task: the finished task, or any task with a ``file_id``.
        :param output_path: a path, or any URL that Airflow's object storage knows; not a folder.
        :param overwrite: whether a file that is there already may be replaced.
        :return: the task's facts, with ``output_path``, ``size`` in bytes and ``sha256``.
        :raises MinimaxRequestError: ``output_path`` is none, or is taken.
        :raises MinimaxDownloadError: the clip could not be fetched whole; the next call goes on from where it broke.
        :raises MinimaxStorageError: its place cannot be read or written just now.
        """
        from airflow_provider_minimax.delivery.deliver import deliver_clip
        from airflow_provider_minimax.delivery.destination import destination_of
        from airflow_provider_minimax.purchases.ledger import Ledger

        with about_task(task.minimax_task_id):
            place, no_receipt = destination_of(output_path, None), Ledger((), log=self.log)
            options = DeliveryOptions(output_path=output_path, overwrite=overwrite)
            return deliver_clip(self, task, place, no_receipt, None, options, log=self.log).facts

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
        platform = self._resolve()[0].of_version(api_version)
        if platform.list_tasks is None or platform.read_list is None:
            raise no_list(platform)
        with may_be_missing(platform, "a list of tasks"):
            return self.get_conn().send(platform.list_tasks(page, page_size, model, (), task_type), platform.read_list)

    async def alist_tasks(
        self,
        *,
        model: str | None = None,
        page: int = 1,
        page_size: int = 20,
        task_type: str = "generation",
        api_version: str = "v2",
    ) -> TaskPage:
        """Do what :meth:`list_tasks` does, on an event loop."""
        family, transport = await self._aconn()
        platform = family.of_version(api_version)
        if platform.list_tasks is None or platform.read_list is None:
            raise no_list(platform)
        with may_be_missing(platform, "a list of tasks"):
            return await transport.send(
                platform.list_tasks(page, page_size, model, (), task_type), platform.read_list, retries=0
            )

    # -- cancelling it -------------------------------------------------------------------------------------------------

    def cancel(self, minimax_task_id: str, *, api_version: str | None = None, within: float = math.inf) -> VideoTask:
        """
        Cancel a remote task that is still queued, which is free of charge; leave any other alone.

        The platform's call for this erases the record of a finished task, so it is looked at first.

        :param minimax_task_id: its id.
        :param api_version: which version of MiniMax's API knows it; ``v1`` cannot cancel. Left out, that is found out.
        :param within: how many seconds that may take, however long the connection's ``timeout`` is.
        :return: the task as it is now; its state says whether it was cancelled, now or before.
        :raises MinimaxRequestError: the platform cannot cancel, or the task began just now.
        :raises MinimaxError: the look or the cancellation failed, by what to do about it.
        """
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            family = self._resolve()[0]
            # What cannot be cancelled at all is said before anything is asked.
            cancellation(family.of_version(api_version) if api_version else family.latest, minimax_task_id)
            ends_at = time.monotonic() + within
            task = self.get_task(minimax_task_id, api_version=api_version, within=within)
            if task.state is not TaskState.PENDING:
                return task
            platform = family.of_version(task.api_version)
            request, read = cancellation(platform, minimax_task_id)
            with may_be_missing(platform, "a call that cancels a task"):
                became = self.get_conn().send(request, read, retries=0, within=ends_at - time.monotonic())
            return cancelled(task, became)

    async def acancel(self, minimax_task_id: str, *, api_version: str | None = None) -> VideoTask:
        """Do what :meth:`cancel` does, on an event loop."""
        minimax_task_id = checked_id(minimax_task_id)
        with about_task(minimax_task_id):
            family, transport = await self._aconn()
            cancellation(family.of_version(api_version) if api_version else family.latest, minimax_task_id)
            task = await self.aget_task(minimax_task_id, api_version=api_version)
            if task.state is not TaskState.PENDING:
                return task
            platform = family.of_version(task.api_version)
            request, read = cancellation(platform, minimax_task_id)
            with may_be_missing(platform, "a call that cancels a task"):
                became = await transport.send(request, read, retries=0)
            return cancelled(task, became)

    # -- the account ---------------------------------------------------------------------------------------------------

    def get_balance(self) -> Balance:
        """
        Ask what is left in the account, which is free of charge. Best effort: the call is on no page of the API.

        :return: the amounts, or what is left of the key's plan; what the platform does not tell is ``None``.
        :raises MinimaxRequestError: the platform is a gateway, which cannot be asked.
        :raises MinimaxError: the look failed, by what to do about it.
        """
        platform, endpoint = self._resolve()
        request, read = balance(platform, endpoint)
        return self.get_conn().send(request, read)

    async def aget_balance(self) -> Balance:
        """Do what :meth:`get_balance` does, on an event loop."""
        platform, transport = await self._aconn()
        request, read = balance(platform, transport.endpoint)
        return await transport.send(request, read)

    # -- the connection test -------------------------------------------------------------------------------------------

    def test_connection(self) -> tuple[bool, str]:
        """
        Ask for a task that does not exist, which costs nothing and tells how the platform takes the key.

        :return: whether the connection works, and one sentence: it does; the key is wrong; the key is of another
            region; the host cannot be reached; the host is not this platform; or a field is wrong.
        """
        try:
            platform, endpoint = self._resolve()
            works, said = probe(platform, endpoint)
            return works, self._to_the_tester(said)
        except MinimaxError as error:
            return False, self._to_the_tester(" ".join(filter(None, (f"{error.message}.", error.hint))))
        except Exception as error:
            # Whatever goes wrong here is an answer to the person who pressed the button.
            return False, self._to_the_tester(redact(f"{type(error).__name__}: {error}"))

    def _to_the_tester(self, said: str) -> str:
        # Airflow tests a connection under a random id, which would only puzzle the person who pressed the button.
        said = said.replace(f"connection {self.minimax_conn_id!r}", "this connection")
        return without_key(said, self._resolved[1].api_key) if self._resolved else said
