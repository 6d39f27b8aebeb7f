"""
Every text that leaves the provider, walked for a key and signatures that went in and were echoed in every way.

The platform is a server of the test's own. Each of its answers repeats the key and signatures in its words, its headers
and its errors, written as JSON, HTML and URLs know to write them; the clip's link leads through a signed redirect.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
import threading
import time
import traceback
from contextlib import suppress
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from airflow_provider_minimax.__main__ import main
from airflow_provider_minimax.delivery.openlineage import lineage_of
from airflow_provider_minimax.exceptions import MinimaxError
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.fakes import HAS_STORE, FakeStore, FakeTaskInstance

KEY = "sk-aB/cD+eF==KEYSECRET0123456789"
SIGNATURE = "SIGSECRET0123456789"
PICTURE = (
    f"https://me:{SIGNATURE}@files.example/storage/v1/object/sign/boat.png?alt=media&token={SIGNATURE}#{SIGNATURE}"
)
CLIP = (
    b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"
    + (72).to_bytes(4, "big")
    + b"moov"
    + bytes(64)
    + b"\0\0\x10\x08mdat"
    + bytes(4096)
)


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(sign):04x}" for sign in text)


def mixed(text: str) -> str:
    return "".join(f"\\u{ord(sign):04X}" if number % 3 else sign for number, sign in enumerate(text))


def in_base64(text: str) -> str:
    return base64.b64encode(f"Bearer {text}".encode()).decode()


# What goes into a JSON text as it is: each writes the same in its own way.
WAYS = {
    "plain": lambda text: text,
    "slashes": lambda text: text.replace("/", "\\/"),
    "escaped": escaped,
    "mixed": mixed,
    "json in json": lambda text: json.dumps(json.dumps({"key": text}))[1:-1],
    "escaped in json in json": lambda text: escaped(text).replace("\\", "\\\\"),
    "percent": lambda text: quote(text, safe=""),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "html": lambda text: "".join(f"&#x{ord(sign):x};" for sign in text),
    "base64": in_base64,
}


def in_all_ways(*ends: str) -> Any:
    """Run a test with each way of writing, and with each end of a task."""
    pairs = [*((ends[0], way) for way in WAYS), *((end, "mixed") for end in ends[1:])]
    return pytest.mark.parametrize(("end", "way"), pairs)


class Platform:
    """A platform, and a file host, that repeat what they were sent; ``way`` is how, ``end`` how a task ends."""

    way = "plain"
    end = "Success"

    def __init__(self) -> None:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                with suppress(OSError):
                    platform.answer(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                with suppress(OSError):
                    platform.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def words(self) -> str:
        """What it says, as it stands within a JSON text."""
        signed = f"https://me:{SIGNATURE}@files.example/a.png?token={SIGNATURE}#{SIGNATURE}"
        write = WAYS[self.way]
        # Signatures in base64 are nobody's echo: the key is what is sent so.
        shown = signed if self.way == "base64" else write(signed)
        return f"bad key {write(KEY)} of {shown} Bearer {write(KEY)} \\u001b[31m \\u202e"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = urlsplit(request.path).path
        link = f"{self.url}/signed?X-Amz-Signature={SIGNATURE}&a=1#{SIGNATURE}".replace("/", "\\/")
        words = self.words
        said = f'"trace_id": "{words}", "{words}": 1, "base_resp": {{"status_code": CODE, "status_msg": "{words}"}}'
        status, kind, more = 200, "application/json", {}
        if path.endswith("/video_generation") and request.command == "POST":
            body = (
                f'{{"task_id": "1790000000001", {said.replace("CODE", "0")}}}'
                if self.end != "Refused"
                else f"{{{said.replace('CODE', '1008')}}}"
            )
        elif path.endswith("/query/video_generation"):
            code = "1027" if self.end == "Fail" else "0"
            body = f'{{"status": "{self.end}", "file_id": "179", {said.replace("CODE", code)}}}'
            if self.end == "Unauthorized":
                status, body = 401, f'{{"error": {{"message": "{self.words}", "code": "{self.words}"}}}}'
            elif self.end == "Page":
                status, kind, body = 502, "text/html", f"<h1>{escape(KEY)} {self.words}</h1>"
            elif self.end == "Broken":
                body = f'{{"status": "{self.words}'
        elif path.endswith("/files/retrieve"):
            body = f'{{"file": {{"file_id": "179", "download_url": "{link}"}}, {said.replace("CODE", "0")}}}'
        elif path == "/signed":
            status, body = 302, self.words
            more = {"Location": f"{self.url}/clip?sig={SIGNATURE}", "Set-Cookie": f"CloudFront-Signature={SIGNATURE}"}
        else:
            kind, body = "video/mp4", CLIP.decode("latin-1")
        if self.end == "Header" and request.command == "GET":
            request.wfile.write(f"HTTP/1.1 200 OK\r\nX-Echo Bearer {KEY} ?sig={SIGNATURE}\r\n\r\n".encode())
            request.close_connection = True
            return
        request.send_response(status)
        content = body.encode("latin-1")
        length = len(content) + (10 if self.end == "Cut" and request.command == "GET" else 0)
        headers = {
            **{"Content-Type": kind, "Content-Length": str(length), "Connection": "close"},
            **{"Trace-Id": KEY, "X-Echo": f"Bearer {KEY}", "X-Request-Id": f"{self.url}/?sig={SIGNATURE}", **more},
        }
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
        request.close_connection = True


@pytest.fixture
def platform(monkeypatch):
    server = Platform()
    connection = {"conn_type": "minimax", "host": server.url, "password": KEY}
    connection["extra"] = {"timeout": 5, "max_retries": 0}
    monkeypatch.setenv("AIRFLOW_CONN_MINIMAX_DEFAULT", json.dumps(connection))
    yield server
    server.close()


@pytest.fixture
def logs():
    """All that anything in this process logs, at DEBUG, formatted with its traceback."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    names = ["", *(name for name in logging.root.manager.loggerDict if name.startswith(("http", "aiohttp", "airflow")))]
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    logging.root.addHandler(handler)
    yield stream
    logging.root.removeHandler(handler)
    for logger, level, disabled in before:
        logger.setLevel(level)
        logger.disabled = disabled


OBEYED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def unescaped(text: str) -> str:
    """Undo whatever JSON, HTML and URLs do to a text, however often they did it."""
    from html import unescape
    from urllib.parse import unquote

    for _ in range(4):
        text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda sign: chr(int(sign[1], 16)), text).replace("\\/", "/")
        text = unescape(unquote(text))
    return text


def check(left: dict[str, str]) -> None:
    """Look for the secrets in all that left the provider."""
    assert all(left.values()), "nothing was looked at"
    secrets = ("KEYSECRET", "SIGSECRET", in_base64(KEY)[12:-4])
    for place, text in left.items():
        plain = unescaped(text)
        found = next((secret for secret in secrets if secret in text or secret in plain), None)
        assert found is None, f"{place}: …{plain[max(0, plain.find(found) - 200) :][:400]}…"
        assert not OBEYED.search(text), f"{place}: {OBEYED.search(text)}"


def words_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + str(error) + repr(error) + repr(vars(error))


class Events(dict[Any, Any]):
    """What Airflow gives tasks to write events of their assets into."""

    def __missing__(self, outlet: Any) -> Any:
        self[outlet] = SimpleNamespace(extra={}, add=lambda asset, extra: self.update(added=(asset, extra)))
        return self[outlet]


def operator(output: Path, **changes: Any) -> MinimaxVideoGenerationOperator:
    from airflow.sdk import Asset

    options = {"wait_for_completion": True, "deferrable": False, "poll_interval": 0.01, "timeout": 1} | changes
    return MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-02",
        prompt="a paper boat",
        first_frame_image=PICTURE,
        output_path=str(output),
        validate=False,
        outlets=[Asset(uri="file:///clips/boat.mp4")],
        **options,
    )


def ran(output: Path, capsys: Any) -> dict[str, str]:
    """Run the operator, and then the commands; return all that left the provider."""
    ti, store, events = FakeTaskInstance(), FakeStore(), Events()
    task = operator(output)
    task.render_template_fields({})
    left = {"rendered fields": repr({name: str(getattr(task, name)) for name in task.template_fields})}
    try:
        context = {"ti": ti, "outlet_events": events, "task": task}
        result = task.execute(context | ({"task_state_store": store} if HAS_STORE else {}))
        delivered = task._delivered
        left |= {"result": json.dumps(result), "asset events": repr(dict(events))}
        left |= {"lineage": repr(lineage_of(delivered)), "delivered": repr(delivered)}
    except Exception as error:
        left["error"] = words_of(error)
    left |= {"XCom": json.dumps(ti.xcoms) + " ", "operator": repr(task) + str(task)}
    left |= {file.name: file.read_text() for file in output.parent.glob("*.json")}
    left |= {f"store {key}": value for key, value in store.values.items()}
    for command in ("show", str(output)), ("receipts", "show", str(output)), ("receipts", "list", str(output.parent)):
        capsys.readouterr()
        with suppress(SystemExit):
            main(list(command))
        left[" ".join(command)] = "".join(capsys.readouterr()) + " "
    return left


@in_all_ways("Fail", "Success", "Refused", "Unauthorized")
def test_no_task_lets_a_key_or_a_signature_out(end, way, platform, logs, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    platform.end, platform.way = end, way
    left = ran(tmp_path / "boat.mp4", capsys)
    assert ("result" in left) == (end == "Success")
    check(left | {"logs": logs.getvalue()})


@in_all_ways("Fail", "Unauthorized", "Page", "Broken", "Cut", "Header")
@pytest.mark.usefixtures("polls_over")
async def test_no_trigger_lets_a_key_or_a_signature_out(end, way, platform, logs):
    platform.end, platform.way = end, way
    trigger = MinimaxTaskTrigger(
        minimax_task_id="1790000000001",
        minimax_conn_id="minimax_default",
        deadline=time.time() + 0.3,
        poll_interval=0.05,
    )
    events = [event.payload async for event in trigger.run()]
    check({"event": json.dumps(events), "trigger": repr(trigger.serialize()), "logs": logs.getvalue()})


@in_all_ways("Fail", "Success", "Unauthorized", "Page", "Broken", "Cut", "Header")
def test_no_connection_test_and_no_hook_lets_a_key_or_a_signature_out(end, way, platform, logs):
    platform.end, platform.way = end, way
    hook = MinimaxHook()
    left = {"tested": hook.test_connection()[1], "hook": repr(hook) + str(vars(hook)) + repr(hook.get_conn())}
    try:
        left["task"] = repr(hook.get_task("1790000000001"))
    except MinimaxError as error:
        left["error"] = words_of(error) + json.dumps(error.as_event())
    hook.close()
    check(left | {"logs": logs.getvalue()})


def test_the_key_and_the_signatures_go_where_they_belong(platform, tmp_path, capsys):
    """Otherwise this file would prove nothing."""
    seen = []
    answer = platform.answer
    platform.answer = lambda request: (seen.append((request.path, request.headers["Authorization"])), answer(request))
    ran(tmp_path / "boat.mp4", capsys)
    assert ("/v1/video_generation", f"Bearer {KEY}") in seen
    assert any(f"X-Amz-Signature={SIGNATURE}" in path for path, _ in seen)
    assert any(path == f"/clip?sig={SIGNATURE}" and key is None for path, key in seen)
    assert (tmp_path / "boat.mp4").read_bytes() == CLIP
    assert os.listdir(tmp_path)
