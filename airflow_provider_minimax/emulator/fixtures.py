"""A pytest fixture for those who test DAGs against MiniMax.

Switch it on in ``conftest.py``::

    pytest_plugins = ["airflow_provider_minimax.emulator.fixtures"]
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_minimax.emulator.server import Emulator


@pytest.fixture(scope="session")
def minimax_emulator_server() -> Iterator[Emulator]:
    """The one emulator of a test session; its jobs are done at the second query."""
    with Emulator(lifecycle="looks", looks=2) as emulator:
        yield emulator


@pytest.fixture
def minimax_emulator(minimax_emulator_server: Emulator) -> Iterator[Emulator]:
    """An emulator that remembers nothing of other tests; its jobs are done at the second query."""
    minimax_emulator_server.reset()
    yield minimax_emulator_server
    minimax_emulator_server.reset()
