"""Real Airflow and the emulator, as ``make up`` starts them, on free ports; and what a person does to them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from airflow_provider_minimax.emulator import EmulatorClient

HERE = Path(__file__).parent
UP = HERE.parent.parent / "scripts" / "up.py"
# No code of the provider runs in these. On SQLite they die of a database that another process has locked for long.
KEPT_ALIVE = ("scheduler", "dag-processor")
# A triggerer that died is noticed within 8 s instead of 30.
TRIGGERER = {"TRIGGERER__JOB_HEARTBEAT_SEC": "1", "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8"}

_waited_in_vain = False


def until(what: str, condition: Callable[[], Any], timeout: float = 90) -> Any:
    """
    Return the condition's first true value.

    Where a test waited in vain, Airflow may be at an end, and the others wait a sixth of the time: all are to end.
    """
    global _waited_in_vain
    timeout = timeout / 6 if _waited_in_vain else timeout
    deadline = time.monotonic() + timeout
    while True:
        # While many workers start, a busy machine's servers may take longer than a client waits.
        with suppress(httpx.TransportError, TimeoutError):
            if value := condition():
                return value
        if time.monotonic() > deadline:
            _waited_in_vain = True
            raise AssertionError(f"not within {timeout:.0f} s: {what}")
        time.sleep(0.3)


def up(
    folder: Path,
    port: int,
    emulator_port: int,
    output: Any,
    dags: Path = HERE / "dags",
    changes: Mapping[str, str] = TRIGGERER,
) -> subprocess.Popen[bytes]:
    # The settings of the other tests' Airflow are not for this one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    settings = {
        "UP_FOLDER": str(folder),
        "DAGS_FOLDER": str(dags),
        "PORT": str(port),
        "EMULATOR_PORT": str(emulator_port),
        # For what Airflow's settings name of the tests.
        "PYTHONPATH": str(UP.parent.parent),
        **{f"AIRFLOW__{name}": value for name, value in changes.items()},
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


def _title(process: psutil.Process) -> str:
    """Return what a process calls itself; nothing of one that is dead."""
    try:
        return " ".join(process.cmdline()).replace("api_server", "api-server")
    except psutil.NoSuchProcess:
        return ""


class Airflow:
    """
    Airflow while a ``with`` block lasts. A scheduler or DAG processor that dies by itself is started again.

    :param folder: where all of its files go.
    :param dags: the folder with its DAGs.
    :param changes: its settings, as ``SECTION__NAME``.
    """

    def __init__(self, folder: Path, dags: Path = HERE / "dags", changes: Mapping[str, str] = TRIGGERER) -> None:
        self.folder = folder
        self._dags = dags
        self._changes = changes
        self.port = free_ports(5)
        self.emulator = EmulatorClient(f"http://127.0.0.1:{self.port + 4}")
        self._sessions: list[int] = []
        self._started: list[psutil.Process] = []
        self._count = count()
        self._killed: set[str] = set()
        self._ends = threading.Event()
        self._keeper = threading.Thread(target=self._keep_alive, daemon=True)
        self.died_by_themselves: Counter[str] = Counter()

    def __enter__(self) -> Self:
        global _waited_in_vain
        _waited_in_vain = False
        output = self.folder / "up.log"
        with output.open("wb") as file:
            self._up = up(self.folder, self.port, self.port + 4, file, self._dags, self._changes)
        try:
            until("Airflow is up", lambda: "Ctrl-C" in output.read_text() or self._up.poll() is not None, 330)
            assert self._up.poll() is None, output.read_text()
            (self._standalone,) = psutil.Process(self._up.pid).children()
            self._sessions.append(self._standalone.pid)
            self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
            token = self.api.get("/auth/token").raise_for_status().json()["access_token"]
            self.api.headers["Authorization"] = f"Bearer {token}"
            self._keeper.start()
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
        self._ends.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self._up.send_signal(signal.SIGINT)
        return self._up.wait(40)

    def _keep_alive(self) -> None:
        """Do what a service manager does; twice in a row, because a process that was just started has no name yet."""
        missing: set[str] = set()
        while not self._ends.wait(2):
            with suppress(psutil.NoSuchProcess):
                gone = {name for name in KEPT_ALIVE if name not in self._killed and not self.alive(name)}
                for name in gone & missing:
                    self.start(name)
                    self.died_by_themselves[name] += 1
                missing = gone

    @property
    def processes(self) -> list[psutil.Process]:
        """All processes of Airflow, without those that the test started by itself."""
        return living(self._standalone.pid)

    def oldest(self, component: str) -> list[psutil.Process]:
        """Return the oldest process of a component, then all below it."""
        found = self.alive(component)
        assert found, f"no {component} is alive; what they logged is in {self.folder}"
        return [found[0], *found[0].children(recursive=True)]

    def alive(self, component: str) -> list[psutil.Process]:
        """Return the processes of a component, without those below them, the oldest first."""
        candidates = (*self._standalone.children(), *self._started)
        return [process for process in candidates if f"airflow {component}" in _title(process)]

    def kill(self, component: str) -> None:
        """Kill the oldest process of a component with all below it, at once and without a chance to say goodbye."""
        self._killed.add(component)
        for process in self.oldest(component):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    @contextmanager
    def standing_still(self, component: str) -> Iterator[None]:
        """Stop the oldest process of a component with all below it, as a paused machine does, and let it go on."""
        processes = self.oldest(component)
        try:
            for process in processes:
                process.suspend()
            yield
        finally:
            for process in processes:
                process.resume()

    def start(self, component: str) -> psutil.Process:
        """Start one more process of a component."""
        with (self.folder / f"{component}-{len(self._started)}.log").open("wb") as log:
            command = [*self._standalone.cmdline()[:-1], component]
            if component in ("scheduler", "triggerer"):
                # The first one's port for logs may be in use.
                command.append("--skip-serve-logs")
            started = subprocess.Popen(
                command, env=self._standalone.environ(), stdout=log, stderr=log, start_new_session=True
            )
        self._started.append(psutil.Process(started.pid))
        self._sessions.append(started.pid)
        self._killed.discard(component)
        return self._started[-1]

    @property
    def condition(self) -> str:
        """What is known of it when a test waited in vain."""
        components = ("scheduler", "dag-processor", "triggerer", "api-server")
        alive = {name: [process.status() for process in self.alive(name)] for name in components}
        log = (self.folder / "airflow.log").read_text(errors="replace")
        errors = Counter(re.findall(r"\w+Error\b[^\n]{0,60}", log)).most_common(5)
        return f"alive: {alive}; died by themselves: {dict(self.died_by_themselves)}; answers: {self.answers}; {errors}"

    @property
    def answers(self) -> bool:
        """Whether the API server does."""
        with suppress(httpx.TransportError):
            return self.api.get("/api/v2/monitor/health").is_success
        return False

    def count(self, kind: str) -> int:
        """Return how many jobs of a kind, such as ``TriggererJob``, are alive."""
        alive = self.api.get("/api/v2/jobs", params={"job_type": kind, "is_alive": True}).raise_for_status().json()
        return len(alive["jobs"])

    def count_unfinished(self, dag_ids: list[str]) -> int:
        """Return how many runs of these DAGs are not over."""
        what = {"dag_ids": dag_ids, "states": ["queued", "running"], "page_limit": 1}
        found = self.api.post("/api/v2/dags/~/dagRuns/list", json=what).raise_for_status().json()
        return found["total_entries"]

    def add_connection(self, conn_id: str, connection: Mapping[str, Any]) -> None:
        body = {**connection, "connection_id": conn_id, "extra": json.dumps(connection["extra"])}
        write(self.api, "POST", "/api/v2/connections", body)

    def change_connection(self, conn_id: str, **fields: Any) -> None:
        body = {"connection_id": conn_id, "conn_type": "minimax", **fields}
        mask = "&".join(f"update_mask={name}" for name in fields)
        write(self.api, "PATCH", f"/api/v2/connections/{conn_id}?{mask}", body)

    def pause(self, dag_id: str, *, is_paused: bool = True) -> None:
        """Keep the runs of a DAG from being started, or let them start."""
        until(f"{dag_id} is parsed", lambda: self.api.get(f"/api/v2/dags/{dag_id}").is_success)
        write(self.api, "PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": is_paused})

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        until(f"{dag_id} is parsed", lambda: self.api.get(f"/api/v2/dags/{dag_id}").is_success)
        name = str(next(self._count))
        folder = self.folder / "clips" / name
        body = {"conf": {"folder": str(folder), **conf}, "logical_date": None, "dag_run_id": f"run-{name}"}
        write(self.api, "POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        return Run(self.api, folder, f"/api/v2/dags/{dag_id}/dagRuns/run-{name}")


def write(api: httpx.Client, method: str, path: str, body: Any) -> None:
    """
    Have the API server change something.

    On SQLite it may get in its own way: it notes who did what on the event loop, which another request may need in
    order to let go of the database. Such a request is answered with 500 after some seconds, and may be repeated.
    """

    def is_done() -> bool:
        answer = api.request(method, path, json=body)
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            return False
        if not (method == "POST" and answer.status_code == httpx.codes.CONFLICT):
            answer.raise_for_status()
        return True

    until(f"{method} {path}", is_done)


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

    def count(self, *states: str) -> int:
        """Return how many of its tasks are in any of these states."""
        answer = self.api.get(f"{self.path}/taskInstances", params={"state": states, "limit": 1})
        return answer.raise_for_status().json()["total_entries"]

    def xcoms(self, task: str) -> dict[str, Any]:
        path = f"/taskInstances/{task}/xcomEntries"
        keys = [entry["key"] for entry in self._get(path)["xcom_entries"]]
        return {key: self._get(f"{path}/{key}")["value"] for key in keys}

    def log(self, task: str, try_number: int | None = None) -> str:
        """Return what the UI shows as the log of a try of a task, the last one if none is given."""
        number = self.tasks[task]["try_number"] if try_number is None else try_number
        return self.api.get(f"{self.path}/taskInstances/{task}/logs/{number}").text

    def logs(self, task: str) -> str:
        """Return the logs of all tries of a task."""
        return "".join(self.log(task, number) for number in range(1, self.tasks[task]["try_number"] + 1))

    def clear(self, task: str) -> None:
        """Clear a task, as a person does in the UI."""
        *_, dag_id, _, run_id = self.path.split("/")
        what = {"dry_run": False, "only_failed": False, "dag_run_id": run_id, "task_ids": [task]}
        write(self.api, "POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", what)

    def mark_failed(self, task: str) -> None:
        write(self.api, "PATCH", f"{self.path}/taskInstances/{task}", {"new_state": "failed"})
