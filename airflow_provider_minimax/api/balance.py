"""What is left in an account: what the platform reported, as it is. What it did not report is ``None``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from airflow_provider_minimax.api.cost import json_number


@dataclass(frozen=True, slots=True)
class PlanShare:
    """
    What is left of one part of a plan. The platform's counts contradict each other, so its percentages alone are read.

    :param name: the part, in the platform's words: ``video``, ``general``, …
    :param percent_left: how much is left of the current window, which lasts some hours.
    :param resets_at: when that window ends.
    :param weekly_percent_left: how much is left of the week; ``None`` also if the week has no limit.
    :param weekly_resets_at: when that week ends.
    """

    name: str
    percent_left: Decimal | None = None
    resets_at: datetime | None = None
    weekly_percent_left: Decimal | None = None
    weekly_resets_at: datetime | None = None

    def __str__(self) -> str:
        windows = (
            ("", self.percent_left, self.resets_at),
            (" of the week", self.weekly_percent_left, self.weekly_resets_at),
        )
        shares = [f"{left:f} %{what}{_until(end)}" for what, left, end in windows if left is not None]
        return f"{self.name} {', '.join(shares)}" if shares else f"{self.name}, of which nothing is known"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "percent_left": _number(self.percent_left),
            "resets_at": self.resets_at and self.resets_at.isoformat(),
            "weekly_percent_left": _number(self.weekly_percent_left),
            "weekly_resets_at": self.weekly_resets_at and self.weekly_resets_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Balance:
    """
    What is left in an account: amounts for a key that pays as it goes, shares for a key of a plan.

    :param available: what can be spent.
    :param cash: of that, what was paid in.
    :param voucher: of that, vouchers.
    :param credit: of that, credit.
    :param owed: what the account owes.
    :param currency: of all amounts: ``USD``, or ``CNY`` in the region ``cn``. It follows from the region, because the
        platform reports bare numbers.
    :param plan: the parts that the key's plan has; ``None`` for a key that pays as it goes.
    """

    available: Decimal | None = None
    cash: Decimal | None = None
    voucher: Decimal | None = None
    credit: Decimal | None = None
    owed: Decimal | None = None
    currency: str | None = None
    plan: tuple[PlanShare, ...] | None = None

    def __str__(self) -> str:
        if self.available is not None:
            return f"{self.available:f} {self.currency}"
        return "; ".join(map(str, self.plan or ())) or "nothing that the platform names"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "available": _number(self.available),
            "cash": _number(self.cash),
            "voucher": _number(self.voucher),
            "credit": _number(self.credit),
            "owed": _number(self.owed),
            "currency": self.currency,
            "plan": None if self.plan is None else [share.as_dict() for share in self.plan],
        }


def _number(amount: Decimal | None) -> int | float | None:
    return None if amount is None else json_number(amount)


def _until(end: datetime | None) -> str:
    return f" until {end:%Y-%m-%d %H:%M %Z}" if end else ""
