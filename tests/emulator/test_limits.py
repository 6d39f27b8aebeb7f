"""An account's limits: so many jobs a minute, so many under way, and what the journal records of refusals."""

from __future__ import annotations

import time

import pytest

from tests.emulator.customer import SUBMIT


def refusals(emulator) -> list[int]:
    return [request["refused"] for request in emulator.requests if request["refused"]]


@pytest.mark.parametrize("platform", SUBMIT)
def test_every_platform_takes_so_many_jobs_of_v1_a_minute_and_no_more(customer, emulator, platform):
    emulator.configure(v1_requests_per_minute=2)
    path, order = SUBMIT[platform]
    for _ in range(3):
        customer(platform).post(path, json=order)
    assert len(emulator.purchases) == 2
    assert refusals(emulator) == [1002]


def test_minimax_refuses_one_too_many_in_http_200(minimax, emulator):
    emulator.configure(v1_requests_per_minute=0)
    path, order = SUBMIT["minimax"]
    answer = minimax.post(path, json=order)
    assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, 1002)


def test_a_minute_can_be_short(minimax, h3, emulator):
    emulator.configure(v1_requests_per_minute=1, v2_requests_per_minute=1, minute_seconds=0.3)
    path, order = SUBMIT["minimax"]
    minimax.post(path, json=order)
    h3.buy()
    time.sleep(0.35)
    minimax.post(path, json=order)
    h3.buy()
    assert len(emulator.purchases) == 4
    assert refusals(emulator) == []


def test_each_api_and_each_platform_has_a_limit_of_its_own(customer, h3, emulator):
    emulator.configure(v1_requests_per_minute=1, v2_requests_per_minute=1)
    for platform in ("minimax", "ai302"):
        path, order = SUBMIT[platform]
        customer(platform).post(path, json=order)
    h3.buy()
    assert len(emulator.purchases) == 3
