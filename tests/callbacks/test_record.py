"""What readers get of the record, whatever is in it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.callbacks import record
from airflow_provider_minimax.callbacks.record import (
    Push,
    asset_name,
    clips_asset,
    forget_attempt,
    pushes_from_json,
    read_attempt,
    read_recent,
)
from tests.callbacks.conftest import needs_record

PUSH = Push("1", "success", TaskState.SUCCEEDED, 1.5, "attempt")


class FakeComms:
    """What a task or a trigger asks its supervisor through: an asset's stored values."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def send(self, request: Any) -> Any:
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import AssetStateStoreResult, ErrorResponse, OKResponse

        assert request.name == asset_name("minimax_default")
        if type(request).__name__.startswith("Delete"):
            self.values.pop(request.key, None)
            return OKResponse(ok=True)
        if request.key in self.values:
            return AssetStateStoreResult(value=self.values[request.key])
        return ErrorResponse(error=ErrorType.ASSET_STORE_NOT_FOUND)

    async def asend(self, request: Any) -> Any:
        return self.send(request)


@pytest.fixture
def values(monkeypatch) -> dict[str, Any]:
    from airflow.sdk.execution_time import task_runner

    values: dict[str, Any] = {}
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", FakeComms(values), raising=False)
    return values


def test_a_push_is_read_as_it_was_written():
    assert pushes_from_json([PUSH.as_json()]) == (PUSH,)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        {},
        [None],
        [{}],
        [PUSH.as_json() | {"state": "done"}],
        [PUSH.as_json() | {"at": "soon"}],
        [{name: value for name, value in PUSH.as_json().items() if name != "attempt"}],
    ],
)
def test_what_is_no_push_is_left_out(value):
    assert pushes_from_json(value) == ()
    if isinstance(value, list):
        assert pushes_from_json([*value, PUSH.as_json()]) == (PUSH,)


@pytest.mark.parametrize("conn_id", ["minimax_default", "a/b", "a:b#c", "größe", "a b"])
def test_every_connection_has_an_asset_of_its_own_that_airflow_takes(conn_id):
    asset = clips_asset(conn_id)
    assert asset.name == asset.uri == asset_name(conn_id)
    assert asset.name.isascii()


@needs_record
def test_workers_read_an_attempt_and_forget_it(values):
    values["attempt/attempt"] = [PUSH.as_json()]
    assert read_attempt("minimax_default", "attempt") == (PUSH,)
    assert read_attempt("minimax_default", "another") == ()
    forget_attempt("minimax_default", "attempt")
    assert values == {}


@needs_record
def test_triggerers_read_the_latest_pushes(values):
    assert asyncio.run(read_recent("minimax_default")) == ()
    values["recent"] = [PUSH.as_json()]
    assert asyncio.run(read_recent("minimax_default")) == (PUSH,)


def test_before_airflow_3_3_readers_get_nothing_and_ask_nobody(monkeypatch):
    monkeypatch.setattr(record, "HAS_RECORD", False)
    monkeypatch.setattr(record, "_accessor", None)
    assert asyncio.run(read_recent("minimax_default")) == ()
    assert read_attempt("minimax_default", "attempt") == ()
    forget_attempt("minimax_default", "attempt")
