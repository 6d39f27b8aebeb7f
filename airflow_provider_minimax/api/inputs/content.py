"""
A file on its way into a request: kept out of memory, and sent in blocks.

What is checked, fingerprinted and sent are the same bytes. A file on a disk of this machine is read where it is, and
a change that comes between is noticed before the last byte is out. Any other is read once, into an anonymous temporary
file: that is gone with the last who holds it, also when the process dies.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import sys
import tempfile
import weakref
from binascii import b2a_base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, BinaryIO

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxStorageError
from airflow_provider_minimax.text.redaction import described, harmless_cause

IN_MEMORY = 256 * 1024
# A multiple of three, so that the blocks can be encoded one by one.
_BLOCK = 3 * 64 * 1024
_SUFFIXES = {"quicktime": "mov"}
_PATH_SEPARATORS = re.compile(r"[/\\]")


class FileBytes:
    """
    The bytes of a file, as they were when it was opened.

    :param data: all of them, where they are in memory anyway.
    """

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        """How many bytes there are."""
        self._data = data
        self._fd: int | None = None
        self._state: os.stat_result | None = None
        self._name = ""

    @classmethod
    def of(cls, file: BinaryIO, name: str, limit: int | None = None) -> FileBytes:
        """
        Take an open file; the caller may close it then.

        :param file: the file, at its first byte.
        :param name: what to call it in an error.
        :param limit: how many bytes are enough to know that it is too large; of more there may be no copy.
        :raises MinimaxStorageError: a copy is needed, and cannot be written.
        """
        fd = _on_disk(file)
        return cls._copied(file, sys.maxsize if limit is None else limit) if fd is None else cls._in_place(fd, name)

    @classmethod
    def _in_place(cls, fd: int, name: str) -> FileBytes:
        state = os.fstat(fd)
        found = cls._behind(os.dup(fd), state.st_size)
        found._state, found._name = state, name
        return found

    @classmethod
    def _copied(cls, file: BinaryIO, limit: int) -> FileBytes:
        small = b""
        copy: IO[bytes] | None = None
        for block in _blocks(file, limit):
            if copy is None and len(small) + len(block) <= IN_MEMORY:
                small += block
                continue
            with _copying():
                if copy is None:
                    copy = tempfile.TemporaryFile(prefix="minimax-")  # noqa: SIM115 - closed below
                    copy.write(small)
                copy.write(block)
        if copy is None:
            return cls(small)
        with copy, _copying():
            copy.flush()
            return cls._behind(os.dup(copy.fileno()), copy.tell())

    @classmethod
    def _behind(cls, fd: int, size: int) -> FileBytes:
        found = cls(b"")
        found._fd, found.length = fd, size
        weakref.finalize(found, os.close, fd)
        return found

    def __repr__(self) -> str:
        return f"<{self.length} bytes>"

    @cached_property
    def sha256(self) -> str:
        """The hash of the bytes, in hexadecimal digits."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    def part(self, start: int, size: int) -> bytes:
        """Return at most ``size`` bytes from ``start`` on."""
        if self._fd is None:
            return self._data[start : start + size]
        # Without a position in the file, so that any number of readers may be on their way through it.
        return os.pread(self._fd, max(0, min(size, self.length - start)), start)

    def blocks(self) -> Iterator[bytes]:
        """
        Return the bytes in blocks, from the first on.

        :raises MinimaxStorageError: the file has changed since it was opened, or can be read no longer; after the last
            block, at the latest.
        """
        self._check_unchanged()
        for start in range(0, self.length, _BLOCK):
            try:
                block = self.part(start, _BLOCK)
            except OSError as error:
                what = described(error)
                raise self._lost(f"can be read no longer ({what})") from harmless_cause(error)
            yield block
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        if self._fd is None or self._state is None:
            return
        # Not by its time of change, which is another once the file is replaced: the one that was opened is still whole.
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._state.st_size, self._state.st_mtime_ns):
            raise self._lost("was changed while it was being read or sent")

    def _lost(self, what: str) -> MinimaxStorageError:
        return MinimaxStorageError(
            f"{self._name or 'the copy of a file'}: {what}",
            billing=NOTHING_BOUGHT,
            hint="Run this task after whatever writes the file; a retry takes it as it is then.",
        )

    def beginning(self, length: int) -> FileBytes:
        """Return the first so many bytes alone."""
        if self._fd is None:
            return FileBytes(self._data[:length])
        found = self._behind(os.dup(self._fd), length)
        found._state, found._name = self._state, self._name
        return found

    def open(self) -> BinaryIO:
        """Open the bytes as a file, for libraries that want one."""
        return io.BytesIO(self._data) if self._fd is None else io.BufferedReader(_Reader(self))


@dataclass(frozen=True, slots=True)
class FileContent:
    """
    A file as a request carries it, in the place of a data URL.

    :param media_type: its media type.
    :param data: its bytes.
    """

    media_type: str
    data: FileBytes

    @property
    def length(self) -> int:
        """How long the data URL is."""
        return len(self._head) + 4 * -(-self.data.length // 3)

    @property
    def filename(self) -> str:
        """A name that says what it is, and nothing of where it came from."""
        kind, _, subtype = self.media_type.partition("/")
        return _PATH_SEPARATORS.sub("-", f"{kind}.{_SUFFIXES.get(subtype, subtype)}")

    def blocks(self) -> Iterator[bytes]:
        """Return the data URL in blocks, from the beginning on."""
        yield self._head
        for block in self.data.blocks():
            yield b2a_base64(block, newline=False)

    @property
    def _head(self) -> bytes:
        return f"data:{self.media_type};base64,".encode()


class _Reader(io.RawIOBase):
    """A position in some bytes."""

    def __init__(self, data: FileBytes) -> None:
        self._data = data
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._data.length}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        part = self._data.part(self._position, len(buffer))
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)


def _on_disk(file: BinaryIO) -> int | None:
    """Return the descriptor of a file on a disk of this machine."""
    try:
        fd = file.fileno()
    except (OSError, AttributeError):
        return None
    return fd if stat.S_ISREG(os.fstat(fd).st_mode) else None


def _blocks(file: BinaryIO, limit: int) -> Iterator[bytes]:
    while limit > 0 and (block := file.read(min(_BLOCK, limit))):
        limit -= len(block)
        yield block


@contextmanager
def _copying() -> Iterator[None]:
    """Turn what goes wrong with the copy into an error that says so."""
    try:
        yield
    except OSError as error:
        raise MinimaxStorageError(
            f"no copy of the file to send can be made in the worker's temporary folder ({described(error)})",
            billing=NOTHING_BOUGHT,
            hint="Free some space there, or set TMPDIR to another folder.",
        ) from harmless_cause(error)
