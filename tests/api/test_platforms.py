"""Each platform's contract, read from samples of its replies; no I/O."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from airflow_provider_minimax.api.balance import Balance, PlanShare
from airflow_provider_minimax.api.cost import Billed
from airflow_provider_minimax.api.http.message import HttpReply
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxModerationError,
    MinimaxQuotaError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxTaskGoneError,
    MinimaxUnavailableError,
)
from tests.samples import cases, reply

FRAME = "https://files.example/frame.jpg"
CONTRACTS = {
    **PLATFORMS,
    **{f"{name}_v2": PLATFORMS[name].of_version("v2") for name in ("minimax", "novita", "ai302")},
}


@pytest.mark.parametrize(
    ("platform", "case", "task_id"),
    [
        ("minimax", "submit", "900000000000001"),
        ("bltcy", "submit", "106916112212032"),
        ("bltcy", "submit_id_only", "106916112212032"),
        ("chainhub", "submit", "306792606023824"),
        ("chainhub", "submit_wrapped", "306792606023824"),
        ("vtrix", "submit", "gen_01"),
        ("novita", "submit", "5a3c2e"),
        ("ai302", "submit", "900000000000001"),
        ("minimax_v2", "submit", "424010985738629"),
        ("novita_v2", "submit", "b1946ac9-4f2e-4d0a-8b1c-2f6d1f0e9a77"),
        ("ai302_v2", "submit", "424010985738630"),
    ],
)
def test_a_task_id_is_found_wherever_the_platform_puts_it(platform, case, task_id):
    assert CONTRACTS[platform].read_submission(reply(platform, case)) == task_id


@pytest.mark.parametrize(
    ("platform", "case", "error"),
    [
        ("minimax", "submit_balance_too_low", MinimaxQuotaError),
        ("minimax", "submit_refused_with_empty_task_id", MinimaxQuotaError),
        ("minimax", "submit_sensitive_prompt", MinimaxModerationError),
        ("minimax", "submit_wrong_key", MinimaxAuthError),
        ("minimax", "submit_not_authorised", MinimaxAuthError),
        ("minimax", "submit_invalid_parameters", MinimaxRequestError),
        ("minimax", "submit_callback_not_echoed", MinimaxRequestError),
        ("minimax", "submit_rate_limited", MinimaxRateLimitError),
        ("minimax", "submit_internal_error", MinimaxUnavailableError),
        ("minimax", "submit_undocumented_code", MinimaxUnavailableError),
        ("minimax", "submit_without_task_id", MinimaxUnavailableError),
        ("minimax", "submit_refused_with_task_id", MinimaxUnavailableError),
        ("chainhub", "submit_wrapped_refusal", MinimaxUnavailableError),
        ("minimax", "html_502", MinimaxUnavailableError),
        ("minimax", "html_200", MinimaxUnavailableError),
        ("minimax", "http_429", MinimaxRateLimitError),
        ("chainhub", "submit_no_channel", MinimaxRequestError),
        ("chainhub", "submit_saturated", MinimaxRateLimitError),
        ("chainhub", "submit_wrong_key", MinimaxAuthError),
        ("chainhub", "submit_quota", MinimaxQuotaError),
        ("vtrix", "submit_refused", MinimaxAuthError),
        ("vtrix", "submit_no_balance", MinimaxQuotaError),
        ("novita", "submit_invalid", MinimaxRequestError),
        ("novita", "submit_wrong_key", MinimaxAuthError),
        ("novita", "submit_no_balance", MinimaxQuotaError),
        ("ai302", "submit_account_error", MinimaxAuthError),
        ("ai302", "submit_account_error_http_200", MinimaxAuthError),
        ("minimax_v2", "submit_invalid", MinimaxRequestError),
        ("minimax_v2", "submit_wrong_key", MinimaxAuthError),
        ("minimax_v2", "submit_no_balance", MinimaxQuotaError),
        ("minimax_v2", "submit_sensitive", MinimaxModerationError),
        ("minimax_v2", "submit_sensitive_without_code", MinimaxModerationError),
        ("minimax_v2", "submit_callback_not_echoed", MinimaxRequestError),
        ("minimax_v2", "submit_rate_limited", MinimaxRateLimitError),
        ("minimax_v2", "submit_overloaded", MinimaxRateLimitError),
        ("minimax_v2", "submit_internal_error", MinimaxUnavailableError),
        ("minimax_v2", "submit_without_task_id", MinimaxUnavailableError),
        ("novita_v2", "submit_wrong_key", MinimaxAuthError),
        ("novita_v2", "submit_no_balance", MinimaxQuotaError),
        ("ai302_v2", "submit_account_error", MinimaxAuthError),
        ("ai302_v2", "submit_account_error_http_200", MinimaxAuthError),
        ("ai302_v2", "submit_no_balance_http_200", MinimaxQuotaError),
    ],
)
def test_a_refused_submission_says_what_the_reader_has_to_do(platform, case, error):
    with pytest.raises(error) as raised:
        CONTRACTS[platform].read_submission(reply(platform, case))
    assert type(raised.value) is error


@pytest.mark.parametrize("platform", ["minimax", "minimax_v2"])
def test_a_refusal_for_the_callback_says_what_its_receiver_must_do(platform):
    with pytest.raises(MinimaxRequestError) as raised:
        CONTRACTS[platform].read_submission(reply(platform, "submit_callback_not_echoed"))
    assert "the receiver must answer with the same JSON within 3 seconds" in raised.value.hint


@pytest.mark.parametrize(
    ("platform", "case", "state"),
    [
        ("minimax", "query_preparing", TaskState.PENDING),
        ("minimax", "query_queueing", TaskState.PENDING),
        ("minimax", "query_processing", TaskState.RUNNING),
        ("minimax", "query_success", TaskState.SUCCEEDED),
        ("minimax", "query_success_file_id_number", TaskState.SUCCEEDED),
        ("minimax", "query_success_without_file_id", TaskState.SUCCEEDED),
        ("minimax", "query_fail_moderation", TaskState.FAILED),
        ("minimax", "query_fail_code_0", TaskState.FAILED),
        ("minimax", "query_moderation_without_status", TaskState.FAILED),
        ("minimax", "query_unknown_status", TaskState.UNKNOWN),
        ("bltcy", "query_finished", TaskState.SUCCEEDED),
        ("chainhub", "query_not_started", TaskState.PENDING),
        ("chainhub", "query_in_progress", TaskState.RUNNING),
        ("chainhub", "query_success", TaskState.SUCCEEDED),
        ("chainhub", "query_failure", TaskState.FAILED),
        ("chainhub", "query_inner_status_wins", TaskState.FAILED),
        ("chainhub", "query_plain", TaskState.SUCCEEDED),
        ("vtrix", "query_in_progress", TaskState.RUNNING),
        ("vtrix", "query_completed", TaskState.SUCCEEDED),
        ("vtrix", "query_failed", TaskState.FAILED),
        ("vtrix", "query_error_in_progress", TaskState.RUNNING),
        ("novita", "query_queued", TaskState.PENDING),
        ("novita", "query_processing", TaskState.RUNNING),
        ("novita", "query_succeed", TaskState.SUCCEEDED),
        ("novita", "query_failed", TaskState.FAILED),
        ("novita", "query_unknown_status", TaskState.UNKNOWN),
        ("ai302", "query_success", TaskState.SUCCEEDED),
        ("minimax_v2", "query_queued", TaskState.PENDING),
        ("minimax_v2", "query_running", TaskState.RUNNING),
        ("minimax_v2", "query_succeeded", TaskState.SUCCEEDED),
        ("minimax_v2", "query_failed", TaskState.FAILED),
        ("minimax_v2", "query_cancelled", TaskState.CANCELLED),
        ("minimax_v2", "query_expired", TaskState.FAILED),
        ("minimax_v2", "query_unknown_status", TaskState.UNKNOWN),
        ("novita_v2", "query_succeeded", TaskState.SUCCEEDED),
        ("ai302_v2", "query_succeeded", TaskState.SUCCEEDED),
    ],
)
def test_a_state_is_read_in_every_spelling(platform, case, state):
    assert CONTRACTS[platform].read_task(reply(platform, case), "T").state is state


@pytest.mark.parametrize(
    ("platform", "case", "code", "reason"),
    [
        ("minimax", "query_fail_moderation", "1027", "output new_sensitive"),
        ("minimax", "query_fail_code_0", None, None),
        ("minimax", "query_moderation_without_status", "1027", "output new_sensitive"),
        ("chainhub", "query_failure", None, "upstream task failed"),
        ("chainhub", "query_inner_status_wins", "1027", "output new_sensitive"),
        ("vtrix", "query_failed", "010006097", "HTTP error response"),
        ("vtrix", "query_failed_code_number", "10006099", "Task creation error"),
        ("vtrix", "query_failed_bare_text", None, "internal generation error"),
        ("novita", "query_failed", None, "the video was judged sensitive"),
        ("minimax_v2", "query_failed", "1026", "video description contains sensitive content"),
        ("minimax_v2", "query_expired", None, None),
    ],
)
def test_a_failure_keeps_the_platforms_code_and_words(platform, case, code, reason):
    task = CONTRACTS[platform].read_task(reply(platform, case), "T")
    assert (task.state, task.code, task.reason) == (TaskState.FAILED, code, reason)


def test_a_success_is_not_read_as_a_failure_though_fail_reason_is_filled():
    task = PLATFORMS["chainhub"].read_task(reply("chainhub", "query_success"), "T")
    assert (task.state, task.reason, task.file_id) == (TaskState.SUCCEEDED, None, "900000000000002")


@pytest.mark.parametrize(
    ("platform", "case", "url"),
    [
        ("chainhub", "query_success", "https://files.example/c.mp4?Expires=1&Signature=x"),
        ("vtrix", "query_completed", "https://files.example/v.mp4?sig=x"),
        ("vtrix", "query_completed_untyped", "https://files.example/v.mp4?sig=x"),
        ("novita", "query_succeed", "https://files.example/n.mp4?X-Amz-Signature=x"),
        ("minimax_v2", "query_succeeded", "https://files.example/h3.mp4?Expires=1&Signature=x"),
    ],
)
def test_a_clip_is_found_in_the_task_where_the_platform_puts_it_there(platform, case, url):
    task = CONTRACTS[platform].read_task(reply(platform, case), "T")
    assert task.file is not None
    assert task.file.url == url


@pytest.mark.parametrize(
    ("platform", "case"),
    [
        ("minimax", "query_success_without_file_id"),
        ("vtrix", "query_completed_without_url"),
        ("novita", "query_succeed_without_url"),
        ("minimax_v2", "query_succeeded_without_url"),
    ],
)
def test_a_success_that_names_no_clip_is_told_apart(platform, case):
    assert not CONTRACTS[platform].read_task(reply(platform, case), "T").has_output


@pytest.mark.parametrize("case", ["query_success", "query_success_file_id_number"])
def test_a_file_id_is_text_whether_it_came_as_text_or_number(case):
    assert PLATFORMS["minimax"].read_task(reply("minimax", case), "T").file_id == "900000000000002"


def test_the_clips_size_is_read():
    task = PLATFORMS["minimax"].read_task(reply("minimax", "query_success"), "T")
    assert (task.width, task.height) == (1366, 768)


BEGIN = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("platform", "case", "created", "started", "finished"),
    [
        ("minimax", "query_success", None, None, None),
        ("bltcy", "query_finished", None, None, None),
        ("ai302", "query_success", None, None, None),
        ("chainhub", "query_plain", None, None, None),
        ("chainhub", "query_not_started", BEGIN, None, None),
        ("chainhub", "query_success", BEGIN, None, after(100)),
        ("chainhub", "query_success_with_quota", BEGIN, after(3), after(100)),
        ("chainhub", "query_failure", BEGIN, None, after(100)),
        ("vtrix", "query_in_progress", BEGIN, None, None),
        ("vtrix", "query_completed", BEGIN, None, after(100.25)),
        ("vtrix", "query_completed_untyped", None, None, None),
        ("novita", "query_queued", BEGIN, None, None),
        ("novita", "query_succeed", BEGIN, after(1.5), after(100.25)),
        ("novita", "query_succeed_without_url", None, None, None),
        ("minimax_v2", "query_queued", BEGIN, None, None),
        ("minimax_v2", "query_running", BEGIN, None, None),
        ("minimax_v2", "query_succeeded", BEGIN, None, after(100)),
        ("minimax_v2", "query_failed", BEGIN, None, after(100)),
    ],
)
def test_a_tasks_times_are_read_if_the_platform_reports_them(platform, case, created, started, finished):
    task = CONTRACTS[platform].read_task(reply(platform, case), "T")
    assert (task.created_at, task.started_at, task.finished_at) == (created, started, finished)


@pytest.mark.parametrize(
    ("platform", "case", "billed"),
    [
        ("minimax", "query_success", None),
        ("novita", "query_succeed", None),
        ("chainhub", "query_success", None),
        ("chainhub", "query_success_with_quota", Billed(Decimal(140000), "quota")),
        ("vtrix", "query_in_progress", None),
        ("vtrix", "query_completed", Billed(Decimal("0.30"), "USD")),
        ("vtrix", "query_completed_untyped", None),
        # It reports seconds and tokens, not a price.
        ("minimax_v2", "query_succeeded", None),
    ],
)
def test_the_charge_is_read_if_the_platform_reports_it(platform, case, billed):
    assert CONTRACTS[platform].read_task(reply(platform, case), "T").billed == billed


def test_what_a_failed_task_was_charged_in_advance_is_not_taken_for_its_bill():
    """The gateway gives it back, and goes on telling the number."""
    task = PLATFORMS["chainhub"].read_task(reply("chainhub", "query_failure"), "T")
    assert (task.state, task.billed) == (TaskState.FAILED, None)


# Where each platform reports a time, what it charged, and the clip's size: the path in the reply's body.
REPORTED = [
    ("minimax", "query_success", "width", "video_width"),
    ("minimax", "query_success", "height", "video_height"),
    ("chainhub", "query_success_with_quota", "created_at", "data.submit_time"),
    ("chainhub", "query_success_with_quota", "started_at", "data.start_time"),
    ("chainhub", "query_success_with_quota", "finished_at", "data.finish_time"),
    ("chainhub", "query_success_with_quota", "billed", "data.quota"),
    ("chainhub", "query_success_with_quota", "width", "data.data.video_width"),
    ("vtrix", "query_completed", "created_at", "created_at"),
    ("vtrix", "query_completed", "finished_at", "metadata.completed_at"),
    ("vtrix", "query_completed", "finished_at", "metadata"),
    ("vtrix", "query_completed", "billed", "usage.cost"),
    ("vtrix", "query_completed", "billed", "usage"),
    ("vtrix", "query_completed", "duration", "output.0.content.1.duration"),
    ("novita", "query_succeed", "created_at", "extra.debug_info.submit_time_ms"),
    ("novita", "query_succeed", "started_at", "extra.debug_info.execute_time_ms"),
    ("novita", "query_succeed", "finished_at", "extra.debug_info.complete_time_ms"),
    ("novita", "query_succeed", "finished_at", "extra.debug_info"),
    ("novita", "query_succeed", "finished_at", "extra"),
    ("minimax_v2", "query_succeeded", "created_at", "task.created_at"),
    ("minimax_v2", "query_succeeded", "finished_at", "task.updated_at"),
    ("minimax_v2", "query_succeeded", "duration", "task.duration"),
]


def with_value(sample: HttpReply, path: str, value: object) -> HttpReply:
    """Return a sample with another value at a path of its body."""
    body = json.loads(sample.body)
    *way, last = path.split(".")
    place = body
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    place[last] = value
    return replace(sample, body=json.dumps(body).encode())


@pytest.mark.parametrize("odd", ["soon", "", -5, -0.5, [], {}, ["1790000000"], None, math.inf, "NaN"])
@pytest.mark.parametrize(("platform", "case", "fact", "path"), REPORTED)
def test_a_clip_is_not_lost_to_an_odd_value_beside_it(platform, case, fact, path, odd):
    whole = reply(platform, case)
    task = CONTRACTS[platform].read_task(with_value(whole, path, odd), "T")
    reported = CONTRACTS[platform].read_task(whole, "T")
    assert getattr(reported, fact) is not None
    assert getattr(task, fact) is None
    assert (task.state, task.file, task.file_id) == (reported.state, reported.file, reported.file_id)


@pytest.mark.parametrize("reported", [1790000000, 1790000000.0, "1790000000", 1790000000000, "1790000000000"])
@pytest.mark.parametrize(
    ("platform", "case", "fact", "path"), [row for row in REPORTED if row[3].endswith(("_at", "_ms", "_time"))]
)
def test_a_time_is_read_in_seconds_and_in_milliseconds_and_as_text(platform, case, fact, path, reported):
    task = CONTRACTS[platform].read_task(with_value(reply(platform, case), path, reported), "T")
    assert getattr(task, fact) == BEGIN


@pytest.mark.parametrize("reported", [0, 100, True, 1790000000000000, "2026-09-21T14:13:20", "21.09.2026"])
def test_a_number_or_text_that_cannot_be_a_clips_time_is_none(reported):
    sample = with_value(reply("chainhub", "query_success"), "data.finish_time", reported)
    assert PLATFORMS["chainhub"].read_task(sample, "T").finished_at is None


@pytest.mark.parametrize("reported", ["0.30", 0.3, "0.3000"])
def test_a_cost_is_exact_whether_it_came_as_text_or_number(reported):
    sample = with_value(reply("vtrix", "query_completed"), "usage.cost", reported)
    assert PLATFORMS["vtrix"].read_task(sample, "T").billed == Billed(Decimal("0.3"), "USD")


def test_a_clip_that_was_free_was_billed_at_nothing():
    sample = with_value(reply("vtrix", "query_completed"), "usage.cost", "0")
    assert PLATFORMS["vtrix"].read_task(sample, "T").billed == Billed(Decimal(0), "USD")


@pytest.mark.parametrize(
    ("amount", "plain"), [("140000", "140000"), ("0.30", "0.3"), ("0.035714285714", "0.035714285714"), ("2.00", "2")]
)
def test_a_bill_in_json_loses_nothing(amount, plain):
    billed = Billed(Decimal(amount), "USD")
    text = json.dumps(billed.as_dict())
    assert text == f'{{"amount": {plain}, "unit": "USD", "kind": "billed"}}'
    assert Billed.from_dict(json.loads(text)) == billed


@pytest.mark.parametrize("platform", ["minimax", "minimax_v2", "chainhub", "vtrix", "novita"])
def test_an_unknown_task_is_gone_and_the_error_names_it(platform):
    with pytest.raises(MinimaxTaskGoneError) as raised:
        CONTRACTS[platform].read_task(reply(platform, "query_unknown_task"), "T-77")
    assert raised.value.minimax_task_id == "T-77"


def test_a_rate_limited_query_is_not_the_end_of_the_task():
    with pytest.raises(MinimaxRateLimitError):
        PLATFORMS["minimax"].read_task(reply("minimax", "query_rate_limited"), "T")


@pytest.mark.parametrize("platform", ["minimax", "bltcy"])
def test_a_file_is_located(platform):
    file = CONTRACTS[platform].read_file(reply(platform, "file"))
    assert file.url.startswith("https://files.example/")
    assert file.created_at == BEGIN


def test_a_file_may_have_a_second_link():
    reported = CONTRACTS["bltcy"].read_file(reply("bltcy", "file"))
    assert reported.backup_url == "https://backup.example/b.mp4?Expires=1&Signature=y"
    in_query = PLATFORMS["chainhub"].read_task(reply("chainhub", "query_success"), "T").file
    assert in_query.backup_url == "https://backup.example/c.mp4?Expires=1"
    assert CONTRACTS["minimax"].read_file(reply("minimax", "file")).backup_url is None


def test_a_file_whose_only_link_is_the_second_is_located():
    file = CONTRACTS["bltcy"].read_file(with_value(reply("bltcy", "file"), "file.download_url", ""))
    assert (file.url, file.backup_url) == ("https://backup.example/b.mp4?Expires=1&Signature=y", None)


@pytest.mark.parametrize("odd", [["https://x"], {"url": "https://x"}])
def test_a_second_link_that_makes_no_sense_loses_no_clip(odd):
    file = CONTRACTS["bltcy"].read_file(with_value(reply("bltcy", "file"), "file.backup_download_url", odd))
    assert (file.url.startswith("https://files.example/"), file.backup_url) == (True, None)


def test_no_link_is_shown():
    assert "http" not in repr(CONTRACTS["bltcy"].read_file(reply("bltcy", "file")))


def test_a_file_whose_age_makes_no_sense_is_located_all_the_same():
    odd = with_value(reply("minimax", "file"), "file.created_at", "just now")
    file = PLATFORMS["minimax"].read_file(odd)
    assert (bool(file.url), file.created_at) == (True, None)


def test_a_file_in_the_query_says_when_it_was_made():
    task = PLATFORMS["chainhub"].read_task(reply("chainhub", "query_success"), "T")
    assert task.file.created_at == after(131)


def test_a_file_without_a_link_has_to_be_asked_for_again():
    with pytest.raises(MinimaxUnavailableError):
        PLATFORMS["minimax"].read_file(reply("minimax", "file_without_url"))


@pytest.mark.parametrize(("platform", "case"), cases())
def test_no_sample_makes_a_platform_stumble(platform, case):
    """Whatever a sample says, each reader returns or raises one of our errors, and shows no signature."""
    from airflow_provider_minimax.exceptions import MinimaxError

    for read in (
        CONTRACTS[platform].read_submission,
        lambda sample: CONTRACTS[platform].read_task(sample, "T"),
        CONTRACTS[platform].read_file or (lambda sample: None),
        partial(CONTRACTS[platform].read_balance or (lambda region, sample: None), "global"),
        CONTRACTS[platform].read_files or (lambda sample: None),
        CONTRACTS[platform].read_deletion or (lambda sample: None),
    ):
        try:
            shown = repr(read(reply(platform, case)))
        except MinimaxError as error:
            shown = f"{error} {error!r}"
        assert "Signature" not in shown


# -- what is left in an account ----------------------------------------------------------------------------------------


def balance(sample: HttpReply, region: str = "global") -> Balance:
    return PLATFORMS["minimax"].read_balance(region, sample)


@pytest.mark.parametrize(("region", "currency"), [("global", "USD"), ("cn", "CNY")])
def test_a_balance_is_exact_and_in_the_regions_currency(region, currency):
    left = balance(reply("minimax", "balance"), region)
    amounts = {"available": "98.00", "cash": "0.00", "voucher": "70.00", "credit": "28.00", "owed": "0.00"}
    assert left == Balance(**{name: Decimal(amount) for name, amount in amounts.items()}, currency=currency)
    assert str(left) == f"98.00 {currency}"


def test_the_rest_of_a_plan_is_reported_by_its_parts_without_amounts():
    """The week of one part has no limit, so its percentage is left out."""
    left = balance(reply("minimax", "plan"))
    general = PlanShare("general", Decimal(13), BEGIN, Decimal(76), BEGIN)
    assert left == Balance(plan=(general, PlanShare("video", Decimal(100), BEGIN)))
    assert str(left) == (
        "general 13 % until 2026-09-21 14:13 UTC, 76 % of the week until 2026-09-21 14:13 UTC; "
        "video 100 % until 2026-09-21 14:13 UTC"
    )


def test_a_part_that_a_plan_lacks_is_not_reported_as_unused():
    assert balance(reply("minimax", "plan_without_videos")).plan == ()


def test_an_account_may_have_less_than_nothing():
    left = balance(with_value(reply("minimax", "balance"), "available_amount", "-1.50"))
    assert left.available == Decimal("-1.5")


@pytest.mark.parametrize("odd", ["", "plenty", None, [], math.inf, "NaN"])
def test_an_amount_that_is_no_number_is_left_out(odd):
    left = balance(with_value(reply("minimax", "balance"), "cash_balance", odd))
    assert (left.available, left.cash) == (Decimal(98), None)


@pytest.mark.parametrize("odd", [None, "", {}])
def test_a_plan_without_parts_is_reported_as_such(odd):
    assert balance(with_value(reply("minimax", "plan"), "model_remains", odd)) == Balance(plan=())


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("balance_refused", MinimaxAuthError),
        ("balance_without_amounts", MinimaxUnavailableError),
        ("html_200", MinimaxUnavailableError),
        ("html_502", MinimaxUnavailableError),
    ],
)
def test_no_balance_is_made_up(case, error):
    with pytest.raises(error):
        balance(reply("minimax", case))


@pytest.mark.parametrize(
    ("api_key", "path"),
    [
        ("sk-api-1", "/account/query_balance"),
        ("eyJhbGciOi", "/account/query_balance"),
        ("sk-cp-1", "/v1/token_plan/remains"),
    ],
)
def test_the_kind_of_the_key_decides_what_is_asked(api_key, path):
    request = PLATFORMS["minimax"].balance(api_key)
    assert (request.method, request.path, request.buys) == ("GET", path, False)


# -- requests ----------------------------------------------------------------------------------------------------------


def body(platform, **fields):
    return PLATFORMS[platform].submit(VideoRequest.of(fields)).body


def test_the_official_body_has_only_what_was_set():
    assert body("minimax", model="MiniMax-Hailuo-02", prompt="a cat") == {
        "model": "MiniMax-Hailuo-02",
        "prompt": "a cat",
    }


def test_every_documented_field_reaches_the_official_body():
    fields = {
        "model": "MiniMax-Hailuo-02",
        "prompt": "a cat",
        "first_frame_image": FRAME,
        "last_frame_image": FRAME,
        "duration": 6,
        "resolution": "768P",
        "prompt_optimizer": False,
        "fast_pretreatment": True,
        "aigc_watermark": True,
        "callback_url": "https://me.example/hook",
    }
    assert body("minimax", **fields) == fields


def test_a_subject_reference_is_wrapped_as_the_api_wants_it():
    assert body("minimax", model="S2V-01", subject_reference=FRAME) == {
        "model": "S2V-01",
        "subject_reference": [{"type": "character", "image": [FRAME]}],
    }


def test_the_apis_own_form_of_a_subject_reference_is_taken_too():
    listed = [{"type": "character", "image": [FRAME]}]
    assert body("minimax", model="S2V-01", subject_reference=listed)["subject_reference"] == listed


def test_extra_body_adds_fields():
    assert body("minimax", model="M", prompt="p", extra_body={"seed": 7})["seed"] == 7


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_field_that_is_said_twice_is_refused(platform):
    doubled = {"prompt": "q"}
    with pytest.raises(MinimaxRequestError, match="extra_body: sets prompt"):
        body(platform, model="MiniMax-Hailuo-02", prompt="p", extra_body=doubled)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_stray_blank_of_two_pages_is_never_sent(platform):
    request = VideoRequest.of({"model": "MiniMax-Hailuo-02", "prompt": "p", "prompt_optimizer": True})
    assert "prompt_optimizer " not in str(PLATFORMS[platform].submit(request).body)


def test_chainhub_always_gets_the_duration_that_its_schema_requires():
    assert body("chainhub", model="MiniMax-Hailuo-02", prompt="p")["duration"] == 6
    assert body("chainhub", model="MiniMax-Hailuo-02", prompt="p", duration=10)["duration"] == 10


def test_vtrix_gets_its_own_model_name_and_the_wrapped_parameters():
    request = {"model": "I2V-01-live", "first_frame_image": FRAME, "prompt": "p"}
    assert body("vtrix", **request) == {
        "model": "minimax_i2v_01_live",
        "input": [{"params": {"prompt": "p", "first_frame_image": FRAME}}],
    }


def test_vtrix_takes_its_own_model_name_as_it_is():
    assert body("vtrix", model="minimax_i2v_01_live", first_frame_image=FRAME)["model"] == "minimax_i2v_01_live"


@pytest.mark.parametrize(
    ("fields", "path", "sent"),
    [
        ({"model": "T2V-01", "prompt": "p"}, "minimax-video-01", {"prompt": "p"}),
        (
            {"model": "I2V-01", "prompt": "p", "first_frame_image": FRAME, "prompt_optimizer": False},
            "minimax-video-01",
            {"prompt": "p", "image_url": FRAME, "enable_prompt_expansion": False},
        ),
        (
            {"model": "T2V-01", "prompt": "p", "duration": 6, "resolution": "720P"},
            "minimax-video-01",
            {"prompt": "p"},
        ),
        (
            {"model": "MiniMax-Hailuo-02", "prompt": "p", "first_frame_image": FRAME, "last_frame_image": FRAME},
            "minimax-hailuo-02",
            {"prompt": "p", "image": FRAME, "end_image": FRAME},
        ),
        (
            {"model": "MiniMax-Hailuo-2.3", "prompt": "p", "duration": 10, "resolution": "768P"},
            "minimax-hailuo-2.3-t2v",
            {"prompt": "p", "duration": 10, "resolution": "768P"},
        ),
        (
            {"model": "MiniMax-Hailuo-2.3", "prompt": "p", "first_frame_image": FRAME},
            "minimax-hailuo-2.3-i2v",
            {"prompt": "p", "image": FRAME},
        ),
        (
            {"model": "MiniMax-Hailuo-2.3-Fast", "prompt": "p", "first_frame_image": FRAME},
            "minimax-hailuo-2.3-fast-i2v",
            {"prompt": "p", "image": FRAME},
        ),
        ({"model": "minimax-video-01", "prompt": "p"}, "minimax-video-01", {"prompt": "p"}),
    ],
)
def test_novita_has_an_address_and_names_for_each_model(fields, path, sent):
    request = PLATFORMS["novita"].submit(VideoRequest.of(fields))
    assert (request.path, request.body) == (f"/v3/async/{path}", sent)


@pytest.mark.parametrize(
    ("platform", "fields", "problem"),
    [
        (
            "novita",
            {"model": "T2V-01", "prompt": "p", "duration": 10},
            "duration=10: Novita's minimax-video-01 makes 6",
        ),
        (
            "novita",
            {"model": "minimax-hailuo-2.3-t2v", "prompt": "p", "first_frame_image": FRAME},
            "first_frame_image: Novita's minimax-hailuo-2.3-t2v has no such field",
        ),
        ("novita", {"model": "S2V-01", "prompt": "p", "subject_reference": FRAME}, "Novita is not known to have it"),
        ("novita", {"model": "T2V-01", "prompt": "p", "first_frame_image": FRAME}, "to have it in text mode only"),
        ("vtrix", {"model": "S2V-01", "prompt": "p", "subject_reference": FRAME}, "give Vtrix's own name of the model"),
        ("vtrix", {"model": "MiniMax-Hailuo-2.3", "prompt": "p"}, "Vtrix is known to have it in first_frame mode only"),
    ],
)
def test_what_a_platform_cannot_express_is_refused_by_its_name(platform, fields, problem):
    with pytest.raises(MinimaxRequestError) as raised:
        PLATFORMS[platform].submit(VideoRequest.of(fields))
    assert problem in str(raised.value)
    assert "Nothing was bought." in str(raised.value)


@pytest.mark.parametrize(
    ("platform", "fields", "problem"),
    [
        ("novita", {"prompt": "p", "first_frame_image": FRAME, "resolution": "512P"}, "takes 768P or 1080P"),
        ("vtrix", {"model": "minimax_hailuo_02", "prompt": "p", "first_frame_image": FRAME}, "in text mode only"),
        (
            "vtrix",
            {"model": "minimax_hailuo_02_i2v", "prompt": "p"},
            "in first_frame and first_and_last_frame mode only",
        ),
        (
            "vtrix",
            {"model": "minimax_hailuo_23_i2v", "prompt": "p", "first_frame_image": FRAME, "last_frame_image": FRAME},
            "in first_frame mode only",
        ),
    ],
)
def test_what_would_pay_for_another_clip_is_found_before_sending(platform, fields, problem):
    request = VideoRequest.of({"model": "MiniMax-Hailuo-02"} | fields)
    (found,) = PLATFORMS[platform].problems(request)
    assert problem in found


FIRST = {"prompt": "p", "first_frame_image": FRAME}
BOTH = FIRST | {"last_frame_image": FRAME}


@pytest.mark.parametrize(
    ("platform", "fields", "doubt", "sent"),
    [
        ("bltcy", {"prompt": "p"}, "first_frame_image: BLTCY's page requires it", {"prompt": "p"}),
        ("bltcy", {"first_frame_image": FRAME}, "prompt: BLTCY's page requires it", {"first_frame_image": FRAME}),
        ("bltcy", FIRST | {"resolution": "512P"}, "BLTCY's page names 768P and 1080P only", {"resolution": "512P"}),
        *(
            (platform, FIRST | field, f"{name}: {title}'s page does not name this field", field)
            for platform, title in (("bltcy", "BLTCY"), ("chainhub", "ChainHub"))
            for field in ({"callback_url": "https://a"}, {"aigc_watermark": True}, {"fast_pretreatment": True})
            for name in field
        ),
        ("chainhub", BOTH, "last_frame_image: ChainHub's page does not", {"last_frame_image": FRAME}),
        ("chainhub", {"first_frame_image": FRAME}, "prompt: ChainHub's page requires it", {"first_frame_image": FRAME}),
        (
            "chainhub",
            {"model": "S2V-01", "prompt": "p", "subject_reference": FRAME},
            "subject_reference: ChainHub's page does not",
            {"subject_reference": [{"type": "character", "image": [FRAME]}]},
        ),
        ("novita", {"first_frame_image": FRAME}, "prompt: Novita's page requires it", {"image": FRAME}),
        (
            "novita",
            FIRST | {"callback_url": "https://a"},
            "callback_url: Novita's page of minimax-hailuo-02 does not",
            {"callback_url": "https://a"},
        ),
        ("novita", FIRST | {"aigc_watermark": True}, "aigc_watermark: Novita's page", {"aigc_watermark": True}),
        (
            "novita",
            FIRST | {"model": "MiniMax-Hailuo-2.3-Fast", "fast_pretreatment": True},
            "fast_pretreatment: Novita's page of minimax-hailuo-2.3-fast-i2v does not",
            {"fast_pretreatment": True},
        ),
    ],
)
def test_what_a_page_leaves_out_is_sent_with_a_warning_that_names_it(platform, fields, doubt, sent):
    request = VideoRequest.of({"model": "MiniMax-Hailuo-02"} | fields)
    assert PLATFORMS[platform].problems(request) == []
    (warning,) = PLATFORMS[platform].warnings(request)
    assert doubt in warning
    assert sent.items() <= PLATFORMS[platform].submit(request).body.items()


@pytest.mark.parametrize(
    ("fields", "model", "sent"),
    [
        (BOTH, "minimax_hailuo_02_i2v", BOTH),
        (FIRST | {"fast_pretreatment": True}, "minimax_hailuo_02_i2v", {"fast_pretreatment": True}),
        (
            FIRST | {"model": "MiniMax-Hailuo-2.3-Fast", "fast_pretreatment": True},
            "minimax_hailuo_23_fast_i2v",
            {"fast_pretreatment": True},
        ),
    ],
)
def test_vtrix_is_sent_what_its_pages_have_without_a_warning(fields, model, sent):
    vtrix, request = PLATFORMS["vtrix"], VideoRequest.of({"model": "MiniMax-Hailuo-02"} | fields)
    assert vtrix.problems(request) + vtrix.warnings(request) == []
    body = vtrix.submit(request).body
    assert body["model"] == model
    assert sent.items() <= body["input"][0]["params"].items()


def test_a_model_that_only_vtrix_has_a_name_for_is_sent_a_face_in_the_shape_of_the_official_api():
    request = VideoRequest.of({"model": "minimax_s2v_02", "prompt": "p", "subject_reference": FRAME})
    params = PLATFORMS["vtrix"].submit(request).body["input"][0]["params"]
    assert params["subject_reference"] == [{"type": "character", "image": [FRAME]}]


def test_only_a_submission_buys():
    for platform in PLATFORMS.values():
        assert platform.submit(
            VideoRequest.of({"model": "MiniMax-Hailuo-02", "prompt": "p", "first_frame_image": FRAME})
        ).buys
        assert not platform.query("1").buys


def test_a_task_id_cannot_leave_its_place_in_the_address():
    assert PLATFORMS["vtrix"].query("../../x?y").path == "/model/v1/generation/task/..%2F..%2Fx%3Fy"


# -- the second version of MiniMax's API -------------------------------------------------------------------------------

V2 = CONTRACTS["minimax_v2"]
CLIP, SOUND = "https://files.example/clip.mp4", "mm_file://424010985738629"
H3 = {"model": "MiniMax-H3", "prompt": "a cat", "resolution": "2K", "duration": 5}


@pytest.mark.parametrize(
    ("fields", "contents"),
    [
        ({}, []),
        (
            {"first_frame_image": FRAME, "last_frame_image": FRAME},
            [
                {"type": "image_url", "image_url": {"url": FRAME}, "role": "first_frame"},
                {"type": "image_url", "image_url": {"url": FRAME}, "role": "last_frame"},
            ],
        ),
        (
            {"reference_images": [FRAME, FRAME], "reference_videos": CLIP, "reference_audios": [SOUND]},
            [
                {"type": "image_url", "image_url": {"url": FRAME}, "role": "reference_image"},
                {"type": "image_url", "image_url": {"url": FRAME}, "role": "reference_image"},
                {"type": "video_url", "video_url": {"url": CLIP}, "role": "reference_video"},
                {"type": "audio_url", "audio_url": {"url": SOUND}, "role": "reference_audio"},
            ],
        ),
    ],
)
def test_words_and_media_are_contents_with_their_roles(fields, contents):
    request = V2.submit(VideoRequest.of(H3 | fields | {"ratio": "16:9", "extra_body": {"seed": 7}}))
    assert (request.method, request.path, request.buys) == ("POST", "/v2/video_generation", True)
    assert request.body == {
        "model": "MiniMax-H3",
        "content": [{"type": "text", "text": "a cat"}, *contents],
        "resolution": "2K",
        "duration": 5,
        "ratio": "16:9",
        "seed": 7,
    }


def test_what_the_contents_stand_for_cannot_be_said_twice():
    with pytest.raises(MinimaxRequestError, match="extra_body: sets content"):
        V2.submit(VideoRequest.of(H3 | {"extra_body": {"content": []}}))


@pytest.mark.parametrize(
    ("model", "version"),
    [
        *((model, "v2") for model in ("MiniMax-H3", "MiniMax-H3-Max", "MiniMax-H3-Lite", "MiniMax-H4-Pro")),
        *((model, "v1") for model in ("MiniMax-Hailuo-2.3", "T2V-01", "MiniMax-Hailuo-4", "something-else")),
    ],
)
def test_the_model_decides_which_api_it_is(model, version):
    assert PLATFORMS["minimax"].for_model(model).api_version == version


def test_a_version_that_a_platform_does_not_have_is_refused():
    with pytest.raises(MinimaxRequestError, match="api_version='v2': BLTCY has 'v1'"):
        PLATFORMS["bltcy"].of_version("v2")
    with pytest.raises(MinimaxRequestError, match="api_version='2': MiniMax has 'v1' and 'v2'"):
        PLATFORMS["minimax"].of_version("2")


@pytest.mark.parametrize(
    "model", ["MiniMax-H3", "MiniMax-H3-Max", "MiniMax-H4", "minimax-h3-max", "a/minimax_h3", "h3"]
)
@pytest.mark.parametrize("platform", ["bltcy", "chainhub", "vtrix"])
def test_a_model_of_the_second_version_has_no_address_of_the_first(platform, model):
    with pytest.raises(MinimaxRequestError) as raised:
        PLATFORMS[platform].for_request(VideoRequest.of(H3 | {"model": model}))
    words = str(raised.value)
    assert f"model={model!r}: {PLATFORMS[platform].title} is not known to have it; use MiniMax itself" in words
    assert "use a connection with platform 'minimax'" in words
    assert "Nothing was bought." in words


@pytest.mark.parametrize(
    ("platform", "prefix"),
    [("minimax", ""), ("novita", "/v3/minimax"), ("ai302", "")],
    ids=["minimax", "novita", "ai302"],
)
def test_h3_is_bought_and_asked_for_below_the_prefix_that_the_platform_has(platform, prefix):
    v2 = PLATFORMS[platform].for_model("MiniMax-H3")
    assert (v2.name, v2.api_version) == (platform, "v2")
    order = v2.submission(VideoRequest.of(H3))
    assert (order.method, order.path, order.buys) == ("POST", f"{prefix}/v2/video_generation", True)
    assert order.body == V2.submit(VideoRequest.of(H3)).body
    assert v2.query("a/b").path == f"{prefix}/v2/query/video_generation/a%2Fb"


def test_what_gateways_are_not_known_to_have_is_not_there():
    for platform in ("novita", "ai302"):
        v2 = PLATFORMS[platform].of_version("v2")
        assert (v2.list_tasks, v2.read_list, v2.cancel, v2.read_cancellation, v2.upload, v2.read_upload) == (None,) * 6
        assert (v2.page_size, v2.other_requests, v2.balance) == (1, {}, None)


def test_a_create_that_names_a_task_twice_is_known_by_its_own_id():
    assert V2.read_submission(reply("minimax_v2", "submit_with_platform_id")) == "task_8c1f2a7b9d4e"


def test_a_create_that_names_the_platforms_id_alone_is_known_by_that():
    sample = reply("minimax_v2", "submit_with_platform_id")
    alone = replace(sample, body=json.dumps({"platform_id": json.loads(sample.body)["platform_id"]}).encode())
    assert V2.read_submission(alone) == "424010985738629"


def test_a_list_without_items_is_not_an_empty_one():
    """Or a lost purchase would be taken for one that was never made."""
    with pytest.raises(MinimaxUnavailableError, match="the answer to the list has no items"):
        V2.read_list(reply("minimax_v2", "list_without_items"))


@pytest.mark.parametrize(
    ("case", "error"),
    [("query_account_error_http_200", MinimaxAuthError), ("query_refused_http_200", MinimaxTaskGoneError)],
)
def test_a_query_refused_in_http_200_is_refused_all_the_same(case, error):
    with pytest.raises(error):
        PLATFORMS["ai302"].of_version("v2").read_task(reply("ai302_v2", case), "T")


def test_the_code_at_the_end_of_the_words_and_the_id_of_the_request_are_read():
    with pytest.raises(MinimaxQuotaError) as raised:
        V2.read_submission(reply("minimax_v2", "submit_no_balance"))
    assert (raised.value.code, raised.value.http_status) == ("1008", 402)
    assert raised.value.trace_id == "021785229015510a2c883cf675b9804d"


def test_uploads_are_listed_the_newest_first_and_clips_are_not_among_them():
    files = V2.read_files(reply("minimax_v2", "listed_files"))
    assert [(file.address, file.filename, file.size) for file in files] == [
        ("mm_file://424010985738631", "frame.png", 512),
        ("mm_file://424010985738630", "video.mp4", 9000012),
        ("mm_file://424010985738629", "old.wav", None),
    ]
    assert files[0].kept_until == files[0].created_at + timedelta(days=7)
    assert files[2].kept_until is None
    assert V2.read_files(reply("minimax_v2", "listed_files_none")) == ()


def test_only_an_upload_can_be_deleted_and_only_by_its_id():
    request = V2.delete_file("424010985738630")
    assert (request.path, request.buys) == ("/v1/files/delete", False)
    assert request.body == {"file_id": 424010985738630, "purpose": "video_generation_input"}
    assert V2.read_deletion(reply("minimax_v2", "erased_file")) is None
    with pytest.raises(MinimaxRequestError, match="file_id not found"):
        V2.read_deletion(reply("minimax_v2", "erased_file_unknown"))
    with pytest.raises(MinimaxAuthError):
        V2.read_deletion(reply("minimax_v2", "upload_wrong_key"))
    with pytest.raises(MinimaxUnavailableError, match="does not say that the file was deleted"):
        V2.read_deletion(HttpReply(200, {}, b"{}"))


def test_a_task_says_what_was_requested():
    task = V2.read_task(reply("minimax_v2", "query_succeeded"), "T")
    assert (task.api_version, task.model, task.resolution, task.ratio) == ("v2", "MiniMax-H3", "2K", "16:9")


@pytest.mark.parametrize(
    ("case", "became"),
    [
        ("cancel", "cancelled"),
        ("cancel_status_only", "cancelled"),
        ("cancel_other_spelling", "cancelled"),
        ("cancel_nested", "cancelled"),
        ("cancel_deleted", "deleted"),
        ("cancel_contradicted", "running"),
        ("cancel_without_words", ""),
    ],
)
def test_a_cancellation_says_what_became_of_the_task(case, became):
    assert V2.read_cancellation(reply("minimax_v2", case)) == became


@pytest.mark.parametrize("status", ["queued", "cancelled", "CANCELLED", "canceled", ""])
def test_a_task_is_cancelled_if_its_action_says_so_and_its_status_does_not_deny_it(status):
    sample = with_value(reply("minimax_v2", "cancel"), "status", status)
    assert V2.read_cancellation(sample) == "cancelled"


@pytest.mark.parametrize("status", ["running", "processing", "succeeded", "failed"])
def test_a_task_that_goes_on_or_has_ended_is_not_cancelled(status):
    sample = with_value(reply("minimax_v2", "cancel"), "status", status)
    assert V2.read_cancellation(sample) == status


def test_an_upload_says_how_requests_name_the_file():
    assert V2.read_upload(reply("minimax_v2", "upload")) == "mm_file://424010985738630"


@pytest.mark.parametrize(
    ("case", "error", "said"),
    [
        ("upload_refused", MinimaxRequestError, "must not be larger than 50 MB"),
        ("upload_wrong_key", MinimaxAuthError, "invalid api key"),
        ("upload_without_file_id", MinimaxUnavailableError, "names no file"),
    ],
)
def test_an_upload_that_was_not_taken_says_why(case, error, said):
    with pytest.raises(error, match=said):
        V2.read_upload(reply("minimax_v2", case))


def test_a_task_that_is_being_made_is_not_cancelled():
    with pytest.raises(MinimaxRequestError, match="task is running"):
        V2.read_cancellation(reply("minimax_v2", "cancel_running"))


def test_a_list_is_read_page_by_page():
    request = V2.list_tasks(2, 50, "MiniMax-H3", (), "regeneration")
    assert (request.query["page_num"], request.query["filter.task_type"]) == ("2", "regeneration")
    some = V2.list_tasks(1, 2, None, ["1", "2"], "generation").query
    assert (some["filter.task_ids"], "filter.task_type" in some) == (["1", "2"], False)
    page = V2.read_list(reply("minimax_v2", "list"))
    assert [(task.minimax_task_id, task.state) for task in page.tasks] == [
        ("424635601932571", TaskState.SUCCEEDED),
        ("424635601932587", TaskState.PENDING),
    ]
    assert page.total == 476


def _page(*items) -> HttpReply:
    return HttpReply(200, {}, json.dumps({"items": items}).encode())


RUNNING = {"id": "1", "status": "running", "model": "MiniMax-H3"}


def test_a_task_on_a_page_that_goes_on_as_it_did_is_the_one_that_is_known():
    (seen,) = V2.read_list(_page(RUNNING)).tasks
    (again,) = V2.read_list(_page({**RUNNING, "updated_at": 1790000005}), {"1": seen}).tasks
    assert again is seen


@pytest.mark.parametrize(
    ("item", "state", "facts"),
    [
        ({"status": "queued"}, TaskState.PENDING, {}),
        ({"status": "Running"}, TaskState.RUNNING, {"status": "Running"}),
        ({"status": ["running"]}, None, {}),
        ({"status": "succeeded", "content": {"url": "https://files.example/v.mp4"}}, TaskState.SUCCEEDED, {}),
        ({"status": "failed", "error": {"code": "1026", "message": "no"}}, TaskState.FAILED, {"code": "1026"}),
        ({"status": "cancelled"}, TaskState.CANCELLED, {}),
        ({"status": "never heard of"}, TaskState.UNKNOWN, {}),
    ],
)
def test_whatever_changes_in_a_task_on_a_page_is_read(item, state, facts):
    known = {task.minimax_task_id: task for task in V2.read_list(_page(RUNNING)).tasks}
    if state is None:
        with pytest.raises(MinimaxUnavailableError, match="not the JSON"):
            V2.read_list(_page({**RUNNING, **item}), known)
        return
    (task,) = V2.read_list(_page({**RUNNING, **item}), known).tasks
    assert task.state is state
    assert {name: getattr(task, name) for name in facts} == facts
    assert task.has_output is ("content" in item)


def test_a_task_on_a_page_that_is_over_is_always_read():
    known = {task.minimax_task_id: task for task in V2.read_list(_page({**RUNNING, "status": "succeeded"})).tasks}
    done = {**RUNNING, "status": "succeeded", "content": {"url": "https://files.example/v.mp4"}}
    assert [task.has_output for task in V2.read_list(_page(done), known).tasks] == [True]


@pytest.mark.parametrize("odd", [{"id": 1}, {"id": None}, {"id": ["1"]}, {}])
def test_a_task_on_a_page_is_known_by_its_whole_id_only(odd):
    known = {task.minimax_task_id: task for task in V2.read_list(_page(RUNNING)).tasks}
    page = V2.read_list(_page({"status": "running", **odd}), known)
    assert [task is known["1"] for task in page.tasks] == ([False] if odd == {"id": 1} else [])
