"""Many deferred tasks in one real triggerer, as ``benchmarks/triggerer.py`` makes them, with clips that take less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

ROOT = Path(__file__).parent.parent.parent
# As docs/scaling.rst promises.
CONNECTIONS = 32 if find_spec("aiohttp") else 8

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("crowds"),
    pytest.mark.skipif(not hasattr(BaseTrigger, "on_kill"), reason="the benchmark knows the database of 3.3 and later"),
]


def crowd(*options: str) -> dict[str, Any]:
    command = [sys.executable, ROOT / "benchmarks" / "triggerer.py", "--json", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_three_hundred_tasks_end_over_few_connections_and_hold_up_nobody(api):
    seen = crowd("--n", "300", "--seconds", "20", "40", "--api", api)
    assert (seen["ended"], seen["clips_found"], seen["refused_requests"]) == (300, 300, 0)
    assert seen["connections"] <= CONNECTIONS
    # Airflow warns from a tenth of a second on, which a busy machine takes by itself.
    assert seen["blocked_longest_after_start_s"] < 1, seen


def test_the_events_of_a_crowd_resume_its_tasks():
    """Here a scheduler and workers finish what the triggerer has seen end."""
    seen = crowd("--n", "50", "--seconds", "15", "20", "--resume")
    assert (seen["clips_found"], seen["resumed"]) == (50, 50)
