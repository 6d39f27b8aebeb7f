"""File hosts that mean harm: each is left in bounded time and bounded memory, and a good answer later lands."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_minimax.api.files import transport as file_transport
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.api.task import VideoFile
from airflow_provider_minimax.delivery import download as downloads
from airflow_provider_minimax.delivery.download import download
from airflow_provider_minimax.delivery.part_file import PartFile
from airflow_provider_minimax.emulator.clips import film
from airflow_provider_minimax.exceptions import MinimaxDownloadError
from tests.hostile.server import (
    BOMBS,
    CHUNKED,
    ENDLESS,
    LIES,
    REDIRECTS,
    HostileServer,
    Request,
    Steps,
    chunk,
    closes,
    drips,
    floods,
    head,
    whole,
)

FILM = film("512P", 6)
# Of a clip that is long enough to be taken for one.
BEGINNING = FILM[:64]
TIMEOUT = 0.3
MB = 1024 * 1024


def fetched(url: str, path: Path, timeout: float = TIMEOUT) -> bytes:
    """Fetch a clip without waiting between attempts."""
    transport = Transport(Endpoint("minimax", "http://127.0.0.1:1", "key", timeout=timeout))
    with PartFile(path) as clip:
        download(transport, lambda: VideoFile(url), clip, log=logging.getLogger(__name__), sleep=lambda seconds: None)
        return clip.path.read_bytes()


@pytest.fixture
def lands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Steps]], HostileServer]:
    """Fetch a clip from a host that attacks once, then is well; return the host."""
    monkeypatch.setattr(file_transport, "LARGEST_HEAD", MB // 4)
    monkeypatch.setattr(downloads, "LARGEST", 4 * MB)

    def fetch(attack: Callable[[], Steps]) -> HostileServer:
        good = whole(FILM, ETag='"a"')

        def answer(request: Request) -> Steps:
            if len(server.requests) > 1:
                return closes(good)
            return attack()

        with HostileServer(answer) as server:
            began = time.monotonic()
            assert fetched(f"{server.url}/clip.mp4", tmp_path / "x.part") == FILM
            assert time.monotonic() - began < 20
            assert server.sent < 24 * MB
        return server

    return fetch


@pytest.mark.parametrize("attack", [*ENDLESS.values(), *LIES.values()], ids=[*ENDLESS, *LIES])
def test_an_attack_ends_and_a_good_answer_lands(attack, lands):
    lands(attack)


@pytest.mark.parametrize("attack", BOMBS.values(), ids=BOMBS)
def test_a_bomb_ends_and_a_good_answer_lands(attack, lands):
    lands(attack)


@pytest.mark.parametrize("attack", REDIRECTS.values(), ids=REDIRECTS)
def test_the_body_of_a_redirect_is_not_read(attack, lands):
    server = lands(attack)
    assert server.requests[1].target == "/elsewhere"
    assert server.sent < 4 * MB, "what fits into the sockets in between"


OVERLONG = {
    "chunks without end": lambda: floods(
        head(Content_Length=1000, ETag='"a"', **CHUNKED) + chunk(BEGINNING), chunk(bytes(1000))
    ),
    "chunks without end, of a part": lambda: floods(
        head("206 Partial Content", Content_Range="bytes 0-999/1000", ETag='"a"', **CHUNKED) + chunk(BEGINNING),
        chunk(bytes(1000)),
    ),
    "compressed chunks without end": lambda: floods(
        head(Content_Length=1000, Content_Encoding="gzip", **CHUNKED) + chunk(b"\x1f\x8b\x08" + bytes(7)),
        chunk(bytes(1000)),
    ),
}


@pytest.mark.parametrize("attack", OVERLONG.values(), ids=OVERLONG)
def test_more_than_was_announced_is_left_early_and_nothing_of_it_is_kept(attack, lands):
    server = lands(attack)
    assert "range" not in server.requests[1].headers


def test_what_is_not_of_the_clip_counts_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 4 * MB)
    named = b"1;" + b"x" * 50_000 + b"\r\n\0\r\n"
    with HostileServer(lambda request: floods(head(**CHUNKED) + chunk(BEGINNING), named)) as server:
        with pytest.raises(MinimaxDownloadError, match=f"sends more than {4 * MB} bytes"):
            fetched(f"{server.url}/clip.mp4", tmp_path / "x.part", timeout=5)
        assert server.sent < 24 * MB


SLOW = {
    "a body": lambda: drips(head(Content_Length=10 * MB, ETag='"a"') + BEGINNING, b"\0"),
    "the size of a chunk": lambda: drips(head(ETag='"a"', **CHUNKED) + chunk(BEGINNING) + b"1;x=", b"y"),
    "trailers": lambda: drips(head(ETag='"a"', **CHUNKED) + chunk(BEGINNING) + b"0\r\n", b"X-Slow: y\r\n"),
}


@pytest.mark.parametrize("attack", SLOW.values(), ids=SLOW)
def test_a_clip_that_drips_has_the_time_of_all_attempts_and_no_more(attack, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TOTAL_TIMEOUT", 1.0)
    with HostileServer(lambda request: attack()) as server:
        began = time.monotonic()
        with pytest.raises(MinimaxDownloadError, match="bytes of the clip came within 1 s"):
            fetched(f"{server.url}/clip.mp4", tmp_path / "x.part", timeout=60)
        assert time.monotonic() - began < 20


def test_redirects_that_drip_have_the_time_of_one_answer_together(tmp_path):
    def answer(request: Request) -> Steps:
        yield 0.25
        yield from closes(head("302 Found", Location="/elsewhere"))

    with HostileServer(answer) as server:
        transport = Transport(Endpoint("minimax", "http://127.0.0.1:1", "key", timeout=0.3))
        with pytest.raises(MinimaxDownloadError, match="Timeout"), transport.fetch(f"{server.url}/clip.mp4"):
            pass
        assert len(server.requests) < 5


@pytest.mark.parametrize(
    "target",
    ["", " ", "#", "?", "//", "///", "http://", "http:", "http://[", "\xff\xfe", "http://\xfc.example/", "ftp://127.0.0.1/",
     "file:///etc/passwd", "javascript:alert(1)", "http://127.0.0.1:99999/", "http://a..b/", "http://*/", "x" * 60_000],
)  # fmt: skip
def test_a_redirect_to_nowhere_is_an_error_of_ours(target, tmp_path):
    with HostileServer(lambda request: closes(whole(b"", "302 Found", Location=target))) as server:
        transport = Transport(Endpoint("minimax", "http://127.0.0.1:1", "key", timeout=5))
        with pytest.raises(MinimaxDownloadError), transport.fetch(f"{server.url}/clip.mp4"):
            pass


def test_no_signature_is_in_what_libraries_log_for_debugging(tmp_path, caplog):
    """The link, the redirect that it leads to, and the cookie that opens that."""

    def answer(request: Request) -> Steps:
        if "hush" in request.target:
            return closes(whole(FILM, Set_Cookie="session=hushed"))
        return closes(
            whole(b"", "302 Found", Location="/clip.mp4?Signature=hush", Set_Cookie="CloudFront-Signature=hush")
        )

    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    with HostileServer(answer) as server:
        assert fetched(f"{server.url}/clip.mp4?Policy=secret", tmp_path / "x.part") == FILM
    assert {"httpx", "httpcore.http11", "httpcore.connection"} <= {record.name for record in caplog.records}
    assert "hush" not in caplog.text
    assert "secret" not in caplog.text
