"""What an Airflow connection says: looked up when it is needed, and again when its key is refused."""

from __future__ import annotations

import asyncio
import copy
import os
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxConfigurationError,
    MinimaxConnectionLookupError,
    MinimaxConnectionNotFoundError,
    MinimaxError,
)
from airflow_provider_minimax.hooks.connection import read_connection, read_extra
from airflow_provider_minimax.text.redaction import described, harmless_cause
from airflow_provider_minimax.version_compat import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.sdk import Connection

    Account: TypeAlias = tuple[Platform, Endpoint]

# How long an event loop waits for Airflow to say what a connection is.
LOOKUP_TIMEOUT = 20.0
# How long the result of a lookup that found nothing new is valid for all who share a hook.
LOOKUP_INTERVAL = 1.0
# Airflow shows it whole when it cannot read it. Links are no connections.
_URI = re.compile(r"\b(?!https?:)[a-z][\w.+-]*://\S*", re.IGNORECASE)
# Lookups that continue although nobody waits for them any more.
_lookups: set[asyncio.Task[Any]] = set()


class ConnectionLookup:
    """
    The platform and endpoint that an Airflow connection names.

    :param hook: the hook that asks Airflow for it.
    :param minimax_conn_id: the connection.
    :param account: what it says, if that is known already.
    """

    def __init__(self, hook: BaseHook, minimax_conn_id: str, account: Account | None = None) -> None:
        self.account = account
        self._hook = hook
        self._minimax_conn_id = minimax_conn_id
        self._lookup: asyncio.Task[Account] | None = None
        self._lookup_valid_until = 0.0

    def get(self) -> Account:
        """Return what the connection says; looked up at the first call."""
        if self.account is None:
            self.account = self._look_up()
        return self.account

    async def aget(self) -> Account:
        """Do what :meth:`get` does, on an event loop."""
        if self.account is None:
            self.account = await self._shared_lookup()
        return self.account

    def refresh(self) -> bool:
        """Look the connection up again; return whether anything in it changed."""
        previous, self.account = self.account, self._look_up()
        return self.account != previous

    async def arefresh(self) -> bool:
        """Do what :meth:`refresh` does, on an event loop."""
        fresh = await self._shared_lookup()
        has_changed, self.account = fresh != self.account, fresh
        return has_changed

    def _look_up(self) -> Account:
        try:
            connection = self._hook.get_connection(self._minimax_conn_id)
            # It also hides what it finds there in the logs.
            extra = read_extra(self._minimax_conn_id, connection.extra) and connection.extra_dejson
        except MinimaxError:
            raise
        except Exception as error:
            raise self._not_found(error) from (None if _may_hold_the_key(error) else harmless_cause(error))
        return self._read(connection, extra)

    async def _shared_lookup(self) -> Account:
        """
        Look the connection up, once for all who ask at the same time or soon after it changed nothing.

        The lookup is a task of its own, which nobody cancels: Airflow's channel to its supervisor loses its place when
        a request is broken off, and a secrets backend that hangs must not hold up those who wait.
        """
        loop = asyncio.get_running_loop()
        if self._lookup is None or (self._lookup.done() and loop.time() >= self._lookup_valid_until):
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

    def _end_lookup(self, lookup: asyncio.Task[Account]) -> None:
        _lookups.discard(lookup)
        if lookup.cancelled():
            return
        if lookup.exception() is not None or lookup.result() == self.account:
            self._lookup_valid_until = lookup.get_loop().time() + LOOKUP_INTERVAL

    async def _alook_up(self) -> Account:
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        try:
            connection = await get_async_connection(self._minimax_conn_id, hook=self._hook)
            extra = read_extra(self._minimax_conn_id, connection.extra) and await get_async_extra_dejson(connection)
        except MinimaxError:
            raise
        except Exception as error:
            raise self._not_found(error) from (None if _may_hold_the_key(error) else harmless_cause(error))
        return self._read(connection, extra)

    def _read(self, connection: Connection, extra: dict[str, Any]) -> Account:
        return read_connection(
            self._minimax_conn_id,
            host=connection.host,
            port=connection.port,
            path=connection.schema,
            password=connection.password,
            extra=extra,
        )

    def _not_found(self, error: Exception) -> MinimaxError:
        variable = f"AIRFLOW_CONN_{self._minimax_conn_id.upper()}"
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
                f"there is no connection {self._minimax_conn_id!r} here, or the secrets backend or API server that has "
                "it is down, of which Airflow says the same",
                hint=f"Add it in the UI (Admin, Connections), with `airflow connections add`, or as {variable}.",
            )
        what = type(error).__name__ if _may_hold_the_key(error) else described(error)
        return MinimaxConnectionLookupError(f"connection {self._minimax_conn_id!r} could not be looked up ({what})")


def _may_hold_the_key(error: BaseException) -> bool:
    """Whether an error of Airflow's may show what it could not read, which is a connection with its key."""
    return isinstance(error, ValueError | TypeError) or _URI.search(str(error)) is not None
