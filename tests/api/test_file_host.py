"""Which links are followed, and what the answers of file hosts say."""

from __future__ import annotations

import math
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpcore
import pytest

from airflow_provider_minimax.api.files.host import (
    Part,
    _addresses_of,
    announced_length,
    check_address,
    is_inside,
    literal_address,
    part_of,
)
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.exceptions import MinimaxConfigurationError, MinimaxDownloadError
from tests.delivery.hosts import Host, answer

PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.7"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A DNS of our own; what it does not know does not exist."""
    known: dict[str, list[str]] = {}
    _addresses_of.cache_clear()
    numeric = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *args: Any, **options: Any) -> list[Any]:
        if literal_address(host) is not None and host != "localhost":
            return numeric(host, port, *args, **options)
        if host not in known:
            raise socket.gaierror("unknown")
        return [(0, 0, 0, "", (address, 0)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield known
    _addresses_of.cache_clear()


@dataclass
class Internet:
    """What stands for all hosts: what was connected to, and what is answered."""

    connected: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Any:
    """One server that stands for all hosts of all addresses."""
    seen = Internet()
    host = Host(lambda headers, number: seen.answers.pop(0) if seen.answers else answer(b"", "404 Not Found"))
    seen.requests = host.requests
    port = int(host.url.rpartition(":")[2].partition("/")[0])
    connect = httpcore.SyncBackend.connect_tcp

    def noted(self: Any, to: str, wanted: int, *rest: Any, **options: Any) -> Any:
        seen.connected.append(to)
        return connect(self, "127.0.0.1", port, *rest, **options)

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", noted)
    yield seen
    host.close()


OUTSIDE = Endpoint("minimax", "http://api.minimax.io", "key", max_retries=0)


def fetched(link: str, endpoint: Endpoint = OUTSIDE) -> bytes:
    with Transport(endpoint).fetch(link) as stream:
        return b"".join(stream.chunks)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "::169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2002:a9fe:a9fe::",
        "2002:a9fe:a9fe:1:2:3:4:5",
        "2001:0:a9fe:a9fe::1",
        "2001:0:5db8:d70e::5601:5601",
        "2606:4700::5efe:a9fe:a9fe",
        "2606:4700::200:5efe:a9fe:a9fe",
    ],
)
def test_no_connection_makes_some_addresses_a_file_host(address, inside):
    with pytest.raises(MinimaxDownloadError, match="is refused"):
        check_address(ip_address(address), "cdn.example", inside=inside)


@pytest.mark.parametrize(
    "address",
    [
        PRIVATE,
        "127.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "198.18.0.1",
        "240.0.0.1",
        "::1",
        "fd00::1",
        "fec0::1",
        "4000::1",
        "::127.0.0.1",
        "::ffff:10.0.0.7",
        "64:ff9b::a00:7",
        "64:ff9b:1::a00:7",
        "64:ff9b:1:a00:0:700::",
        "64:ff9b:1::",
        "2002:a00:7::1",
        "2001:0:5db8:d70e::80ff:fffe",
        "2606:4700::5efe:7f00:1",
    ],
)
def test_addresses_of_this_network_are_for_connections_of_this_network(address):
    check_address(ip_address(address), "cdn.example", inside=True)
    with pytest.raises(MinimaxDownloadError, match="an address inside this network"):
        check_address(ip_address(address), "cdn.example", inside=False)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "2606:4700::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e", "64:ff9b:1::5db8:d70e", "2002:5db8:d70e::1"],
)
def test_public_addresses_are_allowed_for_every_connection(address):
    for inside in (False, True):
        assert check_address(ip_address(address), "cdn.example", inside=inside) is None, "it raises what it refuses"


def test_the_error_says_what_an_address_stands_for():
    with pytest.raises(
        MinimaxDownloadError, match=r"64:ff9b::7f00:1 \(64:ff9b::7f00:1, which stands for 127\.0\.0\.1\)"
    ):
        check_address(ip_address("64:ff9b::7f00:1"), "64:ff9b::7f00:1", inside=False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "127.0.0.1.",
        "localhost",
        "a.LOCALHOST.",
        "%31%32%37.1",
    ],
)
def test_an_address_is_known_in_every_form_that_a_resolver_takes(host):
    assert literal_address(host) == ip_address("127.0.0.1")


@pytest.mark.parametrize(
    "host", ["cdn.example", "1.example", "", "0x", "a" * 300, "\0", "::", "fe80::1%eth0", "1.2.3.4.5"]
)
def test_and_a_name_is_none(host):
    assert literal_address(host) == {"::": ip_address("::"), "fe80::1%eth0": ip_address("fe80::1")}.get(host)


@pytest.mark.parametrize("link", ["http://cdn.example/a", "http://2130706433/a", "http://0x7f.1/a", "http://[::1]/a"])
def test_a_link_from_outside_that_leads_inside_is_not_followed(link, names, internet):
    names |= {"api.minimax.io": [PUBLIC], "cdn.example": ["127.0.0.1"]}
    with pytest.raises(MinimaxDownloadError, match="an address inside this network"):
        fetched(link)
    assert internet.connected == []


def test_all_addresses_of_a_name_count(names, internet):
    names |= {"api.minimax.io": [PUBLIC], "cdn.example": [PUBLIC, PRIVATE]}
    with pytest.raises(MinimaxDownloadError, match=r"cdn\.example \(10\.0\.0\.7\)"):
        fetched("http://cdn.example/files/1/output_aigc.mp4")
    assert internet.connected == []


def test_what_was_checked_is_what_is_connected_to(names, internet, monkeypatch):
    """A name that leads outside when it is looked up first, and inside from then on."""
    names |= {"api.minimax.io": [PUBLIC], "cdn.example": [PUBLIC]}
    known = socket.getaddrinfo

    def rebinding(host: str, *args: Any, **options: Any) -> list[Any]:
        found = known(host, *args, **options)
        if host == "cdn.example":
            names["cdn.example"] = ["127.0.0.1"]
        return found

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    internet.answers = [answer(b"a clip")]
    assert fetched("http://cdn.example/clip.mp4") == b"a clip"
    assert internet.connected == [PUBLIC]
    assert internet.requests[0]["host"] == "cdn.example"


@pytest.mark.parametrize(
    "target", ["http://elsewhere.example/", "//elsewhere.example", "http://[::ffff:a00:7]/", "http:///latest/meta-data"]
)
def test_each_redirect_is_checked_as_well(target, names, internet):
    names |= {"api.minimax.io": [PUBLIC], "cdn.example": [PUBLIC], "elsewhere.example": [PRIVATE]}
    internet.answers = [answer(b"", "302 Found", Location="/next"), answer(b"", "302 Found", Location=target)]
    with pytest.raises(MinimaxDownloadError):
        fetched("http://cdn.example/clip.mp4")
    assert set(internet.connected) == {PUBLIC}


def test_an_address_that_does_not_answer_leaves_the_others(names, minimax_emulator):
    names |= {"cdn.example": ["127.0.0.2", "127.0.0.1"]}
    port = minimax_emulator.url.rpartition(":")[2]
    inside = Endpoint("minimax", minimax_emulator.url, "key", max_retries=0)
    with pytest.raises(MinimaxDownloadError) as raised:
        fetched(f"http://cdn.example:{port}/files/1/output_aigc.mp4", inside)
    assert raised.value.http_status is not None


def test_a_name_that_cannot_be_looked_up_is_said(names):
    names["api.minimax.io"] = [PUBLIC]
    with pytest.raises(MinimaxDownloadError, match="ConnectError"):
        fetched("http://nowhere.example/a")


@pytest.mark.parametrize("link", ["http://127.0.0.1:99999/a", "http://127.0.0.1:0/a"])
def test_a_port_that_does_not_exist_is_an_error_of_ours(link):
    with pytest.raises(MinimaxDownloadError):
        fetched(link, Endpoint("minimax", "http://127.0.0.1:1", "key"))


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://127.0.0.1:8080/minimax", True),
        ("http://localhost", True),
        ("https://gateway.corp", True),
        ("https://api.minimax.io", False),
        ("https://nowhere.example", False),
        ("https://split.example", False),
    ],
)
def test_a_connection_is_inside_if_all_its_addresses_are(names, url, inside):
    names |= {
        "gateway.corp": [PRIVATE],
        "api.minimax.io": [PUBLIC],
        "split.example": [PUBLIC, PRIVATE],
    }
    assert is_inside(url) is inside


def test_a_host_that_could_not_be_looked_up_is_looked_up_again(names):
    assert not is_inside("https://gateway.corp")
    names["gateway.corp"] = [PRIVATE]
    assert is_inside("https://gateway.corp")


# -- proxies -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(names, monkeypatch, minimax_emulator) -> str:
    """A proxy for http, which does not mind what it is asked for; what comes is no file."""
    names["api.minimax.io"] = [PUBLIC]
    monkeypatch.setenv("HTTP_PROXY", minimax_emulator.url)
    return minimax_emulator.url


def test_through_a_proxy_no_name_is_looked_up_here(proxy):
    with pytest.raises(MinimaxDownloadError) as raised:
        fetched("http://cdn.example/files/1/output_aigc.mp4")
    assert raised.value.http_status is not None


@pytest.mark.parametrize("host", ["169.254.169.254", "[::1]", "127.1", "localhost", "[2002:a9fe:a9fe::]", "0x7f000001"])
def test_an_address_is_refused_before_the_proxy_is_asked(host, proxy):
    with pytest.raises(MinimaxDownloadError, match="an address inside this network"):
        fetched(f"http://{host}/latest/meta-data")


@pytest.mark.parametrize("no_proxy", ["cdn.example", ".example", "*", "fd00::/8,cdn.example"])
def test_a_host_that_needs_no_proxy_is_looked_up_and_checked(no_proxy, proxy, names, monkeypatch):
    names["cdn.example"] = ["127.0.0.1"]
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with pytest.raises(MinimaxDownloadError, match="an address inside this network"):
        fetched("http://cdn.example/files/1/output_aigc.mp4")


@pytest.mark.parametrize("variable", ["NO_PROXY", "FTP_PROXY", "HTTPS_PROXY"])
def test_a_variable_that_does_not_concern_a_link_does_not_leave_it_unchecked(variable, names, monkeypatch):
    names |= {"api.minimax.io": [PUBLIC], "cdn.example": ["127.0.0.1"]}
    monkeypatch.setenv(variable, "proxy.example:3128")
    with pytest.raises(MinimaxDownloadError, match="an address inside this network"):
        fetched("http://cdn.example/files/1/output_aigc.mp4")


def test_a_proxy_that_cannot_be_used_for_a_link_is_named(names, monkeypatch):
    names["api.minimax.io"] = [PUBLIC]
    monkeypatch.setenv("HTTPS_PROXY", "ftp://proxy.example")
    with pytest.raises(MinimaxConfigurationError, match="^HTTPS_PROXY: must be"):
        fetched("https://cdn.example/files/1/output_aigc.mp4")


# -- what answers carry ------------------------------------------------------------------------------------------------


VALIDATORS = {
    "etag": '"abc"',
    "last-modified": "Sat, 21 Nov 2026 10:00:00 GMT",
    "date": "Sat, 21 Nov 2026 11:00:00 GMT",
}


@pytest.mark.parametrize(
    ("status", "headers", "asked_from", "part"),
    [
        (200, {"content-length": "9"}, 0, Part(0, 9, None)),
        (200, {}, 5, Part(0, None, None)),
        (200, {"content-length": "9", "etag": '"abc"'}, 5, Part(0, 9, '"abc"')),
        (206, {"content-range": "bytes 5-8/9"}, 5, Part(5, 9, None)),
        (206, {"content-range": "bytes 5-8/*"}, 5, Part(5, None, None)),
        (206, {"content-range": "bytes 4-8/9"}, 5, None),
        (206, {}, 5, None),
        (206, {"content-range": "items 5-8/9"}, 5, None),
        (416, {"content-range": "bytes */5"}, 5, Part(5, 5, None)),
        (416, {"content-range": "bytes */9"}, 5, None),
        (416, {}, 5, None),
        (304, {}, 5, None),
        (403, {}, 0, None),
        (503, {}, 0, None),
    ],
)
def test_an_answer_carries_the_file_its_rest_or_nothing(status, headers, asked_from, part):
    assert part_of(status, headers, asked_from) == part


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        (VALIDATORS, '"abc"'),
        (VALIDATORS | {"etag": 'W/"abc"'}, VALIDATORS["last-modified"]),
        ({"last-modified": VALIDATORS["last-modified"], "date": VALIDATORS["last-modified"]}, None),
        ({"last-modified": VALIDATORS["last-modified"]}, None),
        ({"last-modified": "yesterday", "date": "today"}, None),
        ({"etag": "abc"}, None),
        ({}, None),
    ],
)
def test_only_what_surely_names_one_version_is_gone_on_with(headers, version):
    found = part_of(200, headers, 0)
    assert found is not None
    assert found.version == version


@pytest.mark.parametrize(
    ("status", "headers", "length"),
    [
        (200, {}, math.inf),
        (200, {"content-length": "9"}, 9),
        (200, {"content-length": "many"}, math.inf),
        (200, {"content-length": "-9"}, math.inf),
        (200, {"content-range": "bytes 0-4/5"}, math.inf),
        (206, {"content-range": "bytes 5-8/*"}, 4),
        (206, {"content-range": "bytes 5-8/9", "content-length": "3"}, 3),
    ],
)
def test_how_much_may_come_is_what_was_announced(status, headers, length):
    assert announced_length(status, headers) == length
