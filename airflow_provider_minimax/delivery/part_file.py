"""The part file: the bytes of a clip that are here already, so that the next try can go on where this one broke."""

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
# Of a pipe or a symlink that somebody put there, neither may be waited for or followed.
_AS_IT_IS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = _AS_IT_IS | os.O_CREAT | os.O_EXCL
# The clip gets the usual permissions with its name. Until then others could put bytes of theirs into it.
_OURS_ALONE = 0o600


def is_ours_alone(found: os.stat_result) -> bool:
    """Whether what was found is a regular file of this process's user that nobody else may write to."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


class _UnusableError(OSError):
    """What lies at the part file's path cannot be gone on with, nor taken away."""


class PartFile:
    """
    A clip that is being fetched into a local file.

    Its bytes are worth something only together with what names the version that they are of (an ETag or a date), so
    that is kept in a second file, which is written first. One process has it at a time; another one that comes along,
    such as the retry of a task that was only thought dead, begins a file of its own. So does one that finds something
    in the way that is no part file of its own: a folder, a symlink, a file that others own or may write to.

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
            self._take_up()
        except OSError:
            self._begin_under_another_name()

    def _begin_under_another_name(self) -> None:
        # No other try will find it, so it is of no use to any.
        self.path = self.path.with_name(f"{self.path.stem}.{token_hex(4)}{self.path.suffix}")
        self._file = self._created()
        with suppress(OSError):
            # Where there are no locks, the name alone keeps others away.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._is_shared = False
        self.begin(None)

    def _open_alone(self) -> None:
        """Open the file that all tries of this clip share, unless somebody else writes to it or it is none."""
        self._is_shared = True
        for _ in range(_TRIES):
            self._file = self._opened()
            try:
                # Fails where somebody has it, or where this file system has no locks and nobody can tell.
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_nothing_but_a_part():
                    return
            except OSError:
                self._file.close()
                raise
            self._file.close()
        raise _UnusableError(f"{self.path} is replaced again and again")

    def _created(self) -> io.FileIO:
        # Chunks are as large as they come from the network: a buffer would only copy them.
        return open(os.open(self.path, os.O_RDWR | _NEW, _OURS_ALONE), "r+b", buffering=0)

    def _opened(self) -> io.FileIO:
        with suppress(FileExistsError):
            return self._created()
        handle = os.open(self.path, os.O_RDWR | _AS_IT_IS)
        if not is_ours_alone(os.fstat(handle)):
            os.close(handle)
            raise _UnusableError(f"{self.path} is no file, or others may have written to it")
        return open(handle, "r+b", buffering=0)

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
            return os.path.samestat(opened, self.path.lstat())
        except FileNotFoundError:
            return False

    @property
    def _companion(self) -> Path:
        return self.path.with_name(f"{self.path.name}{COMPANION}")

    def _kept_version(self) -> str | None:
        """Read what names the version; nothing, if what is there could never be sent back to the host."""
        try:
            handle = os.open(self._companion, os.O_RDONLY | _AS_IT_IS)
        except OSError:
            return None
        with open(handle, "rb", buffering=0) as file:
            content = file.read(LONGEST_VERSION + 1) if is_ours_alone(os.fstat(handle)) else b""
        version = (content or b"").decode("latin-1")
        return version if can_be_sent_back(version) else None

    def _take_up(self) -> None:
        """Go on with what is here, if it can be the beginning of a clip."""
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
        Throw away what is here, and begin again.

        :param version: what names the version of the file that the next bytes are of; ``None`` if nothing does, so
            that they are of no use to another try.
        :raises OSError: the disk fails.
        """
        # A file that was cut to nothing is written to the disk when it is closed, by ext4; an empty one is not cut.
        if self._file.seek(0, os.SEEK_END):
            self._file.truncate(0)
            self._file.seek(0)
        self.size = 0
        self._digest = hashlib.sha256()
        # Before the new name: bytes must never stand under another version's.
        self._companion.unlink(missing_ok=True)
        self.version = version
        if version is not None and self._is_shared:
            self._write_down(version)

    def _write_down(self, version: str) -> None:
        try:
            with open(os.open(self._companion, os.O_WRONLY | _NEW, _OURS_ALONE), "wb") as file:
                file.write(version.encode("ascii"))
        except OSError:
            # This process can go on from a break all the same; the next one begins again.
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
        """Leave the file where it is, whatever happens: it is all that there is of the clip here."""
        self._is_kept = True

    def discard(self) -> None:
        """Take the file away: it was given its name, or is of no use to anybody; one that cannot be, stays."""
        for path in (self.path, self._companion):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_of_use = self.size > 0 and self.version is not None and self._is_shared
        if kind is not None and not (is_of_use or self._is_kept):
            self.discard()
        self._file.close()
