"""What all tests share: an Airflow home of their own, and the emulator that users get."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from tests.fakes import FakeSupervisor

HERE = Path(__file__).parent
PREVIOUS = "bacebc3"
"""The commit of the previous release."""
EXAMPLE_DAGS = HERE.parent / "example_dags"
HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))
DAGS = HOME / "dags"
# Airflow reads its settings when it is first imported, so set them before any test module is.
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
)
DAGS.mkdir()
for folder in (HERE / "dag_files", EXAMPLE_DAGS):
    for path in folder.glob("*.py"):
        shutil.copy(path, DAGS)
HAS_APPROVALS = not version("apache-airflow").startswith("3.0.")
ASK_A_PERSON = ("minimax_approval", "minimax_product_clips")
"""The examples that wait for a person's answer."""
if not HAS_APPROVALS:
    for name in ASK_A_PERSON:
        (DAGS / f"{name}.py").unlink()

pytest_plugins = ["airflow_provider_minimax.emulator.fixtures", "tests.distributed", "tests.object_storage"]

# A test waits for a third of its time: for clips, for other processes, for the disk.
WORKERS_PER_CORE = 1.5
REPORT = "report"

PLATFORMS = ["minimax", "bltcy", "chainhub", "vtrix", "novita", "ai302"]


# The tests that share a whole Airflow, which takes half a minute to start; the groups that take longest begin first.
AIRFLOWS = (
    "callbacks_pace",
    "callbacks",
    "crowds",
    "chaos",
    "rate limits",
    "standalone",
    "schedules",
    "api server",
    "production",
)
# These take long, and most of it is waiting: the pages are built, an API server is made that some tests share, and on
# some versions one Airflow is started.
LONG = ("docs", "approval", "whole way")
ORDER = (*LONG, None, *AIRFLOWS)
LONGEST_ID = 64


def pytest_xdist_auto_num_workers() -> int:
    return max(2, int(WORKERS_PER_CORE * (os.cpu_count() or 1)))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a test by the beginning of what it is given, which for some is a film of 50 MB."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        return f"{val[:LONGEST_ID]!a}..."
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the end what starts a whole Airflow: it is slow, and would disturb tests that measure time."""
    for item in items:
        starts_airflow = {"airflow", "running"} & set(item.fixturenames)
        if group_of(item) not in ((*LONG, *AIRFLOWS) if starts_airflow else ORDER):
            raise pytest.UsageError(f"{item.nodeid}: name its xdist_group, and in tests/conftest.py when that begins")
    items.sort(key=lambda item: ORDER.index(group_of(item)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail if pytest-xdist takes no notice of a group: each of its processes would start every Airflow."""
    group = group_of(item)
    # With --dist loadgroup, pytest-xdist sets this in its processes.
    is_grouped = getattr(item.config.option, "loadgroup", False)
    if group and is_grouped and not item.nodeid.endswith(f"@{group}"):
        pytest.fail(f"pytest-xdist takes no notice of the group {group!r}", pytrace=False)


def group_of(item: pytest.Item) -> str | None:
    """Return whose process a test shares; like pytest-xdist, join what the module and the test say."""
    return "_".join(sorted({marker.args[0] for marker in item.iter_markers("xdist_group")})) or None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for ended in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in ended.user_properties:
            if name == REPORT:
                terminalreporter.write_line(str(value))


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a line at the end of pytest's output."""
    return lambda line: record_property(REPORT, line)


def load_file(path: Path) -> dict[str, Any]:
    """Return the DAGs of a file, by their ids."""
    from airflow.sdk import DAG

    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {dag.dag_id: dag for dag in vars(module).values() if isinstance(dag, DAG)} | getattr(module, "dags", {})


def load_dags(name: str) -> dict[str, Any]:
    """Return the DAGs of a file in Airflow's DAG folder, where ``dag.test()`` expects them."""
    return load_file(DAGS / f"{name}.py")


@pytest.fixture
def dags_folder() -> Iterator[Path]:
    """Airflow's DAG folder, which is as it was when the test is over: another one reads all of its files."""
    before = set(DAGS.iterdir())
    yield DAGS
    for path in DAGS.iterdir():
        if path not in before and path.is_file():
            path.unlink()


@pytest.fixture(autouse=True)
def no_handover(monkeypatch):
    """Let triggers end at once: no executor of a whole Airflow has to hear of it."""
    from airflow_provider_minimax.polling import handover

    monkeypatch.setattr(handover, "SECONDS", 0.0)


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    """Repeat failed requests at once: the emulator needs no rest."""
    from airflow_provider_minimax.api.http import exchange
    from airflow_provider_minimax.delivery import download

    monkeypatch.setattr(exchange, "backoff", lambda state: 0.0)
    monkeypatch.setattr(download, "_backoff", lambda state: 0.0)


@pytest.fixture
def connect(minimax_emulator, monkeypatch):
    """Point a connection at one of the emulator's platforms."""

    def point(platform: str = "minimax", conn_id: str = "minimax_default", **changes: Any) -> str:
        connection = minimax_emulator.connection(platform)
        connection["extra"] = connection["extra"] | changes.pop("extra", {})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection | changes))
        return conn_id

    return point


@pytest.fixture
def hook(connect) -> Iterator[MinimaxHook]:
    """A hook for an account at MiniMax, closed after the test."""
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    with closing(MinimaxHook(connect())) as hook:
        yield hook


@pytest.fixture
def context() -> dict[str, Any]:
    """What a task is executed with, as far as operators and sensors use it."""
    from tests.fakes import FakeTaskInstance

    return {"ti": FakeTaskInstance()}


@pytest.fixture(params=["aiohttp", "httpx"])
def polls_over(request, monkeypatch) -> str:
    """Run a test once with aiohttp installed, as it is here, and once without it."""
    if request.param == "httpx":
        monkeypatch.setitem(sys.modules, "airflow_provider_minimax.api.http.aiohttp_client", None)
    return request.param


def _formatted(args: tuple[Any, ...]) -> str:
    template, *values = args[1:] if isinstance(args[0], int) else args
    return template % tuple(values)


@pytest.fixture
def log_of(mocker):
    """Record what a class of operators or triggers logs: Airflow's own loggers do not reach pytest's capture."""

    def record(cls: type) -> Any:
        log = mocker.patch.object(cls, "log", new_callable=mocker.PropertyMock).return_value
        log.said = lambda: "\n".join(_formatted(args) for _, args, _ in log.mock_calls if args)
        return log

    return record


@pytest.fixture
def supervisor(monkeypatch) -> FakeSupervisor:
    """Answer a trigger that asks Airflow about its task, which only a triggerer could."""
    from airflow.sdk.execution_time import task_runner
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_minimax.triggers import killed
    from tests.fakes import FakeSupervisor

    if not hasattr(BaseTrigger, "on_kill"):
        pytest.skip("Airflow notifies triggers of a kill since 3.3")
    fake = FakeSupervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
    monkeypatch.setattr(killed, "_ASK_FOR", 0.5)
    monkeypatch.setattr(killed, "_ASK_EVERY", 0.05)
    return fake


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Make Airflow's database, for tests that run whole DAGs."""
    from airflow.utils.db import initdb

    initdb()
    share_execution_api()


def share_execution_api() -> None:
    """
    Let all runs of ``dag.test()`` in this process use one execution API, as Airflow does from 3.3 on.

    Before, it builds another one for every task, which takes more than two seconds of CPU.
    """
    from airflow.api_fastapi.common.dagbag import dag_bag_from_app
    from airflow.sdk.execution_time import supervisor

    if hasattr(supervisor.in_process_api_server, "cache_clear"):
        return
    only_one = functools.cache(supervisor.in_process_api_server)

    def without_the_last_dag() -> Any:
        api = only_one()
        api.app.dependency_overrides.pop(dag_bag_from_app, None)
        return api

    supervisor.in_process_api_server = without_the_last_dag


@pytest.fixture(scope="session")
def previous_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The previous release's package, from git."""
    folder = tmp_path_factory.mktemp("previous")
    archive = ["git", "-C", str(HERE.parent), "archive", PREVIOUS, "airflow_provider_minimax"]
    packed = subprocess.run(archive, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(
            "UPGRADES ARE NOT TESTED: this needs a git clone with its whole history (git fetch --unshallow), which has "
            f"commit {PREVIOUS}: {packed.stderr.decode().strip()}"
        )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder
