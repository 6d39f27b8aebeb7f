"""Runs the emulator in a thread of this process: uvicorn with its own event loop, bound before anybody is told."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_minimax.emulator.client import EmulatorClient

if TYPE_CHECKING:
    import uvicorn

PATIENCE = 20.0


class Emulator(EmulatorClient):
    """An emulator that lives as long as the ``with`` block; port 0 means any free one."""

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        on_purchase: Callable[[dict[str, Any]], None] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__("")
        from airflow_provider_minimax.emulator.settings import Settings

        self._settings = Settings().changed(settings)
        self._host, self._port = host, port
        self._on_purchase = on_purchase
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the emulator listens, without a platform's prefix."""
        if self._server is None:
            raise RuntimeError("The emulator is not running; use it in a with block.")
        return self._url

    def __enter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("The emulator is running already.")
        listener = _bound(self._host, self._port)
        self._server = self._make_server()
        self._thread = threading.Thread(
            target=_serve, args=(self._server, listener), name="minimax-emulator", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("The emulator did not start.")
            time.sleep(0.005)
        self._url = f"http://{_reachable(self._host)}:{listener.getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is None or self._thread is None:
            return
        with suppress(OSError):  # a server that is gone holds nothing back
            self.clear_faults()
            self.release()
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        self._server = self._thread = None

    def _make_server(self) -> uvicorn.Server:
        import uvicorn

        from airflow_provider_minimax.emulator.app import create_app
        from airflow_provider_minimax.emulator.world import World

        world = World(self._settings)
        if self._on_purchase is not None:
            world.on_purchase = self._on_purchase
        # Plain asyncio and h11 are always there and always the same. No log configuration: it would be the user's.
        config = uvicorn.Config(
            create_app(world),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        return uvicorn.Server(config)


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket, so that a port which is taken is known at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only for sockets that name TCP; with it, each answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def _reachable(host: str) -> str:
    """A host that a client on this machine can connect to."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        listener.close()
