"""Which destination an ``output_path`` means, and which paths are refused before anything is bought."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airflow_provider_minimax.delivery.cleanup import is_leftover_name
from airflow_provider_minimax.delivery.destination.base import Destination
from airflow_provider_minimax.delivery.destination.local import LocalDestination
from airflow_provider_minimax.delivery.destination.object_storage import ObjectStorageDestination
from airflow_provider_minimax.delivery.naming import LONGEST_NAME, name_for
from airflow_provider_minimax.paths import as_text, local_path, parents_in, read_path, refused
from airflow_provider_minimax.purchases.receipt import Owner
from airflow_provider_minimax.purchases.stores import SUFFIX

if TYPE_CHECKING:
    from airflow_provider_minimax.paths import AnyPath

_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "oss"})
_PARAMETER = "output_path"


def destination_of(output_path: AnyPath, owner: Owner | None, *, written: str | None = None) -> Destination:
    """
    Return the destination that an ``output_path`` means.

    :param output_path: a path or URL, as text or as a path object. If it ends with a slash it is a folder, and the
        clip's file name is made from the task's name.
    :param owner: the task that the clip is for; without one, a folder is refused.
    :param written: the template that ``output_path`` was rendered from. ``..`` is allowed only where the template
        itself has it. ``None`` if it was not rendered.
    :raises MinimaxRequestError: it is not a path, is too long, or needs a storage that this Airflow does not know.
    """
    output = read_path(output_path)
    _check_rendered(output_path, output, written)
    if str(as_text(output_path)).strip().rpartition("/")[2] in (".", ".."):
        raise refused(_PARAMETER, output_path, "is a folder; name a file in it, or end it with a slash")
    if output.endswith("/"):
        if owner is None:
            raise refused(_PARAMETER, output_path, "is a folder; give the path of a file in it")
        output += name_for(owner)
    _check_name(output_path, output.rpartition("/")[2])
    path = local_path(output)
    if path is None:
        scheme, _, rest = output.partition("://")
        if scheme in _BUCKETS and "/" not in rest:
            raise refused(_PARAMETER, output_path, "is a bucket; name a file in it, or end it with a slash")
        return ObjectStorageDestination(output)
    # Path.is_dir raises if the parent folder may not be read; this returns False.
    if os.path.isdir(path):
        raise refused(
            _PARAMETER, output_path, "is a folder; end it with a slash to have clips named in it, or name a file"
        )
    return LocalDestination(path)


def _check_rendered(output_path: AnyPath, output: str, written: str | None) -> None:
    if written is None:
        return
    if str(output_path).strip() == "None":
        raise refused(_PARAMETER, output_path, "its template rendered to None; a value that it uses is missing")
    if parents_in(output) > parents_in(written):
        raise refused(
            _PARAMETER, output, "a rendered value leads out of its folder with .., which only the DAG itself may write"
        )


def _check_name(output_path: AnyPath, name: str) -> None:
    if len(name.encode()) > LONGEST_NAME:
        raise refused(_PARAMETER, output_path, f"the file name must not have more than {LONGEST_NAME} bytes")
    if name.endswith(SUFFIX) or is_leftover_name(name):
        raise refused(
            _PARAMETER, output_path, "such names are reserved for receipts and unfinished files; choose another name"
        )
