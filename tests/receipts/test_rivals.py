"""Two tasks want the same output at the same time: every order in which their steps can fall, and deaths in between."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import product

import greenlet
import pytest

from airflow_provider_minimax.exceptions import MinimaxError, MinimaxReceiptError, MinimaxSubmissionUnknownError
from airflow_provider_minimax.purchases.ledger import SETTLING_TIME, Ledger
from airflow_provider_minimax.purchases.purchase import Buyer, NoOutput
from airflow_provider_minimax.purchases.spec import Policy
from tests.receipts.samples import ME, NOW, OTHER, REQUEST, FakeHook, MemoryHome, delivered, order

# All orders of two tasks' steps: the same on every version of Airflow, so one is enough.
pytestmark = pytest.mark.slow

LOG = logging.getLogger("rivals")
LOG.disabled = True
BOTH = (ME, OTHER)


class Death(BaseException):
    """The end of a process."""


class Race:
    """Two buyers, of which one at a time makes a step; who that is, is the test's choice."""

    def __init__(self, home: MemoryHome, *fingerprints: str, policy: Policy = Policy()) -> None:  # noqa: B008
        self.home = home
        self.now = NOW
        self.purchases: list[int] = []
        self.ends: list[object] = [None, None]
        self.asleep: list[float] = [0.0, 0.0]
        home.step = lambda name: self._pause()
        self.buyers = [
            greenlet.greenlet(self._process(number, order(owner=BOTH[number], fingerprint=fingerprint), policy))
            for number, fingerprint in enumerate(fingerprints)
        ]

    def _process(self, number: int, wanted, policy: Policy) -> Callable[[], None]:
        def sleep(seconds: float) -> None:
            self.asleep[number] = seconds
            self._pause()

        def submit() -> str:
            self._pause()
            self.purchases.append(number)
            self._pause()
            return f"T{len(self.purchases)}"

        def run() -> None:
            ledger = Ledger([self.home], log=LOG, sleep=sleep)
            wish = (wanted, policy, NoOutput(), FakeHook(submit), REQUEST)
            buyer = Buyer(ledger, *wish, log=LOG, clock=lambda: self.now, sleep=sleep)
            try:
                self.ends[number] = buyer.obtain().receipt
            except (MinimaxError, Death) as error:
                self.ends[number] = error

        return run

    def _pause(self) -> None:
        greenlet.getcurrent().parent.switch()

    def step(self, number: int) -> None:
        """Let one of them do what it does until it next touches the outside."""
        self.asleep[number] = 0.0
        self.buyers[number].switch()

    def is_over(self, number: int) -> bool:
        return self.buyers[number].dead

    def finish(self) -> None:
        """Let both run to their end, time going by while they sleep."""
        while not all(self.is_over(number) for number in (0, 1)):
            for number in (0, 1):
                if not self.is_over(number):
                    self.step(number)
            self.now += timedelta(seconds=1)

    def kill(self, number: int) -> None:
        if not self.is_over(number):
            with suppress(Death):
                self.buyers[number].throw(Death)


def orders(length: int):
    """All ways to choose who makes the next step."""
    return product((0, 1), repeat=length)


def run(race: Race, choices) -> None:
    for number in choices:
        if not race.is_over(number):
            race.step(number)
    race.finish()


def exclusive() -> MemoryHome:
    return MemoryHome()


def with_an_old_receipt() -> MemoryHome:
    """A clip that was delivered long since and taken away, so that both want to write over its receipt."""
    home = MemoryHome()
    home.content = delivered(fingerprint="old", owner=OTHER.model_copy(update={"run_id": "last year"})).as_json()
    return home


class Overwriting(MemoryHome):
    """Storage that cannot create a file exclusively: who writes last has written."""

    create_may_race = True

    def create(self, receipt) -> bool:
        if self.read() is not None:
            return False
        self.write(receipt)
        return True


def test_one_buys_and_the_other_goes_on_with_it():
    for choices in orders(12):
        race = Race(exclusive(), "same", "same")
        run(race, choices)
        assert len(race.purchases) == 1
        assert {end.minimax_task_id for end in race.ends} == {"T1"}


def test_of_two_requests_one_learns_whose_the_output_is():
    for choices in orders(12):
        race = Race(exclusive(), "mine", "yours")
        run(race, choices)
        (buyer,) = race.purchases
        assert race.ends[buyer].minimax_task_id == "T1"
        refused = race.ends[1 - buyer]
        assert isinstance(refused, MinimaxReceiptError)
        assert all(str(owner) in str(refused) for owner in BOTH)


@pytest.mark.parametrize("place", [with_an_old_receipt, Overwriting])
def test_where_both_may_write_the_last_one_has_it(place):
    """As long as neither takes longer from its check to its write than the other waits before it believes."""
    raced = 0
    for choices in orders(12):
        race = Race(place(), "same", "same")
        for number in choices:
            # Who waits for rivals to show themselves does so while they are at it.
            other = 1 - number
            if race.asleep[number] == SETTLING_TIME and not race.asleep[other] and not race.is_over(other):
                number = other
            if not race.is_over(number):
                raced += race.asleep[1 - number] == SETTLING_TIME
                race.step(number)
        race.finish()
        assert len(race.purchases) == 1
        assert {end.minimax_task_id for end in race.ends} == {"T1"}
    assert raced


@pytest.mark.parametrize("dies_after", range(8))
def test_if_one_dies_the_other_does_not_buy_what_may_have_been_bought(dies_after):
    for choices in orders(10):
        race = Race(exclusive(), "same", "same")
        for number in choices[:dies_after]:
            if not race.is_over(number):
                race.step(number)
        race.kill(0)
        run(race, choices[dies_after:])
        survivor = race.ends[1]
        assert len(race.purchases) <= 1
        if isinstance(survivor, MinimaxError):
            assert isinstance(survivor, MinimaxSubmissionUnknownError)
            assert str(ME) in str(survivor)
        else:
            assert survivor.minimax_task_id == "T1"
            assert len(race.purchases) == 1
