"""What the platform does: it loses answers, breaks off downloads, and is away for a minute while a clip is made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.line import Line
from tests.standalone.airflow_up import Airflow, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]
POLLS_A_MINUTE = 20


@pytest.mark.errand("deferring", trouble=[{"kind": "lost_answer", "operation": "submit"}])
def test_a_lost_answer_is_never_bought_again(errand):
    """A clip was sold and the connection broke before its id came: the task stops at its first try."""
    errand.await_end()
    assert errand.why_not_stopped_in_doubt() is None
    assert len(errand.purchases) == len(errand.journal().lives) == 1


@pytest.mark.errand("deferring", trouble=[{"kind": "http", "operation": "submit", "status": 500, "job_made": True}])
def test_an_error_that_hides_a_purchase_is_never_bought_again(errand):
    """The platform said 500 and sold a clip all the same."""
    errand.await_end()
    assert errand.why_not_stopped_in_doubt() is None
    assert len(errand.purchases) == len(errand.journal().lives) == 1


@pytest.mark.errand("deferring", trouble=[{"kind": "truncated", "operation": "download", "times": 9}])
def test_a_download_that_breaks_in_three_tries_is_of_one_purchase(errand):
    """Each try asks three times, and the fourth try gets it whole."""
    errand.await_end()
    assert errand.why_not_delivered_once() is None
    assert len(errand.downloads) == 10


@pytest.mark.errand(
    "slowly_polling", trouble=[{"kind": "http", "operation": "query", "status": 503, "times": POLLS_A_MINUTE}]
)
def test_a_minute_of_http_503_loses_no_clip(errand):
    errand.await_end()
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("slowly_polling", trouble=[{"kind": "reset_before", "operation": "query", "times": POLLS_A_MINUTE}])
def test_a_minute_of_broken_connections_loses_no_clip(errand):
    errand.await_end()
    assert errand.why_not_delivered_once() is None


@pytest.fixture
def line(airflow: Airflow) -> Iterator[Line]:
    """A line to the emulator that can be cut, and the Airflow connection ``minimax_line`` over it."""
    with Line(airflow.emulator.url) as line:
        connection = airflow.emulator.connection()
        host = connection["host"].replace(airflow.emulator.url, line.url)
        airflow.add_connection("minimax_line", connection | {"host": host})
        yield line


def test_a_minute_without_a_connection_loses_no_clip(send, line):
    """Nobody listens at the platform's address while the clip is made."""
    errand = send("slowly_polling", connection="minimax_line")
    errand.await_deferral()
    line.cut()
    until(
        "a minute has passed",
        lambda: f"Status check failed ({POLLS_A_MINUTE} in a row)" in errand.run.log("generate"),
        timeout=120,
    )
    line.mend()

    errand.await_end()
    assert errand.why_not_delivered_once() is None
