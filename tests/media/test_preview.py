"""Pictures of clips: they are made of the clip, telling, and never larger than promised."""

from __future__ import annotations

from contextlib import nullcontext
from io import BytesIO
from itertools import pairwise

import pytest
from PIL import Image

from airflow_provider_minimax.media import preview
from airflow_provider_minimax.media.clip import UnreadableClipError
from airflow_provider_minimax.media.preview import MOST_CLIPS, SheetItem, batch_sheet, contact_sheet, poster
from tests.media import films

TINY = (64, 36)
RED, BLUE = (200, 30, 30), (30, 30, 200)


def plain(colour: tuple[int, int, int], size: tuple[int, int] = TINY, frames: int = 12) -> bytes:
    return films.encode(films.frozen(Image.new("RGB", size, colour), frames))


def picture(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    assert image.format == "JPEG"
    return image.convert("RGB")


def is_like(pixel: tuple[int, int, int], colour: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 30 for one, other in zip(pixel, colour, strict=True))


def item(content: bytes, label: str = "a/clip.mp4") -> SheetItem:
    return SheetItem(label, lambda: nullcontext(BytesIO(content)))


def test_a_poster_shows_the_clip_and_not_the_dark_before_it():
    still = films.still()
    shown = picture(poster(BytesIO(films.encode(films.fading_in(still, black=24)))))
    assert shown.size == films.SIZE
    # Not of the dark, and not of the middle of the fade either.
    assert shown.convert("L").entropy() > 0.95 * still.convert("L").entropy()


def test_a_poster_is_never_larger_than_1280_pixels():
    assert picture(poster(BytesIO(plain(RED, (1080, 1920), frames=2)))).size == (720, 1280)


@pytest.mark.parametrize(("size", "columns"), [((640, 360), 4), ((360, 640), 6), ((360, 360), 4)])
def test_a_contact_sheet_has_twelve_pictures(size, columns):
    sheet = picture(contact_sheet(BytesIO(plain(RED, size)), "clip.mp4", "MiniMax-Hailuo-2.3"))
    assert sheet.width == 1600
    line = [is_like(sheet.getpixel((x, sheet.height - 100)), RED) for x in range(1600)]
    assert sum(left != right for left, right in pairwise(line)) == 2 * columns


def test_a_contact_sheet_shows_the_frames_in_order_from_left_to_right():
    red_then_blue = [
        *films.frozen(Image.new("RGB", films.SIZE, RED)),
        *films.frozen(Image.new("RGB", films.SIZE, BLUE)),
    ]
    sheet = picture(contact_sheet(BytesIO(films.encode(red_then_blue)), "clip.mp4"))
    assert is_like(sheet.getpixel((100, 200)), RED)
    assert is_like(sheet.getpixel((1500, sheet.height - 100)), BLUE)


def test_a_name_in_any_script_can_be_drawn(tmp_path):
    path = films.saved(plain(RED), tmp_path / "晨曦-Ärger.mp4")
    assert picture(contact_sheet(path)).width == 1600
    assert picture(contact_sheet(path, "long" * 200)).width == 1600


@pytest.mark.parametrize("count", [1, 2, 24, 25])
def test_a_sheet_of_many_shows_each(count):
    sheet = batch_sheet([item(plain(RED, frames=4))] * count, "Takes")
    assert sheet.unreadable == {}
    image = picture(sheet.picture)
    assert image.width == 1920
    assert any(is_like(colour, RED) for _, colour in image.getcolors(2**24))


def test_one_broken_clip_does_not_spoil_the_sheet():
    def gone() -> nullcontext[BytesIO]:
        raise PermissionError("https://bucket.example/clip.mp4?Signature=secret is not yours")

    good = item(plain(BLUE, films.SIZE))
    sheet = batch_sheet([good, item(b"no clip"), SheetItem("gone.mp4", gone), good], "Takes")
    assert list(sheet.unreadable) == [1, 2]
    assert "cannot be decoded" in sheet.unreadable[1]
    assert "is not yours" in sheet.unreadable[2]
    assert "secret" not in sheet.unreadable[2]
    # The last place is behind the broken ones, in the second row.
    image = picture(sheet.picture)
    assert is_like(image.getpixel((300, image.height - 200)), BLUE)


def test_one_clip_is_open_at_a_time():
    content, is_open, most = plain(RED), 0, 0

    class Watched(BytesIO):
        def __enter__(self):
            nonlocal is_open, most
            is_open += 1
            most = max(most, is_open)
            return self

        def __exit__(self, *reason):
            nonlocal is_open
            is_open -= 1

    batch_sheet([SheetItem("clip.mp4", lambda: Watched(content))] * 5, "Takes")
    assert (is_open, most) == (0, 1)


def test_a_sheet_of_as_many_clips_as_it_takes_stays_within_bounds():
    sheet = picture(batch_sheet([item(b"no clip")] * MOST_CLIPS, "Takes").picture)
    assert sheet.width == 1920
    assert sheet.height < 12_000


@pytest.mark.parametrize("count", [0, MOST_CLIPS + 1])
def test_a_sheet_takes_no_other_number_of_clips(count):
    with pytest.raises(ValueError, match=f"{count} clips"):
        batch_sheet([item(b"")] * count, "Takes")


@pytest.mark.parametrize("draw", [poster, preview.contact_sheet])
def test_what_is_no_clip_has_no_picture(draw):
    with pytest.raises(UnreadableClipError):
        draw(BytesIO(b"<html></html>"))
