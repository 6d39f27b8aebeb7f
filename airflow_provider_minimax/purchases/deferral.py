"""A wait for the triggerer, as a value: the stages of a clip return it, and only an operator defers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# Airflow's own time limit on a deferral is a safety net behind the trigger's deadline, so it comes later: the triggerer
# may be restarting, and the scheduler looks for overdue triggers every 15 s only.
SAFETY_NET = 120.0

IN_TURN = "execute_in_turn"
"""The method that a task is resumed with when it has a submission slot."""

SETTLED = "execute_settled"
"""The method that a task is resumed with when the platform's list may show more."""


@dataclass(frozen=True, slots=True)
class Deferral:
    """
    What an operator is to wait for without its worker slot.

    :param kind: for a remote task to end (``task``), for a submission slot (``slot``), or for some time to pass
        (``time``).
    :param arguments: the arguments of the trigger that waits for that.
    :param method_name: the operator's method that is called afterwards; stored by Airflow, so it must not be renamed.
    :param timeout: seconds after which Airflow itself ends the wait, if no triggerer does.
    """

    kind: Literal["task", "slot", "time"]
    arguments: Mapping[str, Any]
    method_name: str
    timeout: float
