"""A whole Airflow of its own for :mod:`triggerer`: its settings, its processes, and the end of its tasks."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
from crowd_states import states
from lab import HERE

from airflow_provider_minimax.emulator import EmulatorClient

TASKS_PER_RUN = 100
Command = Callable[..., "psutil.Popen"]


def until(what: str, condition: Callable[[], Any], timeout: float = 120) -> Any:
    """Return the condition's first true value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:.0f} s: {what}")
        time.sleep(0.2)
    return value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment(folder: Path, port: int, count: int, arguments: dict[str, Any]) -> dict[str, str]:
    """Return the environment of an Airflow of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return inherited | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        # SQLite breaks under the default of 32 worker processes.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "4",
        # An API server that has just started, or a busy machine, answers later than the default of 5 s.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__TRIGGERER__CAPACITY": str(count),
        "CROWD_SIZE": str(min(count, TASKS_PER_RUN)),
        "CROWD_ARGUMENTS": json.dumps(arguments),
    }


@contextmanager
def commands(folder: Path, env: dict[str, str]) -> Iterator[Command]:
    """Start processes that log to files in a folder, and end them, and what they started, at the end."""
    started: list[psutil.Popen] = []

    def start(name: str, *command: Any) -> psutil.Popen:
        with (folder / f"{name}.log").open("wb") as log:
            process = psutil.Popen(list(map(str, command)), env=env, stdout=log, stderr=log)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in reversed(started):
            with suppress(psutil.NoSuchProcess):
                family = [process, *process.children(recursive=True)]
                process.terminate()
                _, left = psutil.wait_procs(family, timeout=10)
                for survivor in left:
                    survivor.kill()


def store_connection(platform: EmulatorClient) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session

    connection = platform.connection()
    # For this process, which is no task and may not ask the database.
    os.environ["AIRFLOW_CONN_MINIMAX_DEFAULT"] = json.dumps(connection)
    with create_session() as session:
        session.add(Connection("minimax_default", **connection | {"extra": json.dumps(connection["extra"])}))


def triggerer_is_alive() -> bool:
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        return bool(session.scalar(select(func.count(Job.id)).where(Job.job_type == "TriggererJob")))


def resume(start: Command, airflow: Path, port: int, count: int) -> dict[str, Any]:
    """Have a scheduler and workers finish the tasks."""
    started = time.monotonic()
    start("api-server", airflow, "api-server")

    def answers() -> bool:
        with suppress(OSError):
            return urlopen(f"http://127.0.0.1:{port}/execution/health", timeout=30).status == 200
        return False

    until("the API server answers", answers)
    start("scheduler", airflow, "scheduler", "--skip-serve-logs")
    with suppress(TimeoutError):
        until("the tasks are over", lambda: _over() == count, 120 + 3 * count)
    return {"resumed": states().get("success", 0), "resumed_in_s": round(time.monotonic() - started)}


def _over() -> int:
    seen = states()
    return seen.get("success", 0) + seen.get("failed", 0)
