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
import math
import os
import random
import re
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import psutil
from lab import HERE, percentile, say

from airflow_provider_minimax.emulator import EmulatorClient

# In so many groups, each with a time of its own.
GROUPS = 200
TASKS_PER_RUN = 100
# So many tasks of v2 are looked at with one request.
PAGE = 50
CLIPS = {
    "v1": {"model": "MiniMax-Hailuo-2.3", "resolution": "768P", "duration": 6},
    "v2": {"model": "MiniMax-H3", "resolution": "2K", "duration": 5, "ratio": "16:9"},
}
OPERATOR = {"minimax_conn_id": "minimax_default", "wait_for_completion": True, "deferrable": True, "timeout": 3600}
BLOCKED = re.compile(r"^(\S+Z) .*async thread was blocked for ([\d.]+) seconds", re.MULTILINE)
STARTED = re.compile(r'^{"timestamp":"([^"]+)","level":"info","event":"trigger [^"]* starting"', re.MULTILINE)
FIRED = re.compile(r'^{"timestamp":"([^"]+)".*Trigger fired event.*?\'task_id\': \'([^\']+)\'', re.MULTILINE)
MIB = 2**20
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


def store_connection(platform: EmulatorClient) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session

    connection = platform.connection()
    # For this process, which is no task and may not ask the database.
    os.environ["AIRFLOW_CONN_MINIMAX_DEFAULT"] = json.dumps(connection)
    with create_session() as session:
        session.add(Connection("minimax_default", **connection | {"extra": json.dumps(connection["extra"])}))


class NoTaskInstance:
    """As much of a task instance as an operator needs that keeps no receipt."""

    dag_id, run_id, task_id, map_index, max_tries, try_number = "crowd", "manual", "generate", 0, 0, 1

    def xcom_push(self, key: str, value: Any) -> None: ...


def deferral_of(arguments: dict[str, Any]) -> Any:
    """Have a real operator buy a clip and defer, and return with what."""
    from airflow.sdk.exceptions import TaskDeferred

    from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

    operator = MinimaxVideoGenerationOperator(task_id="generate", prompt="The first paper boat.", **arguments)
    try:
        operator.execute({"ti": NoTaskInstance()})
    except TaskDeferred as deferral:
        return deferral
    raise RuntimeError("the operator did not defer")


def buy(platform: EmulatorClient, count: int, clip: dict[str, Any], first: float, last: float) -> dict[str, float]:
    """Buy clips through the provider's hook that take between some seconds; return how many each will, by its id."""
    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    groups = min(GROUPS, count)
    times = [first + (last - first) * (number + 0.5) / groups for number in range(groups)]
    random.Random(count).shuffle(times)
    bought: dict[str, float] = {}
    with closing(MinimaxHook()) as hook:
        for number, seconds in enumerate(times):
            platform.configure(seconds=seconds)
            while len(bought) < count * (number + 1) // groups:
                prompt = f"Paper boat number {len(bought)} sails down a street."
                bought[hook.submit(VideoRequest.of({"prompt": prompt} | clip))] = seconds
    return bought


def triggers_of(bought: dict[str, float], deferral: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the classes and arguments of the triggers for some clips, made of those of one."""
    classpath, kwargs = deferral.trigger.serialize()
    now = time.time()
    clip, deadline = kwargs["clip"] | {"bought_at": now}, now + OPERATOR["timeout"]
    return [
        (classpath, kwargs | {"minimax_task_id": minimax_task_id, "deadline": deadline, "clip": clip})
        for minimax_task_id in bought
    ]


def sleepers_for(bought: dict[str, float]) -> list[tuple[str, dict[str, Any]]]:
    """Return the same of triggers that end when the clips do, and poll nothing."""
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    now = datetime.now().astimezone()
    return [DateTimeTrigger(now + timedelta(seconds=seconds)).serialize() for seconds in bought.values()]


def defer(triggers: list[tuple[str, dict[str, Any]]], deferral: Any) -> None:
    """Make dag runs whose tasks are deferred, as Airflow's API server does when workers say so."""
    from airflow.models import TaskInstance, Trigger
    from airflow.models.dagbag import DBDagBag
    from airflow.sdk.serde import serialize
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    now = datetime.now().astimezone()
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag("crowd", session=session)
        tasks: list[TaskInstance] = []
        while len(tasks) < len(triggers):
            run = dag.create_dagrun(
                run_id=f"crowd-{len(tasks)}",
                run_after=now,
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.RUNNING,
                start_date=now,
                session=session,
            )
            tasks += run.get_task_instances(session=session)
        rows = [Trigger(classpath, kwargs) for classpath, kwargs in triggers]
        session.add_all(rows)
        session.flush()
        for task, row in zip(tasks, rows, strict=True):
            task.state = TaskInstanceState.DEFERRED
            task.try_number, task.start_date = 1, now
            task.trigger_id = row.id
            task.trigger_timeout = now + deferral.timeout
            task.next_method, task.next_kwargs = deferral.method_name, serialize(deferral.kwargs or {})


def states() -> dict[str, int]:
    """Return how many task instances are in which state; ``taken``: how many triggers the triggerer has."""
    from airflow.models import TaskInstance, Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        by_state = session.execute(select(TaskInstance.state, func.count()).group_by(TaskInstance.state)).all()
        taken = session.scalar(select(func.count(Trigger.id)).where(Trigger.triggerer_id.is_not(None)))
    return {str(state): count for state, count in by_state} | {"taken": int(taken or 0)}


def triggerer_is_alive() -> bool:
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        return bool(session.scalar(select(func.count(Job.id)).where(Job.job_type == "TriggererJob")))


def events() -> dict[str, float]:
    """Return when each remote task's event was handled, by the id in the event; only those that tell of a clip."""
    from airflow.models import TaskInstance
    from airflow.sdk.serde import deserialize
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found: dict[str, float] = {}
    with create_session() as session:
        for kwargs, handled in session.execute(select(TaskInstance.next_kwargs, TaskInstance.scheduled_dttm)):
            event = (deserialize(kwargs) or {}).get("event")
            if isinstance(event, dict) and event.get("task") and not event.get("error"):
                found[event["task"]["task_id"]] = handled.timestamp()
    return found


def fired(logs: list[str]) -> dict[str, float]:
    """Return when the triggers sent their events, by the id in the event, from the logs of the tasks."""
    lines = (FIRED.search(log) for log in logs)
    return {line[2]: datetime.fromisoformat(line[1]).timestamp() for line in lines if line}


def last_start(logs: list[str]) -> float:
    """Return when the last trigger was started, from the logs of the tasks."""
    lines = (STARTED.search(log) for log in logs)
    return max((datetime.fromisoformat(line[1]).timestamp() for line in lines if line), default=math.inf)


@dataclass
class Watched:
    """A process, seen now and then: its CPU and its memory."""

    process: psutil.Process
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def poll(self) -> None:
        times = self.process.cpu_times()
        self.cpu.append(times.user + times.system)
        self.memory.append(self.process.memory_info().rss / MIB)

    def busiest(self, clock: list[float]) -> float:
        """Return the highest share of a core over ten polls."""
        width = min(10, len(clock) - 1)
        spans = zip(self.cpu, self.cpu[width:], clock, clock[width:], strict=False)
        return max((after - before) / (end - start) for before, after, start, end in spans)


@dataclass
class Crowd:
    """What is seen of the processes while the tasks wait."""

    triggerer: psutil.Popen
    emulator: psutil.Popen

    def __post_init__(self) -> None:
        (runner,) = self.triggerer.children()
        self.runner, self.supervisor = Watched(runner), Watched(self.triggerer)
        self.platform = Watched(self.emulator)
        self.clock: list[float] = []
        self.states: list[dict[str, int]] = []
        self.connections: list[int] = []
        self.files: list[int] = []

    def poll(self, port: int) -> dict[str, int]:
        if not self.triggerer.is_running():
            raise RuntimeError("the triggerer has ended")
        self.clock.append(time.monotonic())
        for watched in (self.runner, self.supervisor, self.platform):
            watched.poll()
        open_now = self.runner.process.net_connections("tcp")
        self.connections.append(sum(bool(one.raddr) and one.raddr.port == port for one in open_now))
        self.files.append(self.triggerer.num_fds())
        self.states.append(states())
        return self.states[-1]

    def line(self) -> str:
        seen, runner, supervisor = self.states[-1], self.runner, self.supervisor
        width = min(10, len(self.clock) - 1)
        span = (self.clock[-1] - self.clock[-1 - width]) or 1.0
        shares = [100 * (one.cpu[-1] - one.cpu[-1 - width]) / span for one in (runner, supervisor, self.platform)]
        return (
            f"{self.clock[-1] - self.clock[0]:6.0f} {seen.get('deferred', 0):9} {seen['taken']:7} "
            f"{seen.get('scheduled', 0):6} {shares[0]:8.0f} {runner.memory[-1]:10.0f} {shares[1]:12.0f} "
            f"{supervisor.memory[-1]:14.0f} {shares[2]:10.0f} {self.connections[-1]:12}"
        )


HEADER = "     s  deferred  taken   ended  runner%  runner MiB  supervisor%  supervisor MiB  emulator%  connections"


def watch(crowd: Crowd, port: int, timeout: float) -> None:
    """Poll at the crowd every second until every task has had its event."""
    say(HEADER)
    deadline = time.monotonic() + timeout
    while crowd.poll(port).get("deferred", 0) and time.monotonic() < deadline:
        if len(crowd.clock) % 10 == 1:
            say(crowd.line())
        time.sleep(1)
    say(crowd.line())


def figures(crowd: Crowd, platform: EmulatorClient, bought: dict[str, float], folder: Path) -> dict[str, Any]:
    log = (folder / "triggerer.log").read_text()
    logs = [path.read_text() for path in (folder / "logs").rglob("*.trigger.*.log")]
    found, sent, jobs = events(), fired(logs), {job["task_id"]: job for job in platform.jobs}
    seen = [one for one in bought if one in found and one in sent]
    late = [sent[one] - jobs[one]["made_at"] - bought[one] for one in seen]
    handled = [found[one] - sent[one] for one in seen]
    blocked = [(datetime.fromisoformat(when).timestamp(), float(seconds)) for when, seconds in BLOCKED.findall(log)]
    all_started = last_start(logs)
    later = [seconds for when, seconds in blocked if when - seconds > all_started]
    requests = platform.requests
    runner, supervisor = crowd.runner, crowd.supervisor
    return {
        "tasks": len(bought),
        "ended": crowd.states[-1].get("scheduled", 0),
        "clips_found": len(found),
        "at_once": max(seen["taken"] for seen in crowd.states),
        "blocked_warnings": len(blocked),
        "blocked_longest_s": max((seconds for _, seconds in blocked), default=0.0),
        "blocked_warnings_after_start": len(later),
        "blocked_longest_after_start_s": max(later, default=0.0),
        "connections": max(crowd.connections),
        "supervisor_files": max(crowd.files),
        "seen_after_p50_s": round(percentile(late, 0.5), 2),
        "seen_after_p99_s": round(percentile(late, 0.99), 2),
        "handled_after_p50_s": round(percentile(handled, 0.5), 2),
        "handled_after_p99_s": round(percentile(handled, 0.99), 2),
        "polls_per_task": round(statistics.fmean(jobs[one]["polls"] for one in bought), 1),
        "list_requests": sum(request["operation"] == "list" for request in requests),
        "refused_requests": sum(request["status"] != 200 for request in requests),
        "runner_cpu_s": round(runner.cpu[-1] - runner.cpu[0], 1),
        "runner_busiest": round(runner.busiest(crowd.clock), 2),
        "runner_mib_before": round(runner.memory[0]),
        "runner_mib_highest": round(max(runner.memory)),
        "supervisor_cpu_s": round(supervisor.cpu[-1] - supervisor.cpu[0], 1),
        "supervisor_busiest": round(supervisor.busiest(crowd.clock), 2),
        "supervisor_mib_before": round(supervisor.memory[0]),
        "supervisor_mib_highest": round(max(supervisor.memory)),
        "emulator_busiest": round(crowd.platform.busiest(crowd.clock), 2),
        "seconds": round(crowd.clock[-1] - crowd.clock[0]),
    }


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
    parser.add_argument("--api", choices=CLIPS, default="v1", help="v2: H3, looked at by the page")
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
