"""What the matrix of Airflow's versions may leave out."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
# As in scripts/test_matrix.py.
ONCE = ("api", "emulator")
OF_AIRFLOW = re.compile(
    r"^\s*(?:from|import) (?:airflow|airflow_provider_minimax\.(?:operators|sensors|triggers|hooks))\b", re.MULTILINE
)


def test_what_is_tested_on_one_version_of_airflow_alone_knows_nothing_of_airflow():
    files = [path for folder in ONCE for path in (HERE / folder).glob("*.py")]
    assert files
    assert [path.name for path in files if OF_AIRFLOW.search(path.read_text("utf-8"))] == []
