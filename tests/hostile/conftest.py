"""What the tests against hostile servers share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def connect_to(monkeypatch) -> Callable[..., str]:
    """Return what makes connections to hostile platforms."""

    def connect(url: str, conn_id: str = "minimax_default", **extra: Any) -> str:
        connection = {"conn_type": "minimax", "host": url, "password": "sk-a-key-of-nobody"}
        extra = {"max_retries": 0} | extra
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection | {"extra": extra}))
        return conn_id

    return connect
