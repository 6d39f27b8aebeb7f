"""The clips and the links to them."""

from __future__ import annotations

import hashlib
import struct
import time

import httpx
import pytest

from tests.emulator.customer import browser


def boxes(content: bytes) -> list[bytes]:
    """The types of the outermost boxes of an ISO media file, which must end where the file ends."""
    found, at = [], 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        found.append(kind)
        at += size
    assert at == len(content)
    return found


@pytest.fixture
def link(minimax) -> str:
    return minimax.buy_link()


def test_the_clip_is_a_whole_media_file_with_its_index_in_front(link):
    assert boxes(browser.get(link).content) == [b"ftyp", b"moov", b"free", b"mdat", b"free"]


def test_each_job_has_a_clip_of_its_own(minimax):
    links = [minimax.buy_link(), minimax.buy_link()]
    assert len({hashlib.sha256(browser.get(link).content).digest() for link in links}) == 2


def test_a_clip_can_have_any_size(minimax, emulator, link):
    emulator.configure(clip_bytes=1_000_000)
    answer = browser.get(link)
    assert answer.headers["Content-Length"] == "1000000"
    assert boxes(answer.content)[-1] == b"free"


def test_a_clip_can_be_larger_than_a_short_box(emulator, link):
    emulator.configure(clip_bytes=5 * 2**30)
    whole = browser.get(link, headers={"Range": "bytes=0-199999"})
    assert whole.headers["Content-Range"] == f"bytes 0-199999/{5 * 2**30}"
    head = whole.content.rindex(b"free")
    start = head - 4
    assert struct.unpack_from(">I4sQ", whole.content, start) == (1, b"free", 5 * 2**30 - start)


def test_a_reader_that_goes_away_stops_a_long_download(emulator, link):
    emulator.configure(clip_bytes=50 * 2**30)
    with browser.stream("GET", link) as answer:
        assert answer.status_code == 200
    started = time.monotonic()
    assert emulator.jobs
    assert time.monotonic() - started < 20


RANGES = {
    "bytes=0-9": (206, slice(0, 10)),
    "bytes=100-": (206, slice(100, None)),
    "bytes=-7": (206, slice(-7, None)),
    "bytes=5-999999999": (206, slice(5, None)),
    "bytes=9-5": (200, slice(None)),
    "bytes=0-1,4-5": (200, slice(None)),
    "lines=1-2": (200, slice(None)),
}


@pytest.mark.parametrize(("asked", "given"), RANGES.items(), ids=RANGES.keys())
def test_a_range_is_served_and_nonsense_ignored(link, asked, given):
    whole, part = browser.get(link).content, browser.get(link, headers={"Range": asked})
    status, where = given
    assert (part.status_code, part.content) == (status, whole[where])


def test_a_range_behind_the_end_is_refused(link):
    answer = browser.get(link, headers={"Range": "bytes=999999999-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"].startswith("bytes */")


def test_a_download_is_continued_only_if_the_clip_is_still_the_same(link):
    etag, date = (browser.get(link).headers[name] for name in ("ETag", "Last-Modified"))

    def status(condition: str) -> int:
        return browser.get(link, headers={"Range": "bytes=5-", "If-Range": condition}).status_code

    assert [status(condition) for condition in (etag, date, '"other"')] == [206, 206, 200]


def test_the_journal_records_which_part_was_asked_for_and_given(emulator, link):
    etag = browser.get(link).headers["ETag"]
    browser.get(link, headers={"Range": "bytes=5-", "If-Range": etag})
    browser.get(link, headers={"Range": "bytes=5-", "If-Range": '"other"'})
    seen = [(note["range"], note["if_range"], note["status"]) for note in emulator.requests[-3:]]
    assert seen == [(None, None, 200), ("bytes=5-", etag, 206), ("bytes=5-", '"other"', 200)]


VALIDATORS = {
    "both": (True, True),
    "weak": (True, True),
    "etag": (True, False),
    "date": (False, True),
    "none": (False, False),
}


@pytest.mark.parametrize(("validators", "shown"), VALIDATORS.items(), ids=VALIDATORS.keys())
def test_a_host_can_tell_less_of_a_clips_version(emulator, link, validators, shown):
    emulator.configure(clip_validators=validators)
    headers = browser.get(link).headers
    assert ("ETag" in headers, "Last-Modified" in headers) == shown


def test_a_weak_etag_allows_no_part(emulator, link):
    emulator.configure(clip_validators="weak")
    etag = browser.get(link).headers["ETag"]
    assert etag.startswith('W/"')
    assert browser.get(link, headers={"Range": "bytes=5-", "If-Range": etag}).status_code == 200


def test_what_a_host_does_not_show_allows_no_part(emulator, link):
    etag = browser.get(link).headers["ETag"]
    emulator.configure(clip_validators="none")
    assert browser.get(link, headers={"Range": "bytes=5-", "If-Range": etag}).status_code == 200
    assert browser.get(link, headers={"Range": "bytes=5-"}).status_code == 206


def test_a_clip_can_come_without_its_length(emulator, link):
    whole = browser.get(link)
    emulator.configure(clip_chunked=True)
    for headers in ({}, {"Range": "bytes=5-"}):
        answer = browser.get(link, headers=headers)
        assert "Content-Length" not in answer.headers
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert whole.content.endswith(answer.content)


def test_another_rendition_of_the_same_size_is_another_file(emulator, link):
    emulator.configure(clip_bytes=500_000)
    old = browser.get(link)
    emulator.configure(clip_rendition=1)
    new = browser.get(link)
    assert len(new.content) == len(old.content)
    assert new.content != old.content
    for name in ("ETag", "Last-Modified"):
        assert new.headers[name] != old.headers[name]
        condition = {"Range": "bytes=5-", "If-Range": old.headers[name]}
        assert browser.get(link, headers=condition).content == new.content


HOW_RANGES_GO = {
    "served": (206, "bytes 5-9/{size}", slice(5, 10)),
    "ignored": (200, None, slice(None)),
    "shifted": (206, "bytes 6-9/{size}", slice(6, 10)),
    "untold": (206, None, slice(5, 10)),
    "other_size": (206, "bytes 5-9/{size_and_one}", slice(5, 10)),
}


@pytest.mark.parametrize(("ranges", "given"), HOW_RANGES_GO.items(), ids=HOW_RANGES_GO.keys())
def test_a_host_can_get_ranges_wrong(emulator, link, ranges, given):
    whole = browser.get(link).content
    emulator.configure(ranges=ranges)
    part = browser.get(link, headers={"Range": "bytes=5-9"})
    status, content_range, where = given
    content_range = content_range and content_range.format(size=len(whole), size_and_one=len(whole) + 1)
    assert (part.status_code, part.headers.get("Content-Range"), part.content) == (status, content_range, whole[where])


def test_a_link_expires(minimax, emulator):
    emulator.configure(url_seconds=0)
    answer = browser.get(minimax.buy_link())
    assert answer.status_code == 403
    assert "Request has expired" in answer.text


def test_a_link_lives_for_an_hour(link):
    expires = int(httpx.URL(link).params["Expires"])
    assert 3590 < expires - time.time() <= 3600


@pytest.mark.parametrize("name", ["Expires", "Nonce", "Signature"])
def test_a_link_with_a_changed_byte_is_refused(link, name):
    changed = httpx.URL(link).copy_set_param(name, "1999999999")
    assert browser.get(changed).status_code == 403


def test_a_link_is_signed_for_get_alone(link):
    assert browser.head(link).status_code == 403


def test_every_retrieve_gives_a_fresh_link(minimax):
    file_id = minimax.finish(minimax.buy())["file_id"]
    links = {minimax.retrieve(file_id)["file"]["download_url"] for _ in range(3)}
    assert len(links) == 3
    assert {browser.get(link).status_code for link in links} == {200}


def test_a_clip_that_was_forgotten_is_not_found(emulator, link):
    emulator.reset()
    assert browser.get(link).status_code == 404
    assert emulator.requests[-1]["platform"] is None


def test_redirects_can_stand_before_the_clip(emulator, link):
    emulator.configure(redirects=3)
    answer = browser.get(link, follow_redirects=True)
    assert [step.status_code for step in answer.history] == [302, 302, 302]
    assert answer.status_code == 200


def test_a_download_can_be_sent_elsewhere(emulator, link):
    emulator.configure(redirect_to="http://169.254.169.254/latest/meta-data/")
    assert browser.get(link).headers["Location"] == "http://169.254.169.254/latest/meta-data/"


def test_a_key_shown_to_the_storage_is_written_down(emulator, link):
    browser.get(link, headers={"Authorization": "Bearer oops"})
    assert emulator.requests[-1]["had_authorization"] is True
