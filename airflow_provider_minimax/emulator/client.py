"""The control surface in Python: sets and reads an emulator over HTTP, wherever it runs.

Uses only the standard library, so that a test which replaces an HTTP client cannot get between it and the emulator.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from pathlib import Path
from types import EllipsisType
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_provider_minimax.emulator.addresses import address_of

PATIENCE = 30.0


class EmulatorClient:
    """Controls the emulator at ``url``; ``ca_file`` is what one that was started with TLS names as its authority."""

    def __init__(self, url: str, *, ca_file: str | os.PathLike[str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._ca_file = None if ca_file is None else str(ca_file)

    @property
    def url(self) -> str:
        """Where the emulator listens, without a platform's prefix."""
        return self._url

    def base_url(self, platform: str = "minimax") -> str:
        """The host to put into a connection for this platform."""
        return f"{self.url}/{address_of(platform).name}"

    def api_key(self, platform: str = "minimax") -> str:
        """The one key that this platform accepts."""
        return address_of(platform).key

    def connection(self, platform: str = "minimax") -> dict[str, Any]:
        """An Airflow connection to this platform, ready for ``json.dumps`` into ``AIRFLOW_CONN_...``."""
        trust = {} if self._ca_file is None else {"verify": self._ca_file}
        return {
            "conn_type": "minimax",
            "host": self.base_url(platform),
            "password": self.api_key(platform),
            "extra": address_of(platform).extra | trust,
        }

    def configure(self, *, film_file: str | os.PathLike[str] | EllipsisType | None = ..., **settings: Any) -> None:
        """Change some settings; ValueError when one does not exist or cannot have that value.

        ``film_file`` is an MP4 on this machine that every clip shows from now on; ``None``: what fits its order.
        """
        film = None if film_file is None or film_file is ... else read_film(film_file)
        self._ask("POST", "settings", settings)
        if film is not None:
            self._ask("PUT", "film", film)
        elif film_file is None:
            self._ask("DELETE", "film")

    def fault(
        self, kind: str, *, operation: str = "any", platform: str | None = None, times: int = 1, **details: Any
    ) -> None:
        """Let the next ``times`` requests of an operation (and platform) meet this trouble."""
        self._ask(
            "POST", "faults", {"kind": kind, "operation": operation, "platform": platform, "times": times, **details}
        )

    def clear_faults(self) -> None:
        """Take back all faults that have not happened yet."""
        self._ask("DELETE", "faults")

    def release(self) -> int:
        """Let go the answers that are held or slow at this moment; says how many they were."""
        released: int = self._ask("POST", "release")["released"]
        return released

    def set_job(self, task_id: str, state: str, code: int | None = None) -> None:
        """Put a job into a state by hand, where it stays."""
        self._ask("POST", f"jobs/{quote(task_id, safe='')}", {"state": state, "code": code})

    def reset(self) -> None:
        """Forget jobs, purchases, requests and faults, and go back to the settings of the start."""
        self._ask("POST", "reset")

    @property
    def state(self) -> dict[str, Any]:
        """Everything that the emulator tells of itself."""
        return self._ask("GET", "state")

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of this moment."""
        settings: dict[str, Any] = self.state["settings"]
        return settings

    @property
    def purchases(self) -> list[dict[str, Any]]:
        """Every clip that was bought, oldest first."""
        purchases: list[dict[str, Any]] = self.state["purchases"]
        return purchases

    @property
    def removals(self) -> list[dict[str, Any]]:
        """Every job that was cancelled, and every record that was deleted, oldest first."""
        removals: list[dict[str, Any]] = self.state["removals"]
        return removals

    @property
    def uploads(self) -> list[dict[str, Any]]:
        """Every file that was uploaded, oldest first."""
        uploads: list[dict[str, Any]] = self.state["uploads"]
        return uploads

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """Every job, oldest first."""
        jobs: list[dict[str, Any]] = self.state["jobs"]
        return jobs

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request to a platform or for a clip, oldest first; those to the control endpoint are left out."""
        requests: list[dict[str, Any]] = self.state["requests"]
        return requests

    @property
    def pushes(self) -> list[dict[str, Any]]:
        """Every status that was posted to a ``callback_url``, oldest first, with the HTTP status of the answer."""
        pushes: list[dict[str, Any]] = self.state["pushes"]
        return pushes

    def _ask(self, method: str, what: str, body: dict[str, Any] | bytes | None = None) -> dict[str, Any]:
        parts = urlsplit(self.url)
        connection = self._connection(parts.scheme, parts.netloc)
        try:
            content = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, f"{parts.path}/_emulator/{what}", content, {"Connection": "close"})
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status >= 400:
            raise ValueError(answer["error"])
        return answer

    def _connection(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme != "https":
            return http.client.HTTPConnection(netloc, timeout=PATIENCE)
        trusted = ssl.create_default_context(cafile=self._ca_file)
        return http.client.HTTPSConnection(netloc, timeout=PATIENCE, context=trusted)


def read_film(path: str | os.PathLike[str]) -> bytes:
    """The content of a file that clips are to show; ValueError when it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"film_file={str(path)!r}: cannot be read: {error.strerror}") from None
