"""The clip that a delivery returns, and what is known about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from airflow_provider_minimax.delivery.destination import Destination
from airflow_provider_minimax.delivery.previews import existing_previews
from airflow_provider_minimax.purchases.receipt import Receipt
from airflow_provider_minimax.text.storable import storable

_MEASURED = ("width", "height", "duration")
# The longest prompt that a Hailuo model takes.
_LONGEST_PROMPT = 2000


@dataclass(frozen=True, slots=True)
class DeliveredClip:
    """
    A clip that is at its destination: what a delivery returns. Airflow is shown it as a :class:`.ClipAsset`.

    :param facts: what operators return about it: the platform's facts, ``output_path``, ``size`` in bytes and
        ``sha256``; for a clip with a receipt also ``model``, ``prompt``, ``cost`` and ``previews``, each ``None`` if it
        is unknown.
    :param receipt: its receipt, if it has one.
    """

    facts: dict[str, Any]
    receipt: Receipt | None

    @classmethod
    def from_receipt(cls, receipt: Receipt, destination: Destination) -> DeliveredClip:
        """
        Return the clip of a receipt.

        :param receipt: the receipt. Where it says the clip is does not count: both may have been moved.
        :param destination: where the clip is.
        """
        previews = existing_previews(destination, receipt)
        receipt = receipt.model_copy(update={"output_path": destination.url, "previews": previews})
        file = {"output_path": destination.url, "size": receipt.size, "sha256": receipt.sha256}
        facts = with_measured(receipt.facts or {}, receipt.media) | file | facts_of_request(receipt)
        return cls(facts | {"previews": receipt.previews}, receipt)

    def facts_with_origin(self) -> dict[str, Any]:
        """Return the facts for assets and lineage: also the platform, the request and who made the receipt."""
        if self.receipt is None:
            return self.facts
        receipt = self.receipt
        prompt = _prompt_of(receipt)
        return self.facts | {
            "platform": receipt.platform,
            "prompt_sha256": None if prompt is None else hashlib.sha256(prompt.encode()).hexdigest(),
            "fingerprint": receipt.fingerprint,
            "provider_version": receipt.provider_version,
        }


def facts_of_request(receipt: Receipt) -> dict[str, Any]:
    """
    Return the facts that say what was requested.

    :param receipt: the clip's receipt.
    :return: ``model``, ``prompt`` (the first 2000 characters) and ``cost``, each ``None`` if it is unknown.
    """
    return {"model": receipt.model, "prompt": _shortened(_prompt_of(receipt)), "cost": receipt.cost}


def with_measured(facts: dict[str, Any], media: dict[str, Any] | None) -> dict[str, Any]:
    """
    Return the platform's facts, completed with measured values where the platform reports none.

    :param facts: the platform's facts.
    :param media: what the check measured, if there was one.
    """
    return facts | {name: (media or {}).get(name) for name in _MEASURED if facts.get(name) is None}


def _prompt_of(receipt: Receipt) -> str | None:
    prompt = (receipt.request or {}).get("prompt")
    # People may edit a receipt, and a damaged one must not fail the task: the clip is there.
    return storable(prompt) if isinstance(prompt, str) else None


def _shortened(prompt: str | None) -> str | None:
    if prompt is None or len(prompt) <= _LONGEST_PROMPT:
        return prompt
    return f"{prompt[: _LONGEST_PROMPT - 1]}…"
