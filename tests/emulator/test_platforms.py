"""How each platform words its replies: what it shows of a job, and how it says no."""

from __future__ import annotations

import pytest

from airflow_provider_minimax.emulator import EmulatorClient
from tests.emulator.customer import QUERY, RETRIEVE, SUBMIT, browser

PLATFORMS = list(SUBMIT)
LIKE_MINIMAX = ["minimax", "minimax-cn", "bltcy", "ai302"]
OK = {"status_code": 0, "status_msg": "success"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_sells_a_clip_that_can_be_fetched(customer, emulator, platform):
    buyer = customer(platform)
    task_id = buyer.buy()
    done = [buyer.query(task_id), buyer.query(task_id)][-1]
    if platform == "vtrix":
        url = done["output"][0]["content"][0]["url"]
    elif platform == "novita":
        url = done["videos"][0]["video_url"]
    elif platform == "chainhub":
        url = done["data"]["data"]["file"]["download_url"]
    else:
        url = buyer.retrieve(done["file_id"])["file"]["download_url"]
    clip = browser.get(url)
    assert (clip.status_code, clip.headers["Content-Type"], clip.content[4:8]) == (200, "video/mp4", b"ftyp")
    assert [purchase["platform"] for purchase in emulator.purchases] == [platform]


@pytest.mark.parametrize("platform", LIKE_MINIMAX)
def test_minimax_reports_a_job_in_its_own_words(customer, emulator, platform):
    emulator.configure(polls=4)
    buyer = customer(platform)
    task_id = buyer.buy()
    replies = [buyer.query(task_id) for _ in range(4)]
    assert [reply["status"] for reply in replies] == ["Preparing", "Queueing", "Processing", "Success"]
    assert [reply["file_id"] for reply in replies[:3]] == ["", "", ""]
    assert replies[3] == {
        "task_id": task_id,
        "status": "Success",
        "file_id": replies[3]["file_id"],
        "video_width": 1366,
        "video_height": 768,
        "base_resp": OK,
    }


@pytest.mark.parametrize(("platform", "has_backup"), [("minimax", False), ("ai302", False), ("bltcy", True)])
def test_a_file_has_an_id_of_the_other_type_no_size_and_no_name_of_its_own(customer, platform, has_backup):
    buyer = customer(platform)
    file_id = buyer.finish(buyer.buy())["file_id"]
    answer = buyer.retrieve(file_id)
    described = answer["file"]
    assert answer["base_resp"] == OK
    assert isinstance(file_id, str)
    assert (described["file_id"], described["bytes"], described["filename"]) == (int(file_id), 0, "output_aigc.mp4")
    assert ("backup_download_url" in described) is has_backup


def test_the_backup_link_leads_to_the_same_clip(customer):
    buyer = customer("bltcy")
    described = buyer.retrieve(buyer.finish(buyer.buy())["file_id"])["file"]
    assert browser.get(described["backup_download_url"]).content == browser.get(described["download_url"]).content


@pytest.mark.parametrize("platform", ["minimax", "ai302", "bltcy"])
@pytest.mark.parametrize("given", [True, False])
def test_a_second_link_can_be_given_or_kept_back_on_every_platform_with_files(customer, emulator, platform, given):
    emulator.configure(backup_links=given)
    buyer = customer(platform)
    described = buyer.retrieve(buyer.finish(buyer.buy())["file_id"])["file"]
    assert ("backup_download_url" in described) is given


def test_minimax_marks_its_replies_with_a_trace(minimax):
    assert minimax.order().headers["Trace-Id"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_task_belongs_to_the_platform_that_made_it(customer, platform):
    other = customer("novita" if platform == "minimax" else "minimax")
    answer = customer(platform).get(QUERY[platform].format(other.buy()))
    if platform == "vtrix":
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "404")
    elif platform == "novita":
        assert (answer.status_code, answer.json()["reason"]) == (400, "TASK_NOT_FOUND")
    elif platform == "chainhub":
        assert (answer.status_code, answer.json()["code"]) == (400, "task_not_exist")
    else:
        assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, 2013)


@pytest.mark.parametrize(
    ("platform", "key", "code"),
    [
        ("minimax", "", 1004),
        ("minimax", "emulator-key-cn", 1004),
        ("minimax", "wrong", 2049),
        ("minimax-cn", "emulator-key", 1004),
        ("minimax-cn", "wrong", 2049),
    ],
)
def test_minimax_refuses_a_key_in_http_200(customer, platform, key, code):
    for answer in _with_key(customer, platform, key):
        assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, code)


@pytest.mark.parametrize(
    ("platform", "where"),
    [
        ("bltcy", ("error", "type", "new_api_error")),
        ("chainhub", ("error", "type", "new_api_error")),
        ("ai302", ("error", "err_code", -10006)),
        ("vtrix", ("error", "code", "401")),
    ],
)
@pytest.mark.parametrize("key", ["", "wrong"])
def test_gateways_refuse_a_key_in_their_own_way(customer, platform, where, key):
    outer, inner, value = where
    for answer in _with_key(customer, platform, key):
        assert (answer.status_code, answer.json()[outer][inner]) == (401, value)


def test_novita_refuses_a_key_in_its_own_way(customer):
    for answer in _with_key(customer, "novita", "wrong"):
        assert (answer.status_code, answer.json()["code"]) == (401, 401)


@pytest.mark.parametrize("platform", ["minimax", "chainhub", "novita"])
def test_a_key_can_be_replaced_while_the_emulator_runs(customer, emulator, platform):
    emulator.configure(key="a-new-key")
    assert customer(platform, "a-new-key").buy()
    customer(platform).order()
    assert len(emulator.purchases) == 1


def _with_key(customer, platform, key):
    buyer = customer(platform, key)
    yield buyer.order()
    yield buyer.get(QUERY[platform].format("1"))
    if platform in RETRIEVE:
        yield buyer.get(RETRIEVE[platform], params={"file_id": "1"})


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [("status_and_code", "Fail", 1027), ("status_only", "Fail", 0), ("code_only", None, 1027)],
)
def test_a_failed_job_can_be_reported_in_three_ways(minimax, emulator, reply, status, code):
    emulator.configure(outcome="failed", polls=1, failure_reply=reply)
    answer = minimax.query(minimax.buy())
    assert (answer.get("status"), answer["base_resp"]["status_code"]) == (status, code)


def test_a_status_can_be_spelt_in_any_way(minimax, emulator):
    task_id = minimax.buy()
    emulator.configure(statuses={"success": "Finished", "*": "Dreaming"})
    assert [minimax.query(task_id)["status"] for _ in range(2)] == ["Dreaming", "Finished"]


def test_a_success_can_stay_without_a_file_for_some_polls_or_for_ever(minimax, emulator):
    task_id = minimax.buy()
    emulator.set_job(task_id, "success")
    emulator.configure(polls_without_file=2)
    assert [bool(minimax.query(task_id)["file_id"]) for _ in range(3)] == [False, False, True]
    emulator.configure(polls_without_file=-1)
    assert not minimax.query(task_id)["file_id"]


def test_a_file_id_can_be_a_number(minimax, emulator):
    emulator.configure(file_id_as_number=True)
    assert isinstance(minimax.finish(minimax.buy())["file_id"], int)


def test_chainhub_wraps_the_query_and_hides_the_file_id_in_fail_reason(customer, emulator):
    emulator.configure(polls=4)
    buyer = customer("chainhub")
    task_id = buyer.buy()
    replies = [buyer.query(task_id) for _ in range(4)]
    records = [reply["data"] for reply in replies]
    assert {reply["code"] for reply in replies} == {"success"}
    assert [record["status"] for record in records] == ["NOT_START", "QUEUED", "IN_PROGRESS", "SUCCESS"]
    assert [record["data"] and record["data"]["status"] for record in records] == [
        None,
        "Queueing",
        "Processing",
        "Success",
    ]
    assert [record["fail_reason"] for record in records] == ["", "", "", records[3]["data"]["file_id"]]
    assert {record["start_time"] for record in records} == {0}
    assert records[3]["progress"] == "100%"


def test_chainhub_can_leave_the_link_out_of_the_query(customer, emulator):
    emulator.configure(chainhub_file_inline=False)
    buyer = customer("chainhub")
    inner = buyer.finish(buyer.buy())["data"]["data"]
    assert "file" not in inner
    assert buyer.retrieve(inner["file_id"])["file"]["download_url"]


def test_chainhub_can_wrap_the_submit(customer, emulator):
    emulator.configure(chainhub_submit="wrapped")
    answer = customer("chainhub").order().json()
    assert set(answer) == {"code", "message", "request_id", "data"}
    assert answer["code"] == 0
    assert set(answer["data"]) == {"task_id", "task_status", "created_at", "updated_at"}


def test_chainhub_has_no_channel_for_an_unknown_model(customer):
    answer = customer("chainhub").order(model="MiniMax-Hailuo-9")
    assert answer.status_code == 503
    assert "无可用渠道" in answer.json()["error"]["message"]


def test_chainhub_reports_a_failure_in_fail_reason(customer, emulator):
    buyer = customer("chainhub")
    task_id = buyer.buy()
    emulator.set_job(task_id, "failed", code=1027)
    record = buyer.query(task_id)["data"]
    assert (record["status"], record["fail_reason"]) == ("FAILURE", "output new_sensitive")


def test_vtrix_shows_a_jobs_result_as_an_array_of_arrays(customer):
    buyer = customer("vtrix")
    task_id = buyer.buy()
    assert buyer.query(task_id)["status"] == "in_progress"
    done = buyer.query(task_id)
    assert (done["id"], done["status"], done["progress"], done["error"]) == (task_id, "completed", 1, None)
    assert done["output"][0]["content"][0]["type"] == "video"
    assert done["usage"] == {"cost": "0.30", "discount": 1}


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ("object", {"code": "010006095", "error_message": "internal generation error: output new_sensitive (1027)"}),
        ("message", {"code": "010006095", "message": "internal generation error: output new_sensitive (1027)"}),
        ("integer", {"code": 10006095, "error_message": "internal generation error: output new_sensitive (1027)"}),
        ("string", "010006095: internal generation error: output new_sensitive (1027)"),
    ],
)
def test_vtrix_shows_an_error_in_four_shapes(customer, emulator, shape, error):
    emulator.configure(vtrix_error=shape)
    buyer = customer("vtrix")
    task_id = buyer.buy()
    emulator.set_job(task_id, "failed", code=1027)
    assert buyer.query(task_id)["error"] == error


def test_vtrix_can_put_a_picture_first_and_leave_the_cost_empty(customer, emulator):
    emulator.configure(vtrix_output="cover_first", vtrix_cost="empty")
    buyer = customer("vtrix")
    done = buyer.finish(buyer.buy())
    assert [part["content"][0]["type"] for part in done["output"]] == ["image", "video"]
    assert done["usage"]["cost"] == ""


def test_novita_shows_a_result_with_its_life_as_text(customer):
    buyer = customer("novita")
    task_id = buyer.buy()
    assert buyer.query(task_id)["task"]["status"] == "TASK_STATUS_QUEUED"
    done = buyer.query(task_id)
    assert done["task"] == {
        "task_id": task_id,
        "task_type": "MINIMAX_VIDEO_01",
        "status": "TASK_STATUS_SUCCEED",
        "reason": "",
        "eta": 0,
        "progress_percent": 100,
    }
    assert done["videos"][0]["video_url_ttl"] == "3600"
    assert done["videos"][0]["video_type"] == "mp4"


def test_novita_reports_times_as_numbers_and_no_seed_that_it_does_not_have(customer):
    buyer = customer("novita")
    task_id = buyer.buy()
    queued, done = (buyer.query(task_id)["extra"] for _ in range(2))
    known = {"request_info": "", "submit_time_ms": queued["debug_info"]["submit_time_ms"]}
    assert queued == {"debug_info": known | {"execute_time_ms": 0, "complete_time_ms": 0}}
    submitted, executed, completed = (
        done["debug_info"][f"{what}_time_ms"] for what in ("submit", "execute", "complete")
    )
    assert isinstance(submitted, int)
    assert 1_700_000_000_000 < submitted <= executed <= completed


def test_novita_gives_a_reason_for_a_failure(customer, emulator):
    buyer = customer("novita")
    task_id = buyer.buy()
    emulator.set_job(task_id, "failed", code=1027)
    done = buyer.query(task_id)
    assert (done["task"]["status"], done["task"]["reason"]) == ("TASK_STATUS_FAILED", "output new_sensitive")
    assert done["videos"] == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_connection_names_host_key_and_platform(emulator, platform):
    connection = EmulatorClient(emulator.url).connection(platform)
    assert connection["host"] == f"{emulator.url}/{platform}"
    assert connection["password"] == emulator.api_key(platform)
    assert connection["extra"]["platform"] == platform.removesuffix("-cn")
    assert connection["extra"].get("region") == ("cn" if platform == "minimax-cn" else None)
