"""Stand-ins for what only a running Airflow has: the task instance, and the store that outlives its tries."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import airflow.sdk

HAS_STORE = "NEVER_EXPIRE" in airflow.sdk.__all__
"""Whether this Airflow has a task state store: 3.3 and later."""


class FakeTaskInstance:
    """As much of a task instance as the operators use; XCom in a dict."""

    def __init__(self, *, run_id: str = "run", map_index: int = -1, max_tries: int = 3, try_number: int = 1) -> None:
        self.id = uuid4()
        self.dag_id = "dag"
        self.run_id = run_id
        self.task_id = "generate"
        self.map_index = map_index
        self.max_tries = max_tries
        self.try_number = try_number
        self.xcoms: dict[str, object] = {}
        self.others: list[object] = []
        """What other tasks of the run pushed."""

    def xcom_push(self, key: str, value: object) -> None:
        json.dumps(value)
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: str | list[str], key: str, map_indexes: int = -1) -> object:
        if isinstance(task_ids, list):
            return [*self.others, self.xcoms.get(key)]
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.xcoms.get(key)


class FakeSupervisor:
    """What a triggerer asks Airflow through: it knows one task instance's state, and one XCom."""

    def __init__(self, state: str | None = "failed", attempt: str | None = None) -> None:
        self.state = state
        self.attempt = attempt
        self.trouble: Exception | None = None
        self.answers_after = 0.0
        self.asked = 0
        self.is_broken_off = False

    async def asend(self, request: Any) -> Any:
        from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult, XComResult

        self.asked += 1
        try:
            await asyncio.sleep(self.answers_after)
        except asyncio.CancelledError:
            self.is_broken_off = True
            raise
        if self.trouble is not None:
            raise self.trouble
        if not isinstance(request, GetTaskStates):
            return XComResult(key=request.key, value=self.attempt)
        (run_id,), (task_id,) = request.run_ids, request.task_ids
        name = task_id if request.map_index < 0 else f"{task_id}_{request.map_index}"
        return TaskStatesResult(task_states={} if self.state == "deleted" else {run_id: {name: self.state}})


class FakeStore:
    """Airflow's task state store: JSON values by key."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        assert value is not None
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.values.pop(key, None)
