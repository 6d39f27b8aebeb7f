"""The documentation's examples: they parse, and the ones that test themselves pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import load_file

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_of_the_docs_parses(path):
    assert load_file(path)


@pytest.mark.slow
def test_the_docs_way_to_test_ones_own_dags_works():
    """The docs' small project is run as its readers would run it: in a pytest of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", EXAMPLES / "testing", "."]
    done = subprocess.run(command, cwd=EXAMPLES / "testing", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_promise_of_never_pay_twice_names_a_test_that_is_there():
    page = (EXAMPLES.parent / "tested-deaths.rst").read_text()
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    named = re.findall(r"``(test_\w+)``", page)
    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in tests] == []
