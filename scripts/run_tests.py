"""
Runs pytest with the arguments that it is given.

Where RETRY_FAILED is 1, as in CI, the tests that failed are run once more when all are over: in new processes, with a
new Airflow. What they failed of first stays in the output.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def main(*arguments: str) -> int:
    if os.environ.get("RETRY_FAILED") != "1":
        return run(*arguments)
    # What failed in an earlier run is not to stand for what failed in this one.
    code = run(*arguments, "--cache-clear")
    # Any other code says that not all tests were run.
    if code == pytest.ExitCode.TESTS_FAILED:
        print("==> The tests that failed, once more:", flush=True)
        code = run(*arguments, "--last-failed", "--last-failed-no-failures=none")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
