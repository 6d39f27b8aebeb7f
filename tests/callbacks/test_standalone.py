"""The receiver as a process of its own, and two of them on one database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from airflow_provider_minimax.callbacks.__main__ import main
from airflow_provider_minimax.callbacks.address import token_of
from airflow_provider_minimax.callbacks.record import RECENT_KEY
from tests.callbacks.conftest import SOON, Server, events, needs_record, stored, stored_attempt, v1
from tests.standalone.airflow_up import free_ports

BASE_URL = "AIRFLOW__MINIMAX__CALLBACK_BASE_URL"


@contextmanager
def receiving(count: int) -> Iterator[list[Server]]:
    """Start receivers, each a process, that have the settings of this one."""
    first = free_ports(count)
    environment = os.environ | {BASE_URL: "http://127.0.0.1"}
    command = [sys.executable, "-m", "airflow_provider_minimax.callbacks", "--port"]
    processes = [
        subprocess.Popen(
            [*command, str(first + number)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(count)
    ]
    servers = [Server(f"http://127.0.0.1:{first + number}") for number in range(count)]
    try:
        for server, process in zip(servers, processes, strict=True):
            wait_for(server, process)
        yield servers
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.communicate(timeout=SOON)


def wait_for(server: Server, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 6 * SOON
    while True:
        try:
            assert server.post("forged", {}).status_code == 404
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def until_recorded(server: Server, token: str, body: dict[str, Any]) -> int:
    """Push until the database has taken it, which takes long on a busy machine."""
    deadline = time.monotonic() + 2 * SOON
    while (answer := server.post(token, body)).status_code == 503:
        assert time.monotonic() < deadline
    return answer.status_code


def test_it_records_what_is_pushed(declared):
    with receiving(1) as (server,):
        assert server.push(declared, "attempt", {"challenge": "a"}).json() == {"challenge": "a"}
        assert until_recorded(server, token_of(declared, "attempt"), v1("1", "success")) == 200
    assert [event["minimax_task_id"] for event in events(declared)] == ["1"]


def test_it_keeps_no_endless_headers(airflow_db):
    """As in test_slow_clients, of the process that users start."""
    with receiving(1) as (server,), suppress(ConnectionError):
        url = httpx.URL(server.url)
        with socket.create_connection((url.host, url.port), SOON) as client:
            client.sendall(b"POST /callback/a HTTP/1.1\r\nHost: a\r\n")
            for _ in range(64):
                client.sendall(1024 * (b"X: " + b"a" * 1000 + b"\r\n"))
        pytest.fail("64 MiB of headers were taken")


@needs_record
def test_two_receivers_behind_one_address_lose_and_repeat_nothing(declared):
    """Every status of every clip goes to both at the same time, the last one first to one of them."""
    attempts = [f"attempt-{number}" for number in range(20)]
    with receiving(2) as servers, ThreadPoolExecutor(8) as pool:

        def push(number: int, status: str) -> int:
            token = token_of(declared, attempts[number // 2])
            return until_recorded(servers[number % 2], token, v1(f"{number // 2 + 1}", status))

        for status in ("success", "processing", "success"):
            assert set(pool.map(push, range(40), [status] * 40)) == {200}
    assert sorted(event["attempt"] for event in events(declared)) == sorted(attempts)
    assert {str(push.state) for attempt in attempts for push in stored_attempt(declared, attempt)} == {"succeeded"}
    assert {push.attempt for push in stored(declared, RECENT_KEY)} == set(attempts)


@pytest.mark.parametrize(
    ("base_url", "words"),
    [("", "[minimax] callback_base_url is not set"), ("airflow.example.com", "must be an absolute URL")],
)
def test_it_does_not_start_without_an_address_to_be_reached_at(monkeypatch, capsys, base_url, words):
    monkeypatch.setenv(BASE_URL, base_url)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    assert main([]) == 1
    assert words in capsys.readouterr().err
