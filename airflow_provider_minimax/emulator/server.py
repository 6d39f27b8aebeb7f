"""Runs the emulator in a thread of this process: uvicorn with its own event loop, bound before anybody is told."""

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

PATIENCE = 20.0


class Emulator(EmulatorClient):
    """
    An emulator that lives as long as the ``with`` block.

    :param port: where it listens; 0 means any free port.
    :param host: the address to listen on.
    :param tls: whether it speaks HTTPS, with a certificate made at its start; clients have to trust ``ca_file``.
    :param root: a platform that is served at the root too, for clients that can be given a host but no path.
    :param allowed_hosts: names by which the control endpoint may be called, besides this machine's addresses.
    :param on_purchase: called with each purchase.
    :param film_file: an MP4 that every clip shows, in place of the film that fits its order.
    :param settings: what to change in the settings of the start.
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
            raise ValueError(f"film_file={str(film_file)!r}: must begin as an MP4 does, be it broken behind that")
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
        """Where the emulator listens, without a platform's prefix."""
        if self._server is None:
            raise RuntimeError("The emulator is not running; use it in a with block.")
        return self._url

    @property
    def ca_file(self) -> str | None:
        """The authority that signed this run's certificate, a PEM file; None without TLS."""
        return self._ca_file

    def base_url(self, platform: str = "minimax") -> str:
        """The host to put into a connection for this platform."""
        return self.url if platform == self._root else super().base_url(platform)

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
        self._url = f"{'https' if self._tls else 'http'}://{_reachable(self._host)}:{listener.getsockname()[1]}"
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
        # Plain asyncio and h11 are always there and always the same. No log configuration: it would be the user's.
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
            self._speak_tls(config)
        return uvicorn.Server(config)

    def _speak_tls(self, config: uvicorn.Config) -> None:
        """Make a certificate and have the server use it; its key does not stay on the disk."""
        from airflow_provider_minimax.emulator import tls

        self._folder = tempfile.TemporaryDirectory(prefix="minimax-emulator-")
        folder = Path(self._folder.name)
        tls.make_certificate(folder, ["localhost", "127.0.0.1", "::1", *self._names])
        config.ssl_certfile, config.ssl_keyfile = folder / tls.CERTIFICATE, folder / tls.KEY
        config.load()
        (folder / tls.KEY).unlink()
        self._ca_file = str(folder / tls.AUTHORITY)


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
