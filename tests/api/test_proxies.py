"""Which proxy a URL goes through: decided for each URL, from the connection and the environment."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from contextlib import suppress

import pytest

from airflow_provider_minimax.api.http.async_transport import AsyncTransport
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.message import HttpRequest
from airflow_provider_minimax.api.http.proxies import FIELD, proxy_for
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.exceptions import MinimaxConfigurationError

PROXY = "http://proxy.example:3128"


def way(url: str, chosen: str | None = None, **environment: str) -> str | None:
    proxy = proxy_for(url, chosen, environment)
    return proxy and proxy.url


@pytest.mark.parametrize("environment", [{}, {"no": "localhost"}, {"no": "*"}, {"ftp": PROXY}, {"socks": PROXY}])
def test_variables_that_name_no_proxy_for_http_make_none(environment):
    assert way("https://clips.example/a.mp4", **environment) is None


def test_the_proxy_of_the_urls_scheme_goes_before_that_of_all():
    proxies = {"http": "http://a:1", "https": "http://b:2", "all": "http://c:3"}
    assert way("http://clips.example", **proxies) == "http://a:1"
    assert way("https://clips.example", **proxies) == "http://b:2"
    assert way("https://clips.example", all="http://c:3", http="http://a:1") == "http://c:3"


def test_a_proxy_without_a_scheme_is_one_over_http():
    assert way("https://clips.example", https=" proxy.example:3128 ") == PROXY


def test_the_connections_proxy_is_for_every_url():
    assert way("https://clips.example", PROXY, https="http://b:2", no="*") == PROXY


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("*", "https://clips.example"),
        ("clips.example", "https://clips.example/a?b#c"),
        ("clips.example", "https://eu.clips.example"),
        ("CLIPS.example.", "https://clips.EXAMPLE"),
        (".clips.example", "https://eu.clips.example"),
        (".clips.example", "https://clips.example"),
        ("*.clips.example", "https://eu.clips.example"),
        ("clips.example:8443", "https://clips.example:8443"),
        ("clips.example:443", "https://clips.example"),
        ("https://clips.example", "https://clips.example"),
        ("all://clips.example", "http://clips.example"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("10.1.2.3", "http://10.1.2.3:8080"),
        ("10.1.2.3:8080", "http://10.1.2.3:8080"),
        ("10.0.0.0/8", "http://10.1.2.3"),
        ("10.1.2.3/8", "http://10.200.0.1"),
        ("::1", "http://[::1]:8080"),
        ("[::1]", "http://[::1]"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("0:0::1", "http://[::1]"),
        ("fd00::/8", "http://[fd12::1]"),
        ("[fd00::]/8", "http://[fd12::1]"),
        ("localhost", "http://localhost:8080"),
        ("other.example,,clips.example", "https://clips.example"),
        ("other.example clips.example", "https://clips.example"),
    ],
)
def test_no_proxy_covers_a_url(entry, url):
    assert way(url, http=PROXY, https=PROXY, no=entry) is None


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("clips.example", "https://eclips.example"),
        ("clips.example", "https://clips.example.org"),
        ("clips.example:8443", "https://clips.example"),
        ("[::1]:8080", "http://[::1]"),
        ("http://clips.example", "https://clips.example"),
        ("2.3", "http://10.1.2.3"),
        ("10.0.0.0/33", "http://10.1.2.3"),
        ("fd00::/8", "http://10.1.2.3"),
        ("fd00::/8", "https://clips.example"),
        ("[, ], ://, :, ., /8, %, a:99999999", "https://clips.example"),
        ("", "https://clips.example"),
    ],
)
def test_no_proxy_does_not_cover_a_url(entry, url):
    assert way(url, http=PROXY, https=PROXY, no=entry) == PROXY


@pytest.mark.parametrize(
    "proxy",
    ["http://", "http://[::1", "ftp://hush@proxy", "socks4://p:1", "http://p:hush", "http://p:99999", "a b", "://"],
)
@pytest.mark.parametrize("chosen", [True, False])
def test_what_is_no_proxy_is_refused_by_the_name_of_what_holds_it(proxy, chosen, monkeypatch):
    monkeypatch.delenv("https_proxy", raising=False)
    with pytest.raises(MinimaxConfigurationError) as raised:
        way("https://clips.example", proxy if chosen else None, https=proxy)
    assert str(raised.value).startswith(FIELD if chosen else "HTTPS_PROXY")
    assert "hush" not in str(raised.value)


def test_one_that_a_url_does_not_use_is_no_trouble_to_it():
    assert way("http://clips.example", https="http://[::1") is None
    assert way("https://clips.example", https="http://[::1", no="clips.example") is None


def test_the_name_of_a_variable_is_the_one_that_holds(monkeypatch):
    monkeypatch.setenv("https_proxy", "ftp://p")
    with pytest.raises(MinimaxConfigurationError, match=r"^https_proxy: must be"):
        proxy_for("https://clips.example", None)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_without_its_package_says_what_to_install(scheme, monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(MinimaxConfigurationError, match=r"^ALL_PROXY: .*airflow-provider-minimax\[socks\]"):
        way("https://clips.example", all=f"{scheme}://proxy.example:1080")


def serve_socks(connection: socket.socket, names: list[str]) -> None:
    """Speak SOCKS 5 with a client (RFC 1928), note the name that it wants, then answer its request."""
    with connection, connection.makefile("rb") as source:
        source.read(2 + 1)
        connection.sendall(b"\x05\x00")
        length = source.read(5)[4]
        names.append(source.read(length).decode())
        source.read(2)
        connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
        while source.readline().strip():
            pass
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


@pytest.fixture
def socks():
    """A SOCKS proxy that answers for every host; its URL, and the names it was asked for."""
    names: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    serve_socks(server.accept()[0], names)

        threading.Thread(target=serve, daemon=True).start()
        yield f"socks5://127.0.0.1:{server.getsockname()[1]}", names
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("chosen", [True, False])
async def test_a_socks_proxy_takes_status_checks_and_clips(chosen, socks, monkeypatch):
    proxy, names = socks
    if not chosen:
        monkeypatch.setenv("ALL_PROXY", proxy)
    endpoint = Endpoint("minimax", "http://platform.example", "key", proxy=proxy if chosen else None, max_retries=0)
    check = HttpRequest("GET", "/v1/query")
    transport, on_a_loop = Transport(endpoint), AsyncTransport(endpoint)
    assert (await asyncio.to_thread(transport.send, check, lambda reply: reply)).status == 200
    assert (await on_a_loop.send(check, lambda reply: reply, retries=0)).status == 200
    await on_a_loop.aclose()
    transport.close()

    def fetch() -> bytes:
        with transport.fetch("http://cdn.example/clip.mp4") as stream:
            return b"".join(stream.chunks)

    assert await asyncio.to_thread(fetch) == b"{}"
    assert names == ["platform.example", "platform.example", "cdn.example"]


def test_a_proxys_password_is_not_shown():
    assert "hush" not in repr(proxy_for("https://clips.example", "http://me:hush@proxy.example", {}))
