"""From the file host to a local file: streamed to a temporary name beside it, checked, then renamed into place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from airflow_provider_minimax.exceptions import MinimaxDownloadError, MinimaxRequestError

if TYPE_CHECKING:
    from airflow_provider_minimax.api.task import VideoFile
    from airflow_provider_minimax.api.transport import Transport

_ATTEMPTS = 3
# An MP4 begins with a box of type "ftyp", after the box's length in four bytes (ISO/IEC 14496-12).
_FILE_TYPE = slice(4, 8)


def local_output(output: str, *, overwrite: bool) -> Path:
    """
    Return where a clip will land, after checking that it can.

    :param output: a path, or a ``file://`` URL.
    :param overwrite: whether a file that is already there may be replaced.
    :return: the absolute path; its folder exists and can be written.
    :raises MinimaxRequestError: another kind of URL, a folder, an existing file, or a place that cannot be written.
    """
    shown = f"output_path={output!r}"
    scheme = urlsplit(output).scheme if "://" in output else ""
    if scheme not in ("", "file"):
        raise _refused(f"{shown}: {scheme}:// cannot be written to; give a local path or a file:// URL")
    if not output.strip():
        raise _refused(f"{shown}: must be the path of a file; leave it out (None) for no download")
    path = Path(unquote(urlsplit(output).path) if scheme else output).absolute()
    if output.endswith("/") or path.is_dir():
        raise _refused(f"{shown}: is a folder; give the path of a file in it, such as {path / 'clip.mp4'}")
    if path.exists() and not overwrite:
        raise _refused(f"{shown}: exists already; give another path, or set overwrite=True to replace it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(f"{shown}: its folder cannot be made: {error}") from error
    if not os.access(path.parent, os.W_OK):
        raise _refused(f"{shown}: its folder cannot be written by this worker")
    return path


def deliver(transport: Transport, locate: Callable[[], VideoFile], path: Path) -> int:
    """
    Fetch a clip to a local file, with a fresh link for each attempt.

    :param transport: the way to the file host.
    :param locate: asks where the clip is; called once an attempt, because links expire.
    :param path: where it shall be; nothing is there before the whole clip is.
    :return: its size in bytes.
    :raises MinimaxDownloadError: three attempts failed.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(MinimaxDownloadError),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=1, max=10),
        reraise=True,
    )
    size: int = attempts(lambda: _fetch(transport, locate().url, path))
    return size


def _fetch(transport: Transport, url: str, path: Path) -> int:
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with transport.fetch(url) as stream, unfinished.open("xb", buffering=0) as file:
            first = next(stream.chunks, b"")
            if first[_FILE_TYPE] != b"ftyp":
                raise MinimaxDownloadError(
                    f"the file host sent no MP4 but {stream.content_type or 'something else'} "
                    f"that begins with {first[:16]!r}"
                )
            size = file.write(first)
            for chunk in stream.chunks:
                size += file.write(chunk)
        if stream.length is not None and size != stream.length:
            raise MinimaxDownloadError(f"the file host sent {size} bytes of {stream.length}")
        unfinished.replace(path)
        return size
    finally:
        unfinished.unlink(missing_ok=True)


def _refused(problem: str) -> MinimaxRequestError:
    return MinimaxRequestError(problem)
