"""
Airflow with its UI, and the emulator, on this machine's loopback, until Ctrl-C.

Everything it makes is below .up/. PORT chooses Airflow's port (8080), EMULATOR_PORT the emulator's (8765).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".up" / "airflow"
PORT = int(os.environ.get("PORT", "8080"))
EMULATOR_PORT = int(os.environ.get("EMULATOR_PORT", "8765"))
PLATFORMS = ("minimax", "bltcy", "chainhub", "vtrix", "novita", "ai302")


def settings() -> dict[str, str]:
    from airflow_provider_minimax.emulator import EmulatorClient

    emulator = EmulatorClient(f"http://127.0.0.1:{EMULATOR_PORT}")
    connections = {
        f"AIRFLOW_CONN_{'MINIMAX_DEFAULT' if platform == 'minimax' else f'MINIMAX_{platform.upper()}'}": json.dumps(
            emulator.connection(platform)
        )
        for platform in PLATFORMS
    }
    return {
        **os.environ,
        **connections,
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": os.environ.get("DAGS_FOLDER", str(ROOT / "example_dags")),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{PORT}/execution/",
        # SQLite breaks under the default of 32 worker processes.
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(PORT),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{PORT}",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(PORT + 1),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(PORT + 2),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(PORT + 3),
        # By default the end of a worker is noticed up to 5 s late, and a deferral that is over by then is failed.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    }


def is_healthy() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v2/monitor/health", timeout=2) as answer:
            parts = json.load(answer)
    except OSError:
        return False
    return all(
        parts[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process group: politely first, because Airflow then ends its own children."""
    for sign, patience in ((signal.SIGINT, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def main() -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    python = Path(sys.executable)
    emulator = [python, "-m", "airflow_provider_minimax.emulator", "--port", str(EMULATOR_PORT)]
    processes = [subprocess.Popen(emulator, start_new_session=True)]
    try:
        with (HOME.parent / "airflow.log").open("wb") as log:
            airflow = [python.with_name("airflow"), "standalone"]
            processes.append(
                subprocess.Popen(airflow, env=settings(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            )
        print(f"==> Airflow is starting, its log is {HOME.parent / 'airflow.log'} …", flush=True)
        while not is_healthy():
            if any(process.poll() is not None for process in processes):
                sys.exit("A process ended at once; its log says why.")
            time.sleep(1)
        print(f"==> Airflow: http://127.0.0.1:{PORT}  Emulator: http://127.0.0.1:{EMULATOR_PORT}  Ctrl-C ends both.")
        sys.stdout.flush()
        while all(process.poll() is None for process in processes):
            time.sleep(1)
    except KeyboardInterrupt:
        print("==> Stopping …", flush=True)
    finally:
        for process in reversed(processes):
            stop(process)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
