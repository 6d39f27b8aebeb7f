"""One receipt in two homes: which one decides, who may write, and what happens if one of them fails."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from airflow_provider_minimax.exceptions import MinimaxReceiptStoreError, MinimaxTaskFailedError
from airflow_provider_minimax.purchases.ledger import SETTLING_TIME, Ledger
from airflow_provider_minimax.purchases.receipt import Phase
from tests.receipts.samples import NOW, OTHER, MemoryHome, delivered, failed, intent, submitted

LOG = logging.getLogger("ledger")


class Failing(MemoryHome):
    """A store whose steps fail as often as a test wants."""

    def __init__(self, *steps: str) -> None:
        super().__init__()
        self.failures = list(steps)
        self.step = self.fail

    def fail(self, name: str) -> None:
        if name in self.failures:
            self.failures.remove(name)
            raise MinimaxReceiptStoreError(f"the receipt cannot be {name}")


def ledger(*homes: MemoryHome, slept: list[float] | None = None) -> Ledger:
    return Ledger(homes, log=LOG, sleep=(slept if slept is not None else []).append)


def test_a_purchase_is_written_to_all_homes():
    first, second = MemoryHome(), MemoryHome()
    claimed = intent()
    assert ledger(first, second).claim(claimed, None)
    ledger(first, second).keep(claimed.submitted("T1", claimed.intended_at))
    assert first.content == second.content
    assert first.read().minimax_task_id == "T1"


def test_the_first_home_that_has_a_receipt_decides():
    first, second = MemoryHome(), MemoryHome()
    second.write(submitted())
    assert ledger(first, second).read().minimax_task_id == "T1"
    first.write(delivered())
    assert ledger(first, second).read().phase is Phase.DELIVERED


def test_a_receipt_left_behind_on_another_workers_disk_does_no_harm():
    """A retry elsewhere bought another clip, which only the store knows, and then the task is back on this worker."""
    disk, store = MemoryHome(), MemoryHome()
    disk.write(submitted(attempt="first", minimax_task_id="T1"))
    store.write(submitted(attempt="second", minimax_task_id="T2", intended_at=NOW + timedelta(minutes=1)))
    assert ledger(disk, store).read().minimax_task_id == "T2"


def test_what_the_store_knows_better_is_written_to_the_disk_too():
    disk, store = MemoryHome(), MemoryHome()
    disk.write(submitted(attempt="first", minimax_task_id="T1"))
    store.write(submitted(attempt="second", minimax_task_id="T2", intended_at=NOW + timedelta(minutes=1)))
    one = ledger(disk, store)
    found = one.read()
    one.keep(found.failed(MinimaxTaskFailedError("no clip")))
    assert disk.read() == store.read()
    assert (disk.read().phase, disk.read().minimax_task_id) == (Phase.FAILED, "T2")


def test_a_purchase_may_take_the_place_of_a_receipt_that_was_left_behind():
    disk, store = MemoryHome(), MemoryHome()
    disk.write(submitted(attempt="first"))
    store.write(failed("1033", attempt="second", intended_at=NOW + timedelta(minutes=1)))
    one = ledger(disk, store)
    claimed = intent(attempt="third")
    assert one.claim(claimed, one.read())
    assert disk.read() == store.read() == claimed


def test_of_two_receipts_of_one_purchase_the_more_complete_one_counts():
    """A person gave the id of a lost answer to the receipt next to the output."""
    disk, store = MemoryHome(), MemoryHome()
    lost = intent()
    disk.write(lost.submitted("T1", NOW))
    store.write(lost)
    assert ledger(disk, store).read().minimax_task_id == "T1"
    assert ledger(store, disk).read().minimax_task_id == "T1"


def test_after_a_clear_the_store_still_says_what_is_bought():
    """Airflow 3.3 keeps it, and the output may be on another worker's disk."""
    disk, store = MemoryHome(), MemoryHome()
    store.write(submitted(max_tries=2))
    assert ledger(disk, store).read().minimax_task_id == "T1"


def test_the_second_task_does_not_buy():
    home = MemoryHome()
    found = ledger(home).read()
    assert ledger(home).claim(intent(owner=OTHER), found)
    assert not ledger(home).claim(intent(), found)
    assert home.read().owner == OTHER


def test_a_task_that_saw_an_older_receipt_does_not_buy():
    home = MemoryHome()
    home.write(delivered())
    found = ledger(home).read()
    assert ledger(home).claim(intent(owner=OTHER), found)
    assert not ledger(home).claim(intent(), found)
    assert home.read().owner == OTHER


def test_a_rival_who_wrote_meanwhile_is_noticed():
    """Where two may have written, the one that is there after a moment has it."""
    home = MemoryHome()
    home.create_may_race = True
    rival = intent(owner=OTHER)
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        home.write(rival)

    assert not Ledger([home], log=LOG, sleep=sleep).claim(intent(), None)
    assert slept == [SETTLING_TIME]


def test_an_intent_that_came_to_nothing_leaves_no_trace():
    home = MemoryHome()
    claimed = intent()
    ledger(home).claim(claimed, None)
    ledger(home).withdraw(claimed, None)
    assert home.content is None


def test_the_receipt_of_the_clip_that_is_there_comes_back_if_a_new_one_is_refused():
    home = MemoryHome()
    home.write(delivered())
    found = home.read()
    claimed = intent()
    ledger(home).claim(claimed, found)
    ledger(home).withdraw(claimed, found)
    assert home.read() == found


def test_what_belongs_to_another_is_neither_withdrawn_nor_overwritten(caplog):
    home = MemoryHome()
    home.write(submitted(owner=OTHER, minimax_task_id="T9"))
    ledger(home).withdraw(intent(), None)
    ledger(home).keep(submitted())
    assert home.read().minimax_task_id == "T9"
    assert "MiniMax task T1 is bought, but the receipt in memory is by now that of another purchase" in caplog.text


def test_nothing_may_be_bought_if_one_home_cannot_be_written():
    first, second = MemoryHome(), Failing("write")
    with pytest.raises(MinimaxReceiptStoreError):
        ledger(first, second).claim(intent(), None)
    assert first.content is None


def test_an_id_that_is_paid_for_is_written_again_and_again():
    home = Failing(*["write"] * 5)
    slept: list[float] = []
    ledger(home, slept=slept).keep(submitted())
    assert home.read().minimax_task_id == "T1"
    assert len(slept) == 5


def test_an_id_that_cannot_be_written_is_at_least_said(caplog):
    first, second = Failing(*["write"] * 99), MemoryHome()
    ledger(first, second).keep(submitted())
    assert second.read().minimax_task_id == "T1"
    assert "MiniMax task T1 is bought, but its receipt is not up to date" in caplog.text


def test_a_withdrawal_that_fails_is_said(caplog):
    home = Failing("erase")
    claimed = intent()
    ledger(home).claim(claimed, None)
    ledger(home).withdraw(claimed, None)
    assert "Nothing was bought, but the receipt that says it might have been stays" in caplog.text


def test_a_home_that_cannot_be_read_stops_everything():
    with pytest.raises(MinimaxReceiptStoreError):
        ledger(MemoryHome(), Failing("read")).read()


def test_without_a_home_nothing_is_kept():
    assert ledger().claim(intent(), None)
    ledger().keep(submitted())
    assert ledger().read() is None
    assert not ledger().keeps


def test_another_tasks_receipt_is_restored_only_where_others_read_it():
    """In this task's own store it would be taken for this task's, once a person took the one on the disk away."""
    disk, store = MemoryHome(), MemoryHome()
    theirs = delivered(owner=OTHER)
    disk.write(theirs)
    one = ledger(disk, store)
    claimed = intent()
    assert one.claim(claimed, one.read())
    one.withdraw(claimed, theirs)
    assert disk.read() == theirs
    assert store.content is None
