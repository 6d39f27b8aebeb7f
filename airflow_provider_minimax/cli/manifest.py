"""What ``show`` prints about a clip. Pure; what is not known is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.filesize import decimal

from airflow_provider_minimax.cli import text
from airflow_provider_minimax.cli.text import Row
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.rules import OutputState

_BLANK = ("", "")
_MEASURED = {"duration": "{:g} s", "fps": "{:g} fps", "codec": "{}"}
_LONGEST_OPTION = 60
_PRINTED_ELSEWHERE = ("model", "prompt", "resolution", "duration")


def manifest(where: str, clip: str, receipt: Receipt, state: OutputState) -> Iterator[Row]:
    """
    Describe where a clip came from, in labelled lines.

    :param where: the receipt's path or URL.
    :param clip: the clip's path or URL.
    :param receipt: the receipt.
    :param state: what is at the clip's path.
    """
    groups = (_content(receipt), text.times(receipt), _locations(where, clip, receipt, state), _purchase(receipt))
    for number, group in enumerate(filter(None, map(list, groups))):
        if number:
            yield _BLANK
        yield from group


def _content(receipt: Receipt) -> Iterator[Row]:
    if receipt.phase is not Phase.DELIVERED:
        yield text.phase(receipt)
    yield from text.failure(receipt)
    request = receipt.request or {}
    if prompt := request.get("prompt"):
        yield "Prompt", " ".join(str(prompt).split())
    if receipt.model:
        yield "Model", receipt.model
    if asked := ", ".join(_asked(request)):
        yield "Asked for", asked
    if got := ", ".join(_got(receipt)):
        yield "Got", got
    if receipt.cost and _may_be_due(receipt):
        yield "Cost", _cost(receipt.cost)


def _locations(where: str, clip: str, receipt: Receipt, state: OutputState) -> Iterator[Row]:
    yield text.clip_row(clip, receipt, state)
    if receipt.output_path not in (None, clip):
        yield "Delivered to", str(receipt.output_path)
    for name, path in (receipt.previews or {}).items():
        yield name.replace("_", " ").capitalize(), path
    yield "Receipt", where
    if receipt.sha256:
        yield "SHA-256", receipt.sha256


def _purchase(receipt: Receipt) -> Iterator[Row]:
    yield from text.origin(receipt)
    if file_id := (receipt.facts or {}).get("file_id"):
        yield "Remote file", str(file_id)
    yield "Provider", f"airflow-provider-minimax {receipt.provider_version}"


def _asked(request: Mapping[str, Any]) -> Iterator[str]:
    if resolution := request.get("resolution"):
        yield _short(resolution)
    if duration := request.get("duration"):
        yield f"{_short(duration)} s"
    for name, value in request.items():
        if name not in _PRINTED_ELSEWHERE:
            yield f"{_short(name)}={_short(value)}"


def _short(value: Any) -> str:
    shown = str(value)
    if shown.startswith("sha256:"):
        return shown[: len("sha256:") + 12]
    return shown if len(shown) <= _LONGEST_OPTION else f"{shown[:_LONGEST_OPTION]}..."


def _formatted(form: str, value: Any) -> str:
    """Format a value; it may be of any type, because people may edit a receipt."""
    try:
        return form.format(value)
    except (ValueError, TypeError, OverflowError):
        return _short(value)


def _got(receipt: Receipt) -> list[str]:
    """Return what was measured; for a clip that was not checked, what the platform reports."""
    media = receipt.media or receipt.facts or {}
    known = [_formatted(form, media[name]) for name, form in _MEASURED.items() if media.get(name) is not None]
    if media.get("width") and media.get("height"):
        known.insert(0, f"{_short(media['width'])}x{_short(media['height'])}")
    if receipt.media:
        known.append("with sound" if media.get("has_sound") else "no sound")
    elif known:
        known[-1] += " as the platform reports"
    if receipt.size is not None:
        known.append(decimal(receipt.size))
    return known


def _may_be_due(receipt: Receipt) -> bool:
    """Whether the cost may have to be paid: a failed task is probably free, whatever its list price."""
    return receipt.phase is not Phase.FAILED or (receipt.cost or {}).get("kind") == "billed"


def _cost(cost: Mapping[str, Any]) -> str:
    amount = cost.get("amount")
    if cost.get("kind") == "billed":
        return f"{_short(amount)} {_short(cost.get('unit'))} (billed)"
    price = f"{_formatted('{:.2f}', amount)} {_short(cost.get('currency'))}"
    return f"{price} (estimate from the list price of {_short(cost.get('read'))})"
