"""``receipts list``, ``show``, ``adopt`` and ``forget``. They never buy anything, and never touch a clip."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing

from airflow_provider_minimax.cli import text
from airflow_provider_minimax.cli.command import command, confirmed, fail, named, print_list, print_rows, say
from airflow_provider_minimax.cli.storage import find_receipts, look_at_clip
from airflow_provider_minimax.exceptions import (
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxReceiptError,
    MinimaxRequestError,
)
from airflow_provider_minimax.options import checked_id
from airflow_provider_minimax.purchases.purchase import now
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.rules import OTHERS_SUBMIT_WITHIN
from airflow_provider_minimax.purchases.stores import SUFFIX, SidecarStore


@command
def list_receipts(options: Namespace) -> None:
    """List the receipts in a folder."""
    listing = find_receipts(options.folder)
    if listing is None:
        raise MinimaxRequestError(f"folder={options.folder!r}: there is no such folder, and no receipt of such a clip")
    rows = [text.unreadable_row(folder, reason) for folder, reason in listing.unread]
    for clip in listing.clips:
        try:
            receipt = SidecarStore(clip).read()
        except MinimaxError as error:
            rows.append(text.unreadable_row(clip, error.message))
            continue
        # One that is gone by now was taken away while we looked.
        if receipt is not None and options.phase in (None, receipt.phase):
            rows.append(text.row(clip, receipt))
    print_list(rows, options.output)
    if unreadable := sum(row["phase"] == "unreadable" for row in rows):
        fail(f"{unreadable} of these cannot be read, so what was bought under them is unknown.")


@command
def show_receipt(options: Namespace) -> None:
    """Show how far a purchase is."""
    clip, home = named(options.path)
    receipt = _read(home, clip)
    if options.output == "json":
        print(receipt.as_json().decode(), end="")
    else:
        print_rows(text.story(home.where, clip, receipt, look_at_clip(clip, receipt.sha256)))


@command
def adopt_task(options: Namespace) -> None:
    """Write down the remote task of an intent."""
    clip, home = named(options.path)
    minimax_task_id = _checked(options.minimax_task_id)
    intent = _read(home, clip)
    _refuse_unless_orphaned(intent, home.where, clip)
    if options.no_check:
        say(f"The platform was not asked about MiniMax task {minimax_task_id}.")
    else:
        _ask_platform(intent, minimax_task_id)
    _refuse_if_changed(home, intent)
    # max_tries is unknown so that the owner's next try goes on with it, be it a retry or after a clear.
    home.write(intent.submitted(minimax_task_id, now()).model_copy(update={"max_tries": None}))
    say(
        f"{home.where}: MiniMax task {minimax_task_id} is written down. Clear the Airflow task: {intent.owner} goes on "
        "with it, and buys nothing."
    )


@command
def forget_receipt(options: Namespace) -> None:
    """Take a receipt away."""
    clip, home = named(options.path)
    receipt: Receipt | None = None
    try:
        receipt = _read(home, clip)
        say(text.given_up(receipt, look_at_clip(clip, None)))
        say(text.copy_in_store(receipt))
    except MinimaxReceiptError as error:
        say(f"{error.message}. Without it the next run buys anew.")
    if not (options.yes or confirmed(f"Take {home.where} away? (y/n) ")):
        fail(f"{home.where} is left as it is.")
    if receipt is not None:
        _refuse_if_changed(home, receipt)
    home.erase()
    say(f"{home.where} is gone.")


def _read(home: SidecarStore, clip: str) -> Receipt:
    receipt = home.read()
    if receipt is None:
        raise MinimaxRequestError(f"there is no receipt {home.where}", hint=f"Name the clip or its {SUFFIX}.")
    return receipt


def _checked(minimax_task_id: str) -> str:
    try:
        return checked_id(minimax_task_id)
    except MinimaxRequestError as error:
        error.hint = "Copy it from the platform's console."
        raise


def _refuse_unless_orphaned(receipt: Receipt, where: str, clip: str) -> None:
    if receipt.phase is not Phase.INTENT:
        instead = text.next_step(receipt, look_at_clip(clip, receipt.sha256))
        raise MinimaxReceiptError(
            f"the receipt {where} is no submission without an answer: {text.why_not_adopted(receipt)}",
            hint=f"Nothing was changed. {instead}",
        )
    if now() - receipt.intended_at < OTHERS_SUBMIT_WITHIN:
        raise MinimaxReceiptError(
            f"the receipt {where} was written at {text.time_of(receipt.intended_at)}, so {receipt.owner} may still be "
            "waiting for its answer",
            hint=f"Nothing was changed. Look again {OTHERS_SUBMIT_WITHIN.seconds // 60} minutes after that.",
        )


def _ask_platform(intent: Receipt, minimax_task_id: str) -> None:
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    try:
        with closing(MinimaxHook(intent.minimax_conn_id)) as hook:
            platform = hook.account()["platform"]
            if platform != intent.platform:
                raise MinimaxConfigurationError(
                    f"the connection {intent.minimax_conn_id!r} leads to {platform} now, and the clip was submitted to "
                    f"{intent.platform}"
                )
            task = hook.get_task(minimax_task_id, api_version=intent.api_version)
    except MinimaxError as error:
        ways_on = (error.hint, "Nothing was changed. With --no-check the platform is not asked.")
        error.hint = " ".join(filter(None, ways_on))
        raise
    say(f"MiniMax task {minimax_task_id} is known at {platform}: {task.status} ({task.state}).")


def _refuse_if_changed(home: SidecarStore, receipt: Receipt) -> None:
    if home.read() != receipt:
        raise MinimaxReceiptError(
            f"the receipt {home.where} was changed by somebody else meanwhile", hint="Look at it again."
        )
