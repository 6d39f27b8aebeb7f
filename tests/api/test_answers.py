"""What the answer to a purchase says of the money, on all platforms: bought, nothing bought, or nobody knows."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_minimax.api.http.async_transport import AsyncTransport
from airflow_provider_minimax.api.http.exchange import Endpoint, may_repeat, read_reply
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.http.named_task import LONGEST_ANSWER
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxAuthError,
    MinimaxError,
    MinimaxQuotaError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
)
from tests.samples import cases, reply

CONTRACTS = {
    **PLATFORMS,
    **{f"{name}_{v2.api_version}": v2 for name, platform in PLATFORMS.items() if (v2 := platform.next_version)},
}
PURCHASE = HttpRequest("POST", "/buy", body={"model": "m", "prompt": "a boat"}, buys=True)
STATUSES = [200, 201, 202, 301, 302, 304, 307, 400, 401, 402, 403, 404, 405, 408, 409, 413, 422, 425, 429, 451, 499]
STATUSES += [500, 502, 503, 504, 524, 529]


def meaning(platform: str, answer: HttpReply, purchase: HttpRequest = PURCHASE) -> Any:
    """Return the id that was bought, or the error that a purchase ends with."""
    contract = CONTRACTS[platform]
    try:
        return read_reply(answer, contract.read_submission, Endpoint(contract.name, "https://x", "sk-key"), purchase)
    except MinimaxError as error:
        return error


def answered(body: Any, status: int = 429, **headers: str) -> HttpReply:
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return HttpReply(status, headers, raw)


def is_unknown(found: Any, minimax_task_id: str | None) -> bool:
    """Whether a purchase's outcome is unknown, whose task is named as it should be, and which nobody sends again."""
    return (
        isinstance(found, MinimaxSubmissionUnknownError)
        and found.minimax_task_id == minimax_task_id
        and (minimax_task_id is None or f"names task {minimax_task_id}" in str(found))
        and "may have been bought" in str(found)
        and NOTHING_BOUGHT not in str(found)
        and not may_repeat(found, PURCHASE)
    )


# -- a task is named ---------------------------------------------------------------------------------------------------

task_ids = st.one_of(
    st.integers(10**11, 10**19).map(str),
    st.uuids().map(str),
    st.from_regex(r"(gen|task|video)[_-][a-z0-9]{2,12}[0-9]", fullmatch=True),
)


def own_answers(platform: str) -> list[Any]:
    """Return the bodies of the answers by which a platform says that something was bought."""
    found = [reply(folder, case) for folder, case in cases() if folder == platform and case.startswith("submit")]
    good = [answer for answer in found if answer.status < 300 and isinstance(meaning(platform, answer), str)]
    return [(json.loads(answer.body), meaning(platform, answer)) for answer in good]


def with_id(body: Any, old: str, new: str) -> Any:
    if isinstance(body, dict):
        return {name: with_id(value, old, new) for name, value in body.items()}
    return new if body == old else body


SHAPES = [
    lambda i: {"task_id": i},
    lambda i: {"taskId": i},
    lambda i: {"task-id": i},
    lambda i: {"Task ID": i},
    lambda i: {"id": i},
    lambda i: {"data": {"task_id": i}},
    lambda i: {"data": {"id": i}},
    lambda i: {"data": [{"task_id": i}]},
    lambda i: {"data": i} if len(i) > 9 and i.isdecimal() else {"data": {"taskId": i}},
    lambda i: {"task": {"id": i, "status": "queued"}},
    lambda i: {"result": {"data": {"task": {"id": i}}}},
    lambda i: {"output": [{"content": [{"jobId": i}]}]},
    lambda i: {"items": [{"id": i}]},
    lambda i: [{"id": i}],
    lambda i: {"error": {"message": "try later", "task_id": i}},
    lambda i: {"error": {"metadata": {"task_id": i}}},
    lambda i: {"error": f"the task exists already: task_id={i}"},
    lambda i: {"message": f'upstream said {{"task_id": "{i}"}}'},
    lambda i: {"message": f"task id: {i} was not written down"},
    lambda i: {"message": f"任务ID：{i}"},
]
BESIDE = [
    {},
    {"base_resp": {"status_code": 0, "status_msg": "success"}},
    {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
    {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
    {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "no money"},
    {"type": "error", "request_id": "0217852290155", "error": {"type": "rate_limit_error", "message": "slow (1002)"}},
]


@st.composite
def answers_that_name_a_task(draw: Any, platform: str) -> tuple[HttpReply, str]:
    minimax_task_id = draw(task_ids)
    if draw(st.booleans()):
        body, old = draw(st.sampled_from(own_answers(platform)))
        body = with_id(body, old, minimax_task_id)
    else:
        body = draw(st.sampled_from(SHAPES))(minimax_task_id)
    if isinstance(body, dict):
        body = draw(st.sampled_from(BESIDE)) | body
    text = json.dumps(body, ensure_ascii=draw(st.booleans()))
    if minimax_task_id.isdecimal() and draw(st.booleans()):
        text = text.replace(f'"{minimax_task_id}"', minimax_task_id)
    match draw(st.sampled_from(["as it is"] * 4 + ["bom", "cut off", "event", "page", "twice"])):
        case "bom":
            text = f"\ufeff{text}"
        case "cut off":
            # Not within the id, which nobody could read then.
            end = text.index(minimax_task_id) + len(minimax_task_id) + 1
            text = text[: draw(st.integers(end, len(text)))]
        case "event":
            text = f"data: {text}\n\n"
        case "page":
            text = f"<html><body>task_id: {minimax_task_id}</body></html>"
        case "twice":
            text = json.dumps({"error": {"message": f"upstream said {text}"}})
    return HttpReply(draw(st.sampled_from(STATUSES)), {}, text.encode()), minimax_task_id


@pytest.mark.parametrize("platform", CONTRACTS)
@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(data=st.data())
def test_an_answer_that_names_a_task_bought_it_or_may_have(platform, data):
    answer, minimax_task_id = data.draw(answers_that_name_a_task(platform))
    found = meaning(platform, answer)
    if isinstance(found, str):
        assert (found, answer.status < 300) == (minimax_task_id, True)
    else:
        assert is_unknown(found, minimax_task_id), (answer.status, answer.body, found)


@pytest.mark.parametrize("status", [status for status in STATUSES if status >= 300])
@pytest.mark.parametrize("platform", CONTRACTS)
def test_a_success_at_any_other_status_is_no_refusal(platform, status):
    samples = own_answers(platform)
    assert samples, "each platform needs a sample of a good answer, so that its id is known to be found"
    for body, minimax_task_id in samples:
        assert is_unknown(meaning(platform, answered(body, status)), minimax_task_id)


@pytest.mark.parametrize(("platform", "case"), [key for key in cases() if key[1].startswith("submit_names_task")])
def test_a_sample_that_names_a_task_is_not_taken_for_a_refusal(platform, case):
    contract = CONTRACTS[platform]
    with pytest.raises(MinimaxError):
        contract.read_submission(reply(platform, case))
    bought = {minimax_task_id for _, minimax_task_id in own_answers(platform)}
    found = meaning(platform, reply(platform, case))
    assert is_unknown(found, found.minimax_task_id)
    assert found.minimax_task_id in bought


@pytest.mark.parametrize(
    "body",
    [
        '{"task_id":"9000',
        '{"task_id":9000',
        '{"task_id":',
        '{"task_id":"',
        '{"error":{"message":"rate lim',
        '[{"error"',
        {"task_id": -5},
        {"task_id": 1.5},
        {"task_id": True},
        {"task_id": {"value": {}}},
        {"task_id": "two words"},
        {"task_id": "9" * 500},
        {"task_id": "https://files.example/a?Signature=x"},
        "[" * 100_000,
        json.dumps({"padding": "x" * LONGEST_ANSWER}),
        json.dumps(list(range(30_000))),
    ],
)
def test_what_cannot_be_read_to_its_end_may_name_a_task(body):
    assert is_unknown(meaning("minimax", answered(body)), None)


def test_the_first_name_that_a_query_accepts_is_the_one_that_is_reported():
    body = {"id": "1000", "platform_id": "3000", "task_id": "2000", "message": "task_id 4000"}
    assert is_unknown(meaning("minimax", answered(body)), "2000")


def test_a_task_may_share_its_id_with_the_request():
    body = {"request_id": "0217852290155", "task_id": "0217852290155", "error": {"message": "no"}}
    assert is_unknown(meaning("minimax", answered(body)), "0217852290155")
    assert is_unknown(meaning("minimax", answered({"request_id": "", "task_id": -5})), None)


@pytest.mark.parametrize(
    "body",
    [
        "task_id " * 130_000,
        ("task_id" + " " * 12) * 50_000,
        '{"a":"' + "1" * 1_000_000 + '" ',
        '{"a":[' + "1," * 500_000,
        '{"a":"' + '{\\"a\\":' * 100_000,
        "{" * 1_000_000,
        '"' * 1_000_000,
        '{"data":' * 900 + "{}" + "}" * 900,
    ],
)
def test_no_answer_takes_long_to_read(body):
    began = time.monotonic()
    meaning("minimax", answered(body))
    assert time.monotonic() - began < 30


def test_a_name_that_comes_twice_is_read_both_times():
    assert is_unknown(meaning("minimax", answered('{"task_id":"2000","task_id":""}')), "2000")


def test_an_answer_with_a_byte_order_mark_is_a_purchase_like_any_other():
    assert meaning("minimax", answered('\ufeff{"task_id":"2000","base_resp":{"status_code":0}}', 200)) == "2000"


# -- no task is named --------------------------------------------------------------------------------------------------

REFUSALS = [
    {"error": {"message": "invalid api key (request id: 20261126120000123)", "code": "invalid_api_key"}},
    {"error": {"message": "no", "id": "9001", "type": "x"}, "request_id": "021785229015510a2c883cf675b9804d"},
    {"type": "error", "error": {"message": "insufficient balance (1008)"}, "request_id": "0217852290155"},
    {"error": {"message": "no"}, "traceId": "0217852290155", "trace_id": 217852290155},
    {"id": "req_0217852290155", "error": {"message": "no"}},
    {"id": "0217852290155", "request_id": "0217852290155", "error": {"message": "no"}},
    {"code": 401, "reason": "INVALID_API_KEY", "message": "no", "metadata": {}},
    {"code": 400, "reason": "INVALID_REQUEST", "message": "no", "user": {"id": 12345678}},
    {"detail": [{"loc": ["body", "task_id"], "msg": "field required"}]},
    {"message": "task_id is required"},
    {"message": "invalid params, task_id not found (2013)"},
    {"message": "invalid task_id (2013)"},
    {"message": "source_task_id 90210 does not exist"},
    {"code": "fail", "message": "no", "data": None},
    {"code": "fail", "message": "no", "data": "no model minimax-video-01"},
    {"code": "fail", "message": "no", "data": {}, "task_id": []},
    *[{"task_id": nothing, "base_resp": {"status_code": 1004}} for nothing in (None, "", " ", 0, "0", "null", "None")],
    *[{"data": {"id": nothing}, "error": {"message": "no"}} for nothing in (None, "", 0, False, 0.0)],
    "Too Many Requests",
    "",
    "<html><head><title>403 Forbidden</title></head><body>Ray ID: 8c1f3a5b6d7e8f90</body></html>",
    "{'error': 'not JSON at all'}",
]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, MinimaxRequestError),
        (401, MinimaxAuthError),
        (402, MinimaxQuotaError),
        (403, (MinimaxAuthError, MinimaxQuotaError)),
        (413, MinimaxRequestError),
        (422, MinimaxRequestError),
        (429, MinimaxRateLimitError),
    ],
)
@pytest.mark.parametrize("platform", CONTRACTS)
def test_a_refusal_that_names_no_task_bought_nothing(platform, status, kind):
    for body in REFUSALS:
        found = meaning(platform, answered(body, status))
        assert isinstance(found, MinimaxError), body
        assert not isinstance(found, MinimaxSubmissionUnknownError), (body, found)
        assert found.billing == NOTHING_BOUGHT, body
        if isinstance(body, str):
            # Where there is a code, that decides what kind it is.
            assert isinstance(found, kind), body


def test_the_id_of_the_exchange_is_no_task():
    body = {"id": "0217852290155", "error": {"message": "no"}}
    assert meaning("vtrix", answered(body, 401, **{"x-request-id": "0217852290155"})).billing == NOTHING_BOUGHT
    assert meaning("vtrix", answered(body, 401, **{"trace-id": "0217852290155"})).billing == NOTHING_BOUGHT


def test_the_task_that_a_purchase_starts_from_is_not_what_it_bought():
    purchase = replace(PURCHASE, body={"model": "MiniMax-H3", "source_task_id": "4240109857"})
    refusal = answered({"error": {"message": "task_id 4240109857 is not of this account (2013)"}}, 400)
    assert meaning("minimax_v2", refusal, purchase).billing == NOTHING_BOUGHT
    assert is_unknown(meaning("minimax_v2", refusal), "4240109857")


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("platform", CONTRACTS)
def test_a_redirect_proves_nothing(platform, status):
    page = reply("minimax", "html_302").body.decode()
    assert is_unknown(meaning(platform, answered(page, status)), None)
    assert is_unknown(meaning(platform, answered("", status)), None)


@pytest.mark.parametrize("status", [101, 204, 206, 408, 409, 425, 499, 500, 502, 503, 504, 520, 524, 599])
@pytest.mark.parametrize("platform", CONTRACTS)
def test_a_status_that_does_not_say_whether_the_work_began_is_no_refusal(platform, status):
    assert is_unknown(meaning(platform, answered("<html></html>", status)), None)


@pytest.mark.parametrize("error", ["timeout", {"message": "upstream broke off"}, {"code": "1000", "message": "?"}])
@pytest.mark.parametrize("platform", CONTRACTS)
def test_an_error_with_the_status_of_a_success_is_only_a_refusal_if_its_code_is(platform, error):
    assert is_unknown(meaning(platform, answered({"error": error}, 200)), None)


# -- over a real socket ------------------------------------------------------------------------------------------------


class Peer:
    """A server on a free port that reads purchases and answers each of them byte for byte, counting them."""

    def __init__(self, answer: bytes, *, reads: int | None = None) -> None:
        self.bought, self._answer, self._reads = 0, answer, reads
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._read(connection)
                self.bought += 1
                connection.sendall(self._answer)
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(5)
                while self._reads is None and connection.recv(65536):
                    pass

    def _read(self, connection: socket.socket) -> None:
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(65536)
        head, _, body = got.partition(b"\r\n\r\n")
        headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        length = int(headers[b"content-length"]) if self._reads is None else self._reads
        while len(body) < length:
            body += connection.recv(65536)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def serving(answer: bytes, **how: Any):
    with closing(Peer(answer, **how)) as peer:
        yield peer


def http(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} Any", "Connection: close", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture(params=["sync", "async"])
def buy(request):
    """Buy from a server, and return what became of it."""

    def send(url: str, purchase: HttpRequest = PURCHASE, **options: Any) -> Any:
        endpoint = Endpoint("minimax", url, "sk-a-key", timeout=5, max_retries=2, **options)
        read = CONTRACTS["minimax"].read_submission

        async def asend() -> Any:
            transport = AsyncTransport(endpoint)
            try:
                return await transport.send(purchase, read)
            finally:
                await transport.aclose()

        try:
            if request.param == "async":
                return asyncio.run(asend())
            with closing(Transport(endpoint)) as transport:
                return transport.send(purchase, read)
        except MinimaxError as error:
            return error

    return send


TASK = b'{"task_id":"9001","base_resp":{"status_code":0}}'


@pytest.mark.parametrize("status", [302, 307, 400, 402, 403, 409, 422, 429, 500, 529])
def test_a_purchase_whose_answer_names_a_task_is_sent_once(buy, status):
    with serving(http(status, TASK, "Location: /again", "Retry-After: 0")) as peer:
        assert is_unknown(buy(peer.url), "9001")
    assert peer.bought == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(buy, status):
    with serving(http(status, b"", "Location: /again")) as peer:
        assert is_unknown(buy(peer.url), None)
    assert peer.bought == 1


def test_a_refusal_is_repeated_and_bought_nothing(buy):
    with serving(http(429, b"{}")) as peer:
        assert buy(peer.url).billing == NOTHING_BOUGHT
    assert peer.bought == 3


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (http(200, TASK, length=500), "9001"),
        (http(429, b'{"task_id":"9001",', length=500), "9001"),
        (http(429, b'{"task_id":"90', length=500), None),
        (http(429, b"", length=500), None),
        (http(200, gzip.compress(TASK)[:-20], "Content-Encoding: gzip"), "9001"),
        (http(200, TASK, "Content-Encoding: gzip"), "9001"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\n" + TASK, "9001"),
        (b"HTTP/1.1 429 Any\r\n", None),
        (b"no HTTP at all\r\n\r\n", None),
        (b"", None),
    ],
)
def test_an_answer_that_breaks_off_is_an_unknown_outcome_with_what_came_of_it(buy, answer, named):
    with serving(answer) as peer:
        assert is_unknown(buy(peer.url), named)
    assert peer.bought == 1


LONG = replace(PURCHASE, body={"prompt": "x" * 8_000_000})


@pytest.mark.parametrize(("status", "body"), [(413, b"{}"), (429, b"{}"), (400, b"")])
def test_a_refusal_while_the_request_is_still_on_its_way_is_one_or_is_not_known(buy, status, body):
    with serving(http(status, body), reads=1000) as peer:
        found = buy(peer.url, LONG)
    assert found.billing == NOTHING_BOUGHT or is_unknown(found, None)


def test_a_failure_that_nobody_thought_of_is_an_unknown_outcome(buy, monkeypatch):
    import httpx

    def stumble(*args: Any) -> Any:
        raise RuntimeError("a bug of somebody else's")

    for client in (httpx.HTTPTransport, httpx.AsyncHTTPTransport):
        monkeypatch.setattr(client, "handle_request", stumble, raising=False)
        monkeypatch.setattr(client, "handle_async_request", stumble, raising=False)
    assert is_unknown(buy("http://127.0.0.1:9"), None)


def test_a_proxy_that_connects_to_nobody_bought_nothing(buy):
    """As for an https platform: the proxy is asked for a tunnel first, and says no."""
    with proxying(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as proxy:
        assert buy("https://api.minimax.example", proxy=proxy.url).billing == NOTHING_BOUGHT
    assert proxy.bought == 3


@contextmanager
def proxying(answer: bytes):
    class Tunnel(Peer):
        def _read(self, connection: socket.socket) -> None:
            got = b""
            while b"\r\n\r\n" not in got:
                got += connection.recv(65536)

    with closing(Tunnel(answer)) as proxy:
        yield proxy


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_that_passes_the_purchase_on_and_fails_is_an_unknown_outcome(buy, status):
    with serving(http(status, b"<html></html>")) as proxy:
        assert is_unknown(buy("http://api.minimax.example", proxy=proxy.url), None)
    assert proxy.bought == 1
