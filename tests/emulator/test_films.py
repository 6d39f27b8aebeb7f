"""Which film a clip shows."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydantic import ValidationError

from airflow_provider_minimax.emulator import Emulator
from airflow_provider_minimax.emulator.clips import film
from airflow_provider_minimax.emulator.contract import catalogue
from airflow_provider_minimax.emulator.jobs import PIXELS
from airflow_provider_minimax.media.check import Wanted, check_clip
from tests.emulator.customer import IMAGE, browser

ON_SALE = sorted(
    {
        (resolution, duration)
        for model in catalogue()["models"].values()
        for mode in model["modes"].values()
        for resolution, durations in mode["resolutions"].items()
        for duration in durations
    }
)


@pytest.mark.parametrize(("resolution", "duration"), [*ON_SALE, (None, None)])
def test_there_is_a_film_for_everything_that_can_be_ordered(resolution, duration):
    facts = check_clip(BytesIO(film(resolution, duration)), "full", Wanted(resolution or "720P", duration or 6))
    assert (facts.width, facts.height) == PIXELS[resolution or "720P"]
    assert (facts.codec, facts.fps, (facts.frames - 5) % 17) == ("h264", 24, 0)


def test_a_clip_shows_what_was_ordered_and_what_is_reported(minimax):
    task_id = minimax.buy(
        model="MiniMax-Hailuo-02", first_frame_image=IMAGE, prompt="a fox", resolution="512P", duration=10
    )
    report = minimax.finish(task_id)
    link = minimax.retrieve(report["file_id"])["file"]["download_url"]
    facts = check_clip(BytesIO(browser.get(link).content), "basic", Wanted("512P", 10))
    assert (facts.width, facts.height) == (report["video_width"], report["video_height"])


def test_every_clip_can_show_a_file_of_the_users_own(minimax, emulator, tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not much of a clip")
    emulator.configure(film_file=str(path))
    contents = [browser.get(minimax.buy_link()).content for _ in range(2)]
    assert contents[0] != contents[1]
    assert all(content.startswith(path.read_bytes()) for content in contents)


def test_a_file_that_is_not_there_is_refused_at_once(emulator, tmp_path):
    with pytest.raises(ValueError, match="must be a file on the emulator's machine"):
        emulator.configure(film_file=str(tmp_path / "nothing.mp4"))
    with pytest.raises(ValidationError, match="must be a file on the emulator's machine"):
        Emulator(film_file=str(tmp_path))
