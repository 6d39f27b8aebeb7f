"""How jobs come to their end, and what the emulator remembers."""

from __future__ import annotations

import time

import pytest

from airflow_provider_minimax.emulator import Emulator, EmulatorClient
from tests.emulator.customer import browser


def test_a_job_can_live_by_the_clock(minimax, emulator):
    emulator.configure(lifecycle="time", seconds=1.2)
    task_id = minimax.buy()
    seen = []
    until = time.monotonic() + 60
    while "Success" not in seen and time.monotonic() < until:
        status = minimax.query(task_id)["status"]
        if status not in seen:
            seen.append(status)
    assert seen == ["Preparing", "Queueing", "Processing", "Success"]


def test_a_job_can_be_finished_by_the_number_of_polls(minimax, emulator):
    emulator.configure(lifecycle="polls", polls=3)
    task_id = minimax.buy()
    assert [minimax.query(task_id)["status"] for _ in range(4)] == ["Preparing", "Queueing", "Success", "Success"]


def test_a_job_can_be_moved_by_hand_alone(minimax, emulator):
    emulator.configure(lifecycle="manual")
    task_id = minimax.buy()
    assert {minimax.query(task_id)["status"] for _ in range(5)} == {"Preparing"}
    emulator.set_job(task_id, state="processing")
    assert minimax.query(task_id)["status"] == "Processing"
    emulator.set_job(task_id, state="failed", code=1027)
    assert minimax.query(task_id)["base_resp"]["status_code"] == 1027


def test_a_job_keeps_the_life_it_was_made_with(minimax, emulator):
    emulator.configure(polls=1, outcome="failed", failure_code=1000)
    task_id = minimax.buy()
    emulator.configure(polls=5, outcome="success")
    assert minimax.query(task_id)["base_resp"]["status_code"] == 1000


def test_a_file_cannot_be_had_before_the_job_is_done(minimax, emulator):
    minimax.buy()
    assert minimax.retrieve(emulator.jobs[0]["file_id"])["base_resp"]["status_code"] == 2013


def test_the_journal_records_who_asked_for_what_and_whether_a_key_was_shown(minimax, emulator):
    browser.get(minimax.buy_link())
    minimax.get("/v1/no_such_page")
    recorded = [(line["operation"], line["status"], line["had_authorization"]) for line in emulator.requests]
    assert recorded == [
        ("submit", 200, True),
        ("query", 200, True),
        ("file", 200, True),
        ("download", 200, False),
        ("unknown", 404, True),
    ]


def test_a_reset_forgets_everything_and_restores_the_settings_of_the_start(minimax, emulator):
    emulator.configure(polls=9)
    emulator.fault("non_json", times=-1)
    minimax.order()
    emulator.reset()
    state = emulator.state
    assert state["settings"]["polls"] == 2
    assert [state[what] for what in ("jobs", "purchases", "requests", "faults")] == [[], [], [], []]


@pytest.mark.parametrize("settings", [{"poll": 1}, {"lifecycle": "magic"}, {"polls": "2"}, {"polls": 0}])
def test_a_setting_that_does_not_exist_is_refused(emulator, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        emulator.configure(**settings)
    with pytest.raises(ValueError, match=next(iter(settings))):
        Emulator(**settings)


def test_a_job_that_does_not_exist_cannot_be_moved(emulator):
    with pytest.raises(ValueError, match="no such job"):
        emulator.set_job("1", "success")


def test_an_unknown_platform_is_answered_with_the_known_ones(emulator):
    with pytest.raises(ValueError, match="bltcy"):
        emulator.base_url("hailuo")


def test_an_emulator_elsewhere_is_controlled_by_its_address(minimax, emulator):
    far = EmulatorClient(emulator.url + "/")
    far.configure(polls=1)
    assert minimax.query(minimax.buy())["status"] == "Success"
    assert far.purchases == emulator.purchases
    assert len(far.purchases) == 1


def test_people_can_look_at_the_emulator(minimax, emulator):
    task_id = minimax.buy(prompt="<script>")
    page = browser.get(emulator.url + "/").text
    assert emulator.base_url("bltcy") in page
    assert task_id in page
    assert "<script>" not in page


def test_two_emulators_do_not_know_each_other(minimax, emulator):
    minimax.buy()
    with Emulator() as other:
        assert other.url != emulator.url
        assert other.purchases == []
    with pytest.raises(RuntimeError, match="not running"):
        _ = other.url
