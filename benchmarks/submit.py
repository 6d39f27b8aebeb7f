"""Buying: one small submission and one with a 15 MB image, against the floor and against bare ``httpx``."""

from __future__ import annotations

import base64
import http.client
import json
import os
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lab import MIB, Row, child, cpu, interleaved, memory, middle, peak, ratio, reset_peak, say
from server import Server
from systems import KEY, log_to_nowhere

CALLS = 200
IMAGE_BYTES = 15_000_000
REQUEST = {
    "model": "MiniMax-Hailuo-02",
    "prompt": "A man picks up a book [Pedestal up], then reads [Static shot]. " * 4,
    "duration": 6,
    "resolution": "1080P",
    "prompt_optimizer": True,
}
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
FLOOR, BARE, HASHED = "http.client kept alive", "httpx.Client reused", "ours, with a receipt"
Send = Callable[[Path | None], None]


def measure(server: Server, env: dict[str, str], rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        picture = Path(folder) / "first.png"
        picture.write_bytes(_png(IMAGE_BYTES))
        small, image = (
            interleaved(list(METHODS), rounds, partial(_one, server.url, path, env)) for path in ("", str(picture))
        )
    for title, runs in (("small", small), ("15 MB image", image)):
        for name, results in runs.items():
            say(
                f"  {title}, {name}: {middle(results, 'wall'):.2f} ms, {middle(results, 'cpu'):.2f} ms CPU, "
                f"{middle(results, 'extra'):.1f} MiB extra"
            )
    times, alone = ratio(small, "ours", FLOOR, "wall"), ratio(small, "ours", BARE, "wall")
    work, naive = ratio(image, "ours", FLOOR, "cpu"), ratio(image, "ours", BARE, "cpu")
    share, bare_share = (middle(image[name], "extra") * MIB / IMAGE_BYTES for name in ("ours", BARE))
    return [
        Row(
            "Small submission through the hook: ≤ 3 × `http.client` kept alive",
            f"{times:.1f} × ({middle(small['ours'], 'wall'):.2f} ms); {alone:.2f} × `httpx.Client` reused",
            times <= 3,
        ),
        Row(
            "Submission with a 15 MB image: ≤ 0.2 × the image in memory",
            f"{share:.2f} × at the peak; httpx `json=` {bare_share:.1f} ×",
            share <= 0.2,
        ),
        Row(
            "Submission with a 15 MB image: ≤ 1.3 × the CPU of `http.client` that streams it",
            f"{work:.2f} ×; {naive:.2f} × httpx `json=`",
            work <= 1.3,
        ),
        Row(
            "The same and its hash, which a task's receipt needs (for information)",
            f"{ratio(image, HASHED, FLOOR, 'cpu'):.2f} ×",
        ),
    ]


def _one(url: str, picture: str, env: dict[str, str], name: str, number: int) -> dict[str, Any]:
    return child("submit.py", name, url, picture, env=env)


def _png(size: int) -> bytes:
    """Return a picture of noise of about so many bytes, at least of what the shortest side may be."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = max(400, int((size / 3) ** 0.5))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + os.urandom(3 * side) for _ in range(side))
    pieces = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 0)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def _ours(url: str) -> Send:
    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    hook = MinimaxHook("minimax_default")

    def send(picture: Path | None) -> None:
        hook.submit(VideoRequest.of(REQUEST | ({"first_frame_image": str(picture)} if picture else {})))

    return send


def _hashed(url: str) -> Send:
    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.purchases.fingerprint import fingerprint_of

    hook = MinimaxHook("minimax_default")

    def send(picture: Path | None) -> None:
        fields = REQUEST | ({"first_frame_image": str(picture)} if picture else {})
        ready = hook.prepare(VideoRequest.of(fields))
        fingerprint_of(ready, hook.account())
        hook.submit(ready, validate=False)

    return send


def _body(picture: Path | None) -> dict[str, Any]:
    if picture is None:
        return REQUEST
    encoded = base64.b64encode(picture.read_bytes()).decode()
    return REQUEST | {"first_frame_image": f"data:image/png;base64,{encoded}"}


def _httpx(url: str) -> Send:
    import httpx

    client = httpx.Client(headers=HEADERS)

    def send(picture: Path | None) -> None:
        assert client.post(f"{url}/v1/video_generation", json=_body(picture)).json()["task_id"]

    return send


def _floor(url: str) -> Send:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))

    def send(picture: Path | None) -> None:
        if picture is None:
            connection.request("POST", "/v1/video_generation", json.dumps(REQUEST), HEADERS)
        else:
            before, after = json.dumps(REQUEST | {"first_frame_image": "data:image/png;base64,@"}).encode().split(b"@")
            length = len(before) + 4 * -(-picture.stat().st_size // 3) + len(after)
            headers = {**HEADERS, "Content-Length": str(length)}
            connection.request("POST", "/v1/video_generation", _streamed(before, picture, after), headers)
        assert json.loads(connection.getresponse().read())["task_id"]

    return send


def _streamed(before: bytes, picture: Path, after: bytes) -> Iterator[bytes]:
    yield before
    with picture.open("rb") as file:
        while block := file.read(3 << 16):  # a multiple of 3, so that the encoded blocks concatenate
            yield base64.b64encode(block)
    yield after


METHODS = {"ours": _ours, HASHED: _hashed, BARE: _httpx, FLOOR: _floor}


def _child(name: str, url: str, picture: Path | None) -> None:
    log_to_nowhere()
    send = METHODS[name](url)
    calls = CALLS
    if picture:
        calls, warm = 1, picture.with_name("warm.png")
        warm.write_bytes(_png(1000))
        send(warm)
    send(None)
    reset_peak()
    before, used, start = memory(), cpu(), time.perf_counter()
    for _ in range(calls):
        send(picture)
    wall = time.perf_counter() - start
    print(json.dumps({"wall": 1000 * wall / calls, "cpu": 1000 * (cpu() - used) / calls, "extra": peak() - before}))


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2], Path(sys.argv[3]) if sys.argv[3] else None)
