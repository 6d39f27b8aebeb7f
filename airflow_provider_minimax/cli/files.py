"""``files list`` and ``files delete``: files that were uploaded to an account as inputs. They never touch a clip."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

from rich.filesize import decimal

from airflow_provider_minimax.cli.command import command, confirmed, fail, print_list, say
from airflow_provider_minimax.cli.text import format_time

if TYPE_CHECKING:
    from airflow_provider_minimax.api.uploaded_files import UploadedFile

# MiniMax returns all uploads at once; nobody reads more lines than this.
MOST_SHOWN = 1000


@command
def list_files(options: Namespace) -> None:
    """
    List the files that were uploaded to an account.

    :param options: ``conn_id`` and ``output``.
    """
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    with closing(MinimaxHook(options.conn_id)) as hook:
        files = hook.list_files()
    print_list([_row(file) for file in files[:MOST_SHOWN]], options.output)
    if more := len(files[MOST_SHOWN:]):
        print(f"{more} older uploads are not shown.", file=sys.stderr)


@command
def delete_files(options: Namespace) -> None:
    """
    Delete files that were uploaded to an account.

    :param options: ``files``, ``conn_id`` and ``yes``.
    """
    from airflow_provider_minimax.api.uploaded_files import file_id_of
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    wanted = dict.fromkeys(file_id_of(file) for file in options.files)
    with closing(MinimaxHook(options.conn_id)) as hook:
        listed = {file.file_id: file for file in hook.list_files()}
        if missing := [file_id for file_id in wanted if file_id not in listed]:
            fail(f"{', '.join(missing)}: not among the uploads of connection {options.conn_id!r}. Nothing was deleted.")
        for file_id in wanted:
            say(_describe(listed[file_id]))
        if not (options.yes or confirmed("Delete? Requests that name these files will fail. (y/n) ")):
            fail("Nothing was deleted.")
        for file_id in wanted:
            hook.delete_file(file_id)
            say(f"{listed[file_id].address} was deleted.")


def _row(file: UploadedFile) -> dict[str, str]:
    return {
        "address": file.address,
        "filename": file.filename,
        "size": _size(file),
        "uploaded": _time(file.created_at),
        "kept_until": _time(file.kept_until),
    }


def _describe(file: UploadedFile) -> str:
    return f"{file.address}  {file.filename}  {_size(file)}  uploaded {_time(file.created_at) or 'at an unknown time'}"


def _size(file: UploadedFile) -> str:
    return "" if file.size is None else decimal(file.size)


def _time(when: datetime | None) -> str:
    return "" if when is None else format_time(when)
