"""The shared poller of a connection, with the hook that it polls through."""

from __future__ import annotations

from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.polling.shared_poller import SharedPoller, poller_for


def get_shared_poller(minimax_conn_id: str) -> SharedPoller:
    """
    Return the poller that all triggers of a connection on this event loop share, to be entered at once.

    :param minimax_conn_id: the connection.
    """
    return poller_for(minimax_conn_id, MinimaxHook)
