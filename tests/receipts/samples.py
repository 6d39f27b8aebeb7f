"""Receipts to test with, and a home in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from airflow_provider_minimax.api.request import PaidRequest, VideoRequest
from airflow_provider_minimax.exceptions import MinimaxTaskFailedError
from airflow_provider_minimax.purchases.receipt import Owner, Phase, Receipt
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.spec import PurchaseSpec

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
ME = Owner(dag_id="dag", run_id="today", task_id="generate")
OTHER = Owner(dag_id="dag", run_id="yesterday", task_id="generate", map_index=3)
SHA = "a" * 64
REQUEST = VideoRequest(model="MiniMax-Hailuo-2.3", prompt="a cat")


class FakeOutput:
    """The file that a clip is to become: always the same, and only asked for a hash that is expected."""

    def __init__(
        self, state: OutputState = OutputState.MISSING, expected: tuple[str | None, ...] | None = None
    ) -> None:
        self.state = state
        self.expected = expected

    def output_state(self, sha256: str | None) -> OutputState:
        assert self.expected is None or sha256 in self.expected
        return self.state if sha256 or self.state is OutputState.MISSING else OutputState.DIFFERS


class FakeHook:
    """A way to a platform that only takes purchases."""

    minimax_conn_id = "minimax_default"

    def __init__(self, submit: Callable[[], str]) -> None:
        self._submit = submit

    def upload_files(self, request: PaidRequest) -> PaidRequest:
        return request

    def submit(self, request: PaidRequest, *, validate: bool, after_refusals: bool) -> str:
        return self._submit()


def order(**changes: Any) -> PurchaseSpec:
    values: dict[str, Any] = {
        "fingerprint": "f1",
        "asked": "a1",
        "platform": "minimax",
        "minimax_conn_id": "minimax_default",
        "model": "MiniMax-Hailuo-2.3",
        "owner": ME,
        "max_tries": 3,
        "try_number": 1,
        "output_path": "/clips/a.mp4",
    }
    return PurchaseSpec(**values | changes)


def intent(**changes: Any) -> Receipt:
    known = order().intent(NOW, submissions=1, replaced=())
    return known.model_copy(update=changes)


def submitted(**changes: Any) -> Receipt:
    return intent().submitted("T1", NOW).model_copy(update=changes)


def failed(code: str | None, **changes: Any) -> Receipt:
    error = MinimaxTaskFailedError("the remote task failed", code=code, minimax_task_id="T1")
    return submitted(**changes).failed(error)


def delivered(**changes: Any) -> Receipt:
    receipt = submitted(facts={"task_id": "T1"}).fetched("/clips/a.mp4", SHA, 5).delivered(NOW)
    return receipt.model_copy(update=changes)


class MemoryHome:
    """A home that any number of ledgers share; each step may be watched, and may be the last."""

    where = "in memory"
    create_may_race = False
    write_may_race = True

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.step = lambda name: None

    def read(self) -> Receipt | None:
        from airflow_provider_minimax.purchases.receipt import read_receipt

        self.step("read")
        return None if self.content is None else read_receipt(self.content, self.where)

    def create(self, receipt: Receipt) -> bool:
        self.step("create")
        if self.content is not None:
            return False
        self.content = receipt.as_json()
        return True

    def write(self, receipt: Receipt) -> None:
        self.step("write")
        self.content = receipt.as_json()

    def erase(self) -> None:
        self.step("erase")
        self.content = None


PHASES = [Phase.INTENT, Phase.SUBMITTED, Phase.FAILED, Phase.DELIVERED]
