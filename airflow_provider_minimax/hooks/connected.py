"""A hook's connection: looked up when it is needed, looked up again when its key is refused, and its open clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_minimax.airflow_names import AirflowNotFoundException
from airflow_provider_minimax.api.async_transport import AsyncTransport
from airflow_provider_minimax.api.exchange import Endpoint
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.transport import Transport
from airflow_provider_minimax.exceptions import MinimaxConfigurationError
from airflow_provider_minimax.hooks.connection import read_connection

if TYPE_CHECKING:
    from airflow.sdk import Connection


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
        self._resolving: asyncio.Lock | None = None

    def get_conn(self) -> Transport:
        """Return the transport to the connection's endpoint, opened at the first call."""
        if self._transport is None:
            _, endpoint = self._resolve()
            self._transport = Transport(endpoint)
        return self._transport

    def _resolve(self) -> tuple[Platform, Endpoint]:
        if self._resolved is None:
            try:
                connection = self.get_connection(self.minimax_conn_id)
            except AirflowNotFoundException as error:
                raise self._no_connection() from error
            self._resolved = self._read(connection, connection.extra_dejson)
        return self._resolved

    async def _aresolve(self) -> tuple[Platform, Endpoint]:
        if self._resolved is not None:
            return self._resolved
        self._resolving = self._resolving or asyncio.Lock()
        async with self._resolving:
            if self._resolved is None:
                self._resolved = await self._alook_up()
        return self._resolved

    async def _alook_up(self) -> tuple[Platform, Endpoint]:
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        try:
            connection = await get_async_connection(self.minimax_conn_id, hook=self)
        except AirflowNotFoundException as error:
            raise self._no_connection() from error
        return self._read(connection, await get_async_extra_dejson(connection))

    def _read(self, connection: Connection, extra: dict[str, Any]) -> tuple[Platform, Endpoint]:
        return read_connection(
            self.minimax_conn_id,
            host=connection.host,
            port=connection.port,
            password=connection.password,
            extra=extra,
        )

    def _no_connection(self) -> MinimaxConfigurationError:
        return MinimaxConfigurationError(
            f"there is no connection {self.minimax_conn_id!r}",
            hint="Add it in the UI (Admin, Connections), with `airflow connections add`, or as AIRFLOW_CONN_"
            f"{self.minimax_conn_id.upper()}.",
        )

    def reload(self) -> bool:
        """
        Look the connection up again, for instance after its key was refused.

        :return: whether anything in it changed; if so, the next request uses it.
        """
        stale, self._resolved = self._resolved, None
        if self._resolve() == stale:
            return False
        self.close()
        return True

    async def areload(self) -> bool:
        """Do what :meth:`reload` does, on an event loop."""
        fresh = await self._alook_up()
        if fresh == self._resolved:
            return False
        stale, self._resolved, self._async_transport = self._async_transport, fresh, None
        if stale is not None:
            # Whoever noticed may be cancelled; the others still wait for their answers, and it is to be closed then.
            await asyncio.shield(stale.aclose())
        return True

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
            self._async_transport = AsyncTransport(endpoint)
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
