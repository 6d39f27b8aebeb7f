"""A platform that answers as none should: each exchange ends in time, in little memory, with what that means."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from airflow_provider_minimax.api.http import answer as answers
from airflow_provider_minimax.api.http.answer import LONGEST_ANSWER
from airflow_provider_minimax.api.http.async_transport import AsyncTransport
from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxSubmissionUnknownError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
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
    stops,
    whole,
)

TIMEOUT = 0.2
# For what the answer says to be read even on a busy machine, before it is left.
LONG_ENOUGH = 2.0
# Far more than any exchange may take with that, for a busy machine; far less than an attack goes on for.
IN_TIME = 20.0
MIB = 1024 * 1024
CLIP = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a paper boat"})
QUEUED = whole(json.dumps({"task_id": "106", "id": "106", "status": "queued"}).encode())
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(200)

Attack = Callable[[], Steps]


def on_loop(ask: Callable[[MinimaxHook], Any]) -> Callable[[MinimaxHook], Any]:
    """Return a call of a hook on an event loop, as one from outside."""

    async def to_its_end(hook: MinimaxHook) -> Any:
        try:
            return await ask(hook)
        finally:
            await hook.aclose()

    return lambda hook: asyncio.run(to_its_end(hook))


@dataclass(frozen=True)
class Place:
    """
    Where a platform's answer is read.

    :param ask: what is asked.
    :param method: of which requests the answers are meant; the others are answered as they should be.
    """

    ask: Callable[[MinimaxHook], Any]
    method: str = "GET"


PLACES = {
    "status check": Place(lambda hook: hook.get_task("106")),
    "status check, httpx": Place(on_loop(lambda hook: hook.aget_task("106"))),
    "status check, aiohttp": Place(on_loop(lambda hook: hook.aget_task("106", retries=0))),
    "purchase": Place(lambda hook: hook.submit(CLIP), "POST"),
    "purchase, httpx": Place(on_loop(lambda hook: hook.asubmit(CLIP)), "POST"),
    "upload": Place(lambda hook: hook.upload("film", validate=False), "POST"),
    "upload, httpx": Place(on_loop(lambda hook: hook.aupload("film", validate=False)), "POST"),
    "list": Place(lambda hook: hook.list_tasks()),
    "list, aiohttp": Place(on_loop(lambda hook: hook.aget_tasks(["106"], api_version="v2"))),
    "cancel": Place(lambda hook: hook.cancel("106"), "DELETE"),
    "cancel, httpx": Place(on_loop(lambda hook: hook.acancel("106")), "DELETE"),
    "balance": Place(lambda hook: hook.get_balance()),
    "balance, httpx": Place(on_loop(lambda hook: hook.aget_balance())),
}
CLIENTS = ["status check", "status check, httpx", "status check, aiohttp"]
PURCHASES = ["purchase", "purchase, httpx"]
OTHERS = [place for place in PLACES if place not in (*CLIENTS, *PURCHASES)]
# One of each kind, for places that share a client with one that is tried with all.
SOME = {
    "drips headers": ENDLESS["drips headers"],
    "drips a body": ENDLESS["drips a body"],
    "floods a body": ENDLESS["floods a body"],
    "never answers": ENDLESS["never answers"],
    "gzip": BOMBS["gzip"],
    "closes in the body": LIES["closes in the body"],
    "redirects": REDIRECTS["floods"],
}
# What takes all the time there is, and a whole core: alone, so that it holds up nothing else.
HEAVY = [name for name in ENDLESS if name.startswith("floods")]
SLOW = {name: attack for name, attack in ENDLESS.items() if name not in HEAVY}


@pytest.fixture(scope="module", autouse=True)
def _bombs_are_made() -> None:
    for attack in BOMBS.values():
        next(attack())


@pytest.fixture(autouse=True)
def _film(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # More than fits into the sockets in between.
    (tmp_path / "film").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(16 * MIB))


@dataclass
class Ended:
    """What came of a call, after how many seconds; and what the server saw of it."""

    value: Any = None
    seconds: float = IN_TIME
    sent: int = 0
    requests: int = 0


@pytest.fixture
def connect(connect_to) -> Callable[..., str]:
    """Return what makes connections to hostile platforms, with a short time-out."""
    return partial(connect_to, timeout=TIMEOUT)


@pytest.fixture
def under(connect) -> Callable[..., dict[str, Ended]]:
    """Ask a platform at a place, once under each attack and under all at the same time."""

    def ask(attack: Attack, place: Place, conn_id: str, timeout: float, ended: Ended) -> None:
        def answer(request: Request) -> Steps:
            return attack() if request.method == place.method else stops(QUEUED)

        with HostileServer(answer) as server:
            began = time.monotonic()
            with closing(MinimaxHook(connect(server.url, conn_id, timeout=timeout))) as hook:
                try:
                    ended.value = place.ask(hook)
                except Exception as error:
                    ended.value = error
            ended.seconds = time.monotonic() - began
            ended.sent = server.sent
            ended.requests = sum(request.method == place.method for request in server.requests)

    def all_of_them(place: str, attacks: dict[str, Attack], timeout: float = TIMEOUT) -> dict[str, Ended]:
        ends = {name: Ended() for name in attacks}
        threads = [
            threading.Thread(
                target=ask, args=(attack, PLACES[place], f"under_attack_{number}", timeout, ends[name]), daemon=True
            )
            for number, (name, attack) in enumerate(attacks.items())
        ]
        for thread in threads:
            thread.start()
        ends_at = time.monotonic() + IN_TIME
        for thread in threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        for number, (name, end) in enumerate(ends.items()):
            if isinstance(end.value, MinimaxUnreachableError) and not end.requests:
                # So many at once, on a busy machine, that not even a connection was made in time.
                ask(attacks[name], PLACES[place], f"under_attack_{number}", timeout, end)
        return ends

    return all_of_them


def not_ours(ends: dict[str, Ended]) -> dict[str, Ended]:
    """Return what did not end in time with an error of the provider's own."""
    return {
        name: end for name, end in ends.items() if end.seconds >= IN_TIME or not isinstance(end.value, MinimaxError)
    }


# -- it ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", CLIENTS)
def test_an_answer_that_never_comes_to_its_end_is_left_in_time(place, under):
    assert not_ours(under(place, SLOW)) == {}


@pytest.mark.parametrize("place", CLIENTS)
@pytest.mark.parametrize("flood", HEAVY)
def test_a_flood_is_left_in_time_and_in_little_memory(place, flood, under):
    tracemalloc.start()
    try:
        ends = under(place, {flood: ENDLESS[flood]})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not_ours(ends) == {}
    assert most < 4 * LONGEST_ANSWER


@pytest.mark.parametrize("place", CLIENTS)
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_left_when_8_mib_of_it_are_decoded(place, bomb, under):
    tracemalloc.start()
    try:
        ends = under(place, {bomb: BOMBS[bomb]}, timeout=10.0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "longer than 8 MiB" in str(ends[bomb].value)
    assert most < 4 * LONGEST_ANSWER


@pytest.mark.parametrize("place", CLIENTS)
def test_an_answer_that_lies_is_an_error_of_ours(place, under):
    assert not_ours(under(place, LIES)) == {}


@pytest.mark.parametrize("place", CLIENTS)
def test_what_comes_with_a_redirect_is_not_read(place, under):
    ends = under(place, REDIRECTS)
    assert not_ours(ends) == {}
    assert max(end.sent for end in ends.values()) < MIB


@pytest.mark.parametrize("place", OTHERS)
def test_it_is_the_same_wherever_an_answer_is_read(place, under):
    assert not_ours(under(place, SOME)) == {}


# -- what it means for a purchase --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PURCHASES)
def test_a_purchase_is_sent_once_whatever_comes_back_and_may_have_been_bought(place, under):
    attacks = {**SLOW, **BOMBS, **LIES, **REDIRECTS, "floods a body": ENDLESS["floods a body"]}
    ends = under(place, attacks, timeout=LONG_ENOUGH)
    assert {name: end for name, end in ends.items() if not isinstance(end.value, MinimaxSubmissionUnknownError)} == {}
    assert {name: end.requests for name, end in ends.items() if end.requests != 1} == {}
    assert {name for name, end in ends.items() if "may have been bought" not in str(end.value)} == set()


NAMED = b'{"task_id": "9001", "more": "'
GOES_ON = {
    "too slow": lambda: drips(head(Content_Length=100_000) + NAMED, b" "),
    "too slow, in chunks": lambda: drips(head(**CHUNKED) + chunk(NAMED), chunk(b" ")),
    "stops": lambda: stops(head(Content_Length=100_000) + NAMED),
    "closes": lambda: closes(head(Content_Length=100_000) + NAMED),
    "too long": lambda: floods(head(Content_Length=1 << 62) + NAMED, b"x"),
    "too long, compressed": lambda: closes(whole(gzip.compress(NAMED + bytes(9 * MIB)), Content_Encoding="gzip")),
    "compressed, and cut off": lambda: closes(
        whole(gzip.compress(NAMED)[:-9], "429 Too Many Requests", Content_Encoding="gzip")
    ),
    "compressed, and spoilt": lambda: closes(whole(gzip.compress(NAMED)[:-8] + bytes(8), Content_Encoding="gzip")),
    "deflated, and spoilt": lambda: closes(whole(zlib.compress(NAMED)[:-4] + bytes(4), Content_Encoding="deflate")),
    "said to be compressed": lambda: closes(whole(NAMED + b'"}', Content_Encoding="gzip")),
    "encoded as nobody knows": lambda: closes(whole(NAMED + b'"}', Content_Encoding="rot13")),
    "a redirect": lambda: drips(head("302 Found", Location="/", Content_Length=100_000) + NAMED, b" "),
}


@pytest.mark.parametrize("place", PURCHASES)
def test_a_task_that_was_named_before_the_answer_was_left_is_not_lost(place, under):
    ends = under(place, GOES_ON, timeout=LONG_ENOUGH)
    assert {name: end.value.minimax_task_id for name, end in ends.items()} == dict.fromkeys(GOES_ON, "9001")
    assert {name for name, end in ends.items() if not isinstance(end.value, MinimaxSubmissionUnknownError)} == set()


# -- what is not too much ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["sync", "httpx", "aiohttp"])
def read_answer(request) -> Callable[..., HttpReply]:
    """Return what reads an answer, over each of the clients."""

    def read(answer: Steps | bytes, **changes: Any) -> HttpReply:
        steps = closes(answer) if isinstance(answer, bytes) else answer
        with HostileServer(lambda _: steps) as server:
            endpoint = Endpoint("minimax", server.url, "sk-a-key", **({"timeout": 5.0, "max_retries": 0} | changes))
            if request.param == "sync":
                with closing(Transport(endpoint)) as transport:
                    return transport.send(HttpRequest("GET", "/"), lambda reply: reply)
            return asyncio.run(on_a_loop(endpoint))

    async def on_a_loop(endpoint: Endpoint) -> HttpReply:
        transport = AsyncTransport(endpoint)
        try:
            retries = 0 if request.param == "aiohttp" else None
            return await transport.send(HttpRequest("GET", "/"), lambda reply: reply, retries=retries)
        finally:
            await transport.aclose()

    return read


def test_an_answer_of_8_mib_is_read(read_answer):
    assert len(read_answer(whole(b"x" * LONGEST_ANSWER)).body) == LONGEST_ANSWER
    squeezed = whole(gzip.compress(b"x" * LONGEST_ANSWER, 1), Content_Encoding="gzip")
    assert len(read_answer(squeezed).body) == LONGEST_ANSWER


def test_and_one_of_a_byte_more_is_not(read_answer):
    with pytest.raises(MinimaxUnavailableError, match="longer than 8 MiB"):
        read_answer(whole(b"x" * (LONGEST_ANSWER + 1)))


CROWDED = {
    "tasks": b'{"items": [' + b'{"id":"1"},' * 700_000 + b"{}]}",
    "objects": b'{"a": [' + b"{}," * 2_700_000 + b"{}]}",
    "lists": b'{"a": [' + b"[]," * 2_700_000 + b"[]]}",
    "numbers": b'{"a": [' + b"1," * 4_000_000 + b"1]}",
}


@pytest.mark.parametrize("place", ["status check", "list", "list, aiohttp"])
@pytest.mark.parametrize("crowd", CROWDED)
def test_an_answer_that_would_take_hundreds_of_megabytes_once_it_is_read_is_not(crowd, place, under):
    tracemalloc.start()
    try:
        ends = under(place, {crowd: lambda: closes(whole(CROWDED[crowd]))}, timeout=10.0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more in it than any should have" in str(ends[crowd].value)
    assert most < 4 * LONGEST_ANSWER


def bare_deflate(body: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(body) + squeeze.flush()


BODY = b'{"status": "Success"}'


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", bare_deflate),
        ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
        ("identity", bytes),
        ("", bytes),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
def test_an_answer_is_read_whatever_a_gateway_did_to_it_on_its_way(coding, encode, mark, read_answer):
    assert read_answer(whole(encode(mark + BODY), Content_Encoding=coding)).body == BODY
    pieces = [chunk(bytes([byte])) for byte in encode(mark + BODY)]
    assert read_answer(b"".join([head(Content_Encoding=coding, **CHUNKED), *pieces, b"0\r\n\r\n"])).body == BODY


def test_an_answer_without_a_body_needs_no_decoding(read_answer):
    assert read_answer(whole(b"", Content_Encoding="gzip")).body == b""
    assert read_answer(head("204 No Content", Content_Encoding="br")).status == 204


def test_a_coding_that_is_unknown_here_is_named(read_answer):
    with pytest.raises(MinimaxUnavailableError, match="encoded as rot13"):
        read_answer(whole(BODY, Content_Encoding="rot13"))


LEFT_OVER = {
    "another answer": whole(BODY) + whole(b'{"task_id": "of-another-1234"}'),
    "another answer in chunks": b"".join(
        head(**CHUNKED) + chunk(body) + b"0\r\n\r\n" for body in (BODY, b'{"task_id": "of-another-1234"}')
    ),
    "a length announced twice": head(Content_Length=len(BODY))[:-2] + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "a length in characters": head(Content_Length=len(BODY)) + BODY + b'"}',
}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "httpx"])
@pytest.mark.parametrize("answer", LEFT_OVER.values(), ids=LEFT_OVER)
def test_what_is_left_of_one_answer_is_not_taken_for_that_to_a_purchase(answer, is_async):
    status_check, purchase = HttpRequest("GET", "/"), HttpRequest("POST", "/", body={"model": "m"}, buys=True)
    bought = whole(b'{"task_id": "9001"}')

    async def on_a_loop(endpoint: Endpoint) -> HttpReply:
        transport = AsyncTransport(endpoint)
        try:
            await transport.send(status_check, lambda reply: reply)
            return await transport.send(purchase, lambda reply: reply)
        finally:
            await transport.aclose()

    with HostileServer(lambda request: stops(answer if request.method == "GET" else bought)) as server:
        endpoint = Endpoint("minimax", server.url, "sk-a-key", timeout=5.0, max_retries=0)
        if is_async:
            reply = asyncio.run(on_a_loop(endpoint))
        else:
            with closing(Transport(endpoint)) as transport:
                transport.send(status_check, lambda reply: reply)
                reply = transport.send(purchase, lambda reply: reply)
    assert reply.body == b'{"task_id": "9001"}'


@pytest.mark.parametrize("answer", [whole(BODY), head(**CHUNKED) + chunk(BODY) + b"0\r\n\r\n", head("204 No Content")])
def test_a_connection_whose_answers_are_as_they_should_be_is_used_again(answer):
    with HostileServer(lambda _: stops(answer)) as server:
        with closing(Transport(Endpoint("minimax", server.url, "sk-a-key"))) as transport:
            for _ in range(3):
                transport.send(HttpRequest("GET", "/"), lambda reply: reply)
        assert len(server.requests) == 3
        assert server.accepted == 1


def test_an_answer_may_begin_late_and_take_its_time(read_answer):
    def slowly() -> Steps:
        yield from (0.2, b"HTTP/1.1 100 Continue\r\n\r\n", 0.2, head(Content_Length=len(BODY)))
        for byte in BODY:
            yield from (0.01, bytes([byte]))

    assert read_answer(slowly(), timeout=2.0).body == BODY


# -- requests that take their time -------------------------------------------------------------------------------------


UPLOADS = [PLACES["upload"], PLACES["upload, httpx"]]


@pytest.mark.parametrize("place", UPLOADS, ids=["sync", "httpx"])
def test_an_upload_goes_on_for_as_long_as_its_bytes_are_taken(place, connect):
    uploaded = whole(b'{"file": {"file_id": 7}, "base_resp": {"status_code": 0}}')
    with HostileServer(lambda _: closes(uploaded), rests=0.06) as server:
        began = time.monotonic()
        with closing(MinimaxHook(connect(server.url, timeout=3))) as hook:
            assert place.ask(hook).startswith("mm_file://")
        assert time.monotonic() - began > 2 * 3


@pytest.mark.parametrize("place", UPLOADS, ids=["sync", "httpx"])
def test_an_upload_that_nobody_takes_is_left_in_time(place, connect):
    with HostileServer(lambda _: stops(), reads_bodies=False) as server:
        began = time.monotonic()
        with (
            closing(MinimaxHook(connect(server.url))) as hook,
            pytest.raises(MinimaxUnavailableError, match="no whole answer came in time"),
        ):
            place.ask(hook)
        assert time.monotonic() - began < IN_TIME


@pytest.mark.parametrize("place", UPLOADS, ids=["sync", "httpx"])
def test_the_answer_to_a_large_upload_has_no_more_time_than_others(place, connect, monkeypatch):
    monkeypatch.setattr(answers, "SLOWEST", 1024)
    with HostileServer(lambda _: ENDLESS["drips a body"]()) as server:
        began = time.monotonic()
        with closing(MinimaxHook(connect(server.url))) as hook, pytest.raises(MinimaxUnavailableError):
            place.ask(hook)
        assert time.monotonic() - began < IN_TIME


# -- a proxy in between ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ["never answers", "drips headers", "drips a body", "floods a header"])
@pytest.mark.parametrize("place", ["status check", "status check, httpx", "purchase", "purchase, httpx"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_given_no_more_time_than_a_platform(scheme, attack, place, connect):
    with HostileServer(lambda _: ENDLESS[attack]()) as proxy:
        began = time.monotonic()
        conn_id = connect(f"{scheme}://platform.example", proxy=proxy.url)
        with closing(MinimaxHook(conn_id)) as hook, pytest.raises(MinimaxError):
            PLACES[place].ask(hook)
        assert time.monotonic() - began < IN_TIME
        # What a client begins with TLS is read as a request too.
        assert sum(request.method in ("CONNECT", "GET", "POST") for request in proxy.requests) <= 1
