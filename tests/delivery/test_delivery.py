"""What is there after a delivery: the clip, its manifest, its pictures, and what Airflow learns about it."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import av
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_minimax import __version__
from airflow_provider_minimax.delivery import download
from airflow_provider_minimax.exceptions import (
    MinimaxClipRejectedError,
    MinimaxReceiptError,
    MinimaxRequestError,
)
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from tests.delivery.conftest import Target, sha256
from tests.fakes import FakeTaskInstance

PICTURE = Path(__file__).parent.parent.parent / "docs" / "images" / "finished-run.png"


def generation(output_path: str | None, **options: Any) -> MinimaxVideoGenerationOperator:
    given: dict[str, Any] = {"wait_for_completion": True, "deferrable": False, "poll_interval": 0.01, "prompt": "a cat"}
    return MinimaxVideoGenerationOperator(
        task_id="generate", model="MiniMax-Hailuo-2.3", output_path=output_path, **given | options
    )


def run(operator: Any, ti: FakeTaskInstance | None = None) -> Any:
    return operator.execute({"ti": ti or FakeTaskInstance()})


def manifest_in(target: Target, name: str = "clip.mp4") -> dict[str, Any]:
    return json.loads(target.read(f"{name}.receipt.json"))


# -- the manifest ------------------------------------------------------------------------------------------------------


def test_a_delivered_clip_has_a_manifest_that_says_where_it_came_from(account, target: Target):
    facts = run(generation(target.path(), duration=6, resolution="768P", check="full", preview=True))
    found = manifest_in(target)
    assert found["request"] == {
        "model": "MiniMax-Hailuo-2.3", "prompt": "a cat", "duration": 6, "resolution": "768P"
    }  # fmt: skip
    assert found["cost"] == {"amount": 0.28, "currency": "USD", "kind": "list price", "read": "2026-07-10"}
    assert (found["platform"], found["model"]) == ("minimax", "MiniMax-Hailuo-2.3")
    assert found["minimax_task_id"] == facts["task_id"] == account.purchases[0]["task_id"]
    assert found["facts"]["file_id"] == facts["file_id"]
    assert found["sha256"] == sha256(target.read("clip.mp4"))
    assert found["size"] == len(target.read("clip.mp4"))
    assert (found["media"]["width"], found["media"]["height"], found["media"]["frames"]) == (1366, 768, 141)
    assert found["provider_version"] == __version__
    assert found["intended_at"] <= found["submitted_at"] <= found["delivered_at"]
    assert found["finished_at"] is not None
    assert found["previews"] == {name: f"{facts['output_path']}{ending}" for name, ending in (
        ("poster", ".poster.jpg"), ("contact_sheet", ".contact-sheet.jpg")
    )}  # fmt: skip
    for picture in ("clip.mp4.poster.jpg", "clip.mp4.contact-sheet.jpg"):
        assert target.read(picture)[:3] == b"\xff\xd8\xff"


def test_images_are_recorded_by_their_hash_and_urls_without_their_signature(account, tmp_path):
    account.configure(callbacks="ignored")
    signed = "https://files.example/a.png?X-Amz-Signature=secret"
    pictures = {"first_frame_image": str(PICTURE), "last_frame_image": signed}
    run(
        MinimaxVideoGenerationOperator(
            task_id="generate",
            model="MiniMax-Hailuo-02",
            callback_url="https://me.example/hook?token=secret",
            output_path=str(tmp_path / "clip.mp4"),
            **pictures,
        )
    )
    text = (tmp_path / "clip.mp4.receipt.json").read_text()
    assert json.loads(text)["request"] == {
        "model": "MiniMax-Hailuo-02",
        "first_frame_image": f"sha256:{hashlib.sha256(PICTURE.read_bytes()).hexdigest()}",
        "last_frame_image": "https://files.example/a.png",
    }
    assert "secret" not in text


@pytest.mark.parametrize(
    ("platform", "cost"), [("vtrix", {"amount": 0.3, "unit": "USD", "kind": "billed"}), ("novita", None)]
)
def test_a_bill_is_reported_where_there_is_one_and_no_price_of_another_platform(
    account, connect, tmp_path, platform, cost
):
    connect(platform)
    model = "MiniMax-Hailuo-02" if platform == "vtrix" else "MiniMax-Hailuo-2.3"
    operator = MinimaxVideoGenerationOperator(
        task_id="generate",
        model=model,
        prompt="a cat",
        output_path=str(tmp_path / "clip.mp4"),
        wait_for_completion=True,
        deferrable=False,
        poll_interval=0.01,
    )
    run(operator)
    found = json.loads((tmp_path / "clip.mp4.receipt.json").read_text())
    assert (found["cost"] and found["cost"]["kind"]) == (cost and cost["kind"])
    assert (found["cost"] and found["cost"]["unit"]) == (cost and cost["unit"])


def test_a_clip_that_is_fetched_by_its_id_has_a_manifest_without_its_request(target: Target, deliver, bought):
    deliver(target.path())
    found = manifest_in(target)
    assert (found["phase"], found["minimax_task_id"], found["request"]) == ("delivered", bought, None)


# -- folders -----------------------------------------------------------------------------------------------------------


def test_in_a_folder_each_mapped_clip_has_a_place_of_its_own(account, target: Target):
    facts = [
        run(generation(f"{target.url}/", prompt=f"cat {index}"), FakeTaskInstance(map_index=index))
        for index in range(3)
    ]
    clips = [name for name in target.names() if name.endswith(".mp4")]
    assert len(clips) == 3
    assert sorted(fact["output_path"].rpartition("/")[2] for fact in facts) == clips
    assert all(f"dag.run.generate.{index}." in fact["output_path"] for index, fact in enumerate(facts))


def test_a_retry_finds_its_clip_in_the_folder(account, target: Target):
    first, again = (run(generation(f"{target.url}/")) for _ in range(2))
    assert first == again
    assert len(account.purchases) == 1


def test_the_name_in_a_folder_is_passed_to_the_task_that_delivers(account, target: Target):
    ti = FakeTaskInstance()
    minimax_task_id = run(generation(f"{target.url}/", wait_for_completion=False), ti)
    download = MinimaxVideoDownloadOperator(
        task_id="download", minimax_task_id=minimax_task_id, output_path=str(ti.xcoms["output_path"])
    )
    facts = run(download)
    assert facts["output_path"] == ti.xcoms["output_path"]
    assert manifest_in(target, facts["output_path"].rpartition("/")[2])["request"]["prompt"] == "a cat"


# -- the sensor --------------------------------------------------------------------------------------------------------


def sensor(minimax_task_id: str, **options: Any) -> MinimaxTaskSensor:
    return MinimaxTaskSensor(
        task_id="wait", minimax_task_id=minimax_task_id, **{"deferrable": False, "poke_interval": 0.01} | options
    )


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_delivers_what_it_waited_for(account, target: Target, deferrable):
    minimax_task_id = run(generation(target.path(), wait_for_completion=False))
    account.set_job(minimax_task_id, state="success")
    facts = run(sensor(minimax_task_id, output_path=target.path(), deferrable=deferrable, check="basic"))
    assert (facts["task_id"], facts["sha256"]) == (minimax_task_id, sha256(target.read("clip.mp4")))
    found = manifest_in(target)
    assert (found["phase"], found["request"]["prompt"]) == ("delivered", "a cat")


def test_a_sensor_delivers_after_its_deferral(account, target: Target):
    minimax_task_id = run(generation(None, wait_for_completion=False, durable=False))
    account.set_job(minimax_task_id, state="success")
    event = {"task": {"task_id": minimax_task_id, "state": "succeeded", "status": "Success"}, "error": None}
    operator = sensor(minimax_task_id, output_path=target.path(), deferrable=True)
    facts = operator.resume_execution("execute_complete", {"event": event}, {"ti": FakeTaskInstance()})
    assert facts["sha256"] == sha256(target.read("clip.mp4"))


def test_a_sensor_whose_delivery_breaks_can_be_retried(account, tmp_path):
    minimax_task_id = run(generation(None, wait_for_completion=False, durable=False))
    account.set_job(minimax_task_id, state="success")
    account.fault("truncated", operation="download", times=5)
    operator = sensor(minimax_task_id, output_path=str(tmp_path / "clip.mp4"), deferrable=True)
    with pytest.raises(Exception, match="could not be fetched whole") as raised:
        run(operator)
    assert not isinstance(raised.value, AirflowFailException)
    assert run(operator)["output_path"] == str(tmp_path / "clip.mp4")


def test_the_place_of_a_clip_that_is_still_to_come_is_not_taken(account, tmp_path, bought):
    place = str(tmp_path / "clip.mp4")
    run(generation(place, wait_for_completion=False))
    with pytest.raises(MinimaxReceiptError, match="is reserved for the clip of task"):
        run(MinimaxVideoDownloadOperator(task_id="download", minimax_task_id=bought, output_path=place))


# -- the check ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def black_film_file(tmp_path_factory) -> Path:
    """A film in which nothing can be seen, made once: that takes a second."""
    path = tmp_path_factory.mktemp("black") / "black.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 1366, 768, "yuv420p"
        frame = av.VideoFrame(1366, 768, "yuv420p")
        for plane, value in zip(frame.planes, (16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        for number in range(141):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def black_film(black_film_file, account) -> Path:
    """Have the platform deliver a film in which nothing can be seen."""
    account.configure(film_file=str(black_film_file))
    return black_film_file


def test_a_clip_that_is_rejected_is_kept_aside_and_no_other_is_bought(black_film, account, target: Target):
    with pytest.raises(MinimaxClipRejectedError, match="black") as raised:
        run(generation(target.path(), check="full"))
    assert isinstance(raised.value, AirflowFailException)
    assert f"{target.path('clip.rejected.mp4').removeprefix('file://')}" in str(raised.value)
    assert "was bought" in str(raised.value)
    assert target.names() == ["clip.mp4.receipt.json", "clip.rejected.mp4"]
    assert target.read("clip.rejected.mp4").startswith(black_film.read_bytes())
    with pytest.raises(MinimaxClipRejectedError):
        run(generation(target.path(), check="full"))
    assert len(account.purchases) == 1


def test_a_rejected_clip_replaces_no_good_one(black_film, target: Target, deliver):
    target.write("clip.mp4", b"good")
    with pytest.raises(MinimaxClipRejectedError):
        deliver(target.path(), check="full", overwrite=True)
    assert target.read("clip.mp4") == b"good"


def test_a_rejected_clip_can_be_had_all_the_same(black_film, account, tmp_path):
    place = str(tmp_path / "clip.mp4")
    with pytest.raises(MinimaxClipRejectedError):
        run(generation(place, check="full"))
    minimax_task_id = account.purchases[0]["task_id"]
    facts = run(MinimaxVideoDownloadOperator(task_id="download", minimax_task_id=minimax_task_id, output_path=place))
    assert facts["output_path"] == place
    assert len(account.purchases) == 1


def test_a_shorter_clip_than_was_asked_for_is_rejected(account, tmp_path):
    with av.open(str(tmp_path / "short.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 1366, 768, "yuv420p"
        for number in range(48):
            frame = av.VideoFrame(1366, 768, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([100 + number]) * plane.buffer_size)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    account.configure(film_file=str(tmp_path / "short.mp4"))
    with pytest.raises(MinimaxClipRejectedError, match=r"2\.0.* s.*6"):
        run(generation(str(tmp_path / "clip.mp4"), duration=6, check="basic"))


def test_no_clip_is_bought_that_cannot_be_looked_at(account, tmp_path, monkeypatch):
    import airflow_provider_minimax.media.check as check

    monkeypatch.setattr(check, "find_spec", lambda name: None)
    for wish in ({"check": "basic"}, {"preview": True}):
        with pytest.raises(MinimaxRequestError, match=r"airflow-provider-minimax\[media\]"):
            run(generation(str(tmp_path / "clip.mp4"), **wish))
    assert account.purchases == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"check": "thorough"}, "check='thorough': must be one of 'none', 'basic', 'full'"),
        ({"check": "full", "output_path": None}, "check='full'.*it needs output_path"),
        ({"preview": True, "output_path": None}, "preview=True.*it needs output_path"),
        ({"output_path": " "}, "output_path=' ': must be a path or URL"),
    ],
)
def test_options_that_make_no_sense_are_found_when_the_dag_is_parsed(options, problem):
    for build in (generation, lambda path, **given: sensor("1", output_path=path, **given)):
        with pytest.raises(MinimaxRequestError, match=problem):
            build(
                options.get("output_path", "/clips/a.mp4"), **{k: v for k, v in options.items() if k != "output_path"}
            )


def test_a_task_that_only_buys_cannot_check():
    with pytest.raises(MinimaxRequestError, match="it needs wait_for_completion=True and output_path"):
        generation("/clips/a.mp4", wait_for_completion=False, check="full")


# -- what is logged ----------------------------------------------------------------------------------------------------


def test_pictures_that_cannot_be_made_do_not_withhold_the_clip(account, tmp_path, log_of):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08mdat")
    account.configure(film_file=str(broken))
    log = log_of(MinimaxVideoGenerationOperator)
    facts = run(generation(str(tmp_path / "clip.mp4"), preview=True))
    assert Path(facts["output_path"]).exists()
    assert log.said().count("The clip has no poster and no contact sheet next to it: it cannot be decoded") == 1


def test_a_long_download_says_now_and_then_how_far_it_is(tmp_path, deliver, minimax_emulator, monkeypatch, log_of):
    monkeypatch.setattr(download, "PROGRESS_EVERY", 0.2)
    minimax_emulator.configure(clip_bytes=200_000)
    minimax_emulator.fault("drip", operation="download", seconds=0.01)
    log = log_of(MinimaxVideoDownloadOperator)
    began = time.monotonic()
    deliver(str(tmp_path / "clip.mp4"))
    said = [line for line in log.said().splitlines() if line.startswith("Downloading the clip")]
    assert 2 <= len(said) <= 1 + (time.monotonic() - began) / 0.2
    assert "MB/s" in said[0]


def test_a_short_one_says_nothing_of_it(tmp_path, deliver, log_of):
    log = log_of(MinimaxVideoDownloadOperator)
    deliver(str(tmp_path / "clip.mp4"))
    assert "Fetching" not in log.said()


def test_no_link_reaches_the_logs(tmp_path, deliver, minimax_emulator, caplog):
    caplog.set_level(logging.DEBUG)
    minimax_emulator.fault("truncated", operation="download")
    deliver(str(tmp_path / "clip.mp4"))
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn"))
    assert "Signature" not in ours
