"""The pace by what is known: fewer polls than a fixed interval, no clip found late, and no harm from a wrong guess."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from airflow_provider_minimax.api import catalogue
from airflow_provider_minimax.polling import schedule as schedules
from airflow_provider_minimax.polling.schedule import (
    ENOUGH,
    DurationModel,
    DurationStats,
    Kind,
    LearnedSchedule,
    published,
)

CLIPS = 1500
LAWS = [(median, sigma) for median in (60, 120, 180) for sigma in (0.25, 0.5)]
UNKNOWN = Kind("c", "a-model-of-tomorrow")


class KnownStats(DurationStats):
    """What is known when somebody has guessed."""

    def __init__(self, law: DurationModel) -> None:
        super().__init__(UNKNOWN)
        self.timetable = schedules.PollTimetable.from_model(law, longest=schedules.LONGEST_GAP, start=0.0)


def learnt(durations: list[float]) -> DurationStats:
    known = DurationStats(UNKNOWN)
    for seconds in durations:
        known.learn(seconds)
    return known


def durations(median: float, sigma: float, *, count: int = CLIPS, seed: int = 7) -> list[float]:
    chance = random.Random(seed)
    return [median * math.exp(sigma * chance.gauss(0, 1)) for _ in range(count)]


def run(known: DurationStats, clips: list[float]) -> tuple[float, float]:
    """Return polls a clip, and the mean seconds from a clip's end to the poll that sees it."""
    pace, chance, polls, late = LearnedSchedule(known, bought_at=1e9), random.Random(11), 0, 0.0
    for ends in clips:
        now, count, jitter = 0.0, 0, chance.random()
        while True:
            now += pace.delay(1e9 + now, count, jitter)
            count += 1
            if now >= ends:
                break
        polls, late = polls + count, late + now - ends
    return polls / len(clips), late / len(clips)


def polls_at_ten_seconds(clips: list[float]) -> float:
    return sum(math.ceil(ends / 10) for ends in clips) / len(clips)


@pytest.mark.parametrize(("median", "sigma"), LAWS)
def test_a_right_guess_saves_polls_and_finds_clips_as_soon_as_polling_every_ten_seconds(median, sigma):
    clips = durations(median, sigma)
    polls, late = run(KnownStats(DurationModel(median, 0.35)), clips)
    assert polls / polls_at_ten_seconds(clips) <= (0.85 if sigma == 0.25 else 0.9)
    assert late <= 5.6


@pytest.mark.parametrize("wrong", [0.5, 2.0])
@pytest.mark.parametrize(("median", "sigma"), LAWS)
def test_a_guess_that_is_wrong_by_a_factor_of_two_makes_no_clip_late(median, sigma, wrong):
    clips = durations(median, sigma)
    polls, late = run(KnownStats(DurationModel(median * wrong, 0.35)), clips)
    assert polls / polls_at_ten_seconds(clips) <= 1.1
    assert late <= 8


@pytest.mark.parametrize(("median", "sigma"), LAWS)
def test_times_that_were_seen_save_more(median, sigma):
    clips = durations(median, sigma)
    polls, late = run(learnt(durations(median, sigma, count=32, seed=3)), clips)
    assert polls / polls_at_ten_seconds(clips) <= (0.55 if sigma == 0.25 else 0.8)
    assert late <= 6


def test_durations_are_learnt_from_polls_alone():
    """Each clip is learnt from as a trigger does it, between the last poll that saw it run and the one that did not."""
    clips = durations(120, 0.25, count=300)
    known, chance, counts = DurationStats(UNKNOWN), random.Random(5), []
    for ends in clips:
        pace, now, count, running_at, jitter = LearnedSchedule(known, bought_at=1e9), 0.0, 0, None, chance.random()
        while True:
            now += pace.delay(1e9 + now, count, jitter)
            count += 1
            if now >= ends:
                break
            running_at = 1e9 + now
        pace.learn(running_at, 1e9 + now)
        counts.append(count)
    assert sum(counts[100:]) / 200 / polls_at_ten_seconds(clips[100:]) <= 0.65


def test_a_kind_that_nobody_knows_is_looked_at_every_ten_seconds():
    pace = LearnedSchedule(DurationStats(UNKNOWN), bought_at=0.0)
    assert [pace.delay(1.0, polls, 0.5) for polls in (0, 1, 2)] == [5, 10, 10]


def test_a_few_clips_are_not_yet_an_duration_stats():
    known = learnt([100.0] * (ENOUGH - 1))
    assert known.timetable is None
    known.learn(100.0)
    assert known.timetable is not None


def test_a_clip_that_was_done_early_brings_the_first_poll_forward_at_once():
    known = learnt([120.0] * 32)
    before = LearnedSchedule(known, 0.0).delay(0.0, 0, 0.0)
    known.learn(40.0)
    assert before > 70
    assert LearnedSchedule(known, 0.0).delay(0.0, 0, 0.0) < 40


@pytest.mark.parametrize("law", [DurationModel(130, 0.35), DurationModel(10, 0.15), DurationModel(3600, 1.0)])
@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_no_gap_is_longer_than_the_bound_or_too_short_to_be_of_use(law, jitter):
    pace, now, gaps = LearnedSchedule(KnownStats(law), bought_at=0.0), 0.0, []
    while now < 4 * law.median:
        gaps.append(pace.delay(now, len(gaps), jitter))
        now += gaps[-1]
    assert max(gaps) <= schedules.LONGEST_GAP + 0.01
    assert min(gaps[1:]) >= 0.9


def test_a_poll_that_is_a_little_early_is_not_repeated_at_its_proper_time():
    pace = LearnedSchedule(KnownStats(DurationModel(120, 0.35)), bought_at=0.0)
    due = pace.delay(0.0, 0, 0.5)
    assert pace.delay(due - 0.2, 1, 0.5) > 5


def test_a_clip_of_long_ago_is_looked_at_every_ten_seconds():
    pace = LearnedSchedule(KnownStats(DurationModel(120, 0.35)), bought_at=0.0)
    now = 86400.0 + pace.delay(86400.0, 0, 0.5)
    assert pace.delay(now, 1, 0.5) == pytest.approx(10)


def test_a_clock_that_was_set_back_is_no_trouble():
    assert (
        0
        <= LearnedSchedule(KnownStats(DurationModel(120, 0.35)), bought_at=1000.0).delay(0.0, 0, 0.5)
        <= schedules.LONGEST_GAP
    )


@pytest.mark.parametrize("model", catalogue.models())
def test_how_long_each_known_model_takes_is_said(model):
    law = published(Kind("c", model, "768P", 6))
    assert 60 <= law.median <= 300


def test_what_is_said_of_how_long_models_take_is_data_with_its_source():
    rows = schedules._rows()
    assert all(0 < row["least"] < row["most"] and row["source"] for row in rows)
    assert Path(schedules.__file__).with_name("durations.toml").exists()


def test_a_kind_is_learnt_of_once_for_all_who_ask():
    kind = Kind("c", "m", "768P", 6)
    assert schedules.duration_stats(kind) is schedules.duration_stats(Kind("c", "m", "768P", 6))
    assert schedules.duration_stats(kind) is not schedules.duration_stats(Kind("other", "m", "768P", 6))
