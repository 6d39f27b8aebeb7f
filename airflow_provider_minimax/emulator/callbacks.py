"""What goes to a ``callback_url``: a challenge before the purchase, and then each change of the job's status.

The contract says that the receiver has three seconds to echo the challenge. It says nothing of signatures or of second
attempts, so an update is sent once, and whatever it is answered is ignored. Faults of the operation ``push`` lose,
repeat, delay and reorder updates.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx

from airflow_provider_minimax.emulator.faults import Fault
from airflow_provider_minimax.emulator.jobs import ENDS, Job

TIME_LIMIT = 3.0
LARGEST_ANSWER = 64 * 1024
POLL_INTERVAL = 0.1

Update = tuple[str, dict[str, Any]]
"""A status in the words of the callback, and the body that carries it."""


async def echoes_challenge(url: str) -> bool:
    """Whether a receiver answers a new challenge with the same one, in time."""
    challenge = secrets.token_hex(16)
    answer = await _post(url, {"challenge": challenge})
    try:
        echo = json.loads(answer or b"")
    except (ValueError, RecursionError):
        return False
    return isinstance(echo, dict) and echo.get("challenge") == challenge


async def report(
    url: str,
    job: Job,
    current: Callable[[], Update],
    take_fault: Callable[[], Fault | None],
    note: Callable[[str, int | None], None],
) -> None:
    """Send the job's status, and each one that follows, until the job is over.

    ``take_fault`` is asked before each of them, and ``note`` gets each one that was sent with the status of the answer.
    """

    async def send(update: Update, delay: float = 0) -> None:
        await asyncio.sleep(delay)
        status, body = update
        answer = await _answer(url, body)
        note(status, None if answer is None else answer[0])

    sent = None
    held_back: list[Update] = []
    async with asyncio.TaskGroup() as late:
        while True:
            is_over = job.state() in ENDS
            update = current()
            if update[0] != sent:
                sent = update[0]
                fault = take_fault()
                kind = "" if fault is None else fault.kind
                if kind == "reordered_push" and not is_over:
                    held_back.append(update)
                else:
                    if fault is not None and kind == "delayed_push":
                        late.create_task(send(update, fault.seconds))
                    now = [update] * {"lost_push": 0, "delayed_push": 0, "repeated_push": 2}.get(kind, 1)
                    for one in (*now, *held_back):
                        await send(one)
                    held_back.clear()
            if is_over:
                return
            await asyncio.sleep(POLL_INTERVAL)


async def _post(url: str, body: dict[str, Any]) -> bytes | None:
    """Return the answer to a POST; ``None`` if it is no success, too long, or too late, or if none comes at all."""
    answer = await _answer(url, body)
    return answer[1] if answer is not None and 200 <= answer[0] < 300 else None


async def _answer(url: str, body: dict[str, Any]) -> tuple[int, bytes] | None:
    """Return status and content of the answer to a POST; ``None`` if it is too long, too late, or does not come."""
    content = b""
    try:
        async with (
            asyncio.timeout(TIME_LIMIT),
            # No proxy: a receiver is mostly on the same machine, and a proxy could not reach it.
            httpx.AsyncClient(verify=_authorities(), trust_env=False, timeout=TIME_LIMIT) as client,
            client.stream("POST", url, json=body, headers={"Accept-Encoding": "identity"}) as response,
        ):
            async for piece in response.aiter_raw():
                content += piece
                if len(content) > LARGEST_ANSWER:
                    return None
            return response.status_code, content
    except Exception:  # whatever is wrong with the address, the way there, or the receiver
        return None


@cache
def _authorities() -> ssl.SSLContext:
    """Those that the machine trusts, or ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name."""
    return ssl.create_default_context()
