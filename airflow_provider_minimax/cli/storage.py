"""Where receipts and their clips lie, on any storage that Airflow knows. It reads, and never writes."""

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
"""As many receipts are listed at once."""


def clip_of(path: str) -> str:
    """
    Return the clip's place.

    :param path: the clip's, or its receipt's; relative to the current folder if it is a local one.
    """
    # As the delivery reads it; Airflow before 3.2 takes a relative path for one from the root.
    return read_path(path.removesuffix(SUFFIX), name="path")


@dataclass(frozen=True, slots=True)
class Listing:
    """
    What a folder holds.

    :param clips: the places of the clips that have receipts, whether they are there or not.
    :param unread: folders that could not be read, each with the reason.
    """

    clips: tuple[str, ...]
    unread: tuple[tuple[str, str], ...] = ()


def find_receipts(folder: str) -> Listing | None:
    """
    Find the receipts in a folder and all below it.

    :param folder: a path or URL; that of one clip or receipt finds just that one.
    :return: what there is; ``None`` if there is neither such a folder nor such a receipt.
    :raises MinimaxReceiptStoreError: the storage cannot be reached.
    :raises MinimaxRequestError: there are too many to list.
    """
    place = clip_of(folder)
    with storage_errors(f"storage of {place}", "reached"):
        storage, path = storage_of(place)
        if storage.isdir(path):
            return _below(place, storage, path)
        return Listing((place,)) if storage.exists(f"{path}{SUFFIX}") else None


def _below(folder: str, storage: Any, path: str) -> Listing:
    unread: list[tuple[str, str]] = []
    # Links to folders are not followed, so none leads round in circles.
    files = _local_files(path, unread) if "file" in storage.protocol else iter(storage.find(path))
    found = sorted(islice((file for file in files if file.endswith(SUFFIX)), MOST + 1))
    if len(found) > MOST:
        raise MinimaxRequestError(f"folder={folder!r}: has more than {MOST} receipts below it; name a folder in it")
    root = storage._strip_protocol(path).rstrip("/")
    below = (file.removeprefix(root).lstrip("/").removesuffix(SUFFIX) for file in found)
    return Listing(tuple(sorted(f"{folder.rstrip('/')}/{name}" for name in below)), tuple(unread))


def _local_files(path: str, unread: list[tuple[str, str]]) -> Iterator[str]:
    # fsspec's own search passes over folders that may not be read.
    for parent, _, names in os.walk(path, onerror=lambda error: unread.append((error.filename, str(error)))):
        yield from (f"{parent}/{name}" for name in names)


def look_at_clip(place: str, sha256: str | None) -> OutputState:
    """
    Say what is at a clip's place; reads all of it if there is a hash to compare.

    :param place: its path or URL.
    :param sha256: the hash that it should have, if one is known.
    :raises MinimaxReceiptStoreError: the storage cannot be read.
    """
    with storage_errors(f"clip {place}", "read"):
        storage, path = storage_of(place)
        if not storage.exists(path):
            return OutputState.MISSING
        # Reading a pipe may never end.
        if sha256 is None or not storage.isfile(path):
            return OutputState.DIFFERS
        with storage.open(path, "rb") as file:
            return (
                OutputState.MATCHES
                if hashlib.file_digest(file, "sha256").hexdigest() == sha256
                else OutputState.DIFFERS
            )
