"""``show``: one look tells where a clip came from."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_minimax.cli.command import command, named, print_rows
from airflow_provider_minimax.cli.manifest import manifest
from airflow_provider_minimax.cli.storage import look_at_clip
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.stores import SUFFIX


@command
def show_clip(options: Namespace) -> None:
    """Show where a clip came from."""
    clip, home = named(options.path)
    receipt = home.read()
    if receipt is None:
        raise _unknown(clip)
    if options.output == "json":
        print(receipt.as_json().decode(), end="")
    else:
        print_rows(manifest(home.where, clip, receipt, look_at_clip(clip, receipt.sha256)))


def _unknown(clip: str) -> MinimaxRequestError:
    if look_at_clip(clip, None) is OutputState.MISSING:
        return MinimaxRequestError(f"there is neither {clip} nor its receipt", hint=f"Name a clip or its {SUFFIX}.")
    return MinimaxRequestError(
        f"{clip} is there, but not its receipt {clip}{SUFFIX}, so nothing tells where it came from",
        hint="If it was moved, its receipt may still be where it was. `receipts list` finds those in a folder.",
    )
