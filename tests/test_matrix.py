"""What the matrix of Airflow's versions may leave out."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.test_matrix import ONCE

ROOT = Path(__file__).parent.parent
# The hook may be a way in: what it asks Airflow for is tested elsewhere, on all versions.
OF_AIRFLOW = re.compile(
    r"^\s*(?:from|import) (?:airflow\b|airflow_provider_minimax\.(?:operators|sensors|triggers|jobs)\b)", re.MULTILINE
)


def test_what_is_tested_on_one_version_of_airflow_alone_knows_nothing_of_airflow():
    paths = [ROOT / path for path in ONCE]
    files = [file for path in paths for file in ([path] if path.is_file() else path.glob("*.py"))]
    assert all(path.exists() for path in paths)
    assert [file.name for file in files if OF_AIRFLOW.search(file.read_text("utf-8"))] == []
