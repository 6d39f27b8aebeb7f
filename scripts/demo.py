"""
The main job, end to end, on real Airflow: an example DAG from the prompt to a clip on disk.

Runs against the bundled emulator, offline and for free; against the real API when MINIMAX_API_KEY is set
(MINIMAX_PLATFORM and MINIMAX_REGION choose where). MINIMAX_EXAMPLE=h3 runs MiniMax's newer API instead. Everything it
makes is below .demo/.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".demo"
CLIPS, RESULTS, LOG = DEMO / "clips", DEMO / "results.json", DEMO / "airflow.log"
# These two take pictures only, or have no text mode of the examples' model.
IMAGE_ONLY = ("bltcy", "vtrix")
# A line of Airflow's log: time, level, message, logger.
LINE = re.compile(r"^\S+ \[(?P<level>\w+) *\] (?P<message>.*?) +\[(?P<logger>[\w.]+)\]")


def say(text: str) -> None:
    print(f"\033[1m==> {text}\033[0m" if sys.stdout.isatty() else f"==> {text}", flush=True)


def connect(stack: ExitStack) -> dict[str, Any]:
    """Return the connection to the real API if there is a key, else to an emulator that this starts."""
    key, platform = os.environ.get("MINIMAX_API_KEY"), os.environ.get("MINIMAX_PLATFORM", "minimax")
    if key:
        clips = "two clips" if platform in IMAGE_ONLY else "one clip"
        say(f"Against the real API of {platform}: this buys {clips}.")
        extra = {"platform": platform, "region": os.environ.get("MINIMAX_REGION", "global")}
        return {"conn_type": "minimax", "password": key, "extra": extra}
    from airflow_provider_minimax.emulator import Emulator

    emulator = stack.enter_context(Emulator(lifecycle="time", seconds=10))
    say(f"Against the emulator at {emulator.base_url(platform)}: offline, and nothing is paid for.")
    return emulator.connection(platform)


def environment(connection: dict[str, Any]) -> dict[str, str]:
    return {
        **os.environ,
        "AIRFLOW_HOME": str(DEMO / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW_CONN_MINIMAX_DEFAULT": json.dumps(connection),
        # There is no executor that a deferred task would have to wait for.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "0",
        "NO_COLOR": "1",
        "PYTHONWARNINGS": "ignore",
    }


def set_up_airflow(env: dict[str, str]) -> None:
    shutil.rmtree(DEMO / "airflow", ignore_errors=True)
    CLIPS.mkdir(parents=True, exist_ok=True)
    migrate = [Path(sys.executable).with_name("airflow"), "db", "migrate"]
    done = subprocess.run(migrate, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"airflow db migrate failed:\n{done.stdout}\n{done.stderr}")


def watch(command: list[str], env: dict[str, str]) -> bool:
    """Run a command with its whole output in a file, and show what it says of tasks and clips."""
    with (
        LOG.open("w") as log,
        subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        ) as process,
    ):
        for line in process.stdout or ():
            log.write(line)
            found = LINE.match(line)
            if found and ("airflow_provider_minimax" in found["logger"] or found["level"] in ("error", "critical")):
                print(f"    {time.strftime('%H:%M:%S')}  {found['message']}", flush=True)
            elif found and (task := re.search(r"\[DAG TEST\] starting task_id=(\w+)", found["message"])):
                say(f"Task {task[1]}")
    return process.returncode == 0


def run(example: str) -> None:
    """Run an example in this process, and leave what its tasks returned in a file."""
    spec = importlib.util.spec_from_file_location(example, ROOT / "example_dags" / f"{example}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    done = module.dag.test(run_conf={"folder": str(CLIPS)})
    results = [
        ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
        for ti in done.get_task_instances()
        if ti.task_id in ("download", "generate")
    ]
    RESULTS.write_text(json.dumps(results))
    sys.exit(str(done.state) != "success")


def show(clip: Path) -> None:
    """Print what was delivered, from the manifest next to the clip."""
    manifest = clip.with_name(f"{clip.name}.receipt.json")
    found = json.loads(manifest.read_text())
    media = found["media"]
    facts = f", {media['width']}x{media['height']}, {media['duration']:.3g} s" if media else ""
    print(f"    clip           {clip}  ({found['size']} bytes{facts})")
    print(f"    manifest       {manifest}")
    for name, picture in (found["previews"] or {}).items():
        print(f"    {name.replace('_', ' '):14} {picture}")


def main() -> None:
    example = f"minimax_{'image' if os.environ.get('MINIMAX_PLATFORM') in IMAGE_ONLY else 'text'}_to_video"
    if os.environ.get("MINIMAX_EXAMPLE") == "h3":
        example = "minimax_h3"
    with ExitStack() as stack:
        env = environment(connect(stack))
        say("Setting up a throw-away Airflow …")
        set_up_airflow(env)
        say(f"Running example_dags/{example}.py …")
        if not watch([sys.executable, __file__, example], env):
            sys.exit(f"The run failed; the whole log is {LOG}")
    say("Done.")
    for facts in json.loads(RESULTS.read_text()):
        show(Path(facts["output_path"]))
    print(f"    whole log      {LOG}")
    print(f"    where from     {Path(sys.executable).parent}/airflow minimax show <clip>")
    if example == "minimax_text_to_video":
        print("    MiniMax-H3     make demo MINIMAX_EXAMPLE=h3")
    if "MINIMAX_API_KEY" not in os.environ:
        print("    for real       MINIMAX_API_KEY=… [MINIMAX_PLATFORM=minimax] [MINIMAX_REGION=global] make demo")


if __name__ == "__main__":
    run(sys.argv[1]) if len(sys.argv) > 1 else main()
