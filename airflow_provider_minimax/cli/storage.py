"""Where receipts and their clips lie, on any storage that Airflow knows. It reads, and never writes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from airflow_provider_minimax.paths import read_path, storage_of
from airflow_provider_minimax.receipts.decision import Clip
from airflow_provider_minimax.receipts.homes import SUFFIX, trouble


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
    """
    place = clip_of(folder)
    with trouble(f"storage of {place}", "reached"):
        storage, path = storage_of(place)
        if storage.isdir(path):
            return _below(place, storage, path)
        return Listing((place,)) if storage.exists(f"{path}{SUFFIX}") else None


def _below(folder: str, storage: Any, path: str) -> Listing:
    unread: list[tuple[str, str]] = []
    if "file" in storage.protocol:
        # fsspec's own search passes over folders that may not be read.
        found = []
        for parent, _, names in os.walk(path, onerror=lambda error: unread.append((error.filename, str(error)))):
            found += [f"{parent}/{name}" for name in names]
    else:
        found = storage.find(path)
    root = storage._strip_protocol(path).rstrip("/")
    below = (file.removeprefix(root).lstrip("/") for file in found if file.endswith(SUFFIX))
    return Listing(tuple(sorted(f"{folder.rstrip('/')}/{name.removesuffix(SUFFIX)}" for name in below)), tuple(unread))


def look_at_clip(place: str, sha256: str | None) -> Clip:
    """
    Say what is at a clip's place; reads all of it if there is a hash to compare.

    :param place: its path or URL.
    :param sha256: the hash that it should have, if one is known.
    :raises MinimaxReceiptStoreError: the storage cannot be read.
    """
    with trouble(f"clip {place}", "read"):
        storage, path = storage_of(place)
        if not storage.exists(path):
            return Clip.ABSENT
        if sha256 is None:
            return Clip.DIFFERS
        with storage.open(path, "rb") as file:
            return Clip.FITS if hashlib.file_digest(file, "sha256").hexdigest() == sha256 else Clip.DIFFERS
