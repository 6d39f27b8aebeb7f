"""The tests on several versions of Airflow, each in an environment of its own; prints a table at the end."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
# A run of the tests keeps one core busy. More at once wait for each other, and some tests hold a clock.
SIDE_BY_SIDE = 2


@dataclass(frozen=True)
class Result:
    """How the tests went on one version, and all that was printed."""

    version: str
    is_passed: bool
    seconds: float
    output: str

    def __str__(self) -> str:
        return f"{self.version:10} {'passed' if self.is_passed else 'failed':8} {self.seconds:6.0f}"


def commands(version: str) -> list[list[str | Path]]:
    """Return what makes the environment of a version, and what tests in it."""
    venv = ROOT / f".venv-{version}"
    python = venv / "bin" / "python"
    prerelease = ["--prerelease=allow"] if any(letter.isalpha() for letter in version) else []
    constraints = ROOT / "tests" / "constraints" / f"{version}.txt"
    constrained = ["--constraints", constraints] if constraints.exists() else []
    what = [*constrained, f"apache-airflow=={version}", "--editable", ".[images,media]", "--group", "test"]
    return [
        [UV, "venv", "--quiet", "--allow-existing", "--python", sys.executable, venv],
        [UV, "pip", "install", "--quiet", *prerelease, "--python", python, *what],
        # Slow tests look at packaging and at processes, not at Airflow's versions; `make test` runs them.
        [python, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider"],
    ]


def test(version: str) -> Result:
    """Test on one version, quietly: what two print at once nobody can read."""
    started = time.monotonic()
    output, is_passed = "", True
    for command in commands(version):
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        output += done.stdout
        if done.returncode:
            is_passed = False
            break
    return Result(version, is_passed, time.monotonic() - started, output)


def main() -> None:
    versions = sys.argv[1:]
    print(f"==> Airflow {', '.join(versions)}; {SIDE_BY_SIDE} at a time, each is shown when it has ended", flush=True)
    results = {}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for future in as_completed(pool.submit(test, version) for version in versions):
            result = future.result()
            results[result.version] = result
            print(f"\n==> Airflow {result.version}\n{result.output}", flush=True)
    print("\nAirflow    tests    seconds")
    for version in versions:
        print(results[version])
    sys.exit(not all(result.is_passed for result in results.values()))


if __name__ == "__main__":
    main()
