"""Which files are uploaded before a request, and what an upload is on the wire."""

from __future__ import annotations

import email
from email.parser import BytesParser
from email.policy import default
from io import BytesIO

import pytest

from airflow_provider_minimax.api.files.uploads import LARGE, to_upload, with_addresses
from airflow_provider_minimax.api.http.body import body_of, form_body
from airflow_provider_minimax.api.inputs.content import FileBytes, FileContent
from airflow_provider_minimax.api.inputs.images import V2_PICTURES
from airflow_provider_minimax.api.inputs.media import WHOLE_LIMIT, carried, file_at, sources_of, with_media
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import MinimaxRequestError
from tests.api.test_request import HEIC, MOV, MP3, MP4, WAV, picture

MB = 1000 * 1000
V2 = PLATFORMS["minimax"].of_version("v2")


def file(size: int, media_type: str = "image/png") -> FileContent:
    data = FileBytes(b"")
    data.length = size
    return FileContent(media_type, data)


def request(**fields) -> VideoRequest:
    return VideoRequest.of({"model": "MiniMax-H3", "prompt": "a cat"}).model_copy(update=fields)


def test_a_large_file_is_uploaded_and_a_small_one_is_not():
    large, small = file(LARGE + 1), file(LARGE)
    it = request(first_frame_image=small, last_frame_image=large)
    assert to_upload(it) == {"last_frame_image": large}
    sent = with_addresses(it, {large: "mm_file://1"})
    assert (sent.first_frame_image, sent.last_frame_image) == (small, "mm_file://1")


def test_each_is_named_by_its_place_in_the_list():
    video = file(20 * MB, "video/mp4")
    it = request(reference_videos=("https://files.example/a.mp4", video), reference_audios=("mm_file://7",))
    assert to_upload(it) == {"reference_videos[1]": video}
    sent = with_addresses(it, {video: "mm_file://1"})
    assert (sent.reference_videos, sent.reference_audios) == (
        ("https://files.example/a.mp4", "mm_file://1"),
        ("mm_file://7",),
    )


@pytest.mark.parametrize("inside", [(), ("data:image/png;base64," + "A" * (50 * MB),)])
def test_of_many_small_files_the_largest_are_uploaded_until_the_rest_fits(inside):
    pictures = tuple(file(size * MB) for size in (3, 8, 5, 7, 6, 8, 4, 8))
    it = request(reference_images=(*inside, *pictures))
    chosen = to_upload(it)
    smallest = min(one.length for one in chosen.values())
    left = [one for one in pictures if one not in chosen.values()]
    assert max(one.length for one in left) <= smallest
    sent = with_addresses(it, dict.fromkeys(chosen.values(), "mm_file://1"))
    length = sum(carried(source) for _, source in sources_of(sent))
    assert length < WHOLE_LIMIT < length + smallest + 2 * MB


def test_without_files_nothing_is_uploaded():
    it = request(first_frame_image="data:image/png;base64," + "A" * (20 * MB))
    assert to_upload(it) == {}
    assert with_addresses(it, {}) == it


def test_an_upload_is_a_form_of_the_announced_length():
    content = FileContent("video/quicktime", FileBytes(b"--\r\n" + bytes(range(256)) * 4000))
    made = V2.upload(content)
    assert (made.method, made.path, made.buys) == ("POST", "/v1/files/upload", False)
    body = body_of(made)
    sent = b"".join(body.blocks())
    assert len(sent) == body.length
    form = email.message_from_bytes(f"Content-Type: {body.content_type}\r\n\r\n".encode() + sent)
    purpose, carried_file = form.get_payload()
    assert purpose.get_param("name", header="content-disposition") == "purpose"
    assert purpose.get_payload() == "video_generation_input"
    assert (carried_file.get_content_type(), carried_file.get_filename()) == ("video/quicktime", "video.mov")
    assert content.data.part(0, 10**9) in sent


@pytest.mark.parametrize(
    ("data", "media_type", "filename"),
    [
        (picture(kind="JPEG"), "image/jpeg", "image.jpeg"),
        (picture(kind="PNG"), "image/png", "image.png"),
        (picture(kind="WEBP"), "image/webp", "image.webp"),
        (HEIC, "image/heic", "image.heic"),
        (MP4, "video/mp4", "video.mp4"),
        (MOV, "video/quicktime", "video.mov"),
        (WAV, "audio/wav", "audio.wav"),
        (MP3, "audio/mp3", "audio.mp3"),
        (b"\xff\xfb\x90" + bytes(100), "audio/mp3", "audio.mp3"),
    ],
)
def test_a_file_says_itself_what_it_is(data, media_type, filename):
    content = file_at("/media/secret-name.bin", lambda path: BytesIO(data), check=True, rules=V2_PICTURES)
    assert (content.media_type, content.filename) == (media_type, filename)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"%PDF-1.7", "is PDF; the API takes"),
        (picture(100, 100), "the short side must be at least 256 px"),
        (MP4 + bytes(50 * MB), "is too large; the API takes at most 50 MB"),
        (MP3 + bytes(15 * MB), "is too large; the API takes at most 15 MB"),
        (HEIC + bytes(30 * MB), "is too large; the API takes at most 30 MB"),
    ],
)
def test_what_the_platform_would_not_take_is_not_uploaded(data, said):
    with pytest.raises(MinimaxRequestError, match=said):
        file_at("/media/a", lambda path: BytesIO(data), check=True, rules=V2_PICTURES)


def test_unchecked_a_file_is_what_its_name_says():
    for path, media_type in (("/a.mp4", "video/mp4"), ("/a", "application/octet-stream")):
        taken = file_at(path, lambda path: BytesIO(b"whatever"), check=False, rules=V2_PICTURES)
        assert taken.media_type == media_type


# -- what a form says of its file --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type",
    [
        'image/a"b',
        "image/a\r\nEvil: 1\r\n\r\nbody",
        "image/../../etc/passwd",
        "image/\u8239\U0001f6a4",
        "image/a\\b;x=y",
    ],
)
def test_no_name_ends_a_header_of_the_form(media_type):
    body = form_body({'a"\r\nX: 1': "value"}, FileContent(media_type, FileBytes(b"content")))
    text = b"".join(body.blocks())
    boundary = body.content_type.partition("boundary=")[2].encode()
    pieces = text.split(b"--" + boundary)
    assert len(pieces) == 4
    for piece, lines in ((pieces[1], 1), (pieces[2], 2)):
        head, _, _ = piece.strip(b"\r\n").partition(b"\r\n\r\n")
        assert len(head.splitlines()) == lines
    found = BytesParser(policy=default).parsebytes(b"Content-Type: " + body.content_type.encode() + b"\r\n\r\n" + text)
    field, carried = found.iter_parts()
    assert field.get_content().strip() == "value"
    assert carried.get_payload(decode=True) == b"content"
    assert not set(carried.get_filename()) & set('"\r\n/\\')


def test_a_data_url_cannot_name_its_file_where_nothing_is_checked():
    for media_type in ('image/a"b', "image/a\r\nEvil: 1", "image/a/b", "image/" + "a" * 99):
        source = f"data:{media_type};base64,QUJD\n"
        it = VideoRequest.of({"model": "MiniMax-H3", "prompt": "x", "first_frame_image": source})
        assert isinstance(with_media(it, open, check=False).first_frame_image, str)  # type: ignore[arg-type]
