"""
What every destination can do.

Nothing appears at a destination before all of it is there. Until then a clip is a local file: next to its destination
on a disk, in the worker's folder for temporary files for any other storage.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxError, MinimaxStorageError
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.text.redaction import harmless_cause, redact
from airflow_provider_minimax.text.storable import printable


class Destination(ABC):
    """
    Where one clip is delivered to, and its companions with it.

    :param url: the absolute path, or the URL.
    """

    probe_is_invisible: bool
    """Whether :meth:`check` leaves nothing that anybody could notice."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __str__(self) -> str:
        return printable(self.url)

    @property
    def name(self) -> str:
        """The clip's file name."""
        return PurePosixPath(self.url).name

    @abstractmethod
    def sibling(self, ending: str) -> Destination:
        """
        Return the destination of a companion of the clip.

        :param ending: is appended to the clip's name: ``.poster.jpg`` makes ``clip.mp4.poster.jpg``.
        """

    @abstractmethod
    def rejected(self, number: int = 1) -> Destination:
        """
        Return the destination of a rejected clip.

        :param number: 1 makes ``clip.rejected.mp4``, 2 makes ``clip.rejected.2.mp4``.
        """

    @abstractmethod
    def exists(self) -> bool:
        """
        Return whether anything is there.

        :raises MinimaxStorageError: the storage cannot be reached.
        """

    @abstractmethod
    def part_file(self, name: str) -> Path:
        """
        Return the local file that the clip is downloaded into.

        :param name: distinguishes this clip from others with the same destination.
        :raises MinimaxStorageError: there can be no such file here.
        """

    @abstractmethod
    def check(self) -> None:
        """
        Find out whether a clip can be written there, before it is paid for.

        :raises MinimaxRequestError: it never can.
        :raises MinimaxStorageError: it cannot at the moment.
        """

    @abstractmethod
    def put(self, file: Path, *, overwrite: bool) -> bool:
        """
        Move a local file there, all of it or nothing.

        :param file: the file.
        :param overwrite: whether it may replace another.
        :return: whether it is there now; if not, another file is.
        :raises MinimaxStorageError: it cannot be written at the moment.
        """

    @abstractmethod
    def put_bytes(self, content: bytes, content_type: str) -> None:
        """
        Write something small there, replacing whatever was there.

        :param content: the bytes.
        :param content_type: their media type, for storage that keeps one.
        :raises MinimaxStorageError: it cannot be written at the moment.
        """

    def _is_irregular(self) -> bool:
        """Whether it is a broken link, a pipe or a device, which must not be opened."""
        return False

    @abstractmethod
    def _open(self) -> BinaryIO: ...

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """
        Open what is there for reading.

        :raises MinimaxStorageError: it cannot be read.
        """
        with self._storage_errors("read"):
            file = self._open()
        with file:
            yield file

    def output_state(self, sha256: str | None) -> OutputState:
        """
        Compare what is there with a hash; reads all of it.

        :param sha256: the clip's hash, if it is known. Without one, any file differs.
        :raises MinimaxStorageError: it cannot be read.
        """
        if not self.exists():
            return OutputState.MISSING
        if sha256 is None or self._is_irregular():
            return OutputState.DIFFERS
        with self._storage_errors("read"), self.open() as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        return OutputState.MATCHES if digest == sha256 else OutputState.DIFFERS

    @contextmanager
    def _storage_errors(self, done: str) -> Iterator[None]:
        """Turn whatever a storage raises into our error: each kind of storage has its own exceptions."""
        try:
            yield
        except MinimaxError:
            raise
        except Exception as error:
            raise MinimaxStorageError(
                f"{self.url} cannot be {done} ({redact(f'{type(error).__name__}: {error}')})",
                hint="Check the storage, then run this again; that buys nothing.",
            ) from harmless_cause(error)


def rejected_name(name: str, number: int) -> str:
    """
    Return the file name of a rejected clip.

    :param name: the clip's own file name.
    :param number: which of them, from 1.
    """
    path = PurePosixPath(name)
    return f"{path.stem}.rejected{f'.{number}' if number > 1 else ''}{path.suffix}"


def unwritable(output_path: str, problem: str) -> MinimaxStorageError:
    """
    Return the error for a destination that cannot be written, to be raised before anything is bought.

    :param output_path: the destination.
    :param problem: what is wrong with it.
    """
    return MinimaxStorageError(
        f"output_path={output_path!r}: {problem}",
        billing=NOTHING_BOUGHT,
        hint="Fix that or choose another output_path, then run this again.",
    )
