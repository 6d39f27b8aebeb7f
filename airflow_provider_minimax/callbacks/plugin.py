"""
The Airflow plugin that puts the receiver into the API server, under ``/minimax``.

All of Airflow's processes load plugins, most of them without any use for this one. So this module imports nothing of
the receiver, which is made at the first request.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.callbacks.address import URL_PREFIX, callback_base_url
from airflow_provider_minimax.exceptions import MinimaxConfigurationError

try:
    from airflow.sdk.plugins_manager import AirflowPlugin
except ImportError:  # Airflow 3.0 and 3.1
    from airflow.plugins_manager import AirflowPlugin  # type: ignore[assignment]

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from airflow_provider_minimax.callbacks.receiver import Receiver

log = logging.getLogger(__name__)


class CallbackReceiver:
    """The receiver, imported when it is needed."""

    def __init__(self) -> None:
        self._receiver: Receiver | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if self._receiver is None:
            from airflow_provider_minimax.callbacks.receiver import Receiver

            self._receiver = Receiver()
        await self._receiver(scope, receive, send)


def _fastapi_apps() -> list[dict[str, Any]]:
    """Nothing where callbacks are off, or where their base URL is wrong, which buying with one reports too."""
    try:
        if callback_base_url() is None:
            return []
    except MinimaxConfigurationError as error:
        error.billing = None
        log.error("No receiver for MiniMax's callbacks: %s", error)
        return []
    return [{"app": CallbackReceiver(), "url_prefix": URL_PREFIX, "name": "MiniMax callbacks"}]


class MinimaxCallbackPlugin(AirflowPlugin):
    """Puts the receiver into the API server if ``[minimax] callback_base_url`` is set."""

    name = "minimax_callbacks"
    fastapi_apps = _fastapi_apps()
