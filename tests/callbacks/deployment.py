"""Airflow as in production: two API servers behind nginx, two triggerers, two Celery workers, PostgreSQL and Redis."""

from __future__ import annotations

import glob
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from airflow_provider_minimax.emulator import Emulator
from tests.standalone.airflow_up import Run, free_ports, until, write

HERE = Path(__file__).parent
NGINX_CONF = HERE.parent.parent / "docs" / "examples" / "callbacks" / "nginx.conf"
"""What the documentation gives to users; only its ports are changed here."""
POSTGRESQL_BINARIES = "/usr/lib/postgresql/*/bin"
API_SERVERS = ("api-server-1", "api-server-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
WORKERS = ("worker-1", "worker-2")


def program(name: str, where: str = "/usr/sbin") -> str | None:
    """Return where a program is, which may be in folders that no shell searches."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *sorted(glob.glob(where), reverse=True)))
    return shutil.which(name, path=path)


def missing_parts() -> list[str]:
    """Return the commands that install what this needs and is not here."""
    parts = {
        "nginx": program("nginx"),
        "postgresql": program("initdb", POSTGRESQL_BINARIES),
        "redis-server": program("redis-server"),
    }
    packages = [name for name, path in parts.items() if path is None]
    return [
        *([f"apt-get install {' '.join(packages)}"] if packages else []),
        *([] if find_spec("airflow.providers.celery") else ["make test-production"]),
    ]


class PostgreSQL:
    """
    A PostgreSQL server while a ``with`` block lasts.

    :param port: where it listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        # It refuses to run as root, and whom it runs as must be able to enter the folder.
        self._user = "postgres" if os.geteuid() == 0 else None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        if self._user:
            owner = pwd.getpwnam(self._user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "--auth=trust", "--username=airflow", "--no-sync")
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "--wait", f"--log={self._folder / 'log'}", "-o", settings, "start")
        return self

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "--wait", "--mode=immediate", "stop")
        shutil.rmtree(self._folder)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://airflow@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(program(name, POSTGRESQL_BINARIES)), "-D", str(self._folder), *arguments]
        with (self._folder.parent / f"{self._folder.name}.log").open("ab") as output:
            subprocess.run(
                command, user=self._user, cwd=self._folder, stdout=output, stderr=output, timeout=60, check=True
            )


class Redis:
    """
    A Redis server, which passes tasks to Celery's workers, while a ``with`` block lasts.

    :param port: where it listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def __enter__(self) -> Self:
        settings = {"--port": str(self.port), "--bind": "127.0.0.1", "--save": "", "--loglevel": "warning"}
        command = [str(program("redis-server")), *(word for pair in settings.items() for word in pair)]
        self._process = subprocess.Popen(command, start_new_session=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)


class Nginx:
    """
    The proxy of the documentation, while a ``with`` block lasts.

    :param folder: for its files.
    :param port: where it listens.
    :param servers: the ports of the API servers.
    """

    def __init__(self, folder: Path, port: int, servers: tuple[int, ...]) -> None:
        self._folder = folder
        self._port = port
        self._servers = servers

    def __enter__(self) -> Self:
        self._write(self._servers)
        self._process = subprocess.Popen([*self._command, "-g", "daemon off;"], start_new_session=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def answers(self) -> bool:
        assert self._process.poll() is None, "nginx ended; what it printed says why"
        with suppress(httpx.TransportError):
            return bool(httpx.get(f"http://127.0.0.1:{self._port}/", timeout=30, trust_env=False).status_code)
        return False

    def send_pushes_to(self, *servers: int) -> None:
        """Send callbacks to these API servers alone, and everything else to the others if there are any."""
        self._write(servers)
        self._process.send_signal(signal.SIGHUP)

    @property
    def _command(self) -> list[str]:
        return [str(program("nginx")), "-p", str(self._folder), "-e", "error.log", "-c", "nginx.conf"]

    def _write(self, pushed: tuple[int, ...]) -> None:
        conf = NGINX_CONF.read_text()
        conf = conf.replace("127.0.0.1:8080", f"127.0.0.1:{self._port}")
        others = tuple(port for port in self._servers if port not in pushed) or self._servers
        conf = _with_servers(_with_servers(conf, "airflow", others), "minimax_callbacks", pushed)
        lines = [
            # What it runs as must be able to enter the folder.
            *(["user root;"] if os.geteuid() == 0 else []),
            "pid nginx.pid;",
            "worker_processes 1;",
            "events {}",
            "http {",
            "access_log access.log;",
            *(f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
            conf,
            "}",
        ]
        (self._folder / "nginx.conf").write_text("\n".join(lines))


def _with_servers(conf: str, upstream: str, ports: tuple[int, ...]) -> str:
    """Put other servers into a group, with what the documentation has behind their addresses."""
    group = re.search(rf"upstream {upstream} {{\n(    server \S+?(| .*);\n)+}}", conf)
    assert group is not None
    servers = "".join(f"    server 127.0.0.1:{port}{group[2]};\n" for port in ports)
    return conf.replace(group[0], f"upstream {upstream} {{\n{servers}}}")


class Deployment:
    """
    All of it, while a ``with`` block lasts; with the methods of ``Airflow`` that tests of callbacks use.

    :param folder: where its files go.
    :param dags: the folder with its DAGs.
    :param changes: Airflow's settings, as ``SECTION__NAME``.
    """

    def __init__(self, folder: Path, dags: Path, changes: Mapping[str, str]) -> None:
        self.folder = folder
        self._changes = changes
        self._dags = dags
        first = free_ports(12)
        self.port = first
        self.servers = dict(zip(API_SERVERS, (first + 1, first + 2), strict=True))
        self.database = PostgreSQL(first + 3)
        self.proxy = Nginx(folder, first, tuple(self.servers.values()))
        self.emulator = Emulator(first + 4)
        self.broker = Redis(first + 5)
        self._stack = ExitStack()
        self._processes: dict[str, psutil.Process] = {}
        self._count = count()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for part in (self.database, self.broker, self.proxy, self.emulator):
                stack.enter_context(part)
            stack.callback(self._stop)
            subprocess.run(self._command("db", "migrate"), env=self._settings, cwd=self.folder, check=True, timeout=120)
            for name in (*API_SERVERS, "scheduler", "dag-processor", *TRIGGERERS, *WORKERS):
                self.start(name)
            self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
            until("nginx answers", self.proxy.answers, 10)
            until("both API servers answer", lambda: all(map(self.answers, API_SERVERS)), 120)
            token = self.api.get("/auth/token").raise_for_status().json()["access_token"]
            self.api.headers["Authorization"] = f"Bearer {token}"
            until("two triggerers are alive", lambda: self.count("TriggererJob") >= 2, 120)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, name: str) -> None:
        """Start a component; what follows a ``-`` and a number in its name distinguishes it from others of its kind."""
        arguments = [re.sub(r"-\d+$", "", name)]
        if name in API_SERVERS:
            arguments += ["--workers", "1", "--port", str(self.servers[name])]
        elif name in TRIGGERERS:
            arguments += ["--skip-serve-logs"]
        elif name in WORKERS:
            arguments = [
                "celery",
                *arguments,
                "--celery-hostname",
                f"{name}@localhost",
                "--concurrency",
                "4",
                "--skip-serve-logs",
            ]
        with self.log_of(name).open("ab") as log:
            process = subprocess.Popen(
                self._command(*arguments),
                env=self._settings,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes[name] = psutil.Process(process.pid)

    def kill(self, name: str) -> None:
        """Kill a component with all below it, at once and without a chance to say goodbye."""
        process = self._processes.pop(name)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait(10)

    def _stop(self) -> None:
        found = [one for process in self._processes.values() for one in (process, *process.children(recursive=True))]
        for one in found:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        psutil.wait_procs(found, timeout=10)

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @contextmanager
    def proxy_splits(self, name: str) -> Iterator[None]:
        """Have callbacks go to one API server, and everything else to the other one."""
        self.proxy.send_pushes_to(self.servers[name])
        try:
            yield
        finally:
            self.proxy.send_pushes_to(*self.servers.values())

    def answers(self, name: str) -> bool:
        """Whether an API server does, asked without the proxy."""
        with suppress(httpx.TransportError):
            url = f"http://127.0.0.1:{self.servers[name]}/api/v2/monitor/health"
            return httpx.get(url, timeout=30, trust_env=False).is_success
        return False

    @property
    def logs(self) -> list[Path]:
        """All files that processes write what happens to, with what they log of tasks."""
        return [path for path in self.folder.rglob("*.log") if path.is_file()]

    def pushes_at(self, name: str) -> int:
        """Return how many pushes and challenges an API server has answered, by its access log."""
        return self.log_of(name).read_text().count("/minimax/callback/…")

    def count(self, kind: str) -> int:
        """Return how many jobs of a kind, such as ``TriggererJob``, are alive."""
        alive = self.api.get("/api/v2/jobs", params={"job_type": kind, "is_alive": True}).raise_for_status().json()
        return len(alive["jobs"])

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        until(f"{dag_id} is parsed", lambda: self.api.get(f"/api/v2/dags/{dag_id}").is_success)
        name = str(next(self._count))
        folder = self.folder / "clips" / name
        body = {"conf": {"folder": str(folder), **conf}, "logical_date": None, "dag_run_id": f"run-{name}"}
        write(self.api, "POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        return Run(self.api, folder, f"/api/v2/dags/{dag_id}/dagRuns/run-{name}")

    def _command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("airflow")), *arguments]

    @property
    def _settings(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        address = f"http://127.0.0.1:{self.port}"
        settings = {
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_FOLDER": str(self._dags),
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__PARALLELISM": "8",
            "CELERY__BROKER_URL": f"redis://127.0.0.1:{self.broker.port}/0",
            "CELERY__RESULT_BACKEND": f"db+{self.database.url}",
            "CORE__FERNET_KEY": "9DSBPmuDbUDs_MOcr8Cx0ENl2CbJHIBZ8YwRuZ5eaK8=",
            "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "API__HOST": "127.0.0.1",
            "API__BASE_URL": address,
            "API__SECRET_KEY": "the same for all API servers",
            "API_AUTH__JWT_SECRET": "the same for all of Airflow's processes, and long enough for its algorithm",
            "DATABASE__SQL_ALCHEMY_CONN": self.database.url,
            "LOGGING__WORKER_LOG_SERVER_PORT": str(self.port + 6),
            "MINIMAX__CALLBACK_BASE_URL": address,
            **self._changes,
        }
        return {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(HERE.parent.parent),
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW_CONN_MINIMAX_DEFAULT": json.dumps(self.emulator.connection()),
            "AIRFLOW_CONN_MINIMAX_AI302": json.dumps(self.emulator.connection("ai302")),
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        }
