"""A flood of posts, from a process of its own: so many a second, over connections that stay open."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import cycle
from typing import Any

CONNECTIONS = 50


async def flood(host: str, port: int, requests: list[bytes], per_second: int, seconds: float) -> dict[str, Any]:
    """Offer posts at a fixed rate, send as many as the connections take, and count the answers by status."""
    due: asyncio.Queue[bytes | None] = asyncio.Queue()
    answers: Counter[str] = Counter()

    async def send_all() -> None:
        reader = writer = None
        while (request := await due.get()) is not None:
            try:
                if writer is None or reader is None:
                    reader, writer = await asyncio.open_connection(host, port)
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b":0"
                )
                await reader.readexactly(int(length.partition(b":")[2]))
                answers[head[9:12].decode()] += 1
                if b"connection: close" in head.lower():
                    writer.close()
                    writer = None
            except (OSError, asyncio.IncompleteReadError):
                answers["none"] += 1
                writer = None

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(send_all())
        for number, request in enumerate(cycle(requests)):
            wait = began + number / per_second - time.monotonic()
            if time.monotonic() > began + seconds:
                break
            if wait > 0:
                await asyncio.sleep(wait)
            due.put_nowait(request)
        unsent = due.qsize()
        while not due.empty():
            due.get_nowait()
        for _ in range(CONNECTIONS):
            due.put_nowait(None)
    return {"offered": number, "unsent": unsent, "answers": dict(answers), "seconds": time.monotonic() - began}


def main() -> None:
    """Read what to do from standard input, and print what came of it."""
    task = json.load(sys.stdin)
    requests = [
        (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        for path, body in task["requests"]
    ]
    print(json.dumps(asyncio.run(flood(task["host"], task["port"], requests, task["per_second"], task["seconds"]))))


if __name__ == "__main__":
    main()
