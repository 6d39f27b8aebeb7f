"""``files list`` and ``files delete``: what was uploaded to an account for clips to go by. They never touch a clip."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

from rich.filesize import decimal

from airflow_provider_minimax.cli.command import command, confirmed, fail, print_list, say
from airflow_provider_minimax.cli.text import time_of

if TYPE_CHECKING:
    from airflow_provider_minimax.api.uploaded_files import UploadedFile

# Nobody reads more, and MiniMax lists all that there are.
MOST_SHOWN = 1000


@command
def list_files(options: Namespace) -> None:
    """List the files that were uploaded to an account."""
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    with closing(MinimaxHook(options.conn_id)) as hook:
        files = hook.list_files()
    print_list([_row(file) for file in files[:MOST_SHOWN]], options.output)
    if more := len(files[MOST_SHOWN:]):
        print(f"{more} older uploads are not shown.", file=sys.stderr)


@command
def delete_files(options: Namespace) -> None:
    """Delete files that were uploaded to an account."""
    from airflow_provider_minimax.api.uploaded_files import file_id_of
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    wanted = dict.fromkeys(file_id_of(file) for file in options.files)
    with closing(MinimaxHook(options.conn_id)) as hook:
        listed = {file.file_id: file for file in hook.list_files()}
        if missing := [file_id for file_id in wanted if file_id not in listed]:
            fail(f"{', '.join(missing)}: not among the uploads of connection {options.conn_id!r}; nothing was deleted.")
        for file_id in wanted:
            say(_described(listed[file_id]))
        if not (options.yes or confirmed("Delete? Requests that name these files will fail. (y/n) ")):
            fail("Nothing was deleted.")
        for file_id in wanted:
            hook.delete_file(file_id)
            say(f"{listed[file_id].address} is deleted.")


def _row(file: UploadedFile) -> dict[str, str]:
    return {
        "address": file.address,
        "filename": file.filename,
        "size": _size(file),
        "uploaded": _moment(file.created_at),
        "kept_until": _moment(file.kept_until),
    }


def _described(file: UploadedFile) -> str:
    return (
        f"{file.address}  {file.filename}  {_size(file)}  uploaded {_moment(file.created_at) or 'at an unknown time'}"
    )


def _size(file: UploadedFile) -> str:
    return "" if file.size is None else decimal(file.size)


def _moment(when: datetime | None) -> str:
    return "" if when is None else time_of(when)
