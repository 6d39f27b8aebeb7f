"""Processes that are killed in the middle of a delivery, and the retry that goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.delivery.conftest import Target, sha256

pytestmark = pytest.mark.slow

SIZE = 20_000_000
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def killed(bought, minimax_emulator, tmp_path: Path, request):
    """Run a process that delivers the clip, and kills itself."""
    minimax_emulator.configure(clip_bytes=SIZE)

    def run(output_path: str, point: str, number: int = 0) -> None:
        env = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        if output_path.startswith("s3://"):
            env["S3_ENDPOINT"] = request.getfixturevalue("s3_bucket").endpoint
        command = [sys.executable, "-m", "tests.delivery.mortal", output_path, bought, point, str(number)]
        ended = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr

    return run


def fetched(minimax_emulator) -> list[tuple[str | None, int]]:
    """What was asked of the file host: the first byte that was wanted, and the status of the answer."""
    return [(r["range"], r["status"]) for r in minimax_emulator.requests if r["operation"] == "download"]


@pytest.mark.parametrize("at", [1, SIZE // 3, SIZE - 1])
@pytest.mark.parametrize("target", ["path", "s3"], indirect=True)
def test_a_download_goes_on_from_the_byte_at_which_it_was_killed(
    target: Target, killed, deliver, whole_clip, minimax_emulator, at
):
    killed(target.path(), "bytes", at)
    assert target.names() == []
    facts = deliver(target.path())
    (first, second) = fetched(minimax_emulator)
    assert first == (None, 200)
    assert second[0] is not None
    assert int(second[0].removeprefix("bytes=").removesuffix("-")) >= at
    assert second[1] == (416 if at == SIZE - 1 else 206)
    assert facts["sha256"] == sha256(target.read("clip.mp4")) == sha256(whole_clip())
    assert len(minimax_emulator.purchases) == 1


def test_a_download_that_is_killed_again_and_again_gets_done(tmp_path, killed, deliver, whole_clip, minimax_emulator):
    for at in (SIZE // 4, SIZE // 2, 3 * SIZE // 4):
        killed(str(tmp_path / "clip.mp4"), "bytes", at)
    deliver(str(tmp_path / "clip.mp4"))
    assert [status for _, status in fetched(minimax_emulator)] == [200, 206, 206, 206]
    assert (tmp_path / "clip.mp4").read_bytes() == whole_clip()


@pytest.mark.parametrize("part", [1, 3])
def test_an_upload_that_is_killed_is_made_again_and_nothing_is_fetched_again(
    s3_bucket, killed, deliver, whole_clip, minimax_emulator, part, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed(s3_bucket.url("clip.mp4"), "upload", part)
    assert "clip.mp4" not in s3_bucket.keys()  # noqa: SIM118 - it is no dict
    deliver(s3_bucket.url("clip.mp4"))
    assert fetched(minimax_emulator) == [(None, 200), (f"bytes={SIZE}-", 416)]
    assert s3_bucket.read("clip.mp4") == whole_clip()


@pytest.mark.parametrize("point", ["put", "kept"])
@pytest.mark.parametrize("target", ["path", "s3"], indirect=True)
def test_a_clip_is_known_again_by_its_hash(target: Target, killed, deliver, whole_clip, minimax_emulator, point):
    killed(target.path(), point)
    assert ("clip.mp4" in target.names()) == (point == "kept")
    facts = deliver(target.path())
    assert fetched(minimax_emulator) == [(None, 200)] + ([(f"bytes={SIZE}-", 416)] if point == "put" else [])
    assert facts["sha256"] == sha256(target.read("clip.mp4")) == sha256(whole_clip())
    assert target.names() == ["clip.mp4", "clip.mp4.receipt.json"]
