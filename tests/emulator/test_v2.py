"""MiniMax's second API: what it shows of a job, how a job is taken back, and how it says no."""

from __future__ import annotations

import base64
import time

import httpx
import pytest

from airflow_provider_minimax.emulator import EmulatorClient
from airflow_provider_minimax.emulator.clips import film_v2
from tests.emulator.customer import V2_ORDER, V2Customer, browser
from tests.emulator.test_contract_v2 import assert_refused, audio, image, text, video


def test_a_job_is_reported_from_queue_to_end(h3, emulator):
    emulator.configure(polls=4)
    task_id = h3.buy()
    replies = [h3.query(task_id) for _ in range(4)]
    assert [reply["status"] for reply in replies] == ["queued", "queued", "running", "succeeded"]
    assert [reply["usage"] for reply in replies[:3]] == [{}, {}, {}]
    assert not any("content" in reply for reply in replies[:3])
    done = replies[3]
    assert abs(done.pop("created_at") - time.time()) < 60
    assert abs(done.pop("updated_at") - time.time()) < 60
    assert done.pop("content").keys() == {"url"}
    assert done == {
        "id": task_id,
        "model": "MiniMax-H3",
        "status": "succeeded",
        "resolution": "768P",
        "duration": 5,
        "usage": {
            "total_seconds": 5,
            "input_seconds": 0,
            "output_seconds": 5,
            "input_image_count": 0,
            "total_tokens": 260390,
            "prompt_tokens": 0,
            "completion_tokens": 260390,
        },
        "ratio": "16:9",
        "task_type": "generation",
        "modality": "video",
    }


@pytest.mark.parametrize("platform", ["minimax", "minimax-cn"])
def test_a_clip_can_be_fetched_by_a_link_that_is_new_at_each_poll(customer, platform):
    buyer = V2Customer(platform)
    task_id = buyer.buy()
    links = {buyer.finish(task_id)["content"]["url"] for _ in range(3)}
    answers = [browser.get(link) for link in links]
    assert len(links) == 3
    assert {(answer.status_code, answer.headers["Content-Type"]) for answer in answers} == {(200, "video/mp4")}
    assert {answer.content[4:8] for answer in answers} == {b"ftyp"}


def test_usage_counts_what_was_sent_along(h3):
    items = [text(), image("reference_image"), image("reference_image"), video(), audio()]
    usage = h3.finish(h3.buy(content=items))["usage"]
    assert usage["total_seconds"] == usage["input_seconds"] + usage["output_seconds"]
    assert (usage["input_seconds"], usage["input_image_count"], usage["input_audio_seconds"]) == (5, 2, 5)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("code", [1026, 1027])
def test_a_failed_job_has_its_code_as_text(h3, emulator, code):
    task_id = h3.buy()
    emulator.set_job(task_id, "failed", code=code)
    reply = h3.query(task_id)
    assert (reply["status"], reply["error"]["code"], reply["usage"]) == ("failed", str(code), {})
    assert reply["error"]["message"]
    assert "content" not in reply


def test_a_censored_prompt_is_paid_for_and_fails_at_the_end(h3, emulator):
    task_id = h3.buy(content=[text("a censored fox")])
    assert [h3.query(task_id)["status"] for _ in range(2)] == ["queued", "failed"]
    assert emulator.purchases[0]["charged"] is True


def test_a_state_can_be_spelt_in_any_way(h3, emulator):
    task_id = h3.buy()
    emulator.configure(statuses={"failed": "expired", "*": "Dreaming"})
    emulator.set_job(task_id, "failed", code=1000)
    assert h3.query(task_id)["status"] == "expired"
    emulator.set_job(task_id, "processing")
    assert h3.query(task_id)["status"] == "Dreaming"


def test_a_success_can_stay_without_a_link_for_some_polls(h3, emulator):
    emulator.configure(polls_without_file=2)
    task_id = h3.buy()
    assert ["content" in h3.finish(task_id) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("state", ["preparing", "queueing"])
def test_a_queued_job_can_be_cancelled_and_costs_nothing(h3, emulator, state):
    task_id = h3.buy()
    emulator.set_job(task_id, state)
    assert h3.remove(task_id).json() == {"task_id": task_id, "action": "cancelled", "status": "cancelled"}
    assert h3.query(task_id)["status"] == "cancelled"
    assert emulator.purchases[0]["charged"] is False
    assert [(one["task_id"], one["action"]) for one in emulator.removals] == [(task_id, "cancelled")]
    assert [one["operation"] for one in emulator.requests] == ["submit", "cancel", "query"]


@pytest.mark.parametrize("state", ["success", "failed"])
def test_the_record_of_a_job_that_is_over_can_be_deleted(h3, emulator, state):
    task_id = h3.buy()
    emulator.set_job(task_id, state)
    assert h3.remove(task_id).json() == {"task_id": task_id, "action": "deleted", "status": "deleted"}
    assert_refused(h3.get(f"/v2/query/video_generation/{task_id}"), 400, "bad_request_error", 2013)
    assert h3.list()["total"] == 0
    assert emulator.jobs[0]["deleted"] is True
    assert emulator.purchases[0]["charged"] is True
    assert emulator.removals[0]["action"] == "deleted"


@pytest.mark.parametrize("state", ["processing", "cancelled"])
def test_a_job_that_runs_or_was_cancelled_can_be_neither_cancelled_nor_deleted(h3, emulator, state):
    task_id = h3.buy()
    emulator.set_job(task_id, state)
    assert_refused(h3.remove(task_id), 400, "bad_request_error", 2013)
    assert emulator.removals == []


def test_a_job_can_be_cancelled_by_hand_in_v2_alone(h3, minimax, emulator):
    task_id = h3.buy()
    emulator.set_job(task_id, "cancelled")
    assert h3.query(task_id)["status"] == "cancelled"
    assert emulator.purchases[0]["charged"] is False
    with pytest.raises(ValueError, match="only jobs of v2"):
        emulator.set_job(minimax.buy(), "cancelled")


def test_each_api_and_each_account_knows_its_own_jobs_alone(minimax, h3, customer):
    old, new = minimax.buy(), h3.buy()
    assert minimax.query(new)["base_resp"]["status_code"] == 2013
    assert h3.list()["total"] == 1
    for buyer, task_id in ((h3, old), (h3, "no-such-task"), (V2Customer("minimax-cn"), new)):
        for answer in (buyer.get(f"/v2/query/video_generation/{task_id}"), buyer.remove(task_id)):
            assert_refused(answer, 400, "bad_request_error", 2013)
            assert "invalid task_id" in answer.json()["error"]["message"]


def test_a_job_is_forgotten_after_the_window(h3, emulator):
    task_id = h3.buy()
    emulator.configure(v2_window_seconds=0)
    assert "invalid task_id" in h3.get(f"/v2/query/video_generation/{task_id}").json()["error"]["message"]
    assert h3.list() == {"items": [], "total": 0}


def test_a_list_shows_the_newest_first_and_does_not_count_as_a_poll(h3, emulator):
    emulator.configure(polls=1)
    task_ids = [h3.buy() for _ in range(3)]
    emulator.set_job(task_ids[0], "success")
    listed = h3.list()
    assert ([item["id"] for item in listed["items"]], listed["total"]) == (task_ids[::-1], 3)
    assert [item["status"] for item in listed["items"]] == ["queued", "queued", "succeeded"]
    assert [job["polls"] for job in emulator.jobs] == [0, 0, 0]
    assert browser.get(listed["items"][2]["content"]["url"]).status_code == 200
    assert emulator.requests[-2]["operation"] == "list"


def test_a_list_can_lag_behind(h3, emulator):
    emulator.configure(v2_list_lag_seconds=0.3)
    task_id = h3.buy()
    assert h3.list() == {"items": [], "total": 0}
    assert h3.query(task_id)["id"] == task_id
    time.sleep(0.35)
    assert h3.list()["total"] == 1


def test_a_list_comes_in_pages(h3):
    task_ids = [h3.buy() for _ in range(25)][::-1]

    def shown(**page: int) -> list[str]:
        listed = h3.list(**page)
        assert listed["total"] == 25
        return [item["id"] for item in listed["items"]]

    assert shown() == task_ids[:20]
    assert shown(page_num=2) == task_ids[20:]
    assert shown(page_num=3, page_size=10) == task_ids[20:]
    assert shown(page_num=4, page_size=10) == []


def test_a_list_can_be_filtered(h3, emulator):
    first, second, third = h3.buy(), h3.buy(model="MiniMax-H3-Max"), h3.buy()
    emulator.set_job(third, "failed", code=1027)

    def found(**filters: object) -> set[str]:
        listed = h3.list(**{f"filter.{name}": value for name, value in filters.items()})
        assert listed["total"] == len(listed["items"])
        return {item["id"] for item in listed["items"]}

    assert found(status="failed") == {third}
    assert found(status="queued") == {first, second}
    assert found(model="MiniMax-H3-Max") == {second}
    assert found(task_ids=[first, third, "1"]) == {first, third}
    assert found(task_type="generation", status="queued", task_ids=[second, third]) == {second}
    assert found(task_type="regeneration") == set()


@pytest.mark.parametrize(
    "parameters",
    [{"page_num": 0}, {"page_size": "many"}, {"filter.status": "Success"}, {"filter.task_type": "clip"}],
    ids=str,
)
def test_a_list_refuses_what_its_page_does_not_name(h3, parameters):
    answer = h3.get("/v2/query/video_generation", params=parameters)
    assert_refused(answer, 400, "bad_request_error", 2013)


def test_a_prompt_can_be_rewritten(h3, emulator):
    body = {"model": "MiniMax-H3", "content": [text("a fox")], "duration": 5, "ratio": "16:9"}
    task_id = h3.post("/v2/h3_context_ir", json=body).json()["task_id"]
    done = h3.finish(task_id)
    assert (done["task_type"], done["modality"], done["duration"]) == ("h3_context_ir", "text", 5)
    assert "a fox" in done["content"]["prompt"]
    assert done["content"].keys() == {"prompt"}
    assert done["usage"].keys() == {"total_tokens", "prompt_tokens", "completion_tokens"}
    assert "resolution" not in done
    assert emulator.purchases[0]["task_type"] == "h3_context_ir"
    assert h3.list(**{"filter.task_type": "h3_context_ir"})["total"] == 1


@pytest.mark.parametrize(
    "changes",
    [{"model": "MiniMax-H3-Max"}, {"resolution": "768P"}, {"duration": 3}, {"ratio": "adaptive"}, {"content": []}],
    ids=str,
)
def test_a_prompt_is_not_rewritten_for_anything_else(h3, emulator, changes):
    body = {"model": "MiniMax-H3", "content": [text("a fox")], "duration": 5, "ratio": "16:9"} | changes
    assert_refused(h3.post("/v2/h3_context_ir", json=body), 400, "bad_request_error", 2013)
    assert emulator.purchases == []


def regenerate(buyer: V2Customer, **fields: object) -> httpx.Response:
    return buyer.post("/v2/video_regeneration", json={"model": "MiniMax-H3", "resolution": "2K", **fields})


def test_a_clip_can_be_made_again_in_2k(h3, emulator):
    source = h3.buy(duration=7)
    emulator.set_job(source, "success")
    done = h3.finish(regenerate(h3, source_task_id=source).json()["task_id"])
    assert (done["task_type"], done["resolution"], done["duration"], done["ratio"]) == ("regeneration", "2K", 7, "")
    assert (done["modality"], done["usage"]["output_seconds"]) == ("video", 7)
    assert browser.get(done["content"]["url"]).status_code == 200
    assert emulator.purchases[1]["task_type"] == "regeneration"


def test_a_clip_that_is_sent_can_be_made_again_in_2k(h3):
    sent = [text(), image("first_frame"), video("base_video")]
    assert regenerate(h3, content=sent, aigc_watermark=True).json()["task_id"]
    assert regenerate(h3, content=[text(), *[video() for _ in range(3)], video("base_video")]).json()["task_id"]


def test_a_clip_that_is_sent_is_made_as_long_as_it_is(h3, emulator):
    film = base64.b64encode(film_v2("768P", 9)).decode()
    base = {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{film}"}, "role": "base_video"}
    done = h3.finish(regenerate(h3, content=[text(), base]).json()["task_id"])
    assert done["duration"] == 9
    assert emulator.purchases[0]["price"] == {"usd": 0.45}


def test_only_a_clip_of_h3_that_was_made_in_768p_is_made_again(h3, emulator):
    unfinished, other_model, other_size = h3.buy(), h3.buy(model="MiniMax-H3-Max"), h3.buy(resolution="2K")
    for task_id in (other_model, other_size):
        emulator.set_job(task_id, "success")
    for fields in (
        {},
        {"source_task_id": unfinished},
        {"source_task_id": other_model},
        {"source_task_id": other_size},
        {"source_task_id": "1"},
        {"source_task_id": 1},
        {"source_task_id": unfinished, "content": [text(), video("base_video")]},
        {"content": [text(), video()]},
        {"content": [video("base_video")]},
        {"content": [text(), video("base_video"), video("base_video")]},
        {
            "content": [
                text(),
                video("base_video"),
                {"type": "image_url", "image_url": {"url": "x"}, "role": "base_video"},
            ]
        },
        {"content": [text("x" * 40_001), video("base_video")]},
        {"content": "a clip"},
        {"content": [text(), video("base_video")], "resolution": "768P"},
        {"content": [text(), video("base_video")], "model": "MiniMax-H3-Max"},
    ):
        assert_refused(regenerate(h3, **fields), 400, "bad_request_error", 2013)
    assert len(emulator.purchases) == 3


def test_so_many_jobs_a_minute_and_no_more(h3, emulator):
    emulator.configure(v2_requests_per_minute=2)
    answers = [h3.order() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert_refused(answers[2], 429, "rate_limit_error", 1002)


def test_so_many_jobs_in_flight_and_no_more(h3, emulator):
    emulator.configure(v2_tasks_in_flight=2)
    first = h3.buy()
    h3.buy()
    assert_refused(h3.order(), 429, "rate_limit_error", 1002)
    h3.remove(first)
    assert h3.order().status_code == 200


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (1000, 500, "server_error"),
        (1002, 429, "rate_limit_error"),
        (1004, 401, "authorized_error"),
        (1008, 402, "insufficient_balance_error"),
        (1026, 422, "unprocessable_entity_error"),
        (2013, 400, "bad_request_error"),
        (2064, 529, "overloaded_error"),
    ],
)
def test_every_code_has_its_status(h3, emulator, code, status, kind):
    emulator.fault("base_resp", operation="submit", code=code, retry_after=3)
    answer = h3.order()
    assert_refused(answer, status, kind, code)
    assert answer.headers["Retry-After"] == "3"
    assert emulator.purchases == []


def test_a_platform_that_is_overloaded_says_529(h3, emulator):
    emulator.fault("saturated", operation="submit")
    assert_refused(h3.order(), 529, "overloaded_error", 2064)


FAULTS = {
    "list": lambda buyer: buyer.get("/v2/query/video_generation"),
    "cancel": lambda buyer: buyer.remove("1"),
    "upload": lambda buyer: buyer.upload("fox.png", b"a fox"),
    "account": lambda buyer: buyer.get("/account/query_balance"),
}


@pytest.mark.parametrize(("operation", "ask"), FAULTS.items(), ids=FAULTS.keys())
def test_trouble_can_meet_each_of_the_new_operations(h3, emulator, operation, ask):
    emulator.fault("http", operation=operation, status=503)
    assert h3.order().status_code == 200
    assert ask(h3).status_code == 503
    assert emulator.requests[-1]["operation"] == operation


def test_an_answer_can_be_lost_after_a_job_was_made_or_cancelled(h3, emulator):
    emulator.fault("lost_answer", operation="submit")
    emulator.fault("lost_answer", operation="cancel")
    for ask in (h3.order, lambda: h3.remove(emulator.purchases[0]["task_id"])):
        with pytest.raises(httpx.TransportError):
            ask()
    assert emulator.jobs[0]["state"] == "cancelled"
    (item,) = h3.list()["items"]
    assert item["id"] == emulator.purchases[0]["task_id"]


def test_a_fault_can_meet_one_job_among_many(h3, emulator):
    emulator.fault("unknown_task", operation="query", containing="paper boat")
    fox, boat = h3.buy(), h3.buy(content=[text("a paper boat")])
    assert h3.query(fox)["status"] == "queued"
    assert "invalid task_id" in h3.get(f"/v2/query/video_generation/{boat}").text


def test_everything_is_known_to_a_client_elsewhere(h3, emulator):
    h3.remove(h3.buy())
    h3.upload("fox.png", b"a fox")
    far = EmulatorClient(emulator.url)
    assert far.removals == emulator.removals
    assert far.uploads == emulator.uploads
    emulator.reset()
    assert (emulator.removals, emulator.uploads) == ([], [])


# -- gateways that resell it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("platform", "prefix"), [("novita", "/v3/minimax/v2"), ("ai302", "/minimaxi/v2")])
def test_gateways_sell_clips_of_it_and_nothing_else(customer, emulator, platform, prefix):
    emulator.configure(polls=1)
    buyer = customer(platform)
    task_id = buyer.post(f"{prefix}/video_generation", json=V2_ORDER).json()["task_id"]
    task = buyer.get(f"{prefix}/query/video_generation/{task_id}").json()["task"]
    assert (task["id"], task["status"], task["model"]) == (task_id, "succeeded", "MiniMax-H3")
    assert browser.get(task["content"]["url"]).content[4:8] == b"ftyp"
    missing = [
        buyer.get(f"{prefix}/query/video_generation"),
        buyer.delete(f"{prefix}/video_generation/{task_id}"),
        buyer.post(f"{prefix}/h3_context_ir", json=V2_ORDER),
        buyer.post(f"{prefix}/video_regeneration", json={"source_task_id": task_id}),
        buyer.post(f"{prefix.removesuffix('v2')}v1/files/upload", files={"file": ("a.png", b"x")}),
    ]
    assert {answer.status_code for answer in missing} == {404}
    assert [purchase["platform"] for purchase in emulator.purchases] == [platform]


@pytest.mark.parametrize(
    ("platform", "prefix", "field"), [("novita", "/v3/minimax/v2", "reason"), ("ai302", "/minimaxi/v2", "error")]
)
def test_a_gateway_words_a_wrong_key_itself_and_passes_a_wrong_order_on(customer, emulator, platform, prefix, field):
    refused = customer(platform, "wrong").post(f"{prefix}/video_generation", json=V2_ORDER)
    assert (refused.status_code, field in refused.json(), "request_id" in refused.json()) == (401, True, False)
    wrong = customer(platform).post(f"{prefix}/video_generation", json={**V2_ORDER, "duration": 99})
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "bad_request_error")
    assert emulator.purchases == []
