"""Status checks on an event loop: the same over aiohttp and httpx, and nothing else over aiohttp."""

from __future__ import annotations

import asyncio
import gc
import gzip
import ipaddress
import logging
import ssl
import sys
import threading
import warnings
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_minimax.api.http.async_transport import AsyncTransport
from airflow_provider_minimax.api.http.exchange import USER_AGENT, Endpoint
from airflow_provider_minimax.api.http.message import HttpRequest
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)

KEY = "sk-a-key-that-nobody-may-see"
STATUS_CHECK = HttpRequest("GET", "/v1/query/video_generation", {"task_id": "106916112212032"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: Value\r\n\r\n{}"

pytestmark = pytest.mark.usefixtures("polls_over")


@dataclass
class Peer:
    """A server that sends what it is given, byte for byte, and records requests."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    answer: bytes = OK
    connections: int = 0
    hangs_up: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                if self.answer:
                    writer.write(self.answer)
                if self.hangs_up:
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None):
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    peer.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()


@pytest.fixture
async def peer():
    async with serving() as peer:
        yield peer


@asynccontextmanager
async def transport_to(url: str, **changes):
    transport = AsyncTransport(Endpoint("minimax", url, KEY, **changes))
    try:
        yield transport
    finally:
        await transport.aclose()


async def poll(url: str, request: HttpRequest = STATUS_CHECK, **changes):
    async with transport_to(url, **changes) as transport:
        return await transport.send(request, lambda reply: reply, retries=0)


async def test_the_answer_comes_whole_with_its_status_and_its_headers_in_lower_case(peer):
    reply = await poll(peer.url)
    assert (reply.status, reply.body) == (200, b"{}")
    assert reply.headers["x-name"] == "Value"


async def test_the_request_is_the_same_byte_for_byte_but_for_the_headers_order(peer):
    await poll(peer.url, path_prefix="/minimax")
    line, *headers = peer.heads[0].decode().split("\r\n")
    assert line == "GET /minimax/v1/query/video_generation?task_id=106916112212032 HTTP/1.1"
    assert {name.lower(): value for name, value in (header.split(": ") for header in headers if header)} == {
        "host": peer.url.removeprefix("http://"),
        "authorization": f"Bearer {KEY}",
        "user-agent": USER_AGENT,
        "accept-encoding": "gzip, deflate",
    }


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.lists(st.text("aé +&=%#?/", min_size=1)),
)
def test_whatever_is_asked_for_arrives_as_it_was_meant(task_id, ids):
    async def ask() -> bytes:
        async with serving() as peer:
            await poll(peer.url, HttpRequest("GET", "/v1/t", {"task_id": task_id, "filter": ids}))
            return peer.heads[0].split(b" ")[1]

    asked = urlsplit(asyncio.run(ask()).decode())
    expected = [("task_id", task_id), *(("filter", it) for it in ids)]
    assert unquote(asked.path) == "/v1/t"
    assert parse_qsl(asked.query, keep_blank_values=True) == expected


async def test_connections_are_kept(peer):
    async with transport_to(peer.url) as transport:
        for _ in range(3):
            await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)
    assert peer.connections == 1


async def test_a_connection_that_was_closed_meanwhile_is_no_failed_poll(peer):
    async with transport_to(peer.url) as transport:
        peer.hangs_up = True
        await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)
        await asyncio.sleep(0.05)
        assert (await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)).status == 200


async def test_a_compressed_answer_is_read(peer):
    body = gzip.compress(b'{"status":"Success"}')
    peer.answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    assert (await poll(peer.url)).body == b'{"status":"Success"}'


async def test_a_redirect_is_not_followed_because_the_key_would_go_along(peer):
    async with serving() as other:
        peer.answer = b"HTTP/1.1 307 Moved\r\nLocation: %b/\r\nContent-Length: 0\r\n\r\n" % other.url.encode()
        assert (await poll(peer.url)).status == 307
        assert not other.heads


async def test_cookies_are_not_kept(peer):
    peer.answer = OK.replace(b"X-Name", b"Set-Cookie: a=b\r\nX-Name")
    async with transport_to(peer.url) as transport:
        for _ in range(2):
            await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)
    assert b"cookie" not in peer.heads[1].lower()


async def test_long_headers_are_read(peer):
    peer.answer = OK.replace(b"Value", b"v" * 20_000)
    assert len((await poll(peer.url)).headers["x-name"]) == 20_000


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_a_poll_without_a_usable_answer_is_repeated(peer, answer):
    peer.answer, peer.hangs_up = answer, True
    with pytest.raises(MinimaxUnavailableError) as raised:
        await poll(peer.url)
    assert not isinstance(raised.value, MinimaxUnreachableError)
    assert KEY not in str(raised.value)


async def test_an_answer_is_waited_for_as_long_as_the_connection_says(peer):
    peer.answer = b""
    with pytest.raises(MinimaxUnavailableError, match="Timeout") as raised:
        await poll(peer.url, timeout=0.2)
    assert not isinstance(raised.value, MinimaxUnreachableError)


async def test_each_part_of_an_answer_has_that_long():
    async def drip(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(0.25)
            writer.write(b"x")
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        reply = await poll(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=1.0)
    assert reply.body == b"xxxxx"


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://no-such-host.invalid", "http://a..b"])
async def test_a_host_that_does_not_exist_is_unreachable(host):
    with pytest.raises(MinimaxUnreachableError, match="no connection could be made") as raised:
        await poll(host)
    assert "object at" not in str(raised.value)


async def test_a_handshake_that_takes_too_long_is_unreachable():
    async def be_silent(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(be_silent, "127.0.0.1", 0) as server:
        with pytest.raises(MinimaxUnreachableError):
            await poll(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.2)


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 by nobody's authority but its own: the file with it and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's platform")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "platform.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
async def tls_peer(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with serving(context) as peer:
        yield peer


async def test_a_certificate_of_an_unknown_authority_is_refused(tls_peer):
    with pytest.raises(MinimaxUnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        await poll(tls_peer.url)
    assert not tls_peer.heads


async def test_a_bundle_of_ones_own_and_no_check_at_all_are_honoured(tls_peer, certificate):
    assert (await poll(tls_peer.url, verify=str(certificate))).status == 200
    assert (await poll(tls_peer.url, verify=False)).status == 200


async def test_nothing_is_left_open(tls_peer, caplog):
    caplog.set_level(logging.WARNING)
    # What earlier tests left behind is not this one's.
    gc.collect()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        await poll(tls_peer.url, verify=False)
        await asyncio.sleep(0.1)
        gc.collect()
    assert [str(one.message) for one in warned if "nclosed" in str(one.message)] == []
    assert "nclosed" not in caplog.text


# -- what goes which way -----------------------------------------------------------------------------------------------


def is_over_aiohttp(transport: AsyncTransport) -> bool:
    return transport.max_in_flight == 32


async def test_aiohttp_is_used_where_it_is_installed(peer, polls_over):
    async with transport_to(peer.url) as transport:
        assert transport.max_in_flight == 8
        await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)
        assert is_over_aiohttp(transport) == (polls_over == "aiohttp")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_request_that_is_no_poll_is_sent_once_whatever_happens(peer, method):
    peer.answer, peer.hangs_up = b"", True
    async with transport_to(peer.url) as transport:
        with pytest.raises(MinimaxError):
            await transport.send(HttpRequest(method, "/v1/video_generation", buys=method == "POST"), bytes, retries=0)
        assert len(peer.heads) == 1
        assert not is_over_aiohttp(transport)


async def test_what_a_closed_connection_swallows_is_not_cancelled_twice(peer):
    async with transport_to(peer.url) as transport:
        await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)
        await transport.send(HttpRequest("DELETE", "/v2/tasks/1"), lambda reply: reply, retries=0)
        peer.answer, peer.hangs_up = b"", True
        with pytest.raises(MinimaxUnavailableError):
            await transport.send(HttpRequest("DELETE", "/v2/tasks/2"), lambda reply: reply, retries=0)
    assert sum(head.startswith(b"DELETE /v2/tasks/2 ") for head in peer.heads) == 1


async def test_where_there_may_be_a_proxy_httpx_does_it_all(peer, monkeypatch):
    monkeypatch.setenv("http_proxy", peer.url)
    async with transport_to("http://platform.example") as transport:
        await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)
        assert not is_over_aiohttp(transport)
    assert peer.heads[0].startswith(b"GET http://platform.example/v1/query")


async def test_a_cancelled_poll_closes_its_connection_and_hinders_no_other(peer):
    peer.answer = b""
    async with transport_to(peer.url) as transport:
        cancelled = asyncio.create_task(transport.send(STATUS_CHECK, lambda reply: reply, retries=0))
        await asyncio.sleep(0.1)
        assert peer.heads
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        peer.answer = OK
        assert (await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)).status == 200
    assert peer.connections == 2


async def test_closing_waits_for_those_who_were_asking(peer):
    async with transport_to(peer.url) as transport:
        await transport.send(STATUS_CHECK, lambda reply: reply, retries=0)
        asking = [asyncio.create_task(transport.send(STATUS_CHECK, lambda reply: reply, retries=0)) for _ in range(50)]
        await asyncio.sleep(0)
    assert [(await one).status for one in asking] == [200] * 50


def test_aiohttp_is_not_imported_before_it_is_used():
    import subprocess

    program = (
        "import sys; before = set(sys.modules); import airflow_provider_minimax.api.http.async_transport as it; "
        "print('aiohttp' in set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


async def test_aiohttp_is_imported_once_for_all_and_off_the_loop(peer, monkeypatch):
    threads = []

    def noted(name):
        threads.append(threading.current_thread())
        return import_module(name)

    monkeypatch.setattr("airflow_provider_minimax.api.http.async_transport.import_module", noted)
    async with transport_to(peer.url) as transport:
        await asyncio.gather(*(transport.send(STATUS_CHECK, lambda reply: reply, retries=0) for _ in range(5)))
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_neither_key_nor_address_is_logged(peer, caplog):
    caplog.set_level(logging.DEBUG)
    await poll(peer.url)
    assert KEY not in caplog.text
    assert "106916112212032" not in caplog.text
