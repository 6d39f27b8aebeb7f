"""Which film a clip shows."""

from __future__ import annotations

import base64
from importlib.resources import files
from io import BytesIO

import av
import pytest
from PIL import Image

from airflow_provider_minimax.api.catalogue_models import MODELS
from airflow_provider_minimax.emulator import Emulator
from airflow_provider_minimax.emulator.clips import RATIOS, film, film_v2
from airflow_provider_minimax.emulator.cutting import cut
from airflow_provider_minimax.emulator.jobs import PIXELS
from airflow_provider_minimax.emulator.pictures import size_of
from airflow_provider_minimax.exceptions import MinimaxClipRejectedError
from airflow_provider_minimax.media.check import ExpectedClip, check_clip
from tests.emulator.customer import IMAGE, browser


def on_sale(api: str) -> list[tuple[str, int]]:
    """Every resolution and length that some model of an API has."""
    return sorted(
        {
            (resolution, duration)
            for model in MODELS.values()
            if model.get("api", "v1") == api
            for mode in model["modes"].values()
            for resolution, durations in mode["resolutions"].items()
            for duration in durations
        }
    )


@pytest.mark.parametrize(("resolution", "duration"), [*on_sale("v1"), (None, None)])
def test_there_is_a_film_for_everything_that_can_be_ordered(resolution, duration):
    facts = check_clip(BytesIO(film(resolution, duration)), "full", ExpectedClip(resolution or "720P", duration or 6))
    assert (facts.width, facts.height) == PIXELS[resolution or "720P"]
    assert (facts.codec, facts.fps, (facts.frames - 5) % 17, facts.has_sound) == ("h264", 24, 0, False)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize(("resolution", "duration"), [("480P", 4), ("768P", 15), ("2K", 5)])
def test_a_film_of_v2_has_the_ratio_that_was_ordered(resolution, duration, ratio):
    content = film_v2(resolution, duration, ratio)
    facts = check_clip(BytesIO(content), "full", ExpectedClip(resolution, duration, ratio))
    assert (facts.codec, facts.fps, (facts.frames - 5) % 17, facts.has_sound) == ("h264", 24, 0, True)
    assert (facts.width % 32, facts.height % 32) == (0, 0)
    for other in RATIOS.keys() - {ratio}:
        with pytest.raises(MinimaxClipRejectedError, match=f"and {other} was asked for"):
            check_clip(BytesIO(content), "basic", ExpectedClip(ratio=other))


def test_there_are_films_of_every_ratio_that_can_be_ordered():
    ratios = {
        ratio for model in MODELS.values() for mode in model["modes"].values()
        for ratio in mode.get("ratios", ())
    }  # fmt: skip
    assert ratios == {*RATIOS, "adaptive"}


def test_the_films_together_are_small():
    films = files("airflow_provider_minimax.emulator").joinpath("films")
    assert sum(len(film.read_bytes()) for film in films.iterdir()) < 2_700_000


def photo(size: tuple[int, int], kind: str, **options: object) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, "teal").save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True})])
def test_the_size_of_a_picture_is_in_its_header(kind, options):
    whole = photo((301, 502), kind, **options)
    assert size_of(whole) == (301, 502)
    assert size_of(whole[:12]) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda\0\0", b"GIF89a", b"\xff\xd8" + bytes(9)])
def test_of_anything_else_it_is_unknown(content):
    assert size_of(content) is None


@pytest.mark.parametrize(
    ("size", "ratio"),
    [((1920, 1080), "16:9"), ((1080, 1920), "9:16"), ((500, 480), "1:1"), ((1000, 400), "21:9"), ((600, 700), "3:4")],
)
def test_a_first_frame_gives_the_clip_its_ratio(h3, size, ratio):
    url = "data:image/jpeg;base64," + base64.b64encode(photo(size, "JPEG")).decode()
    frame = {"type": "image_url", "image_url": {"url": url}, "role": "first_frame"}
    task = h3.finish(h3.buy(content=[{"type": "text", "text": "a boat"}, frame], duration=4))
    assert task["ratio"] == "adaptive"
    clip = browser.get(task["content"]["url"]).content
    assert check_clip(BytesIO(clip), "basic", ExpectedClip("768P", 4, ratio))


@pytest.mark.parametrize(("resolution", "duration"), on_sale("v2"))
def test_a_film_of_v2_is_cut_to_any_length_and_has_sound(resolution, duration):
    facts = check_clip(BytesIO(film_v2(resolution, duration)), "basic", ExpectedClip(resolution, duration))
    assert (facts.codec, facts.fps, (facts.frames - 5) % 17, facts.has_sound) == ("h264", 24, 0, True)
    assert 0 <= facts.frames - 24 * duration < 17


def packets(content: bytes, kind: str) -> list[bytes]:
    with av.open(BytesIO(content)) as container:
        return [bytes(packet) for packet in container.demux(**{kind: 0}) if packet.size]


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_film_that_was_cut_holds_the_beginning_of_the_whole_and_nothing_else(kind):
    whole, part = film_v2("480P", 15), film_v2("480P", 4)
    beginning = packets(part, kind)
    assert beginning == packets(whole, kind)[: len(beginning)]
    assert 0.28 < len(beginning) / len(packets(whole, kind)) < 0.31
    assert len(part) < len(whole) / 2


@pytest.mark.parametrize("frames", [1, 22, 107, 124, 361, 362])
def test_every_picture_of_a_film_that_was_cut_can_be_shown(frames):
    with av.open(BytesIO(cut(film("480P", 15), frames))) as container:
        assert len(list(container.decode(video=0))) == frames


def test_a_clip_of_v2_shows_what_was_ordered(h3):
    task = h3.finish(h3.buy(resolution="2K", duration=4, ratio="9:16"))
    clip = browser.get(task["content"]["url"]).content
    assert check_clip(BytesIO(clip), "basic", ExpectedClip("2K", 4, "9:16")).has_sound


def test_a_clip_shows_what_was_ordered_and_what_is_reported(minimax):
    task_id = minimax.buy(
        model="MiniMax-Hailuo-02", first_frame_image=IMAGE, prompt="a fox", resolution="512P", duration=10
    )
    report = minimax.finish(task_id)
    link = minimax.retrieve(report["file_id"])["file"]["download_url"]
    facts = check_clip(BytesIO(browser.get(link).content), "basic", ExpectedClip("512P", 10))
    assert (facts.width, facts.height) == (report["video_width"], report["video_height"])


def test_every_clip_can_show_a_file_of_the_users_own(minimax, emulator, tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"\0\0\0\x10ftyp, and not much of a clip")
    emulator.configure(film_file=str(path))
    contents = [browser.get(minimax.buy_link()).content for _ in range(2)]
    assert contents[0] != contents[1]
    assert all(content.startswith(path.read_bytes()) for content in contents)


def test_a_file_that_is_not_there_is_refused_at_once(emulator, tmp_path):
    with pytest.raises(ValueError, match=r"film_file='.*nothing\.mp4': cannot be read: No such file"):
        emulator.configure(film_file=tmp_path / "nothing.mp4")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        Emulator(film_file=tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"not for others\n", b"root:x:0:0:root:/root:/bin/bash\n", b"\xff\xd8\xff\xe0JFIF"]
)
def test_the_emulator_serves_no_file_of_its_machine_but_films(content, emulator, tmp_path):
    (tmp_path / "private").write_bytes(content)
    with pytest.raises(ValueError, match="must begin like an MP4"):
        emulator.configure(film_file=str(tmp_path / "private"))
    with pytest.raises(ValueError, match="must begin like an MP4"):
        Emulator(film_file=str(tmp_path / "private"))


def test_the_emulator_reads_no_file_that_a_request_names_not_even_a_film(emulator, tmp_path):
    film = tmp_path / "private.mp4"
    film.write_bytes(b"\0\0\0\x10ftyp, and not for others")
    for name in (str(film), f"file://{film}"):
        answer = browser.post(f"{emulator.url}/_emulator/settings", json={"film_file": name})
        assert (answer.status_code, "film_file" in answer.json()["error"]) == (400, True)


def test_a_film_of_the_users_own_goes_with_a_reset_or_when_it_is_taken_back(minimax, emulator, tmp_path):
    path = tmp_path / "own.mp4"
    path.write_bytes(b"\0\0\0\x10ftyp, and not much of a clip")
    own = len(path.read_bytes())

    def begins_as_own() -> bool:
        return browser.get(minimax.buy_link()).content[:own] == path.read_bytes()

    emulator.configure(film_file=path)
    emulator.configure(seconds=1)
    assert begins_as_own()
    emulator.configure(film_file=None)
    assert not begins_as_own()
    emulator.configure(film_file=path)
    emulator.reset()
    assert not begins_as_own()
    with Emulator(film_file=path) as other:
        other.configure(film_file=None)
        other.reset()
        assert other.state["film_bytes"] == own
