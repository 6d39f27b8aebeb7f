"""Callbacks where others are in the way: PostgreSQL, nginx, two API servers behind it, two triggerers, and Celery."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from airflow_provider_minimax.callbacks import address
from airflow_provider_minimax.callbacks.address import CALLBACK_PATH, URL_PREFIX, token_of
from airflow_provider_minimax.callbacks.record import asset_name
from tests.callbacks.conftest import needs_record, v1
from tests.callbacks.deployment import API_SERVERS, Deployment, missing_parts
from tests.standalone.airflow_up import TRIGGERER, Run, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("production"), needs_record]

DEFAULTS = {"WORKERS__MIN_HEARTBEAT_INTERVAL": "5", "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1"}
"""What matters for how soon a task is resumed, as Airflow has it by default."""
COUNT = 10
SECRET = uuid4().hex
WRONG = ("deadlock", "could not serialize", "QueuePool limit", "lost:", "are lost", "IntegrityError")
"""What neither PostgreSQL nor an API server should say."""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Sign as the workers do."""
    monkeypatch.setenv("AIRFLOW__MINIMAX__CALLBACK_SECRET", SECRET)
    address._keys.cache_clear()
    yield SECRET
    address._keys.cache_clear()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    if missing := missing_parts():
        pytest.fail(f"These tests need what is not installed here: {'; '.join(missing)}")
    changes = {**TRIGGERER, **DEFAULTS, "MINIMAX__CALLBACK_SECRET": SECRET}
    with Deployment(tmp_path_factory.mktemp("production"), Path(__file__).parent / "dags", changes) as deployment:
        yield deployment


@pytest.fixture
def airflow(deployment: Deployment) -> Iterator[Deployment]:
    """Airflow with an emulator that sold nothing yet, whose jobs end when the test says so; and nothing goes wrong."""
    deployment.emulator.reset()
    deployment.emulator.configure(lifecycle="manual")
    yield deployment
    said = deployment.database.log + "".join(deployment.log_of(name).read_text() for name in API_SERVERS)
    assert [line for line in said.splitlines() if any(word in line for word in WRONG)] == []


def waiting(run: Run, count: int) -> bool:
    with suppress(httpx.HTTPError):
        return run.count("deferred") == count
    return False


def is_over(run: Run) -> bool:
    with suppress(httpx.HTTPError):
        return run.is_over
    return False


def event_extras(airflow: Deployment, conn_id: str = "minimax_default") -> list[dict[str, Any]]:
    pattern = {"name_pattern": asset_name(conn_id)}
    (asset,) = airflow.api.get("/api/v2/assets", params=pattern).raise_for_status().json()["assets"]

    def answer() -> httpx.Response | None:
        # Airflow 3.3.2 answers with 500 while a run that an event is for has not begun.
        answer = airflow.api.get("/api/v2/assets/events", params={"asset_id": asset["id"], "limit": 1000})
        return answer if answer.is_success else None

    return [event["extra"] for event in until("the events are shown", answer).json()["asset_events"]]


def events_of_purchases(airflow: Deployment) -> Counter[str]:
    """Return how many asset events each clip has that the emulator sold."""
    bought = {purchase["task_id"] for purchase in airflow.emulator.purchases}
    return Counter(task_id for extra in event_extras(airflow) if (task_id := extra["minimax_task_id"]) in bought)


def pushes_at(airflow: Deployment) -> dict[str, int]:
    return {name: airflow.pushes_at(name) for name in API_SERVERS}


def end(airflow: Deployment, task_ids: list[str]) -> dict[str, float]:
    """End these clips, one each two seconds, and return when each one did."""
    done = {}
    for task_id in task_ids:
        airflow.emulator.set_job(task_id, "success")
        done[task_id] = time.time()
        time.sleep(2)
    return done


def bought(airflow: Deployment) -> list[str]:
    return [purchase["task_id"] for purchase in airflow.emulator.purchases]


def latencies(run: Run, done: dict[str, float]) -> list[float]:
    back = {path.stem: json.loads(path.read_text()) for path in run.folder.glob("*.resumed") if path.read_text()}
    assert back.keys() == done.keys()
    return sorted(moment - done[task_id] for task_id, moment in back.items())


def test_both_api_servers_write_to_one_record(airflow, report):
    """The same pushes at both at the same time, the first of a connection among them: one event for each attempt."""
    conn_id, attempts = f"minimax_{uuid4().hex[:12]}", [uuid4().hex for _ in range(100)]
    urls = [f"http://127.0.0.1:{port}{URL_PREFIX}{CALLBACK_PATH}" for port in airflow.servers.values()]

    client = httpx.Client(timeout=30, trust_env=False)

    def push(url: str, number: int, status: str) -> int:
        return client.post(url + token_of(conn_id, attempts[number]), json=v1(str(number + 1), status)).status_code

    posted = [(url, number, status) for number in range(100) for status in ("success", "running") for url in urls]
    began = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(lambda one: push(*one), posted))
    took = time.monotonic() - began
    report(f"{len(posted)} pushes at two API servers, 16 at a time: {dict(answers)} in {took:.1f} s")
    assert answers.keys() <= {200, 503}
    # A platform may post again what was refused, and so does this.
    for number in range(100):
        until("it is recorded", lambda: push(urls[0], number, "success") == 200)  # noqa: B023 - called at once
    assert Counter(extra["attempt"] for extra in event_extras(airflow, conn_id)) == dict.fromkeys(attempts, 1)


def test_whatever_is_posted_without_a_token_no_api_server_is_taken_out_of_service(airflow, report):
    """A proxy that sees a server break off or refuse may stop asking it, for the UI and the workers too."""
    url = f"http://127.0.0.1:{airflow.port}{URL_PREFIX}{CALLBACK_PATH}"
    forged = [f"{url}{token_of('minimax_default', uuid4().hex)[:-4]}AAAA" for _ in range(300)]
    body = b'{"task_id": "' + b"1" * 60_000 + b'"}'
    with httpx.Client(timeout=30, trust_env=False) as client, ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda one: client.post(one, content=body).status_code, forged)
        health = [airflow.api.get("/api/v2/monitor/health").status_code for _ in range(20)]
        got = Counter(answers)
    report(f"{len(forged)} forged posts of 60 kB through nginx: {dict(got)}")
    assert set(health) == {200}
    assert got.keys() <= {404, 503}


def test_clips_are_back_within_seconds_whichever_api_server_gets_their_pushes(airflow, report):
    before = pushes_at(airflow)
    airflow.emulator.fault("repeated_push", operation="push", times=-1)
    run = airflow.trigger("pushed_60", count=COUNT)
    until("all wait", lambda: waiting(run, COUNT), 300)
    done = end(airflow, bought(airflow))
    until("the run is over", lambda: is_over(run), 300)
    assert run.state == "success"
    late = latencies(run, done)
    polls = statistics.mean(job["polls"] for job in airflow.emulator.jobs)
    got = {name: number - before[name] for name, number in pushes_at(airflow).items()}
    report(
        f"PostgreSQL, nginx, two API servers: {COUNT} clips, done to resumed p50 {statistics.median(late):.1f} s, "
        f"p95 {late[int(0.95 * COUNT)]:.1f} s, max {late[-1]:.1f} s; {polls:.2f} polls a clip; pushes {got}"
    )
    assert len(airflow.emulator.purchases) == len(list(run.folder.glob("*.mp4"))) == COUNT
    assert min(got.values()) >= COUNT
    assert events_of_purchases(airflow) == dict.fromkeys(done, 1)
    assert {push["answer"] for push in airflow.emulator.pushes} == {200}
    # At a poll a minute half of those without a push are later.
    assert statistics.median(late) < 15


def test_tasks_whose_clips_end_as_soon_as_they_have_deferred_succeed_at_the_first_try(airflow):
    """The scheduler hears of a worker's end through Celery and its database."""
    airflow.emulator.configure(lifecycle="polls", polls=2)
    run = airflow.trigger("soon", count=20)
    until("the run is over", lambda: is_over(run), 300)
    assert (run.state, len(airflow.emulator.purchases)) == ("success", 20)


def test_pushes_go_on_while_an_api_server_and_a_triggerer_are_dead(airflow, report):
    airflow.emulator.fault("reordered_push", operation="push", times=-1)
    run = airflow.trigger("pushed_60", count=COUNT)
    until("all wait", lambda: waiting(run, COUNT), 300)
    airflow.kill("api-server-2")
    airflow.kill("triggerer-1")
    before = airflow.pushes_at("api-server-1")
    done = end(airflow, bought(airflow))
    until("the run is over", lambda: is_over(run), 300)
    assert run.state == "success"
    late = latencies(run, done)
    report(
        f"one API server and one triggerer killed: {COUNT} clips, done to resumed p50 {statistics.median(late):.1f} s, "
        f"max {late[-1]:.1f} s; pushes at the other API server {airflow.pushes_at('api-server-1') - before}"
    )
    assert len(airflow.emulator.purchases) == len(list(run.folder.glob("*.mp4"))) == COUNT
    assert {push["answer"] for push in airflow.emulator.pushes} == {200}
    assert events_of_purchases(airflow) == dict.fromkeys(done, 1)
    airflow.start("api-server-2")
    airflow.start("triggerer-1")
    until("both API servers answer", lambda: airflow.answers("api-server-2"), 120)


def test_a_lost_answer_is_found_by_a_push_that_another_api_server_got(airflow, report):
    """Workers ask one API server, pushes come to the other one."""
    airflow.emulator.configure(lifecycle="time", seconds=5.0)
    with airflow.proxy_splits("api-server-2"):
        before = pushes_at(airflow)
        run = airflow.trigger("killed", count=5)
        until("the run is over", lambda: is_over(run), 300)
        after = pushes_at(airflow)
    got = {name: after[name] - before[name] for name in API_SERVERS}
    report(f"killed between request and answer: 5; purchases {len(airflow.emulator.purchases)}; pushes {got}")
    assert (run.state, len(airflow.emulator.purchases), len(list(run.folder.glob("*.mp4")))) == ("success", 5, 5)
    assert got["api-server-1"] == 0
    assert got["api-server-2"] >= 10
    receipts = [json.loads(path.read_text())["minimax_task_id"] for path in run.folder.glob("*.receipt.json")]
    assert sorted(receipts) == sorted(bought(airflow))


def test_no_log_has_a_token(airflow):
    """The proxy's logs neither, though an API server was dead."""
    token_start = token_of("minimax_", "x")[:12].encode()
    assert [path.name for path in airflow.logs if token_start in path.read_bytes()] == []
