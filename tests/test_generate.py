"""Buying through the hook in a task of one's own: as safe as the operators."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_minimax.api.h3_requests import PromptRewriteRequest
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.delivery.delivered_clip import DeliveredClip
from airflow_provider_minimax.exceptions import (
    MinimaxDownloadError,
    MinimaxReceiptError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.purchases import matching as adoption
from tests.conftest import load_dags

BOAT = VideoRequest(model="MiniMax-Hailuo-02", prompt="A paper boat")


@pytest.fixture(autouse=True)
def quickly(connect, minimax_emulator, monkeypatch):
    monkeypatch.setattr("airflow_provider_minimax.delivery.download._backoff", lambda state: 0.0)
    connect(extra={"max_retries": 0})
    minimax_emulator.configure(lifecycle="polls", polls=1)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return tmp_path / "boat.mp4"


def receipt_of(clip: Path) -> dict:
    return json.loads(Path(f"{clip}.receipt.json").read_text())


def test_a_task_whose_download_fails_is_retried_and_buys_once(airflow_db, minimax_emulator, clip):
    minimax_emulator.fault("expired", operation="download", times=5)
    run = load_dags("by_hand")["by_hand"].test(run_conf={"folder": str(clip.parent)})
    assert run.state == "success"
    assert len(minimax_emulator.purchases) == 1
    assert receipt_of(clip)["phase"] == "delivered"
    owner = {"dag_id": "by_hand", "run_id": run.run_id, "task_id": "boat", "map_index": -1}
    assert receipt_of(clip)["owner"] == owner
    (ti,) = run.get_task_instances()
    assert ti.try_number == 2


def test_one_task_may_make_several_clips_each_with_a_receipt_of_its_own(airflow_db, minimax_emulator, tmp_path):
    run = load_dags("by_hand")["two_by_hand"].test(run_conf={"folder": str(tmp_path)})
    assert run.state == "success"
    assert len(minimax_emulator.purchases) == 2
    assert {receipt_of(tmp_path / f"{colour}.mp4")["phase"] for colour in ("red", "blue")} == {"delivered"}


def test_outside_airflow_the_receipt_next_to_the_output_is_found_again(minimax_emulator, clip):
    first = MinimaxHook().generate(BOAT, output_path=str(clip), poll_interval=0.05)
    assert MinimaxHook().generate(BOAT, output_path=str(clip), poll_interval=0.05) == first
    assert len(minimax_emulator.purchases) == 1
    assert first["output_path"] == str(clip)
    assert (first["model"], first["prompt"]) == ("MiniMax-Hailuo-02", "A paper boat")


def test_a_download_that_failed_says_that_a_retry_goes_on(minimax_emulator, clip):
    minimax_emulator.fault("expired", operation="download", times=5)
    with pytest.raises(MinimaxDownloadError) as raised:
        MinimaxHook().generate(BOAT, output_path=str(clip), poll_interval=0.05)
    assert raised.value.resumable
    assert raised.value.minimax_task_id == minimax_emulator.purchases[0]["task_id"]


def test_a_lost_answer_leaves_a_receipt_that_says_so(minimax_emulator, clip, connect):
    connect(extra={"max_retries": 0})
    minimax_emulator.fault("lost_answer", operation="submit")
    with pytest.raises(MinimaxSubmissionUnknownError, match="receipts adopt"):
        MinimaxHook().generate(BOAT, output_path=str(clip))
    assert receipt_of(clip)["phase"] == "intent"
    assert len(minimax_emulator.purchases) == 1


def test_only_what_changed_is_bought(minimax_emulator, clip):
    for prompt in ("A boat", "A boat", "A red boat", "A red boat"):
        request = VideoRequest(model="MiniMax-Hailuo-02", prompt=prompt)
        made = MinimaxHook().generate(request, output_path=str(clip), overwrite="changed", poll_interval=0.05)
        assert made["prompt"] == prompt
    assert [purchase["body"]["prompt"] for purchase in minimax_emulator.purchases] == ["A boat", "A red boat"]
    with pytest.raises(MinimaxReceiptError, match="two different requests share one output_path"):
        MinimaxHook().generate(BOAT, output_path=str(clip), poll_interval=0.05)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output_path": " "}, "output_path=' '"),
        ({"overwrite": "always"}, "overwrite='always'"),
        ({"check": "closely"}, "check='closely'"),
        ({"timeout": 0}, "timeout=0"),
        ({"max_submissions": 0}, "max_submissions=0"),
        ({"on_clear": "never"}, "on_clear='never'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_bought(minimax_emulator, clip, changes, said):
    with pytest.raises(MinimaxRequestError) as raised:
        MinimaxHook().generate(BOAT, **{"output_path": str(clip)} | changes)
    assert said in str(raised.value)
    assert minimax_emulator.purchases == []


def test_the_rewriting_of_a_prompt_is_refused_before_it_is_paid_for(minimax_emulator, clip):
    request = PromptRewriteRequest(model="MiniMax-H3", prompt="A boat", duration=5, ratio="16:9")
    with pytest.raises(MinimaxRequestError, match="use MinimaxPromptRewriteOperator"):
        MinimaxHook().generate(request, output_path=str(clip))
    assert minimax_emulator.purchases == []


def test_outside_airflow_the_platforms_list_settles_a_lost_answer_too(minimax_emulator, clip, connect, monkeypatch):
    for name in ("OTHERS_WRITE_WITHIN", "LISTED_WITHIN"):
        monkeypatch.setattr(adoption, name, timedelta(0))
    connect(extra={"max_retries": 0})
    minimax_emulator.fault("lost_answer", operation="submit")
    boat = VideoRequest(model="MiniMax-H3", prompt="A boat", duration=5, resolution="768P", ratio="16:9")
    made = MinimaxHook().generate(boat, output_path=str(clip), on_orphaned_intent="adopt", poll_interval=0.05)
    assert [purchase["task_id"] for purchase in minimax_emulator.purchases] == [made["task_id"]]


def test_a_clip_that_cannot_be_announced_is_delivered_all_the_same(clip, monkeypatch):
    def broken(clip):
        raise TypeError("odd")

    monkeypatch.setattr(DeliveredClip, "facts_with_origin", broken)
    assert MinimaxHook().generate(BOAT, output_path=str(clip), poll_interval=0.05)["output_path"] == str(clip)
