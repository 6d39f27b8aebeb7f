"""Texts from outside are shown without keys and signatures, however they are written, and no terminal obeys them."""

from __future__ import annotations

import base64
import html
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_minimax.delivery.destination import LocalDestination
from airflow_provider_minimax.exceptions import MinimaxRequestError, error_from_event
from airflow_provider_minimax.purchases.receipt import Owner
from airflow_provider_minimax.text.redaction import body_without_key, harmless_cause, redact, without_key
from airflow_provider_minimax.text.storable import printable

KEY = "sk-ab/cd+SECRET0123456789=="

# Each way in which one character of a key may be written.
WAYS = [
    lambda sign: sign,
    lambda sign: f"\\u{ord(sign):04x}",
    lambda sign: f"\\u{ord(sign):04X}",
    lambda sign: f"\\\\u{ord(sign):04x}",
    lambda sign: "\\/" if sign == "/" else sign,
    lambda sign: quote(sign, safe=""),
    lambda sign: f"%{ord(sign):02x}",
    lambda sign: f"%25{ord(sign):02X}",
    lambda sign: f"&#x{ord(sign):x};",
    lambda sign: f"&#{ord(sign)};",
    lambda sign: f"&amp;#{ord(sign)};",
]


@given(st.lists(st.sampled_from(WAYS), min_size=len(KEY), max_size=len(KEY)), st.sampled_from(["", " is wrong", "&x"]))
@settings(max_examples=300)
def test_a_key_is_found_however_its_characters_are_written(ways, after):
    written = "".join(way(sign) for way, sign in zip(ways, KEY, strict=True))
    assert without_key(f"the key {written}{after}", KEY) == f"the key …{after}"


@given(st.binary(max_size=4), st.binary(max_size=4))
@example(b"\0\0?\xfc", b"\0?\xfc")  # slashes on both sides, which are written with a backslash each
def test_a_key_is_found_in_base64(before, after):
    encoded = base64.b64encode(before + KEY.encode() + after).decode()
    for text in (encoded, encoded.replace("/", "\\/"), encoded.replace("+", "-").replace("/", "_")):
        left = without_key(text, KEY)
        assert left.count("…") == 1
        assert len(left.replace("\\/", "/")) <= 17


@pytest.mark.parametrize("cut", [KEY[:8], KEY[:20], f"{KEY[:9]}…", KEY[:12].replace("/", "\\/")])
def test_the_beginning_of_a_key_is_cut_too_where_the_text_ends_in_it(cut):
    assert without_key(f"the key {cut}", KEY) == "the key …"


def test_other_texts_stay_as_they_are():
    for text in (
        '{"a": "\\u4e0a\\u4e0b"}',
        "https://a.example/b%20c?d=1&e=%2F",
        KEY[:7],
        f"{KEY[:8]}!",
        "sk-ab/cdx",
        "",
    ):
        assert without_key(text, KEY) == text
    assert without_key("a short key", "short") == "a short key"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_a_body_in_any_encoding_of_json_is_read_and_holds_no_key(encoding):
    words = json.dumps({KEY: [f"Bearer {KEY}", "ключ"]}, ensure_ascii=False)
    assert json.loads(body_without_key(words.encode(encoding), KEY)) == {"…": ["Bearer …", "ключ"]}


def test_a_body_without_the_key_is_the_same_object():
    body = b'{"task_id": "1", "words": "\xff \\u4e0a"}'
    assert body_without_key(body, KEY) is body


@pytest.mark.parametrize(
    "body", [b"\\" * 200_000, b"s" * 1_000_000, b"%73" * 300_000, b"&#x0" * 300_000, b"sk-ab/c" * 99_999]
)
def test_a_body_made_to_be_slow_is_not(body):
    began = time.monotonic()
    body_without_key(body, KEY)
    assert time.monotonic() - began < 30


SIGNED = [
    "https://files.example/a.mp4?sig=SECRET",
    "HTTPS://files.example/a.mp4?sig=SECRET",
    "s3://bucket/a.mp4?X-Amz-Signature=SECRET",
    "ftp://me:SECRET@files.example/a.mp4",
    "wss://files.example/a?SECRET",
    "https://files.example/a.mp4#SECRET",
    "https://SECRET@files.example/a.mp4",
    "https%3A%2F%2Ffiles.example%2Fa.mp4%3Fsig%3DSECRET",
    "https%253a%252f%252ffiles.example%252fa.mp4%253fsig%253DSECRET",
    "https%3A%2F%2Fme%3ASECRET%40files.example%2Fa.mp4",
    "GET /a.mp4?sig=SECRET HTTP/1.1",
    "Authorization: Bearer SECRET",
    "Authorization=Bearer%20SECRET",
]


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize(
    "written",
    [
        str,
        lambda text: text.replace("/", "\\/"),
        lambda text: json.dumps(json.dumps(text)),
        lambda text: "".join(f"\\u{ord(sign):04x}" for sign in text),
        lambda text: "".join(f"&#{ord(sign)};" for sign in text),
        html.escape,
    ],
    ids=["plain", "slashes", "json in json", "all escaped", "html", "escaped html"],
)
def test_no_signature_is_shown(signed, written):
    assert "SECRET" not in redact(f"it said: {written(signed)} and more")


def test_an_address_without_a_signature_is_shown_whole():
    assert redact("see https://a.example/b%20c.mp4, or s3://bucket/d.mp4") == (
        "see https://a.example/b%20c.mp4, or s3://bucket/d.mp4"
    )


OBEYED = "\0\a\b\x1b\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ud800"


@given(st.text(alphabet=st.one_of(st.sampled_from(OBEYED), st.characters())))
def test_what_a_terminal_obeys_is_written_out(text):
    shown = redact(text)
    assert not set(shown) & set(OBEYED)
    assert redact(shown) == shown
    assert printable(printable(text)) == printable(text)


def test_it_is_written_so_that_people_see_what_was_there():
    assert redact("a\x1b[31m red \u202eword") == "a\\x1b[31m red \\u202eword"


def failure(words: str, because: BaseException | None = None) -> ValueError:
    error = ValueError(words)
    error.__cause__ = because
    return error


def test_a_cause_is_kept_for_the_traceback_unless_it_says_a_secret():
    harmless = failure("no route", failure("to https://a.example/b"))
    assert harmless_cause(harmless, KEY) is harmless
    assert harmless_cause(failure("refused", failure(f"header X: {KEY}")), KEY) is None
    assert harmless_cause(failure("refused", failure("https://a.example/b?sig=1")), KEY) is None
    assert harmless_cause(ExceptionGroup("both", [failure("no"), failure("route", failure(KEY))]), KEY) is None
    assert harmless_cause(None, KEY) is None


def test_causes_that_go_round_in_circles_end():
    one = failure("one")
    one.__cause__ = failure("other", one)
    assert harmless_cause(one, KEY) is one


HOSTILE = "a\x1b[31mb\u202ec\nd"


def test_an_error_shows_whatever_it_is_about_without_being_obeyed():
    error = MinimaxRequestError(f"output_path={HOSTILE}", code="1", hint=HOSTILE, minimax_task_id=HOSTILE)
    for text in (str(error), error.message, *error.args, str(error_from_event(error.as_event()))):
        assert not set(text) & {"\x1b", "\u202e", "\n"}
    assert "output_path=a\\x1b[31mb\\u202ec\\x0ad" in str(error)


def test_so_do_the_name_of_a_task_and_a_place():
    owner = Owner(dag_id=HOSTILE, run_id=HOSTILE, task_id=HOSTILE)
    place = LocalDestination(Path(f"/clips/{HOSTILE}.mp4"))
    assert not set(f"{owner} {place}") & {"\x1b", "\u202e", "\n"}
    assert place.url == f"/clips/{HOSTILE}.mp4"


@pytest.mark.parametrize("wrong", [{"a": 1}, [], "", None, 10**400, 1.5, True])
def test_an_error_of_a_receipt_that_somebody_edited_is_read_all_the_same(wrong):
    event = MinimaxRequestError("no", code="1027", http_status=400, hint="h", billing="m", retry_after=1).as_event()
    for name in event:
        assert str(error_from_event(event | {name: wrong}))
    assert error_from_event(event | {"code": 1027}).code == "1027"
