"""
Takes away what killed processes left behind: part files that nobody will go on with.

Whoever delivers a clip cleans the folder where it was gathered. Only files by our own naming go, if they are regular
files of this user that no process holds the lock of; nothing else in the folder is opened or followed.
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
# In a folder of so many files nobody waits for the rest to be read.
MOST_ENTRIES = 10_000

# ".clip.mp4.<clip>.part" beside the clip's place, or "<place>.<clip>.part" in the folder for temporary files; with
# eight more digits where two processes fetched the same.
_PART = re.compile(r"(?:\..+|[0-9a-f]{16})\.(?P<clip>[0-9a-f]{12})(?:\.[0-9a-f]{8})?\.part")
# Pictures and receipts on their way.
_SMALL = re.compile(r"\..+(?:\.[0-9a-f]{8}\.new|\.receipt\.json\.[0-9a-f]{32})")


def is_named_as_ours(name: str) -> bool:
    """Whether a file of this name is taken for something left behind."""
    return _PART.fullmatch(name.removesuffix(COMPANION)) is not None or _SMALL.fullmatch(name) is not None


def clean(folder: Path, delivered: str) -> None:
    """
    Take away part files of a clip that was delivered, and others older than a week; whatever fails, stays.

    :param folder: where clips are gathered.
    :param delivered: what names the clip in its part files' names.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in list(_leftovers(handle, delivered)):
                with suppress(OSError):
                    _take_away(handle, name)
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
                if _is_ours(found) and (found.st_mtime < old or (part is not None and part["clip"] == delivered)):
                    yield entry.name


def _is_ours(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _take_away(folder: int, name: str) -> None:
    """Take a file away; its companion goes with it, and never before it."""
    part = name.removesuffix(COMPANION)
    if part != name and _found(folder, part):
        return
    with _locked(folder, name):
        os.unlink(name, dir_fd=folder)
        companion = _found(folder, f"{name}{COMPANION}") if part == name else None
        if companion is not None and _is_ours(companion):
            os.unlink(f"{name}{COMPANION}", dir_fd=folder)


@contextmanager
def _locked(folder: int, name: str) -> Iterator[None]:
    """Hold a file's lock, as the process does that fetches into it; raise OSError where another one has it."""
    file = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        opened = os.fstat(file)
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not _is_ours(opened) or not os.path.samestat(opened, there):
            raise FileNotFoundError(name)
        yield
    finally:
        os.close(file)


def _found(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
