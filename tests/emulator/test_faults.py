"""Trouble on demand."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.emulator.customer import SUBMIT, browser


def read_into(got: bytearray, answer: httpx.Response) -> None:
    for piece in answer.iter_raw():
        got += piece


LOST = (httpx.RemoteProtocolError, httpx.ReadError)


def test_an_answer_can_be_lost_after_the_job_was_made(minimax, emulator):
    emulator.fault("lost_answer", operation="submit")
    with pytest.raises(LOST):
        minimax.order()
    assert len(emulator.purchases) == 1
    assert emulator.requests[-1]["status"] is None


def test_a_connection_can_be_reset_before_anything_is_done(minimax, emulator):
    emulator.fault("reset_before", operation="submit")
    with pytest.raises(LOST):
        minimax.order()
    assert emulator.purchases == []
    assert minimax.order().json()["task_id"]


def test_a_code_is_worded_by_each_platform(customer, emulator):
    emulator.fault("base_resp", code=1002, times=-1, operation="submit")
    assert customer("minimax").order().json()["base_resp"] == {"status_code": 1002, "status_msg": "rate limit"}
    assert customer("novita").order().status_code == 429
    assert customer("vtrix").order().status_code == 429
    assert emulator.purchases == []


def test_a_code_on_a_query_leaves_the_job_alone(minimax, emulator):
    task_id = minimax.buy()
    emulator.fault("base_resp", code=1033, operation="query")
    assert minimax.query(task_id) == {"base_resp": {"status_code": 1033, "status_msg": "system error"}}
    assert minimax.query(task_id)["status"] == "Preparing"


def test_an_http_error_can_ask_to_wait_some_seconds_or_until_a_date(minimax, emulator):
    emulator.fault("http", status=429, retry_after=7)
    emulator.fault("http", status=503, retry_after_date=60)
    first, second = minimax.order(), minimax.order()
    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    wait = parsedate_to_datetime(second.headers["Retry-After"]).timestamp() - time.time()
    assert second.status_code == 503
    assert 55 < wait <= 60


def test_a_proxy_can_answer_in_html(minimax, emulator):
    emulator.fault("http", status=502, html=True)
    answer = minimax.order()
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert "502 Bad Gateway" in answer.text


def test_an_http_error_can_hide_a_job_that_was_made(minimax, emulator):
    emulator.fault("http", status=504, html=True, job_made=True)
    assert minimax.order().status_code == 504
    assert len(emulator.purchases) == 1


@pytest.mark.parametrize("platform", sorted(SUBMIT))
@pytest.mark.parametrize("status", [302, 400, 429, 529])
def test_an_http_error_can_name_the_job_that_was_made(customer, emulator, platform, status):
    emulator.fault("http", operation="submit", status=status, job_named=True)
    answer = customer(platform).order()
    assert answer.status_code == status
    assert [emulator.purchases[0]["task_id"]] == [answer.json().get("task_id") or answer.json()["id"]]


def test_a_refusal_can_name_the_job_that_was_made(customer, h3, emulator):
    emulator.fault("base_resp", operation="submit", code=1002, job_named=True, times=3)
    answers = [customer("minimax").order(), customer("vtrix").order(), h3.order()]
    first, second, third = (answer.json() for answer in answers)
    assert first["base_resp"] == {"status_code": 1002, "status_msg": "rate limit"}
    assert second["error"]
    assert third["error"]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert [first["task_id"], second["id"], third["task_id"]] == [one["task_id"] for one in emulator.purchases]


def test_a_submission_can_be_redirected(minimax, emulator):
    emulator.fault("http", operation="submit", status=307, location="https://elsewhere.example/")
    answer = minimax.order()
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://elsewhere.example/")
    assert emulator.purchases == []


@pytest.mark.parametrize(
    ("kind", "details", "said"),
    [
        ("http", {"job_named": True}, "job_named: needs the kind 'http' or 'base_resp'"),
        ("non_json", {"job_named": True, "operation": "submit"}, "job_named: needs the kind"),
        ("non_json", {"location": "https://elsewhere.example/"}, "location: needs the kind 'http'"),
    ],
)
def test_a_detail_that_a_fault_cannot_have_is_refused(emulator, kind, details, said):
    with pytest.raises(ValueError, match=said):
        emulator.fault(kind, **details)


def test_an_http_error_can_have_any_json_body(minimax, emulator):
    emulator.fault("http", status=200, body={"file": {}})
    assert minimax.order().json() == {"file": {}}


def test_a_good_answer_can_be_html(minimax, emulator):
    emulator.fault("non_json", operation="query")
    answer = minimax.get("/v1/query/video_generation", params={"task_id": "1"})
    assert answer.status_code == 200
    assert answer.text.startswith("<html>")


def test_an_answer_can_be_slow_for_a_job_that_was_made(minimax, emulator):
    emulator.fault("slow", operation="submit", seconds=60)
    with pytest.raises(httpx.ReadTimeout):
        minimax.post("/v1/video_generation", json={"model": "T2V-01", "prompt": "a fox"}, timeout=2)
    assert len(emulator.purchases) == 1
    emulator.release()


def test_an_answer_can_be_held_until_it_is_released(minimax, emulator):
    emulator.fault("hold", operation="submit")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(minimax.order)
        until = time.monotonic() + 60
        while not emulator.purchases and time.monotonic() < until:
            time.sleep(0.01)
        assert not answer.done()
        assert emulator.release() == 1
        assert answer.result(60).json()["task_id"] == emulator.purchases[0]["task_id"]


def test_a_download_can_stop_halfway(minimax, emulator):
    link = minimax.buy_link()
    emulator.fault("truncated", after_bytes=70_000)
    got = bytearray()
    with browser.stream("GET", link) as answer, pytest.raises(LOST):
        read_into(got, answer)
    assert len(got) == 70_000
    rest = browser.get(link, headers={"Range": "bytes=70000-"})
    assert bytes(got) + rest.content == browser.get(link).content


def test_a_link_can_be_expired_before_its_time(minimax, emulator):
    link = minimax.buy_link()
    emulator.fault("expired")
    assert [browser.get(link).status_code for _ in range(2)] == [403, 200]


def test_the_first_link_can_be_dead_while_the_second_lives(customer, emulator):
    emulator.fault("expired", operation="download", link="first", times=-1)
    buyer = customer("bltcy")
    file = buyer.retrieve(buyer.finish(buyer.buy())["file_id"])["file"]
    links = [file["download_url"], file["backup_download_url"], file["download_url"]]
    assert [browser.get(link).status_code for link in links] == [403, 200, 403]


def test_the_second_link_can_be_dead_while_the_first_lives(customer, emulator):
    emulator.fault("reset_before", operation="download", link="backup")
    buyer = customer("bltcy")
    file = buyer.retrieve(buyer.finish(buyer.buy())["file_id"])["file"]
    assert browser.get(file["download_url"]).status_code == 200
    with pytest.raises(LOST):
        browser.get(file["backup_download_url"])


def test_a_fault_of_one_link_meets_downloads_alone(emulator):
    with pytest.raises(ValueError, match="link='first': needs the operation 'download'"):
        emulator.fault("http", operation="any", link="first")


def test_a_download_can_be_a_web_page(minimax, emulator):
    link = minimax.buy_link()
    emulator.fault("html_video")
    answer = browser.get(link)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_link_can_be_refused_with_any_status(minimax, emulator, status):
    link = minimax.buy_link()
    emulator.fault("http", operation="download", status=status)
    assert [browser.get(link).status_code for _ in range(2)] == [status, 200]


def test_a_download_can_end_in_the_middle_as_if_that_were_all(minimax, emulator):
    link = minimax.buy_link()
    whole = browser.get(link).content
    emulator.fault("cut", after_bytes=70_000)
    answer = browser.get(link)
    assert "Content-Length" not in answer.headers
    assert answer.content == whole[:70_000]


@pytest.mark.parametrize("announced", [0, 1000, 64 * 1024, 70_000])
def test_a_download_can_be_longer_than_it_announces(minimax, emulator, announced):
    link = httpx.URL(minimax.buy_link())
    emulator.fault("overlong", after_bytes=announced)
    with socket.create_connection((link.host, link.port)) as plain:
        plain.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % link.raw_path)
        head, _, body = plain.makefile("rb").read().partition(b"\r\n\r\n")
    assert f"content-length: {announced}\r\n".encode() in head
    assert len(body) > announced
    assert browser.get(link).content.startswith(body)


def test_a_client_takes_no_more_than_was_announced(minimax, emulator):
    link = minimax.buy_link()
    emulator.fault("overlong", after_bytes=70_000)
    # A connection of its own: what is left over would be taken for the next response.
    assert len(httpx.get(link).content) == 70_000
    assert len(browser.get(link).content) > 70_000


def test_a_download_can_have_no_end(minimax, emulator):
    emulator.fault("endless")
    got = 0
    with browser.stream("GET", minimax.buy_link()) as answer:
        for piece in answer.iter_raw():
            got += len(piece)
            if got > 50 * 2**20:
                break
    assert "Content-Length" not in answer.headers
    assert got > 50 * 2**20


def test_others_are_served_while_a_download_has_no_end(minimax, emulator):
    emulator.fault("endless")
    link, enough = minimax.buy_link(), threading.Event()

    def read() -> None:
        with browser.stream("GET", link) as answer:
            for _ in answer.iter_raw():
                if enough.is_set():
                    return

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        try:
            started = time.monotonic()
            assert minimax.order().status_code == 200
            assert time.monotonic() - started < 20
        finally:
            enough.set()
        reading.result(60)


def test_a_download_can_drip_at_a_pace_that_no_read_timeout_minds(minimax, emulator):
    link = minimax.buy_link()
    emulator.fault("drip", seconds=0.05)
    started, times = time.monotonic(), []
    with browser.stream("GET", link, timeout=1) as answer:
        for piece in answer.iter_raw():
            times.append(time.monotonic() - started)
            assert len(piece) <= 1024
            if len(times) == 5:
                break
    assert times[-1] >= 0.2
    assert int(answer.headers["Content-Length"]) > 5 * 1024


def test_a_download_that_drips_arrives_in_the_end(minimax, emulator):
    link = minimax.buy_link()
    emulator.fault("drip", seconds=0)
    assert browser.get(link).content == browser.get(link).content


def test_a_download_can_be_empty(minimax, emulator):
    link = minimax.buy_link()
    emulator.fault("empty")
    answer = browser.get(link)
    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "0", b"")


def test_a_clip_can_be_replaced_between_two_parts_of_a_download(minimax, emulator):
    """The rest of the old clip is nowhere any more: If-Range gives the whole of the new one."""
    link = minimax.buy_link()
    old = browser.get(link)
    emulator.fault("truncated", after_bytes=70_000)
    emulator.fault("replaced")
    with browser.stream("GET", link) as answer, pytest.raises(LOST):
        read_into(bytearray(), answer)
    new = browser.get(link, headers={"Range": "bytes=70000-", "If-Range": old.headers["ETag"]})
    assert new.status_code == 200
    assert new.content != old.content
    assert new.headers["ETag"] != old.headers["ETag"]
    assert new.headers["Last-Modified"] != old.headers["Last-Modified"]
    assert browser.get(link).content == new.content


@pytest.mark.parametrize("kind", ["truncated", "cut", "overlong", "endless", "drip"])
def test_a_part_of_a_clip_meets_the_same_troubles(minimax, emulator, kind):
    link = minimax.buy_link()
    emulator.fault(kind)
    with browser.stream("GET", link, headers={"Range": "bytes=5-"}) as answer:
        assert answer.headers["Content-Range"].startswith("bytes 5-")
    assert emulator.requests[-1]["fault"] == kind


def test_a_task_can_become_unknown(minimax, emulator):
    task_id = minimax.buy()
    emulator.fault("unknown_task")
    assert minimax.query(task_id)["base_resp"]["status_code"] == 2013


@pytest.mark.parametrize(
    ("kind", "status", "text"), [("no_channel", 503, "无可用渠道"), ("saturated", 429, "当前分组上游负载已饱和")]
)
def test_chainhub_can_turn_a_request_away_in_chinese(customer, emulator, kind, status, text):
    emulator.fault(kind)
    answer = customer("chainhub").order()
    assert answer.status_code == status
    assert text in answer.json()["error"]["message"]
    assert emulator.purchases == []


def test_a_fault_meets_its_operation_and_platform_so_many_times_after_so_many_others(customer, minimax, emulator):
    emulator.fault("http", operation="query", platform="minimax", times=2, after=1, status=500)
    bltcy = customer("bltcy")
    bltcy.query(bltcy.buy())
    task_id = minimax.buy()
    answers = [minimax.get("/v1/query/video_generation", params={"task_id": task_id}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 500, 500, 200]


def test_a_fault_can_be_for_the_submission_of_one_prompt_among_many(minimax, emulator):
    emulator.fault("base_resp", operation="submit", code=1002, times=-1, containing="paper boat")
    answers = [minimax.order(prompt=prompt).json() for prompt in ("a fox", "a paper boat at sea", "a paper kite")]
    assert [bool(answer.get("task_id")) for answer in answers] == [True, False, True]


def test_a_fault_can_be_for_all_that_is_asked_about_one_job_among_many(minimax, emulator):
    fox, boat = minimax.buy(prompt="a fox"), minimax.buy(prompt="a paper boat")
    for operation in ("query", "file", "download"):
        emulator.fault("http", operation=operation, status=503, containing="paper boat")

    def asked_about(task_id: str) -> list[int]:
        file_id = next(job["file_id"] for job in emulator.jobs if job["task_id"] == task_id)
        replies = [minimax.get("/v1/query/video_generation", params={"task_id": task_id}).status_code]
        replies.append(minimax.get("/v1/files/retrieve", params={"file_id": file_id}).status_code)
        emulator.set_job(task_id, "success")
        return [*replies, browser.get(minimax.retrieve(file_id)["file"]["download_url"]).status_code]

    assert asked_about(fox) == [200, 200, 200]
    assert asked_about(boat) == [503, 503, 503]
    assert asked_about(boat) == [200, 200, 200]


def test_faults_can_be_taken_back(minimax, emulator):
    emulator.fault("http", times=-1)
    assert minimax.order().status_code == 500
    emulator.clear_faults()
    assert minimax.order().status_code == 200


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("typhoon", {}),
        ("http", {"colour": "red"}),
        ("expired", {"operation": "submit"}),
        ("endless", {"operation": "query"}),
        ("http", {"platform": "hailuo"}),
        ("http", {"containing": ""}),
    ],
)
def test_a_fault_that_could_never_happen_is_refused(emulator, kind, details):
    with pytest.raises(ValueError):
        emulator.fault(kind, **details)


def test_an_emulator_stops_although_answers_are_held(customer):
    from airflow_provider_minimax.emulator import Emulator

    started = time.monotonic()
    with ThreadPoolExecutor() as pool:
        with Emulator() as other:
            other.fault("hold")
            waiting = pool.submit(browser.get, other.base_url() + "/v1/query/video_generation", timeout=60)
            while not other.requests:
                time.sleep(0.01)
        waiting.exception(30)
    assert time.monotonic() - started < 30
