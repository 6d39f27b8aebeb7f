"""What people and their tools write is taken for what they mean, and what cannot be meant is named before paying."""

from __future__ import annotations

import base64
import io
import random
import re
import struct
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
from PIL import Image, ImageFile

from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.inputs.data_urls import UnreadableDataUrlError, read_data_url
from airflow_provider_minimax.api.inputs.images import V1_PICTURES, V2_PICTURES
from airflow_provider_minimax.api.inputs.media import with_media
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.purchases.fingerprint import describe_request, fingerprint_of

NOISE = Image.effect_noise((400, 400), 60).convert("RGB")


def saved(kind: str = "JPEG", picture: Image.Image = NOISE, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


PICTURE = saved()
TEXT = base64.b64encode(PICTURE).decode()
WRAPPED = base64.encodebytes(PICTURE).decode()
PLAIN = f"data:image/jpeg;base64,{TEXT}"


def request(source: Any, model: str = "MiniMax-Hailuo-02") -> VideoRequest:
    return VideoRequest.of({"model": model, "prompt": "a boat", "first_frame_image": source})


def sent(source: Any, data: bytes = b"", **options: Any) -> str:
    """What is sent as the first frame."""
    found = with_media(request(source), lambda path: io.BytesIO(data), **options).first_frame_image
    return b"".join(found.blocks()).decode() if isinstance(found, FileContent) else str(found)


def refusal(source: Any, data: bytes = b"", **options: Any) -> str:
    """What is said of a first frame that is refused."""
    with pytest.raises(MinimaxRequestError, match="Nothing was bought") as raised:
        sent(source, data, **options)
    assert "first_frame_image" in str(raised.value)
    return str(raised.value)


# -- data URLs ---------------------------------------------------------------------------------------------------------

DATA_URLS = {
    "plain": PLAIN,
    "a charset": f"data:image/jpeg;charset=utf-8;base64,{TEXT}",
    "a name": f"data:image/jpeg;name=boat.jpg;base64,{TEXT}",
    "a quoted name": f'data:image/jpeg;name="a boat, red; small.jpg";base64,{TEXT}',
    "a parameter without value": f"data:image/jpeg;x;base64,{TEXT}",
    "line breaks": f"data:image/jpeg;base64,{WRAPPED}",
    "line breaks of Windows": f"data:image/jpeg;base64,\r\n{WRAPPED.replace(chr(10), chr(13) + chr(10))}",
    "blanks": f" data:image/jpeg; base64, {TEXT[:100]} {TEXT[100:]}\t",
    "the alphabet for URLs": f"data:image/jpeg;base64,{base64.urlsafe_b64encode(PICTURE).decode()}",
    "no padding": f"data:image/jpeg;base64,{TEXT.rstrip('=')}",
    "too much padding": f"data:image/jpeg;base64,{TEXT.rstrip('=')}====",
    "percent signs": f"data:image/jpeg;base64,{quote(TEXT, safe='')}",
    "no base64": f"data:image/jpeg,{quote_from_bytes(PICTURE)}",
    "capitals": f"DATA:IMAGE/JPEG;BASE64,{TEXT}",
    "no media type": f"data:;base64,{TEXT}",
    "only base64": f"data:;charset=x;base64,{TEXT}",
    "a media type that says nothing": f"data:application/octet-stream;base64,{TEXT}",
    "a name that is none": f"data:image/jpg;base64,{TEXT}",
    "another name": f"data:image/pjpeg;base64,{TEXT}",
    "a wrong one": f"data:image/png;base64,{TEXT}",
    "a byte order mark": f"\ufeff{PLAIN}\u200b\n",
}


@pytest.mark.parametrize("source", DATA_URLS.values(), ids=DATA_URLS.keys())
def test_a_data_url_in_every_form_is_the_picture_that_it_holds(source):
    assert sent(source) == PLAIN
    assert read_data_url(request(source).first_frame_image).data == PICTURE  # type: ignore[arg-type]


@pytest.mark.parametrize("source", DATA_URLS.values(), ids=DATA_URLS.keys())
def test_the_fingerprint_is_the_pictures_own_in_whatever_form_it_came(source):
    plain = describe_request(request(PLAIN))["first_frame_image"]
    for check in (True, False):
        ready = with_media(request(source), open, check=check)  # type: ignore[arg-type]
        assert (
            describe_request(ready)["first_frame_image"]
            == plain
            == describe_request(request(source))["first_frame_image"]
        )
        assert fingerprint_of(ready, {}) == fingerprint_of(request(PLAIN), {})


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_no_byte_is_lost_whatever_the_length(padding):
    data = bytes(range(256))[: 255 - padding]
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert read_data_url(f"data:;base64,{text}").data == data


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("data:image/jpeg;base64", "has no comma"),
        ("data:image/jpeg;base64;" + "x" * 5000 + "," + TEXT, "has no comma"),
        ("data:image/jpeg;base64,@@@", "its base64 cannot be decoded"),
        ("data:image/jpeg;base64,A", "its base64 cannot be decoded"),
        ("data:image/jpeg,\udc80", "holds what is no character"),
        ("data:image/jpeg;base64,", "is an empty file"),
        ("data:text/html;base64,AAAA", "must begin with data:image/"),
        ("data:,hello", "is no picture"),
    ],
)
def test_a_data_url_that_holds_no_picture_is_refused_by_name(source, said):
    assert said in refusal(source)


def test_a_data_url_that_cannot_be_read_is_sent_as_it_is_where_nothing_is_checked():
    assert sent("data:image/jpeg;base64,@@@", check=False) == "data:image/jpeg;base64,@@@"


def test_a_huge_data_url_is_refused_without_a_copy():
    source = request("data:image/jpeg;base64," + "A" * 150_000_000)
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(MinimaxRequestError, match="is too large; the API takes less than 20 MB"):
        with_media(source, open)  # type: ignore[arg-type]
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert time.monotonic() - began < 30


def test_any_text_is_a_data_url_or_is_refused_as_an_unreadable_one():
    dice = random.Random(12)
    read = 0
    for _ in range(3000):
        text = "data:" + "".join(dice.choice('image/jpeg;base64,="%+-_ \n\u00e4') for _ in range(dice.randrange(40)))
        with suppress(UnreadableDataUrlError):
            read_data_url(text)
            read += 1
    assert 0 < read < 3000


@pytest.mark.parametrize(
    ("field", "data", "media_type"),
    [
        ("reference_videos", box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", bytes(50)), "video/mp4"),
        ("reference_audios", b"ID3\x04" + bytes(101), "audio/mp3"),
        ("reference_images", PICTURE, "image/jpeg"),
    ],
)
def test_so_is_one_that_holds_a_video_or_a_sound(field, data, media_type):
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    for source in (f"DATA:{media_type};x=y;BASE64,{text[:20]}\n{text[20:]}", f"data:;base64,{text}"):
        it = VideoRequest.of({"model": "MiniMax-H3", "prompt": "x", field: [source]})
        (found,) = with_media(it, open, rules=V2_PICTURES).get(field)  # type: ignore[arg-type]
        assert (found.media_type, b"".join(found.data.blocks())) == (media_type, data)


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HTTPS://files.example/A.png?Sig=B", "https://files.example/A.png?Sig=B"),
        ("Http://files.example/a.png", "http://files.example/a.png"),
        ("  https://files.example/a.png\n", "https://files.example/a.png"),
        ("\ufeffhttps://files.example/a.png\u200b", "https://files.example/a.png"),
        ("\u00a0https://files.example/a\n.png\u2028", "https://files.example/a.png"),
    ],
)
def test_an_address_is_read_without_what_cannot_be_seen(written, meant):
    assert sent(written) == meant
    given = {"model": "MiniMax-H3", "prompt": "x", "reference_videos": [written], "callback_url": written}
    read = VideoRequest.of(given)
    assert (read.reference_videos, read.callback_url) == ((meant,), meant)


def test_an_uploaded_file_is_known_in_any_spelling():
    assert sent("MM_FILE://123 ", rules=V2_PICTURES) == "mm_file://123"


@pytest.mark.parametrize("source", [Path("/in/a b.jpg"), " /in/a b.jpg\n"])
def test_a_path_may_be_a_path_and_have_blanks_around_it(source):
    opened = []

    def open_file(path: str) -> Any:
        opened.append(path)
        return io.BytesIO(PICTURE)

    with_media(request(source), open_file)
    assert opened == ["/in/a b.jpg"]


# -- numbers and other values where a text is meant --------------------------------------------------------------------

TEXTS = ["model", "prompt", "first_frame_image", "last_frame_image", "subject_reference", "resolution", "ratio"]


@pytest.mark.parametrize("field", [*TEXTS, "callback_url"])
@pytest.mark.parametrize(("value", "text"), [(1984, "1984"), (0, "0"), (2.5, "2.5"), (-1, "-1")])
def test_a_number_is_the_text_that_it_was(field, value, text):
    assert getattr(VideoRequest.of({"model": "m", field: value}), field) == text


@pytest.mark.parametrize("field", [*TEXTS, "callback_url"])
@pytest.mark.parametrize("value", [True, False, ["a"], {"a": 1}, (), b"text", float("inf"), object()])
def test_what_is_no_text_is_refused_by_name(field, value):
    with pytest.raises(MinimaxRequestError, match=rf"{field}=.*must be (a text|one image).*Nothing was bought"):
        VideoRequest.of({"model": "m", field: value})


@pytest.mark.parametrize("field", ["reference_images", "reference_videos", "reference_audios"])
@pytest.mark.parametrize("value", [1984, [1984], (1984,), "1984", Path("1984")])
def test_references_are_texts_too(field, value):
    assert getattr(VideoRequest.of({"model": "m", field: value}), field) == ("1984",)


@pytest.mark.parametrize("value", [True, "six", 6.5, [6]])
def test_a_length_is_a_whole_number(value):
    with pytest.raises(MinimaxRequestError, match="duration=.*should be|duration=.*must be"):
        VideoRequest.of({"model": "m", "duration": value})
    assert VideoRequest.of({"model": "m", "duration": "6"}).duration == 6


def test_a_prompt_that_is_the_word_none_is_not_bought():
    from airflow_provider_minimax.api.clip_rules import validate as check

    assert "value that is not there" in check(VideoRequest.of({"model": "T2V-01", "prompt": "None"})).problems[0]


# -- pictures ----------------------------------------------------------------------------------------------------------


def ftyp(*brands: bytes) -> bytes:
    return box(b"ftyp", brands[0] + bytes(4) + b"".join(brands[1:]))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (ftyp(b"heic", b"mif1", b"heic") + bytes(500), r"HEIC \(image/heic\)"),
        (ftyp(b"mif1", b"mif1", b"heic") + bytes(500), r"HEIF \(image/heif\)"),
        (ftyp(b"avif", b"mif1") + bytes(500), r"AVIF \(image/avif\)"),
        (ftyp(b"mif1", b"avif") + bytes(500), r"AVIF \(image/avif\)"),
        (ftyp(b"isom") + bytes(500), "a video"),
        (saved("GIF"), "GIF"),
        (saved("BMP"), "BMP"),
        (saved("TIFF"), "TIFF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a boat -->\n<svg/>", "SVG"),
        (b"\n<!DOCTYPE html><html><svg></svg></html>", "an HTML page"),
        (b"<html><head><title>404 Not Found", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML"),
        (b'{"error": "expired"}', "JSON"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (PLAIN.encode(), "the text of a data URL"),
        (b"", "an empty file"),
    ],
)
def test_what_is_no_picture_that_is_taken_is_called_by_its_name(data, name):
    assert re.search(
        rf"first_frame_image='/in/a.jpg': is {name}.*the API takes JPG, PNG and WebP", refusal("/in/a.jpg", data)
    )


@pytest.mark.parametrize(
    "data",
    [
        saved(picture=NOISE.convert("CMYK")),
        saved(picture=NOISE.convert("L")),
        saved(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
        saved() + b"\0" * 5000,
        saved("PNG", NOISE.convert("I;16")),
        saved("PNG", NOISE.convert("P")),
        saved("PNG", save_all=True, append_images=[NOISE.rotate(90)]),
        saved("WEBP", save_all=True, append_images=[NOISE.rotate(90)]),
        saved("WEBP", lossless=True),
    ],
    ids=["cmyk", "grey", "turned", "trailing bytes", "16 bit", "palette", "animated png", "animated webp", "lossless"],
)
def test_a_picture_of_any_make_is_sent_as_it_is(data):
    media_type = {b"\xff\xd8": "jpeg", b"\x89P": "png", b"RI": "webp"}[data[:2]]
    assert sent("/in/a", data) == f"data:image/{media_type};base64,{base64.b64encode(data).decode()}"


WHOLE = {
    "jpeg": saved(),
    "progressive jpeg": saved(progressive=True),
    "png": saved("PNG"),
    "webp": saved("WEBP"),
    "lossless webp": saved("WEBP", lossless=True),
    "heic": ftyp(b"heic") + box(b"meta", bytes(400)) + box(b"mdat", bytes(9000)),
}


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("lenient", [False, True])
def test_a_picture_that_ends_early_is_refused_wherever_it_ends(whole, lenient, monkeypatch):
    # Any other code in the process may have set this.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    sent("/in/a", whole, rules=V2_PICTURES)
    dice = random.Random(5)
    for end in {len(whole) // 2, 424, *(dice.randrange(len(whole) - 16) for _ in range(25))}:
        refusal("/in/a", whole[:end], rules=V2_PICTURES)


def bomb(kind: bytes, text: bytes) -> bytes:
    return chunk(kind, text + b"\0\0" + zlib.compress(bytes(200_000_000), 9))


PROGRESSIVE = saved(progressive=True)
# The last scan of a progressive picture.
SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
SEGMENTS = PICTURE[:2] + b"".join(b"\xff\xe1\0\x0aExif\0\0II" for _ in range(100_000)) + PICTURE[2:]
BOMBS = {
    "100,000 x 100,000 pixels": (png(100_000, 100_000, chunk(b"IDAT", zlib.compress(bytes(1000)))), "million pixels"),
    "160 million pixels": (png(16_000, 10_000, chunk(b"IDAT", zlib.compress(bytes(1000)))), "million pixels"),
    "a profile of 200 MB": (png(400, 400, bomb(b"iCCP", b"x"), chunk(b"IDAT", zlib.compress(bytes(480_400)))), ""),
    "a text of 200 MB": (png(400, 400, bomb(b"zTXt", b"x"), chunk(b"IDAT", zlib.compress(bytes(480_400)))), ""),
    "100,000 segments": (SEGMENTS, "in far more parts than it needs"),
    "fill bytes": (PICTURE[:2] + b"\xff" * 15_000_000 + PICTURE[2:], "in far more parts than it needs"),
    "restarts": (PICTURE[:2] + b"\xff\xd0" * 7_000_000 + PICTURE[2:], "in far more parts than it needs"),
    "400 profiles": (PICTURE[:2] + (b"\xff\xe1\x90\0Exif\0\0" + bytes(0x8FF8)) * 400 + PICTURE[2:], ""),
    "200 scans": (PROGRESSIVE[:-2] + SCAN * 200 + b"\xff\xd9", "in far more parts than it needs"),
    "1,000,000 chunks": (png(400, 400, chunk(b"tEXt", b"") * 1_000_000), "in far more parts than it needs"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("data", "said"), BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("rules", [V1_PICTURES, V2_PICTURES], ids=["v1", "v2"])
def test_a_picture_made_to_exhaust_is_taken_or_refused_at_once(data, said, rules):
    tracemalloc.start()
    began = time.monotonic()
    if said:
        assert said in refusal("/in/a", data, rules=rules)
    else:
        with suppress(MinimaxRequestError):
            sent("/in/a", data, rules=rules)
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()
    # Without a bound, each takes minutes.
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE.keys())
def test_a_damaged_picture_is_taken_or_refused_in_words(whole):
    dice = random.Random(4)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            at = dice.randrange(min(len(damaged), 1200)) if dice.random() < 0.8 else dice.randrange(len(damaged))
            damaged[at] = dice.choice((0, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        with suppress(MinimaxRequestError):
            assert sent("/in/a", bytes(damaged), rules=V2_PICTURES)
