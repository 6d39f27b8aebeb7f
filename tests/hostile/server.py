"""
A server that answers as no server should, byte by byte, and a table of what it can do to its clients.

An attack yields what to do next: bytes to send, or seconds to wait. After its last step the connection is closed. It
ends early when the client leaves, or sends its next request while the server waits.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import repeat
from typing import BinaryIO, Self

Steps = Iterator[bytes | float]

# Shorter than any time-out that a test gives a client: no single wait ends the exchange.
DROP_EVERY = 0.05
FOREVER = 3600.0
FLOOD = 64 * 1024


@dataclass
class Request:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)


class HostileServer:
    """
    Answers each request with an attack, on a free port of 127.0.0.1, until the block (``with``) is left.

    :param answer: what is done to a request.
    :param reads_bodies: whether to read a request's body; otherwise it answers, and leaves the body where it is.
    :param rests: how many seconds to rest after each 64 KiB of a body's first 8 MiB.
    """

    def __init__(self, answer: Callable[[Request], Steps], *, reads_bodies: bool = True, rests: float = 0.0) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.sent = 0
        """How many bytes of answers were taken, by the clients or by the sockets in between."""
        self.accepted = 0
        """How many connections were made."""
        self._reads_bodies = reads_bodies
        self._rests = rests
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        # Little fits in between, so that what was sent was nearly read.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FLOOD)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FLOOD)
        self._clients: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for opened in (self._listener, *list(self._clients)):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._clients)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                self._clients.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rb") as source, contextlib.suppress(OSError):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                is_kept = True
                while is_kept and (request := self._read_request(source)) is not None:
                    self.requests.append(request)
                    is_kept = self._attack(client, self.answer(request))
        finally:
            self._clients.discard(client)

    def _read_request(self, source: BinaryIO) -> Request | None:
        first = source.readline().decode("latin-1").split()
        if len(first) != 3:
            return None
        headers: dict[str, str] = {}
        while line := source.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Request(first[0], first[1], headers, b"".join(self._blocks(source, headers)))

    def _blocks(self, source: BinaryIO, headers: dict[str, str]) -> Iterator[bytes]:
        left = int(headers.get("content-length", 0)) if self._reads_bodies else 0
        rests = 128 if self._rests else 0
        while left and (block := source.read(min(left, FLOOD))):
            left -= len(block)
            yield block
            if rests:
                rests -= 1
                time.sleep(self._rests)

    def _attack(self, client: socket.socket, steps: Steps) -> bool:
        """Take the steps of an attack; return whether the client sent its next request meanwhile."""
        for step in steps:
            if isinstance(step, bytes):
                client.sendall(step)
                self.sent += len(step)
            elif not self._reads_bodies:
                time.sleep(step)
            elif select.select([client], [], [], step)[0]:
                return bool(client.recv(1, socket.MSG_PEEK))
        return False


def head(status: str = "200 OK", **headers: object) -> bytes:
    """Return the head of an answer; an underscore in a header's name stands for a hyphen."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def whole(body: bytes, status: str = "200 OK", **headers: object) -> bytes:
    """Return an answer as it should be."""
    return head(status, Content_Length=len(body), **headers) + body


def chunk(piece: bytes) -> bytes:
    """Return a piece of a body without an announced length."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def drips(start: bytes, drops: bytes) -> Steps:
    """Send something, then byte after byte without end, each just in time."""
    yield start
    while True:
        for drop in drops:
            yield DROP_EVERY
            yield bytes([drop])


def floods(start: bytes, flood: bytes) -> Steps:
    """Send something, then the same again and again as fast as it is taken."""
    yield start
    yield from repeat(flood * max(1, FLOOD // len(flood)))


def stops(*pieces: bytes) -> Steps:
    """Send something, then nothing, and leave the connection open."""
    yield from pieces
    yield FOREVER


def closes(*pieces: bytes) -> Steps:
    """Send something, and close the connection."""
    yield from pieces


@cache
def compressed(size: int, *, window: int, times: int = 1) -> bytes:
    """Return so many MiB of zeros, compressed: a thousandth of them each time."""
    pieces: Iterator[bytes] = repeat(bytes(1024 * 1024), size)
    for _ in range(times):
        pieces = _compressed(pieces, window)
    return b"".join(pieces)


def _compressed(pieces: Iterator[bytes], window: int) -> Iterator[bytes]:
    squeeze = zlib.compressobj(9, wbits=window)
    for piece in pieces:
        yield squeeze.compress(piece)
    yield squeeze.flush()


GZIP, DEFLATE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS
CHUNKED = {"Transfer_Encoding": "chunked"}

# What is never at an end, or too slow to wait for.
ENDLESS: dict[str, Callable[[], Steps]] = {
    "never answers": lambda: stops(),
    "stops in the status line": lambda: stops(b"HTTP/1.1 2"),
    "stops in the headers": lambda: stops(head()[:-2]),
    "stops in the body": lambda: stops(head(Content_Length=100), b'{"a":'),
    "stops in a chunk": lambda: stops(head(**CHUNKED), b"20\r\n{"),
    "never ends its chunks": lambda: stops(head(**CHUNKED), chunk(b"{}")),
    "drips the status line": lambda: drips(b"HTTP/1.1 200 ", b"O"),
    "drips a header": lambda: drips(head()[:-2] + b"X-Slow: ", b"y"),
    "drips headers": lambda: drips(head()[:-2], b"X-Slow: y\r\n"),
    "drips 100 Continue": lambda: drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drips 103 Early Hints": lambda: drips(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "drips a body": lambda: drips(head(Content_Length=100_000), b" "),
    "drips a body until it closes": lambda: drips(head(), b" "),
    "drips chunks": lambda: drips(head(**CHUNKED), chunk(b" ")),
    "drips the size of a chunk": lambda: drips(head(**CHUNKED), b"0"),
    "drips the name of a chunk": lambda: drips(head(**CHUNKED) + b"1;x=", b"y"),
    "drips trailers": lambda: drips(head(**CHUNKED) + b"0\r\n", b"X-Slow: y\r\n"),
    "drips a compressed body": lambda: drips(head(Content_Encoding="gzip"), compressed(1, window=GZIP)),
    "drips a refusal": lambda: drips(head("500 Internal Server Error", Content_Length=100_000), b" "),
    "floods with 100 Continue": lambda: floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "floods with 103 Early Hints": lambda: floods(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "floods the status line": lambda: floods(b"HTTP/1.1 200 ", b"O"),
    "floods a header": lambda: floods(head()[:-2] + b"X-Long: ", b"y"),
    "floods headers": lambda: floods(head()[:-2], b"X-Many: y\r\n"),
    "floods a body": lambda: floods(head(Content_Length=1 << 62), b" "),
    "floods a body until it closes": lambda: floods(head(), b"\n"),
    "floods a body of nonsense": lambda: floods(head(), b"x"),
    "floods chunks": lambda: floods(head(**CHUNKED), chunk(b" " * 1000)),
    "floods tiny chunks": lambda: floods(head(**CHUNKED), chunk(b" ")),
    "floods the size of a chunk": lambda: floods(head(**CHUNKED), b"0"),
    "floods the name of a chunk": lambda: floods(head(**CHUNKED) + b"1;x=", b"y"),
    "floods trailers": lambda: floods(head(**CHUNKED) + b"0\r\n", b"X-Many: y\r\n"),
    "floods a refusal": lambda: floods(head("500 Internal Server Error", Content_Length=1 << 62), b" "),
}

# What is a thousand times as long, once decoded.
BOMBS: dict[str, Callable[[], Steps]] = {
    "gzip": lambda: closes(whole(compressed(64, window=GZIP), Content_Encoding="gzip")),
    "deflate": lambda: closes(whole(compressed(64, window=DEFLATE), Content_Encoding="deflate")),
    "bare deflate": lambda: closes(whole(compressed(64, window=-zlib.MAX_WBITS), Content_Encoding="deflate")),
    "gzip twice": lambda: closes(whole(compressed(64, window=GZIP, times=2), Content_Encoding="gzip, gzip")),
    "gzip of many": lambda: floods(head(Content_Encoding="gzip"), compressed(1, window=GZIP)),
}

# What comes to an end, but is not what it says.
LIES: dict[str, Callable[[], Steps]] = {
    "closes at once": lambda: closes(),
    "closes in the status line": lambda: closes(b"HTTP/1.1 2"),
    "closes in the headers": lambda: closes(head()[:-2]),
    "closes in the body": lambda: closes(head(Content_Length=100), b'{"a":'),
    "closes in a chunk": lambda: closes(head(**CHUNKED), b"20\r\n{"),
    "closes before the last chunk": lambda: closes(head(**CHUNKED), chunk(b"{}")),
    "a negative length": lambda: closes(head(Content_Length=-1), b"{}"),
    "a length that is no number": lambda: closes(head(Content_Length="many"), b"{}"),
    "a length of many digits": lambda: closes(head(Content_Length="9" * 5000), b"{}"),
    "two lengths": lambda: closes(head(Content_Length=2)[:-2] + b"Content-Length: 3\r\n\r\n{}"),
    "a chunk without size": lambda: closes(head(**CHUNKED), b"zz\r\n{}\r\n"),
    "a chunk of a negative size": lambda: closes(head(**CHUNKED), b"-2\r\n{}\r\n"),
    "another protocol": lambda: closes(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "switches protocols": lambda: closes(head("101 Switching Protocols", Upgrade="websocket"), b"\x81\x00"),
    "a header without a colon": lambda: closes(head()[:-2] + b"nonsense\r\n\r\n{}"),
    "a header with a zero byte": lambda: closes(head()[:-2] + b"X-Zero: a\x00b\r\n\r\n{}"),
    "gzip that is none": lambda: closes(whole(b'{"a": 1}', Content_Encoding="gzip")),
    "gzip that ends early": lambda: closes(whole(compressed(1, window=GZIP)[:-20], Content_Encoding="gzip")),
    "deflate that is none": lambda: closes(whole(b"\xff" * 100, Content_Encoding="deflate")),
    "a coding that nobody knows": lambda: closes(whole(b'{"a": 1}', Content_Encoding="rot13")),
    "a coding many times": lambda: closes(whole(b'{"a": 1}', Content_Encoding=", ".join(["gzip"] * 500))),
}

# What leads elsewhere, with a body that nobody should read.
REDIRECTS: dict[str, Callable[[], Steps]] = {
    "floods": lambda: floods(head("302 Found", Location="/elsewhere", Content_Length=1 << 62), b" "),
    "floods until it closes": lambda: floods(head("307 Temporary Redirect", Location="/elsewhere"), b" "),
    "drips": lambda: drips(head("301 Moved Permanently", Location="/elsewhere", Content_Length=100_000), b" "),
    "stops": lambda: stops(head("308 Permanent Redirect", Location="/elsewhere", Content_Length=100_000)),
}
