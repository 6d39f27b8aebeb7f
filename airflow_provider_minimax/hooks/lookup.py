"""What an Airflow connection says, and what it means for a task that it cannot be looked up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
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
"""What a connection says: the platform, by the first version of its API, and where it is."""

# Airflow shows it whole when it cannot read it. Links are no connections.
_URI = re.compile(r"\b(?!https?:)[a-z][\w.+-]*://\S*", re.IGNORECASE)


def look_up(hook: BaseHook, minimax_conn_id: str) -> Account:
    """
    Look a connection up.

    :param hook: the hook that asks Airflow for it.
    :param minimax_conn_id: the connection.
    :raises MinimaxError: it cannot be found or read, by what to do about it.
    """
    with lookup_errors(minimax_conn_id):
        connection = hook.get_connection(minimax_conn_id)
        # It also hides what it finds there in the logs.
        extra = read_extra(minimax_conn_id, connection.extra) and connection.extra_dejson
    return _read(minimax_conn_id, connection, extra)


async def alook_up(hook: BaseHook, minimax_conn_id: str) -> Account:
    """Do what :func:`look_up` does, on an event loop."""
    from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

    with lookup_errors(minimax_conn_id):
        connection = await get_async_connection(minimax_conn_id, hook=hook)
        extra = read_extra(minimax_conn_id, connection.extra) and await get_async_extra_dejson(connection)
    return _read(minimax_conn_id, connection, extra)


def _read(minimax_conn_id: str, connection: Connection, extra: dict[str, Any]) -> Account:
    return read_connection(
        minimax_conn_id,
        host=connection.host,
        port=connection.port,
        path=connection.schema,
        password=connection.password,
        extra=extra,
    )


@contextmanager
def lookup_errors(minimax_conn_id: str) -> Iterator[None]:
    """
    Turn whatever Airflow and its secrets backends raise into our error, without a key that may be in it.

    :param minimax_conn_id: the connection that is looked up.
    """
    try:
        yield
    except MinimaxError:
        raise
    except Exception as error:
        raise not_found(minimax_conn_id, error) from (None if _may_hold_the_key(error) else harmless_cause(error))


def not_found(minimax_conn_id: str, error: Exception) -> MinimaxError:
    """
    Return what it means for a task that a connection cannot be looked up.

    :param minimax_conn_id: the connection.
    :param error: what Airflow or a secrets backend raised.
    """
    variable = f"AIRFLOW_CONN_{minimax_conn_id.upper()}"
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
            f"there is no connection {minimax_conn_id!r} here, or the secrets backend or API server that has "
            "it is down, of which Airflow says the same",
            hint=f"Add it in the UI (Admin, Connections), with `airflow connections add`, or as {variable}.",
        )
    what = type(error).__name__ if _may_hold_the_key(error) else described(error)
    return MinimaxConnectionLookupError(f"connection {minimax_conn_id!r} could not be looked up ({what})")


def _may_hold_the_key(error: BaseException) -> bool:
    """Whether an error of Airflow's may show what it could not read, which is a connection with its key."""
    return isinstance(error, ValueError | TypeError) or _URI.search(str(error)) is not None
