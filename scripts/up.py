"""
Airflow with its UI, and the emulator, on this machine's loopback, until Ctrl-C.

Everything it makes is below .up/ (or UP_FOLDER), the clips of the example DAGs too (or MINIMAX_EXAMPLES_FOLDER). PORT
chooses Airflow's port (8080; the three after it are used too), EMULATOR_PORT the emulator's (8765), DAGS_FOLDER the
DAGs (example_dags/).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_minimax.emulator import Emulator

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("UP_FOLDER", ROOT / ".up")).absolute()
LOG = FOLDER / "airflow.log"
CLIPS = Path(os.environ.get("MINIMAX_EXAMPLES_FOLDER", FOLDER / "clips")).absolute()
DAGS = Path(os.environ.get("DAGS_FOLDER", ROOT / "example_dags")).absolute()
PORT = int(os.environ.get("PORT", "8080"))
EMULATOR_PORT = int(os.environ.get("EMULATOR_PORT", "8765"))
AIRFLOW = f"http://127.0.0.1:{PORT}"
CONNECTIONS = {"minimax_default": "minimax"} | {
    f"minimax_{platform}": platform for platform in ("bltcy", "chainhub", "vtrix", "novita", "ai302")
}
STARTS_WITHIN = 300


def settings() -> dict[str, str]:
    home = FOLDER / "airflow"
    # A connection in the environment would win over ours, and might buy for real.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_MINIMAX_")}
    return {
        # By default the end of a worker is noticed up to 5 s late, and a deferral that is over by then is failed.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        **inherited,
        # `airflow standalone` looks for `airflow` there.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "MINIMAX_EXAMPLES_FOLDER": str(CLIPS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{AIRFLOW}/execution/",
        # SQLite breaks under the default of 32 worker processes.
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(PORT),
        "AIRFLOW__API__BASE_URL": AIRFLOW,
        # The emulator posts the status of clips there, if a DAG has callbacks.
        "AIRFLOW__MINIMAX__CALLBACK_BASE_URL": AIRFLOW,
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(PORT + 1),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(PORT + 2),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(PORT + 3),
    }


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def check_ports() -> None:
    for name, port in (*(("PORT", PORT + offset) for offset in range(4)), ("EMULATOR_PORT", EMULATOR_PORT)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                sys.exit(f"Port {port} cannot be had ({error.strerror}). Choose another: {name}=… make up")


def ask(method: str, path: str, body: Any = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{AIRFLOW}{path}", content, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def is_healthy() -> bool:
    try:
        parts = ask("GET", "/api/v2/monitor/health")
    except OSError:
        return False
    return all(
        parts[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")
    )


def wait_until_healthy(airflow: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while not is_healthy():
        if airflow.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"Airflow did not come up; {LOG} says why.")
        time.sleep(0.5)


def add_connections(emulator: Emulator) -> None:
    """Store a connection for each platform where the UI shows it."""
    entities = []
    for conn_id, platform in CONNECTIONS.items():
        connection = emulator.connection(platform)
        extra = json.dumps(connection["extra"])
        # Airflow 3.3.2's button "Test Connection" sends port 0, and is refused where another one, or none, is stored.
        entities.append({**connection, "connection_id": conn_id, "port": 0, "extra": extra})
    create = {"action": "create", "action_on_existence": "overwrite", "entities": entities}
    token = ask("GET", "/auth/token")["access_token"]
    failed = ask("PATCH", "/api/v2/connections", {"actions": [create]}, token)["create"]["errors"]
    if failed:
        sys.exit(f"The connections could not be made: {failed}")


def stop(airflow: subprocess.Popen[bytes]) -> None:
    """Ask Airflow to end, then end what is left of its session: it forgets its children when one of them broke."""
    if airflow.poll() is None:
        airflow.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            airflow.wait(15)
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == airflow.pid:
                process.kill()
    airflow.wait()


def tell_purchase(purchase: dict[str, Any]) -> None:
    say(f"The emulator sold clip {purchase['task_id']} ({purchase['model']}) on {purchase['platform']}.")


def interrupt(*_: Any) -> None:
    # Once is enough: what follows must not be interrupted again.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    check_ports()
    started = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Emulator(EMULATOR_PORT, on_purchase=tell_purchase) as emulator, LOG.open("wb") as log:
        say(f"Airflow is starting, which takes half a minute; its log is {LOG}")
        command = [Path(sys.executable).with_name("airflow"), "standalone"]
        # A relative output_path is relative to where Airflow runs.
        airflow = subprocess.Popen(
            command, cwd=FOLDER, env=settings(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            wait_until_healthy(airflow)
            add_connections(emulator)
            say(f"Up after {time.monotonic() - started:.0f} s. Ctrl-C ends everything.")
            print(f"    Airflow      {AIRFLOW}  (no password)")
            print(f"    Emulator     {emulator.url}  (a clip takes 10 s and costs nothing)")
            print(f"    Connections  {', '.join(CONNECTIONS)}")
            print(f"    DAGs         {DAGS}")
            print(f"    Clips        {CLIPS}", flush=True)
            airflow.wait()
            sys.exit(f"Airflow ended; {LOG} says why.")
        except KeyboardInterrupt:
            say("Stopping …")
        finally:
            stop(airflow)


if __name__ == "__main__":
    main()
