"""Fetching a clip to disk and hashing it: our delivery against bare ``httpx`` with ``iter_raw``, and its memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from lab import Row, child, cpu, interleaved, memory, middle, peak, ratio, reset_peak, say
from server import Server

SPEED, EXTRA_MIB = 0.9, 8.0
SIZES = (200, 1024)
RAW, WHOLE = "httpx iter_raw", "httpx .content"


def measure(server: Server, env: dict[str, str], rounds: int) -> list[Row]:
    rows = []
    for mib in SIZES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            if shutil.disk_usage(folder).free < 2 * mib * 2**20:
                say(f"  skipped {mib} MiB: the disk of {folder} is too full")
                continue
            one = partial(_one, server.url, mib, folder, env)
            # What holds the whole clip in memory needs no second proof.
            names = [name for name in METHODS if mib == SIZES[0] or name != WHOLE]
            runs = interleaved(names, rounds, one)
        for name, results in runs.items():
            say(
                f"  {mib} MiB, {name}: {mib / middle(results, 'wall'):.0f} MiB/s, {middle(results, 'cpu'):.2f} s CPU, "
                f"{middle(results, 'extra'):.1f} MiB extra"
            )
        speed = ratio(runs, RAW, "ours", "wall")
        extra = max(result["extra"] for result in runs["ours"])
        rows += [
            Row(
                f"Download of {mib} MiB: ≥ {SPEED:g} × bare httpx `iter_raw`",
                f"{speed:.2f} × (CPU {ratio(runs, 'ours', RAW, 'cpu'):.2f} ×)",
                speed >= SPEED,
            ),
            Row(
                f"Download of {mib} MiB: ≤ {EXTRA_MIB:g} MiB of extra memory",
                f"{extra:.1f} MiB at most; bare httpx {middle(runs[RAW], 'extra'):.1f}"
                + (f", `.content` {middle(runs[WHOLE], 'extra'):.0f}" if WHOLE in runs else ""),
                extra <= EXTRA_MIB,
            ),
        ]
    return rows


def _one(url: str, mib: int, folder: str, env: dict[str, str], name: str, number: int) -> dict[str, Any]:
    return child("download.py", name, url, mib, folder, env=env)


def _ours(url: str) -> Callable[[int, Path], None]:
    from airflow_provider_minimax.api.task import TaskState, VideoTask
    from airflow_provider_minimax.delivery import fetch as fetch_clip
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    hook = MinimaxHook("minimax_default")

    def fetch(mib: int, path: Path) -> None:
        task = VideoTask("1", TaskState.SUCCEEDED, status="Success", file_id=str(mib))
        fetch_clip(hook.get_conn(), lambda: hook.get_file(task), path, lambda sha256, size: None)

    return fetch


def _locate(client: object, url: str, mib: int) -> str:
    answer = client.get(f"{url}/v1/files/retrieve", params={"file_id": mib})  # type: ignore[attr-defined]
    link: str = answer.json()["file"]["download_url"]
    return link


def _iter_raw(url: str) -> Callable[[int, Path], None]:
    import httpx

    client = httpx.Client()

    def fetch(mib: int, path: Path) -> None:
        link = _locate(client, url, mib)
        digest = hashlib.sha256()
        with client.stream("GET", link) as response, path.open("wb") as file:
            for chunk in response.iter_raw():
                digest.update(chunk)
                file.write(chunk)

    return fetch


def _content(url: str) -> Callable[[int, Path], None]:
    import httpx

    client = httpx.Client()
    return lambda mib, path: (path.write_bytes(client.get(_locate(client, url, mib)).content), None)[1]


METHODS = {"ours": _ours, RAW: _iter_raw, WHOLE: _content}


def _child(name: str, url: str, mib: int, folder: Path) -> None:
    fetch = METHODS[name](url)
    fetch(1, folder / "warm.mp4")
    path = folder / "clip.mp4"
    path.unlink(missing_ok=True)
    (folder / "warm.mp4").unlink()
    reset_peak()
    before, used, start = memory(), cpu(), time.perf_counter()
    fetch(mib, path)
    result = {"wall": time.perf_counter() - start, "cpu": cpu() - used, "extra": peak() - before}
    with closing(path.open("rb")) as file:
        assert file.seek(0, 2) == mib * 2**20
    path.unlink()
    print(json.dumps(result))


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
