"""The receiver behind a real server, mounted as Airflow's API server mounts it, with Airflow's real database."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from airflow_provider_minimax.callbacks import address, reader
from airflow_provider_minimax.callbacks.address import CALLBACK_PATH, URL_PREFIX, token_of
from airflow_provider_minimax.callbacks.record import (
    HAS_RECORD,
    RECENT_KEY,
    Push,
    asset_name,
    attempt_key,
    pushes_from_json,
)

SOON = 30.0
BASE_URL = "AIRFLOW__MINIMAX__CALLBACK_BASE_URL"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Sign with a secret of this test."""
    value = uuid4().hex
    monkeypatch.setenv("AIRFLOW__MINIMAX__CALLBACK_SECRET", value)
    address._keys.cache_clear()
    # On a busy machine a first write may take longer than platforms wait.
    monkeypatch.setattr("airflow_provider_minimax.callbacks.recorder.SECONDS_TO_RECORD", SOON)
    # Tests post a lot from one sender.
    monkeypatch.setattr("airflow_provider_minimax.callbacks.throttle.DELAY_SECONDS", 0.01)
    yield value
    address._keys.cache_clear()


@pytest.fixture
def conn_id() -> str:
    """Name a connection that no other test uses, so that none has to clean up."""
    return f"minimax_{uuid4().hex[:12]}"


@pytest.fixture
def declared(airflow_db: None, conn_id: str) -> str:
    """Have the connection's asset as a DAG that names it would: active."""
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(AssetModel(name=asset_name(conn_id), uri=asset_name(conn_id), group="asset", extra={}))
        session.flush()
        session.add(AssetActive(name=asset_name(conn_id), uri=asset_name(conn_id)))
    return conn_id


def events(conn_id: str) -> list[dict[str, Any]]:
    """Return the extras of the events of a connection's asset, the oldest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset_name(conn_id)))
        query = select(AssetEvent.extra).where(AssetEvent.asset_id == asset_id).order_by(AssetEvent.id)
        return list(session.scalars(query))


def stored(conn_id: str, key: str) -> tuple[Push, ...]:
    """Return what the record has under a key."""
    import json

    from airflow.models.asset import AssetModel
    from airflow.state import AssetScope, get_state_backend
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset_name(conn_id)))
        value = get_state_backend().get(AssetScope(asset_id=asset_id), key, session=session)
    return pushes_from_json(None if value is None else json.loads(value))


def stored_attempt(conn_id: str, attempt: str) -> tuple[Push, ...]:
    return stored(conn_id, attempt_key(attempt))


needs_record = pytest.mark.skipif(not HAS_RECORD, reason="Airflow has an asset state store since 3.3")


@dataclass
class Server:
    """A server with the receiver, and a page that says that it is well."""

    url: str

    def callback_url(self, token: str) -> str:
        return f"{self.url}{URL_PREFIX}{CALLBACK_PATH}{token}"

    def post(self, token: str, body: Any = None, **request: Any) -> httpx.Response:
        content = {"json": body} if body is not None else {}
        return httpx.post(self.callback_url(token), **content, **request, timeout=SOON, trust_env=False)

    def push(self, conn_id: str, attempt: str, body: Any) -> httpx.Response:
        return self.post(token_of(conn_id, attempt), body)

    def health_seconds(self) -> float:
        began = time.monotonic()
        assert httpx.get(f"{self.url}/health", timeout=SOON, trust_env=False).json() == {"status": "healthy"}
        return time.monotonic() - began


def serve(app: Any, **settings: Any) -> tuple[Any, threading.Thread, str]:
    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="info", timeout_graceful_shutdown=1, **settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + SOON
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return server, thread, f"http://127.0.0.1:{listening.getsockname()[1]}"


def api_server() -> Any:
    """An application that mounts the receiver as Airflow's API server does."""
    from fastapi import FastAPI

    from airflow_provider_minimax.callbacks.receiver import Receiver

    app = FastAPI()
    app.get("/health")(lambda: {"status": "healthy"})
    app.mount(URL_PREFIX, Receiver())
    return app


@contextmanager
def serving(app: Any = None, **settings: Any) -> Iterator[Server]:
    running, thread, url = serve(app or api_server(), **settings)
    try:
        yield Server(url)
    finally:
        running.should_exit = True
        thread.join(SOON)


@pytest.fixture(scope="module")
def server(airflow_db: None) -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def receiver(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Have the receiver's address in Airflow's settings."""
    monkeypatch.setenv(BASE_URL, server.url)
    return server


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Read the record from the database, and not through the supervisor that only a triggerer has; note each time."""
    done: list[str] = []

    async def read_recent(conn_id: str) -> tuple[Push, ...]:
        done.append(conn_id)
        return await asyncio.to_thread(stored, conn_id, RECENT_KEY)

    monkeypatch.setattr(reader, "read_recent", read_recent)
    monkeypatch.setattr(reader, "READ_EVERY", 0.05)
    return done


@pytest.fixture
def far_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the first poll of a wait a whole interval away, so that only a push can come before it."""
    monkeypatch.setattr("airflow_provider_minimax.polling.poller.random.random", lambda: 1.0)


def v1(task_id: str, status: str) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "status": status,
        "file_id": "",
        "base_resp": {"status_code": 0, "status_msg": "success"},
    }


def v2(task_id: str, status: str) -> dict[str, Any]:
    return {"task": {"id": task_id, "status": status, "model": "MiniMax-H3", "content": None}}
