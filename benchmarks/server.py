"""
A fake platform that is never what a benchmark measures: raw asyncio (uvloop if installed), answers made by formatting.

It speaks MiniMax's official v1 API, v2's poll and list, and the status calls of the peers, and serves clips of any size
from memory on a second port. When a job finishes is on ``CLOCK_MONOTONIC``, which all processes of a machine share, so
a client can subtract.

``python benchmarks/server.py`` prints its two ports, then serves until its standard input closes.
``python benchmarks/server.py capacity`` measures how much it could serve.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MIB = 2**20
_NUMBER = re.compile(rb"(\d+)")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:\s*(\d+)")
_BLOCK = (b"\0\0\0\x18ftypisom" + bytes(range(256)) * 4096)[:MIB]


class Jobs:
    """When each job finishes, and what was counted."""

    def __init__(self) -> None:
        self.reset()
        self.open = 0

    def reset(
        self, *, jobs: int = 1, first: float = 0, last: float = 0, delay: float = 0, polls: int = 0, seed: int = 1
    ) -> list[float]:
        """Start again: jobs end from ``first`` to ``last`` seconds from now and after ``polls`` polls of them."""
        chance, now = random.Random(seed), time.monotonic()
        self.ends = [now + first + (last - first) * chance.random() for _ in range(jobs)]
        self.polls_left = [polls] * jobs
        self.delay = delay
        self.requests = self.accepted = self.polls = 0
        return self.ends

    def is_done(self, job: int) -> bool:
        self.polls += 1
        self.polls_left[job] -= 1
        return self.polls_left[job] <= 0 and time.monotonic() >= self.ends[job]

    def stats(self) -> dict[str, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "requests": self.requests,
            "polls": self.polls,
            "accepted": self.accepted,
            "cpu": used.ru_utime + used.ru_stime,
        }


def _minimax(job: int, done: bool) -> bytes:
    status, file_id = (b"Success", b"205258526306433") if done else (b"Processing", b"")
    return (
        b'{"task_id":"%d","status":"%s","file_id":"%s","video_width":1366,"video_height":768,'
        b'"base_resp":{"status_code":0,"status_msg":"success"}}' % (job, status, file_id)
    )


def _minimax_v2(job: int, done: bool) -> bytes:
    return (
        b'{"id":"%d","model":"MiniMax-H3","status":"%s","created_at":1790000000,"updated_at":1790000100,%s'
        b'"resolution":"2K","duration":5,"usage":{},"ratio":"16:9","task_type":"generation"}'
        % (
            job,
            b"succeeded" if done else b"running",
            b'"content":{"url":"https://files.example/h3.mp4?Expires=1&Signature=x"},' if done else b"",
        )
    )


def _databricks(job: int, done: bool) -> bytes:
    state = b'"TERMINATED","result_state":"SUCCESS"' if done else b'"RUNNING"'
    return b'{"run_id":%d,"run_page_url":"u","tasks":[],"state":{"life_cycle_state":%s,"state_message":""}}' % (
        job,
        state,
    )


def _openai(job: int, done: bool) -> bytes:
    return (
        b'{"id":"batch_%d","object":"batch","endpoint":"/v1/chat/completions","input_file_id":"f","errors":null,'
        b'"completion_window":"24h","status":"%s","output_file_id":"o","created_at":1711471533,'
        b'"request_counts":{"total":100,"completed":95,"failed":5},"metadata":null}'
        % (job, b"completed" if done else b"in_progress")
    )


def _anthropic(job: int, done: bool) -> bytes:
    return (
        b'{"id":"msgbatch_%d","type":"message_batch","processing_status":"%s","request_counts":{"processing":0,'
        b'"succeeded":50,"errored":0,"canceled":0,"expired":0},"ended_at":null,"results_url":null,'
        b'"created_at":"2026-09-24T18:37:24Z","expires_at":"2026-09-25T18:37:24Z","archived_at":null,'
        b'"cancel_initiated_at":null}' % (job, b"ended" if done else b"in_progress")
    )


_STATUS = (
    (b"/v1/query/video_generation", _minimax),
    (b"runs/get", _databricks),
    (b"/v1/batches/", _openai),
    (b"/v1/messages/batches/", _anthropic),
)
_V2 = b"/v2/query/video_generation"
_LISTED = re.compile(rb"filter\.task_ids=(\d+)")
_SUBMITTED = b'{"task_id":"106916112212032","base_resp":{"status_code":0,"status_msg":"success"}}'


class Answers(asyncio.Protocol):
    """One connection."""

    def __init__(self, jobs: Jobs, clips: str) -> None:
        self.jobs, self.clips = jobs, clips
        self.buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.jobs.accepted += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self.buffer, 0, end)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < total:
                return
            head, body = bytes(self.buffer[:end]), bytes(self.buffer[end + 4 : total])
            del self.buffer[:total]
            self.answer(*head.split(b" ", 2)[:2], body)

    def answer(self, method: bytes, path: bytes, body: bytes) -> None:
        if path.startswith(b"/_"):
            reply = self.jobs.reset(**json.loads(body)) if path == b"/_reset" else self.jobs.stats()
            self.send(json.dumps(reply).encode())
            return
        self.jobs.requests += 1
        answer = self.route(method, path, body)
        if self.jobs.delay:
            asyncio.get_running_loop().call_later(self.jobs.delay, self.send, answer)
        else:
            self.send(answer)

    def route(self, method: bytes, path: bytes, body: bytes) -> bytes:
        if method == b"POST":
            return _SUBMITTED
        if path.startswith(_V2):
            ids = list(map(int, _LISTED.findall(path)))
            reply = [_minimax_v2(job, self.jobs.is_done(job)) for job in ids or [int(path.rpartition(b"/")[2])]]
            return b'{"items":[%b],"total":%d}' % (b",".join(reply), len(reply)) if ids else b'{"task":%b}' % reply[0]
        for part, make in _STATUS:
            if part in path:
                job = int(_NUMBER.findall(body or path)[-1])
                return make(job, self.jobs.is_done(job))
        mib = int(_NUMBER.findall(path)[-1])  # /v1/files/retrieve: the file's id is its size in MiB
        return b'{"file":{"file_id":"%d","download_url":"%s/%d"},"base_resp":{"status_code":0}}' % (
            mib,
            self.clips.encode(),
            mib,
        )

    def send(self, body: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )


def _serve_clips(listener: socket.socket) -> None:
    def serve(peer: socket.socket) -> None:
        with peer:
            while head := peer.recv(65536):
                mib = int(head.split(b" ", 2)[1].strip(b"/"))
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: %d\r\n\r\n" % (mib * MIB))
                for _ in range(mib):
                    peer.sendall(_BLOCK)

    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


async def _main() -> None:
    clips, jobs = socket.create_server(("127.0.0.1", 0)), Jobs()
    threading.Thread(target=_serve_clips, args=(clips,), daemon=True).start()
    url = f"http://127.0.0.1:{clips.getsockname()[1]}"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answers(jobs, url), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], clips.getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


class Server:
    """A running fake platform, and the way to set it."""

    def __init__(self, port: int, clip_port: int) -> None:
        self.port, self.url, self.clips = port, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{clip_port}"
        self._control: http.client.HTTPConnection | None = None

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        self._control = self._control or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self._control.request("POST", path, json.dumps(body))
        return json.loads(self._control.getresponse().read())

    def reset(self, **settings: Any) -> list[float]:
        ends: list[float] = self._ask("/_reset", settings)
        return ends

    def stats(self) -> dict[str, float]:
        stats: dict[str, float] = self._ask("/_stats", {})
        return stats


@contextmanager
def running() -> Iterator[Server]:
    """Run the fake platform in a process of its own, on free ports of 127.0.0.1."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Server(*map(int, process.stdout.readline().split()))
        finally:
            process.terminate()


def capacity(server: Server, count: int = 60_000) -> tuple[float, float, float]:
    """Return requests/s over 50 connections, the server's CPU microseconds a request, and MiB/s of a clip."""
    server.reset(polls=10**9)
    peers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    before, start = server.stats()["cpu"], time.monotonic()
    for _ in range(count // 50):
        for peer in peers:
            peer.sendall(b"GET /v1/query/video_generation?task_id=0 HTTP/1.1\r\nhost: x\r\n\r\n")
        for peer in peers:
            peer.recv(65536)
    took = time.monotonic() - start
    used = server.stats()["cpu"] - before
    buffer, left = bytearray(MIB), 1024 * MIB
    with socket.create_connection(("127.0.0.1", int(server.clips.rsplit(":", 1)[1]))) as peer:
        peer.sendall(b"GET /1024 HTTP/1.1\r\nhost: x\r\n\r\n")
        start = time.monotonic()
        while left > 0:
            left -= peer.recv_into(buffer)
    return count / took, 1e6 * used / count, 1024 / (time.monotonic() - start)


if __name__ == "__main__":
    if "capacity" in sys.argv:
        with running() as platform:
            print("{:.0f} requests/s, {:.1f} us CPU each; {:.0f} MiB/s".format(*capacity(platform)))
    else:
        try:
            from uvloop import run
        except ImportError:
            from asyncio import run
        run(_main())
