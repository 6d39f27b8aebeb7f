"""``airflow minimax callback-test`` sends what a platform would, and says what is wrong in plain words."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_provider_minimax.__main__ import main
from airflow_provider_minimax.callbacks import address, probe
from airflow_provider_minimax.emulator import Emulator
from tests.callbacks.conftest import serving

BASE_URL = "AIRFLOW__MINIMAX__CALLBACK_BASE_URL"


@pytest.fixture(autouse=True)
def _own_process_context(monkeypatch):
    """The commands set it for their process, which here is that of all tests."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")


@pytest.fixture
def said(capsys, monkeypatch):
    """Run the command for a base URL; return its exit code and what it printed."""

    def run(base_url: str) -> tuple[int, str]:
        monkeypatch.setenv(BASE_URL, base_url)
        capsys.readouterr()
        code = 0
        try:
            main(["callback-test"])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out + err

    return run


@contextmanager
def answering(status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, after: float = 0):
    """Something that is no receiver."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(after)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_receiver_that_platforms_can_reach_passes(airflow_db, said):
    with serving() as server:
        code, text = said(server.url)
    assert code == 0
    assert f"The receiver at {server.url} echoed the challenge after 0." in text
    assert "not https" in text


def test_callbacks_that_are_off_are_explained(said):
    assert said("") == (1, "Callbacks are off: [minimax] callback_base_url is not set here.\n")


def test_a_wrong_base_url_is_explained(said):
    code, text = said("airflow.example.com")
    assert code == 1
    assert "[minimax] callback_base_url: must be an absolute URL" in text


def test_another_secret_is_explained(airflow_db, said, monkeypatch):
    """The command signs with its own secret, and the receiver, a process of its own elsewhere, has another."""
    with serving() as server:
        sign = address.token_of

        def signed_elsewhere(conn_id: str, attempt: str) -> str:
            head, _, signature = sign(conn_id, attempt).partition(".")
            return f"{head}.{signature[::-1]}"

        monkeypatch.setattr(address, "token_of", signed_elsewhere)
        code, text = said(server.url)
    assert code == 1
    assert "does not accept the token. It was made with another secret" in text


def test_a_path_that_leads_elsewhere_is_explained(airflow_db, said):
    with serving() as server:
        code, text = said(f"{server.url}/elsewhere")
    assert code == 1
    assert text.startswith(f"No receiver at {server.url}/elsewhere/minimax/callback.")


def test_a_path_of_the_api_servers_own_that_is_missing_is_named(airflow_db, said, monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/airflow/")
    with answering(404, b"<html>") as url:
        code, text = said(url)
        assert (code, "[api] base_url has /airflow, which is missing here." in text) == (1, True)
        _, text = said(f"{url}/airflow")
    assert "the API server's own base URL may have one." in text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (405, "No receiver at"),
        (401, "asks for a login (401)"),
        (403, "asks for a login (403)"),
        (302, "redirects (302)"),
        (500, "answers with an error (500)"),
        # What nginx says if the API server is down, and what it says to plain HTTP at a port for https.
        (502, "What stands before the API server answers (502) and does not reach it."),
        (400, "It may want https"),
        (200, "did not echo it"),
    ],
)
def test_what_else_answers_there_is_explained(said, status, words):
    with answering(status, b"<html>", {"Location": "https://elsewhere.example/"}) as url:
        code, text = said(url)
    assert code == 1
    assert words in text


@pytest.mark.parametrize("body", [b"[" * 60_000, b"{}", b'{"challenge": "another"}', b" " * 10**6, b"\xff"])
def test_a_wrong_echo_is_explained(said, body):
    with answering(200, body) as url:
        code, text = said(url)
    assert code == 1
    assert "did not echo it" in text


def test_a_name_that_nobody_knows_is_explained(said):
    assert said("http://airflow.invalid") == (
        1,
        "DNS: nobody knows the name 'airflow.invalid'. Correct [minimax] callback_base_url, or the name's record.\n",
    )


def test_a_port_at_which_nobody_listens_is_explained(said):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        code, text = said(f"http://127.0.0.1:{port}")
    assert code == 1
    assert text.startswith(f"Refused: nothing listens at 127.0.0.1:{port}.")


def test_a_certificate_that_is_not_trusted_is_explained(said):
    with Emulator(tls=True) as emulator:
        code, text = said(emulator.url)
    assert code == 1
    assert text.startswith("TLS: the certificate of 127.0.0.1:")


def test_https_where_plain_http_is_spoken_is_explained(said):
    with answering() as url:
        code, text = said(url.replace("http:", "https:"))
    assert code == 1
    assert text.startswith("TLS: no secure connection to 127.0.0.1:")


def test_an_echo_that_takes_too_long_for_the_platforms_is_explained(airflow_db, said, monkeypatch):
    monkeypatch.setattr(probe, "PLATFORMS_WAIT", 0.0)
    with serving() as server:
        code, text = said(server.url)
    assert code == 1
    assert text.startswith("Too slow: the echo took ")


def test_a_server_that_never_answers_is_explained(said, monkeypatch):
    monkeypatch.setattr(probe, "_WE_WAIT", 0.3)
    with answering(after=2) as url:
        code, text = said(url)
    assert code == 1
    assert text.startswith("Too slow: no answer within")


def test_no_message_has_the_token(airflow_db, said, monkeypatch):
    made = []
    real = address.token_of
    monkeypatch.setattr(address, "token_of", lambda *of: made.append(real(*of)) or made[-1])
    with serving() as server, answering(500, b"oops") as broken:
        texts = [said(base_url)[1] for base_url in (server.url, f"{server.url}/elsewhere", broken, "http://a.invalid")]
    assert len(made) == len(texts)
    assert not [text for text in texts for token in made if token[:20] in text]
