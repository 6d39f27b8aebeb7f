"""Runs the emulator in a thread of this process: uvicorn with its own event loop; listens before it returns."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_minimax.emulator.addresses import address_of
from airflow_provider_minimax.emulator.client import EmulatorClient, read_film

if TYPE_CHECKING:
    import uvicorn

SHUTDOWN_TIMEOUT = 20.0


class Emulator(EmulatorClient):
    """
    An emulator that runs as long as the ``with`` block.

    :param port: the port to listen on; 0 means any free port.
    :param host: the address to listen on.
    :param tls: whether to serve HTTPS, with a new certificate; clients have to trust ``ca_file``.
    :param root: a platform that is also served without its prefix, for clients that take a host but no path.
    :param allowed_hosts: host names under which the control endpoint may be used, besides this machine's addresses.
    :param on_purchase: called with each purchase.
    :param film_file: an MP4 file that every clip shows instead of the bundled film that fits the request.
    :param settings: initial settings that differ from the defaults.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        tls: bool = False,
        root: str | None = None,
        allowed_hosts: Iterable[str] = (),
        on_purchase: Callable[[dict[str, Any]], None] | None = None,
        film_file: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__("")
        from airflow_provider_minimax.emulator.clips import begins_as_film
        from airflow_provider_minimax.emulator.settings import Settings

        self._settings = Settings().changed(settings)
        self._film = None if film_file is None else read_film(film_file)
        if self._film is not None and not begins_as_film(self._film):
            raise ValueError(f"film_file={str(film_file)!r}: must begin like an MP4; the rest may be broken")
        self._root = None if root is None else address_of(root).name
        self._tls = tls
        self._names = [host, *allowed_hosts]
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._host, self._port = host, port
        self._on_purchase = on_purchase
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The emulator's address, without a platform's prefix."""
        if self._server is None:
            raise RuntimeError("The emulator is not running; use it in a with block.")
        return self._url

    @property
    def ca_file(self) -> str | None:
        """The PEM file of the authority that signed this run's certificate; None without TLS."""
        return self._ca_file

    def base_url(self, platform: str = "minimax") -> str:
        """Return the host of a connection to this platform."""
        return self.url if platform == self._root else super().base_url(platform)

    def __enter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("The emulator is running already.")
        listener = _listener(self._host, self._port)
        self._server = self._make_server()
        self._thread = threading.Thread(
            target=_serve, args=(self._server, listener), name="minimax-emulator", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("The emulator did not start.")
            time.sleep(0.005)
        self._url = f"{'https' if self._tls else 'http'}://{_reachable(self._host)}:{listener.getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is None or self._thread is None:
            return
        with suppress(OSError):  # a server that has stopped holds no responses
            self.clear_faults()
            self.release()
        self._server.should_exit = True
        self._thread.join(SHUTDOWN_TIMEOUT)
        self._server = self._thread = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = self._ca_file = None

    def _make_server(self) -> uvicorn.Server:
        import uvicorn

        from airflow_provider_minimax.emulator.app import create_app
        from airflow_provider_minimax.emulator.browser_guard import BrowserGuard
        from airflow_provider_minimax.emulator.world import World

        world = World(self._settings, self._film)
        if self._on_purchase is not None:
            world.on_purchase = self._on_purchase
        # Plain asyncio and h11 are always available and behave the same. Logging is left as the user configured it.
        config = uvicorn.Config(
            create_app(world, BrowserGuard(self._names), self._root),
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
        if self._tls:
            self._enable_tls(config)
        return uvicorn.Server(config)

    def _enable_tls(self, config: uvicorn.Config) -> None:
        """Make a certificate and have the server use it; its key is deleted from the disk."""
        from airflow_provider_minimax.emulator import tls

        self._folder = tempfile.TemporaryDirectory(prefix="minimax-emulator-")
        folder = Path(self._folder.name)
        tls.make_certificate(folder, ["localhost", "127.0.0.1", "::1", *self._names])
        config.ssl_certfile, config.ssl_keyfile = folder / tls.CERTIFICATE, folder / tls.KEY
        config.load()
        (folder / tls.KEY).unlink()
        self._ca_file = str(folder / tls.AUTHORITY)


def _listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; fails at once if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets created with IPPROTO_TCP; without it, each response takes 40 ms.
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
    """Return a host that a client on this machine can connect to."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        listener.close()
