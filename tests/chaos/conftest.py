"""One Airflow for all: it takes 20 s to start, and the runs do not disturb each other."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.lab import Errand, send_on_errand
from tests.chaos.vault import Vault
from tests.standalone.airflow_up import TRIGGERER, Airflow

DAGS = Path(__file__).parent / "dags"
SETTINGS = TRIGGERER | {
    # A worker that died is noticed within some 20 s instead of 5 minutes,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    # and so are the tasks of a scheduler that died. Much less, and a busy one takes itself for dead.
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
}
# Seconds, and far more than it takes.
SENT_WITHIN = 240
HELD_WITHIN = 300


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "errand(dag, dies, trouble, held, victim, **conf): the dag run of a test")


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line now, so that it is there even if the test never ends."""

    def now(line: str) -> None:
        with capfd.disabled():
            # What a process of pytest-xdist prints to its standard output is dropped.
            print(f"\n{line}", file=sys.stderr, flush=True)

    return now


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault(str(tmp_path_factory.mktemp("vault")))


@pytest.fixture(scope="package")
def airflow(tmp_path_factory: pytest.TempPathFactory, vault: Vault) -> Iterator[Airflow]:
    with Airflow(tmp_path_factory.mktemp("chaos"), DAGS, SETTINGS | vault.settings) as airflow:
        airflow.emulator.configure(seconds=8)
        vault.fill(airflow.emulator.connection())
        yield airflow


@pytest.fixture
def send(airflow: Airflow) -> Callable[..., Errand]:
    """Start a dag run in the middle of a test."""
    return lambda dag, **options: send_on_errand(airflow, dag, **options)


@pytest.fixture(scope="package")
def errands(request: pytest.FixtureRequest, airflow: Airflow) -> dict[str, Errand]:
    """The dag runs of all tests that are marked with one, started at once so that they share the wait."""
    marked = {item: marker for item in request.session.items if (marker := item.get_closest_marker("errand"))}
    dags = {marker.args[0] for marker in marked.values()}
    for dag in dags:
        airflow.pause(dag)
    started = {}
    began = time.monotonic()
    for item, marker in marked.items():
        started[item.nodeid] = _start(airflow, item, *marker.args, **marker.kwargs)
        assert time.monotonic() < began + SENT_WITHIN, f"{len(started)} of {len(marked)} were sent: {airflow.condition}"
    for dag in dags:
        airflow.pause(dag, is_paused=False)
    to_hold = [started[item.nodeid] for item, marker in marked.items() if marker.kwargs.get("held")]
    began = time.monotonic()
    # Each as soon as it is bought, because a clip that nobody holds back is ready after some seconds. What buys nothing
    # fails its own test.
    while to_hold and time.monotonic() < began + HELD_WITHIN:
        to_hold = [errand for errand in to_hold if not errand.hold_back()]
        time.sleep(0.3)
    return started


def _start(
    airflow: Airflow,
    item: Any,
    dag: str,
    *,
    dies: list[str] | dict[str, list[str]] | None = None,
    trouble: list[dict[str, Any]] | None = None,
    held: bool = False,
    victim: str = "task",
    **conf: Any,
) -> Errand:
    victim = item.callspec.params["victim"] if hasattr(item, "callspec") else victim
    points = dies if isinstance(dies, dict) else {"generate": dies or []}
    plan = {task: [(point, victim) for point in deaths] for task, deaths in points.items()}
    return send_on_errand(airflow, dag, plan=plan, trouble=trouble, **conf)


@pytest.fixture
def victim() -> str:
    """Who dies: only the task's process, or its worker too."""
    return "task"


@pytest.fixture
def errand(request: pytest.FixtureRequest, errands: dict[str, Errand], victim: str) -> Errand:
    """The dag run of this test."""
    return errands[request.node.nodeid]
