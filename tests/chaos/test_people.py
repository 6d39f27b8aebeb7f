"""What people do to a task that is in the triggerer: clear it, mark it failed, start another run of the same."""

from __future__ import annotations

import pytest

from tests.chaos.lab import Errand, sha256_of, sha256_of_clip
from tests.chaos.vault import Vault
from tests.standalone.airflow_up import until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]


def buys_another(errand: Errand) -> None:
    """Wait for the second clip, which is delivered; the first one's id stays in the receipt."""
    first, second = errand.await_purchases(2)

    errand.await_end()
    assert errand.run.state == "success"
    assert len(errand.purchases) == 2
    assert sha256_of(errand.clip) == sha256_of_clip(errand.purchases[1])
    assert errand.receipt["minimax_task_id"] == second
    assert errand.receipt["replaced"] == [first]


@pytest.mark.errand("deferring", held=True)
def test_a_task_that_is_cleared_goes_on_with_its_clip(errand):
    """The author said nothing, so a clear costs nothing."""
    errand.await_deferral()
    errand.run.clear("generate")
    until("the task runs again", lambda: len(errand.journal().lives) >= 2)
    errand.finish_clips()

    errand.await_end()
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("resubmitting", held=True)
def test_a_task_that_is_cleared_buys_another_clip_if_its_author_says_so(errand):
    errand.await_deferral()
    errand.run.clear("generate")

    buys_another(errand)


def fails_for_good(vault: Vault, errand: Errand, conn_id: str) -> None:
    """Have the secrets backend be away from the end of the wait until there is no try left, and back after that."""
    errand.await_watch()
    vault.take_away(conn_id)
    errand.finish_clips()
    errand.await_end()
    assert errand.run.state == "failed"
    assert errand.run.tasks["generate"]["try_number"] == 2
    vault.bring_back(conn_id)


@pytest.mark.errand("impatient", held=True, connection="vault_cleared")
def test_a_task_that_is_cleared_after_an_outage_used_up_its_tries_goes_on_with_its_clip(vault, errand):
    fails_for_good(vault, errand, "vault_cleared")
    errand.run.clear("generate")

    errand.await_end()
    assert errand.why_not_delivered_once() is None


@pytest.mark.errand("impatient_resubmitting", held=True, connection="vault_resubmitted")
def test_a_task_that_is_cleared_after_an_outage_buys_another_clip_if_its_author_says_so(vault, errand):
    fails_for_good(vault, errand, "vault_resubmitted")
    errand.run.clear("generate")

    buys_another(errand)


@pytest.mark.errand("deferring", held=True)
def test_a_task_that_is_marked_failed_names_the_clip_that_goes_on(errand):
    """Nothing is cancelled, so the id must not be lost."""
    errand.await_deferral()
    errand.run.mark_failed("generate")

    (bought,) = errand.await_purchases()
    until("the log says so", lambda: f"No longer watching MiniMax task {bought}" in errand.run.log("generate"))
    assert errand.run.tasks["generate"]["state"] == "failed"
    assert errand.receipt["minimax_task_id"] == bought
    assert len(errand.purchases) == 1


def test_two_runs_with_one_output_and_one_request_share_a_clip(send, tmp_path):
    """Several pairs at once: in each, one run buys, the other waits for its id, and both bring it home."""
    pairs = []
    for number in range(4):
        same = {"prompt": f"Two paper boats of {tmp_path}, {number}.", "output": str(tmp_path / f"{number}.mp4")}
        pairs.append([send("elsewhere", **same) for _ in range(2)])

    for number, pair in enumerate(pairs):
        for errand in pair:
            errand.await_end()
        assert [errand.run.state for errand in pair] == ["success", "success"]
        (purchase,) = pair[0].purchases
        assert sha256_of(tmp_path / f"{number}.mp4") == sha256_of_clip(purchase)
    assert len(list(tmp_path.glob("*.mp4"))) == 4
