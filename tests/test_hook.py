"""The hook and its transport against the emulator: what is sent, what is repeated, and what never is."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import socket
from contextlib import closing
from dataclasses import replace
from email.utils import formatdate

import pytest

from airflow_provider_minimax.api.http import failures
from airflow_provider_minimax.api.http.message import HttpReply
from airflow_provider_minimax.api.inputs.content import FileBytes
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxDownloadError,
    MinimaxError,
    MinimaxModerationError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskGoneError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.polling.worker import poll_once
from tests.conftest import PLATFORMS
from tests.hostile.server import HostileServer, closes, whole

FRAME = "https://files.example/frame.jpg"
REQUEST = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat", "first_frame_image": FRAME})


PLAN = {
    "model_remains": [
        {"model_name": "video", "current_interval_remaining_percent": 40, "end_time": 1790000000000},
    ],
    "base_resp": {"status_code": 0, "status_msg": "success"},
}


def finished(hook, request=REQUEST):
    minimax_task_id = hook.submit(request)
    for _ in range(10):
        task = hook.get_task(minimax_task_id)
        if task.state is TaskState.SUCCEEDED:
            return task
    raise AssertionError(f"not finished: {task}")


# -- every platform ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", [*PLATFORMS, "minimax-cn"])
def test_a_clip_is_bought_watched_and_located_on_every_platform(platform, connect, minimax_emulator):
    with closing(MinimaxHook(connect(platform))) as hook:
        task = finished(hook)
        file = hook.get_file(task)
    assert file.url.startswith(minimax_emulator.url)
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_same_works_on_an_event_loop(platform, connect, minimax_emulator):
    hook = MinimaxHook(connect(platform))
    minimax_task_id = await hook.asubmit(REQUEST)
    task = await hook.aget_task(minimax_task_id)
    while task.state is not TaskState.SUCCEEDED:
        task = await hook.aget_task(minimax_task_id)
    assert (await hook.aget_file(task)).url.startswith(minimax_emulator.url)
    await hook.aclose()
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_task_that_nobody_knows_is_gone_on_every_platform(platform, connect):
    with closing(MinimaxHook(connect(platform))) as hook, pytest.raises(MinimaxTaskGoneError, match="task 4711"):
        hook.get_task("4711")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_wrong_key_is_recognised_on_every_platform_and_never_shown(platform, connect, minimax_emulator):
    with closing(MinimaxHook(connect(platform, password="sk-wrong-key"))) as hook:
        with pytest.raises(MinimaxAuthError) as raised:
            hook.submit(REQUEST)
    assert "sk-wrong-key" not in f"{raised.value} {raised.value!r} {hook!r}"
    assert "Nothing was bought." in str(raised.value)
    assert "Check the API key in connection 'minimax_default'" in str(raised.value)
    assert minimax_emulator.purchases == []


def test_a_key_that_the_platform_repeats_is_not_passed_on(hook, minimax_emulator):
    key = hook.get_conn().endpoint.api_key
    minimax_emulator.fault("base_resp", operation="any", code=2049, message=f"invalid api key {key}", times=-1)
    with pytest.raises(MinimaxAuthError, match="invalid api key …") as raised:
        hook.submit(REQUEST)
    assert key not in f"{raised.value} {raised.value!r} {raised.value.as_event()}"
    works, said = hook.test_connection()
    assert not works
    assert "invalid api key" in said
    assert key not in said


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_failed_task_says_so_on_every_platform(platform, connect, minimax_emulator):
    minimax_emulator.configure(outcome="failed", polls=1)
    with closing(MinimaxHook(connect(platform))) as hook:
        task = hook.get_task(hook.submit(REQUEST))
    assert task.state is TaskState.FAILED
    assert task.reason or task.code


# -- what is repeated --------------------------------------------------------------------------------------------------


def test_a_rate_limited_submission_is_repeated_and_buys_once(hook, minimax_emulator):
    minimax_emulator.fault("base_resp", operation="submit", code=1002, times=2)
    hook.submit(REQUEST)
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("status", [429, 529])
def test_a_submission_that_http_refused_is_repeated_and_buys_once(hook, minimax_emulator, status):
    minimax_emulator.fault("http", operation="submit", status=status)
    hook.submit(REQUEST)
    assert len(minimax_emulator.purchases) == 1


def test_repeating_a_submission_has_an_end(hook, minimax_emulator):
    minimax_emulator.fault("base_resp", operation="submit", code=1002, times=-1)
    with pytest.raises(MinimaxRateLimitError, match="Nothing was bought"):
        hook.submit(REQUEST)
    assert len([r for r in minimax_emulator.requests if r["operation"] == "submit"]) == 4


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("lost_answer", {}),
        ("non_json", {"job_made": True}),
        ("http", {"status": 500, "html": True, "job_made": True}),
        ("http", {"status": 502, "html": True, "job_made": True}),
        ("http", {"status": 503, "job_made": True}),
        ("http", {"status": 504, "job_made": True}),
        *[("base_resp", {"code": code, "job_made": True}) for code in (1000, 1001, 1013, 1024, 1033, 4711)],
    ],
)
def test_a_lost_answer_is_never_bought_again(hook, minimax_emulator, kind, details):
    minimax_emulator.fault(kind, operation="submit", **details)
    with pytest.raises(MinimaxSubmissionUnknownError) as raised:
        hook.submit(REQUEST)
    assert len(minimax_emulator.purchases) == 1
    assert "It may have been bought" in str(raised.value)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("kind", "details"),
    [
        *[("http", {"status": status}) for status in (307, 400, 402, 403, 409, 422, 429, 500, 529)],
        *[("base_resp", {"code": code}) for code in (1002, 1008, 2013)],
    ],
)
def test_an_error_that_names_a_task_is_never_bought_again(platform, kind, details, connect, minimax_emulator):
    minimax_emulator.fault(kind, operation="submit", job_named=True, times=-1, **details)
    with closing(MinimaxHook(connect(platform))) as hook, pytest.raises(MinimaxSubmissionUnknownError) as raised:
        hook.submit(REQUEST)
    assert [raised.value.minimax_task_id] == [purchase["task_id"] for purchase in minimax_emulator.purchases]
    assert "It may have been bought" in str(raised.value)
    assert "airflow minimax receipts adopt" in str(raised.value)


async def test_nor_on_an_event_loop(connect, minimax_emulator):
    minimax_emulator.fault("http", operation="submit", status=429, job_named=True, times=-1)
    hook = MinimaxHook(connect())
    with pytest.raises(MinimaxSubmissionUnknownError) as raised:
        await hook.asubmit(REQUEST)
    await hook.aclose()
    assert [raised.value.minimax_task_id] == [purchase["task_id"] for purchase in minimax_emulator.purchases]


def test_a_redirected_purchase_is_not_sent_elsewhere_and_may_have_been_bought(hook, minimax_emulator):
    elsewhere = f"{minimax_emulator.base_url('ai302')}/minimaxi/v1/video_generation"
    minimax_emulator.fault("http", operation="submit", status=307, location=elsewhere)
    with pytest.raises(MinimaxSubmissionUnknownError, match="It may have been bought"):
        hook.submit(REQUEST)
    assert [request["platform"] for request in minimax_emulator.requests] == ["minimax"]


def test_an_answer_that_trips_our_own_reading_is_never_bought_again(hook, minimax_emulator, monkeypatch):
    from airflow_provider_minimax.api.platforms import PLATFORMS as REGISTRY

    def stumble(reply):
        raise KeyError("a bug of ours")

    monkeypatch.setitem(REGISTRY, "minimax", replace(REGISTRY["minimax"], read_submission=stumble))
    with pytest.raises(MinimaxSubmissionUnknownError):
        hook.submit(REQUEST)
    assert len(minimax_emulator.purchases) == 1


def test_an_answer_that_comes_too_late_is_never_bought_again(connect, minimax_emulator):
    minimax_emulator.fault("hold", operation="submit")
    with closing(MinimaxHook(connect(extra={"timeout": 3}))) as hook, pytest.raises(MinimaxSubmissionUnknownError):
        hook.submit(REQUEST)
    minimax_emulator.release()
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("code", [1004, 1008, 1026, 1042, 2013, 2049, 2056, 2061])
def test_a_definite_refusal_is_not_repeated(hook, minimax_emulator, code):
    minimax_emulator.fault("base_resp", operation="submit", code=code)
    with pytest.raises(Exception, match="Nothing was bought"):
        hook.submit(REQUEST)
    assert len([r for r in minimax_emulator.requests if r["operation"] == "submit"]) == 1


def test_a_submission_that_reached_nobody_is_repeated_and_says_so(connect):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with closing(MinimaxHook(connect(host=host))) as hook, pytest.raises(MinimaxUnreachableError) as raised:
            hook.submit(REQUEST)
    assert "Nothing was bought." in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("reset_before", {}),
        ("non_json", {}),
        ("http", {"status": 502, "html": True}),
        ("http", {"status": 429, "retry_after": 0}),
        ("base_resp", {"code": 1000}),
        ("base_resp", {"code": 1002}),
    ],
)
def test_a_failed_status_check_is_repeated(hook, minimax_emulator, kind, details):
    minimax_task_id = hook.submit(REQUEST)
    minimax_emulator.fault(kind, operation="query", times=2, **details)
    assert hook.get_task(minimax_task_id).minimax_task_id == minimax_task_id


def test_status_checks_are_not_repeated_without_end(hook, minimax_emulator):
    minimax_task_id = hook.submit(REQUEST)
    minimax_emulator.fault("http", operation="query", status=503, html=True, times=-1)
    with pytest.raises(MinimaxUnavailableError, match="503"):
        hook.get_task(minimax_task_id)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_success_that_names_no_clip_yet_is_looked_at_again(platform, connect, minimax_emulator):
    with closing(MinimaxHook(connect(platform))) as hook:
        minimax_emulator.configure(polls=1, polls_without_file=2, chainhub_file_inline=False)
        assert hook.get_task(hook.submit(REQUEST)).has_output


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_success_that_never_names_a_clip_is_a_clear_failure(platform, connect, minimax_emulator):
    with closing(MinimaxHook(connect(platform))) as hook:
        minimax_emulator.configure(polls=1, polls_without_file=-1)
        minimax_task_id = hook.submit(REQUEST)
        with pytest.raises(MinimaxUnavailableError, match="does not name its clip") as raised:
            hook.get_task(minimax_task_id)
    assert minimax_task_id in str(raised.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (formatdate(1_800_000_030, usegmt=True), 30),
        (formatdate(1_700_000_000, usegmt=True), 0),
        ("1.5", 1.5),
        (str(365 * 24 * 3600), 60),
        ("9" * 400, 60),
        (formatdate(4_000_000_000, usegmt=True), 60),
        ("-5", None),
        ("1e400", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(value, seconds):
    reply = HttpReply(429, {"retry-after": value})
    assert failures.retry_after(reply, now=lambda: 1_800_000_000.0) == seconds


def test_a_wait_that_the_platform_asked_for_is_kept(connect, minimax_emulator):
    waits = []
    with closing(MinimaxHook(connect())) as hook:
        hook.get_conn()._sleep = waits.append
        minimax_emulator.fault("http", operation="submit", status=429, retry_after=7)
        hook.submit(REQUEST)
    assert waits == [7]


@pytest.mark.parametrize("value", [61, 365 * 24 * 3600, "9" * 400, formatdate(4_000_000_000, usegmt=True)])
def test_but_never_for_more_than_a_minute_whatever_it_asked_for(value, connect):
    waits = []
    with (
        HostileServer(
            lambda _: closes(whole(b"{}", "429 Too Many Requests", Retry_After=value, Connection="close"))
        ) as server,
        closing(MinimaxHook(connect(host=server.url))) as hook,
    ):
        hook.get_conn()._sleep = waits.append
        with pytest.raises(MinimaxRateLimitError) as raised:
            hook.submit(REQUEST)
    assert waits == [60, 60, 60]
    assert raised.value.retry_after == 60


# -- what is refused before sending ------------------------------------------------------------------------------------


def test_what_the_catalogue_refuses_is_not_sent(hook, minimax_emulator):
    with pytest.raises(MinimaxRequestError, match="duration=10"):
        hook.submit(REQUEST.model_copy(update={"resolution": "1080P", "duration": 10}))
    assert minimax_emulator.requests == []


def test_checks_can_be_switched_off_and_then_the_platform_decides(hook, minimax_emulator):
    with pytest.raises(MinimaxRequestError, match="code 2013"):
        hook.submit(REQUEST.model_copy(update={"resolution": "1080P", "duration": 10}), validate=False)
    assert minimax_emulator.purchases == []


def test_what_a_platform_cannot_take_is_refused_by_its_name(connect, minimax_emulator):
    with closing(MinimaxHook(connect("novita"))) as hook, pytest.raises(MinimaxRequestError, match="Novita's minimax"):
        hook.submit(REQUEST.model_copy(update={"model": "MiniMax-Hailuo-02", "resolution": "512P"}))
    assert minimax_emulator.requests == []


def test_what_one_page_of_a_gateway_leaves_out_is_sent_and_the_log_warns_once(connect, minimax_emulator, log_of):
    """The emulator is as strict as the page, so what it refuses is what it was sent."""
    log = log_of(MinimaxHook)
    with closing(MinimaxHook(connect("bltcy"))) as hook, pytest.raises(MinimaxRequestError, match="first_frame_image"):
        hook.submit(VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "p"}))
    assert [one["operation"] for one in minimax_emulator.requests] == ["submit"]
    (warning,) = log.warning.call_args_list
    assert "first_frame_image: BLTCY's page requires it" in warning.args[1]


def test_a_model_that_a_gateway_has_no_known_name_for_is_refused_without_other_advice(
    connect, minimax_emulator, log_of
):
    log = log_of(MinimaxHook)
    face = VideoRequest.of({"model": "S2V-01", "prompt": "p", "subject_reference": FRAME})
    with closing(MinimaxHook(connect("vtrix"))) as hook:
        for validate in (True, False):
            with pytest.raises(MinimaxRequestError, match="give Vtrix's own name of the model") as raised:
                hook.submit(face, validate=validate)
            assert "validate=False" not in str(raised.value)
    assert (log.warning.call_args_list, minimax_emulator.requests) == ([], [])


def test_a_clip_between_two_frames_is_bought_at_vtrix(connect, minimax_emulator):
    between = {"model": "MiniMax-Hailuo-02", "prompt": "p", "first_frame_image": FRAME, "last_frame_image": FRAME}
    with closing(MinimaxHook(connect("vtrix"))) as hook:
        hook.submit(VideoRequest.of(between))
    (purchase,) = minimax_emulator.purchases
    assert (purchase["model"], purchase["mode"]) == ("minimax_hailuo_02_i2v", "first_and_last_frame")


@pytest.fixture
def picture(tmp_path):
    """A picture that is too large to be kept in memory."""
    from PIL import Image

    path = tmp_path / "frame.png"
    Image.frombytes("RGB", (640, 480), os.urandom(640 * 480 * 3)).save(path)
    return path


def digest_of(path) -> str:
    """Return what the emulator keeps of a file."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


@pytest.fixture(params=["path", "file", "s3"])
def with_picture(request, picture):
    source = {"path": str(picture), "file": f"file://{picture}"}.get(request.param)
    if source is None:
        bucket = request.getfixturevalue("s3_bucket")
        bucket.put("frame.png", picture.read_bytes())
        source = bucket.url("frame.png")
    return REQUEST.model_copy(update={"first_frame_image": source})


def test_a_picture_is_read_and_sent_from_wherever_it_lies(hook, minimax_emulator, with_picture, picture):
    hook.submit(with_picture)
    (purchase,) = minimax_emulator.purchases
    assert purchase["body"]["first_frame_image"] == digest_of(picture)


async def test_so_it_is_on_an_event_loop(connect, minimax_emulator, with_picture, picture):
    hook = MinimaxHook(connect())
    await hook.asubmit(with_picture)
    await hook.aclose()
    (purchase,) = minimax_emulator.purchases
    assert purchase["body"]["first_frame_image"] == digest_of(picture)


def test_a_picture_goes_through_a_proxy_as_well(connect, minimax_emulator, with_picture, picture, monkeypatch):
    # Whether there is a proxy decides how requests are sent; that this host needs none makes it be left out.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with closing(MinimaxHook(connect())) as hook:
        hook.submit(with_picture)
    (purchase,) = minimax_emulator.purchases
    assert purchase["body"]["first_frame_image"] == digest_of(picture)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_repeated_submission_sends_its_picture_from_the_beginning(
    is_async, connect, minimax_emulator, with_picture, picture
):
    minimax_emulator.fault("http", operation="submit", status=429, times=2)
    hook = MinimaxHook(connect())
    if is_async:
        await hook.asubmit(with_picture)
    else:
        hook.submit(with_picture)
    hook.close()
    await hook.aclose()
    (purchase,) = minimax_emulator.purchases
    assert purchase["body"]["first_frame_image"] == digest_of(picture)


def test_a_lost_answer_to_a_picture_is_never_bought_again(hook, minimax_emulator, with_picture):
    minimax_emulator.fault("lost_answer", operation="submit")
    with pytest.raises(MinimaxSubmissionUnknownError):
        hook.submit(with_picture)
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_picture_that_changes_while_it_is_sent_buys_nothing(
    is_async, connect, minimax_emulator, picture, monkeypatch
):
    hook = MinimaxHook(connect())
    ready = hook.prepare(REQUEST.model_copy(update={"first_frame_image": str(picture)}))
    part = FileBytes.part

    def change(self, start, size):
        os.utime(picture, (1, 1))
        return part(self, start, size)

    monkeypatch.setattr(FileBytes, "part", change)
    with pytest.raises(MinimaxStorageError, match="was changed while it was being read or sent.*Nothing was bought"):
        await hook.asubmit(ready, validate=False) if is_async else hook.submit(ready, validate=False)
    assert minimax_emulator.purchases == []
    monkeypatch.undo()
    connect()
    await hook.asubmit(REQUEST) if is_async else hook.submit(REQUEST)
    assert len(minimax_emulator.purchases) == 1
    hook.close()
    await hook.aclose()


ABOUT = VideoTask("900", TaskState.SUCCEEDED, file_id="901")
CALLS_ABOUT_A_TASK = {
    "get_task": lambda hook: hook.get_task("900"),
    "get_file": lambda hook: hook.get_file(ABOUT),
    "get_file_without_file": lambda hook: hook.get_file(replace(ABOUT, file_id=None)),
    "cancel": lambda hook: hook.cancel("900"),
    "cancel_v1": lambda hook: hook.cancel("900", api_version="v1"),
    "unknown_version": lambda hook: hook.get_task("900", api_version="v3"),
    "download": lambda hook: hook.download(ABOUT, "/dev/null/clip.mp4"),
    "poll": lambda hook: poll_once(hook, "900"),
    "aget_task": lambda hook: hook.aget_task("900"),
    "aget_file": lambda hook: hook.aget_file(ABOUT),
    "aget_file_without_file": lambda hook: hook.aget_file(replace(ABOUT, file_id=None)),
    "acancel": lambda hook: hook.acancel("900"),
    "acancel_v1": lambda hook: hook.acancel("900", api_version="v1"),
    "aunknown_version": lambda hook: hook.aget_task("900", api_version="v3"),
}
TROUBLE = {
    "nobody": {"host": "http://127.0.0.1:9"},
    "no such platform": {"extra": {"platform": "none"}},
    "wrong key": {"password": "sk-a-wrong-key"},
    "too many": {"fault": {"kind": "http", "status": 429}},
    "no JSON": {"fault": {"kind": "http", "status": 502, "html": True}},
    "broken off": {"fault": {"kind": "reset_before"}},
}


async def called(call, hook):
    answer = call(hook)
    return await answer if asyncio.iscoroutine(answer) else answer


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("call", CALLS_ABOUT_A_TASK)
async def test_every_error_about_a_task_says_which(call, trouble, connect, minimax_emulator):
    changes = dict(TROUBLE[trouble])
    if fault := changes.pop("fault", None):
        minimax_emulator.fault(**fault, times=-1)
    changes["extra"] = changes.get("extra", {}) | {"max_retries": 0}
    hook = MinimaxHook(connect(**changes))
    with pytest.raises(MinimaxError) as raised:
        await called(CALLS_ABOUT_A_TASK[call], hook)
    assert raised.value.minimax_task_id == "900"
    hook.close()
    await hook.aclose()


async def test_an_error_about_a_file_whose_task_nobody_knows_names_none(hook):
    with pytest.raises(MinimaxError) as raised:
        hook.get_file(VideoTask("", TaskState.SUCCEEDED, file_id="901"))
    assert raised.value.minimax_task_id is None


@pytest.mark.parametrize("minimax_task_id", ["", "  ", None, ["1"]])
def test_an_empty_task_id_is_refused(hook, minimax_emulator, minimax_task_id):
    with pytest.raises(MinimaxRequestError, match="minimax_task_id="):
        hook.get_task(minimax_task_id)
    assert minimax_emulator.requests == []


def test_a_refused_prompt_is_told_apart_from_a_bad_request(hook):
    with pytest.raises(MinimaxModerationError, match="code 1026"):
        hook.submit(REQUEST.model_copy(update={"prompt": "something forbidden"}))


# -- the connection ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host": "api.minimax.io"}, "host='api.minimax.io': must be a base URL with its scheme"),
        ({"host": "ftp://api.minimax.io"}, "must be a base URL with its scheme"),
        ({"host": "http://[::zz]"}, "must be a base URL with its scheme"),
        ({"host": "https://api.minimax.io:99999"}, "must be a base URL with its scheme"),
        ({"host": "https://user:pw@api.minimax.io"}, "the key is the password"),
        ({"host": "https://api.minimax.io/v1"}, "use https://api.minimax.io"),
        ({"password": ""}, "password: the API key is missing"),
        ({"password": None}, "password: the API key is missing"),
        ({"password": "two words"}, "password: the API key has blanks"),
        (
            {"extra": {"platform": "minmax"}},
            "platform='minmax': no such platform (did you mean minimax?); use one of minimax, bltcy",
        ),
        ({"extra": {"region": "mars"}}, "region='mars'"),
        ({"extra": {"timeout": 0}}, "timeout=0"),
        ({"extra": {"proxy": "proxy.example:3128"}}, "extra field proxy: must be the URL of a proxy with a scheme"),
        (
            {"extra": {"plattform": "bltcy"}},
            "extra field plattform: no such field (did you mean platform?); the fields are platform",
        ),
        ({"extra": {"platform": "novita", "region": "cn"}, "host": ""}, "Novita has no regions"),
    ],
)
def test_a_connection_that_cannot_work_says_which_field_and_why(connect, changes, said):
    with pytest.raises(MinimaxConfigurationError) as raised:
        MinimaxHook(connect(**changes)).submit(REQUEST)
    assert said in str(raised.value)
    assert "'minimax_default'" in str(raised.value)


def test_the_password_in_a_wrong_proxy_address_is_not_shown(connect):
    with pytest.raises(MinimaxConfigurationError) as raised:
        MinimaxHook(connect(extra={"proxy": "socks9://me:hush@proxy.example"})).submit(REQUEST)
    assert "hush" not in str(raised.value)


async def test_a_bundle_of_authorities_that_is_not_there_is_named(connect):
    with pytest.raises(MinimaxConfigurationError, match=r"verify='/nowhere\.pem'.*Nothing was bought"):
        MinimaxHook(connect(extra={"verify": "/nowhere.pem"})).submit(REQUEST)
    with pytest.raises(MinimaxConfigurationError, match=r"verify='/nowhere\.pem'"):
        await MinimaxHook("minimax_default").aget_task("1")


def test_a_connection_that_is_not_there_says_how_to_add_it():
    with pytest.raises(MinimaxConfigurationError, match="there is no connection 'nowhere'"):
        MinimaxHook("nowhere").get_task("1")


async def test_a_connection_that_is_not_there_says_so_on_an_event_loop():
    with pytest.raises(MinimaxConfigurationError, match="there is no connection 'nowhere'"):
        await MinimaxHook("nowhere").aget_task("1")


def test_a_connection_written_as_a_uri_works(minimax_emulator, monkeypatch):
    port = minimax_emulator.url.rpartition(":")[2]
    key = minimax_emulator.api_key("minimax")
    uri = f"minimax://http://:{key}@127.0.0.1:{port}/?platform=minimax"
    monkeypatch.setenv("AIRFLOW_CONN_AS_URI", uri)
    hook = MinimaxHook("as_uri")
    endpoint = hook.get_conn().endpoint
    assert endpoint.base_url == f"http://127.0.0.1:{port}"
    assert endpoint.api_key == key


@pytest.mark.parametrize(("text", "verify"), [("false", False), ("True", True), ("/etc/ca.pem", "/etc/ca.pem")])
def test_a_switch_in_a_uri_is_not_taken_for_a_path(monkeypatch, text, verify):
    monkeypatch.setenv("AIRFLOW_CONN_AS_URI", f"minimax://:key@/?verify={text.replace('/', '%2F')}")
    assert MinimaxHook("as_uri").clients.endpoint.verify == verify


@pytest.mark.parametrize(("region", "currency"), [("global", "0.28 USD"), ("cn", "2.00 CNY")])
def test_the_list_price_is_in_the_accounts_currency(connect, log_of, region, currency):
    log = log_of(MinimaxHook)
    with closing(MinimaxHook(connect("minimax" if region == "global" else "minimax-cn"))) as hook:
        hook.submit(REQUEST)
    assert currency in log.said()


@pytest.mark.parametrize(
    ("extra", "base_url"),
    [
        ({}, "https://api.minimax.io"),
        ({"region": "cn"}, "https://api.minimaxi.com"),
        ({"platform": "bltcy"}, "https://api.bltcy.ai"),
        ({"platform": "chainhub"}, "https://api.chainhub.tech"),
        ({"platform": "vtrix"}, "https://cloud.vtrix.ai"),
        ({"platform": "novita"}, "https://api.novita.ai"),
        ({"platform": "ai302", "path_prefix": None, "proxy": ""}, "https://api.302.ai"),
    ],
)
def test_an_empty_host_means_the_platforms_own(monkeypatch, extra, base_url):
    monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps({"conn_type": "minimax", "password": "k", "extra": extra}))
    assert MinimaxHook("own").clients.endpoint.base_url == base_url


def test_an_endpoint_does_not_show_its_key(hook):
    assert hook.get_conn().endpoint.api_key not in repr(hook.get_conn().endpoint)


# -- the account -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("platform", "left"), [("minimax", "9.72 USD"), ("minimax-cn", "8.00 CNY")])
def test_the_balance_after_a_purchase_is_reported_for_free(platform, left, connect, minimax_emulator):
    minimax_emulator.configure(balance=10.0)
    with closing(MinimaxHook(connect(platform))) as hook:
        hook.submit(REQUEST)
        assert str(hook.get_balance()) == left
    assert len(minimax_emulator.purchases) == 1


async def test_the_balance_is_reported_on_an_event_loop(connect, minimax_emulator):
    minimax_emulator.configure(balance=10.0)
    hook = MinimaxHook(connect())
    assert (await hook.aget_balance()).available == 10
    await hook.aclose()


def test_the_key_of_a_plan_gets_the_rest_of_its_plan(connect, minimax_emulator):
    minimax_emulator.configure(key="sk-cp-1")
    minimax_emulator.fault("http", operation="account", status=200, body=PLAN)
    with closing(MinimaxHook(connect(password="sk-cp-1"))) as hook:
        assert str(hook.get_balance()) == "video 40 % until 2026-09-21 14:13 UTC"
        assert hook.get_balance().plan == ()


def test_a_look_at_the_balance_that_failed_is_repeated(hook, minimax_emulator):
    minimax_emulator.fault("http", operation="account", status=503, times=2)
    assert hook.get_balance().available == 1000


def test_a_gateway_says_that_it_cannot_be_asked_for_its_balance(connect, minimax_emulator):
    for platform in set(PLATFORMS) - {"minimax"}:
        with pytest.raises(MinimaxRequestError, match="no documented call for what is left"):
            MinimaxHook(connect(platform)).get_balance()
    assert minimax_emulator.requests == []


# -- the connection test -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", [*PLATFORMS, "minimax-cn"])
def test_a_working_connection_passes_its_test_for_free(platform, connect, minimax_emulator):
    works, said = MinimaxHook(connect(platform)).test_connection()
    assert works, said
    assert "free of charge" in said
    assert minimax_emulator.purchases == []


def test_the_connection_test_says_what_is_left_in_the_account(connect, minimax_emulator):
    minimax_emulator.configure(balance=9.5)
    works, said = MinimaxHook(connect()).test_connection()
    assert works
    assert "accepts the key. Left in the account: 9.50 USD. The test was free of charge." in said


@pytest.mark.parametrize(
    ("kind", "details"),
    [("http", {"status": 404}), ("http", {"status": 503}), ("non_json", {}), ("base_resp", {"code": 2049})],
)
def test_a_connection_works_though_its_balance_cannot_be_read(connect, minimax_emulator, kind, details):
    minimax_emulator.fault(kind, operation="account", times=-1, **details)
    works, said = MinimaxHook(connect()).test_connection()
    assert works
    assert said.endswith("accepts the key. The test was free of charge.")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_wrong_key_fails_the_test_on_every_platform(platform, connect):
    works, said = MinimaxHook(connect(platform, password="sk-wrong")).test_connection()
    assert not works
    assert "refuses the key" in said
    assert "sk-wrong" not in said


def test_a_key_of_the_other_region_is_recognised(connect, minimax_emulator, monkeypatch):
    from airflow_provider_minimax.api.platforms import PLATFORMS as REGISTRY

    regions = {"global": minimax_emulator.base_url("minimax"), "cn": minimax_emulator.base_url("minimax-cn")}
    monkeypatch.setitem(REGISTRY, "minimax", replace(REGISTRY["minimax"], base_urls=regions))
    works, said = MinimaxHook(connect("minimax", password=minimax_emulator.api_key("minimax-cn"))).test_connection()
    assert not works
    assert "The key is right, but it is of region 'cn'" in said


def test_a_key_of_the_other_region_is_recognised_behind_either_name_of_a_host(connect, minimax_emulator, monkeypatch):
    from airflow_provider_minimax.api.platforms import PLATFORMS as REGISTRY

    here, there = (minimax_emulator.base_url(name) for name in ("minimax", "minimax-cn"))
    regions, others = {"global": there, "cn": "https://127.0.0.1:9"}, {here: "cn"}
    changed = replace(REGISTRY["minimax"], base_urls=regions, other_base_urls=others)
    monkeypatch.setitem(REGISTRY, "minimax", changed)
    works, said = MinimaxHook(connect("minimax", password=minimax_emulator.api_key("minimax-cn"))).test_connection()
    assert not works
    assert "it is of region 'global': set the extra field region to 'global', and leave host empty." in said


@pytest.mark.parametrize(
    ("host", "extra", "region"),
    [
        ("https://api.minimax.cn", {}, "cn"),
        ("https://api.minimax.cn/", {"region": "global"}, "cn"),
        ("https://api.minimaxi.com", {}, "cn"),
        ("https://api.minimax.io", {"region": "cn"}, "global"),
        ("https://proxy.example", {"region": "cn"}, "cn"),
        ("https://proxy.example", {}, "global"),
        ("https://api.minimax.cn", {"platform": "bltcy"}, "global"),
    ],
)
def test_one_of_minimaxs_own_hosts_says_the_region_by_itself(monkeypatch, host, extra, region):
    """So the price is in the account's currency, and the advice on a refused key names the right other region."""
    connection = {"conn_type": "minimax", "password": "k", "host": host, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps(connection))
    hook = MinimaxHook("own")
    endpoint = hook.get_conn().endpoint
    assert (endpoint.base_url, endpoint.region) == (host.rstrip("/"), region)
    if "platform" not in extra:
        assert hook.list_price(REQUEST).currency == ("CNY" if region == "cn" else "USD")
        other = "https://api.minimax.io" if region == "cn" else "https://api.minimaxi.com"
        assert f"may be one of {'global' if region == 'cn' else 'cn'!r} ({other})" in endpoint.auth_hint


def test_a_purchase_is_known_again_by_either_name_of_the_mainlands_host(monkeypatch):
    """Who moves the connection to the newer name does not buy again."""
    from airflow_provider_minimax.purchases.context import source_fingerprint_of

    def mark(host: str) -> str:
        connection = {"conn_type": "minimax", "password": "k", "host": host}
        monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps(connection))
        return source_fingerprint_of(REQUEST, MinimaxHook("own").account(), "v1")

    assert mark("https://api.minimax.cn") == mark("https://api.minimaxi.com")
    assert mark("https://api.minimax.cn") != mark("https://api.minimax.io")
    assert mark("https://api.minimax.cn.example.com") != mark("https://api.minimaxi.com")


def test_a_host_that_cannot_be_reached_is_told_apart(connect):
    works, said = MinimaxHook(connect(host="http://127.0.0.1:9")).test_connection()
    assert not works
    assert "cannot be reached" in said


@pytest.mark.parametrize(
    ("platform", "other"), [("novita", "minimax"), ("minimax", "novita"), ("vtrix", "bltcy"), ("ai302", "vtrix")]
)
def test_a_host_that_is_another_platform_is_told_apart(connect, minimax_emulator, platform, other):
    works, said = MinimaxHook(connect(platform, host=minimax_emulator.base_url(other))).test_connection()
    assert not works
    assert "answers, but not as" in said


def test_a_broken_connection_fails_its_test_with_the_field(connect):
    works, said = MinimaxHook(connect(password="")).test_connection()
    assert not works
    assert "the API key is missing" in said


# -- clients and files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named_by", ["connection", "environment", "nobody"])
async def test_a_status_check_on_an_event_loop_goes_through_a_proxy_if_there_is_one(connect, monkeypatch, named_by):
    lines = []

    async def answer(reader, writer):
        lines.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        body = b'{"task_id":"1","status":"Processing","base_resp":{"status_code":0}}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        if named_by == "environment":
            monkeypatch.setenv("http_proxy", proxy)
        extra = {"proxy": proxy} if named_by == "connection" else {}
        host = proxy if named_by == "nobody" else "http://platform.example"
        hook = MinimaxHook(connect(host=host, extra=extra))
        assert (await hook.aget_task("1")).status == "Processing"
        await hook.aclose()
    before = b"" if named_by == "nobody" else b"http://platform.example"
    assert lines == [b"GET " + before + b"/v1/query/video_generation?task_id=1 HTTP/1.1"]


async def test_a_client_is_not_closed_under_those_who_wait_for_an_answer(connect, minimax_emulator):
    hook = MinimaxHook(connect())
    minimax_task_id = await hook.asubmit(REQUEST)
    minimax_emulator.fault("slow", operation="query", seconds=0.5)
    check = asyncio.create_task(hook.aget_task(minimax_task_id, retries=0))
    await asyncio.sleep(0.2)
    await hook.aclose()
    assert (await check).minimax_task_id == minimax_task_id


def test_a_file_is_fetched_without_the_key_and_its_signature_is_not_logged(hook, minimax_emulator, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpx")
    file = hook.get_file(finished(hook))
    with hook.get_conn().fetch(file.url) as stream:
        clip = b"".join(stream.chunks)
    assert clip[4:8] == b"ftyp"
    assert not any(r["had_authorization"] for r in minimax_emulator.requests if r["operation"] == "download")
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn"))
    assert "GET http" in ours
    assert "Signature" not in ours
    assert hook.get_conn().endpoint.api_key not in ours


def test_each_look_at_a_file_gives_a_fresh_link(hook, minimax_emulator):
    minimax_emulator.configure(url_seconds=0)
    task = finished(hook)
    stale = hook.get_file(task)
    with pytest.raises(MinimaxDownloadError, match="may have expired"), hook.get_conn().fetch(stale.url):
        pass
    minimax_emulator.configure(url_seconds=60)
    with hook.get_conn().fetch(hook.get_file(task).url) as stream:
        assert stream.length


def test_a_file_behind_redirects_is_fetched(hook, minimax_emulator):
    minimax_emulator.configure(redirects=3)
    with hook.get_conn().fetch(hook.get_file(finished(hook)).url) as stream:
        assert next(stream.chunks)


def test_endless_redirects_are_not_followed(hook, minimax_emulator):
    minimax_emulator.configure(redirects=50)
    with pytest.raises(MinimaxDownloadError), hook.get_conn().fetch(hook.get_file(finished(hook)).url):
        pass


def test_an_https_connection_follows_a_plain_link_over_https_alone(monkeypatch, minimax_emulator):
    """The emulator has no TLS, so nothing can come of it; what counts is that it is not asked in the clear."""
    inside = minimax_emulator.url.replace("http://", "https://")
    connection = {"conn_type": "minimax", "password": "k", "host": inside}
    monkeypatch.setenv("AIRFLOW_CONN_SAFE", json.dumps(connection))
    with closing(MinimaxHook("safe")) as hook, pytest.raises(MinimaxDownloadError, match="SSL"):
        with hook.get_conn().fetch(f"{minimax_emulator.url}/files/x.mp4?Expires=1&Signature=s"):
            pass
    assert [request for request in minimax_emulator.requests if request["operation"] == "download"] == []


def test_a_hook_delivers_a_clip_to_any_place(hook, minimax_emulator, tmp_path, s3_bucket):
    task = finished(hook)
    for place, read in (
        (str(tmp_path / "clip.mp4"), lambda: (tmp_path / "clip.mp4").read_bytes()),
        (s3_bucket.url("clip.mp4"), lambda: s3_bucket.read("clip.mp4")),
    ):
        facts = hook.download(task, place)
        assert (facts["task_id"], facts["output_path"], facts["size"]) == (task.minimax_task_id, place, len(read()))
        assert read()[4:8] == b"ftyp"
        with pytest.raises(MinimaxRequestError, match="exists already"):
            hook.download(task, place)
        hook.download(task, place, overwrite=True)
    with pytest.raises(MinimaxRequestError, match="give the path of a file in it"):
        hook.download(task, f"{tmp_path}/")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert s3_bucket.keys() == ["clip.mp4"]


def test_a_key_in_the_words_on_a_failed_task_is_not_repeated(hook, minimax_emulator):
    key = hook.get_conn().endpoint.api_key
    body = {
        "task": {"id": "7", "status": "failed", "error": {"code": "1000", "message": f"no quota for {key}"}},
    }
    minimax_emulator.fault("http", operation="query", status=200, body=body)
    task = hook.get_task("7", api_version="v2")
    assert task.reason == "no quota for …"
