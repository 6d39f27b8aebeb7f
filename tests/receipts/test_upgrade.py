"""While an upgrade is under way, the previous release and this one read each other's receipts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_provider_minimax.exceptions import MinimaxTaskFailedError
from airflow_provider_minimax.purchases.receipt import read_receipt
from tests.receipts.samples import delivered, intent, submitted

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


@pytest.mark.slow
def test_both_releases_read_each_others_receipts(previous_code):
    """What the older one reads and writes back, this one reads as it was: nothing is lost on the way."""
    lines = "\n".join(json.dumps(receipt.as_values()) for receipt in RECEIPTS.values())
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_WRITE],
        input=lines,
        cwd=previous_code,
        env={"PYTHONPATH": str(previous_code), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read_back = [read_receipt(line.encode(), "here") for line in done.stdout.splitlines() if line.startswith("{")]
    assert read_back == list(RECEIPTS.values())
