"""
The clients of an Airflow connection, which is looked up when it is needed, and again when its key is refused.

Clients are opened at the first use, kept, and replaced when the connection has changed.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_minimax.api.async_client import AsyncClient
from airflow_provider_minimax.api.client import Client
from airflow_provider_minimax.api.http.exchange import IN_FLIGHT, Endpoint
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.versions import TaskVersions
from airflow_provider_minimax.exceptions import MinimaxConfigurationError, MinimaxError, MinimaxRequestError
from airflow_provider_minimax.hooks.lookup import Account, alook_up, look_up, lookup_errors, not_found
from airflow_provider_minimax.text.redaction import described, harmless_cause

C = TypeVar("C", Client, AsyncClient)

# How long an event loop waits for Airflow to say what a connection is.
LOOKUP_TIMEOUT = 20.0
# How long the result of a lookup that found nothing new is valid for all who share a hook.
LOOKUP_INTERVAL = 1.0
# Lookups that continue although nobody waits for them any more.
_lookups: set[asyncio.Task[Any]] = set()


class Clients:
    """
    The clients of one connection, one for synchronous code and one for an event loop.

    :param hook: the hook that asks Airflow for the connection.
    :param minimax_conn_id: the connection.
    :param account: what the connection says, if that is known already.
    """

    def __init__(self, hook: BaseHook, minimax_conn_id: str, account: Account | None = None) -> None:
        self.account = account
        """What the connection says, if it was looked up before."""
        self._hook = hook
        self._minimax_conn_id = minimax_conn_id
        self._versions: TaskVersions = {}
        self._client: Client | None = None
        self._async_client: AsyncClient | None = None
        self._lookup: asyncio.Task[Account] | None = None
        self._lookup_valid_until = 0.0

    # -- what the connection says --------------------------------------------------------------------------------------

    def get_account(self) -> Account:
        """Return what the connection says; looked up at the first call."""
        if self.account is None:
            self.account = look_up(self._hook, self._minimax_conn_id)
        return self.account

    async def aget_account(self) -> Account:
        """Do what :meth:`get_account` does, on an event loop."""
        if self.account is None:
            self.account = await self._shared_lookup()
        return self.account

    @property
    def platform(self) -> Platform:
        """The connection's platform, by the first version of its API."""
        return self.get_account()[0]

    @property
    def endpoint(self) -> Endpoint:
        """Where the connection leads."""
        return self.get_account()[1]

    async def aendpoint(self) -> Endpoint:
        """Return where the connection leads; looked up at the first call."""
        return (await self.aget_account())[1]

    @property
    def known_endpoint(self) -> Endpoint | None:
        """Where the connection leads, if it was looked up before."""
        return self.account[1] if self.account else None

    async def _shared_lookup(self) -> Account:
        """
        Look the connection up, once for all who ask at the same time or soon after it changed nothing.

        The lookup is a task of its own, which nobody cancels: Airflow's channel to its supervisor loses its place when
        a request is broken off, and a secrets backend that hangs must not hold up those who wait.
        """
        loop = asyncio.get_running_loop()
        if self._lookup is None or (self._lookup.done() and loop.time() >= self._lookup_valid_until):
            self._lookup = loop.create_task(alook_up(self._hook, self._minimax_conn_id))
            self._lookup.add_done_callback(self._end_lookup)
            _lookups.add(self._lookup)
        lookup = self._lookup
        await asyncio.wait({lookup}, timeout=LOOKUP_TIMEOUT)
        if not lookup.done():
            raise not_found(self._minimax_conn_id, TimeoutError(f"no answer within {LOOKUP_TIMEOUT:g} s"))
        with lookup_errors(self._minimax_conn_id):
            try:
                return lookup.result()
            except MinimaxError as error:
                # To each in an error of its own, since what is known of a task is added to it.
                raise copy.copy(error) from error.__cause__

    def _end_lookup(self, lookup: asyncio.Task[Account]) -> None:
        _lookups.discard(lookup)
        if lookup.cancelled():
            return
        if lookup.exception() is not None or lookup.result() == self.account:
            self._lookup_valid_until = lookup.get_loop().time() + LOOKUP_INTERVAL

    # -- the clients ---------------------------------------------------------------------------------------------------

    def get(self) -> Client:
        """Return the client for synchronous code."""
        if self._client is None:
            self._client = self._open(Client, self.get_account())
        return self._client

    async def aget(self) -> AsyncClient:
        """Return the event loop's client."""
        account = await self.aget_account()
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
        try:
            return self.account[0].of_version(api_version).page_size if self.account and api_version else 1
        except MinimaxRequestError:
            return 1

    def reload(self) -> bool:
        """Look the connection up again; return whether anything in it changed, so that the next request uses that."""
        previous, self.account = self.account, look_up(self._hook, self._minimax_conn_id)
        has_changed = self.account != previous
        if has_changed:
            self.close()
        return has_changed

    async def areload(self) -> bool:
        """Do what :meth:`reload` does, on an event loop."""
        fresh = await self._shared_lookup()
        has_changed, self.account = fresh != self.account, fresh
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
