"""
Every reader of replies against replies that nobody has thought of.

The examples are the same in every run and few enough for CI. To dig deeper, raise ``max_examples`` below to tens of
thousands and take ``derandomize`` away; what is found becomes a test with a name, at the end of this file.
"""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from airflow_provider_minimax.api.http.exchange import Endpoint, may_repeat, read_reply
from airflow_provider_minimax.api.http.failures import retry_after
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxUnavailableError,
)
from tests.samples import cases, reply

CONTRACTS = {
    **PLATFORMS,
    **{f"{name}_v2": PLATFORMS[name].of_version("v2") for name in ("minimax", "novita", "ai302")},
}

# -- what is promised, said once more and without the code under test --------------------------------------------------

ID_PLACES = {
    "novita": [("task_id",)],
    "vtrix": [("id",), ("task_id",)],
    **{name: [("task_id",), ("platform_id",)] for name in ("minimax_v2", "novita_v2", "ai302_v2")},
}
OFFICIAL_ID_PLACES = [("task_id",), ("data", "task_id"), ("id",), ("data", "id")]
STATUS_PLACES = {
    "novita": [("task", "status")],
    **{name: [("task", "status")] for name in ("minimax_v2", "novita_v2", "ai302_v2")},
    "chainhub": [("data", "data", "status"), ("data", "status"), ("status",)],
}
SUCCESS_WORDS = {"success", "succeed", "succeeded", "finished", "completed"}
NO_ERROR = {"", "0", "200", "success"}

KEY = "sk-api-SECRETKEYSECRETKEYSECRETKEY"
SIGNATURE = "SECRETSIGNATURE"
IMAGE = "SECRETIMAGE"
ROW = "http://" * 30_000
SECRETS = [
    f"https://files.example/a.mp4?Expires=1&Signature={SIGNATURE}",
    f"HTTPS://FILES.EXAMPLE/a.mp4?Signature={SIGNATURE}",
    f"data:image/png;base64,abcd/efgh+{IMAGE}/ijkl=",
    f"data:image/png;charset=utf-8;base64,abcd/{IMAGE}",
    f"invalid api key Bearer {KEY}",
    KEY,
]


def at(value: Any, place: tuple[str, ...]) -> Any:
    """Return what is at a place of a JSON value, or ``None``."""
    for name in place:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def as_text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def error_codes(answer: Any) -> list[str]:
    """Return all that is said of an error at the documented places of an answer to a submission."""
    found = []
    for level in (answer, at(answer, ("data",))):
        codes = [as_text(at(level, ("code",))), as_text(at(level, ("base_resp", "status_code")))]
        found += [code for code in codes if code.lower() not in NO_ERROR and code.strip("0")]
        error = at(level, ("error",))
        if any(error.values()) if isinstance(error, dict) else error:
            found.append(str(error))
    return found


def ids(platform: str, answer: Any) -> list[str]:
    values = [at(answer, place) for place in ID_PLACES.get(platform, OFFICIAL_ID_PLACES)]
    return [as_text(value) for value in values if isinstance(value, str | int) and not isinstance(value, bool)]


def shown(value: Any) -> str:
    """Return all that logs, XComs and events may say of a reader's answer, or of its error."""
    parsed = str(value.as_event()) if hasattr(value, "as_event") else ""
    return f"{value!s} {value!r} {parsed}"


# -- replies -----------------------------------------------------------------------------------------------------------


def words_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(words_in, value.values()))
    return set().union(*map(words_in, value)) if isinstance(value, list) else set()


SAMPLES = {(platform, case): reply(platform, case) for platform, case in cases()}
BODIES = {key: from_json(sample.body) for key, sample in SAMPLES.items() if "html" not in key[1]}
NAMES = sorted(words_in(list(BODIES.values())))
PIECES = [value for body in BODIES.values() for value in body.values()]

odd_texts = st.one_of(
    st.sampled_from([*SECRETS, "", " ", "0", "null", "Success", "failed", "https://[", "x" * 5000, "\x00", "12\n34"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
odd_values = st.one_of(
    odd_texts,
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 10**30, -(10**30), 10**4200, 1.5, 1e300]),
    st.floats(),
    st.sampled_from([[], {}, [[]], [{}], [None]]),
    st.sampled_from(PIECES),
)
odd_trees = st.recursive(
    odd_values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
)
objects = st.dictionaries(st.sampled_from(NAMES), odd_trees, max_size=8)
statuses = st.one_of(
    *[st.just(200)] * 3,
    st.sampled_from([201, 204, 301, 400, 401, 403, 404, 408, 429, 500, 529]),
    st.integers(100, 999),
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "trace-id"]),
    st.one_of(
        odd_texts,
        st.integers().map(str),
        st.sampled_from(["Mon, 01 Jan 9999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2020 00:00:00 +99999999999999"]),
    ),
)


def insides(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key or index) of a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in pairs for found in [(value, key), *insides(inner)]]


@st.composite
def mutants(draw: Any, platform: str, call: str) -> Any:
    """Draw a sample of the platform, most often of the call, with a few values changed, moved, dropped or added."""
    all_cases = [key for key in BODIES if key[0] == platform]
    own_cases = [key for key in all_cases if key[1].startswith(call)] or all_cases
    case = draw(st.sampled_from(own_cases) | st.sampled_from(own_cases) | st.sampled_from(all_cases))
    body = {"": copy.deepcopy(BODIES[case])}
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(insides(body)))
        match draw(st.sampled_from(["replace", "drop", "move", "wrap", "add", "merge"])):
            case "replace":
                container[key] = copy.deepcopy(draw(odd_values))
            case "drop" if container is not body:
                del container[key]
            case "move":
                other, place = draw(st.sampled_from(insides(body)))
                container[key] = copy.deepcopy(other[place])
            case "wrap":
                container[key] = draw(st.sampled_from([[container[key]], {"data": container[key]}]))
            case "add" if isinstance(container[key], dict):
                container[key] |= {draw(st.sampled_from(NAMES)): copy.deepcopy(draw(odd_values))}
            case "merge" if isinstance(container[key], dict):
                container[key] |= copy.deepcopy(draw(st.sampled_from(list(BODIES.values()))))
    return body[""]


@st.composite
def replies(draw: Any, platform: str, call: str) -> HttpReply:
    """Draw a reply: a mutated sample or any JSON at all, at times damaged, with any status and headers."""
    value = draw(st.one_of(*[mutants(platform, call)] * 3, objects, odd_trees))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        # As PHP writes it.
        text = text.replace("/", "\\/")
    body = text.encode()
    match draw(st.sampled_from(["whole"] * 12 + ["cut", "bytes", "html", "bom"])):
        case "cut":
            body = body[: draw(st.integers(0, len(body)))]
        case "bytes":
            # Not within a secret: what is torn apart is none any more, for anybody.
            where = draw(st.sampled_from([0, body.find(b'"') + 1, len(body)]))
            body = body[:where] + draw(st.binary(min_size=1, max_size=4)) + body[where:]
        case "html":
            body = b"<html><body>" + body + b"</body></html>"
        case "bom":
            body = b"\xef\xbb\xbf" + body
    return HttpReply(draw(statuses), draw(headers), body)


def fuzz(reader: str, call: str, *, examples: int = 50) -> Any:
    """Run a test with replies of every platform that has a reader, most of them like samples of that call."""

    having = [name for name, contract in CONTRACTS.items() if getattr(contract, reader)]

    def decorate(test: Any) -> Any:
        @pytest.mark.parametrize("platform", having)
        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(data=st.data())
        def run(platform: str, data: Any) -> None:
            test(platform, data.draw(replies(platform, call)))

        run.__name__ = run.__qualname__ = test.__name__
        run.__doc__ = test.__doc__
        return run

    return decorate


def outcome(read: Any, answer: HttpReply) -> Any:
    """Return what a reader returns, or the error of ours that it raises; any other error is the test's end."""
    try:
        return read(answer)
    except MinimaxError as error:
        return error


def check_shown(value: Any, *secrets: str) -> None:
    for secret in (SIGNATURE, IMAGE, *secrets):
        assert secret not in shown(value)


# -- the promises ------------------------------------------------------------------------------------------------------


@fuzz("read_submission", "submit", examples=80)
def test_a_submission_yields_the_id_that_the_answer_names_and_never_one_from_a_refusal(platform, answer):
    found = outcome(CONTRACTS[platform].read_submission, answer)
    check_shown(found)
    if isinstance(found, MinimaxError):
        return
    parsed = from_json(answer.body)
    assert answer.status < 300
    assert found
    assert found in ids(platform, parsed)
    assert not error_codes(parsed)


@fuzz("read_files", "listed")
def test_a_list_of_uploads_is_files_with_ids_or_an_error(platform, answer):
    found = outcome(CONTRACTS[platform].read_files, answer)
    check_shown(found)
    assert isinstance(found, MinimaxError) or all(file.file_id for file in found)


@fuzz("read_deletion", "erased")
def test_an_upload_is_deleted_only_if_the_answer_says_so(platform, answer):
    found = outcome(CONTRACTS[platform].read_deletion, answer)
    check_shown(found)
    if not isinstance(found, MinimaxError):
        assert answer.status < 300
        assert isinstance(from_json(answer.body)["base_resp"], dict)


@fuzz("read_task", "query", examples=80)
def test_a_task_is_done_only_if_its_own_status_says_so(platform, answer):
    found = outcome(lambda r: CONTRACTS[platform].read_task(r, "T"), answer)
    check_shown(found)
    if isinstance(found, MinimaxError):
        return
    assert found.minimax_task_id == "T"
    if found.state is TaskState.SUCCEEDED:
        parsed = from_json(answer.body)
        words = [as_text(at(parsed, place)) for place in STATUS_PLACES.get(platform, [("status",)])]
        word = next(filter(None, words))
        assert answer.status < 300
        assert found.status == word
        assert found.prompt in (None, str(at(parsed, ("task", "content", "prompt"))))
        assert word.lower().removeprefix("task_status_") in SUCCESS_WORDS


@fuzz("read_file", "file")
def test_a_file_is_where_the_answer_says(platform, answer):
    found = outcome(CONTRACTS[platform].read_file, answer)
    check_shown(found)
    if isinstance(found, MinimaxError):
        return
    parsed = from_json(answer.body)
    assert answer.status < 300
    links = [str(at(parsed, ("file", name))) for name in ("download_url", "backup_download_url")]
    assert found.url in links
    assert found.backup_url in (None, links[1])
    assert as_text(at(parsed, ("base_resp", "status_code"))).strip("0") == ""


@fuzz("read_list", "list", examples=100)
def test_a_list_says_of_each_task_what_its_own_item_says(platform, answer):
    found = outcome(CONTRACTS[platform].read_list, answer)
    check_shown(found)
    if isinstance(found, MinimaxError):
        return
    items = [item for item in at(from_json(answer.body), ("items",)) or [] if isinstance(item, dict)]
    named = {(as_text(item.get("id")), as_text(item.get("status")).lower()) for item in items}
    for task in found.tasks:
        assert task.minimax_task_id
        if task.state is TaskState.SUCCEEDED:
            assert (task.minimax_task_id, task.status.lower()) in named
            assert task.status.lower().removeprefix("task_status_") in SUCCESS_WORDS


@fuzz("read_upload", "upload", examples=100)
def test_an_upload_is_the_file_that_the_answer_names(platform, answer):
    found = outcome(CONTRACTS[platform].read_upload, answer)
    check_shown(found)
    if isinstance(found, MinimaxError):
        return
    parsed = from_json(answer.body)
    assert answer.status < 300
    assert found == f"mm_file://{as_text(at(parsed, ('file', 'file_id')))}"
    assert found != "mm_file://"
    assert as_text(at(parsed, ("base_resp", "status_code"))).strip("0") == ""


@fuzz("read_cancellation", "cancel", examples=100)
def test_a_cancellation_is_what_the_answer_says(platform, answer):
    found = outcome(CONTRACTS[platform].read_cancellation, answer)
    check_shown(found)
    if found in ("cancelled", "deleted"):
        parsed = from_json(answer.body.removeprefix(b"\xef\xbb\xbf"))
        places = [(*level, name) for level in ((), ("task",)) for name in ("action", "status")]
        words = [as_text(at(parsed, place)).lower() for place in places]
        assert answer.status < 300
        assert {found, found[:-2], "canceled" if found == "cancelled" else found} & set(words) or "cancel" in words
        assert found == "deleted" or not {"running", "succeeded", "failed", "success", "processing"} & set(words)


@fuzz("read_submission", "submit", examples=80)
def test_what_the_sender_makes_of_any_answer_is_one_of_our_errors_and_never_buys_twice(platform, answer):
    endpoint = Endpoint(platform, "https://api.example", KEY)
    buying = HttpRequest("POST", "/x", buys=True)
    found = outcome(lambda r: read_reply(r, CONTRACTS[platform].read_submission, endpoint, buying), answer)
    if isinstance(found, MinimaxError):
        check_shown(found, KEY)
        assert not isinstance(found, MinimaxUnavailableError)
        if may_repeat(found, buying) and answer.status < 300:
            assert not any(ids(platform, from_json(answer.body)))
    asking = HttpRequest("GET", "/x")
    found = outcome(lambda r: read_reply(r, lambda r: CONTRACTS[platform].read_task(r, "T"), endpoint, asking), answer)
    if isinstance(found, MinimaxError):
        check_shown(found, KEY)


@fuzz("recognises", "", examples=20)
def test_whether_an_answer_is_a_platforms_can_always_be_said(platform, answer):
    assert CONTRACTS[platform].recognises(answer) in (True, False)


# -- what was found ----------------------------------------------------------------------------------------------------


def said(body: Any, status: int = 200, **headers: str) -> HttpReply:
    return HttpReply(status, headers, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("platform", "body"),
    [
        ("minimax", {"task_id": "9", "error": {"message": "limit reached"}}),
        ("ai302", {"id": "request-1", "error": {"err_code": -10006, "message": "limit reached"}}),
        ("chainhub", {"code": "fail", "message": "no quota", "data": {"task_id": "9"}}),
        ("chainhub", {"code": "success", "data": {"task_id": "9", "base_resp": {"status_code": 1002}}}),
        ("vtrix", {"id": "gen_01", "error": "task creation failed"}),
        ("vtrix", {"id": "gen_01", "error": {"code": "010006099"}}),
        ("novita", {"task_id": "9", "code": 403, "reason": "NOT_ENOUGH_BALANCE"}),
        ("minimax_v2", {"task_id": "9", "error": {"message": "insufficient balance (1008)"}}),
    ],
)
def test_an_id_beside_an_error_is_neither_a_success_nor_a_refusal(platform, body):
    with pytest.raises(MinimaxUnavailableError) as raised:
        CONTRACTS[platform].read_submission(said(body))
    assert type(raised.value) is MinimaxUnavailableError
    assert raised.value.minimax_task_id in ids(platform, body)


@pytest.mark.parametrize("error", [None, "", {}, {"code": "", "message": ""}])
def test_an_error_that_says_nothing_is_none(error):
    body = {"id": "gen_01", "code": "000", "error": error}
    assert CONTRACTS["vtrix"].read_submission(said(body)) == "gen_01"


@pytest.mark.parametrize("odd", [True, False, 1.5, 3e14, float("nan"), -1, "two words", "a\x00b", SECRETS[0], [], {}])
@pytest.mark.parametrize("platform", CONTRACTS)
def test_what_cannot_be_an_id_is_not_taken_for_one_and_not_for_a_refusal(platform, odd):
    name = ID_PLACES.get(platform, OFFICIAL_ID_PLACES)[0][0]
    refusal = {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}
    with pytest.raises(MinimaxUnavailableError) as raised:
        CONTRACTS[platform].read_submission(said({name: odd} | refusal))
    assert type(raised.value) is MinimaxUnavailableError


@pytest.mark.parametrize("nothing", [None, 0, "", "  ", "0", "null", "None"])
@pytest.mark.parametrize("platform", CONTRACTS)
def test_null_and_0_and_a_blank_are_no_id(platform, nothing):
    name = ID_PLACES.get(platform, OFFICIAL_ID_PLACES)[0][0]
    with pytest.raises(MinimaxUnavailableError, match="names no task"):
        CONTRACTS[platform].read_submission(said({name: nothing}))


def test_a_clip_is_not_lost_to_an_odd_file_id_beside_its_link():
    found = CONTRACTS["minimax"].read_file(said({"file": {"file_id": {}, "download_url": "https://files.example/a"}}))
    assert found.url == "https://files.example/a"
    assert found.file_id is None


@pytest.mark.parametrize("odd", [True, 1.5, -1, [], {}, 0])
def test_a_success_with_an_odd_file_id_names_no_clip_yet(odd):
    task = CONTRACTS["minimax"].read_task(said({"status": "Success", "file_id": odd}), "T")
    assert task.state is TaskState.SUCCEEDED
    assert not task.has_output


def test_an_item_whose_id_is_odd_does_not_hide_the_others_of_its_page():
    items = [{"id": [], "status": "queued"}, {"id": "9", "status": "queued"}]
    page = CONTRACTS["minimax_v2"].read_list(said({"items": items, "total": 2}))
    assert [task.minimax_task_id for task in page.tasks] == ["9"]


def test_a_link_that_is_none_does_not_hide_the_clip_beside_it():
    links = [{"url": "https://[", "type": "image"}, {"url": "https://files.example/v.mp4?sig=x"}]
    task = CONTRACTS["vtrix"].read_task(said({"status": "completed", "output": [{"content": links}]}), "T")
    assert task.file.url == "https://files.example/v.mp4?sig=x"


@pytest.mark.parametrize(
    "odd", ["Mon, 01 Jan 9999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2020 00:00:00 +99999999999999"]
)
def test_a_time_to_wait_that_no_clock_knows_is_none(odd):
    assert retry_after(HttpReply(429, {"retry-after": odd})) is None


@pytest.mark.parametrize("secret", SECRETS[:5])
def test_a_secret_is_not_shown_though_the_gateway_escapes_its_slashes(secret):
    body = json.dumps([f"see {secret}", "…"]).replace("/", "\\/").encode()
    with pytest.raises(MinimaxUnavailableError) as raised:
        CONTRACTS["minimax"].read_submission(HttpReply(200, {}, body))
    assert "it begins with" in str(raised.value)
    for part in (SIGNATURE, IMAGE, KEY):
        assert part not in shown(raised.value)


def test_an_endless_row_of_links_is_read_at_once():
    began = time.perf_counter()
    found = outcome(CONTRACTS["minimax"].read_submission, said({"base_resp": {"status_code": 1, "status_msg": ROW}}))
    assert time.perf_counter() - began < 20
    assert len(found.message) <= 500


def test_a_code_a_status_and_a_trace_are_fit_to_be_shown():
    url = SECRETS[0]
    errors = [
        outcome(CONTRACTS["minimax"].read_submission, said({"base_resp": {"status_code": url}})),
        outcome(CONTRACTS["minimax"].read_submission, said({"error": {"code": url}, "request_id": url}, 400)),
        outcome(CONTRACTS["novita"].read_submission, said({"reason": url, "request_id": url}, 400)),
    ]
    tasks = [
        CONTRACTS["minimax"].read_task(said({"status": url}), "T"),
        CONTRACTS["minimax_v2"].read_task(said({"task": {"status": "failed", "error": {"code": url}}}), "T"),
    ]
    for value in errors + tasks:
        assert "files.example/a.mp4?…" in shown(value)
        check_shown(value)


@pytest.mark.parametrize(
    "answer",
    [
        said({"error": {"code": KEY, "message": "invalid"}}, 400),
        said({"error": {"message": f"invalid: {KEY}"}, "request_id": KEY}, 400),
        said({"error": {"message": "invalid"}}, 400, **{"trace-id": KEY}),
        said({"error": {"message": "x" * 480 + KEY + "x" * 100}}, 400),
    ],
)
def test_the_key_is_nowhere_in_an_error_not_even_the_beginning_of_it(answer):
    endpoint = Endpoint("minimax", "https://api.example", KEY)
    with pytest.raises(MinimaxError) as raised:
        read_reply(answer, CONTRACTS["minimax"].read_submission, endpoint, HttpRequest("POST", "/x", buys=True))
    assert KEY[:10] not in shown(raised.value)
