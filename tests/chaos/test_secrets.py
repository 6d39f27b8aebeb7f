"""A secrets backend that is away for seconds after a purchase: Airflow says "not found", and no clip is lost for it."""

from __future__ import annotations

import pytest

from tests.chaos.lab import Errand
from tests.chaos.vault import Vault

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]


def is_back_after_a_failed_try(vault: Vault, errand: Errand, conn_id: str, task: str) -> None:
    """Wait until a try says that it cannot use the connection, bring that back, and wait for the end."""
    failed = "the worker cannot use the connection right now"
    errand.until("a try failed", lambda: failed in errand.run.logs(task))
    assert conn_id in errand.run.logs(task)
    vault.bring_back(conn_id)

    errand.await_end()
    assert failed not in errand.run.log(task)
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("deferring", held=True, connection="vault_resumed")
def test_a_secrets_backend_that_is_away_when_the_task_resumes_loses_no_clip(vault, errand):
    """The triggerer has the key already, the worker that comes for the clip has not."""
    errand.await_watch()
    vault.take_away("vault_resumed")
    errand.finish_clips()

    is_back_after_a_failed_try(vault, errand, "vault_resumed", "generate")


def test_a_secrets_backend_that_is_away_when_a_retry_takes_over_loses_no_clip(vault, send):
    """The worker died with its receipt written; the retry reads the receipt and cannot ask the platform."""
    errand = send("deferring", plan={"generate": [("receipt written", "task")]}, connection="vault_taken_over")
    errand.until("its worker dies", lambda: errand.deaths)
    vault.take_away("vault_taken_over")

    is_back_after_a_failed_try(vault, errand, "vault_taken_over", "generate")


def test_a_secrets_backend_that_is_away_while_the_clip_is_made_loses_no_clip(vault, send):
    """The triggerer polls on without a connection, so that the task needs no retry."""
    # With the answer still on its way, the worker has the key and the triggerer has not.
    slow = {"kind": "slow", "operation": "submit", "seconds": 5}
    errand = send("deferring", trouble=[slow], connection="vault_watched")
    errand.await_purchases()
    vault.take_away("vault_watched")
    unusable = "the triggerer cannot use the connection right now"
    errand.until("the triggerer says so", lambda: unusable in errand.run.log("generate", 1))
    assert errand.polls == [0]
    vault.bring_back("vault_watched")

    errand.await_end()
    assert errand.run.tasks["generate"]["try_number"] == 1
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("three_tasks", held=True, connection="vault_fetched")
def test_a_secrets_backend_that_is_away_when_another_task_fetches_the_clip_loses_none(vault, errand):
    """The download operator never buys, so whatever it is asked to fetch is bought."""
    errand.await_watch("wait")
    vault.take_away("vault_fetched")
    errand.finish_clips()

    is_back_after_a_failed_try(vault, errand, "vault_fetched", "download")
