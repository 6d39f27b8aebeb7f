"""
Run the benchmarks and print one table: goal, measured, met. See README.md beside this file.

Peers that are not installed are skipped, and that is said. Nothing here fails because something is slow.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable
from importlib.metadata import version

import download
import parsing
import polls
import submit
import triggers
from lab import Row, say, table
from server import capacity, running
from systems import COMPARED, PEERS, environment, is_installed

THEMES = ("parsing", "polls", "dense", "honest", "download", "submit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("themes", nargs="*", metavar="THEME", help=f"which to run, of {', '.join(THEMES)}; all if none")
    parser.add_argument("--rounds", type=int, help="rounds of every theme (default: 7 of the short ones, 3 of crowds)")
    parser.add_argument("--without", default="", help="systems to leave out of the crowds, e.g. openai,anthropic")
    arguments = parser.parse_args()
    if unknown := set(arguments.themes) - set(THEMES):
        parser.error(f"no such theme: {', '.join(sorted(unknown))}")
    short, crowd = arguments.rounds or 7, arguments.rounds or 3
    names = [name for name in COMPARED if name not in arguments.without.split(",")]
    for peer in PEERS:
        if not is_installed(peer):
            say(f"SKIPPED {peer}: not installed; see benchmarks/README.md")
    rows: list[Row] = []
    with running() as server, tempfile.TemporaryDirectory(prefix="bench-airflow-") as home:
        env = environment(server.url, home)
        say("The server alone: {:.0f} requests/s, {:.1f} us CPU each; {:.0f} MiB/s".format(*capacity(server)))
        themes: dict[str, Callable[[], list[Row]]] = {
            "parsing": lambda: parsing.measure(env, short),
            "polls": lambda: polls.measure(server, env, short),
            "dense": lambda: triggers.measure(server, env, "dense", crowd, names),
            "honest": lambda: triggers.measure(server, env, "honest", crowd, names),
            "download": lambda: download.measure(server, env, short),
            "submit": lambda: submit.measure(server, env, short),
        }
        for name in arguments.themes or THEMES:
            say(f"{name} …")
            rows += themes[name]()
    say("")
    print(
        f"Python {platform.python_version()}, apache-airflow {version('apache-airflow')}, httpx {version('httpx')}, "
        f"{platform.system()} {platform.release()}, {os.cpu_count()} cores\n\n{table(rows)}"
    )


if __name__ == "__main__":
    main()
