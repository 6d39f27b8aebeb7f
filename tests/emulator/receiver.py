"""A server for what the platforms send to a ``callback_url``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


def echo(body: dict[str, Any]) -> bytes:
    """Answer as the documents want it."""
    return json.dumps({"challenge": body["challenge"]} if "challenge" in body else {"status": "success"}).encode()


class Receiver:
    """Listens on loopback for as long as the ``with`` block, and keeps what it gets."""

    def __init__(self, answer: Callable[[dict[str, Any]], bytes] = echo, status: int = 200) -> None:
        self.got: list[dict[str, Any]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                got.append(body)
                content = answer(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    @property
    def statuses(self) -> list[str]:
        """The status of each update, in the order of arrival."""
        updates = [body.get("task", body) for body in self.got if "challenge" not in body]
        return [update["status"] for update in updates]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
