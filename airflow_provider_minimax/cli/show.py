"""``show``: where a clip came from."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_minimax.cli.command import clip_and_receipt, command, print_rows
from airflow_provider_minimax.cli.manifest import manifest
from airflow_provider_minimax.cli.storage import clip_state
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.stores import SUFFIX


@command
def show_clip(options: Namespace) -> None:
    """
    Show where a clip came from.

    :param options: ``path`` and ``output``.
    """
    clip, store = clip_and_receipt(options.path)
    receipt = store.read()
    if receipt is None:
        raise _no_receipt(clip)
    if options.output == "json":
        print(receipt.as_json().decode(), end="")
    else:
        print_rows(manifest(store.where, clip, receipt, clip_state(clip, receipt.sha256)))


def _no_receipt(clip: str) -> MinimaxRequestError:
    if clip_state(clip, None) is OutputState.MISSING:
        return MinimaxRequestError(
            f"there is neither {clip} nor its receipt", hint=f"Give the path of a clip or of its {SUFFIX}."
        )
    return MinimaxRequestError(
        f"{clip} has no receipt {clip}{SUFFIX}, so it is not known where it came from",
        hint="If it was moved, its receipt may still be in the old folder. `receipts list` finds it there.",
    )
