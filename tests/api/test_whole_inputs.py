"""Nothing is bought with half a picture, video or sound; a camera's picture is the JPEG that it is."""

from __future__ import annotations

import base64
import io
import struct
from typing import Any

import pytest
from PIL import Image, ImageFile

from airflow_provider_minimax.api.inputs import images
from airflow_provider_minimax.api.inputs.content import FileBytes, FileContent
from airflow_provider_minimax.api.inputs.images import V2_PICTURES
from airflow_provider_minimax.api.inputs.media import with_media
from airflow_provider_minimax.api.inputs.wholeness import is_cut_off, jpeg_end
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.emulator.clips import film
from airflow_provider_minimax.exceptions import MinimaxRequestError

NOISE = Image.effect_noise((640, 480), 60).convert("RGB")
FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("WEBP", {}),
]
HEIC = struct.pack(">I8sI", 16, b"ftypheic", 0) + struct.pack(">I4s", 1008, b"mdat") + bytes(1000)
WAV = b"RIFF" + struct.pack("<I", 2036) + b"WAVE" + bytes(2032)


def saved(kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    NOISE.save(out, kind, **options)
    return out.getvalue()


def by_camera(*behind: tuple[int, int]) -> bytes:
    """A picture with others behind it, as cameras and telephones write them."""
    out = io.BytesIO()
    NOISE.save(out, "MPO", save_all=True, append_images=[NOISE.resize(size) for size in behind])
    return out.getvalue()


def prepared(field: str, data: bytes, **options: Any) -> Any:
    """What the field holds once its file was read."""
    name = "first_frame_image" if field == "first_frame_image" else field
    given: Any = "/in/file" if name == "first_frame_image" else ["/in/file"]
    request = VideoRequest(model="MiniMax-H3", prompt="a boat", **{name: given})
    found = with_media(request, lambda path: io.BytesIO(data), rules=V2_PICTURES, **options).get(name)
    return found if name == "first_frame_image" else found[0]


@pytest.mark.parametrize(("kind", "options"), FORMATS)
def test_a_whole_picture_passes_and_one_that_ends_early_is_refused_before_paying(kind, options):
    whole = saved(kind, **options)
    assert prepared("first_frame_image", whole).data.length == len(whole)
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(MinimaxRequestError, match=r"first_frame_image='/in/file': is n.*Nothing was bought"):
            prepared("first_frame_image", whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("field", "whole"),
    [("first_frame_image", HEIC), ("reference_videos", film("512P", 6)), ("reference_audios", WAV)],
    ids=["heic", "mp4", "wav"],
)
def test_a_file_that_states_its_own_length_is_refused_if_it_ends_early(field, whole):
    assert prepared(field, whole).data.length == len(whole)
    with pytest.raises(MinimaxRequestError, match=r"is not whole \(its file ends early\)"):
        prepared(field, whole[: len(whole) - 10])


def test_a_picture_too_large_to_decode_here_is_checked_by_its_ends(monkeypatch):
    monkeypatch.setattr(images, "_MOST_PIXELS", 1000)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("it was decoded"))
    for kind, options in FORMATS:
        whole = saved(kind, **options)
        assert prepared("first_frame_image", whole)
        with pytest.raises(MinimaxRequestError, match="first_frame_image"):
            prepared("first_frame_image", whole[: len(whole) - 10])


def test_broken_bytes_in_the_middle_of_a_picture_are_found():
    whole = saved("PNG")
    spoilt = whole[:50_000] + bytes(100) + whole[50_100:]
    with pytest.raises(MinimaxRequestError, match="is not whole"):
        prepared("first_frame_image", spoilt)


def test_whatever_pillow_raises_is_our_error(monkeypatch):
    def fail(self: Any) -> None:
        raise SyntaxError("broken PNG file")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(MinimaxRequestError, match=r"is not whole \(broken PNG file\)"):
        prepared("first_frame_image", saved("PNG"))


@pytest.mark.parametrize("behind", [[(320, 240)], [(320, 240), (160, 120)]])
def test_a_cameras_picture_is_sent_as_the_jpeg_it_is_without_those_behind_it(behind):
    data = by_camera(*behind)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    found = prepared("first_frame_image", data)
    assert found.media_type == "image/jpeg"
    sent = b"".join(found.data.blocks())
    assert data.startswith(sent)
    assert sent.endswith(b"\xff\xd9")
    assert len(sent) < len(data) - 1000
    assert Image.open(io.BytesIO(sent)).size == NOISE.size


def test_an_image_on_disk_or_in_a_data_url_that_ends_early_is_refused(tmp_path):
    data = by_camera((320, 240))
    (tmp_path / "photo.jpg").write_bytes(data)
    for source in (str(tmp_path / "photo.jpg"), f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"):
        request = VideoRequest(model="MiniMax-Hailuo-02", prompt="a boat", first_frame_image=source)
        found = with_media(request, lambda path: open(path, "rb")).first_frame_image  # noqa: SIM115 - closed there
        assert isinstance(found, FileContent)
        assert found.media_type == "image/jpeg"
        end = jpeg_end(FileBytes(data))
        assert end is not None
        assert found.data.length == end < len(data)
        assert b"".join(found.data.blocks()) == found.data.open().read() == data[:end]
        assert len(b"".join(found.blocks())) == found.length


@pytest.mark.parametrize(("kind", "options"), FORMATS)
def test_any_end_but_the_last_is_early(kind, options):
    whole = saved(kind, **options)
    assert not is_cut_off(FileBytes(whole), kind)
    assert not is_cut_off(FileBytes(whole + b"what somebody put behind it"), kind)
    for end in (*range(20, len(whole), 9973), len(whole) - 1):
        assert is_cut_off(FileBytes(whole[:end]), kind)


def test_the_end_of_a_jpeg_is_found_wherever_blocks_end(monkeypatch):
    from airflow_provider_minimax.api.inputs import wholeness

    whole = saved("JPEG", progressive=True)
    for block in (2, 3, 1000, 1001):
        monkeypatch.setattr(wholeness, "_BLOCK", block)
        assert jpeg_end(FileBytes(whole + b"more")) == len(whole)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8" + b"\xff" * 50, b"\xff\xd8\xff\xda\0\0"]
)
def test_what_never_was_a_jpeg_has_no_end(data):
    assert jpeg_end(FileBytes(data)) is None


def test_a_sound_of_unknown_length_passes():
    assert prepared("reference_audios", b"RIFF\xff\xff\xff\xffWAVE" + bytes(100))
