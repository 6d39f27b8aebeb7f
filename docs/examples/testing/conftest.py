"""What the tests of these DAGs share: their own Airflow, and the emulator as the connection."""

# [START conftest]
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

DAGS = Path(__file__).parent / "dags"

# Airflow reads these when it is first imported, so set them before any such import.
os.environ.update(
    AIRFLOW_HOME=tempfile.mkdtemp(prefix="airflow-"),
    AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
)
sys.path.insert(0, str(DAGS))

pytest_plugins = ["airflow_provider_minimax.emulator.fixtures"]


@pytest.fixture(scope="session", autouse=True)
def airflow_db():
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(autouse=True)
def minimax_default(minimax_emulator, monkeypatch):
    connection = minimax_emulator.connection("minimax")
    monkeypatch.setenv("AIRFLOW_CONN_MINIMAX_DEFAULT", json.dumps(connection))
    return connection
