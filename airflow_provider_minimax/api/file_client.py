"""Opens files at the file host that a platform's links lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import getproxies

import httpx

from airflow_provider_minimax.api.encodings import decoded
from airflow_provider_minimax.api.exchange import Endpoint, client_options, retry_after
from airflow_provider_minimax.api.file_host import address_of, check_address, check_host, is_inside, part_of
from airflow_provider_minimax.api.library_logs import KeptOutOfLogs
from airflow_provider_minimax.api.message import HttpReply
from airflow_provider_minimax.api.redaction import harmless_cause, redact
from airflow_provider_minimax.exceptions import MinimaxDownloadError

REDIRECTS = 5
LINK_IS_SPENT = frozenset({401, 403, 404, 410})


class FileHost:
    """
    Opens files, without the key, following a few redirects, and never logging their signed URLs.

    :param endpoint: the platform's, which says how connections are made.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @contextmanager
    def open(self, url: str, *, start: int = 0, version: str | None = None) -> Iterator[FileStream]:
        """
        Open a file.

        :param url: where the file is.
        :param start: where the wanted bytes begin, if those before are here already.
        :param version: what names the version that those are of; the host sends all of the file if it is another.
        :return: the open stream; it begins at ``start``, or with the file.
        :raises MinimaxDownloadError: the host cannot be reached, refuses, sends other bytes, or breaks off; or the link
            leads to where no clip can be.
        """
        headers = {"Accept-Encoding": "identity"}
        if start and version:
            headers |= {"Range": f"bytes={start}-", "If-Range": version}
        try:
            with (
                KeptOutOfLogs(self.endpoint.api_key),
                httpx.Client(
                    **client_options(self.endpoint),
                    follow_redirects=True,
                    max_redirects=REDIRECTS,
                    event_hooks={"request": [self._check_link], "response": [self._check_peer]},
                ) as client,
                client.stream("GET", url, headers=headers) as response,
            ):
                yield _file_stream(response, start, version, self.endpoint)
        # A link from outside may be no URL in ways that httpx does not foresee.
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise MinimaxDownloadError(
                f"the clip could not be fetched whole ({redact(f'{type(error).__name__}: {error}')})",
                platform=self.endpoint.platform,
                hint="Fetching it again costs nothing.",
            ) from harmless_cause(error)

    def _check_link(self, request: httpx.Request) -> None:
        if request.url.scheme == "http" and not self.endpoint.is_plain_http:
            # What goes over plain http could be read and changed on its way; most hosts have both.
            request.url = request.url.copy_with(scheme="https")
        check_host(request.url.host, resolve=not self._has_proxy, inside=is_inside(self.endpoint.base_url))

    def _check_peer(self, response: httpx.Response) -> None:
        """Look at whom we are really talking to: a name may lead elsewhere than it did when it was checked."""
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if peer is not None and not self._has_proxy:
            check_address(address_of(str(peer[0])), response.request.url.host, inside=is_inside(self.endpoint.base_url))

    @property
    def _has_proxy(self) -> bool:
        return bool(self.endpoint.proxy or getproxies())


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


def _file_stream(response: httpx.Response, asked_from: int, of_version: str | None, endpoint: Endpoint) -> FileStream:
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
    chunks = response.iter_raw() if response.status_code != 416 else iter(())
    if part.codings:
        chunks = decoded(chunks, part.codings)
    kind = headers.get("content-type", "")
    return FileStream(kind, part.start, part.length, part.version, chunks, lambda: response.num_bytes_downloaded)


def _refusal(status: int) -> str:
    if status in LINK_IS_SPENT:
        return "the file host refused the clip's link; it may have expired"
    if status == 416 or status < 400:
        return "the file host sent no clip, or another part of it than was asked for"
    return "the file host could not answer"
