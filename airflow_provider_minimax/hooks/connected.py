"""A hook's connection: looked up when it is needed, looked up again when its key is refused, and its open clients."""

from __future__ import annotations

import asyncio
import copy
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_minimax.api.http.async_transport import AsyncTransport
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.redaction import harmless_cause, redact
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxConfigurationError,
    MinimaxConnectionLookupError,
    MinimaxConnectionNotFoundError,
    MinimaxError,
)
from airflow_provider_minimax.hooks.connection import read_connection, read_extra
from airflow_provider_minimax.version_compat import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.sdk import Connection

T = TypeVar("T")

# How long an event loop waits for Airflow to say what a connection is.
LOOKUP_TIMEOUT = 20.0
# How long the answer of a lookup that found nothing new holds for all who share a hook.
LOOKUP_INTERVAL = 1.0
# Airflow shows it whole when it cannot read it. Links are no connections.
_URI = re.compile(r"\b(?!https?:)[a-z][\w.+-]*://\S*", re.IGNORECASE)
# Lookups that go on although nobody waits for them any more.
_lookups: set[asyncio.Task[Any]] = set()


def _may_hold_the_key(error: BaseException) -> bool:
    """Whether an error of Airflow's may show what it could not read, which is a connection with its key."""
    return isinstance(error, ValueError | TypeError) or _URI.search(str(error)) is not None


class ConnectedHook(BaseHook):
    """
    A connection turned into a platform and the transports to reach it, which are opened at the first use and kept.

    :param minimax_conn_id: the connection.
    """

    conn_name_attr = "minimax_conn_id"
    default_conn_name = "minimax_default"
    conn_type = "minimax"
    hook_name = "MiniMax"

    def __init__(self, minimax_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimax_conn_id = minimax_conn_id
        self._resolved: tuple[Platform, Endpoint] | None = None
        self._transport: Transport | None = None
        self._async_transport: AsyncTransport | None = None
        self._lookup: asyncio.Task[tuple[Platform, Endpoint]] | None = None
        self._lookup_holds_until = 0.0

    def get_conn(self) -> Transport:
        """Return the transport to the connection's endpoint, opened at the first call."""
        if self._transport is None:
            _, endpoint = self._resolve()
            self._transport = self._open(Transport, endpoint)
        return self._transport

    def _open(self, kind: Callable[[Endpoint], T], endpoint: Endpoint) -> T:
        try:
            return kind(endpoint)
        except (ImportError, OSError, ValueError) as error:
            # A package, a file of certificates or a proxy that the environment names, and that cannot be used.
            raise MinimaxConfigurationError(
                f"no HTTP client can be made for connection {self.minimax_conn_id!r}: "
                + redact(f"{type(error).__name__}: {error}"),
                hint="Check its extra fields proxy and verify, and SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables "
                "in the environment of this process.",
            ) from harmless_cause(error)

    def _resolve(self) -> tuple[Platform, Endpoint]:
        if self._resolved is None:
            self._resolved = self._look_up()
        return self._resolved

    def _look_up(self) -> tuple[Platform, Endpoint]:
        try:
            connection = self.get_connection(self.minimax_conn_id)
            # It also hides what it finds there in the logs.
            extra = read_extra(self.minimax_conn_id, connection.extra) and connection.extra_dejson
        except MinimaxError:
            raise
        except Exception as error:
            raise self._not_found(error) from (None if _may_hold_the_key(error) else harmless_cause(error))
        return self._read(connection, extra)

    async def _aresolve(self) -> tuple[Platform, Endpoint]:
        if self._resolved is None:
            self._resolved = await self._ashared_lookup()
        return self._resolved

    async def _ashared_lookup(self) -> tuple[Platform, Endpoint]:
        """
        Look the connection up, once for all who ask at the same time or soon after it changed nothing.

        The lookup is a task of its own, which nobody cancels: Airflow's channel to its supervisor loses its place when
        a request is broken off, and a secrets backend that hangs must not hold up those who wait.
        """
        loop = asyncio.get_running_loop()
        if self._lookup is None or (self._lookup.done() and loop.time() >= self._lookup_holds_until):
            self._lookup = loop.create_task(self._alook_up())
            self._lookup.add_done_callback(self._end_lookup)
            _lookups.add(self._lookup)
        lookup = self._lookup
        await asyncio.wait({lookup}, timeout=LOOKUP_TIMEOUT)
        if not lookup.done():
            raise self._not_found(TimeoutError(f"no answer within {LOOKUP_TIMEOUT:g} s"))
        try:
            return lookup.result()
        except MinimaxError as error:
            # To each in an error of its own, since what is known of a task is added to it.
            raise copy.copy(error) from error.__cause__
        except Exception as error:
            raise self._not_found(error) from (None if _may_hold_the_key(error) else harmless_cause(error))

    def _end_lookup(self, lookup: asyncio.Task[tuple[Platform, Endpoint]]) -> None:
        _lookups.discard(lookup)
        if lookup.cancelled():
            return
        if lookup.exception() is not None or lookup.result() == self._resolved:
            self._lookup_holds_until = lookup.get_loop().time() + LOOKUP_INTERVAL

    async def _alook_up(self) -> tuple[Platform, Endpoint]:
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        try:
            connection = await get_async_connection(self.minimax_conn_id, hook=self)
            extra = read_extra(self.minimax_conn_id, connection.extra) and await get_async_extra_dejson(connection)
        except MinimaxError:
            raise
        except Exception as error:
            raise self._not_found(error) from (None if _may_hold_the_key(error) else harmless_cause(error))
        return self._read(connection, extra)

    def _read(self, connection: Connection, extra: dict[str, Any]) -> tuple[Platform, Endpoint]:
        return read_connection(
            self.minimax_conn_id,
            host=connection.host,
            port=connection.port,
            path=connection.schema,
            password=connection.password,
            extra=extra,
        )

    def _not_found(self, error: Exception) -> MinimaxError:
        variable = f"AIRFLOW_CONN_{self.minimax_conn_id.upper()}"
        if isinstance(error, AirflowNotFoundException | ValueError | TypeError) and os.environ.get(variable):
            # Some versions of Airflow say why in their log for debugging only.
            return MinimaxConfigurationError(
                f"Airflow can read no connection from {variable} in the environment of this process: must be a URI, or "
                "a JSON object with no other fields than conn_type, password, host, port (a number), extra (an object) "
                "and Airflow's own",
                billing=NOTHING_BOUGHT,
            )
        if isinstance(error, AirflowNotFoundException):
            return MinimaxConnectionNotFoundError(
                f"there is no connection {self.minimax_conn_id!r} here, or the secrets backend or API server that has "
                "it is down, of which Airflow says the same",
                hint=f"Add it in the UI (Admin, Connections), with `airflow connections add`, or as {variable}.",
            )
        what = type(error).__name__ if _may_hold_the_key(error) else redact(f"{type(error).__name__}: {error}")
        return MinimaxConnectionLookupError(f"connection {self.minimax_conn_id!r} could not be looked up ({what})")

    def reload(self) -> bool:
        """
        Look the connection up again, for instance after its key was refused.

        :return: whether anything in it changed; if so, the next request uses it.
        """
        fresh = self._look_up()
        if fresh == self._resolved:
            return False
        self._resolved = fresh
        self.close()
        return True

    async def areload(self) -> bool:
        """Do what :meth:`reload` does, on an event loop."""
        fresh = await self._ashared_lookup()
        if fresh == self._resolved:
            return False
        stale, self._resolved, self._async_transport = self._async_transport, fresh, None
        if stale is not None:
            # Whoever noticed may be cancelled; the others still wait for their answers, and it is to be closed then.
            await asyncio.shield(stale.aclose())
        return True

    @property
    def known_endpoint(self) -> Endpoint | None:
        """Where the connection leads, if it was looked up before."""
        return self._resolved[1] if self._resolved else None

    async def aendpoint(self) -> Endpoint:
        """Return where the connection leads; looked up at the first call."""
        return (await self._aresolve())[1]

    async def areload_after(self, refused: Endpoint) -> bool:
        """
        Look the connection up again after its key was refused, where others may share this hook.

        :param refused: where the connection led then.
        :return: whether the next request uses another: one of the others, refused too, may have looked it up meanwhile.
        """
        await self.areload()
        return await self.aendpoint() != refused

    async def _aconn(self) -> tuple[Platform, AsyncTransport]:
        platform, endpoint = await self._aresolve()
        if self._async_transport is None:
            self._async_transport = self._open(AsyncTransport, endpoint)
        return platform, self._async_transport

    def apart(self) -> Self:
        """Return a hook for the same connection, which it knows already, with a client of its own."""
        other = type(self)(self.minimax_conn_id)
        other._resolved = self._resolved
        return other

    def close(self) -> None:
        """Close the synchronous client."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    async def aclose(self) -> None:
        """Close the event loop's client."""
        if self._async_transport is not None:
            await self._async_transport.aclose()
            self._async_transport = None
