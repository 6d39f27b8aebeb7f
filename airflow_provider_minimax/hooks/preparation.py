"""What comes before a call and costs nothing: a request is checked, and the files that it names are read."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from airflow_provider_minimax.api import rules
from airflow_provider_minimax.api.calls import upload_call
from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.inputs.media import file_at, with_media
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.request import UNCHECKED, PaidRequest, VideoRequest, invalid
from airflow_provider_minimax.paths import as_text, local_path, storage_of
from airflow_provider_minimax.text.redaction import redact

if TYPE_CHECKING:
    from airflow_provider_minimax.paths import AnyPath

R = TypeVar("R", bound=PaidRequest)

# Some object stores would fetch fifty megabytes at a time into memory.
_READ_AHEAD = 4 * 1024**2


def prepare(platform: Platform, request: R, *, validate: bool, log: Any) -> R:
    """
    Check a request, and read its pictures, videos and sounds.

    :param platform: the platform, by the first version of its API.
    :param request: the request; what it carries may be paths.
    :param validate: whether to check it against the catalogue and the platform's documentation.
    :param log: gets the warnings.
    :return: the request with URLs, data URLs and the contents of files.
    :raises MinimaxRequestError: the request is invalid.
    :raises MinimaxStorageError: the worker's folder for temporary files has no room for a copy of a file.
    """
    version = platform.for_request(request)
    if validate:
        _check(version, request, log)
    return with_media(request, open_file, check=validate, rules=version.pictures, uploads=version.upload is not None)


def _check(version: Platform, request: PaidRequest, log: Any) -> None:
    own_names = frozenset(version.model_names.values())
    report = rules.validate(request, model_name=version.official_model(request), own_names=own_names)
    if problems := report.problems + version.problems(request):
        raise invalid(problems, hint=UNCHECKED)
    if isinstance(request, VideoRequest):
        # What the platform has no name for is not sent unchecked either.
        version.own_model(request)
    for warning in (*report.warnings, *version.warnings(request)):
        log.warning("%s", warning)


def prepare_upload(platform: Platform, path: AnyPath, *, validate: bool) -> tuple[FileContent, str]:
    """
    Read a file that is to be uploaded.

    :param platform: the platform, by the first version of its API.
    :param path: a local path, or any URL that Airflow's object storage knows.
    :param validate: whether to check the file against the platform's documentation.
    :return: the file, and what to call it.
    :raises MinimaxRequestError: it cannot be read or breaks a rule, or the platform takes no uploads.
    """
    version = platform.latest
    upload_call(version)
    source = as_text(path)
    file = file_at(source, open_file, check=validate, rules=version.pictures)
    return file, redact(repr(source), limit=200)


def open_file(path: str) -> BinaryIO:
    """Open a local path or any URL that Airflow's object storage knows."""
    local = local_path(path)
    if local is not None:
        # Without waiting for a process that may write to a pipe.
        descriptor = os.open(local, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("it is no regular file")
        return open(descriptor, "rb")
    storage, name = storage_of(path)
    file: BinaryIO = storage.open(name, "rb", block_size=_READ_AHEAD)
    return file
