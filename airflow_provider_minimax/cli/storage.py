"""Finds receipts and clips on any storage that Airflow knows. Never writes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.paths import read_path, storage_of
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.stores import SUFFIX, storage_errors

MOST = 10_000
"""The most receipts that are listed at once."""


def clip_path_of(path: str) -> str:
    """
    Return a clip's absolute path or URL.

    :param path: the path or URL of the clip or of its receipt; local paths may be relative to the current folder.
    """
    # As operators read it; Airflow before 3.2 takes relative paths as absolute.
    return read_path(path.removesuffix(SUFFIX), name="path")


@dataclass(frozen=True, slots=True)
class Listing:
    """
    The receipts in a folder.

    :param clips: the paths of the clips that have receipts, whether the clips exist or not.
    :param unread: folders that could not be read, each with the reason.
    """

    clips: tuple[str, ...]
    unread: tuple[tuple[str, str], ...] = ()


def find_receipts(folder: str) -> Listing | None:
    """
    Find the receipts in a folder and all below it.

    :param folder: the path or URL of a folder, or of one clip or receipt.
    :return: the receipts; ``None`` if there is neither such a folder nor such a receipt.
    :raises MinimaxReceiptStoreError: the storage cannot be reached.
    :raises MinimaxRequestError: there are too many to list.
    """
    path = clip_path_of(folder)
    with storage_errors(f"storage of {path}", "reached"):
        storage, key = storage_of(path)
        if storage.isdir(key):
            return _below(path, storage, key)
        return Listing((path,)) if storage.exists(f"{key}{SUFFIX}") else None


def _below(folder: str, storage: Any, path: str) -> Listing:
    unread: list[tuple[str, str]] = []
    # os.walk does not follow links to folders, so there are no endless loops.
    files = _local_files(path, unread) if "file" in storage.protocol else iter(storage.find(path))
    found = sorted(islice((file for file in files if file.endswith(SUFFIX)), MOST + 1))
    if len(found) > MOST:
        raise MinimaxRequestError(f"folder={folder!r}: has more than {MOST} receipts; choose a subfolder")
    root = storage._strip_protocol(path).rstrip("/")
    below = (file.removeprefix(root).lstrip("/").removesuffix(SUFFIX) for file in found)
    return Listing(tuple(sorted(f"{folder.rstrip('/')}/{name}" for name in below)), tuple(unread))


def _local_files(path: str, unread: list[tuple[str, str]]) -> Iterator[str]:
    # fsspec's own search silently skips unreadable folders.
    for parent, _, names in os.walk(path, onerror=lambda error: unread.append((error.filename, str(error)))):
        yield from (f"{parent}/{name}" for name in names)


def clip_state(clip: str, sha256: str | None) -> OutputState:
    """
    Compare the file at a clip's path with a hash; reads all of it.

    :param clip: the path or URL.
    :param sha256: the hash that it should have; ``None`` only finds out whether there is a file.
    :raises MinimaxReceiptStoreError: the storage cannot be read.
    """
    with storage_errors(f"clip {clip}", "read"):
        storage, path = storage_of(clip)
        if not storage.exists(path):
            return OutputState.MISSING
        # Reading from a pipe may block forever.
        if sha256 is None or not storage.isfile(path):
            return OutputState.DIFFERS
        with storage.open(path, "rb") as file:
            return (
                OutputState.MATCHES
                if hashlib.file_digest(file, "sha256").hexdigest() == sha256
                else OutputState.DIFFERS
            )
