"""Controls an emulator over HTTP, wherever it runs.

Uses only the standard library, so that tests which replace an HTTP client do not affect it.
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

TIMEOUT = 30.0


class EmulatorClient:
    """
    Controls an emulator.

    :param url: its address.
    :param ca_file: the certificate authority of an emulator that serves HTTPS.
    """

    def __init__(self, url: str, *, ca_file: str | os.PathLike[str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._ca_file = None if ca_file is None else str(ca_file)

    @property
    def url(self) -> str:
        """The emulator's address, without a platform's prefix."""
        return self._url

    def base_url(self, platform: str = "minimax") -> str:
        """
        Return the host of a connection to a platform.

        :param platform: its name in a connection, such as ``bltcy``; ``minimax`` by default.
        """
        return f"{self.url}/{address_of(platform).name}"

    def api_key(self, platform: str = "minimax") -> str:
        """
        Return the API key that a platform accepts.

        :param platform: its name in a connection; ``minimax`` by default.
        """
        return address_of(platform).key

    def connection(self, platform: str = "minimax") -> dict[str, Any]:
        """
        Return an Airflow connection to a platform.

        :param platform: its name in a connection; ``minimax`` by default.
        :return: its fields, for ``json.dumps`` into ``AIRFLOW_CONN_...``.
        """
        trust = {} if self._ca_file is None else {"verify": self._ca_file}
        return {
            "conn_type": "minimax",
            "host": self.base_url(platform),
            "password": self.api_key(platform),
            "extra": address_of(platform).extra | trust,
        }

    def configure(self, *, film_file: str | os.PathLike[str] | EllipsisType | None = ..., **settings: Any) -> None:
        """
        Change settings.

        :param film_file: an MP4 file on this machine that every clip shows from now on; ``None``: the bundled film that
            fits the request.
        :param settings: the settings to change, see :class:`~airflow_provider_minimax.emulator.settings.Settings`.
        :raises ValueError: a setting does not exist or cannot have that value.
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
        """
        Apply a fault to the next requests.

        :param kind: what goes wrong, such as ``http``, ``lost_answer`` or ``slow``.
        :param operation: which requests it affects: ``submit``, ``query``, ``file``, ``list``, ``cancel``, ``upload``,
            ``account``, ``download``, ``push``, or ``any``.
        :param platform: only requests to this platform; all by default.
        :param times: how many requests it affects; -1: all of them until :meth:`clear_faults`.
        :param details: the other fields of :class:`~airflow_provider_minimax.emulator.faults.Fault`.
        :raises ValueError: there is no such fault, or it cannot affect this operation.
        """
        self._ask(
            "POST", "faults", {"kind": kind, "operation": operation, "platform": platform, "times": times, **details}
        )

    def clear_faults(self) -> None:
        """Remove all faults that have not been applied yet."""
        self._ask("DELETE", "faults")

    def release(self) -> int:
        """
        Send the responses that are being held or delayed now.

        :return: how many there were.
        """
        released: int = self._ask("POST", "release")["released"]
        return released

    def set_job(self, task_id: str, state: str, code: int | None = None) -> None:
        """
        Put a job into a state, in which it stays.

        :param task_id: the job, by its remote task id.
        :param state: ``preparing``, ``queueing``, ``processing``, ``success``, ``failed`` or ``cancelled``.
        :param code: the error code of a failed job; ``failure_code`` of the settings by default.
        :raises ValueError: there is no such job or state.
        """
        self._ask("POST", f"jobs/{quote(task_id, safe='')}", {"state": state, "code": code})

    def reset(self) -> None:
        """Forget jobs, purchases, requests and faults, and restore the initial settings."""
        self._ask("POST", "reset")

    @property
    def state(self) -> dict[str, Any]:
        """The emulator's whole state."""
        return self._ask("GET", "state")

    @property
    def settings(self) -> dict[str, Any]:
        """The current settings."""
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
        """Every request to a platform or for a clip, oldest first, without those to the control endpoint."""
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
            return http.client.HTTPConnection(netloc, timeout=TIMEOUT)
        trusted = ssl.create_default_context(cafile=self._ca_file)
        return http.client.HTTPSConnection(netloc, timeout=TIMEOUT, context=trusted)


def read_film(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a film file; ValueError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"film_file={str(path)!r}: cannot be read: {error.strerror}") from None
