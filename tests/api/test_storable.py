"""What Airflow's database can hold."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest

from airflow_provider_minimax.text.storable import storable


class State(StrEnum):
    DONE = "done"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, True),
        ("a boat ⛵ 船", "a boat ⛵ 船"),
        ("nul\0", "nul\\x00"),
        ("name-\udc80", "name-\\udc80"),
        (State.DONE, "done"),
        (float("nan"), None),
        (float("-inf"), None),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        (2**63 - 1, 2**63 - 1),
        (Decimal("0.28"), "0.28"),
        (date(2026, 11, 21), "2026-11-21"),
        (datetime(2026, 11, 21, 6, tzinfo=UTC), "2026-11-21T06:00:00+00:00"),
        (Path("/data/boat.mp4"), "/data/boat.mp4"),
        ({1: {"x\0": (1, float("inf"))}}, {"1": {"x\\x00": [1, None]}}),
    ],
)
def test_a_value_becomes_what_every_database_of_airflow_stores(value, stored):
    assert storable(value) == stored
    assert type(storable(value)) is type(stored)


def test_a_value_that_holds_itself_or_is_too_deep_for_the_server_comes_to_an_end():
    deep: dict[str, object] = {}
    deep["deeper"] = deep
    text = json.dumps(storable(deep))
    assert text.count("deeper") < 100


def test_what_is_storable_passes_all_that_a_worker_and_the_server_do_with_it():
    value = storable({"a\udc80\0": [float("nan"), 2**70, "\ud83d", {"b": date(2026, 1, 1)}]})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(value)) == value
    # As the API's client sends it.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    assert json.loads(text.encode("utf-8")) == value
    # PostgreSQL's JSONB refuses this escape.
    assert "\\u0000" not in json.dumps(value)
