"""Which clips can be re-rendered in 2K, as far as the file shows it before anything is paid."""

from __future__ import annotations

import base64
from io import BytesIO

import pytest

from airflow_provider_minimax.api.h3_requests import RegenerationRequest
from airflow_provider_minimax.api.inputs.base_video import unfit_for_regeneration
from airflow_provider_minimax.api.inputs.media import with_media
from airflow_provider_minimax.emulator.clips import film, film_v2
from airflow_provider_minimax.exceptions import MinimaxRequestError
from tests.media.films import encode, moving

GOOD = film_v2("768P", 5)


@pytest.mark.parametrize("seconds", [4, 9, 15])
def test_a_768p_clip_can_be_re_rendered(seconds):
    assert unfit_for_regeneration(BytesIO(film_v2("768P", seconds))) == []


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (film("768P", 6), ["it has no sound track", "both sides must be multiples of 32", "its area must be from"]),
        (film_v2("2K", 5), ["it is 2560 x 1440 px, and its area must be from 768 x 768 to 768 x 1344"]),
        (film_v2("480P", 5), ["it is 832 x 480 px, and its area must be from 768 x 768 to 768 x 1344"]),
        (
            encode(moving((768, 768), 30), fps=25),
            ["it has no sound track", "it has 25 frames per second, and must have 24", "it has 30 frames"],
        ),
        (b"\x00\x00\x00\x20ftypisom" + bytes(64), ["it cannot be decoded"]),
    ],
    ids=["Hailuo", "2K", "480P", "other", "broken"],
)
def test_all_that_keeps_a_clip_from_it_is_said(clip, said):
    found = unfit_for_regeneration(BytesIO(clip))
    for reason in said:
        assert any(reason in one for one in found), found


def prepared(base_video: str, content: bytes = b"", **options) -> RegenerationRequest:
    request = RegenerationRequest.of({"model": "MiniMax-H3", "prompt": "a boat", "base_video": base_video})
    return with_media(request, reader(content), **options)


def test_a_clip_that_is_a_path_is_read_checked_and_sent():
    assert prepared("/data/768p.mp4", GOOD).base_video


@pytest.mark.parametrize("address", ["https://files.example/768p.mp4", "mm_file://424010985738629"])
def test_a_clip_that_lies_elsewhere_is_left_to_the_platform(address):
    assert prepared(address).base_video == address


@pytest.mark.parametrize("content", [film_v2("2K", 4), GOOD[:4] + b"ftypqt  " + GOOD[12:], b"text"])
def test_a_clip_that_cannot_be_re_rendered_is_refused_before_anything_is_paid(content):
    with pytest.raises(MinimaxRequestError, match="base_video='/data/clip.mp4': ") as raised:
        prepared("/data/clip.mp4", content)
    assert raised.value.billing == "Nothing was bought."
    assert prepared("/data/clip.mp4", content, check=False).base_video


def test_so_is_one_in_a_data_url():
    url = "data:video/mp4;base64," + base64.b64encode(film_v2("480P", 4)).decode()
    with pytest.raises(MinimaxRequestError, match="its area must be from"):
        prepared(url)


def test_without_pyav_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MinimaxRequestError, match=r"\[media\], or send it unchecked with validate=False"):
        prepared("/data/768p.mp4", GOOD)


def reader(content: bytes):
    return lambda path: BytesIO(content)
