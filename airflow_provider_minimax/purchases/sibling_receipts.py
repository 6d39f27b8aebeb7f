"""The receipts in the folder of an output: whose the clips are that were bought at the same time. It only reads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_minimax.exceptions import MinimaxReceiptError
from airflow_provider_minimax.paths import storage_of
from airflow_provider_minimax.purchases.receipt import Receipt, read_receipt
from airflow_provider_minimax.purchases.stores import SUFFIX, read_file, read_object, storage_errors

_MOST = 500


def sibling_receipts_of(output_path: str, since: datetime) -> tuple[Receipt, ...]:
    """
    Return the other receipts in an output's folder that were written lately.

    :param output_path: where the clip is or will be: a path, or any URL that Airflow's object storage knows.
    :param since: which ones are of interest; where a storage gives no times, all are.
    :raises MinimaxReceiptStoreError: the folder cannot be read.
    :raises MinimaxReceiptError: one of them cannot be read, or they are too many.
    """
    with storage_errors(f"folder of {output_path}", "read"):
        storage, own = storage_of(f"{output_path}{SUFFIX}")
        is_local = "file" in storage.protocol
        folder = own.rpartition("/")[0] or "/"
        # Some storages remember what they listed before.
        storage.invalidate_cache()
        names = [
            entry["name"]
            for entry in storage.ls(folder, detail=True)
            if entry["name"].endswith(SUFFIX) and not _is_same(entry["name"], own) and _may_be_of_interest(entry, since)
        ]
        if len(names) > _MOST:
            raise MinimaxReceiptError(
                f"the folder of {output_path} has {len(names)} receipts from about the same time; at most {_MOST} are "
                "read to find out which task a clip belongs to"
            )
        found = []
        for name in names:
            # One that is gone by now was taken back, because nothing was bought.
            with suppress(FileNotFoundError):
                content = read_file(Path(name), name) if is_local else read_object(storage, name)
                found.append(read_receipt(content, name))
        return tuple(found)


def _is_same(name: str, own: str) -> bool:
    return name.strip("/") == own.strip("/")


def _may_be_of_interest(entry: Mapping[str, Any], since: datetime) -> bool:
    when = _written_at(entry)
    return when is None or when >= since


def _written_at(entry: Mapping[str, Any]) -> datetime | None:
    """Return when an object was written, as the local disk, S3, Azure and GCS call it."""
    stamp = next(
        (entry[name] for name in ("mtime", "LastModified", "last_modified", "updated") if entry.get(name)), None
    )
    if isinstance(stamp, int | float):
        return datetime.fromtimestamp(stamp, UTC)
    try:
        when = stamp if isinstance(stamp, datetime) else datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return when if when.tzinfo else None
