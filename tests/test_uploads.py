"""Large files of a clip of H3: uploaded before it is bought, once a purchase, and never the reason to buy twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from contextlib import closing

import pytest

from airflow_provider_minimax.api.h3_requests import RegenerationRequest
from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.api.inputs.content import FileBytes
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskTimeoutError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.version_compat import AirflowFailException, AirflowTaskTimeout
from tests.conftest import PLATFORMS
from tests.fakes import FakeTaskInstance

H3 = {"model": "MiniMax-H3", "prompt": "a paper boat", "resolution": "768P", "duration": 5, "ratio": "16:9"}
FILM = b"\x00\x00\x00\x20ftypisom" + b"film" * 2_250_000


@pytest.fixture
def film(tmp_path):
    """A video of nine megabytes."""
    path = tmp_path / "film.mp4"
    path.write_bytes(FILM)
    return path


@pytest.fixture
def request_with_film(film):
    return VideoRequest.of(H3 | {"reference_videos": [str(film)]})


def operations(minimax_emulator) -> list[str]:
    return [request["operation"] for request in minimax_emulator.requests]


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"


def generate(film, tmp_path, **changes) -> MinimaxVideoGenerationOperator:
    options = {"deferrable": False, "poll_interval": 0.01, "output_path": str(tmp_path / "boat.mp4")}
    return MinimaxVideoGenerationOperator(
        task_id="generate", wait_for_completion=True, reference_videos=[str(film)], **(H3 | options | changes)
    )


def receipt_in(tmp_path) -> dict:
    return json.loads((tmp_path / "boat.mp4.receipt.json").read_text())


# -- the hook ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["path", "s3"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_large_file_is_uploaded_before_the_clip_that_goes_by_it_is_bought(
    source, is_async, connect, minimax_emulator, request, film, tmp_path
):
    small = b"\x00\x00\x00\x20ftypisom" + bytes(64)
    (tmp_path / "small.mp4").write_bytes(small)
    large = str(film)
    if source == "s3":
        bucket = request.getfixturevalue("s3_bucket")
        bucket.put("film.mp4", FILM)
        large = bucket.url("film.mp4")
    hook = MinimaxHook(connect())
    order = VideoRequest.of(H3 | {"reference_videos": [str(tmp_path / "small.mp4"), large]})
    await hook.asubmit(order) if is_async else await asyncio.to_thread(hook.submit, order)
    await hook.aclose()
    hook.close()
    assert operations(minimax_emulator) == ["upload", "submit"]
    (upload,), (purchase,) = minimax_emulator.uploads, minimax_emulator.purchases
    assert (upload["kind"], upload["digest"], upload["filename"]) == ("video", digest(FILM), "video.mp4")
    urls = [item["video_url"]["url"] for item in purchase["body"]["content"][1:]]
    assert urls == [digest(small), f"mm_file://{upload['file_id']}"]


def test_files_that_would_make_the_request_too_long_are_uploaded(hook, minimax_emulator, tmp_path):
    sounds = [b"ID3\x04" + bytes([number]) * 7_999_000 for number in range(3)]
    films = [b"\x00\x00\x00\x20ftypisom" + bytes([number]) * 7_998_000 for number in range(3)]
    for number in range(3):
        (tmp_path / f"{number}.mp3").write_bytes(sounds[number])
        (tmp_path / f"{number}.mp4").write_bytes(films[number])
    hook.submit(
        VideoRequest.of(
            H3
            | {
                "reference_videos": [str(tmp_path / f"{number}.mp4") for number in range(3)],
                "reference_audios": [str(tmp_path / f"{number}.mp3") for number in range(3)],
            }
        )
    )
    assert operations(minimax_emulator) == ["upload", "submit"]
    assert minimax_emulator.uploads[0]["kind"] == "audio"


def test_a_large_picture_of_a_hailuo_clip_travels_inside_the_request(hook, minimax_emulator, tmp_path):
    from PIL import Image

    Image.new("RGB", (2400, 1800)).save(tmp_path / "frame.png", compress_level=0)
    assert (tmp_path / "frame.png").stat().st_size > 9_000_000
    frame = {"first_frame_image": str(tmp_path / "frame.png")}
    hook.submit(VideoRequest.of({"model": "MiniMax-Hailuo-02", "prompt": "a paper boat"} | frame))
    assert operations(minimax_emulator) == ["submit"]


def test_a_clip_that_is_to_be_re_rendered_is_uploaded_too(hook, minimax_emulator, film):
    fields = {"model": "MiniMax-H3", "resolution": "2K", "base_video": str(film), "prompt": "a paper boat"}
    hook.submit(RegenerationRequest.of(fields), validate=False)
    assert operations(minimax_emulator) == ["upload", "submit"]
    _, item = minimax_emulator.purchases[0]["body"]["content"]
    assert item["video_url"]["url"] == f"mm_file://{minimax_emulator.uploads[0]['file_id']}"


@pytest.mark.parametrize("kind", ["lost_answer", "non_json", "http"])
def test_an_upload_whose_answer_was_lost_is_repeated_and_buys_once(hook, minimax_emulator, request_with_film, kind):
    details = {"status": 502, "html": True} if kind == "http" else {}
    minimax_emulator.fault(kind, operation="upload", **details)
    hook.submit(request_with_film)
    assert operations(minimax_emulator) == ["upload", "upload", "submit"]
    assert len(minimax_emulator.purchases) == 1


def test_a_refused_submission_is_repeated_without_another_upload(hook, minimax_emulator, request_with_film):
    minimax_emulator.fault("base_resp", operation="submit", code=1002, times=2)
    hook.submit(request_with_film)
    assert operations(minimax_emulator) == ["upload", "submit", "submit", "submit"]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("fault", "details", "error", "said"),
    [
        ("http", {"status": 500}, MinimaxUnavailableError, "HTTP 500"),
        ("reset_before", {}, MinimaxUnavailableError, "connection broke"),
        ("base_resp", {"code": 1000}, MinimaxUnavailableError, "code 1000"),
        ("base_resp", {"code": 2013}, MinimaxRequestError, "code 2013"),
        ("base_resp", {"code": 2049}, MinimaxAuthError, "code 2049"),
    ],
)
async def test_an_upload_that_fails_buys_nothing_and_says_so(
    fault, details, error, said, is_async, connect, minimax_emulator, request_with_film
):
    minimax_emulator.fault(fault, operation="upload", times=-1, **details)
    hook = MinimaxHook(connect(extra={"max_retries": 1}))
    with pytest.raises(error, match=r"reference_videos\[0\] could not be uploaded.*Nothing was bought\.") as raised:
        await hook.asubmit(request_with_film) if is_async else await asyncio.to_thread(hook.submit, request_with_film)
    await hook.aclose()
    hook.close()
    assert said in str(raised.value)
    assert not isinstance(raised.value, MinimaxSubmissionUnknownError)
    assert "submit" not in operations(minimax_emulator)


def test_nothing_is_uploaded_for_a_request_that_cannot_be_sent(hook, minimax_emulator, request_with_film):
    with pytest.raises(MinimaxRequestError, match="extra_body: sets duration"):
        hook.submit(request_with_film.model_copy(update={"extra_body": {"duration": 7}}))
    with pytest.raises(MinimaxRequestError, match="duration=99"):
        hook.submit(request_with_film.model_copy(update={"duration": 99}))
    assert operations(minimax_emulator) == []


def test_a_file_that_changes_while_it_is_uploaded_buys_nothing(hook, minimax_emulator, request_with_film, film):
    ready = hook.prepare(request_with_film)
    film.write_bytes(FILM + b"!")
    with pytest.raises(MinimaxStorageError, match="was changed.*Nothing was bought"):
        hook.submit(ready, validate=False)
    assert (minimax_emulator.purchases, minimax_emulator.uploads) == ([], [])


# -- uploading by hand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_file_can_be_uploaded_once_for_many_clips(is_async, connect, minimax_emulator, film):
    hook = MinimaxHook(connect())
    path = str(film)
    address = await hook.aupload(path) if is_async else await asyncio.to_thread(hook.upload, path)
    for duration in (5, 6):
        await hook.asubmit(VideoRequest.of(H3 | {"reference_videos": address, "duration": duration}))
    await hook.aclose()
    hook.close()
    (upload,) = minimax_emulator.uploads
    assert address == f"mm_file://{upload['file_id']}"
    assert len(minimax_emulator.purchases) == 2


def test_a_file_that_cannot_be_read_is_not_uploaded(hook, minimax_emulator):
    with pytest.raises(MinimaxRequestError, match=r"path='/nowhere.mp4': cannot be read.*Nothing was bought"):
        hook.upload("/nowhere.mp4")
    with pytest.raises(MinimaxRequestError) as raised:
        hook.upload("https://files.example/boat.mp4")
    assert "Give a path" in str(raised.value)
    assert operations(minimax_emulator) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_nobody_waits_for_what_is_no_file(make, hook, minimax_emulator, tmp_path):
    make(tmp_path / "boat.mp4")
    with pytest.raises(MinimaxRequestError, match="it is no regular file"):
        hook.upload(str(tmp_path / "boat.mp4"))
    with pytest.raises(MinimaxRequestError, match="it is no regular file"):
        hook.submit(VideoRequest.of(H3 | {"first_frame_image": str(tmp_path / "boat.mp4")}))
    assert operations(minimax_emulator) == []


def test_a_relative_path_begins_where_the_worker_runs(hook, film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hook.upload(film.name).startswith("mm_file://")


def test_a_file_that_is_no_video_is_refused_with_what_a_video_must_be(hook, minimax_emulator, tmp_path):
    (tmp_path / "boat.webm").write_bytes(b"\x1a\x45\xdf\xa3" * 99)
    with pytest.raises(MinimaxRequestError, match=r"Nothing was bought.*takes MP4 and MOV as video"):
        hook.upload(str(tmp_path / "boat.webm"))
    assert operations(minimax_emulator) == []


@pytest.mark.parametrize("is_async", [False, True])
async def test_uploads_can_be_listed_and_deleted(is_async, connect, minimax_emulator, film, tmp_path):
    hook = MinimaxHook(connect())
    sound = tmp_path / "wind.mp3"
    sound.write_bytes(b"ID3" + bytes(64))
    addresses = [await hook.aupload(str(path)) for path in (film, sound)]
    files = await hook.alist_files() if is_async else await asyncio.to_thread(hook.list_files)
    assert {file.address for file in files} == set(addresses)
    assert {(file.filename, file.size) for file in files} == {("video.mp4", len(FILM)), ("audio.mp3", 67)}
    if is_async:
        await hook.adelete_file(addresses[0])
    else:
        await asyncio.to_thread(hook.delete_file, addresses[0].removeprefix("mm_file://"))
    assert [file.address for file in await hook.alist_files()] == [addresses[1]]
    with pytest.raises(MinimaxRequestError, match="not found"):
        await hook.adelete_file(addresses[0])
    with pytest.raises(MinimaxRequestError, match="Nothing was bought"):
        await hook.asubmit(VideoRequest.of(H3 | {"reference_videos": addresses[0]}))
    await hook.aclose()
    hook.close()


def test_an_address_that_lacks_these_calls_says_what_is_missing(hook, minimax_emulator):
    """As of a gateway behind a host of its own."""
    minimax_emulator.fault("http", operation="upload", status=404, times=2)
    for call, what in ((hook.list_files, "lists"), (lambda: hook.delete_file("1"), "deletes")):
        with pytest.raises(MinimaxRequestError, match=f"a call that {what} uploads was not found at this address"):
            call()


@pytest.mark.parametrize("file", ["", "mm_file://", "mm_file://../1", "https://files.example/a.mp4", "12a", "9" * 5000])
def test_what_is_no_upload_is_not_deleted(file, hook, minimax_emulator):
    with pytest.raises(MinimaxRequestError, match="must be the address of an upload"):
        hook.delete_file(file)
    assert operations(minimax_emulator) == []


def test_a_deletion_whose_answer_was_lost_is_not_sent_again(hook, minimax_emulator, film):
    """It would be refused, because the file is gone."""
    address = hook.upload(str(film))
    minimax_emulator.fault("lost_answer", operation="upload")
    with pytest.raises(MinimaxUnavailableError):
        hook.delete_file(address)
    assert (hook.list_files(), operations(minimax_emulator).count("upload")) == ((), 3)


@pytest.mark.parametrize("platform", sorted(set(PLATFORMS) - {"minimax"}))
def test_a_gateway_lists_and_deletes_no_uploads_and_that_is_said(platform, connect, minimax_emulator):
    with closing(MinimaxHook(connect(platform))) as hook:
        for call in (hook.list_files, lambda: hook.delete_file("1")):
            with pytest.raises(MinimaxRequestError, match="no documented call that lists or deletes uploads"):
                call()
    assert operations(minimax_emulator) == []


@pytest.mark.parametrize("platform", sorted(set(PLATFORMS) - {"minimax"}))
def test_a_gateway_takes_no_uploads_and_that_is_said(platform, connect, minimax_emulator, film):
    with closing(MinimaxHook(connect(platform))) as hook, pytest.raises(MinimaxRequestError, match="uploads a file"):
        hook.upload(str(film))
    assert operations(minimax_emulator) == []


def test_a_path_is_shown_without_its_signature(connect, minimax_emulator, film, caplog):
    connect()
    with caplog.at_level(logging.INFO), closing(MinimaxHook()) as hook:
        hook.upload(str(film))
    assert f"Uploaded {str(film)!r} (9.0 MB) as mm_file://{minimax_emulator.uploads[0]['file_id']}" in caplog.text


# -- the operator ------------------------------------------------------------------------------------------------------


def test_a_retry_that_goes_on_with_a_clip_uploads_nothing(connect, minimax_emulator, film, tmp_path):
    connect()
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(MinimaxTaskTimeoutError):
        generate(film, tmp_path, timeout=0.1).execute({"ti": FakeTaskInstance()})
    minimax_emulator.set_job(minimax_emulator.purchases[0]["task_id"], "success")
    facts = generate(film, tmp_path).execute({"ti": FakeTaskInstance(try_number=2)})
    assert facts["task_id"] == minimax_emulator.purchases[0]["task_id"]
    assert len(minimax_emulator.uploads) == len(minimax_emulator.purchases) == 1


def test_a_receipt_knows_the_file_by_its_bytes_and_not_by_its_upload(connect, minimax_emulator, film, tmp_path):
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=1)
    receipts = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        generate(film, tmp_path / run).execute({"ti": FakeTaskInstance(run_id=run)})
        receipts.append(receipt_in(tmp_path / run))
    assert len({upload["file_id"] for upload in minimax_emulator.uploads}) == 2
    assert receipts[0]["fingerprint"] == receipts[1]["fingerprint"]
    assert receipts[0]["request"]["reference_videos"] == [f"sha256:{hashlib.sha256(FILM).hexdigest()}"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_upload_that_fails_leaves_no_receipt_so_a_retry_buys(deferrable, connect, minimax_emulator, film, tmp_path):
    connect(extra={"max_retries": 0})
    minimax_emulator.configure(lifecycle="polls", polls=1)
    minimax_emulator.fault("http", operation="upload", status=503)
    with pytest.raises(MinimaxUnavailableError, match="Nothing was bought") as raised:
        generate(film, tmp_path, deferrable=deferrable).execute({"ti": FakeTaskInstance()})
    assert not isinstance(raised.value, AirflowFailException)
    assert not (tmp_path / "boat.mp4.receipt.json").exists()
    generate(film, tmp_path).execute({"ti": FakeTaskInstance(try_number=2)})
    assert len(minimax_emulator.purchases) == 1
    assert receipt_in(tmp_path)["phase"] == "delivered"


def test_a_lost_answer_after_an_upload_is_never_bought_again(connect, minimax_emulator, film, tmp_path):
    connect(extra={"max_retries": 0})
    minimax_emulator.fault("lost_answer", operation="submit")
    for try_number in (1, 2):
        with pytest.raises(MinimaxSubmissionUnknownError):
            generate(film, tmp_path).execute({"ti": FakeTaskInstance(try_number=try_number)})
    assert len(minimax_emulator.uploads) == len(minimax_emulator.purchases) == 1


class Death(BaseException):
    """The end of a worker."""


@pytest.mark.parametrize("end", [Death, AirflowTaskTimeout])
def test_a_worker_that_ends_while_it_uploads_has_bought_nothing_so_its_retry_buys(
    end, connect, minimax_emulator, film, tmp_path, monkeypatch, log_of
):
    log = log_of(MinimaxVideoGenerationOperator)
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=1)
    operator = generate(film, tmp_path)

    def die(self, start, size):
        if size > 100:
            operator.on_kill()
            raise end
        return part(self, start, size)

    part = FileBytes.part
    send = Transport.send

    def send_and_die(self, request, read, **options):
        monkeypatch.setattr(FileBytes, "part", die)
        return send(self, request, read, **options)

    monkeypatch.setattr(Transport, "send", send_and_die)
    with pytest.raises(end):
        operator.execute({"ti": FakeTaskInstance()})
    assert not (tmp_path / "boat.mp4.receipt.json").exists()
    assert "may have been bought" not in log.said()
    monkeypatch.undo()
    connect()
    generate(film, tmp_path).execute({"ti": FakeTaskInstance(try_number=2)})
    assert len(minimax_emulator.purchases) == 1
