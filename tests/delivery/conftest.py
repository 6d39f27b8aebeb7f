"""Places to deliver to, the same for every test, and an operator that delivers a clip that is bought and ready."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from tests.fakes import FakeTaskInstance


@dataclass
class Target:
    """A folder somewhere, and a way to look into it that does not go through the provider."""

    url: str
    read: Callable[[str], bytes]
    write: Callable[[str, bytes], object]
    names: Callable[[], list[str]]

    def path(self, name: str = "clip.mp4") -> str:
        return f"{self.url}/{name}"


def folder_target(folder: Path, url: str) -> Target:
    return Target(
        url,
        lambda name: (folder / name).read_bytes(),
        lambda name, content: (folder / name).write_bytes(content),
        lambda: sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")),
    )


@pytest.fixture(params=["path", "file", "s3", "memory"])
def target(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Each kind of place in turn; what is on its way lies in a folder of this test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "clips"
    folder.mkdir()
    if request.param == "path":
        return folder_target(folder, str(folder))
    if request.param == "file":
        return folder_target(folder, f"file://{folder}")
    if request.param == "s3":
        bucket = request.getfixturevalue("s3_bucket")
        return Target(
            bucket.url("spring"),
            lambda name: bucket.read(f"spring/{name}"),
            lambda name, content: bucket.put(f"spring/{name}", content),
            lambda: [key.removeprefix("spring/") for key in bucket.keys()],  # noqa: SIM118 - it is no dict
        )
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem

    memory = MemoryFileSystem()
    attach("memory", fs=memory)
    root = f"/{tmp_path.name}"
    return Target(
        f"memory:/{root}",
        lambda name: memory.cat_file(f"{root}/{name}"),
        lambda name, content: memory.pipe_file(f"{root}/{name}", content),
        lambda: sorted(path.rpartition("/")[2] for path in memory.find(root)),
    )


@pytest.fixture
def account(connect, minimax_emulator, monkeypatch):
    """An account at which a clip is ready at once."""
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=1)
    monkeypatch.setattr("airflow_provider_minimax.purchases.ledger.SETTLING_TIME", 0.0)
    return minimax_emulator


@pytest.fixture
def bought(connect: Any, minimax_emulator: Any) -> str:
    """The id of a clip that is bought, and ready to be fetched."""
    connect()
    operator = MinimaxVideoGenerationOperator(
        task_id="generate", model="MiniMax-Hailuo-2.3", prompt="a boat", durable=False
    )
    minimax_task_id: str = operator.execute({"ti": FakeTaskInstance()})
    minimax_emulator.set_job(minimax_task_id, state="success")
    return minimax_task_id


@pytest.fixture
def deliver(bought: str) -> Callable[..., dict[str, Any]]:
    """Run the download operator once."""

    def run(output_path: str, **options: Any) -> dict[str, Any]:
        operator = MinimaxVideoDownloadOperator(
            task_id="download", minimax_task_id=bought, output_path=output_path, **options
        )
        return operator.execute({"ti": FakeTaskInstance()})

    return run


@pytest.fixture
def whole_clip(bought: str, minimax_emulator: Any) -> Callable[[], bytes]:
    """The clip as the file host has it, fetched without the provider."""
    import httpx

    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    def fetch() -> bytes:
        hook = MinimaxHook("minimax_default")
        return httpx.get(hook.get_file(hook.get_task(bought)).url, follow_redirects=True).content

    return fetch


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
