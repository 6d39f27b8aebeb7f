"""Real Airflow and the emulator, as ``make up`` starts them, on free ports; and what a person does to them."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from airflow_provider_minimax.emulator import EmulatorClient

HERE = Path(__file__).parent
UP = HERE.parent.parent / "scripts" / "up.py"
TRIGGERER = {"JOB_HEARTBEAT_SEC": "1", "TRIGGERER_HEALTH_CHECK_THRESHOLD": "8"}


def until(what: str, condition: Callable[[], Any], patience: float = 90) -> Any:
    """Return the condition's first true value."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        time.sleep(0.3)
    return value


def up(folder: Path, port: int, emulator_port: int, output: Any) -> subprocess.Popen[bytes]:
    # The settings of the other tests' Airflow are not for this one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    settings = {
        "UP_FOLDER": str(folder),
        "DAGS_FOLDER": str(HERE / "dags"),
        "PORT": str(port),
        "EMULATOR_PORT": str(emulator_port),
        **{f"AIRFLOW__TRIGGERER__{name}": value for name, value in TRIGGERER.items()},
    }
    return subprocess.Popen(
        [sys.executable, UP], env=inherited | settings, cwd=folder, stdout=output, stderr=subprocess.STDOUT
    )


def free_ports(count: int) -> int:
    """Return the first of some ports in a row that nobody listens on."""
    for first in random.sample(range(20000, 30000), 100):
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
    raise OSError("no free ports")


def living(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class Airflow:
    """Airflow while a ``with`` block lasts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(5)
        self.emulator = EmulatorClient(f"http://127.0.0.1:{self.port + 4}")
        self._sessions: list[int] = []
        self._count = count()

    def __enter__(self) -> Self:
        output = self.folder / "up.log"
        with output.open("wb") as file:
            self._up = up(self.folder, self.port, self.port + 4, file)
        try:
            until("Airflow is up", lambda: "Ctrl-C" in output.read_text() or self._up.poll() is not None, 150)
            assert self._up.poll() is None, output.read_text()
            (self._standalone,) = psutil.Process(self._up.pid).children()
            self._sessions.append(self._standalone.pid)
            self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
            token = self.api.get("/auth/token").raise_for_status().json()["access_token"]
            self.api.headers["Authorization"] = f"Bearer {token}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.interrupt()
        finally:
            self._up.kill()
            for session in self._sessions:
                for process in living(session):
                    process.kill()

    def interrupt(self) -> int:
        """Do what Ctrl-C does, and return the exit code."""
        self._up.send_signal(signal.SIGINT)
        return self._up.wait(40)

    @property
    def processes(self) -> list[psutil.Process]:
        """All processes of Airflow, without those that the test started by itself."""
        return living(self._standalone.pid)

    def kill_triggerer(self) -> None:
        """Kill the triggerer, its runner and its log server at once, without a chance to say goodbye."""
        (triggerer,) = (child for child in self._standalone.children() if "triggerer" in child.cmdline())
        for process in (triggerer, *triggerer.children(recursive=True)):
            process.kill()

    def start_triggerer(self) -> None:
        with (self.folder / "triggerer.log").open("wb") as log:
            command = [*self._standalone.cmdline()[:-1], "triggerer"]
            started = subprocess.Popen(
                command, env=self._standalone.environ(), stdout=log, stderr=log, start_new_session=True
            )
        self._sessions.append(started.pid)

    def trigger(self, dag_id: str) -> Run:
        until(f"{dag_id} is parsed", lambda: self.api.get(f"/api/v2/dags/{dag_id}").is_success)
        folder = self.folder / "clips" / str(next(self._count))
        body = {"conf": {"folder": str(folder)}, "logical_date": None}
        answer = self.api.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body).raise_for_status().json()
        return Run(self.api, folder, f"/api/v2/dags/{dag_id}/dagRuns/{answer['dag_run_id']}")


@dataclass(frozen=True)
class Run:
    """One run of a DAG, and the folder for its clip."""

    api: httpx.Client
    folder: Path
    path: str

    def _get(self, path: str = "") -> Any:
        return self.api.get(f"{self.path}{path}").raise_for_status().json()

    @property
    def state(self) -> str:
        return self._get()["state"]

    @property
    def is_over(self) -> bool:
        return self.state in ("success", "failed")

    @property
    def tasks(self) -> dict[str, Any]:
        return {task["task_id"]: task for task in self._get("/taskInstances")["task_instances"]}

    def xcoms(self, task: str) -> dict[str, Any]:
        path = f"/taskInstances/{task}/xcomEntries"
        keys = [entry["key"] for entry in self._get(path)["xcom_entries"]]
        return {key: self._get(f"{path}/{key}")["value"] for key in keys}

    def log(self, task: str) -> str:
        """Return what the UI shows as the log of a task's last try."""
        return self.api.get(f"{self.path}/taskInstances/{task}/logs/{self.tasks[task]['try_number']}").text

    def mark_failed(self, task: str) -> None:
        self.api.patch(f"{self.path}/taskInstances/{task}", json={"new_state": "failed"}).raise_for_status()
