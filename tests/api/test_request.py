"""The request's types, the catalogue's rules and the images' checks: all before anything is sent."""

from __future__ import annotations

import base64
import json
import sys
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image

from airflow_provider_minimax.api import catalogue
from airflow_provider_minimax.api.cost import ListPrice
from airflow_provider_minimax.api.images import with_images
from airflow_provider_minimax.api.request import Mode, VideoRequest
from airflow_provider_minimax.exceptions import MinimaxRequestError

FRAME = "https://files.example/frame.jpg"


def problems(**fields) -> list[str]:
    return catalogue.check(VideoRequest.of(fields)).problems


def picture(width=640, height=480, kind="JPEG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, kind)
    return buffer.getvalue()


def data_url(data: bytes, media_type="image/jpeg") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


# -- types -------------------------------------------------------------------------------------------------------------


def test_rendered_templates_are_read_as_what_they_mean():
    request = VideoRequest.of(
        {"model": "M", "prompt": "p", "duration": "10", "resolution": "768p", "prompt_optimizer": "false"}
    )
    assert (request.duration, request.resolution, request.prompt_optimizer) == (10, "768P", False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "M", "prompt": ""}, "prompt='': must not be empty"),
        ({"model": "M", "prompt": "   "}, "must not be empty"),
        ({"model": "", "prompt": "p"}, "model='': must not be empty"),
        ({"model": "M", "first_frame_image": ""}, "first_frame_image='': must not be empty"),
        ({"model": "M", "prompt": "p", "duration": "six"}, "duration='six': should be a valid integer"),
        ({"model": "M", "prompt": "p", "prompt_optimizer": "perhaps"}, "prompt_optimizer='perhaps'"),
        ({"model": "M", "prompt": "p", "colour": "red"}, "colour='red'"),
        ({"model": "M", "subject_reference": [FRAME, FRAME]}, "must be one image, or the API's list"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_field_and_rule(fields, said):
    with pytest.raises(MinimaxRequestError) as raised:
        VideoRequest.of(fields)
    assert said in str(raised.value)
    assert "Nothing was bought." in str(raised.value)


def test_an_error_never_shows_an_image():
    with pytest.raises(MinimaxRequestError) as raised:
        VideoRequest.of({"model": "M", "prompt": {"image": data_url(picture())}})
    assert base64.b64encode(picture())[:20].decode() not in str(raised.value)


def test_a_request_does_not_show_its_images():
    assert "base64" not in repr(VideoRequest.of({"model": "M", "first_frame_image": data_url(picture())}))


@pytest.mark.parametrize(
    ("images", "mode"),
    [
        ({}, Mode.TEXT),
        ({"first_frame_image": FRAME}, Mode.FIRST_FRAME),
        ({"first_frame_image": FRAME, "last_frame_image": FRAME}, Mode.FIRST_AND_LAST_FRAME),
        ({"last_frame_image": FRAME}, Mode.FIRST_AND_LAST_FRAME),
        ({"subject_reference": FRAME}, Mode.SUBJECT_REFERENCE),
    ],
)
def test_the_mode_follows_from_the_images(images, mode):
    assert VideoRequest.of({"model": "M"} | images).mode is mode


# -- the catalogue -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "MiniMax-Hailuo-2.3"}, "prompt: missing"),
        ({"model": "MiniMax-Hailuo-2.3", "prompt": "x" * 2001}, "prompt: has 2001 characters"),
        ({"model": "MiniMax-Hailuo-2.3", "prompt": "p", "resolution": "4K"}, "takes 768P, 1080P"),
        (
            {"model": "MiniMax-Hailuo-2.3", "prompt": "p", "resolution": "1080P", "duration": 10},
            "duration=10: MiniMax-Hailuo-2.3 in text mode takes 6 seconds at 1080P",
        ),
        ({"model": "MiniMax-Hailuo-2.3", "prompt": "p", "duration": 7}, "takes 6 or 10 seconds at 768P (its default"),
        ({"model": "I2V-01", "prompt": "p"}, "first_frame_image: missing; I2V-01 needs it"),
        ({"model": "MiniMax-Hailuo-2.3-Fast", "prompt": "p"}, "first_frame_image: missing"),
        ({"model": "T2V-01", "prompt": "p", "first_frame_image": FRAME}, "first_frame_image: T2V-01 takes none"),
        (
            {"model": "MiniMax-Hailuo-2.3", "prompt": "p", "first_frame_image": FRAME, "last_frame_image": FRAME},
            "last_frame_image: MiniMax-Hailuo-2.3 takes none; use MiniMax-Hailuo-02",
        ),
        (
            {"model": "MiniMax-Hailuo-02", "prompt": "p", "subject_reference": FRAME},
            "subject_reference: MiniMax-Hailuo-02 takes none; use S2V-01",
        ),
        ({"model": "S2V-01", "prompt": "p"}, "subject_reference: missing; S2V-01 needs it"),
        ({"model": "S2V-01", "subject_reference": FRAME, "first_frame_image": FRAME}, "exclude each other"),
        ({"model": "S2V-01", "subject_reference": FRAME, "duration": 6}, "has no such field"),
        (
            {"model": "MiniMax-Hailuo-02", "prompt": "p", "resolution": "512P"},
            "512P only in first-frame mode",
        ),
        ({"model": "T2V-01", "prompt": "p", "fast_pretreatment": True}, "fast_pretreatment: T2V-01 does not take it"),
        ({"model": "T2V-01", "prompt": "p", "callback_url": "me"}, "callback_url: must be an http(s) URL"),
    ],
)
def test_what_the_api_would_refuse_is_found_before_paying(fields, said):
    assert any(said in found for found in problems(**fields))


def test_everything_wrong_is_told_at_once():
    assert len(problems(model="S2V-01", subject_reference=FRAME, duration=6, resolution="768P")) == 2


@pytest.mark.parametrize("model", catalogue.models().values(), ids=lambda model: model.name)
def test_everything_that_the_catalogue_lists_passes(model):
    images = {
        Mode.TEXT: {},
        Mode.FIRST_FRAME: {"first_frame_image": FRAME},
        Mode.FIRST_AND_LAST_FRAME: {"first_frame_image": FRAME, "last_frame_image": FRAME},
        Mode.SUBJECT_REFERENCE: {"subject_reference": FRAME},
    }
    for mode, limits in model.modes.items():
        assert problems(model=model.name, prompt="p", **images[mode]) == []
        for resolution, lengths in limits.resolutions.items():
            for length in lengths:
                fields = images[mode] | {"resolution": resolution, "duration": length}
                assert problems(model=model.name, prompt="p", **fields) == []


def test_an_unknown_model_passes_with_a_warning():
    findings = catalogue.check(VideoRequest.of({"model": "MiniMax-Hailuo-3", "prompt": "p", "resolution": "8K"}))
    assert findings.problems == []
    assert "is not in the catalogue" in findings.warnings[0]


def test_a_last_frame_alone_is_allowed_with_a_warning():
    findings = catalogue.check(VideoRequest.of({"model": "MiniMax-Hailuo-02", "last_frame_image": FRAME}))
    assert findings.problems == []
    assert "without first_frame_image" in findings.warnings[0]


def test_rules_that_need_a_value_that_is_not_known_yet_are_left_for_later():
    request = VideoRequest.of({"model": "I2V-01", "resolution": "720P"})
    assert catalogue.check(request, later=frozenset({"first_frame_image", "prompt"})).problems == []


def test_a_known_wrong_literal_is_found_although_another_field_is_a_template():
    request = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "resolution": "1080P", "duration": 10})
    assert "duration=10" in catalogue.check(request, later=frozenset({"prompt"})).problems[0]


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"model": "MiniMax-Hailuo-2.3"}, "0.28 USD"),
        ({"model": "MiniMax-Hailuo-2.3", "resolution": "1080P"}, "0.49 USD"),
        ({"model": "MiniMax-Hailuo-02", "first_frame_image": FRAME, "resolution": "512P", "duration": 10}, "0.15 USD"),
    ],
)
def test_a_clips_list_price_is_known_with_its_date(fields, price):
    listed = catalogue.list_price(VideoRequest.of(fields | {"prompt": "p"}))
    assert str(listed) == f"{price} (list price, read 2026-07-10)"


@pytest.mark.parametrize(("currency", "amount"), [("usd", Decimal("0.28")), ("cny", Decimal("2.00"))])
def test_a_list_price_is_exact_and_in_the_currency_that_was_asked_for(currency, amount):
    request = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "p"})
    assert catalogue.list_price(request, currency=currency) == ListPrice(amount, currency.upper(), date(2026, 7, 10))


def test_a_list_price_in_json_says_that_it_is_no_bill():
    listed = catalogue.list_price(VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "p"}))
    assert json.dumps(listed.as_dict()) == (
        '{"amount": 0.28, "currency": "USD", "kind": "list price", "read": "2026-07-10"}'
    )


def test_a_clip_that_is_not_listed_has_no_price():
    assert catalogue.list_price(VideoRequest.of({"model": "T2V-01", "prompt": "p"})) is None


# -- images ------------------------------------------------------------------------------------------------------------


def prepared(source: str, data: bytes = b"", **options) -> str:
    request = VideoRequest.of({"model": "I2V-01", "first_frame_image": source})
    return with_images(request, lambda path, limit: data[:limit], **options).first_frame_image


@pytest.mark.parametrize(("kind", "media_type"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp")])
def test_a_file_becomes_a_data_url_of_the_type_that_its_content_has(kind, media_type):
    assert prepared("/pictures/a.bin", picture(kind=kind)).startswith(f"data:image/{media_type};base64,")


def test_a_url_is_passed_on_unread():
    assert prepared(FRAME) == FRAME


def test_a_good_data_url_is_passed_on():
    assert prepared(data_url(picture())) == data_url(picture())


@pytest.mark.parametrize(
    ("source", "data", "said"),
    [
        ("/a.jpg", picture() + bytes(25_000_000), "has 20 MB or more"),
        ("/a.jpg", b"%PDF-1.7 not a picture", "is no picture that can be read"),
        ("/a.gif", picture(kind="GIF"), "is GIF; the API takes JPG, PNG and WebP"),
        ("/a.jpg", picture(100, 100), "is 100 x 100 px; the short side must be more than 300 px"),
        ("/a.jpg", picture(300, 400), "short side must be more than 300 px"),
        ("/a.jpg", picture(1000, 320), "width to height must be from 2:5 to 5:2"),
        ("/a.jpg", picture(320, 1000), "width to height must be from 2:5 to 5:2"),
        (data_url(b"nonsense"), b"", "is no picture that can be read"),
        (data_url(picture(100, 100)), b"", "is 100 x 100 px"),
        (data_url(picture(kind="PNG")), b"", "says image/jpeg but holds image/png"),
        ("data:image/jpeg;base64,@@@", b"", "is not valid base64"),
        ("data:application/pdf;base64,AAAA", b"", "must begin with data:image/"),
    ],
)
def test_a_picture_that_breaks_a_rule_is_refused_by_the_fields_name(source, data, said):
    with pytest.raises(MinimaxRequestError) as raised:
        prepared(source, data)
    assert "first_frame_image" in str(raised.value)
    assert said in str(raised.value)


def test_a_file_that_cannot_be_read_is_named():
    def missing(path, limit):
        raise FileNotFoundError(path)

    with pytest.raises(MinimaxRequestError, match="'/nowhere.png': cannot be read: FileNotFoundError"):
        with_images(VideoRequest.of({"model": "I2V-01", "first_frame_image": "/nowhere.png"}), missing)


def test_checks_of_pictures_can_be_switched_off():
    assert prepared("/a.png", b"whatever", check=False) == data_url(b"whatever", "image/png")


def test_without_pillow_a_file_is_refused_rather_than_sent_unchecked(monkeypatch):
    data = picture()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MinimaxRequestError, match=r"airflow-provider-minimax\[images\]"):
        prepared("/a.jpg", data)
