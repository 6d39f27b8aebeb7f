"""Uploading what is too large to travel inside a request. It costs nothing, and nothing is bought when it fails."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from airflow_provider_minimax.api.files.uploads import to_upload, with_addresses
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.inputs.media import file_at
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.api.request import PaidRequest
from airflow_provider_minimax.api.uploaded_files import UploadedFile, file_id_of
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxError, MinimaxRequestError
from airflow_provider_minimax.hooks.calls import may_be_missing
from airflow_provider_minimax.hooks.connected import ConnectedHook
from airflow_provider_minimax.paths import as_text, local_path, storage_of

if TYPE_CHECKING:
    from airflow_provider_minimax.paths import AnyPath

R = TypeVar("R", bound=PaidRequest)

# Some object stores would fetch fifty megabytes at a time into memory.
_READ_AHEAD = 4 * 1024**2


class UploadingHook(ConnectedHook):
    """A hook that can upload files, at platforms that take them."""

    def upload_files(self, request: R) -> R:
        """
        Upload what a request carries that is too large to travel inside it, where the platform takes uploads.

        A submission does so by itself. Who keeps a receipt does it before, because an upload buys nothing.

        :param request: the request, as :meth:`MinimaxHook.prepare` returns it.
        :return: the request with addresses in the place of those files; itself if there are none.
        :raises MinimaxError: an upload failed, by what to do about it; nothing was bought.
        """
        platform = self._resolve()[0].for_request(request)
        files = _large_files(platform, request)
        return with_addresses(request, {file: self._upload(platform, file, name) for name, file in files.items()})

    async def aupload_files(self, request: R) -> R:
        """Do what :meth:`upload_files` does, on an event loop."""
        platform = (await self._aresolve())[0].for_request(request)
        files = _large_files(platform, request)
        return with_addresses(
            request, {file: await self._aupload(platform, file, name) for name, file in files.items()}
        )

    def upload(self, path: AnyPath, *, validate: bool = True) -> str:
        """
        Upload a picture, video or sound to MiniMax, for as many clips of H3 as are to go by it. It costs nothing.

        A submission uploads its large files by itself. This is for a file that many of them have in common: upload it
        in a task of its own, since a request knows it by its address, which is another after each upload.

        :param path: where it is: a local path, or any URL that Airflow's object storage knows.
        :param validate: whether to check it against MiniMax's documentation first.
        :return: its address, ``mm_file://`` and an id, which a request takes in the place of a path for seven days.
        :raises MinimaxRequestError: it cannot be read or breaks a rule, or the platform is a gateway.
        :raises MinimaxError: the upload failed, by what to do about it.
        """
        platform = self._resolve()[0].latest
        _calls_of(platform)
        source = as_text(path)
        file = file_at(source, open_file, check=validate, rules=platform.pictures)
        return self._upload(platform, file, redact(repr(source), limit=200))

    async def aupload(self, path: AnyPath, *, validate: bool = True) -> str:
        """Do what :meth:`upload` does, on an event loop."""
        platform = (await self._aresolve())[0].latest
        _calls_of(platform)
        source = as_text(path)
        file = await asyncio.to_thread(file_at, source, open_file, check=validate, rules=platform.pictures)
        return await self._aupload(platform, file, redact(repr(source), limit=200))

    def list_files(self) -> tuple[UploadedFile, ...]:
        """
        List what was uploaded to the account for clips to go by, the newest first. It costs nothing.

        :return: the files that MiniMax has, each with its address; clips are not among them.
        :raises MinimaxRequestError: the platform is a gateway.
        :raises MinimaxError: the list could not be read, by what to do about it.
        """
        platform = self._resolve()[0].latest
        request, read = _list_of(platform)
        with may_be_missing(platform, "a call that lists uploads"):
            return self.get_conn().send(request, read)

    async def alist_files(self) -> tuple[UploadedFile, ...]:
        """Do what :meth:`list_files` does, on an event loop."""
        family, transport = await self._aconn()
        request, read = _list_of(family.latest)
        with may_be_missing(family.latest, "a call that lists uploads"):
            return await transport.send(request, read)

    def delete_file(self, file: str) -> None:
        """
        Delete what was uploaded to the account. Requests that name it fail from then on; clips made from it stay.

        :param file: its address, as :meth:`upload` returned it, or its id.
        :raises MinimaxRequestError: it is neither, the account has no such upload, or the platform is a gateway.
        :raises MinimaxError: whether it was deleted is not known; :meth:`list_files` tells.
        """
        platform = self._resolve()[0].latest
        request, read = _deletion_of(platform, file)
        with may_be_missing(platform, "a call that deletes uploads"):
            # Sent again after a lost answer, it would be refused, because the file is gone.
            self.get_conn().send(request, read, retries=0)

    async def adelete_file(self, file: str) -> None:
        """Do what :meth:`delete_file` does, on an event loop."""
        family, transport = await self._aconn()
        request, read = _deletion_of(family.latest, file)
        with may_be_missing(family.latest, "a call that deletes uploads"):
            await transport.send(request, read, retries=0)

    def _upload(self, platform: Platform, file: FileContent, what: str) -> str:
        make, read = _calls_of(platform)
        with _uploading(what), may_be_missing(platform, "a call that uploads a file"):
            address = self.get_conn().send(make(file), read)
        self._log_upload(what, file, address)
        return address

    async def _aupload(self, platform: Platform, file: FileContent, what: str) -> str:
        make, read = _calls_of(platform)
        _, transport = await self._aconn()
        with _uploading(what), may_be_missing(platform, "a call that uploads a file"):
            address = await transport.send(make(file), read)
        self._log_upload(what, file, address)
        return address

    def _log_upload(self, what: str, file: FileContent, address: str) -> None:
        self.log.info("Uploaded %s (%.1f MB) as %s, free of charge", what, file.data.length / 1_000_000, address)


def _large_files(platform: Platform, request: PaidRequest) -> dict[str, FileContent]:
    """Return what to upload before a request, once it is known to be one that the platform can be sent."""
    if platform.upload is None:
        return {}
    platform.order(request)
    return to_upload(request)


def _calls_of(platform: Platform) -> tuple[Callable[[FileContent], HttpRequest], Callable[[HttpReply], str]]:
    """
    Return how a platform takes uploads: what makes the request, and what reads the address from its answer.

    :param platform: the version of its API whose clips are to go by the files.
    :raises MinimaxRequestError: it takes none.
    """
    if platform.upload is None or platform.read_upload is None:
        raise MinimaxRequestError(
            f"{platform.title} has no documented call that uploads a file",
            platform=platform.name,
            billing=NOTHING_BOUGHT,
            hint="Give a public URL, or a path, which is sent inside the request.",
        )
    return platform.upload, platform.read_upload


def _list_of(platform: Platform) -> tuple[HttpRequest, Callable[[HttpReply], tuple[UploadedFile, ...]]]:
    """
    Return the call that lists what was uploaded, and what reads its answer.

    :param platform: the version of its API whose clips go by the files.
    :raises MinimaxRequestError: it has no such call.
    """
    if platform.upload is None or platform.list_files is None or platform.read_files is None:
        raise _no_call_for_files(platform)
    return platform.list_files(), platform.read_files


def _deletion_of(platform: Platform, file: str) -> tuple[HttpRequest, Callable[[HttpReply], None]]:
    """
    Return the call that deletes what was uploaded, and what reads its answer.

    :param platform: the version of its API whose clips go by the file.
    :param file: its address or id.
    :raises MinimaxRequestError: it has no such call, or there is no such address.
    """
    if platform.upload is None or platform.delete_file is None or platform.read_deletion is None:
        raise _no_call_for_files(platform)
    return platform.delete_file(file_id_of(file)), platform.read_deletion


def _no_call_for_files(platform: Platform) -> MinimaxRequestError:
    return MinimaxRequestError(
        f"{platform.title} has no documented call that lists or deletes uploads", platform=platform.name
    )


@contextmanager
def _uploading(what: str) -> Iterator[None]:
    """
    Let an error in here say what could not be uploaded, and that nothing was bought.

    :param what: what is uploaded.
    """
    try:
        yield
    except MinimaxError as error:
        error.message = f"{what} could not be uploaded: {error.message}"
        error.args = (error.message,)
        error.billing = NOTHING_BOUGHT
        raise


def open_file(path: str) -> BinaryIO:
    """Open a local path or any URL that Airflow's object storage knows."""
    local = local_path(path)
    if local is not None:
        # Without waiting for whoever may write to a pipe.
        descriptor = os.open(local, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("it is no regular file")
        return open(descriptor, "rb")
    storage, name = storage_of(path)
    file: BinaryIO = storage.open(name, "rb", block_size=_READ_AHEAD)
    return file
