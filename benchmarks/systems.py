"""Who watches jobs: our trigger, the peers' triggers, loops over a bare ``httpx.AsyncClient`` and over sockets."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from typing import Any, Protocol

KEY = "sk-of-the-benchmarks-0123456789"
ERRORS: Counter[str] = Counter()


class Watcher(Protocol):
    def run(self) -> AsyncIterator[Any]: ...


Make = Callable[[int], Watcher]
"""From a job's number to what watches it."""

CONNECTIONS = {
    "minimax": {"conn_type": "minimax", "extra": {"platform": "minimax"}},
    "databricks": {"conn_type": "databricks"},
    "openai": {"conn_type": "openai"},
    "anthropic": {"conn_type": "anthropic"},
}


def environment(url: str, home: str) -> dict[str, str]:
    """Return the environment of a process that runs one of these: connections, and an Airflow without a database."""
    env = {
        "AIRFLOW_HOME": home,
        "_AIRFLOW_PROCESS_CONTEXT": "client",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # There is no executor that ours would have to wait for.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "0",
        "PYTHONDONTWRITEBYTECODE": "",  # without .pyc files, imports would measure the compiler
    }
    for name, connection in CONNECTIONS.items():
        host: dict[str, Any] = {"host": url}
        if name == "openai":
            host["host"] = f"{url}/v1"
        if name == "databricks":
            host = {"host": "127.0.0.1", "port": int(url.rsplit(":", 1)[1]), "schema": "http"}
        env[f"AIRFLOW_CONN_{name.upper()}_DEFAULT"] = json.dumps({**connection, **host, "password": KEY})
    return env


class Bare:
    """The loop that anyone would write: ask, read the JSON, sleep."""

    def __init__(self, client: Any, url: str, job: int, interval: float) -> None:
        self.client, self.url, self.job, self.interval = client, url, job, interval

    async def run(self) -> AsyncIterator[str]:
        while True:
            try:
                if await self.poll() == "Success":
                    break
            except Exception as error:
                ERRORS[type(error).__name__] += 1
            await asyncio.sleep(self.interval)
        yield "Success"

    async def poll(self) -> str:
        answer = await self.client.get(
            f"{self.url}/v1/query/video_generation",
            params={"task_id": str(self.job)},
            headers={"Authorization": f"Bearer {KEY}"},
        )
        status: str = json.loads(answer.content)["status"]
        return status


class Bounded(Bare):
    """The same with what performance asks for: first polls spread, at most 8 requests in flight."""

    def __init__(self, client: Any, url: str, job: int, interval: float, in_flight: asyncio.Semaphore) -> None:
        super().__init__(client, url, job, interval)
        self.in_flight = in_flight

    async def run(self) -> AsyncIterator[str]:
        await asyncio.sleep(self.interval * (0.5 + random.random() / 2))
        async for event in super().run():
            yield event

    async def poll(self) -> str:
        async with self.in_flight:
            return await super().poll()


def _bare(url: str, interval: float) -> Make:
    import httpx

    client = httpx.AsyncClient()
    return lambda job: Bare(client, url, job, interval)


def _bounded(url: str, interval: float) -> Make:
    import httpx

    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=8, keepalive_expiry=300))
    in_flight = asyncio.Semaphore(8)
    return lambda job: Bounded(client, url, job, interval, in_flight)


class Wire(asyncio.Protocol):
    """One connection that is kept, without an HTTP library: a request, its answer, the next."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def ask(self, path: str) -> asyncio.Future[bytes]:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport.write(
            b"GET %b HTTP/1.1\r\nhost: h\r\nauthorization: Bearer %b\r\n\r\n" % (path.encode(), KEY.encode())
        )
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, _, body = self.buffer.partition(b"\r\n\r\n")
        length = head.rpartition(b"content-length: ")[2]
        if body and len(body) == int(length):
            self.buffer = b""
            self.answer.set_result(body)


class Raw(Bare):
    """The loop over bare sockets: what no program that speaks HTTP can go below."""

    def __init__(self, wires: list[Wire], url: str, job: int, interval: float, in_flight: asyncio.Semaphore) -> None:
        super().__init__(None, url, job, interval)
        self.wires, self.in_flight = wires, in_flight

    async def poll(self) -> str:
        async with self.in_flight:
            wire = self.wires.pop() if self.wires else await self.connect()
            answer = await wire.ask(f"/v1/query/video_generation?task_id={self.job}")
            self.wires.append(wire)
        status: str = json.loads(answer)["status"]
        return status

    async def connect(self) -> Wire:
        port = int(self.url.rsplit(":", 1)[1])
        return (await asyncio.get_running_loop().create_connection(Wire, "127.0.0.1", port))[1]


def _raw(url: str, interval: float) -> Make:
    wires: list[Wire] = []
    in_flight = asyncio.Semaphore(32)
    return lambda job: Raw(wires, url, job, interval, in_flight)


class Asleep:
    """Nothing but a wait: what Airflow itself, a task and its portal take."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def run(self) -> AsyncIterator[str]:
        await asyncio.sleep(self.seconds)
        yield "Success"


def _asleep(url: str, interval: float) -> Make:
    return lambda job: Asleep(3.5 * interval if job else 0)


def _minimax(url: str, interval: float, api_version: str = "v1") -> Make:
    from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger

    return lambda job: MinimaxTaskTrigger(
        minimax_task_id=str(job),
        minimax_conn_id="minimax_default",
        deadline=time.time() + 3600,
        poll_interval=interval,
        api_version=api_version,
    )


def _minimax_over_aiohttp(url: str, interval: float) -> Make:
    import airflow_provider_minimax.api.http.aiohttp_client  # noqa: F401 - an error where it cannot be used

    return _minimax(url, interval)


def _minimax_over_httpx(url: str, interval: float) -> Make:
    sys.modules["airflow_provider_minimax.api.http.aiohttp_client"] = None  # type: ignore[assignment] - as if not installed
    return _minimax(url, interval)


def _minimax_by_the_page(url: str, interval: float) -> Make:
    return _minimax(url, interval, "v2")


def _databricks(url: str, interval: float) -> Make:
    from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

    return lambda job: DatabricksExecutionTrigger(job, "databricks_default", polling_period_seconds=interval)


def _openai(url: str, interval: float) -> Make:
    from airflow.providers.openai.triggers.openai import OpenAIBatchTrigger

    return lambda job: OpenAIBatchTrigger("openai_default", f"batch_{job}", interval, time.time() + 3600)


def _anthropic(url: str, interval: float) -> Make:
    from airflow.providers.anthropic.triggers.batch import AnthropicBatchTrigger

    return lambda job: AnthropicBatchTrigger("anthropic_default", f"msgbatch_{job}", interval, time.time() + 3600)


SYSTEMS: dict[str, Callable[[str, float], Make]] = {
    "ours": _minimax,
    "ours (aiohttp)": _minimax_over_aiohttp,
    "ours (httpx)": _minimax_over_httpx,
    "ours (v2 list)": _minimax_by_the_page,
    "asleep": _asleep,
    "raw sockets": _raw,
    "httpx shared": _bare,
    "httpx shared, 8 in flight": _bounded,
    "databricks": _databricks,
    "openai": _openai,
    "anthropic": _anthropic,
}
PEERS = ("databricks", "openai", "anthropic")
COMPARED = tuple(name for name in SYSTEMS if name not in ("ours", "asleep", "httpx shared"))
"""
What is compared unless other systems are asked for: ours as what it can be, no bare httpx that collapses, and nothing
that does not poll.
"""


def is_installed(name: str) -> bool:
    """Whether a system can be run: the peers are providers that may be missing, and so may aiohttp."""
    if name == "ours (aiohttp)":
        return find_spec("aiohttp") is not None
    return name not in PEERS or (
        find_spec("airflow.providers") is not None and find_spec(f"airflow.providers.{name}") is not None
    )


def log_to_nowhere() -> None:
    """Log as Airflow's triggerer does, formatting included, but into ``/dev/null``."""
    from airflow.sdk.log import configure_logging, reset_logging

    reset_logging()
    output = open("/dev/null", "wb", buffering=0)  # noqa: SIM115 - open until the process ends
    configure_logging(json_output=True, output=output, sending_to_supervisor=True, log_level="INFO")
