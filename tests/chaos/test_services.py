"""What becomes of the services around a task that is in the triggerer: each may die, and keys may be replaced."""

from __future__ import annotations

from operator import lt

import pytest

from tests.chaos.lab import Errand
from tests.standalone.airflow_up import Airflow, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]


def triggerer_of(errand: Errand) -> int | None:
    """Return which triggerer watches for the errand."""
    return (errand.run.tasks["generate"]["triggerer_job"] or {}).get("id")


@pytest.mark.errand("deferring", held=True)
def test_a_triggerer_that_dies_and_is_started_again_loses_no_clip(airflow, errand):
    """The clip is ready while nobody polls."""
    errand.await_deferral()
    died = triggerer_of(errand)
    airflow.kill("triggerer")
    errand.finish_clips()
    airflow.start("triggerer")

    until("another one watches", lambda: triggerer_of(errand) != died)
    errand.await_end()
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("deferring", held=True)
def test_a_triggerer_that_dies_for_good_is_replaced_by_another(airflow, errand):
    """The other one ran all the while, and takes over what it watched."""
    errand.await_deferral()
    died = triggerer_of(errand)
    airflow.start("triggerer")
    until("there are two triggerers", lambda: airflow.count("TriggererJob") == 2)
    airflow.kill("triggerer")

    until("the other one watches", lambda: triggerer_of(errand) not in (None, died))
    errand.finish_clips()
    errand.await_end()
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("deferring", held=True)
def test_a_scheduler_that_dies_and_is_started_again_loses_no_clip(airflow, errand):
    """With it die its workers; the clip is ready while there is none."""
    errand.await_deferral()
    airflow.kill("scheduler")
    errand.finish_clips()
    airflow.start("scheduler")

    errand.await_end()
    assert errand.why_not_delivered_once() is None


def test_an_api_server_that_dies_and_is_started_again_loses_no_clip(airflow, send):
    """The worker that waits is ended by its supervisor, who cannot report; the next try goes on with the clip."""
    errand = send("waiting")
    until("the clip is being made", errand.hold_back)
    airflow.kill("api-server")
    until("the worker stopped", lambda: not errand.is_alive)
    airflow.start("api-server")
    until("the API server answers", lambda: airflow.answers)
    errand.finish_clips()

    errand.await_end()
    assert len(errand.journal().lives) >= 2
    assert errand.why_not_delivered_once() is None


def test_a_key_that_is_replaced_while_clips_are_made_loses_none(airflow: Airflow, send):
    """The connection gets the new key, then the platform refuses the old one, to all who wait at the same moment."""
    errand = send("mapped")
    until("three clips are being made", lambda: errand.hold_back() == 3)
    airflow.change_connection("minimax_default", password="a-new-key")
    airflow.emulator.fault("slow", operation="query", containing=errand.prompt, seconds=3, times=3)
    airflow.emulator.configure(key="a-new-key")
    seen = errand.polls
    until("all are polled with the new key", lambda: all(map(lt, seen, errand.polls)))
    errand.finish_clips()

    errand.await_end()
    airflow.change_connection("minimax_default", password=airflow.emulator.api_key())
    airflow.emulator.configure(key=None)
    assert errand.run.state == "success"
    assert len(errand.purchases) == 3
