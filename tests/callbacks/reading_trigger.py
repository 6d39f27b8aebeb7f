"""A trigger that reads what a connection's platform pushed, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_minimax.callbacks.record import read_recent


class ReadRecent(BaseTrigger):
    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"conn_id": self.conn_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent([push.as_json() for push in await read_recent(self.conn_id)])
