"""
A world in which the real operator runs, and dies wherever a test wants.

Platform and file host are replaced, and so is what only a running Airflow has; receipts and clips are on a real disk.
Every time the operator touches the outside is one step, before and after it, and each step may be its last. A death is
an exception that nothing catches, which is what SIGKILL is to the code that it meets.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred

import airflow_provider_minimax.triggers.video  # noqa: F401 - so that it has the real hook when the fake one is in place
from airflow_provider_minimax.api.catalogue import api_of
from airflow_provider_minimax.api.files.client import FileStream
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskPage, TaskState, VideoFile, VideoTask
from airflow_provider_minimax.delivery.destination import LocalDestination
from airflow_provider_minimax.exceptions import MinimaxSubmissionUnknownError
from airflow_provider_minimax.hooks import minimax
from airflow_provider_minimax.jobs import generate as generating
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.options import DeliveryOptions, PurchaseOptions, WaitOptions
from airflow_provider_minimax.polling.poller import terminal_outcome
from airflow_provider_minimax.purchases import ledger
from airflow_provider_minimax.purchases import matching as adoption
from airflow_provider_minimax.purchases.stores import SidecarStore, StateStore
from airflow_provider_minimax.triggers.turn import MinimaxTurnTrigger
from tests.fakes import FakeStore, FakeTaskInstance

SILENT = logging.getLogger("silent")
SILENT.disabled = True


class Death(BaseException):
    """The end of a process."""


def clip_of(minimax_task_id: str) -> bytes:
    return box(b"ftyp", b"isom") + box(b"mdat", minimax_task_id.encode() * 10)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


@dataclass
class World:
    """What outlives a process: the platform, the disk, Airflow's store; and how the next process will end."""

    folder: Path
    has_store: bool
    options: dict[str, Any]
    purchases: list[str] = field(default_factory=list)
    refusals: list[Exception] = field(default_factory=list)
    rate_limit_per_minute: int | None = None
    turns: int = 0
    lost: list[bool] = field(default_factory=list)
    """Of which submissions the answer is lost, and whether they bought something."""
    code: str | None = None
    by_hook: bool = False
    """Whether a ``@task`` buys through ``MinimaxHook.generate``, and no operator."""
    store: FakeStore = field(default_factory=FakeStore)
    max_tries: int = 3
    tries: int = 0
    dies_at: int | None = None
    steps: int = 0
    last: str = ""

    @property
    def output(self) -> Path:
        return self.folder / "clip.mp4"

    def step(self, name: str) -> None:
        self.steps += 1
        self.last = name
        if self.steps == self.dies_at:
            raise Death(name)

    def submit(self) -> str:
        self.step("before the submission")
        if self.refusals:
            raise self.refusals.pop(0)
        is_lost, is_sold = (True, self.lost.pop(0)) if self.lost else (False, True)
        if is_sold:
            self.purchases.append(f"T{len(self.purchases) + 1}")
        self.step("after the submission")
        if is_lost:
            raise MinimaxSubmissionUnknownError("no answer", billing="It may have been bought.")
        return self.purchases[-1]

    def poll(self, minimax_task_id: str) -> VideoTask:
        self.step("a poll")
        assert minimax_task_id in self.purchases
        if self.code is not None:
            return VideoTask(minimax_task_id, TaskState.FAILED, "Fail", code=self.code)
        return VideoTask(minimax_task_id, TaskState.SUCCEEDED, "Success", file_id=f"F-{minimax_task_id}")

    def listed(self) -> TaskPage:
        self.step("the list")
        when = datetime.now(UTC)
        tasks = [VideoTask(task, TaskState.RUNNING, "running", created_at=when) for task in self.purchases]
        return TaskPage(tuple(tasks), len(tasks))

    def chunks(self, minimax_task_id: str, first: int) -> Iterator[bytes]:
        content = clip_of(minimax_task_id)
        for start in range(first, len(content), 15):
            self.step("a piece of the clip")
            yield content[start : start + 15]

    def run_try(self, dies_at: int | None = None) -> Any:
        """Run the task once, through its deferrals; return its result, or the exception that ended it."""
        self.tries, self.dies_at, self.steps = self.tries + 1, dies_at, 0
        ti = FakeTaskInstance(max_tries=self.max_tries, try_number=self.tries)
        push = ti.xcom_push
        ti.xcom_push = lambda key, value: (self.step("XCom"), push(key, value))  # type: ignore[method-assign]
        dag = SimpleNamespace(task_dict={})
        context: Any = {"ti": ti, "dag": dag} | ({"task_state_store": self.store} if self.has_store else {})
        first = self._generate if self.by_hook else self._operator().execute
        goes_on: Callable[[], Any] = partial(first, context)
        try:
            while True:
                try:
                    return goes_on()
                except TaskDeferred as deferral:
                    self.step("deferred")
                    kwargs = {"event": self._event(deferral.trigger)}
                    goes_on = partial(self._operator().resume_execution, deferral.method_name, kwargs, context)
        except (Exception, Death) as error:
            return error

    def _event(self, trigger: Any) -> dict[str, Any]:
        if isinstance(trigger, MinimaxTurnTrigger):
            self.turns += 1
            return {"asked_at": trigger.asked_at, "refusals": trigger.refusals, "error": None}
        seen = terminal_outcome(self.poll(trigger.minimax_task_id))
        assert seen is not None
        return seen.as_event()

    def download(self, dies_at: int | None = None) -> Any:
        """Run the task that fetches what another one submitted; return its result, or the exception that ended it."""
        self.dies_at, self.steps = dies_at, 0
        operator = MinimaxVideoDownloadOperator(
            task_id="download", minimax_task_id=self.purchases[-1], output_path=str(self.output)
        )
        try:
            return operator.execute({"ti": FakeTaskInstance()})
        except (Exception, Death) as error:
            return error

    def run(self, *deaths: int) -> Any:
        """Run the task as Airflow does: again after each death and each failure that a retry may help."""
        end = None
        for dies_at in (*deaths, None, None):
            end = self.run_try(dies_at)
            if not isinstance(end, BaseException) or is_final(end):
                return end
        return end

    def _generate(self, context: Any) -> Any:
        options = {"model": "MiniMax-Hailuo-2.3"} | self.options
        hook, request = minimax.MinimaxHook("c"), VideoRequest(model=options.pop("model"), prompt="a cat")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(generating, "current_context", lambda: context)
            return generating.generate(
                hook,
                request,
                purchase=PurchaseOptions(**_chosen(PurchaseOptions, options | {"validate": False})),
                wait=WaitOptions(**_chosen(WaitOptions, options)),
                delivery=DeliveryOptions(**_chosen(DeliveryOptions, options)),
            )

    def _operator(self) -> MinimaxVideoGenerationOperator:
        return MinimaxVideoGenerationOperator(
            task_id="generate", prompt="a cat", validate=False, **{"model": "MiniMax-Hailuo-2.3"} | self.options
        )

    @property
    def delivered(self) -> str | None:
        """The remote task whose clip is at the output's place."""
        if not self.output.exists():
            return None
        return next(task for task in self.purchases if self.output.read_bytes() == clip_of(task))

    @property
    def knows(self) -> bool:
        """Whether the answer to the last submission, if there was one, is written down anywhere."""
        homes: list[Any] = [SidecarStore(str(self.output))] if "output_path" in self.options else []
        homes += [StateStore(self.store, str(self.output) if self.by_hook else None)] if self.has_store else []
        found = ledger.Ledger(homes, log=SILENT).read()
        return found is None or found.phase != "intent"


def _chosen(kind: type, options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in kind.__slots__}  # type: ignore[attr-defined]


def is_final(end: BaseException) -> bool:
    return isinstance(end, AirflowFailException | AirflowSensorTimeout)


def stopped_and_said_so(end: Any) -> bool:
    return isinstance(end, MinimaxSubmissionUnknownError) and "may have been bought" in str(end)


@pytest.fixture
def new_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """Make worlds, one at a time."""
    current: list[World] = []
    numbers = count()

    class Hook:
        log = SILENT

        def __init__(self, minimax_conn_id: str) -> None:
            self.minimax_conn_id = minimax_conn_id
            self.world = current[0]

        def prepare(self, request: Any, *, validate: bool) -> Any:
            return request

        def list_price(self, request: Any) -> None:
            """No price is known."""

        def account(self) -> dict[str, str]:
            return {"platform": "minimax", "base_url": "https://api.example", "minimax_conn_id": "c"}

        def api_version(self, model: str) -> str:
            return api_of(model)

        def has_list(self, api_version: str) -> bool:
            return api_version == "v2"

        def can_cancel(self, api_version: str) -> bool:
            return api_version == "v2"

        def list_tasks(self, *, model: str, page: int, page_size: int, task_type: str) -> TaskPage:
            return self.world.listed()

        def rate_limit_per_minute(self) -> int | None:
            return self.world.rate_limit_per_minute

        def upload_files(self, request: Any) -> Any:
            self.world.step("the uploads")
            return request

        def submit(self, request: Any, *, validate: bool, after_refusals: bool) -> str:
            return self.world.submit()

        def get_task(
            self, minimax_task_id: str, *, api_version: str, retries: int | None = None, within: Any = None
        ) -> VideoTask:
            return self.world.poll(minimax_task_id)

        def get_file(self, task: VideoTask) -> VideoFile:
            return VideoFile(task.minimax_task_id)

        def get_conn(self) -> Hook:
            return self

        @contextmanager
        def fetch(self, url: str, *, start: int, version: str | None, ends_at: float) -> Iterator[FileStream]:
            first = start if version == f'"{url}"' else 0
            chunks = self.world.chunks(url, first)
            yield FileStream("video/mp4", first, len(clip_of(url)), f'"{url}"', chunks, received=lambda: 0)

        def close(self) -> None:
            """Nothing to close."""

    def stepping(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            current[0].step(f"before {name}")
            result = function(*args, **kwargs)
            current[0].step(f"after {name}")
            return result

        return call

    monkeypatch.setattr("airflow_provider_minimax.hooks.minimax.MinimaxHook", Hook)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(ledger, "SETTLING_TIME", 0.0)
    for name in ("OTHERS_WRITE_WITHIN", "LISTED_WITHIN"):
        monkeypatch.setattr(adoption, name, timedelta(0))
    monkeypatch.setattr(LocalDestination, "put", stepping(LocalDestination.put, "the naming"))
    for home in (SidecarStore, StateStore):
        for name in ("create", "write", "erase"):
            monkeypatch.setattr(home, name, stepping(getattr(home, name), f"{home.__name__}.{name}"))
    for operator in (MinimaxVideoGenerationOperator, MinimaxVideoDownloadOperator):
        monkeypatch.setattr(operator, "log", SILENT)

    def make(
        has_store: bool = False, rate_limit_per_minute: int | None = None, by_hook: bool = False, **options: Any
    ) -> World:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        if options.pop("output", True):
            options["output_path"] = str(folder / "clip.mp4")
        options = {"poll_interval": 0.001, **options}
        current[:] = [World(folder, has_store, options, rate_limit_per_minute=rate_limit_per_minute, by_hook=by_hook)]
        return current[0]

    return make
