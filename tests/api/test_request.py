"""The request's types, the catalogue's rules and the images' checks: all before anything is sent."""

from __future__ import annotations

import base64
import json
import struct
import sys
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image

from airflow_provider_minimax.api import catalogue, clip_rules
from airflow_provider_minimax.api.cost import ListPrice
from airflow_provider_minimax.api.files.mp4 import seconds_of
from airflow_provider_minimax.api.inputs.content import FileBytes, FileContent
from airflow_provider_minimax.api.inputs.images import V2_PICTURES, with_images
from airflow_provider_minimax.api.inputs.media import with_media
from airflow_provider_minimax.api.request import Mode, VideoRequest
from airflow_provider_minimax.emulator.clips import film
from airflow_provider_minimax.exceptions import MinimaxRequestError

FRAME = "https://files.example/frame.jpg"
CLIP, SOUND = "https://files.example/clip.mp4", "https://files.example/sound.mp3"
MEDIA = {
    Mode.TEXT: {},
    Mode.FIRST_FRAME: {"first_frame_image": FRAME},
    Mode.FIRST_AND_LAST_FRAME: {"first_frame_image": FRAME, "last_frame_image": FRAME},
    Mode.SUBJECT_REFERENCE: {"subject_reference": FRAME},
    Mode.REFERENCE: {"reference_images": [FRAME]},
}
H3 = {"model": "MiniMax-H3", "prompt": "a cat", "resolution": "768P", "duration": 5, "ratio": "16:9"}


def problems(**fields) -> list[str]:
    return clip_rules.validate(VideoRequest.of(fields)).problems


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
        ({"reference_images": FRAME}, Mode.REFERENCE),
        ({"reference_videos": [CLIP, CLIP]}, Mode.REFERENCE),
        ({"reference_images": []}, Mode.TEXT),
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
        ({"model": "MiniMax-Hailuo-2.3", "prompt": "p", "ratio": "16:9"}, "ratio: MiniMax-Hailuo-2.3 does not take it"),
        (
            {"model": "MiniMax-Hailuo-2.3", "prompt": "p", "reference_images": [FRAME]},
            "reference_images: MiniMax-Hailuo-2.3 takes none; use MiniMax-H3, MiniMax-H3-Max",
        ),
        (H3 | {"prompt": None}, "prompt: missing"),
        (H3 | {"prompt": None} | MEDIA[Mode.FIRST_FRAME], "prompt: missing; MiniMax-H3 needs it in first-frame mode"),
        (H3 | {"prompt": "x" * 7001}, "prompt: has 7001 characters, MiniMax-H3 takes 7000"),
        (H3 | {"resolution": None}, "resolution: missing; MiniMax-H3 needs it in text mode: give 768P or 2K"),
        (H3 | {"resolution": "1080P"}, "resolution='1080P': MiniMax-H3 in text mode takes 768P, 2K"),
        (H3 | {"duration": None}, "duration: missing; MiniMax-H3 needs it in text mode: give 4 to 15 seconds"),
        (H3 | {"duration": 3}, "duration=3: MiniMax-H3 in text mode takes 4 to 15 seconds at 768P"),
        (H3 | {"model": "MiniMax-H3-Max", "duration": 4}, "takes 5 to 15 seconds"),
        (H3 | {"ratio": None}, "ratio: missing; MiniMax-H3 needs it in text mode: give 21:9 or"),
        (H3 | {"ratio": "adaptive"}, "ratio='adaptive': MiniMax-H3 in text mode takes 21:9, "),
        (H3 | {"ratio": "2:1"} | MEDIA[Mode.REFERENCE], "ratio='2:1': MiniMax-H3 in reference mode takes adaptive, "),
        (H3 | {"model": "MiniMax-H3-Lite", "ratio": None} | MEDIA[Mode.REFERENCE], "ratio: missing; MiniMax-H3-Lite"),
        (H3 | {"prompt_optimizer": False}, "prompt_optimizer: MiniMax-H3 does not take it"),
        (H3 | {"extra": {"prompt_expansion_mode": "quality"}}, "extra: MiniMax-H3 does not take it"),
        (H3 | {"model": "MiniMax-H3-Max", "extra": {"seed": 1}}, "extra: MiniMax-H3-Max has no key 'seed' there"),
        (
            H3 | {"model": "MiniMax-H3-Max", "extra": {"prompt_expansion_mode": "balance"}},
            "extra: prompt_expansion_mode='balance': must be disabled or balanced or quality",
        ),
        (H3 | {"subject_reference": FRAME}, "subject_reference: MiniMax-H3 takes none; use S2V-01"),
        (H3 | MEDIA[Mode.FIRST_FRAME] | MEDIA[Mode.REFERENCE], "first_frame_image and reference_images: exclude each"),
        (H3 | {"reference_audios": [SOUND]}, "reference_audios: must not be the only references"),
        (H3 | {"reference_images": [FRAME] * 10}, "reference_images: has 10 of them; the API takes 9"),
        (H3 | {"reference_videos": [CLIP] * 4}, "reference_videos: has 4 of them; the API takes 3"),
        (
            H3 | {"reference_images": [FRAME] * 8, "reference_videos": [CLIP] * 3, "reference_audios": [SOUND] * 2},
            "reference_images and reference_videos and reference_audios: are 13 together; the API takes 12",
        ),
    ],
)
def test_what_the_api_would_refuse_is_found_before_paying(fields, said):
    assert any(said in found for found in problems(**fields))


def test_all_mistakes_are_reported_at_once():
    assert len(problems(model="S2V-01", subject_reference=FRAME, duration=6, resolution="768P")) == 2


@pytest.mark.parametrize("model", catalogue.models().values(), ids=lambda model: model.name)
def test_everything_that_the_catalogue_lists_passes(model):
    for mode, limits in model.modes.items():
        base = {"model": model.name, "prompt": "p", **MEDIA[mode]}
        assert limits.required or problems(**base) == []
        for resolution, lengths in limits.resolutions.items():
            for length in lengths:
                for ratio in limits.ratios or (None,):
                    assert problems(**base, resolution=resolution, duration=length, ratio=ratio) == []


def test_an_unknown_model_passes_with_a_warning():
    report = clip_rules.validate(VideoRequest.of({"model": "MiniMax-Hailuo-3", "prompt": "p", "resolution": "8K"}))
    assert report.problems == []
    assert "is not in the catalogue" in report.warnings[0]


def test_a_last_frame_alone_is_allowed_with_a_warning():
    report = clip_rules.validate(VideoRequest.of({"model": "MiniMax-Hailuo-02", "last_frame_image": FRAME}))
    assert report.problems == []
    assert "without first_frame_image" in report.warnings[0]


def test_a_last_frame_alone_is_a_mode_of_h3():
    report = clip_rules.validate(VideoRequest.of(H3 | {"last_frame_image": FRAME, "ratio": "adaptive"}))
    assert (report.problems, report.warnings) == ([], [])


def test_a_ratio_that_the_frame_overrules_is_allowed_with_a_warning():
    report = clip_rules.validate(VideoRequest.of(H3 | {"first_frame_image": FRAME}))
    assert report.problems == []
    assert "ratio='16:9' will be ignored" in report.warnings[0]


def test_what_h3_needs_may_be_a_template():
    request = VideoRequest.of({"model": "MiniMax-H3"})
    assert (
        clip_rules.validate(request, unresolved=frozenset({"prompt", "resolution", "duration", "ratio"})).problems == []
    )


def test_rules_that_need_a_value_that_is_not_known_yet_are_left_for_later():
    request = VideoRequest.of({"model": "I2V-01", "resolution": "720P"})
    assert clip_rules.validate(request, unresolved=frozenset({"first_frame_image", "prompt"})).problems == []


def test_a_known_wrong_literal_is_found_although_another_field_is_a_template():
    request = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "resolution": "1080P", "duration": 10})
    assert "duration=10" in clip_rules.validate(request, unresolved=frozenset({"prompt"})).problems[0]


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


@pytest.mark.parametrize(
    ("fields", "usd", "cny"),
    [
        ({}, "0.40", "2.50"),
        ({"resolution": "2K", "duration": 15}, "1.95", "12.00"),
        ({"first_frame_image": FRAME}, "0.40", "2.50"),
        ({"reference_images": [FRAME] * 7}, "0.48", None),
        ({"reference_images": [FRAME], "reference_videos": [CLIP]}, None, None),
        ({"reference_images": [FRAME], "reference_audios": [SOUND]}, "0.40", "2.50"),
        ({"model": "MiniMax-H3-Max", "resolution": "480P"}, "0.25", None),
        ({"model": "MiniMax-H3-Lite"}, None, None),
    ],
)
def test_a_clip_of_h3_lists_by_the_second_where_all_of_its_price_is_known(fields, usd, cny):
    for currency, amount in (("usd", usd), ("cny", cny)):
        listed = catalogue.list_price(VideoRequest.of(H3 | fields), currency=currency)
        assert (listed and listed.amount) == (amount and Decimal(amount))


def test_an_option_that_a_page_leaves_out_and_the_model_takes_in_other_modes_is_a_warning():
    """Novita's page has it between two frames too."""
    fields = {"model": "MiniMax-Hailuo-02", "prompt": "p", "fast_pretreatment": True}
    between = clip_rules.validate(VideoRequest.of(fields | MEDIA[Mode.FIRST_AND_LAST_FRAME]))
    assert between.problems == []
    (warning,) = between.warnings
    assert "fast_pretreatment: MiniMax's page on first-and-last-frame mode does not name it" in warning


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"resolution": "2K"}, "resolution='2K': MiniMax-H3-Highspeed in text mode takes 768P"),
        ({"duration": 20}, "duration=20"),
        ({"ratio": "2:1"}, "ratio='2:1'"),
        ({"extra": {"prompt_expansion_mode": "quality"}}, "extra: MiniMax-H3-Highspeed does not take it"),
    ],
)
def test_limits_known_from_third_parties_are_warnings_and_minimaxs_own_are_refusals(choice, said):
    second_hand = clip_rules.validate(
        VideoRequest.of(H3 | {"model": "MiniMax-H3-Highspeed", "resolution": "768P"} | choice)
    )
    assert second_hand.problems == []
    assert any(said in warning for warning in second_hand.warnings)
    assert choice == {"resolution": "2K"} or clip_rules.validate(VideoRequest.of(H3 | choice)).problems


@pytest.mark.parametrize(
    ("input_seconds", "usd", "cny"), [(7.2, "1.04", "6.50"), (8, "1.04", "6.50"), (8.01, "1.12", "7.00")]
)
def test_reference_videos_list_by_their_own_seconds_rounded_up_at_the_clips_rate(input_seconds, usd, cny):
    request = VideoRequest.of(H3 | {"resolution": "768P", "duration": 5, "reference_videos": [CLIP, CLIP]})
    for currency, amount in (("usd", usd), ("cny", cny)):
        listed = catalogue.list_price(request, currency=currency, input_seconds=input_seconds)
        assert listed.amount == Decimal(amount)


def film_of(units: int, length: int, *, version: int = 0, before: bytes = b"") -> bytes:
    """A film's movie header, behind other boxes."""
    times = struct.pack(">IIII" if version == 0 else ">QQIQ", 0, 0, units, length)
    header = struct.pack(">I4s4s", 12 + len(times), b"mvhd", bytes([version, 0, 0, 0])) + times
    movie = struct.pack(">I4s", 8 + len(header), b"moov") + header
    return struct.pack(">I4s8s", 16, b"ftyp", b"isom") + before + movie


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (film_of(1000, 7200), 7.2),
        (film_of(600, 3000, version=1), 5.0),
        (film_of(1000, 7200, before=struct.pack(">I4s4s", 12, b"free", b"")), 7.2),
        (film_of(1000, 7200, before=struct.pack(">I4sQ4s", 1, b"mdat", 20, b"")), 7.2),
        (film_of(0, 7200), None),
        (film_of(1000, 0), None),
        (film_of(1000, 7200)[:-3], None),
        (film_of(1000, 7200, before=struct.pack(">I4s", 0, b"mdat")), None),
        (film_of(1000, 7200, before=struct.pack(">I4s", 7, b"mdat")), None),
        (b"", None),
        (b"\x00" * 5000, None),
    ],
)
def test_the_length_of_a_film_is_read_from_its_header(data, seconds):
    assert seconds_of(BytesIO(data), len(data)) == seconds


def test_the_length_of_a_real_film_is_read():
    data = film("768P", 6)
    assert seconds_of(BytesIO(data), len(data)) == pytest.approx(5.875, abs=0.2)


def test_a_reference_video_that_lies_here_is_measured_before_the_clip_is_bought():
    def listed(*videos) -> Decimal | None:
        request = VideoRequest.of(H3 | {"resolution": "768P", "duration": 5})
        price = catalogue.list_price(request.model_copy(update={"reference_videos": videos}))
        return price and price.amount

    video = FileContent("video/mp4", FileBytes(film_of(1000, 3600)))
    assert listed(video) == Decimal("0.72")
    assert listed(video, video) == Decimal("1.04")
    assert listed(video, CLIP) is None
    assert listed(FileContent("video/mp4", FileBytes(b"no film"))) is None


def test_a_clip_that_is_not_listed_has_no_price():
    assert catalogue.list_price(VideoRequest.of({"model": "T2V-01", "prompt": "p"})) is None


# -- images ------------------------------------------------------------------------------------------------------------


def sent(source: str | FileContent) -> str:
    return b"".join(source.blocks()).decode() if isinstance(source, FileContent) else source


def prepared(source: str, data: bytes = b"", **options) -> str:
    request = VideoRequest.of({"model": "I2V-01", "first_frame_image": source})
    return sent(with_images(request, lambda path: BytesIO(data), **options).first_frame_image)


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
        ("/a.jpg", picture() + bytes(25_000_000), "is too large; the API takes less than 20 MB"),
        ("/a.jpg", b"%PDF-1.7 not a picture", "is PDF; the API takes JPG, PNG and WebP"),
        ("/a.gif", picture(kind="GIF"), "is GIF; the API takes JPG, PNG and WebP"),
        ("/a.jpg", picture(100, 100), "is 100 x 100 px; the short side must be at least 301 px"),
        ("/a.jpg", picture(300, 400), "short side must be at least 301 px"),
        ("/a.jpg", picture(1000, 320), "width to height must be from 2:5 to 5:2"),
        ("/a.jpg", picture(320, 1000), "width to height must be from 2:5 to 5:2"),
        (data_url(b"nonsense"), b"", "is no picture that can be read"),
        (data_url(picture(100, 100)), b"", "is 100 x 100 px"),
        ("data:image/jpeg;base64,@@@", b"", "its base64 cannot be decoded"),
        ("data:application/pdf;base64,AAAA", b"", "must begin with data:image/"),
    ],
)
def test_a_picture_that_breaks_a_rule_is_refused_by_the_fields_name(source, data, said):
    with pytest.raises(MinimaxRequestError) as raised:
        prepared(source, data)
    assert "first_frame_image" in str(raised.value)
    assert said in str(raised.value)


def test_a_file_that_cannot_be_read_is_named():
    def missing(path):
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


# -- what H3 takes besides ---------------------------------------------------------------------------------------------

MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(100)
MOV = b"\x00\x00\x00\x14ftypqt  " + bytes(100)
WAV = b"RIFF\x00\x00\x00\x00WAVE" + bytes(100)
MP3 = b"ID3\x04" + bytes(100)
HEIC = b"\x00\x00\x00\x10ftypheic\0\0\0\0" + b"\0\0\0\x6cmdat" + bytes(100)


def carried(field: str, source: str, data: bytes = b"", **options) -> str:
    request = VideoRequest.of(H3 | {field: [source]})
    return sent(getattr(with_media(request, lambda path: BytesIO(data), rules=V2_PICTURES, **options), field)[0])


@pytest.mark.parametrize(
    ("field", "data", "media_type"),
    [
        ("reference_images", picture(), "image/jpeg"),
        ("reference_images", picture(256, 256, "PNG"), "image/png"),
        ("reference_images", HEIC, "image/heic"),
        ("reference_videos", MP4, "video/mp4"),
        ("reference_videos", MOV, "video/quicktime"),
        ("reference_audios", WAV, "audio/wav"),
        ("reference_audios", MP3, "audio/mp3"),
        ("reference_audios", b"\xff\xfb\x90" + bytes(100), "audio/mp3"),
    ],
)
def test_a_reference_becomes_a_data_url_of_the_type_that_its_content_has(field, data, media_type):
    assert carried(field, "/media/a.bin", data) == data_url(data, media_type)


@pytest.mark.parametrize("field", ["reference_images", "reference_videos", "reference_audios"])
def test_what_is_elsewhere_is_passed_on_unread(field):
    for source in (CLIP, "mm_file://424010985738629"):
        assert carried(field, source) == source


@pytest.mark.parametrize(
    ("field", "source", "data", "said"),
    [
        ("reference_images", "/a.png", picture(200, 300), "short side must be at least 256 px"),
        ("reference_images", "/a.png", picture(5761, 3000), "long side must be at most 5760 px"),
        ("reference_images", "/a.png", bytes(30_000_001), "is too large; the API takes at most 30 MB"),
        ("reference_videos", "/a.avi", b"RIFF....AVI " + bytes(50), "is no video in a format that the API takes: MP4"),
        ("reference_videos", "/a.mp4", MP4 + bytes(50_000_000), "is too large; the API takes at most 50 MB"),
        ("reference_videos", data_url(MP3, "audio/mp3"), b"", "must begin with data:video/"),
        ("reference_audios", "/a.ogg", b"OggS" + bytes(50), "is no audio in a format that the API takes: WAV"),
        ("reference_audios", "/a.mp3", MP3 + bytes(15_000_000), "is too large; the API takes at most 15 MB"),
    ],
)
def test_a_reference_that_breaks_a_rule_is_refused_by_its_place_in_the_list(field, source, data, said):
    with pytest.raises(MinimaxRequestError) as raised:
        carried(field, source, data)
    assert f"{field}[0]" in str(raised.value)
    assert said in str(raised.value)


def test_a_request_that_would_be_too_long_is_refused_and_says_the_way_out():
    with pytest.raises(MinimaxRequestError, match=r"reference_videos\[0\]: make the request 6\d MB long.*or as a path"):
        carried("reference_videos", data_url(MP4 + bytes(49_000_000), "video/mp4"), uploads=True)


def test_a_file_that_cannot_be_uploaded_counts_as_part_of_the_request():
    with pytest.raises(
        MinimaxRequestError, match=r"reference_videos\[0\]: make the request 6\d MB long.*a public URL\."
    ):
        carried("reference_videos", "/a.mp4", MP4 + bytes(49_000_000))


def test_a_file_makes_no_request_too_long_because_it_can_be_uploaded():
    assert carried("reference_videos", "/a.mp4", MP4 + bytes(49_000_000), uploads=True)


def test_checks_of_references_can_be_switched_off():
    assert carried("reference_videos", "/a.mov", b"whatever", check=False) == data_url(b"whatever", "video/quicktime")
    assert carried("reference_audios", "/a", b"whatever", check=False) == data_url(b"whatever", "audio/mp3")
