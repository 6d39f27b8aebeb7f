"""What all commands share: errors are one line, Airflow's connections are found, and facts are labelled lines."""

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

from airflow_provider_minimax.api.storable import printable
from airflow_provider_minimax.cli.storage import clip_of
from airflow_provider_minimax.cli.text import Row
from airflow_provider_minimax.exceptions import MinimaxError
from airflow_provider_minimax.purchases.stores import SidecarStore

_LABEL = 15
# Into a file or a pipe each fact is one line, so that it can be searched for.
_UNBROKEN = 1_000_000


def command(function: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """Make a command of a function."""

    @wraps(function)
    def run(options: Namespace) -> None:
        # As Airflow's own commands for connections do; without it, those in its database are not found.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        for stream in (sys.stdout, sys.stderr):
            # A terminal that knows no Chinese gets it written out.
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            function(options)
        except MinimaxError as error:
            error.billing = None  # commands do not buy
            fail(str(error))

    quiet: Callable[[Namespace], None] = suppress_logs_and_warning(run)
    return quiet


def say(message: str) -> None:
    """Print a line."""
    print(printable(message))


def fail(message: str) -> NoReturn:
    """End the command: one line on stderr, exit code 1."""
    print(printable(" ".join(message.split())), file=sys.stderr)
    raise SystemExit(1)


def confirmed(question: str) -> bool:
    """Ask a person; no answer is no."""
    try:
        return input(printable(question)).strip().upper() == "Y"
    except EOFError:
        print()
        return False


def named(path: str) -> tuple[str, SidecarStore]:
    """Return the clip's place, and its receipt's, for the path that was given of either."""
    clip = clip_of(path)
    return clip, SidecarStore(clip)


def print_rows(rows: Iterable[Row]) -> None:
    """Print facts as wide as the terminal, labels on the left; one without label and value is a blank line."""
    width = max(shutil.get_terminal_size((_UNBROKEN, 0)).columns - _LABEL, _LABEL)
    for label, value in rows:
        for left, line in zip_longest([printable(label)], _lines(printable(value), width), fillvalue=""):
            print(f"{left:<{_LABEL}}{line}".rstrip())


def _lines(text: str, width: int) -> list[str]:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    if cell_len(text) > len(text):
        # Chinese has no spaces to break at, and its characters are as wide as two others.
        return [line.plain for line in Text(text).wrap(Console(), width, overflow="fold")]
    # A place stays whole, so that it can be copied.
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def print_list(rows: Sequence[dict[str, str]], output: str) -> None:
    """
    Print the lines of a list, as Airflow's commands do, but for its reading of markup and numbers in texts.

    :param rows: the lines, all with the same columns.
    :param output: Airflow's name of a format: ``table``, ``plain``, ``json`` or ``yaml``.
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
