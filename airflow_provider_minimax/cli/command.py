"""What all commands share: one-line errors, access to Airflow's connections, and printing."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from io import TextIOWrapper
from itertools import zip_longest
from typing import NoReturn

from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_minimax.cli.storage import clip_path_of
from airflow_provider_minimax.cli.text import Row
from airflow_provider_minimax.exceptions import MinimaxError
from airflow_provider_minimax.purchases.stores import SidecarStore
from airflow_provider_minimax.text.storable import printable

_LABEL = 15
# In a file or a pipe each fact stays on one line, so that grep finds it.
_UNLIMITED_WIDTH = 1_000_000


def command(function: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """
    Make a command of a function: a ``MinimaxError`` ends it with one line on stderr and exit code 1.

    :param function: takes the parsed command line.
    """

    @wraps(function)
    def run(options: Namespace) -> None:
        # Airflow's own commands for connections set this too; without it, connections in the database are not found.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot print Chinese gets escape sequences.
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            function(options)
        except MinimaxError as error:
            error.billing = None  # no command buys anything
            fail(str(error))

    quiet: Callable[[Namespace], None] = suppress_logs_and_warning(run)
    return quiet


def say(message: str) -> None:
    """
    Print a line on stdout.

    :param message: the line; control characters are escaped.
    """
    print(printable(message))


def fail(message: str) -> NoReturn:
    """
    End the command with exit code 1.

    :param message: is printed on stderr, as one line.
    """
    print(printable(" ".join(message.split())), file=sys.stderr)
    raise SystemExit(1)


def confirmed(question: str) -> bool:
    """
    Ask the person at the terminal.

    :param question: the question.
    :return: whether the answer was y; without a terminal it is no.
    """
    try:
        return input(printable(question)).strip().upper() == "Y"
    except EOFError:
        print()
        return False


def clip_and_receipt(path: str) -> tuple[str, SidecarStore]:
    """
    Return a clip's path and the store of its receipt.

    :param path: the path or URL of either.
    """
    clip = clip_path_of(path)
    return clip, SidecarStore(clip)


def print_rows(rows: Iterable[Row]) -> None:
    """
    Print labelled facts, wrapped to the width of the terminal.

    :param rows: labels and values; a row of two empty strings is a blank line.
    """
    width = max(shutil.get_terminal_size((_UNLIMITED_WIDTH, 0)).columns - _LABEL, _LABEL)
    for label, value in rows:
        for left, line in zip_longest([printable(label)], _lines(printable(value), width), fillvalue=""):
            print(f"{left:<{_LABEL}}{line}".rstrip())


def _lines(text: str, width: int) -> list[str]:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    if cell_len(text) > len(text):
        # Chinese has no spaces to wrap at, and its characters are two columns wide.
        return [line.plain for line in Text(text).wrap(Console(), width, overflow="fold")]
    # Paths stay on one line, so that they can be copied.
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def print_list(rows: Sequence[dict[str, str]], output: str) -> None:
    """
    Print a list as Airflow's commands do, except that markup and numbers in texts are printed as they are.

    :param rows: the lines, all with the same columns.
    :param output: the format: ``table``, ``plain``, ``json`` or ``yaml``.
    """
    from airflow.cli.simple_table import AirflowConsole, SimpleTable
    from rich.text import Text

    rows = [{name: printable(value) for name, value in row.items()} for row in rows]
    if rows and output == "table":
        table = SimpleTable(*rows[0], show_header=True)  # type: ignore[no-untyped-call]
        for row in rows:
            table.add_row(*map(Text, row.values()))
        AirflowConsole().print(table)
    elif rows and output == "plain":
        _print_columns([list(rows[0]), *(list(row.values()) for row in rows)])
    else:
        AirflowConsole().print_as(rows, output)


def _print_columns(lines: list[list[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
