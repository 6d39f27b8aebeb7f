"""
The main job, end to end, on real Airflow: an example DAG from the prompt to a clip on disk.

Runs against the bundled emulator, offline and for free; against the real API when MINIMAX_API_KEY is set
(MINIMAX_PLATFORM and MINIMAX_REGION choose where). Everything it makes is below .demo/.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".demo"
CLIPS = DEMO / "clips"
# These two take pictures only, or have no text mode of the examples' model.
IMAGE_ONLY = ("bltcy", "vtrix")


def say(text: str) -> None:
    print(f"\033[1m==> {text}\033[0m" if sys.stdout.isatty() else f"==> {text}", flush=True)


def real_connection(key: str, platform: str) -> dict[str, Any]:
    extra = {"platform": platform, "region": os.environ.get("MINIMAX_REGION", "global")}
    return {"conn_type": "minimax", "password": key, "extra": extra}


def prepare_airflow(connection: dict[str, Any]) -> None:
    """Set Airflow up in a throw-away home; it has to be done before Airflow is imported."""
    home = DEMO / "airflow"
    shutil.rmtree(home, ignore_errors=True)
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "example_dags"),
        AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
        AIRFLOW_CONN_MINIMAX_DEFAULT=json.dumps(connection),
    )
    airflow = Path(sys.executable).with_name("airflow")
    migrated = subprocess.run([airflow, "db", "migrate"], capture_output=True, text=True, check=False)
    if migrated.returncode:
        sys.exit(f"airflow db migrate failed:\n{migrated.stdout}\n{migrated.stderr}")


def load_dag(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "example_dags" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


def main() -> None:
    started = time.monotonic()
    key, platform = os.environ.get("MINIMAX_API_KEY"), os.environ.get("MINIMAX_PLATFORM", "minimax")
    example = "minimax_image_to_video" if platform in IMAGE_ONLY else "minimax_text_to_video"
    with ExitStack() as stack:
        if key:
            connection = real_connection(key, platform)
            clips = "two clips" if platform in IMAGE_ONLY else "one clip"
            say(f"Against the real API of {platform}: this buys {clips}.")
        else:
            from airflow_provider_minimax.emulator import Emulator

            emulator = stack.enter_context(Emulator(lifecycle="time", seconds=10))
            connection = emulator.connection(platform)
            say(f"Against the emulator at {emulator.base_url(platform)}: offline, and nothing is paid for.")
        say("Setting up a throw-away Airflow …")
        prepare_airflow(connection)
        say(f"Running example_dags/{example}.py: submit, wait without a worker slot, fetch …")
        CLIPS.mkdir(parents=True, exist_ok=True)
        run = load_dag(example).test(run_conf={"folder": str(CLIPS)})
        results = [
            ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
            for ti in run.get_task_instances()
            if ti.task_id in ("download", "generate")
        ]
    if str(run.state) != "success":
        sys.exit(f"The run ended as {run.state}; the log above says why.")
    say(f"Done in {time.monotonic() - started:.0f} s.")
    for result in results:
        print(f"    clip      {result['output_path']}  ({result['size']} bytes)")
        facts = {name: value for name, value in result.items() if value is not None}
        print(f"    facts     {json.dumps({k: v for k, v in facts.items() if k not in ('output_path', 'size')})}")
    if not key:
        print("    for real  MINIMAX_API_KEY=… [MINIMAX_PLATFORM=minimax] [MINIMAX_REGION=global] make demo")


if __name__ == "__main__":
    main()
