"""A ``callback_url`` has to echo a challenge before anything is bought, and then gets each change of status."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulator.customer import SUBMIT, V2_ORDER
from tests.emulator.receiver import Receiver

SOON = 30.0
SIZE = {"resolution": "768P", "duration": 5}
REFUSED = "invalid params, fail to check callback url"
NOT_ECHOES = {
    "says ok": lambda body: b'{"status": "ok"}',
    "another challenge": lambda body: b'{"challenge": "1"}',
    "the challenge alone": lambda body: json.dumps(body["challenge"]).encode(),
    "no JSON": lambda body: b"<html>",
    "nested beyond reason": lambda body: b"[" * 60_000,
    "more than anybody needs": lambda body: b" " * 100_000 + json.dumps(body).encode(),
}


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def closed_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def order_with(customer, platform: str, url: str):
    if platform != "vtrix":
        return customer(platform).order(callback_url=url)
    _, body = SUBMIT["vtrix"]
    parameters = body["input"][0]["params"] | {"callback_url": url}
    return customer("vtrix").order(input=[{"params": parameters}])


@pytest.mark.parametrize("answer", NOT_ECHOES.values(), ids=NOT_ECHOES.keys())
def test_a_receiver_that_does_not_echo_the_challenge_is_refused_and_nothing_bought(minimax, h3, emulator, answer):
    with Receiver(answer) as receiver:
        v1 = minimax.order(callback_url=receiver.url).json()
        v2 = h3.order({**V2_ORDER, "callback_url": receiver.url})
    assert v1 == {"task_id": "", "base_resp": {"status_code": 2013, "status_msg": REFUSED}}
    assert (v2.status_code, v2.json()["error"]["message"]) == (400, f"{REFUSED} (2013)")
    assert [list(body) for body in receiver.got] == [["challenge"], ["challenge"]]
    assert emulator.purchases == []


def test_an_echo_with_an_error_status_is_none(minimax, emulator):
    with Receiver(status=500) as receiver:
        assert minimax.order(callback_url=receiver.url).json()["base_resp"]["status_code"] == 2013
    assert emulator.purchases == []


@pytest.mark.parametrize("platform", ["minimax", "minimax-cn", "ai302", "vtrix"])
def test_each_platform_that_documents_callbacks_checks_them(customer, emulator, closed_port, platform):
    refused = order_with(customer, platform, f"http://127.0.0.1:{closed_port}/hook")
    assert "fail to check callback url" in refused.text
    assert emulator.purchases == []
    with Receiver() as receiver:
        assert order_with(customer, platform, receiver.url).status_code == 200
    assert len(emulator.purchases) == 1


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:99999/", "http://a..b/", "http://\u2603.invalid/", "https://x:y:z/"]
)
def test_an_address_that_no_client_can_use_is_refused_likewise(minimax, emulator, url):
    assert minimax.order(callback_url=url).json()["base_resp"]["status_code"] == 2013
    assert emulator.purchases == []


def test_a_receiver_that_keeps_silent_is_given_three_seconds_and_holds_nobody_up(customer, emulator):
    asked, over = threading.Event(), threading.Event()

    def keep_silent(body: dict[str, str]) -> bytes:
        asked.set()
        over.wait(SOON)
        return json.dumps(body).encode()

    waiting, other = customer("minimax"), customer("minimax")
    with Receiver(keep_silent) as receiver, ThreadPoolExecutor() as pool:
        refusal = pool.submit(waiting.order, callback_url=receiver.url)
        try:
            assert asked.wait(SOON)
            assert other.buy()
            assert not refusal.done()
            assert refusal.result(SOON).json()["base_resp"]["status_msg"] == REFUSED
        finally:
            over.set()
    assert len(emulator.purchases) == 1


def test_a_receiver_of_v1_gets_processing_and_success(minimax, emulator):
    emulator.configure(lifecycle="manual")
    with Receiver() as receiver:
        task_id = minimax.buy(callback_url=receiver.url)
        wait_until(lambda: receiver.statuses == ["processing"])
        emulator.set_job(task_id, "processing")
        emulator.set_job(task_id, "success")
        wait_until(lambda: "success" in receiver.statuses)
    (job,) = emulator.jobs
    success = {"status_code": 0, "status_msg": "success"}
    assert receiver.got[1:] == [
        {"task_id": task_id, "status": "processing", "file_id": "", "base_resp": success},
        {"task_id": task_id, "status": "success", "file_id": job["file_id"], "base_resp": success},
    ]
    assert job["polls"] == 0


def test_a_receiver_of_v1_gets_a_failure_with_its_code(minimax, emulator):
    emulator.configure(lifecycle="polls", polls=1)
    with Receiver() as receiver:
        task_id = minimax.buy(prompt="a censored fox", callback_url=receiver.url)
        wait_until(lambda: receiver.statuses == ["processing"])
        minimax.query(task_id)
        wait_until(lambda: "failed" in receiver.statuses)
    assert receiver.statuses == ["processing", "failed"]
    assert receiver.got[-1]["base_resp"] == {"status_code": 1027, "status_msg": "output new_sensitive"}


def test_a_receiver_of_v2_gets_the_task_as_a_query_shows_it(h3, emulator):
    emulator.configure(lifecycle="manual")
    with Receiver() as receiver:
        task_id = h3.order({**V2_ORDER, "callback_url": receiver.url}).json()["task_id"]
        for state, status in [("queueing", "queued"), ("processing", "running"), ("success", "succeeded")]:
            emulator.set_job(task_id, state)
            wait_until(lambda status=status: receiver.statuses[-1:] == [status])
    assert receiver.statuses == ["queued", "running", "succeeded"]
    task = receiver.got[-1]["task"]
    assert (task["id"], task["resolution"], task["usage"]["output_seconds"]) == (task_id, "768P", 5)
    assert task["content"]["url"].startswith(emulator.url)


def test_a_receiver_of_v2_gets_a_cancellation(h3, emulator):
    emulator.configure(lifecycle="manual")
    with Receiver() as receiver:
        task_id = h3.order({**V2_ORDER, "callback_url": receiver.url}).json()["task_id"]
        wait_until(lambda: receiver.statuses == ["queued"])
        h3.remove(task_id)
        wait_until(lambda: receiver.statuses == ["queued", "cancelled"])


def test_a_receiver_that_is_gone_keeps_no_job_from_its_end(minimax, emulator):
    emulator.configure(lifecycle="polls", polls=1)
    with Receiver() as receiver:
        task_id = minimax.buy(callback_url=receiver.url)
    assert minimax.query(task_id)["status"] == "Success"


def test_nothing_is_sent_where_callbacks_are_ignored(minimax, emulator):
    emulator.configure(callbacks="ignored", lifecycle="polls", polls=1)
    with Receiver() as receiver:
        assert minimax.query(minimax.buy(callback_url=receiver.url))["status"] == "Success"
    assert receiver.got == []


def test_a_reset_ends_what_is_sent(minimax, emulator):
    emulator.configure(lifecycle="time", seconds=1)
    with Receiver() as receiver:
        forgotten = minimax.buy(callback_url=receiver.url)
        wait_until(lambda: receiver.statuses == ["processing"])
        emulator.reset()
        emulator.configure(lifecycle="time", seconds=1.5)
        minimax.buy(callback_url=receiver.url)
        wait_until(lambda: "success" in receiver.statuses)
    # The job that was forgotten would have been done first.
    assert [update["task_id"] for update in receiver.got if update.get("status") == "success"] != [forgotten]


def test_only_so_many_jobs_are_reported_at_once(minimax, emulator, monkeypatch):
    monkeypatch.setattr("airflow_provider_minimax.emulator.world.MOST_REPORTS", 1)
    emulator.configure(lifecycle="manual")
    with Receiver() as first, Receiver() as second:
        reported = minimax.buy(callback_url=first.url)
        other = minimax.buy(callback_url=second.url)
        emulator.set_job(other, "success")
        emulator.set_job(reported, "success")
        wait_until(lambda: "success" in first.statuses)
    assert (second.statuses, minimax.query(other)["status"]) == ([], "Success")


def test_the_emulator_says_what_it_posted_and_how_it_was_answered(minimax, emulator):
    emulator.configure(lifecycle="manual")
    with Receiver() as receiver:
        task_id = minimax.buy(callback_url=receiver.url)
        wait_until(lambda: len(emulator.pushes) == 1)
        emulator.set_job(task_id, "success")
        wait_until(lambda: len(emulator.pushes) == 2)
    assert [(push["task_id"], push["platform"], push["status"], push["answer"]) for push in emulator.pushes] == [
        (task_id, "minimax", "processing", 200),
        (task_id, "minimax", "success", 200),
    ]
    emulator.reset()
    assert emulator.pushes == []


def test_a_push_that_nobody_answers_has_no_status(minimax, emulator):
    emulator.configure(lifecycle="manual")
    with Receiver() as receiver:
        task_id = minimax.buy(callback_url=receiver.url)
        wait_until(lambda: receiver.statuses == ["processing"])
    emulator.set_job(task_id, "success")
    wait_until(lambda: len(emulator.pushes) == 2)
    assert emulator.pushes[-1]["answer"] is None


@pytest.mark.parametrize(
    ("faults", "got"),
    [
        ([("lost_push", {})], [[], ["running"], ["succeeded"]]),
        ([("lost_push", {"times": -1})], [[], [], []]),
        ([("lost_push", {"containing": "another"})], [["queued"], ["running"], ["succeeded"]]),
        ([("lost_push", {"platform": "vtrix"})], [["queued"], ["running"], ["succeeded"]]),
        ([("repeated_push", {"times": -1})], [["queued"] * 2, ["running"] * 2, ["succeeded"] * 2]),
        ([("reordered_push", {})], [[], ["running", "queued"], ["succeeded"]]),
        ([("reordered_push", {"after": 1})], [["queued"], [], ["succeeded", "running"]]),
        (
            [("reordered_push", {"times": 2}), ("repeated_push", {})],
            [[], [], ["succeeded", "succeeded", "queued", "running"]],
        ),
        ([("reordered_push", {"times": 2}), ("lost_push", {})], [[], [], ["queued", "running"]]),
        ([("delayed_push", {"seconds": 4})], [[], ["running"], ["succeeded", "queued"]]),
        ([("delayed_push", {"seconds": 0.6, "after": 2})], [["queued"], ["running"], ["succeeded"]]),
    ],
)
def test_pushes_are_lost_repeated_reordered_and_late_on_demand(h3, emulator, faults, got):
    emulator.configure(lifecycle="manual")
    for kind, details in faults:
        emulator.fault(kind, operation="push", **{"containing": "fox in snow", **details})
    ours, witnesses = ([{"type": "text", "text": text}] for text in ("a fox in snow", "a witness"))

    def statuses_of(task_id: str) -> list[str]:
        return [push["status"] for push in emulator.pushes if push["task_id"] == task_id]

    def wait_for(task_id: str, count: int) -> None:
        wait_until(lambda: len(statuses_of(task_id)) == count)

    with Receiver() as receiver, Receiver() as other:
        task_id = h3.order({**V2_ORDER, "content": ours, "callback_url": receiver.url}).json()["task_id"]
        expected = []
        for state, pushed in zip(("queueing", "processing", "success"), got, strict=True):
            emulator.set_job(task_id, state)
            expected += pushed
            wait_for(task_id, len(expected))
            # Where nothing is pushed, two statuses of another job, one after the other, show that it was its time.
            witness = h3.order({**V2_ORDER, "content": witnesses, "callback_url": other.url}).json()["task_id"]
            wait_for(witness, 1)
            emulator.set_job(witness, "success")
            wait_for(witness, 2)
    assert receiver.statuses == expected == statuses_of(task_id)
