"""
Thousands of deferred tasks in one real triggerer: ``airflow triggerer``, its database, and the emulator over sockets.

The clips are bought and the task instances deferred by this script, in seconds, where workers would need an hour: it
puts the rows into the database that Airflow's API server makes of a worker's deferral. A real operator deferred
before, and its trigger's arguments are theirs, but for the id and the time. From there on everything is Airflow's: the
triggerer takes the triggers up, and a task is at its end when its event has been handled, which makes it scheduled.
With ``--resume`` a scheduler and workers are started then, and finish the tasks.

``python benchmarks/triggerer.py --n 3000`` takes some five minutes; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from crowd_airflow import (
    TASKS_PER_RUN,
    commands,
    environment,
    free_port,
    resume,
    store_connection,
    triggerer_is_alive,
    until,
)
from crowd_tasks import OPERATOR, buy, defer, deferral_of, sleepers_for, triggers_of
from crowd_watch import Crowd, figures, watch
from lab import say

from airflow_provider_minimax.emulator import EmulatorClient

# One request polls this many tasks of v2.
PAGE = 50
CLIPS = {
    "v1": {"model": "MiniMax-Hailuo-2.3", "resolution": "768P", "duration": 6},
    "v2": {"model": "MiniMax-H3", "resolution": "2K", "duration": 5, "ratio": "16:9"},
}


def emulator_capacity(platform: EmulatorClient, bought: list[str], api: str) -> float:
    """Return how many polls a second the emulator answers over one connection: at single tasks, or at pages of 50."""
    address, headers = urlsplit(platform.base_url()), {"Authorization": f"Bearer {platform.api_key()}"}
    asked = {"task_id": bought[0]} if api == "v1" else {"page_size": PAGE, "filter.task_ids": bought[:PAGE]}
    path = f"{address.path}/{api}/query/video_generation?{urlencode(asked, doseq=True)}"
    with closing(http.client.HTTPConnection(address.netloc)) as connection:
        start = time.monotonic()
        for _ in range(100):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status}")
    return 100 / (time.monotonic() - start)


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    count, clip, (first, last) = options.n, CLIPS[options.api], options.seconds
    arguments = OPERATOR | clip | {"durable": False, "poll_interval": options.poll_interval}
    api_port, port = free_port(), free_port()
    env = environment(folder, api_port, count, arguments)
    os.environ.clear()
    # Airflow reads its settings when it is imported first, which has not been yet; a line a purchase nobody reads.
    os.environ.update(env | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"})
    airflow = Path(sys.executable).with_name("airflow")
    with commands(folder, env) as start:
        emulator = start(
            "emulator", sys.executable, "-m", "airflow_provider_minimax.emulator", "--port", port, "--quiet"
        )
        platform = EmulatorClient(f"http://127.0.0.1:{port}")
        for command in (["db", "migrate"], ["dags", "reserialize"]):
            if start(command[0], airflow, *command).wait(180):
                raise RuntimeError((folder / f"{command[0]}.log").read_text()[-2000:])
        store_connection(platform)
        triggerer = start("triggerer", airflow, "triggerer", "--skip-serve-logs")
        until("the triggerer runs", lambda: triggerer_is_alive() and triggerer.children())
        time.sleep(5)
        crowd = Crowd(triggerer, emulator)
        crowd.poll(port)
        deferral = deferral_of(arguments)
        started = time.monotonic()
        bought = buy(platform, count, clip, first, last)
        say(f"{count} clips bought after {time.monotonic() - started:.1f} s")
        capacity = emulator_capacity(platform, list(bought), options.api)
        say(f"The emulator alone: {capacity:.0f} polls a second over one connection")
        defer(sleepers_for(bought) if options.sleepers else triggers_of(bought, deferral), deferral)
        say(f"{count} tasks deferred after {time.monotonic() - started:.1f} s")
        watch(crowd, port, 2 * last + count / 10)
        result = figures(crowd, platform, bought, folder) | {"emulator_polls_a_second": round(capacity)}
        return result | (resume(start, airflow, api_port, count) if options.resume else {})


def _crowd(text: str) -> int:
    count = int(text)
    if count < 1 or (count > TASKS_PER_RUN and count % TASKS_PER_RUN):
        raise argparse.ArgumentTypeError(f"above {TASKS_PER_RUN}, a multiple of it")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description="What a crowd of deferred tasks costs a real triggerer.")
    parser.add_argument("--n", type=_crowd, default=3000, help="how many tasks (default: %(default)s)")
    parser.add_argument("--api", choices=CLIPS, default="v1", help="v2: H3, polled by the page")
    parser.add_argument("--poll-interval", type=float, help="seconds between polls (default: the provider's own pace)")
    parser.add_argument(
        "--seconds",
        type=float,
        nargs=2,
        default=(60.0, 180.0),
        metavar=("FIRST", "LAST"),
        help="after how long the first clip is done, and the last (default: 60 180)",
    )
    parser.add_argument("--sleepers", action="store_true", help="Airflow's DateTimeTrigger instead of ours")
    parser.add_argument("--resume", action="store_true", help="let a scheduler and workers finish the tasks")
    parser.add_argument("--keep", action="store_true", help="leave Airflow's folder, with its logs, and say where")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of one line a figure")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-triggerer-"))
    try:
        result = run(arguments, folder)
    finally:
        if arguments.keep:
            say(f"Airflow's folder is {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result) if arguments.json else "\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
