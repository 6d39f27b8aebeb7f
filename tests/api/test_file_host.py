"""Which links are followed, and what the answers of file hosts say."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from airflow_provider_minimax.api.exchange import Endpoint
from airflow_provider_minimax.api.file_host import Part, address_of, check_address, check_host, is_inside, part_of
from airflow_provider_minimax.api.transport import Transport
from airflow_provider_minimax.exceptions import MinimaxDownloadError

PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.7"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A DNS of our own; what it does not know does not exist."""
    known: dict[str, list[str]] = {}
    is_inside.cache_clear()
    numeric = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *args: Any, **options: Any) -> list[Any]:
        if host == "127.0.0.1":
            return numeric(host, port, *args, **options)
        if host not in known:
            raise socket.gaierror("unknown")
        return [(0, 0, 0, "", (address, 0)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield known
    is_inside.cache_clear()


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "224.0.0.1", "0.0.0.0", "::"],
)
def test_no_connection_makes_some_addresses_a_file_host(address, inside):
    with pytest.raises(MinimaxDownloadError, match="is refused"):
        check_address(address_of(address), "cdn.example", inside=inside)


@pytest.mark.parametrize("address", [PRIVATE, "127.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "::1", "fd00::1"])
def test_addresses_of_this_network_are_for_connections_of_this_network(address):
    check_address(address_of(address), "cdn.example", inside=True)
    with pytest.raises(MinimaxDownloadError, match="an address inside this network"):
        check_address(address_of(address), "cdn.example", inside=False)


def test_all_addresses_of_a_name_count(names):
    names["cdn.example"] = [PUBLIC]
    check_host("cdn.example", resolve=True, inside=False)
    names["cdn.example"].append(PRIVATE)
    with pytest.raises(MinimaxDownloadError, match=r"cdn\.example \(10\.0\.0\.7\)"):
        check_host("cdn.example", resolve=True, inside=False)


def test_a_name_is_not_looked_up_where_a_proxy_does_that(names):
    check_host("cdn.example", resolve=False, inside=False)
    with pytest.raises(MinimaxDownloadError):
        check_host("169.254.169.254", resolve=False, inside=False)
    with pytest.raises(MinimaxDownloadError):
        check_host("[::1]", resolve=False, inside=False)


def test_a_name_that_cannot_be_looked_up_is_left_to_fail_when_connecting(names):
    check_host("nowhere.example", resolve=True, inside=False)


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
        "localhost": ["127.0.0.1", "::1"],
        "gateway.corp": [PRIVATE],
        "api.minimax.io": [PUBLIC],
        "split.example": [PUBLIC, PRIVATE],
    }
    assert is_inside(url) is inside


def test_who_answers_counts_and_not_only_what_the_name_meant_before(minimax_emulator, names, monkeypatch):
    """A name that leads outside when it is checked, and inside when it is connected to."""
    names["api.minimax.io"] = [PUBLIC]
    endpoint = Endpoint("minimax", "http://api.minimax.io", "key", max_retries=0)
    monkeypatch.setattr("airflow_provider_minimax.api.file_client.check_host", lambda *_, **__: None)
    link = f"{minimax_emulator.url}/files/1/output_aigc.mp4"
    with pytest.raises(MinimaxDownloadError, match=r"127\.0\.0\.1, an address inside this network"):
        with Transport(endpoint).fetch(link):
            pass


def test_through_a_proxy_the_one_who_answers_is_the_proxy(minimax_emulator, names, monkeypatch):
    names["api.minimax.io"] = [PUBLIC]
    monkeypatch.setenv("HTTP_PROXY", minimax_emulator.url)
    endpoint = Endpoint("minimax", "http://api.minimax.io", "key", max_retries=0)
    with pytest.raises(MinimaxDownloadError) as raised:
        with Transport(endpoint).fetch("http://cdn.example/files/1/output_aigc.mp4"):
            pass
    assert "inside this network" not in str(raised.value)
    assert raised.value.http_status is not None


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
