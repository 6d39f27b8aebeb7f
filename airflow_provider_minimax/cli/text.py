"""Describes receipts for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from airflow_provider_minimax.exceptions import error_from_event
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.stores import STATE_KEY

Row = tuple[str, str]
"""A label and its value."""

_PHASE_MEANINGS = {
    Phase.INTENT: "the request was sent or about to be sent, and no response was recorded",
    Phase.SUBMITTED: "the clip was bought, and its remote task is known",
    Phase.FAILED: "the remote task ended without a clip",
    Phase.DELIVERED: "the clip was delivered",
}
_STATE_MEANINGS = {
    OutputState.MISSING: "no file at",
    OutputState.MATCHES: "unchanged since delivery:",
    OutputState.DIFFERS: "not the file that was delivered:",
}


def row(clip: str, receipt: Receipt) -> dict[str, str]:
    """
    Return the line of ``receipts list`` for a receipt.

    :param clip: the clip's path or URL.
    :param receipt: the receipt.
    """
    return {
        "phase": str(receipt.phase),
        "minimax_task_id": receipt.minimax_task_id or "",
        "owner": str(receipt.owner),
        "when": format_time(receipt.delivered_at or receipt.began_at),
        "output": clip,
        "model": receipt.model or "",
        "note": failure_of(receipt) or "",
    }


def unreadable_row(clip: str, reason: str) -> dict[str, str]:
    """
    Return the line of ``receipts list`` for a receipt or folder that cannot be read.

    :param clip: its path or URL.
    :param reason: why.
    """
    empty = dict.fromkeys(("minimax_task_id", "owner", "when"), "")
    return {"phase": "unreadable", **empty, "output": clip, "model": "", "note": reason}


def report(where: str, clip: str, receipt: Receipt, state: OutputState) -> Iterator[Row]:
    """
    Describe the state of a purchase and what to do next, in labelled lines.

    :param where: the receipt's path or URL.
    :param clip: the clip's path or URL.
    :param receipt: the receipt.
    :param state: what is at the clip's path.
    """
    yield "Receipt", where
    yield phase(receipt)
    yield from failure(receipt)
    yield from origin(receipt)
    yield from times(receipt)
    yield clip_row(clip, receipt, state)
    yield "Next", next_step(receipt, state)


def phase(receipt: Receipt) -> Row:
    """Return the phase and what it means."""
    return "Phase", f"{receipt.phase}: {_PHASE_MEANINGS[receipt.phase]}"


def failure(receipt: Receipt) -> Iterator[Row]:
    """Yield why there is no clip, if the remote task failed."""
    if reason := failure_of(receipt):
        yield "Failure", reason


def origin(receipt: Receipt) -> Iterator[Row]:
    """Yield where the clip was bought, and for which Airflow task."""
    yield "Airflow task", f"try {receipt.try_number} of {receipt.owner}"
    yield "Platform", f"{receipt.platform}, connection {receipt.minimax_conn_id}"
    if receipt.minimax_task_id:
        yield "Remote task", receipt.minimax_task_id
    if receipt.replaced:
        yield "Bought before", f"{', '.join(receipt.replaced)}, for the same Airflow task"


def times(receipt: Receipt) -> Iterator[Row]:
    """Yield what happened when, each with the time since the event before it."""
    bought = [
        ("Requested", receipt.intended_at),
        ("Response lost", receipt.lost_at),
        ("Adopted" if receipt.lost_at else "Submitted", receipt.submitted_at),
    ]
    made = [("Started", receipt.started_at), ("Ready", receipt.finished_at)]
    delivered = [("Delivered", receipt.delivered_at)]
    if receipt.fingerprint is None:
        # Such a clip was not bought by an Airflow task, only downloaded by its id.
        bought, delivered = [], [("Fetched by id", receipt.intended_at), *delivered]
    before = None
    for label, when in (*bought, *made, *delivered):
        if when is not None:
            when = when.replace(microsecond=0)
            yield label, f"{format_time(when)}{_later(when - before) if before else ''}"
            before = when


def _later(span: timedelta) -> str:
    """Return how much later; empty if less than 1 s, or negative because the platform's clock differs."""
    seconds = int(span.total_seconds())
    if seconds < 1:
        return ""
    (hours, minutes), seconds = divmod(seconds // 60, 60), seconds % 60
    parts = (f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if number)
    return f", {' '.join(parts)} later"


def clip_row(clip: str, receipt: Receipt, state: OutputState) -> Row:
    """Return whether the clip is there and unchanged."""
    if state is OutputState.DIFFERS and receipt.sha256 is None:
        return "Clip", f"a file that is not known to this receipt: {clip}"
    return "Clip", f"{_STATE_MEANINGS[state]} {clip}"


def name_of(receipt: Receipt) -> str:
    """Return the clip's id at the platform."""
    if receipt.minimax_task_id:
        return f"MiniMax task {receipt.minimax_task_id}"
    return f"MiniMax file {(receipt.facts or {}).get('file_id')}"


def failure_of(receipt: Receipt) -> str | None:
    """Return why the remote task failed, if it did."""
    return str(error_from_event(receipt.failure)) if receipt.failure else None


def next_step(receipt: Receipt, state: OutputState) -> str:
    """Return what to do about a receipt."""
    if receipt.phase is Phase.INTENT:
        return (
            "Look for the remote task in the platform's console. If it is there, record its id with `adopt`; if it is "
            "certainly not there, delete this receipt with `forget`. Then clear the Airflow task. With "
            "on_orphaned_intent='adopt', retries search the platform's list themselves."
        )
    if receipt.phase is Phase.SUBMITTED:
        # Without max_tries, a person recorded the remote task with `adopt`.
        unless = "" if receipt.max_tries is None else " (a clear buys a new clip if on_clear='resubmit')"
        goes_on = "it waits for this remote task and buys nothing"
        return f"If the Airflow task is not running, retry or clear it: {goes_on}{unless}."
    if receipt.phase is Phase.FAILED:
        return "See the reason under Failure. To buy a new clip, clear the Airflow task."
    return {
        OutputState.MATCHES: "Nothing to do.",
        OutputState.MISSING: "The clip was moved or deleted. MinimaxVideoDownloadOperator downloads it again if "
        "the platform still has it.",
        OutputState.DIFFERS: "The clip was replaced or changed. Another run of the same request fails, or with "
        "overwrite=True buys a new clip.",
    }[state]


def why_not_adopted(receipt: Receipt) -> str:
    """Return why no remote task can be recorded in a receipt."""
    name = name_of(receipt)
    return {
        Phase.SUBMITTED: f"{name} is known",
        Phase.FAILED: f"{name} ended without a clip",
        Phase.DELIVERED: f"the clip of {name} was delivered",
    }[receipt.phase]


def consequences(receipt: Receipt, state: OutputState) -> str:
    """
    Return what is lost with a receipt.

    :param receipt: the receipt.
    :param state: what is at the clip's path.
    """
    task = f"{name_of(receipt)} at {receipt.platform}"
    then = "the next run buys a new clip" if state is OutputState.MISSING else _UNKNOWN_FILE
    return {
        Phase.INTENT: f"A clip of {receipt.model} was submitted for {receipt.owner} at "
        f"{format_time(receipt.intended_at)}, and no response was recorded: it may have been bought, "
        f"and may be billed. Without the receipt, {then}.",
        Phase.SUBMITTED: f"{task} was bought for {receipt.owner}. It keeps running and will be billed; note its id. "
        f"Without the receipt, {then}.",
        Phase.FAILED: f"{task} ended without a clip. Without the receipt, {then}.",
        Phase.DELIVERED: f"The clip of {task} was delivered. Without the receipt, {then}.",
    }[receipt.phase]


_UNKNOWN_FILE = (
    "the next run of the same request does not recognize the file at output_path: it fails, or with overwrite=True "
    "buys a new clip"
)


def copy_in_task_state(receipt: Receipt) -> str:
    """Return a warning about the receipt's copy in Airflow's task state store."""
    return (
        f"On Airflow 3.3 and later, the task state store may have a copy, which this command does not delete and which "
        f"{receipt.owner} still uses. Before you clear that task, delete the key {STATE_KEY} from its stored state, or "
        "set on_clear='resubmit'."
    )


def format_time(when: datetime) -> str:
    """Format a time as all commands print it."""
    return f"{when:%Y-%m-%d %H:%M:%S %Z}"
