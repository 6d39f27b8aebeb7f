"""Without a token nobody learns or changes anything; with one, a post can say that a task is worth asking about."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_minimax.callbacks import receiver as receiver_module
from airflow_provider_minimax.callbacks.address import CALLBACK_PATH, URL_PREFIX, token_of
from airflow_provider_minimax.callbacks.bodies import LONGEST_CHALLENGE
from airflow_provider_minimax.callbacks.record import RECENT_KEY
from tests.callbacks.conftest import SOON, events, needs_record, serving, stored, stored_attempt, v1, v2

FORGED = {
    "nothing": "",
    "a word": "token",
    "another's": "WyJtaW5pbWF4X2RlZmF1bHQiLCJhIiwxNzk1NzE4MTYxXQ.oa15PlaOke0k1Da3bFWaRExG8jFDUJpYHEkpGJMo9cY",
    "a path": "..%2f..%2fapi%2fv2%2fconnections",
    "endless": "a" * 5000,
    "not ASCII": "%e2%98%83.%e2%98%83",
    "control characters": "%00%0d%0a",
}
NO_STATUS = {
    "empty": b"",
    "no JSON": b"<html>",
    "an array": b"[1]",
    "a text": b'"challenge"',
    "nothing in it": b"{}",
    "no status": b'{"task_id": "1"}',
    "no id": b'{"status": "success"}',
    "id is an object": b'{"task_id": {"a": 1}, "status": "success"}',
    "id is true": b'{"task_id": true, "status": "success"}',
    "id is negative": b'{"task_id": -1, "status": "success"}',
    "id is 0": b'{"task_id": "0", "status": "success"}',
    "id is long": json.dumps({"task_id": "1" * 200, "status": "success"}).encode(),
    "id has control characters": b'{"task_id": "1\\u0000\\u001b[2J", "status": "success"}',
    "id is a URL with a signature": b'{"task_id": "https://a.example/?Signature=abcdefgh", "status": "success"}',
    "status is a list": b'{"task_id": "1", "status": ["success"]}',
    "task is a text": b'{"task": "succeeded"}',
    "task is empty": b'{"task": {}}',
    "an endless number": b'{"task_id": ' + b"9" * 10_000 + b', "status": "success"}',
    "not UTF-8": b'{"task_id": "\xff", "status": "success"}',
    "nested arrays": b'{"task": ' + b"[" * 60_000,
    "nested objects": b'{"task": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    "compressed": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}
NO_CHALLENGE = {
    "a number": 1,
    "null": None,
    "empty": "",
    "an object": {"a": 1},
    "a list": ["a"],
    "one too long": "a" * (LONGEST_CHALLENGE + 1),
}


def is_bare_404(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.content) == (404, b"") and "content-type" not in answer.headers


@pytest.mark.parametrize("challenge", ["a", "0" * LONGEST_CHALLENGE, "☃", "a\r\nb", '"}'])
def test_a_challenge_is_echoed(server, conn_id, challenge):
    answer = server.push(conn_id, "attempt", {"challenge": challenge})
    assert (answer.status_code, answer.json()) == (200, {"challenge": challenge})


def test_markup_in_a_challenge_is_answered_as_json_which_no_browser_shows(server, conn_id):
    answer = server.push(conn_id, "attempt", {"challenge": "<script>alert(1)</script>"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("challenge", NO_CHALLENGE.values(), ids=NO_CHALLENGE.keys())
def test_what_no_platform_sends_as_a_challenge_is_not_echoed(server, conn_id, challenge):
    assert is_bare_404(server.push(conn_id, "attempt", {"challenge": challenge}))


def test_a_challenge_of_a_megabyte_is_not_echoed(server, conn_id):
    assert is_bare_404(server.push(conn_id, "attempt", {"challenge": "a" * 2**20}))


@needs_record
@pytest.mark.parametrize(
    ("body", "state"),
    [
        (v1("1", "processing"), "running"),
        (v1("1", "success"), "succeeded"),
        (v1("1", "failed"), "failed"),
        (v2("1", "queued"), "pending"),
        (v2("1", "running"), "running"),
        (v2("1", "succeeded"), "succeeded"),
        (v2("1", "cancelled"), "cancelled"),
        ({"id": "1", "status": "completed", "output": [], "error": None}, "succeeded"),
        ({"task_id": 1, "status": "TASK_STATUS_SUCCEED"}, "succeeded"),
        (v1("1", "Rendering"), "unknown"),
    ],
)
def test_a_status_in_any_documented_shape_is_recorded(server, conn_id, body, state):
    assert server.push(conn_id, "attempt", body).status_code == 200
    (push,) = stored_attempt(conn_id, "attempt")
    assert (push.minimax_task_id, str(push.state), push.attempt) == ("1", state, "attempt")
    assert stored(conn_id, RECENT_KEY) == (push,)


def test_the_end_of_a_task_is_an_event(server, declared):
    for status in ("processing", "success", "success"):
        assert server.push(declared, "attempt", v1("1", status)).status_code == 200
    assert [event["minimax_task_id"] for event in events(declared)] == ["1"]


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_gets_a_bare_404_and_changes_nothing(server, declared, token):
    assert is_bare_404(server.post(token, {"challenge": "a"}))
    assert is_bare_404(server.post(token, v1("1", "success")))
    assert events(declared) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_nothing_but_a_post_is_answered(server, conn_id, method):
    assert is_bare_404(httpx.request(method, server.callback_url(token_of(conn_id, "attempt")), trust_env=False))


@pytest.mark.parametrize("path", ["", "/", "/callback", "/callback/", "/docs", "/openapi.json", "/callback/{}/", "/{}"])
def test_nothing_else_is_served_there(server, conn_id, path):
    url = f"{server.url}{URL_PREFIX}{path.format(token_of(conn_id, 'attempt'))}"
    assert is_bare_404(httpx.post(url, json={"challenge": "a"}, trust_env=False, follow_redirects=True))


@pytest.mark.parametrize("content", NO_STATUS.values(), ids=NO_STATUS.keys())
def test_a_body_that_says_nothing_is_a_bare_404_and_changes_nothing(server, declared, content):
    assert is_bare_404(server.post(token_of(declared, "attempt"), content=content))
    assert events(declared) == []


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_is_too_long_is_not_read_to_its_end(server, conn_id, monkeypatch, chunked):
    """A client that sends more than 64 KiB is answered before it is done."""
    monkeypatch.setattr(receiver_module, "SECONDS_TO_SEND", 2 * SOON)
    url = urlsplit(server.callback_url(token_of(conn_id, "attempt")))
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {10**12}"
    size = receiver_module.LARGEST_BODY + 1
    with socket.create_connection((url.hostname, url.port), SOON) as client:
        client.sendall(f"POST {url.path} HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n".encode())
        client.sendall((f"{size:x}\r\n".encode() if chunked else b"") + b" " * size)
        assert client.recv(1000).startswith(b"HTTP/1.1 404")
        assert client.recv(1000) == b""


def test_a_body_that_trickles_in_is_dropped(server, conn_id, monkeypatch):
    monkeypatch.setattr(receiver_module, "SECONDS_TO_SEND", 0.3)
    url = urlsplit(server.callback_url(token_of(conn_id, "attempt")))
    with socket.create_connection((url.hostname, url.port), SOON) as client:
        client.sendall(f"POST {url.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 404")
        assert client.recv(1000) == b""


def test_bodies_that_trickle_in_keep_nobody_else_waiting(server, conn_id, monkeypatch):
    """With a token, clients can hold as many bodies open as are read at once: others are refused, nothing else is."""
    monkeypatch.setattr(receiver_module, "MOST_BODIES", 5)
    url = urlsplit(server.callback_url(token_of(conn_id, "attempt")))
    clients = [socket.create_connection((url.hostname, url.port), SOON) for _ in range(5)]
    try:
        for client in clients:
            client.sendall(f"POST {url.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode())
        deadline = time.monotonic() + SOON
        while (answer := server.push(conn_id, "attempt", {"challenge": "a"})).status_code == 200:
            assert time.monotonic() < deadline
        assert (answer.status_code, answer.content) == (503, b"")
        assert server.health_seconds() < SOON / 2
        assert is_bare_404(server.post("forged", {"challenge": "a"}))
    finally:
        for client in clients:
            client.close()
    deadline = time.monotonic() + SOON
    while server.push(conn_id, "attempt", {"challenge": "a"}).status_code != 200:
        assert time.monotonic() < deadline


@needs_record
def test_a_push_only_ever_concerns_the_connection_and_attempt_of_its_token(server, airflow_db):
    server.push("minimax_one", "attempt-of-one", v1("1", "processing"))
    server.push("minimax_two", "attempt-of-two", v1("1", "success"))
    (one,) = stored_attempt("minimax_one", "attempt-of-one")
    assert str(one.state) == "running"
    assert stored_attempt("minimax_one", "attempt-of-two") == ()


@needs_record
def test_a_replayed_push_never_reaches_the_database_again(server, conn_id, mocker):
    written = mocker.spy(receiver_module.Recorder, "_write")
    for _ in range(20):
        assert server.push(conn_id, "attempt", v1("1", "success")).status_code == 200
    assert written.call_count == 1


def test_a_database_that_is_down_refuses_pushes_and_echoes_challenges(server, conn_id, mocker):
    from sqlalchemy.exc import OperationalError

    from airflow_provider_minimax.callbacks import recorder

    down = mocker.patch.object(recorder, "record_pushes", side_effect=OperationalError("", {}, Exception("down")))
    assert server.push(conn_id, "attempt", v1("1", "success")).status_code == 503
    assert server.push(conn_id, "attempt", {"challenge": "a"}).status_code == 200
    mocker.stop(down)
    assert server.push(conn_id, "attempt", v1("1", "success")).status_code == 200


def test_a_database_that_is_slow_keeps_no_challenge_waiting(server, conn_id, mocker):
    import threading

    from airflow_provider_minimax.callbacks import recorder

    go_on = threading.Event()
    mocker.patch.object(recorder, "record_pushes", side_effect=lambda *_: go_on.wait(SOON))
    mocker.patch.object(recorder, "SECONDS_TO_RECORD", 0.2)
    try:
        assert server.push(conn_id, "attempt", v1("1", "success")).status_code == 503
        began = time.monotonic()
        assert server.push(conn_id, "attempt", {"challenge": "a"}).status_code == 200
        assert time.monotonic() - began < SOON / 2
    finally:
        go_on.set()


def test_pushes_beyond_what_can_wait_are_refused(airflow_db, conn_id, mocker):
    import threading

    from airflow_provider_minimax.callbacks import recorder

    go_on = threading.Event()
    mocker.patch.object(recorder, "record_pushes", side_effect=lambda *_: go_on.wait(SOON))
    mocker.patch.object(recorder, "SECONDS_TO_RECORD", 0.05)
    mocker.patch.object(recorder, "MOST_WAITING", 3)
    put = mocker.spy(recorder.queue.Queue, "put_nowait")
    try:
        with serving() as server:
            answers = [server.push(conn_id, f"attempt-{number}", v1("1", "success")) for number in range(8)]
    finally:
        go_on.set()
    assert {answer.status_code for answer in answers} == {503}
    assert [type(error) for error in [put.spy_exception]] == [recorder.queue.Full]


def test_no_log_of_the_server_has_a_token(server, conn_id, caplog):
    import logging

    tokens = [token_of(conn_id, f"attempt-{number}") for number in range(3)]
    for name in ("uvicorn.access", "uvicorn.error", "airflow_provider_minimax"):
        logging.getLogger(name).addHandler(caplog.handler)
    caplog.set_level(logging.DEBUG)
    try:
        server.post(tokens[0], {"challenge": "a"})
        server.post(tokens[1], content=b"nothing")
        httpx.get(server.callback_url(tokens[2]), trust_env=False)
    finally:
        for name in ("uvicorn.access", "uvicorn.error", "airflow_provider_minimax"):
            logging.getLogger(name).removeHandler(caplog.handler)
    # The client of this test logs too.
    servers = [record for record in caplog.records if not record.name.startswith("httpx")]
    lines = [record.getMessage() for record in servers if record.name == "uvicorn.access"]
    assert len(lines) == 3
    assert all(f"{URL_PREFIX}{CALLBACK_PATH}" in line for line in lines)
    assert not [record for record in servers for token in tokens if token[:20] in record.getMessage()]
