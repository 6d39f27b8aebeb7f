"""
Clips in object storage, and in any other storage that fsspec knows.

Here go the quirks of each kind of storage: whether a half-written object can be seen, how it takes a content type, how
an upload is aborted.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from airflow_provider_minimax.delivery.destination.base import Destination, rejected_name, unwritable
from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxStorageError
from airflow_provider_minimax.paths import refused, storage_of
from airflow_provider_minimax.text.redaction import harmless_cause, redact

# The smallest part that S3 takes.
_BLOCK = 5 * 1024**2
_PIECE = 1024**2
_UPLOADS = 3
# In these, an object appears only when it is complete, so it needs no temporary name.
_ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "oss", "memory"})
_S3 = ("s3", "s3a")
# What each calls the type of an object. Without it, a browser downloads the object instead of playing it.
_CONTENT_TYPE = {**dict.fromkeys(_S3, "ContentType"), **dict.fromkeys(("gs", "gcs"), "content_type")}


class ObjectStorageDestination(Destination):
    """
    A destination in any storage that Airflow's ``ObjectStoragePath`` knows.

    :param url: such as ``s3://my_aws_conn@bucket/clips/a.mp4``.
    """

    # Buckets may keep old versions, and send notifications about new objects.
    probe_is_invisible = False

    def __init__(self, url: str) -> None:
        super().__init__(url)
        try:
            self._storage, self._path = storage_of(url)
        except MinimaxRequestError:
            raise
        except ValueError as error:
            raise refused(
                "output_path",
                url,
                f"this Airflow has no storage for {url.partition('://')[0]}:// ({redact(str(error))}); install the "
                "provider that brings it, such as apache-airflow-providers-amazon[s3fs] for s3://",
            ) from harmless_cause(error)
        except Exception as error:
            raise unwritable(
                url, f"the storage cannot be reached ({redact(f'{type(error).__name__}: {error}')})"
            ) from harmless_cause(error)
        self._scheme = url.partition("://")[0]

    def sibling(self, ending: str) -> ObjectStorageDestination:
        """Return the destination of a companion of the clip."""
        return ObjectStorageDestination(self.url + ending)

    def rejected(self, number: int = 1) -> ObjectStorageDestination:
        """Return the destination of a rejected clip."""
        folder, slash, name = self.url.rpartition("/")
        return ObjectStorageDestination(f"{folder}{slash}{rejected_name(name, number)}")

    def exists(self) -> bool:
        """Return whether there is an object."""
        with self._storage_errors("reached"):
            return bool(self._storage.exists(self._path))

    def part_file(self, name: str) -> Path:
        """Return a file in this worker's folder for temporary files; a retry on the same worker finds it again."""
        folder = Path(tempfile.gettempdir()) / f"airflow-provider-minimax-{os.getuid()}"
        try:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            found = folder.lstat()
        except OSError as error:
            raise MinimaxStorageError(
                f"{folder}, where clips are kept while they are downloaded, cannot be written ({error.strerror})",
                hint="Check the worker's folder for temporary files, or set TMPDIR to another one.",
            ) from harmless_cause(error)
        if not folder.is_dir() or folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
            # Another user may have created it: everybody may write to the folder above.
            raise MinimaxStorageError(
                f"{folder} is not a folder that only this user can write to, so clips are not downloaded into it",
                hint="Remove it, or set TMPDIR to another folder for the workers.",
            )
        return folder / f"{hashlib.sha256(self.url.encode()).hexdigest()[:16]}.{name}.part"

    def check(self) -> None:
        """Write an empty object next to the clip's URL, and delete it again."""
        probe = f"{self._path}.{uuid4().hex}.check"
        try:
            self._storage.pipe_file(probe, b"")
        except Exception as error:
            raise unwritable(
                self.url, f"cannot be written ({redact(f'{type(error).__name__}: {error}')})"
            ) from harmless_cause(error)
        with suppress(Exception):
            # Without the permission to delete, the empty object stays.
            self._storage.rm_file(probe)

    def put(self, file: Path, *, overwrite: bool) -> bool:
        """Upload the file; under a temporary name first where a reader could see half of it."""
        with self._storage_errors("written"):
            if not overwrite and self._storage.exists(self._path):
                return False
            uploads = Retrying(
                retry=retry_if_exception(_is_transient),
                stop=stop_after_attempt(_UPLOADS),
                wait=wait_random_exponential(multiplier=1, max=10),
                reraise=True,
            )
            uploads(self._upload, file)
        # The clip is delivered. What cannot be deleted now, a later cleanup deletes.
        with suppress(OSError):
            file.unlink()
        return True

    def _upload(self, file: Path) -> None:
        if self._scheme in _ATOMIC:
            self._write(file, self._path)
            return
        temporary = f"{self._path}.{uuid4().hex}.part"
        try:
            self._write(file, temporary)
            self._storage.mv(temporary, self._path)
        except BaseException:
            with suppress(Exception):
                self._storage.rm_file(temporary)
            raise

    def _write(self, file: Path, path: str) -> None:
        options = self._content_type_option("video/mp4")
        if self._scheme in _S3:
            # Keeps one part in memory; writing to an open file keeps four.
            self._storage.put_file(str(file), path, chunksize=_BLOCK, max_concurrency=1, **options)
            return
        out = self._storage.open(path, "wb", block_size=_BLOCK, **options)
        try:
            with file.open("rb") as content:
                while piece := content.read(_PIECE):
                    out.write(piece)
            out.close()
        except BaseException:
            _abort(out)
            raise

    def put_bytes(self, content: bytes, content_type: str) -> None:
        """Write a small object."""
        with self._storage_errors("written"):
            self._storage.pipe_file(self._path, content, **self._content_type_option(content_type))

    def _content_type_option(self, content_type: str) -> dict[str, str]:
        name = _CONTENT_TYPE.get(self._scheme)
        return {name: content_type} if name else {}

    def _open(self) -> BinaryIO:
        opened: BinaryIO = self._storage.open(self._path, "rb", block_size=_BLOCK)
        return opened


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, OSError) and not isinstance(error, PermissionError | FileNotFoundError)


def _abort(out: Any) -> None:
    """Discard an open upload and its parts: closing it would publish what was written so far."""
    with suppress(Exception):
        out.discard()
    with suppress(AttributeError):
        out.closed = True
