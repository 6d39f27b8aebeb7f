"""Opens files at the file host that a platform's links lead to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from airflow_provider_minimax.api.files.host import OverlongBodyError, announced_length, part_of
from airflow_provider_minimax.api.files.transport import FileBounds, FileTransport
from airflow_provider_minimax.api.http.encodings import decoded
from airflow_provider_minimax.api.http.exchange import USER_AGENT, Endpoint
from airflow_provider_minimax.api.http.failures import retry_after
from airflow_provider_minimax.api.http.library_logs import KeptOutOfLogs
from airflow_provider_minimax.api.http.message import HttpReply
from airflow_provider_minimax.exceptions import MinimaxDownloadError
from airflow_provider_minimax.text.redaction import described, harmless_cause

REDIRECTS = 5
# How often the connection's time-out it may take until the bytes of a file begin, redirects included.
OPENING = 2
LINK_IS_SPENT = frozenset({401, 403, 404, 410})


class FileHost:
    """
    Opens files, without the key, following a few redirects, and never logging their signed URLs.

    :param endpoint: the platform's, which says how connections are made.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @contextmanager
    def open(
        self, url: str, *, start: int = 0, version: str | None = None, ends_at: float = math.inf
    ) -> Iterator[FileStream]:
        """
        Open a file.

        :param url: where the file is.
        :param start: where the wanted bytes begin, if those before are here already.
        :param version: what names the version that those are of; the host sends all of the file if it is another.
        :param ends_at: when there is no more time for it, by :func:`time.monotonic`.
        :return: the open stream; it begins at ``start``, or with the file.
        :raises MinimaxDownloadError: the host cannot be reached, refuses, sends other bytes, or breaks off; or the link
            leads to where no clip can be.
        :raises MinimaxConfigurationError: the proxy or the authorities for this link cannot be used.
        """
        headers = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        if start and version:
            headers |= {"Range": f"bytes={start}-", "If-Range": version}
        bounds = FileBounds(min(ends_at, time.monotonic() + OPENING * self.endpoint.timeout), self.endpoint.timeout)
        try:
            with (
                KeptOutOfLogs(self.endpoint.api_key),
                httpx.Client(
                    transport=FileTransport(self.endpoint, bounds),
                    headers=headers,
                    event_hooks={"request": [self._prefer_https]},
                    trust_env=False,
                ) as client,
                _answer(client, url, bounds) as response,
            ):
                bounds.let_the_body_come(ends_at)
                yield _file_stream(response, start, version, self.endpoint, bounds)
        # A link from outside may be no URL in ways that httpx does not expect.
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise MinimaxDownloadError(
                f"the clip could not be fetched whole ({described(error)})",
                platform=self.endpoint.platform,
                hint="Fetching it again costs nothing.",
            ) from harmless_cause(error)

    def _prefer_https(self, request: httpx.Request) -> None:
        if request.url.scheme == "http" and not self.endpoint.is_plain_http:
            # What goes over plain http could be read and changed on its way; most hosts have both.
            request.url = request.url.copy_with(scheme="https")


@contextmanager
def _answer(client: httpx.Client, url: str, bounds: FileBounds) -> Iterator[httpx.Response]:
    """Return the answer that the redirects end at. httpx would read the bodies of those, whatever their size."""
    request = client.build_request("GET", url)
    for _ in range(REDIRECTS + 1):
        bounds.begin_answer()
        response = client.send(request, stream=True)
        try:
            if response.next_request is None:
                yield response
                return
            request = response.next_request
        finally:
            response.close()
    raise httpx.TooManyRedirects(f"too many redirects, more than {REDIRECTS}", request=request)


@dataclass(frozen=True, slots=True)
class FileStream:
    """
    A file that is being fetched.

    :param content_type: what the host says it is.
    :param start: where in the file the first of its bytes is.
    :param length: the size of the whole file in bytes, if the host says so.
    :param version: what names this version of the file, to go on with it after a break; ``None`` if nothing does.
    :param chunks: its bytes, as they arrive; a piece may be empty.
    :param received: how many bytes came over the network so far, which are less than the file's if it was compressed.
    """

    content_type: str
    start: int
    length: int | None
    version: str | None
    chunks: Iterator[bytes]
    received: Callable[[], int]


def _file_stream(
    response: httpx.Response, asked_from: int, of_version: str | None, endpoint: Endpoint, bounds: FileBounds
) -> FileStream:
    headers = {name.lower(): value for name, value in response.headers.items()}
    part = part_of(response.status_code, headers, asked_from, of_version)
    if part is None:
        raise MinimaxDownloadError(
            _refusal(response.status_code),
            platform=endpoint.platform,
            http_status=response.status_code,
            retry_after=retry_after(HttpReply(response.status_code, headers, b"")),
            hint="Asking for the file again gives a fresh link and costs nothing.",
        )
    chunks = _announced(response, headers) if response.status_code != 416 else iter(())
    if part.codings:
        chunks = decoded(chunks, part.codings)
    kind = headers.get("content-type", "")
    return FileStream(kind, part.start, part.length, part.version, chunks, lambda: bounds.received)


def _announced(response: httpx.Response, headers: Mapping[str, str]) -> Iterator[bytes]:
    """Return the bytes of a body, until there are more of them than its headers say."""
    length = announced_length(response.status_code, headers)
    came = 0
    for chunk in response.iter_raw():
        came += len(chunk)
        if came > length:
            raise OverlongBodyError(
                f"the file host sends more than the {length} bytes that it announced",
                hint="Fetching the clip again costs nothing.",
            )
        yield chunk


def _refusal(status: int) -> str:
    if status in LINK_IS_SPENT:
        return "the file host refused the clip's link; it may have expired"
    if status == 416 or status < 400:
        return "the file host sent no clip, or another part of it than was asked for"
    return "the file host could not answer"
