from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_minimax.emulator import Emulator
from tests.emulator.customer import Customer, V2Customer


@pytest.fixture
def emulator(minimax_emulator: Emulator) -> Emulator:
    return minimax_emulator


@pytest.fixture
def customer(emulator: Emulator) -> Iterator[type[Customer]]:
    """Customers of the emulator's platforms, whose connections are closed after the test."""
    Customer.emulator = emulator
    yield Customer
    Customer.leave_all()


@pytest.fixture
def minimax(customer: type[Customer]) -> Customer:
    return customer("minimax")


@pytest.fixture
def h3(customer: type[Customer]) -> V2Customer:
    """Somebody who asks MiniMax's second API."""
    return V2Customer("minimax")
