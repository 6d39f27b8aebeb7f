"""Clients that were written by others, for the real platforms, order clips from the emulator and save them.

They are the emulator's third reader: what they expect of an answer was written by people who know neither it nor the
provider. A machine on which they cannot be installed fails these tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_minimax.emulator import Emulator
from airflow_provider_minimax.media.check import ExpectedClip, check_clip
from tests.foreign.conftest import HERE, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def assert_sold(emulator: Emulator, file: Path, model: str, wanted: ExpectedClip) -> None:
    """One clip was bought, no request was refused, and the file holds that clip and all of it."""
    assert [purchase["model"] for purchase in emulator.purchases] == [model]
    assert [request for request in emulator.requests if request["status"] != 200 or request["refused"]] == []
    with file.open("rb") as clip:
        check_clip(clip, "full", wanted)


def test_minimax_mcp_makes_a_clip_and_saves_it(installed, home, tmp_path):
    python = installed("minimax-mcp")
    # It waits 20 seconds after a status check that finds the job on its way.
    with Emulator(lifecycle="polls", polls=1) as emulator:
        account = {"MINIMAX_API_HOST": emulator.base_url(), "MINIMAX_API_KEY": emulator.api_key()}
        places = {"MINIMAX_MCP_BASE_PATH": str(tmp_path), "MINIMAX_API_RESOURCE_MODE": "local"}
        said = run(python, HERE / "clients" / "with_minimax_mcp.py", tmp_path, env=home | account | places)
        (file,) = tmp_path.glob("*.mp4")
        assert f"Success. Video saved as: {file}" in said
        assert_sold(emulator, file, "MiniMax-Hailuo-02", ExpectedClip("768P", 6))


def test_litellm_makes_a_clip_of_h3_and_saves_it(installed, home, tmp_path):
    python, file = installed("litellm"), tmp_path / "clip.mp4"
    with Emulator(lifecycle="polls", polls=2) as emulator:
        # Otherwise it fetches its table of prices when it is imported.
        offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        client = HERE / "clients" / "with_litellm.py"
        run(python, client, emulator.base_url(), emulator.api_key(), file, env=home | offline)
        assert_sold(emulator, file, "MiniMax-H3", ExpectedClip("768P", 5))


def test_mmx_makes_clips_by_both_apis_over_tls_at_the_root_and_saves_them(mmx, home, tmp_path):
    # It takes a host without a path, and turns each link to http into one to https.
    with Emulator(tls=True, root="minimax", lifecycle="polls", polls=2) as emulator:
        for model, wanted in {
            "MiniMax-Hailuo-2.3": ExpectedClip("768P", 6),
            "MiniMax-H3": ExpectedClip("2K", 5),
        }.items():
            file = tmp_path / f"{model}.mp4"
            order = ["--prompt", "a fox in the snow", "--model", model, "--download", file, "--poll-interval", "1"]
            account = ["--base-url", emulator.url, "--region", "global", "--api-key", emulator.api_key()]
            trust = {"NODE_EXTRA_CA_CERTS": str(emulator.ca_file)}
            said = run(*mmx, "video", "generate", *order, *account, "--non-interactive", env=home | trust)
            assert json.loads(said)["saved"] == str(file)
            assert_sold(emulator, file, model, wanted)
            emulator.reset()
