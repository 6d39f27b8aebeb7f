"""What a clip costs: what the platform says it charged, and what the price list says; exact, and never mixed up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Billed:
    """
    What a platform says it charged for a clip.

    :param amount: how much, as it was reported.
    :param unit: of what: ``USD`` at Vtrix; at ChainHub ``quota``, the gateway's own unit, whose worth it sets itself.
    """

    amount: Decimal
    unit: str

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"amount": json_number(self.amount), "unit": self.unit, "kind": "billed"}

    @classmethod
    def from_dict(cls, values: Any) -> Billed | None:
        """
        Read what :meth:`as_dict` made.

        :param values: the values; anything else is ``None``, because a clip is not lost to its bill.
        """
        try:
            return cls(Decimal(str(values["amount"])), str(values["unit"]))
        except (ArithmeticError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class ListPrice:
    """
    What a clip lists at: an estimate of its cost, not a bill.

    :param amount: the price, exactly as published.
    :param currency: ``USD`` or ``CNY``.
    :param read: when the list was read.
    """

    amount: Decimal
    currency: str
    read: date

    def __str__(self) -> str:
        return f"{self.amount:.2f} {self.currency} (list price, read {self.read})"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "amount": json_number(self.amount),
            "currency": self.currency,
            "kind": "list price",
            "read": self.read.isoformat(),
        }


def json_number(amount: Decimal) -> int | float:
    """Return the amount as JSON has it; up to 15 digits, which is all that is ever read, this loses nothing."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)
