"""File hosts that answer byte by byte as a test says, on free ports of this machine."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

Answer = bytes | Iterable[bytes]


def answer(body: bytes, status: str = "200 OK", **headers: Any) -> bytes:
    """A whole answer; underscores in the names of headers stand for hyphens."""
    given = {"Content_Type": "video/mp4", "Content_Length": len(body), "Connection": "close"} | headers
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Host:
    """
    A server.

    :param reply: makes the answer to a request of these headers (small letters) that is the so-manieth.
    """

    def __init__(self, reply: Callable[[dict[str, str], int], Answer]) -> None:
        self.requests: list[dict[str, str]] = []
        host = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    self.rfile.readline()
                    headers: dict[str, str] = {}
                    while line := self.rfile.readline().decode("latin-1").strip():
                        name, _, value = line.partition(":")
                        headers[name.lower()] = value.strip()
                    host.requests.append(headers)
                    found = reply(headers, len(host.requests))
                    for piece in [found] if isinstance(found, bytes) else found:
                        self.wfile.write(piece)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/clip.mp4"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
