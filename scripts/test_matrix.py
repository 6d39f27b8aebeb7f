"""The quick tests on several versions of Airflow, two at a time, each in its own environment; a table is the end."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
# Slow tests look at packaging and at processes, not at Airflow's versions; `make test` runs them.
TESTS = ["-q", "-m", "not slow", "--dist", "loadgroup", "--no-loadscope-reorder", "--max-worker-restart", "0"]
# While one version starts, or waits for its last tests, the other has the processors.
AT_ONCE = 2
# Tests wait for a third of their time: for clips, for other processes, for the disk.
PROCESSES_EACH = 3
# These need Airflow for its exceptions alone, or for the hook as a way in. So the first version, which brings the
# oldest libraries, stands for all; tests/test_matrix.py checks what they import.
ONCE = (
    "tests/api",
    "tests/delivery/test_hostile_hosts.py",
    "tests/emulator",
    "tests/hostile/test_api.py",
    "tests/media/test_bounds.py",
    "tests/media/test_check.py",
    "tests/media/test_preview.py",
    "tests/receipts/test_adoption.py",
    "tests/receipts/test_decision.py",
    "tests/receipts/test_ledger.py",
    "tests/test_background_log.py",
    "tests/test_contract.py",
    "tests/test_submission_limiter.py",
)


@dataclass(frozen=True)
class Result:
    """How it went on one version."""

    version: str
    outcome: str
    seconds: float
    failures: list[str]
    """pytest's lines on the tests that failed, also if they passed when they were run again."""

    @property
    def is_bad(self) -> bool:
        """Whether the matrix has failed: a pre-release that cannot be installed is shown, and nothing of ours."""
        return self.outcome == "failed" or (self.outcome == "not installed" and not is_prerelease(self.version))

    def __str__(self) -> str:
        return f"{self.version:10} {self.outcome:14} {self.seconds:6.0f}"


def is_prerelease(version: str) -> bool:
    return any(letter.isalpha() for letter in version)


def python_of(version: str) -> Path:
    return ROOT / f".venv-{version}" / "bin" / "python"


def install(version: str) -> None:
    """
    Make a version's environment.

    :raises subprocess.CalledProcessError: with all that was printed, if a package cannot be had.
    """
    python = python_of(version)
    prerelease = ["--prerelease=allow"] if is_prerelease(version) else []
    constraints = ROOT / "tests" / "constraints" / f"{version}.txt"
    constrained = ["--constraints", constraints] if constraints.exists() else []
    what = [*constrained, f"apache-airflow=={version}", "--editable", ".[images,media]", "--group", "test"]
    for command in (
        [UV, "venv", "--quiet", "--allow-existing", "--python", sys.executable, python.parent.parent],
        [UV, "pip", "install", "--quiet", *prerelease, "--python", python, *what],
    ):
        subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)


def test(version: str, processes: str, without: tuple[str, ...]) -> tuple[str, list[str]]:
    """Run the tests in a version's environment; return the outcome, and pytest's lines on the tests that failed."""
    ignored = [f"--ignore={path}" for path in without]
    # Each version has a list of its own of what failed.
    own = ["-o", f"cache_dir=.venv-{version}/.pytest_cache"]
    command = [python_of(version), "scripts/run_tests.py", *TESTS, "-n", processes, *own, *ignored]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as tests:
        assert tests.stdout is not None
        failures: list[str] = []
        for line in tests.stdout:
            say(version, line)
            if line.startswith(("FAILED ", "ERROR ")):
                failures.append(line)
    return "failed" if tests.returncode else "passed", failures


def say(version: str, text: str) -> None:
    """Print something, each line marked with the version that it is of."""
    print("".join(f"{version:8}| {line}\n" for line in text.splitlines()), end="", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="+", help="versions of Airflow")
    arguments = parser.parse_args()
    versions: list[str] = arguments.versions
    processes = str(PROCESSES_EACH) if len(versions) > 1 else "auto"
    with ThreadPoolExecutor(1) as installing, ThreadPoolExecutor(AT_ONCE) as testing:
        environments = {version: installing.submit(install, version) for version in versions}

        def run(version: str) -> Result:
            say(version, "==> installing, then testing")
            started = time.monotonic()
            try:
                environments[version].result()
            except subprocess.CalledProcessError as error:
                say(version, error.stdout)
                outcome, failures = "not installed", []
            else:
                outcome, failures = test(version, processes, () if version == versions[0] else ONCE)
            return Result(version, outcome, time.monotonic() - started, failures)

        results = list(testing.map(run, versions))
    print("\nAirflow    tests          seconds")
    for result in results:
        print(result)
    # Once more, because the end of a long log is read first.
    for result in results:
        say(result.version, "".join(result.failures))
    sys.exit(any(result.is_bad for result in results))


if __name__ == "__main__":
    main()
