"""
The Airflow plugin that puts the receiver into the API server, under ``/minimax``.

All of Airflow's processes load plugins, most of them without any use for this one. So this module imports nothing of
the receiver, which is made when an API server asks for a plugin's applications, at its start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from airflow_provider_minimax.callbacks.address import URL_PREFIX, callback_base_url
from airflow_provider_minimax.exceptions import MinimaxConfigurationError

try:
    from airflow.sdk.plugins_manager import AirflowPlugin
except ImportError:  # Airflow 3.0 and 3.1
    from airflow.plugins_manager import AirflowPlugin  # type: ignore[assignment]

log = logging.getLogger(__name__)


class ReceiverApps:
    """The plugin's applications: the receiver, or nothing where callbacks are off or their base URL is wrong."""

    def __init__(self) -> None:
        self._apps: list[dict[str, Any]] | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Make the receiver, which only API servers and lists of plugins ask for."""
        if self._apps is None:
            self._apps = [self._app()] if _is_on() else []
        return iter(self._apps)

    @staticmethod
    def _app() -> dict[str, Any]:
        from airflow_provider_minimax.callbacks.receiver import Receiver

        return {"app": Receiver(), "url_prefix": URL_PREFIX, "name": "MiniMax callbacks"}


def _is_on() -> bool:
    try:
        return callback_base_url() is not None
    except MinimaxConfigurationError as error:
        error.billing = None
        log.error("No receiver for MiniMax's callbacks: %s", error)
        return False


class MinimaxCallbackPlugin(AirflowPlugin):
    """Puts the receiver into the API server if ``[minimax] callback_base_url`` is set."""

    name = "minimax_callbacks"
    fastapi_apps: Any = ReceiverApps()
