"""From the file host to a local file: fetched under another name beside it, checked, then renamed into place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from airflow_provider_minimax.exceptions import MinimaxDownloadError, MinimaxRequestError
from airflow_provider_minimax.receipts.decision import Clip, LookAtOutput
from airflow_provider_minimax.receipts.purchase import now

if TYPE_CHECKING:
    from airflow_provider_minimax.api.task import VideoFile, VideoTask
    from airflow_provider_minimax.api.transport import Transport
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.receipts.ledger import Ledger, Log
    from airflow_provider_minimax.receipts.record import Receipt

_ATTEMPTS = 3
# An MP4 begins with a box of type "ftyp", after the box's length in four bytes (ISO/IEC 14496-12).
_FILE_TYPE = slice(4, 8)


def local_output(output: str) -> Path:
    """
    Return where a clip will land, after checking that it can.

    :param output: a path, or a ``file://`` URL.
    :return: the absolute path; its folder exists and can be written.
    :raises MinimaxRequestError: another kind of URL, a folder, or a place that cannot be written.
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(f"{shown}: its folder cannot be made: {error}") from error
    if not os.access(path.parent, os.W_OK):
        raise _refused(f"{shown}: its folder cannot be written by this worker")
    return path


def look_at(path: Path | None) -> LookAtOutput:
    """Return what tells whether the clip of a given hash is at its place."""

    def look(sha256: str | None) -> Clip:
        if path is None or not path.exists():
            return Clip.ABSENT
        if sha256 is None:
            return Clip.DIFFERS
        with path.open("rb") as file:
            return Clip.FITS if hashlib.file_digest(file, "sha256").hexdigest() == sha256 else Clip.DIFFERS

    return look


def land(
    hook: MinimaxHook,
    task: VideoTask,
    path: Path,
    ledger: Ledger,
    receipt: Receipt | None,
    *,
    overwrite: bool,
    log: Log,
    instead_of: Receipt | None = None,
) -> dict[str, Any]:
    """
    Fetch a clip, put it in its place and write that down; fetch nothing if it is there already.

    :param hook: the way to the platform.
    :param task: the finished task.
    :param path: the clip's place.
    :param ledger: where its receipt is kept.
    :param receipt: its receipt, if there is one.
    :param overwrite: whether another file in its place may be replaced.
    :param log: where to say what happens.
    :param instead_of: the receipt of an earlier clip at this place, which this one's replaces.
    :return: the facts of the clip, with ``output_path``, ``size`` in bytes and ``sha256``.
    :raises MinimaxRequestError: another file is at its place and may not be replaced.
    :raises MinimaxDownloadError: the clip could not be fetched whole.
    """
    if receipt is not None and look_at(path)(receipt.sha256) is Clip.FITS:
        log.info("The clip of MiniMax task %s is whole and in its place: %s", receipt.minimax_task_id, path)
        ledger.keep(receipt.delivered(now()))
        return facts_of(receipt)
    if path.exists() and not overwrite:
        raise _refused(
            f"output_path={str(path)!r}: exists already; give another path, or set overwrite=True to replace it"
        )

    def locate() -> VideoFile:
        return hook.get_file(task if task.file_id else hook.get_task(task.minimax_task_id))

    def write_down(sha256: str, size: int) -> None:
        # Should this process die before the clip is written down as delivered, the next knows it by its hash.
        nonlocal receipt
        if receipt is not None:
            receipt = receipt.fetched(str(path), sha256, size, task.as_result())
            ledger.keep(receipt, instead_of=instead_of)

    sha256, size = fetch(hook.get_conn(), locate, path, write_down)
    log.info("Clip of MiniMax task %s: %s (%s bytes)", task.minimax_task_id or task.file_id, path, size)
    if receipt is not None:
        ledger.keep(receipt.delivered(now()))
    return task.as_result() | {"output_path": str(path), "size": size, "sha256": sha256}


def facts_of(receipt: Receipt) -> dict[str, Any]:
    """Return what :func:`land` returned for the clip of a receipt."""
    place = {"output_path": receipt.output_path, "size": receipt.size, "sha256": receipt.sha256}
    return (receipt.facts or {}) | place


def fetch(
    transport: Transport,
    locate: Callable[[], VideoFile],
    path: Path,
    before_publishing: Callable[[str, int], None],
) -> tuple[str, int]:
    """
    Fetch a clip to a local file, with a fresh link for each attempt.

    :param transport: the way to the file host.
    :param locate: asks where the clip is; called once an attempt, because links expire.
    :param path: where it shall be; nothing is there before the whole clip is.
    :param before_publishing: told the clip's hash and size before it is put in its place.
    :return: its SHA-256 and its size in bytes.
    :raises MinimaxDownloadError: three attempts failed.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(MinimaxDownloadError),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=1, max=10),
        reraise=True,
    )
    facts: tuple[str, int] = attempts(lambda: _fetch(transport, locate().url, path, before_publishing))
    return facts


def _fetch(
    transport: Transport, url: str, path: Path, before_publishing: Callable[[str, int], None]
) -> tuple[str, int]:
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with transport.fetch(url) as stream, unfinished.open("xb", buffering=0) as file:
            first = next(stream.chunks, b"")
            if first[_FILE_TYPE] != b"ftyp":
                raise MinimaxDownloadError(
                    f"the file host sent no MP4 but {stream.content_type or 'something else'} "
                    f"that begins with {first[:16]!r}"
                )
            digest = hashlib.sha256(first)
            size = file.write(first)
            for chunk in stream.chunks:
                digest.update(chunk)
                size += file.write(chunk)
        if stream.length is not None and size != stream.length:
            raise MinimaxDownloadError(f"the file host sent {size} bytes of {stream.length}")
        before_publishing(digest.hexdigest(), size)
        unfinished.replace(path)
        return digest.hexdigest(), size
    finally:
        unfinished.unlink(missing_ok=True)


def _refused(problem: str) -> MinimaxRequestError:
    return MinimaxRequestError(problem)
