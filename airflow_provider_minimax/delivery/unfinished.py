"""The part file: the bytes of a clip that are here already, so that the next try can go on where this one broke."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

_PIECE = 1024 * 1024


class Unfinished:
    """
    A clip that is being fetched into a local file.

    Its bytes are worth something only together with what names the version that they are of (an ETag or a date), so
    that is kept in a second file, which is written first. One process has it at a time; another one that comes along,
    such as the retry of a task that was only thought dead, begins a file of its own.

    :param path: the part file; it and its companion (``….version``) stay until :meth:`discard`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not self._opened_alone():
            self._file.close()
            self.path = path.with_name(f"{path.stem}.{uuid4().hex}{path.suffix}")
            self._opened_alone()
        self.version = self._kept_version()
        self.size = 0
        self._digest = hashlib.sha256()
        if self.version is None:
            self.begin(None)
        else:
            self._take_up()

    def _opened_alone(self) -> bool:
        """Open the file; say whether nobody else writes to it."""
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            # Chunks are as large as they come from the network: a buffer would only copy them.
            self._file = open(handle, "r+b", buffering=0)  # noqa: SIM115 - closed by __exit__
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                # Somebody has it, or this file system has no locks and nobody can tell.
                return False
            if self._is_nothing_but_a_part():
                return True
            self._file.close()

    def _is_nothing_but_a_part(self) -> bool:
        """Whether the open file is still the one at its path, and has not become a delivered clip meanwhile."""
        opened = os.fstat(self._file.fileno())
        if opened.st_nlink > 1:
            # Its last owner died after it gave the clip its name, and before it took away this one.
            self.path.unlink(missing_ok=True)
            return False
        return opened.st_nlink == 1 and self._is_at_its_path(opened)

    def _is_at_its_path(self, opened: os.stat_result) -> bool:
        try:
            return os.path.samestat(opened, self.path.stat())
        except FileNotFoundError:
            return False

    @property
    def _companion(self) -> Path:
        return self.path.with_name(f"{self.path.name}.version")

    def _kept_version(self) -> str | None:
        try:
            return self._companion.read_text("utf-8") or None
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def _take_up(self) -> None:
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            self._digest.update(piece)
            self.size += len(piece)

    def begin(self, version: str | None) -> None:
        """
        Throw away what is here, and begin anew.

        :param version: what names the version of the file that the next bytes are of; ``None`` if nothing does, so
            that they are of no use to another try.
        """
        # A file that was cut to nothing is written to the disk when it is closed, by ext4; an empty one is not cut.
        if self._file.seek(0, os.SEEK_END):
            self._file.truncate(0)
            self._file.seek(0)
        self.size = 0
        self._digest = hashlib.sha256()
        self.version = version
        if version is None:
            self._companion.unlink(missing_ok=True)
        else:
            self._companion.write_text(version, "utf-8")

    def write(self, chunk: bytes) -> None:
        """
        Add bytes.

        :param chunk: the bytes.
        :raises OSError: the disk is full, or fails.
        """
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._digest.update(chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """The hash of all bytes so far."""
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Take the file away: it was given its name, or is of no use to anybody."""
        self.path.unlink(missing_ok=True)
        self._companion.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and (self.size == 0 or self.version is None):
            with suppress(OSError):
                self.discard()
        self._file.close()
