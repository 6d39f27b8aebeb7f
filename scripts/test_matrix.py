"""The tests on several versions of Airflow, each in an environment of its own; prints a table at the end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")


def install(version: str) -> Path:
    venv = ROOT / f".venv-{version}"
    python = venv / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--allow-existing", "--python", sys.executable, venv], check=True)
    prerelease = ["--prerelease=allow"] if any(letter.isalpha() for letter in version) else []
    constraints = ROOT / "tests" / "constraints" / f"{version}.txt"
    constrained = ["--constraints", constraints] if constraints.exists() else []
    what = [*constrained, f"apache-airflow=={version}", "--editable", ".[images,media]", "--group", "test"]
    subprocess.run([UV, "pip", "install", "--quiet", *prerelease, "--python", python, *what], check=True, cwd=ROOT)
    return python


def main() -> None:
    results = {}
    for version in sys.argv[1:]:
        print(f"==> Airflow {version}", flush=True)
        started = time.monotonic()
        # Slow tests look at packaging and at processes, not at Airflow's versions; `make test` runs them.
        tests = [install(version), "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
        failed = subprocess.run(tests, cwd=ROOT, check=False).returncode
        results[version] = ("failed" if failed else "passed", time.monotonic() - started)
    print("\nAirflow    tests    seconds")
    for version, (result, took) in results.items():
        print(f"{version:10} {result:8} {took:6.0f}")
    sys.exit(any(result == "failed" for result, _ in results.values()))


if __name__ == "__main__":
    main()
