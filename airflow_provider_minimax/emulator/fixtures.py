"""Pytest fixtures for tests of DAGs that use MiniMax.

Enable them in ``conftest.py``::

    pytest_plugins = ["airflow_provider_minimax.emulator.fixtures"]
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_minimax.emulator.server import Emulator


@pytest.fixture(scope="session")
def minimax_emulator_server() -> Iterator[Emulator]:
    """The emulator of the test session, shared by its tests. Jobs are finished at the second query."""
    with Emulator(lifecycle="polls", polls=2) as emulator:
        yield emulator


@pytest.fixture
def minimax_emulator(minimax_emulator_server: Emulator) -> Iterator[Emulator]:
    """
    An emulator without jobs, purchases, faults or settings of other tests. Jobs are finished at the second query.

    :return: the running :class:`~airflow_provider_minimax.emulator.Emulator`; it is reset before and after the test.
    """
    minimax_emulator_server.reset()
    yield minimax_emulator_server
    minimax_emulator_server.reset()
