"""Values that may hold secrets, made fit for Airflow to store and show."""

from __future__ import annotations

import json
from typing import Any


class Redacted:
    """
    A rendered value that shows itself without images and signatures, in the UI's rendered fields and in logs.

    :param value: the value.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        from airflow_provider_minimax.text.redaction import redact

        return redact(self.value if isinstance(self.value, str) else json.dumps(self.value, default=str))

    __repr__ = __str__
