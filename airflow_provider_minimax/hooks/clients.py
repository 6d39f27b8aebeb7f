"""The clients of an Airflow connection: opened at the first use, kept, and replaced when the connection has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_minimax.api.async_client import AsyncClient
from airflow_provider_minimax.api.client import Client
from airflow_provider_minimax.api.http.exchange import IN_FLIGHT, Endpoint
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.versions import TaskVersions
from airflow_provider_minimax.exceptions import MinimaxConfigurationError, MinimaxRequestError
from airflow_provider_minimax.hooks.lookup import ConnectionLookup
from airflow_provider_minimax.text.redaction import described, harmless_cause

if TYPE_CHECKING:
    from airflow_provider_minimax.hooks.lookup import Account

C = TypeVar("C", Client, AsyncClient)


class Clients:
    """
    The clients of one connection, one for synchronous code and one for an event loop.

    :param hook: the hook that asks Airflow for the connection.
    :param minimax_conn_id: the connection.
    :param account: what the connection says, if that is known already.
    """

    def __init__(self, hook: BaseHook, minimax_conn_id: str, account: Account | None = None) -> None:
        self.connection = ConnectionLookup(hook, minimax_conn_id, account)
        self._versions = TaskVersions()
        self._minimax_conn_id = minimax_conn_id
        self._client: Client | None = None
        self._async_client: AsyncClient | None = None

    @property
    def platform(self) -> Platform:
        """The connection's platform, by the first version of its API."""
        return self.connection.get()[0]

    @property
    def endpoint(self) -> Endpoint:
        """Where the connection leads."""
        return self.connection.get()[1]

    async def aendpoint(self) -> Endpoint:
        """Return where the connection leads; looked up at the first call."""
        return (await self.connection.aget())[1]

    @property
    def known_endpoint(self) -> Endpoint | None:
        """Where the connection leads, if it was looked up before."""
        return self.connection.account[1] if self.connection.account else None

    def get(self) -> Client:
        """Return the client for synchronous code."""
        if self._client is None:
            self._client = self._open(Client, self.connection.get())
        return self._client

    async def aget(self) -> AsyncClient:
        """Return the event loop's client."""
        account = self.connection.account or await self.connection.aget()
        if self._async_client is None:
            self._async_client = self._open(AsyncClient, account)
        return self._async_client

    def _open(self, kind: Callable[[Platform, Endpoint, TaskVersions], C], account: Account) -> C:
        try:
            return kind(*account, self._versions)
        except (ImportError, OSError, ValueError) as error:
            # A package, a file of certificates or a proxy that the environment names, and that cannot be used.
            raise MinimaxConfigurationError(
                f"no HTTP client can be made for connection {self._minimax_conn_id!r}: " + described(error),
                hint="Check its extra fields proxy and verify, and SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables "
                "in the environment of this process.",
            ) from harmless_cause(error)

    @property
    def max_in_flight(self) -> int:
        """How many status checks of triggers may be under way at once."""
        return self._async_client.transport.max_in_flight if self._async_client else IN_FLIGHT

    def page_size(self, api_version: str | None) -> int:
        """
        Return how many tasks one request can poll: 1 where there is no list, and before the connection is looked up.

        :param api_version: which version of MiniMax's API knows them; 1 if that is not known, or if the platform has no
            such version, which a status check says.
        """
        account = self.connection.account
        try:
            return account[0].of_version(api_version).page_size if account and api_version else 1
        except MinimaxRequestError:
            return 1

    def reload(self) -> bool:
        """Look the connection up again; return whether anything in it changed, so that the next request uses that."""
        has_changed = self.connection.refresh()
        if has_changed:
            self.close()
        return has_changed

    async def areload(self) -> bool:
        """Do what :meth:`reload` does, on an event loop."""
        has_changed = await self.connection.arefresh()
        if has_changed and (stale := self._async_client) is not None:
            self._async_client = None
            # This task may be cancelled; others still wait for their answers, and the client is to be closed then.
            await asyncio.shield(stale.aclose())
        return has_changed

    async def areload_after(self, refused: Endpoint) -> bool:
        """
        Look the connection up again after its key was refused, where others may share these clients.

        :param refused: where the connection led then.
        :return: whether the next request uses another: one of the others, refused too, may have looked it up meanwhile.
        """
        await self.areload()
        return await self.aendpoint() != refused

    def close(self) -> None:
        """Close the synchronous client."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def aclose(self) -> None:
        """Close the event loop's client."""
        if self._async_client is not None:
            await self._async_client.aclose()
            self._async_client = None
