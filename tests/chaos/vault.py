"""A secrets backend that can be taken away for a while, as one is that is sealed, throttled or restarted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.secrets import BaseSecretsBackend

# The connections that are here and nowhere else.
PREFIX = "vault_"


class Vault(BaseSecretsBackend):
    """
    Gives every connection whose name begins with ``vault_`` the same content, so that a test may have one to itself.

    All of Airflow's processes use it, so while a connection is away, none of them finds it.

    :param folder: where the content is, and what is away.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that have Airflow's servers and its workers use it."""
        kwargs = json.dumps({"folder": str(self._folder)})
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return {
            "SECRETS__BACKEND": path,
            "SECRETS__BACKEND_KWARGS": kwargs,
            "WORKERS__SECRETS_BACKEND": path,
            "WORKERS__SECRETS_BACKEND_KWARGS": kwargs,
        }

    def get_conn_value(self, conn_id: str, **_: Any) -> str | None:
        """Airflow calls this, logs what it raises, and goes on as if there were no such connection."""
        if not conn_id.startswith(PREFIX):
            return None
        if self._away(conn_id).exists():
            raise ConnectionError("the vault is sealed")
        return self._content.read_text()

    def fill(self, connection: Mapping[str, Any]) -> None:
        self._content.write_text(json.dumps(connection))

    def take_away(self, conn_id: str) -> None:
        """Have a connection be away until :meth:`bring_back`."""
        self._away(conn_id).touch()

    def bring_back(self, conn_id: str) -> None:
        self._away(conn_id).unlink()

    @property
    def _content(self) -> Path:
        return self._folder / "connection.json"

    def _away(self, conn_id: str) -> Path:
        return self._folder / f"{conn_id}.away"
