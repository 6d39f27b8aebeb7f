"""Clients that hold connections open and send nothing of use, against the receiver that runs alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest

from airflow_provider_minimax.callbacks import connection, receiver
from airflow_provider_minimax.callbacks.address import token_of
from airflow_provider_minimax.callbacks.connection import BoundedConnection
from airflow_provider_minimax.callbacks.receiver import Receiver
from tests.callbacks.conftest import SOON, Server, serving

MOST = 5


@pytest.fixture
def server(airflow_db: None) -> Iterator[Server]:
    with serving(Receiver(), http=BoundedConnection) as server:
        yield server


def connected(server: Server) -> socket.socket:
    url = urlsplit(server.url)
    return socket.create_connection((url.hostname, url.port), SOON)


def answer(client: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    received = b""
    while piece := client.recv(4096):
        received += piece
    return received


@pytest.mark.parametrize("sent", [b"", b"POST /callback/a HTTP/1.1\r\nHost: a\r\nX-Slow: "], ids=["nothing", "headers"])
def test_a_client_that_never_ends_its_headers_is_dropped(server, monkeypatch, sent):
    monkeypatch.setattr(connection, "SECONDS_FOR_HEADERS", 0.2)
    with connected(server) as client:
        client.sendall(sent)
        assert answer(client) == b""


def request(token: str, content: bytes = b'{"challenge": "a"}') -> bytes:
    return f"POST /callback/{token} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def test_a_client_that_begins_a_second_request_and_never_ends_it_is_dropped(server, conn_id, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS_FOR_HEADERS", 1)
    with connected(server) as client:
        client.sendall(request(token_of(conn_id, "attempt")) + b"POST /call")
        received = answer(client)
    assert received.count(b"HTTP/1.1 200") == received.count(b"HTTP/1.1") == 1


def test_a_request_that_takes_longer_to_answer_is_answered(server, conn_id, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS_FOR_HEADERS", 1)
    head, content = request(token_of(conn_id, "attempt")).split(b"{")
    with connected(server) as client:
        client.sendall(head)
        client.settimeout(2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(SOON)
        client.sendall(b"{" + content)
        assert answer(client).startswith(b"HTTP/1.1 200")


def test_endless_headers_are_not_kept(server):
    with connected(server) as client, suppress(ConnectionError):
        client.sendall(b"POST /callback/a HTTP/1.1\r\nHost: a\r\n")
        for _ in range(64):
            client.sendall(1024 * (b"X: " + b"a" * 1000 + b"\r\n"))
        pytest.fail("64 MiB of headers were taken")


def test_clients_that_only_hold_connections_open_keep_nobody_out(server, conn_id, monkeypatch):
    """Each connection too many closes the oldest that has no request."""
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", MOST)
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(connected(server)) for _ in range(3 * MOST)]
        for _ in range(MOST):
            assert server.push(conn_id, "attempt", {"challenge": "a"}).json() == {"challenge": "a"}
        for client in clients[: 2 * MOST]:
            with suppress(ConnectionResetError):
                assert answer(client) == b""


def test_a_connection_with_a_request_is_not_closed_for_others(server, conn_id, monkeypatch):
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", MOST)
    monkeypatch.setattr(receiver, "SECONDS_TO_SEND", SOON)
    head, content = request(token_of(conn_id, "attempt")).split(b"\r\n\r\n")
    with ExitStack() as open_ones:
        busy = [open_ones.enter_context(connected(server)) for _ in range(MOST)]
        for client in busy:
            client.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 100")
        for _ in range(2 * MOST):
            one_more = open_ones.enter_context(connected(server))
        with suppress(ConnectionResetError):
            assert answer(one_more) == b""
        for client in busy:
            client.sendall(content)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
