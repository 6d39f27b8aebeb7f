"""While an upgrade is under way, the previous release and this one read each other's receipts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_minimax.exceptions import MinimaxTaskFailedError
from airflow_provider_minimax.receipts.record import read_receipt
from tests.receipts.samples import delivered, intent, submitted

ROOT = Path(__file__).parent.parent.parent
PREVIOUS = "bacebc3"
"""The commit of the previous release."""

RECEIPTS = {
    "intent": intent(),
    "an intent whose answer names a task": intent().naming("T1"),
    "submitted": submitted(),
    "failed": submitted().failed(MinimaxTaskFailedError("no clip", minimax_task_id="T1", code="1033")),
    "delivered": delivered(),
}

READ_AND_WRITE = """
import json, sys
from airflow_provider_minimax.receipts.record import read_receipt
for line in sys.stdin:
    print(json.dumps(read_receipt(line.encode(), "here").as_values()))
"""


@pytest.fixture(scope="session")
def previous_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The previous release's package, from git; without its history this fails, since nothing would be tested."""
    folder = tmp_path_factory.mktemp("previous")
    packed = subprocess.run(
        ["git", "archive", PREVIOUS, "airflow_provider_minimax"], cwd=ROOT, capture_output=True, check=False
    )
    assert packed.returncode == 0, f"needs the git history with {PREVIOUS}: {packed.stderr.decode()}"
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
    return folder


@pytest.mark.slow
def test_both_releases_read_each_others_receipts(previous_release):
    """What the older one reads and writes back, this one reads as it was: nothing is lost on the way."""
    lines = "\n".join(json.dumps(receipt.as_values()) for receipt in RECEIPTS.values())
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_WRITE],
        input=lines,
        cwd=previous_release,
        env={"PYTHONPATH": str(previous_release), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read_back = [read_receipt(line.encode(), "here") for line in done.stdout.splitlines() if line.startswith("{")]
    assert read_back == list(RECEIPTS.values())
