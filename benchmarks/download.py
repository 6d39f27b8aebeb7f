"""
Delivering a clip: what a user's task does, against bare ``httpx`` with ``iter_raw`` that hashes and writes as it reads.

To a local disk, and to S3 (moto, in a process of its own) through ``s3fs`` on both sides.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lab import MIB, Row, Runs, child, cpu, interleaved, memory, middle, peak, ratio, reset_peak, say
from server import Server

SPEED, EXTRA_MIB = 0.9, 8.0
SIZES = (200, 1024)
LARGEST = 2048
"""Only for our memory, once."""
S3_SIZE = 200
BUCKET = "s3://bench"
OURS, RAW, WHOLE = "ours", "httpx iter_raw", "httpx .content"

Fetch = Callable[[int, str], None]


def measure(server: Server, env: dict[str, str], rounds: int) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if shutil.disk_usage(folder).free < 2 * LARGEST * MIB:
            say(f"  skipped: the disk of {folder} is too full")
            return []
        for mib in SIZES:
            # What holds the whole clip in memory needs no second proof.
            names = [OURS, RAW, WHOLE] if mib == SIZES[0] else [OURS, RAW]
            runs = interleaved(names, rounds, partial(_one, server.url, mib, folder, env))
            _say(runs, mib, "to disk")
            speed = ratio(runs, RAW, OURS, "wall")
            rows.append(
                Row(
                    f"Delivery of {mib} MiB to disk: ≥ {SPEED:g} × bare httpx `iter_raw`",
                    f"{speed:.2f} × (CPU {ratio(runs, OURS, RAW, 'cpu'):.2f} ×)",
                    speed >= SPEED,
                )
            )
            rows.append(_memory(runs, mib))
        largest = {OURS: [_one(server.url, LARGEST, folder, env, OURS, 0)]}
        _say(largest, LARGEST, "to disk")
        rows.append(_memory(largest, LARGEST))
    if find_spec("moto") is None or find_spec("s3fs") is None:
        say("  skipped S3: moto or s3fs is not installed")
        return rows
    with _s3() as s3:
        runs = interleaved([OURS, RAW], rounds, partial(_one, server.url, S3_SIZE, BUCKET, env | s3))
    _say(runs, S3_SIZE, "to S3")
    rows.append(
        Row(
            f"Delivery of {S3_SIZE} MiB to S3, against bare `iter_raw` with no file between (for information)",
            f"{ratio(runs, RAW, OURS, 'wall'):.2f} × (CPU {ratio(runs, OURS, RAW, 'cpu'):.2f} ×); "
            f"memory {middle(runs[OURS], 'extra'):.0f} MiB, bare {middle(runs[RAW], 'extra'):.0f}",
        )
    )
    return rows


def _memory(runs: Runs, mib: int) -> Row:
    extra = max(result["extra"] for result in runs[OURS])
    others = "".join(f"; {name} {middle(runs[name], 'extra'):.1f}" for name in (RAW, WHOLE) if name in runs)
    return Row(
        f"Delivery of {mib} MiB to disk: ≤ {EXTRA_MIB:g} MiB of extra memory",
        f"{extra:.1f} MiB at most{others}",
        extra <= EXTRA_MIB,
    )


def _say(runs: Runs, mib: int, where: str) -> None:
    for name, results in runs.items():
        say(
            f"  {mib} MiB {where}, {name}: {mib / middle(results, 'wall'):.0f} MiB/s, "
            f"{middle(results, 'cpu'):.2f} s CPU, {middle(results, 'extra'):.1f} MiB extra"
        )


def _one(url: str, mib: int, folder: str, env: dict[str, str], name: str, number: int) -> dict[str, Any]:
    return child("download.py", name, url, mib, folder, env=env)


@contextmanager
def _s3() -> Iterator[dict[str, str]]:
    """Run an S3 on a free port, with an empty bucket; gives the environment in which it is found."""
    from s3fs import S3FileSystem

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert process.poll() is None, "moto did not start"
                    time.sleep(0.1)
            endpoint = f"http://127.0.0.1:{port}"
            S3FileSystem(key="k", secret="s", endpoint_url=endpoint).mkdir(BUCKET)
            yield {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
        finally:
            process.terminate()


def _ours(url: str) -> Fetch:
    from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator

    task = SimpleNamespace(dag_id="bench", run_id="bench", task_id="fetch", map_index=-1, try_number=1, max_tries=0)

    def fetch(mib: int, output: str) -> None:
        operator = MinimaxVideoDownloadOperator(task_id="fetch", file_id=str(mib), output_path=output)
        operator.execute({"ti": task})

    return fetch


def _locate(client: Any, url: str, mib: int) -> str:
    answer = client.get(f"{url}/v1/files/retrieve", params={"file_id": mib})
    link: str = answer.json()["file"]["download_url"]
    return link


def _iter_raw(url: str) -> Fetch:
    import httpx
    from airflow.sdk import ObjectStoragePath

    client = httpx.Client()

    def fetch(mib: int, output: str) -> None:
        link = _locate(client, url, mib)
        digest = hashlib.sha256()
        # The parts of an upload are as large as ours.
        parts = {"block_size": 5 * MIB} if output.startswith(BUCKET) else {}
        with client.stream("GET", link) as response, ObjectStoragePath(output).open("wb", **parts) as file:
            for chunk in response.iter_raw():
                digest.update(chunk)
                file.write(chunk)

    return fetch


def _content(url: str) -> Fetch:
    import httpx

    client = httpx.Client()

    def fetch(mib: int, output: str) -> None:
        Path(output).write_bytes(client.get(_locate(client, url, mib)).content)

    return fetch


METHODS = {OURS: _ours, RAW: _iter_raw, WHOLE: _content}


def _child(name: str, url: str, mib: int, folder: str) -> None:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    if folder == BUCKET:
        from s3fs import S3FileSystem

        attach("s3", fs=S3FileSystem())
    fetch = METHODS[name](url)
    fetch(1, f"{folder}/warm.mp4")
    reset_peak()
    before, used, start = memory(), cpu(), time.perf_counter()
    fetch(mib, f"{folder}/clip.mp4")
    result = {"wall": time.perf_counter() - start, "cpu": cpu() - used, "extra": peak() - before}
    assert ObjectStoragePath(f"{folder}/clip.mp4").stat().st_size == mib * MIB
    for path in ObjectStoragePath(folder).iterdir():
        path.unlink()
    print(json.dumps(result))


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
