"""Airflow's own API server with the receiver in it, and the emulator that posts there as the platforms do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from airflow_provider_minimax.callbacks import address
from airflow_provider_minimax.callbacks.address import CALLBACK_PATH, URL_PREFIX, token_of
from airflow_provider_minimax.callbacks.record import RECENT_KEY, Push, asset_name, attempt_key
from airflow_provider_minimax.callbacks.throttle import AT_ONCE, DELAY_SECONDS
from tests.callbacks.conftest import needs_record
from tests.callbacks.flood import CONNECTIONS
from tests.standalone.airflow_up import TRIGGERER, Airflow, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("api server")]

CONN_ID = "minimax_default"
SECRET = uuid4().hex


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Sign as the API server does."""
    monkeypatch.setenv("AIRFLOW__MINIMAX__CALLBACK_SECRET", SECRET)
    address._keys.cache_clear()
    yield SECRET
    address._keys.cache_clear()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    changes = {**TRIGGERER, "MINIMAX__CALLBACK_SECRET": SECRET}
    with Airflow(tmp_path_factory.mktemp("callbacks"), Path(__file__).parent / "dags", changes) as airflow:
        yield airflow


@pytest.fixture
def airflow(running: Airflow) -> Airflow:
    """Airflow with an emulator that sold nothing yet, whose jobs go on when the test says so."""
    running.emulator.reset()
    running.emulator.configure(lifecycle="manual")
    return running


@pytest.fixture
def attempt() -> str:
    return uuid4().hex


def url_of(airflow: Airflow, attempt: str, port: int | None = None) -> str:
    return f"http://127.0.0.1:{port or airflow.port}{URL_PREFIX}{CALLBACK_PATH}{token_of(CONN_ID, attempt)}"


def buy(airflow: Airflow, callback_url: str, platform: str = "minimax") -> str:
    """Buy a clip as a worker does, and return its id."""
    order: dict[str, Any] = {"model": "MiniMax-Hailuo-2.3", "prompt": "a fox", "callback_url": callback_url}
    answer = httpx.post(
        f"{airflow.emulator.base_url(platform)}/v1/video_generation",
        json=order,
        headers={"Authorization": f"Bearer {airflow.emulator.api_key(platform)}"},
        timeout=30,
        trust_env=False,
    )
    return answer.json()["task_id"]


def asset(airflow: Airflow) -> dict[str, Any] | None:
    pattern = {"name_pattern": asset_name(CONN_ID)}
    found = airflow.api.get("/api/v2/assets", params=pattern).raise_for_status().json()["assets"]
    return found[0] if found else None


def recorded(airflow: Airflow, key: str) -> list[Push]:
    """Return what the record has under a key, as the API server shows it."""
    found = asset(airflow)
    if found is None:
        return []
    answer = airflow.api.get(f"/api/v2/assets/{found['id']}/state-store/{key}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return []
    value = answer.raise_for_status().json()["value"]
    pushes = [Push.from_json(one) for one in (json.loads(value) if isinstance(value, str) else value)]
    return [push for push in pushes if push]


def events(airflow: Airflow) -> list[dict[str, Any]]:
    found = asset(airflow)
    if found is None:
        return []
    parameters = {"asset_id": found["id"], "limit": 1000}

    def answer() -> httpx.Response | None:
        # Airflow 3.3.2 answers with 500 while a run that an event is for has not begun.
        answer = airflow.api.get("/api/v2/assets/events", params=parameters)
        return answer if answer.is_success else None

    return [event["extra"] for event in until("the events are shown", answer).json()["asset_events"]]


def events_of(airflow: Airflow, attempt: str) -> list[dict[str, Any]]:
    return [extra for extra in events(airflow) if extra["attempt"] == attempt]


def consumed(airflow: Airflow) -> list[dict[str, Any]]:
    """Return the events that the runs of the DAG which is scheduled on the asset were started for."""
    path = "/api/v2/dags/after_a_clip/dagRuns"
    runs = airflow.api.get(path, params={"state": "success"}).raise_for_status().json()["dag_runs"]
    result = "taskInstances/say_what_for/xcomEntries/return_value"
    return [
        extra
        for run in runs
        for extra in airflow.api.get(f"{path}/{run['dag_run_id']}/{result}").raise_for_status().json()["value"]
    ]


def test_a_clip_that_is_ready_starts_the_dag_that_waits_for_it(airflow, attempt):
    until("the DAG's asset is known", lambda: asset(airflow))
    task_id = buy(airflow, url_of(airflow, attempt))
    airflow.emulator.set_job(task_id, "success")
    until("the DAG has run", lambda: [extra for extra in consumed(airflow) if extra["attempt"] == attempt])
    (extra,) = events_of(airflow, attempt)
    assert extra == {
        "minimax_task_id": task_id,
        "status": "success",
        "state": "succeeded",
        "attempt": attempt,
        "minimax_conn_id": CONN_ID,
    }


@needs_record
def test_a_push_is_read_by_workers_and_triggerers_and_forgotten_on_demand(airflow, attempt):
    task_id = buy(airflow, url_of(airflow, attempt))
    until("the push is recorded", lambda: recorded(airflow, attempt_key(attempt)))
    run = airflow.trigger("read_pushes", attempt=attempt)
    until("the DAG has run", lambda: run.is_over)
    assert run.state == "success"
    (in_worker,) = run.xcoms("in_worker")["return_value"]
    assert (in_worker["minimax_task_id"], in_worker["state"], in_worker["attempt"]) == (task_id, "running", attempt)
    assert in_worker in run.xcoms("in_triggerer")["return_value"]
    assert run.xcoms("forget")["return_value"] == []
    assert recorded(airflow, attempt_key(attempt)) == []


@needs_record
def test_pushes_that_come_twice_late_and_out_of_order_are_one_event(airflow, attempt):
    airflow.emulator.fault("repeated_push", operation="push", times=-1)
    task_id = buy(airflow, url_of(airflow, attempt))
    until("the first pushes are recorded", lambda: recorded(airflow, attempt_key(attempt)))
    airflow.emulator.set_job(task_id, "success")
    until("all are posted", lambda: len(airflow.emulator.pushes) == 4)
    assert [push["answer"] for push in airflow.emulator.pushes] == [200] * 4
    assert len(events_of(airflow, attempt)) == 1
    (push,) = [push for push in recorded(airflow, RECENT_KEY) if push.attempt == attempt]
    assert (push.minimax_task_id, str(push.state)) == (task_id, "succeeded")


def test_lost_pushes_are_no_event_and_no_error(airflow, attempt):
    airflow.emulator.fault("lost_push", operation="push", times=2)
    task_id = buy(airflow, url_of(airflow, attempt))
    until("one push is lost", lambda: [fault["times"] for fault in airflow.emulator.state["faults"]] == [1])
    airflow.emulator.set_job(task_id, "success")
    until("the other is lost too", lambda: airflow.emulator.state["faults"] == [])
    assert events_of(airflow, attempt) == []


def test_an_address_that_is_not_ours_is_refused_before_anything_is_bought(airflow, attempt):
    assert buy(airflow, url_of(airflow, attempt)[:-1] + "!") == ""
    assert airflow.emulator.purchases == []


def test_no_log_of_airflow_has_a_token(airflow, attempt):
    url = url_of(airflow, attempt)
    task_id = buy(airflow, url)
    airflow.emulator.set_job(task_id, "success")
    until("the event is there", lambda: events_of(airflow, attempt) or asset(airflow) is None)
    token = url.rpartition("/")[2]
    logs = [path for path in airflow.folder.rglob("*.log") if path.is_file()]
    assert logs
    assert [path.name for path in logs if token[:30].encode() in path.read_bytes()] == []
    assert f"{URL_PREFIX}{CALLBACK_PATH}".encode() in (airflow.folder / "airflow.log").read_bytes()


FLOOD = 1000
FLOOD_SECONDS = 10.0


def bodies(count: int) -> list[str]:
    return [json.dumps({"task_id": str(number), "status": "success", "file_id": "1"}) for number in range(1, count + 1)]


def count_events(airflow: Airflow) -> int:
    found = asset(airflow)
    assert found is not None
    parameters = {"asset_id": found["id"], "limit": 1}
    answer = until(
        "events", lambda: (it := airflow.api.get("/api/v2/assets/events", params=parameters)).is_success and it
    )
    return answer.json()["total_entries"]


@dataclass(frozen=True)
class Flooded:
    """What a flood was answered, and what the API server did meanwhile."""

    answers: dict[str, int]
    seconds: float
    health: list[float]
    memory: list[int]
    idle: float
    """The share of the machine's processors that nobody needed."""

    @property
    def answered(self) -> int:
        return sum(self.answers.values())

    @property
    def median(self) -> float:
        return self.health[len(self.health) // 2]

    @property
    def p95(self) -> float:
        return self.health[len(self.health) * 95 // 100]

    def __str__(self) -> str:
        return (
            f"{self.answers} in {self.seconds:.1f} s; health p50 {self.median:.3f} s, p95 {self.p95:.3f} s, "
            f"max {self.health[-1]:.3f} s of {len(self.health)}; "
            f"memory {self.memory[0] / 2**20:.0f} to {max(self.memory) / 2**20:.0f} MiB; {self.idle:.0%} idle"
        )


def flooded(airflow: Airflow, requests: list[tuple[str, str]]) -> Flooded:
    """Offer a thousand posts a second for ten seconds, and ask the API server meanwhile how it is."""

    def memory() -> int:
        return sum(process.memory_info().rss for process in airflow.oldest("api-server"))

    task = {"host": "127.0.0.1", "port": airflow.port, "requests": requests, "per_second": FLOOD}
    used, waits, times = [memory()], [], psutil.cpu_times()
    attack = subprocess.Popen(
        [sys.executable, "-m", "tests.callbacks.flood"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert attack.stdin is not None
    json.dump(task | {"seconds": FLOOD_SECONDS}, attack.stdin)
    attack.stdin.close()
    while attack.poll() is None:
        began = time.monotonic()
        assert airflow.api.get("/api/v2/monitor/health").is_success
        waits.append(time.monotonic() - began)
        used.append(memory())
        time.sleep(0.2)
    assert attack.stdout is not None
    result = json.loads(attack.stdout.read())
    spent = [after - before for before, after in zip(times, psutil.cpu_times(), strict=True)]
    idle = spent[times._fields.index("idle")] / sum(spent)
    return Flooded(result["answers"], result["seconds"], sorted(waits), used, idle)


@pytest.fixture(scope="module")
def flooded_elsewhere(running: Airflow) -> Flooded:
    """Flood an address that Airflow does not know, which is what any API server has to bear: the yardstick."""
    # The first task of all makes the API server busy for seconds.
    run = running.trigger("after_a_clip")
    until("a first task has run", lambda: run.is_over)
    return flooded(running, [("/nothing/at/all", body) for body in bodies(100)])


@pytest.mark.parametrize("kind", ["forged", "leaked", "genuine"])
def test_a_thousand_pushes_a_second_leave_the_api_server_well(airflow, kind, flooded_elsewhere, report):
    """Forged tokens; one leaked token with invented tasks; a token for each push."""
    path = f"{URL_PREFIX}{CALLBACK_PATH}"
    one, tokens = token_of(CONN_ID, uuid4().hex), [token_of(CONN_ID, uuid4().hex) for _ in range(5000)]
    requests = {
        "forged": [(f"{path}{token[:-4]}AAAA", body) for token, body in zip(tokens, bodies(5000), strict=True)],
        "leaked": [(f"{path}{one}", body) for body in bodies(5000)],
        "genuine": [(f"{path}{token}", body) for token, body in zip(tokens, bodies(5000), strict=True)],
    }[kind]
    known = count_events(airflow)
    flood = flooded(airflow, requests)
    report(f"{kind}: {flood}; events {count_events(airflow) - known}\n  an unknown address: {flooded_elsewhere}")
    assert max(flood.memory) - flood.memory[0] < 100 * 2**20
    # The longest wait is for people to read: it says as much of the machine as of the server.
    assert flood.median < 1
    if kind == "genuine":
        return
    # However fast the machine is: each of the flood's connections waits a second for an answer.
    assert flood.answered <= 2 * AT_ONCE + CONNECTIONS * (flood.seconds + 1) / DELAY_SECONDS
    # However slow it is: no more of a burden than the same flood at an address that nobody serves.
    assert flood.median <= max(0.2, flooded_elsewhere.median)
    assert flood.p95 <= max(1, 2 * flooded_elsewhere.p95)
