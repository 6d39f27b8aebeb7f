"""A worker that stood still, so that Airflow gave it up for dead, and that goes on after another one took its place."""

from __future__ import annotations

import pytest

from tests.chaos.lab import Errand
from tests.standalone.airflow_up import until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]


def comes_back(errand: Errand) -> None:
    """Let the next try bring the run to its end, then the first one go on and end."""
    errand.await_end()
    assert len(errand.journal().lives) > 1
    errand.thaw()
    until("the first life is over", lambda: not errand.is_alive)


@pytest.mark.errand("deferring", dies=["before intent"], victim="frozen")
def test_a_worker_that_comes_back_before_its_intent_finds_the_clip_that_was_bought_meanwhile(errand):
    """It checked when nothing was recorded, and checks again right before it writes."""
    comes_back(errand)
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("deferring", dies=["intent written"], victim="frozen")
def test_a_worker_that_comes_back_after_its_intent_is_the_only_one_to_buy(errand):
    """The other try found the intent and stopped, so there is one clip at most."""
    comes_back(errand)
    assert errand.run.state == "failed"
    assert "may have been bought" in errand.run.log("generate")
    assert len(errand.purchases) <= 1


@pytest.mark.errand("adopting", dies=["intent written"], victim="frozen")
def test_a_worker_that_comes_back_after_its_intent_does_not_buy_what_was_bought_without_it(errand):
    """The other try asked the list, which showed nothing, and bought; this one checks again before it sends."""
    comes_back(errand)
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("deferring", dies=["answer received"], victim="frozen")
def test_a_worker_that_comes_back_with_an_answer_records_it(errand):
    """The other try could not know of it and stopped; with the id in the receipt, nobody has to search for the clip."""
    comes_back(errand)
    assert errand.run.state == "failed"
    (purchase,) = errand.purchases
    assert errand.receipt["minimax_task_id"] == purchase["task_id"]
