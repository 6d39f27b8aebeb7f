"""A test that failed is run once more in CI, and nowhere else; what it failed of first is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# One version of Airflow is enough: it has nothing to do with it.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TESTS = """
import os
import pathlib
import pytest

HERE = pathlib.Path(__file__).parent

def note(name):
    with (HERE / "runs").open("a") as file:
        file.write(name + "\\n")
    return (HERE / "runs").read_text().count(name)

@pytest.mark.xdist_group("one")
def test_passes():
    note("passes")

@pytest.mark.xdist_group("one")
def test_fails_at_first():
    assert note("at first") == 2, "a machine that stood still"

@pytest.mark.xdist_group("two")
@pytest.mark.skipif("WORST" not in os.environ, reason="")
def test_worst():
    note("worst")
    assert os.environ["WORST"] != "fails"
    os._exit(1)
"""


def run(folder: Path, **environment: str) -> tuple[int, list[str], str]:
    """Return the exit code, which tests were run, and what was printed."""
    (folder / "test_some.py").write_text(TESTS)
    distributed = ["-n", "2", "--dist", "loadgroup", "--max-worker-restart", "0", "-p", "tests.distributed"]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "run_tests.py", *distributed, "-p", "no:asyncio", "."],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RETRY_FAILED": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, sorted((folder / "runs").read_text().splitlines()), done.stdout


def test_a_test_that_failed_is_run_once_more_in_ci(tmp_path):
    code, runs, said = run(tmp_path, RETRY_FAILED="1")
    assert code == 0
    assert runs == ["at first", "at first", "passes"]
    assert re.search(r"call of .*test_fails_at_first.*(\n.*)*a machine that stood still(\n.*)*once more:", said)


def test_a_test_that_fails_again_has_failed(tmp_path):
    code, runs, _ = run(tmp_path, RETRY_FAILED="1", WORST="fails")
    assert code == 1
    assert runs == ["at first", "at first", "passes", "worst", "worst"]


def test_elsewhere_nothing_is_run_again(tmp_path):
    code, runs, _ = run(tmp_path)
    assert code == 1
    assert runs == ["at first", "passes"]


def test_nothing_is_run_again_if_a_process_ended_and_left_tests_out(tmp_path):
    code, runs, _ = run(tmp_path, RETRY_FAILED="1", WORST="ends its process")
    assert code == pytest.ExitCode.INTERRUPTED
    assert runs.count("worst") == 1
    assert runs.count("at first") <= 1


def test_what_a_test_failed_of_is_shown_before_all_are_over(tmp_path):
    _, _, said = run(tmp_path, WORST="fails")
    assert said.index("_ call of test_some.py::test_fails_at_first") < said.index("= FAILURES =")
