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
    """The emulator of the test session; its jobs are finished at the second query."""
    with Emulator(lifecycle="polls", polls=2) as emulator:
        yield emulator


@pytest.fixture
def minimax_emulator(minimax_emulator_server: Emulator) -> Iterator[Emulator]:
    """An emulator without traces of other tests; its jobs are finished at the second query."""
    minimax_emulator_server.reset()
    yield minimax_emulator_server
    minimax_emulator_server.reset()
