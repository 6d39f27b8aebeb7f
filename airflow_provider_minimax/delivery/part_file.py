"""The part file: what is downloaded of a clip already, so that the next try can resume a broken download."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import stat
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Self

from airflow_provider_minimax.api.files.host import LARGEST, LONGEST_VERSION, can_be_sent_back
from airflow_provider_minimax.api.files.mp4 import HEAD, is_video

COMPANION = ".version"
_PIECE = 1024 * 1024
_TRIES = 5
# Somebody may have put a pipe or a symlink there: do not wait for the one or follow the other.
_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = _SAFELY | os.O_CREAT | os.O_EXCL
# The clip gets the usual permissions with its final name. Until then, others could write to it.
_OWNER_ONLY = 0o600


def is_owned_exclusively(found: os.stat_result) -> bool:
    """
    Return whether this is a regular file of this process's user that nobody else may write to.

    :param found: what the file system says of it.
    """
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


class _UnusableError(OSError):
    """What is at the part file's path can neither be resumed nor deleted."""


class PartFile:
    """
    A local file that a clip is downloaded into.

    Its bytes are useful only together with the version of the file that they belong to (an ETag or a date), so that is
    kept in a second file, which is written first. One process locks the part file; another process for the same clip,
    such as the retry of a task that was wrongly thought dead, uses a file with another name. So does one that finds
    something else at the path: a folder, a symlink, a file that others own or may write to.

    :param path: the part file; it and its companion (``….version``) stay until :meth:`discard`.
    :raises OSError: no file can be written there, under this name or another.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._is_kept = False
        self._digest = hashlib.sha256()
        try:
            self._open_alone()
            self._resume()
        except OSError:
            self._start_under_another_name()

    def _start_under_another_name(self) -> None:
        # No other try will look for this name, so none can resume it.
        self.path = self.path.with_name(f"{self.path.stem}.{token_hex(4)}{self.path.suffix}")
        self._file = self._created()
        with suppress(OSError):
            # On a file system without locks, the random name alone keeps others away.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._is_shared = False
        self.begin(None)

    def _open_alone(self) -> None:
        """Open and lock the file that all tries of this clip share; OSError if another process has it."""
        self._is_shared = True
        for _ in range(_TRIES):
            self._file = self._opened()
            try:
                # Also fails on a file system without locks, where other writers cannot be detected.
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_only_a_part():
                    return
            except OSError:
                self._file.close()
                raise
            self._file.close()
        raise _UnusableError(f"{self.path} keeps being replaced")

    def _created(self) -> io.FileIO:
        # A buffer would only copy the chunks, which are large already.
        return open(os.open(self.path, os.O_RDWR | _NEW, _OWNER_ONLY), "r+b", buffering=0)

    def _opened(self) -> io.FileIO:
        with suppress(FileExistsError):
            return self._created()
        handle = os.open(self.path, os.O_RDWR | _SAFELY)
        if not is_owned_exclusively(os.fstat(handle)):
            os.close(handle)
            raise _UnusableError(f"{self.path} is not a regular file, or others may have written to it")
        return open(handle, "r+b", buffering=0)

    def _is_only_a_part(self) -> bool:
        """Whether the open file is still the one at its path, and has not become a delivered clip in the meantime."""
        opened = os.fstat(self._file.fileno())
        if opened.st_nlink > 1:
            # Its last process died after it gave the clip its final name, and before it removed this one.
            self.path.unlink(missing_ok=True)
            return False
        return opened.st_nlink == 1 and self._is_at_its_path(opened)

    def _is_at_its_path(self, opened: os.stat_result) -> bool:
        try:
            return os.path.samestat(opened, self.path.lstat())
        except FileNotFoundError:
            return False

    @property
    def _companion(self) -> Path:
        return self.path.with_name(f"{self.path.name}{COMPANION}")

    def _kept_version(self) -> str | None:
        """Read the version; None if it could not be sent to the file host."""
        try:
            handle = os.open(self._companion, os.O_RDONLY | _SAFELY)
        except OSError:
            return None
        with open(handle, "rb", buffering=0) as file:
            content = file.read(LONGEST_VERSION + 1) if is_owned_exclusively(os.fstat(handle)) else b""
        version = (content or b"").decode("latin-1")
        return version if can_be_sent_back(version) else None

    def _resume(self) -> None:
        """Continue with the bytes that are there, if they can be the beginning of a clip."""
        self.version = self._kept_version()
        size = os.fstat(self._file.fileno()).st_size
        if self.version is None or not HEAD <= size <= LARGEST or not is_video(self._beginning()):
            self.begin(None)
            return
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            self._digest.update(piece)
            self.size += len(piece)

    def _beginning(self) -> bytes:
        return os.pread(self._file.fileno(), HEAD, 0)

    def begin(self, version: str | None) -> None:
        """
        Discard the bytes so far, and start again.

        :param version: the version of the file that the next bytes belong to, as the host names it; ``None`` if it does
            not, so that no other try can resume them.
        :raises OSError: the disk fails.
        """
        # ext4 flushes a truncated file to the disk when it is closed, which takes time: do not truncate an empty one.
        if self._file.seek(0, os.SEEK_END):
            self._file.truncate(0)
            self._file.seek(0)
        self.size = 0
        self._digest = hashlib.sha256()
        # Before the new version is written: bytes must never be stored under another version.
        self._companion.unlink(missing_ok=True)
        self.version = version
        if version is not None and self._is_shared:
            self._write_version(version)

    def _write_version(self, version: str) -> None:
        try:
            with open(os.open(self._companion, os.O_WRONLY | _NEW, _OWNER_ONLY), "wb") as file:
                file.write(version.encode("ascii"))
        except OSError:
            # This process can still resume a broken download; the next one starts again.
            with suppress(OSError):
                self._companion.unlink(missing_ok=True)

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

    def keep(self) -> None:
        """Never delete the file, whatever happens: it is the only copy here."""
        self._is_kept = True

    def discard(self) -> None:
        """Delete the file and its companion, if possible."""
        for path in (self.path, self._companion):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_resumable = self.size > 0 and self.version is not None and self._is_shared
        if kind is not None and not (is_resumable or self._is_kept):
            self.discard()
        self._file.close()
