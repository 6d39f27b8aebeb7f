"""Clips on a disk of this worker."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from airflow_provider_minimax.delivery.destination.base import Destination, rejected_name, unwritable
from airflow_provider_minimax.delivery.part_file import COMPANION
from airflow_provider_minimax.text.redaction import harmless_cause

# A clip of the usual size and its companions.
ROOM = 32 * 1024**2


class LocalDestination(Destination):
    """
    A destination on a disk of this worker: the finished file gets its name by a rename.

    :param path: the absolute path.
    """

    probe_is_invisible = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path

    def sibling(self, ending: str) -> LocalDestination:
        """Return the destination of a companion of the clip."""
        return LocalDestination(self.path.with_name(self.path.name + ending))

    def rejected(self, number: int = 1) -> LocalDestination:
        """Return the destination of a rejected clip."""
        return LocalDestination(self.path.with_name(rejected_name(self.path.name, number)))

    def exists(self) -> bool:
        """Return whether anything is there, even a broken link."""
        return os.path.lexists(self.path)

    def _is_irregular(self) -> bool:
        return not os.path.isfile(self.path)

    def part_file(self, name: str) -> Path:
        """Return a hidden file in the destination's folder, so that delivery is a rename."""
        with self._storage_errors("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.with_name(f".{self.path.name}.{name}.part")

    def check(self) -> None:
        """Write a file with the longest name that is to come, and check the free space."""
        folder = self.path.parent
        probe = self.path.with_name(f".{self.path.name}.{token_hex(6)}.{token_hex(4)}.part{COMPANION}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with probe.open("xb") as file:
                    file.write(b"\0" * 4096)
            finally:
                probe.unlink(missing_ok=True)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise unwritable(self.url, f"its folder cannot be written by this worker ({why})") from harmless_cause(
                error
            )
        if free < ROOM:
            raise unwritable(
                self.url, f"its disk has only {free / 1e6:.0f} MB left, and a clip needs {ROOM / 1e6:.0f} MB"
            )

    def put(self, file: Path, *, overwrite: bool) -> bool:
        """Rename the file."""
        with self._storage_errors("written"):
            self._apply_usual_permissions(file)
            if not overwrite:
                return _link_new(file, self.path)
            file.replace(self.path)
            return True

    def _apply_usual_permissions(self, file: Path) -> None:
        """Give a part file, which only its owner may write, the permissions of new files in this folder."""
        usual = self._temporary()
        try:
            with usual.open("xb") as new:
                mode = stat.S_IMODE(os.fstat(new.fileno()).st_mode)
        finally:
            usual.unlink(missing_ok=True)
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        # Some file systems have no permissions.
        with suppress(OSError), open(handle, "rb"):
            os.fchmod(handle, mode)

    def put_bytes(self, content: bytes, content_type: str) -> None:
        """Write a temporary file next to it, then rename that."""
        temporary = self._temporary()
        with self._storage_errors("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(content)
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)

    def _temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{token_hex(4)}.new")

    def _open(self) -> BinaryIO:
        # The file may have become a pipe since it was checked; O_NONBLOCK keeps that from hanging.
        file = open(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")  # noqa: SIM115 - the caller closes it
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError("it is not a regular file")
        return file


def _link_new(file: Path, path: Path) -> bool:
    """Rename a file unless the name is taken."""
    try:
        os.link(file, path)
    except FileExistsError:
        return False
    except OSError:
        # This file system has no hard links; another process may take the name between these two lines.
        if os.path.lexists(path):
            return False
        file.replace(path)
    else:
        # The clip has its name. If the old name cannot be removed, the next delivery's cleanup does it.
        with suppress(OSError):
            file.unlink()
    return True
