"""What the commands tell of a receipt, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from airflow_provider_minimax.exceptions import error_from_event
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.stores import STATE_KEY

Row = tuple[str, str]
"""A label, and what there is to say under it."""

_MEANINGS = {
    Phase.INTENT: "the request was about to go out, or went out and its answer was never written down",
    Phase.SUBMITTED: "the clip is bought, and its remote task is known",
    Phase.FAILED: "the remote task ended without a clip",
    Phase.DELIVERED: "the clip was put in its place",
}
_CLIPS = {
    OutputState.MISSING: "there is no file at",
    OutputState.MATCHES: "whole and unchanged:",
    OutputState.DIFFERS: "the file is not the one that was delivered:",
}


def row(clip: str, receipt: Receipt) -> dict[str, str]:
    """Return the line of a list."""
    return {
        "phase": str(receipt.phase),
        "minimax_task_id": receipt.minimax_task_id or "",
        "owner": str(receipt.owner),
        "when": time_of(receipt.delivered_at or receipt.began_at),
        "output": clip,
        "model": receipt.model or "",
        "note": failure_of(receipt) or "",
    }


def unreadable_row(clip: str, reason: str) -> dict[str, str]:
    """Return the line for what cannot be read."""
    empty = dict.fromkeys(("minimax_task_id", "owner", "when"), "")
    return {"phase": "unreadable", **empty, "output": clip, "model": "", "note": reason}


def story(where: str, clip: str, receipt: Receipt, seen: OutputState) -> Iterator[Row]:
    """
    Tell how far a purchase is and what to do about it, in labelled lines.

    :param where: the receipt's place.
    :param clip: the clip's place.
    :param receipt: what it says.
    :param seen: what is at the clip's place.
    """
    yield "Receipt", where
    yield phase(receipt)
    yield from failure(receipt)
    yield from origin(receipt)
    yield from times(receipt)
    yield clip_row(clip, receipt, seen)
    yield "Next", next_step(receipt, seen)


def phase(receipt: Receipt) -> Row:
    """Say how far it is."""
    return "Phase", f"{receipt.phase}: {_MEANINGS[receipt.phase]}"


def failure(receipt: Receipt) -> Iterator[Row]:
    """Say why there is no clip, if there is none."""
    if reason := failure_of(receipt):
        yield "Failure", reason


def origin(receipt: Receipt) -> Iterator[Row]:
    """Say where the clip was bought, and for whom."""
    yield "Airflow task", f"try {receipt.try_number} of {receipt.owner}"
    yield "Platform", f"{receipt.platform}, connection {receipt.minimax_conn_id}"
    if receipt.minimax_task_id:
        yield "Remote task", receipt.minimax_task_id
    if receipt.replaced:
        yield "Bought before", f"{', '.join(receipt.replaced)}, for the same Airflow task"


def times(receipt: Receipt) -> Iterator[Row]:
    """Say what happened when, each with the time since the one before."""
    bought = [
        ("Requested", receipt.intended_at),
        ("Answer lost", receipt.lost_at),
        ("Adopted" if receipt.lost_at else "Submitted", receipt.submitted_at),
    ]
    made = [("Started", receipt.started_at), ("Ready", receipt.finished_at)]
    delivered = [("Delivered", receipt.delivered_at)]
    if receipt.fingerprint is None:
        # It was made before anybody here knew of it.
        bought, delivered = [], [("Fetched by id", receipt.intended_at), *delivered]
    before = None
    for label, when in (*bought, *made, *delivered):
        if when is not None:
            when = when.replace(microsecond=0)
            yield label, f"{time_of(when)}{_later(when - before) if before else ''}"
            before = when


def _later(span: timedelta) -> str:
    """Say how much later, unless it is nothing, or nothing that can be: platforms have clocks of their own."""
    seconds = int(span.total_seconds())
    if seconds < 1:
        return ""
    (hours, minutes), seconds = divmod(seconds // 60, 60), seconds % 60
    parts = (f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if number)
    return f", {' '.join(parts)} later"


def clip_row(clip: str, receipt: Receipt, seen: OutputState) -> Row:
    """Say whether the clip is in its place."""
    if seen is OutputState.DIFFERS and receipt.sha256 is None:
        return "Clip", f"there is a file, which this receipt does not know: {clip}"
    return "Clip", f"{_CLIPS[seen]} {clip}"


def name_of(receipt: Receipt) -> str:
    """Return what the clip is known by at the platform."""
    if receipt.minimax_task_id:
        return f"MiniMax task {receipt.minimax_task_id}"
    return f"MiniMax file {(receipt.facts or {}).get('file_id')}"


def failure_of(receipt: Receipt) -> str | None:
    """Return why there is no clip."""
    return str(error_from_event(receipt.failure)) if receipt.failure else None


def next_step(receipt: Receipt, seen: OutputState) -> str:
    """Say what to do about a receipt."""
    if receipt.phase is Phase.INTENT:
        return (
            "Look for it in the platform's console. If it is there, give its id to `adopt`; if it surely is not, "
            "`forget` this receipt. Then clear the Airflow task. With on_orphaned_intent='adopt' its retries ask the "
            "platform's list themselves."
        )
    if receipt.phase is Phase.SUBMITTED:
        # Without max_tries a person wrote it down.
        unless = "" if receipt.max_tries is None else " unless on_clear='resubmit'"
        return f"A retry of the Airflow task goes on with it, and so does a clear{unless}."
    if receipt.phase is Phase.FAILED:
        return "Read the reason. To buy anew, clear the Airflow task."
    return {
        OutputState.MATCHES: "Nothing is left to do.",
        OutputState.MISSING: "It was moved or deleted. MinimaxVideoDownloadOperator fetches it again if the platform "
        "has it.",
        OutputState.DIFFERS: "It was replaced or changed. A run of the same request stops here, or with overwrite=True "
        "buys another.",
    }[seen]


def why_not_adopted(receipt: Receipt) -> str:
    """Say what a receipt is that is no intent."""
    name = name_of(receipt)
    return {
        Phase.SUBMITTED: f"{name} is written down in it already",
        Phase.FAILED: f"{name} ended without a clip",
        Phase.DELIVERED: f"the clip of {name} was delivered",
    }[receipt.phase]


def given_up(receipt: Receipt, seen: OutputState) -> str:
    """Say what is lost with a receipt."""
    task = f"{name_of(receipt)} at {receipt.platform}"
    anew = "the next run buys anew" if seen is OutputState.MISSING else _IN_THE_WAY
    return {
        Phase.INTENT: f"A clip of {receipt.model} was submitted for {receipt.owner} at {time_of(receipt.intended_at)}, "
        "and its answer was never written down: it may have been bought and billed, or be under way. Without the "
        f"receipt {anew}.",
        Phase.SUBMITTED: f"{task} is bought for {receipt.owner}. It goes on and is billed; note its id. Without the "
        f"receipt {anew}.",
        Phase.FAILED: f"{task} ended without a clip. Without the receipt {anew}.",
        Phase.DELIVERED: f"The clip of {task} was delivered. Without the receipt {anew}.",
    }[receipt.phase]


_IN_THE_WAY = (
    "the next run of the same request does not know the file at the clip's place: it stops there, or with "
    "overwrite=True buys anew"
)


def copy_in_store(receipt: Receipt) -> str:
    """Say where else the receipt may be."""
    return (
        f"On Airflow 3.3 and later the task state store may hold a copy for {receipt.owner}, which that task still "
        f"goes by and which is not touched here: delete the key {STATE_KEY} from the task instance's stored state, or "
        "set on_clear='resubmit', before you clear it."
    )


def time_of(when: datetime) -> str:
    """Return a time as the commands print it."""
    return f"{when:%Y-%m-%d %H:%M:%S %Z}"
