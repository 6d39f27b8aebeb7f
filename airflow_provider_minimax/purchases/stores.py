"""
Where receipts are kept.

A sidecar lies next to the output, on any storage that Airflow knows; the task state store is Airflow's own (3.3 and
later). Each write is one small object that is there whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from airflow_provider_minimax.exceptions import MinimaxError, MinimaxReceiptStoreError
from airflow_provider_minimax.paths import local_path, storage_of
from airflow_provider_minimax.purchases.receipt import LARGEST, Receipt, read_receipt, unreadable
from airflow_provider_minimax.text.redaction import harmless_cause, redact

SUFFIX = ".receipt.json"
STATE_KEY = "minimax_receipt"


class ReceiptStore(Protocol):
    """Where one receipt is kept."""

    where: str
    """The store's name, for people."""
    create_may_race: bool
    """Whether two writers may both believe that they created it."""
    write_may_race: bool
    """Whether somebody else may write here at all."""

    def read(self) -> Receipt | None:
        """
        Return the receipt; ``None`` only if there surely is none.

        :raises MinimaxReceiptStoreError: the store cannot be read.
        :raises MinimaxReceiptError: what is there is no receipt that can be read.
        """

    def create(self, receipt: Receipt) -> bool:
        """
        Write the receipt unless there is one.

        :return: whether it was written.
        :raises MinimaxReceiptStoreError: the store cannot be written.
        """

    def write(self, receipt: Receipt) -> None:
        """Replace the receipt that is there, all of it or nothing; raises like :meth:`create`."""

    def erase(self) -> None:
        """Take the receipt away; raises like :meth:`create`."""


class SidecarStore:
    """
    A receipt next to the output: ``clip.mp4.receipt.json``.

    :param output_path: where the clip is or will be: a path, or any URL that Airflow's object storage knows.
    """

    def __init__(self, output_path: str) -> None:
        self.where = f"{output_path}{SUFFIX}"
        self._file = local_path(self.where)
        if self._file is None:
            with storage_errors(f"receipt {self.where}", "reached"):
                self._storage, self._path = storage_of(self.where)
        # Not every storage behind fsspec can create a file exclusively; a local one can.
        self.create_may_race = self._file is None
        self.write_may_race = True

    def read(self) -> Receipt | None:
        """Return the receipt, if there is one."""
        with storage_errors(f"receipt {self.where}", "read"):
            try:
                content = read_file(self._file, self.where) if self._file else read_object(self._storage, self._path)
            except FileNotFoundError:
                return None
        return read_receipt(content, self.where)

    def create(self, receipt: Receipt) -> bool:
        """Write the receipt unless there is one."""
        with storage_errors(f"receipt {self.where}", "written"):
            try:
                if self._file:
                    self._publish(self._file, receipt, _put_new)
                else:
                    self._storage.pipe_file(self._path, receipt.as_json(), mode="create")
            except FileExistsError:
                return False
        return True

    def write(self, receipt: Receipt) -> None:
        """Replace the receipt that is there."""
        with storage_errors(f"receipt {self.where}", "written"):
            if self._file:
                self._publish(self._file, receipt, os.replace)
            else:
                self._storage.pipe_file(self._path, receipt.as_json())

    def erase(self) -> None:
        """Take the receipt away."""
        with storage_errors(f"receipt {self.where}", "erased"), suppress(FileNotFoundError):
            if self._file:
                self._file.unlink()
            else:
                self._storage.rm_file(self._path)

    @staticmethod
    def _publish(file: Path, receipt: Receipt, put: Callable[[Path, Path], object]) -> None:
        """Write a whole file next to its destination first, so that nobody ever reads half a receipt."""
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
        try:
            with unfinished.open("xb") as content:
                content.write(receipt.as_json())
                content.flush()
                os.fsync(content.fileno())
            put(unfinished, file)
            _sync_folder(file.parent)
        finally:
            unfinished.unlink(missing_ok=True)


def read_file(file: Path, where: str) -> bytes:
    """
    Return the content of a receipt on a local disk, of a file that is too large to be one only the beginning.

    :param file: the file.
    :param where: its name for people.
    :raises FileNotFoundError: there is none.
    :raises MinimaxReceiptError: what is there is no file, such as a pipe, from which reading may never return.
    """
    try:
        is_file = stat.S_ISREG(file.stat().st_mode)
    except FileNotFoundError:
        if file.is_symlink():
            raise unreadable(where, "is a link to a file that is not there") from None
        raise
    if not is_file:
        raise unreadable(where, "is no file")
    # Should a pipe replace it meanwhile, opening it does not wait for a writer.
    with open(file, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as content:
        return content.read(LARGEST + 1)


def read_object(storage: Any, path: str) -> bytes:
    """
    Return the content of a receipt in a storage, of an object that is too large to be one only the beginning.

    :param storage: the file system of fsspec that it is in.
    :param path: its path there.
    :raises FileNotFoundError: there is none.
    """
    try:
        return bytes(storage.cat_file(path, start=0, end=LARGEST + 1))
    except OSError as error:
        # S3 has no part of an empty object.
        if error.errno != errno.EINVAL or storage.size(path):
            raise
        return b""


def _put_new(unfinished: Path, file: Path) -> None:
    try:
        os.link(unfinished, file)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links; there a reader may for an instant see a receipt that is not whole.
        with file.open("xb") as content:
            content.write(unfinished.read_bytes())


def _sync_folder(folder: Path) -> None:
    """Make a new name outlast a power cut, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class StateStore:
    """
    A receipt in Airflow's task state store, which outlives the tries of a task.

    :param store: what Airflow 3.3 and later have as ``context["task_state_store"]``.
    :param output: which of the outputs of a task that may have several; ``None`` for a task that has one.
    """

    where = "in the task state store"
    create_may_race = False
    write_may_race = False

    def __init__(self, store: Any, output: str | None = None) -> None:
        self._store = store
        # Keys are limited to 512 characters, and paths are not.
        mark = "" if output is None else f"/{hashlib.sha256(output.encode()).hexdigest()[:16]}"
        self._key = f"{STATE_KEY}{mark}"

    def read(self) -> Receipt | None:
        """Return the receipt, if there is one."""
        with storage_errors(f"receipt {self.where}", "read"):
            found = self._store.get(self._key)
        return None if found is None else read_receipt(found, self.where)

    def create(self, receipt: Receipt) -> bool:
        """Write the receipt unless there is one; nobody else writes here, since the store is this one task's."""
        if self.read() is not None:
            return False
        self.write(receipt)
        return True

    def write(self, receipt: Receipt) -> None:
        """Replace the receipt that is there."""
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        with storage_errors(f"receipt {self.where}", "written"):
            self._store.set(self._key, receipt.as_values(), retention=NEVER_EXPIRE)

    def erase(self) -> None:
        """Take the receipt away."""
        with storage_errors(f"receipt {self.where}", "erased"):
            self._store.delete(self._key)


@contextmanager
def storage_errors(thing: str, done: str) -> Iterator[None]:
    """
    Turn whatever a store raises into our error: each kind of storage has errors of its own.

    :param thing: what was to be reached, and where.
    :param done: what was to be done to it, as a participle.
    """
    try:
        yield
    except MinimaxError:
        raise
    except Exception as error:
        raise MinimaxReceiptStoreError(
            f"the {thing} cannot be {done}: {redact(f'{type(error).__name__}: {error}')}"
        ) from harmless_cause(error)
