"""
Deletes what killed processes left behind: part files that nobody will resume.

Each delivery cleans the folder that its clip was downloaded into. It deletes only regular files of this user that have
one of our names and that no process has locked; it opens and follows nothing else.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from airflow_provider_minimax.delivery.part_file import COMPANION

WEEK = 7 * 24 * 60 * 60
# Further files in a large folder are not read: that would take too long.
MOST_ENTRIES = 10_000

# ".clip.mp4.<clip>.part" next to the clip, or "<destination>.<clip>.part" in the folder for temporary files; with eight
# more digits where two processes downloaded the same clip.
_PART = re.compile(r"(?:\..+|[0-9a-f]{16})\.(?P<clip>[0-9a-f]{12})(?:\.[0-9a-f]{8})?\.part")
# Temporary files of pictures and receipts.
_SMALL = re.compile(r"\..+(?:\.[0-9a-f]{8}\.new|\.receipt\.json\.[0-9a-f]{32})")


def is_leftover_name(name: str) -> bool:
    """
    Return whether a file of this name would be deleted as a leftover.

    :param name: the file name, without its folder.
    """
    return _PART.fullmatch(name.removesuffix(COMPANION)) is not None or _SMALL.fullmatch(name) is not None


def remove_leftovers(folder: Path, delivered: str) -> None:
    """
    Delete part files of a clip that is delivered, and any that are older than a week. Errors are ignored.

    :param folder: where the part files are.
    :param delivered: what identifies the clip in the names of its part files.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in list(_leftovers(handle, delivered)):
                with suppress(OSError):
                    _delete(handle, name)
        finally:
            os.close(handle)


def _leftovers(folder: int, delivered: str) -> Iterator[str]:
    old = time.time() - WEEK
    with os.scandir(folder) as entries:
        for entry in islice(entries, MOST_ENTRIES):
            part = _PART.fullmatch(entry.name.removesuffix(COMPANION))
            if part is None and not _SMALL.fullmatch(entry.name):
                continue
            with suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                if _is_own_file(found) and (found.st_mtime < old or (part is not None and part["clip"] == delivered)):
                    yield entry.name


def _is_own_file(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _delete(folder: int, name: str) -> None:
    """Delete a file, and its companion after it, never before."""
    part = name.removesuffix(COMPANION)
    if part != name and _stat(folder, part):
        return
    with _locked(folder, name):
        os.unlink(name, dir_fd=folder)
        companion = _stat(folder, f"{name}{COMPANION}") if part == name else None
        if companion is not None and _is_own_file(companion):
            os.unlink(f"{name}{COMPANION}", dir_fd=folder)


@contextmanager
def _locked(folder: int, name: str) -> Iterator[None]:
    """Hold the lock that a process which downloads into the file holds; raise OSError if another process has it."""
    file = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        opened = os.fstat(file)
        current = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not _is_own_file(opened) or not os.path.samestat(opened, current):
            raise FileNotFoundError(name)
        yield
    finally:
        os.close(file)


def _stat(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
