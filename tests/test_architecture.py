"""How many objects a newcomer meets who steps through a purchase with a debugger, and which."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from pydantic import BaseModel

from airflow_provider_minimax import options
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.operators.base import PurchaseOperator
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from tests.fakes import HAS_STORE, FakeStore

PAGE = Path(__file__).parent.parent / "docs" / "architecture.rst"
PACKAGE = "airflow_provider_minimax"
STORE = pytest.param(True, marks=pytest.mark.skipif(not HAS_STORE, reason="Airflow has a task state store since 3.3"))


def does_work(kind: type) -> bool:
    """Whether objects of a class are more than values, and more than what keeps answers within limits."""
    is_value = is_dataclass(kind) or issubclass(kind, BaseModel | Enum | BaseException | tuple)
    is_option = kind.__module__ == options.__name__
    is_limit = kind.__module__.startswith(f"{PACKAGE}.api.http.") and kind is not Transport
    return kind.__module__.startswith(f"{PACKAGE}.") and not (is_value or is_option or is_limit)


@contextmanager
def objects_met() -> Iterator[dict[int, Any]]:
    """Collect the objects with methods of ours that are called in this thread; a constructor alone does no work."""
    met: dict[int, Any] = {}

    def note(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        is_method = code.co_varnames[:1] == ("self",) and code.co_name != "__init__"
        if event != "call" or not is_method or not frame.f_globals.get("__name__", "").startswith(PACKAGE):
            return
        one = frame.f_locals["self"]
        # Airflow makes dataclasses of operators, which are no values.
        if isinstance(one, PurchaseOperator) or does_work(type(one)):
            met[id(one)] = one

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield met
    finally:
        sys.setprofile(before)


def listed() -> tuple[str, set[str]]:
    """Return what the page says: how many there are, in a word, and their classes."""
    page = " ".join(PAGE.read_text("utf-8").split())
    ((word, names),) = re.findall(r"you meet (\w+) objects that do the work: (.*?)\. ", page)
    return word, set(re.findall(r"``([A-Z]\w+)``", names))


@pytest.mark.parametrize("has_store", [False, STORE])
def test_who_steps_through_a_purchase_meets_the_ten_objects_that_the_page_lists(has_store, connect, context, tmp_path):
    operator = MinimaxVideoGenerationOperator(
        task_id="generate",
        minimax_conn_id=connect(),
        model="MiniMax-Hailuo-2.3",
        prompt="a cat",
        output_path=str(tmp_path / "clip.mp4"),
        deferrable=True,
    )
    stores = {"task_state_store": FakeStore()} if has_store else {}
    with objects_met() as met, pytest.raises(TaskDeferred):
        operator.execute(context | stores)
    classes = ["PurchaseOperator" if one is operator else type(one).__name__ for one in met.values()]
    word, names = listed()
    assert sorted(classes) == sorted([*names, *(["StateStore"] if has_store else [])])
    assert (word, len(names)) == ("ten", 10)
