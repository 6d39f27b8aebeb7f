"""``receipts list``, ``show``, ``adopt`` and ``forget``. They never buy anything, and never touch a clip."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing

from airflow_provider_minimax.cli import text
from airflow_provider_minimax.cli.command import (
    clip_and_receipt,
    command,
    confirmed,
    fail,
    print_list,
    print_rows,
    say,
)
from airflow_provider_minimax.cli.storage import clip_state, find_receipts
from airflow_provider_minimax.exceptions import (
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxReceiptError,
    MinimaxRequestError,
)
from airflow_provider_minimax.options import checked_id
from airflow_provider_minimax.purchases.receipt import Phase, Receipt, now
from airflow_provider_minimax.purchases.rules import OTHERS_SUBMIT_WITHIN
from airflow_provider_minimax.purchases.stores import SUFFIX, SidecarStore


@command
def list_receipts(options: Namespace) -> None:
    """
    List the receipts in a folder.

    :param options: ``folder``, ``phase`` and ``output``.
    """
    listing = find_receipts(options.folder)
    if listing is None:
        raise MinimaxRequestError(f"folder={options.folder!r}: no such folder, and no receipt of a clip with that path")
    rows = [text.unreadable_row(folder, reason) for folder, reason in listing.unread]
    for clip in listing.clips:
        try:
            receipt = SidecarStore(clip).read()
        except MinimaxError as error:
            rows.append(text.unreadable_row(clip, error.message))
            continue
        # It is None if it was deleted since the folder was listed.
        if receipt is not None and options.phase in (None, receipt.phase):
            rows.append(text.row(clip, receipt))
    print_list(rows, options.output)
    if unreadable := sum(row["phase"] == "unreadable" for row in rows):
        fail(f"{unreadable} of these cannot be read, so it is not known what was bought.")


@command
def show_receipt(options: Namespace) -> None:
    """
    Show the state of a purchase.

    :param options: ``path`` and ``output``.
    """
    clip, store = clip_and_receipt(options.path)
    receipt = _read(store, clip)
    if options.output == "json":
        print(receipt.as_json().decode(), end="")
    else:
        print_rows(text.report(store.where, clip, receipt, clip_state(clip, receipt.sha256)))


@command
def adopt_task(options: Namespace) -> None:
    """
    Record the remote task of a submission whose response was lost.

    :param options: ``path``, ``minimax_task_id`` and ``no_check``.
    """
    clip, store = clip_and_receipt(options.path)
    minimax_task_id = _checked(options.minimax_task_id)
    intent = _read(store, clip)
    _refuse_unless_orphaned(intent, store.where, clip)
    if options.no_check:
        say(f"Not checked whether the platform knows MiniMax task {minimax_task_id}.")
    else:
        _ask_platform(intent, minimax_task_id)
    _refuse_if_changed(store, intent)
    # Without max_tries, the owner's next try resumes with it, whether it is a retry or comes after a clear.
    store.write(intent.submitted(minimax_task_id, now()).model_copy(update={"max_tries": None}))
    say(
        f"{store.where}: MiniMax task {minimax_task_id} was recorded. Now clear the Airflow task {intent.owner}: it "
        "waits for this remote task, and buys nothing."
    )


@command
def forget_receipt(options: Namespace) -> None:
    """
    Delete a receipt.

    :param options: ``path`` and ``yes``.
    """
    clip, store = clip_and_receipt(options.path)
    receipt: Receipt | None = None
    try:
        receipt = _read(store, clip)
        say(text.consequences(receipt, clip_state(clip, None)))
        say(text.copy_in_task_state(receipt))
    except MinimaxReceiptError as error:
        say(f"{error.message}. Without it, the next run buys a new clip.")
    if not (options.yes or confirmed(f"Delete {store.where}? (y/n) ")):
        fail("Nothing was deleted.")
    if receipt is not None:
        _refuse_if_changed(store, receipt)
    store.erase()
    say(f"{store.where} was deleted.")


def _read(store: SidecarStore, clip: str) -> Receipt:
    receipt = store.read()
    if receipt is None:
        raise MinimaxRequestError(
            f"there is no receipt {store.where}", hint=f"Give the path of a clip or of its {SUFFIX}."
        )
    return receipt


def _checked(minimax_task_id: str) -> str:
    try:
        return checked_id(minimax_task_id)
    except MinimaxRequestError as error:
        error.hint = "Copy it from the platform's console."
        raise


def _refuse_unless_orphaned(receipt: Receipt, where: str, clip: str) -> None:
    if receipt.phase is not Phase.INTENT:
        instead = text.next_step(receipt, clip_state(clip, receipt.sha256))
        raise MinimaxReceiptError(
            f"the response to this submission was not lost: {text.why_not_adopted(receipt)} (receipt {where})",
            hint=f"Nothing was changed. {instead}",
        )
    if now() - receipt.intended_at < OTHERS_SUBMIT_WITHIN:
        raise MinimaxReceiptError(
            f"the receipt {where} was written at {text.format_time(receipt.intended_at)}, so {receipt.owner} may "
            "still be waiting for the response",
            hint=f"Nothing was changed. Try again {OTHERS_SUBMIT_WITHIN.seconds // 60} minutes after that.",
        )


def _ask_platform(intent: Receipt, minimax_task_id: str) -> None:
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    try:
        with closing(MinimaxHook(intent.minimax_conn_id)) as hook:
            platform = hook.account()["platform"]
            if platform != intent.platform:
                raise MinimaxConfigurationError(
                    f"the connection {intent.minimax_conn_id!r} is for {platform} now, but the clip was submitted to "
                    f"{intent.platform}"
                )
            task = hook.get_task(minimax_task_id, api_version=intent.api_version)
    except MinimaxError as error:
        ways_out = (error.hint, "Nothing was changed. Use --no-check to skip this check.")
        error.hint = " ".join(filter(None, ways_out))
        raise
    say(f"{platform} knows MiniMax task {minimax_task_id}: {task.status} ({task.state}).")


def _refuse_if_changed(store: SidecarStore, receipt: Receipt) -> None:
    if store.read() != receipt:
        raise MinimaxReceiptError(
            f"the receipt {store.where} was changed by another process in the meantime", hint="Show it again first."
        )
