"""A wait for the triggerer, as a value: the stages of a clip return it, and only an operator defers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


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
