"""Whatever goes wrong on the way: a clear error or a good file; no good file replaced by a bad one; nothing bought."""

from __future__ import annotations

import json
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_minimax.exceptions import (
    MinimaxDownloadError,
    MinimaxError,
    MinimaxReceiptStoreError,
    MinimaxRequestError,
    MinimaxStorageError,
)
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from tests.delivery.conftest import Target, sha256
from tests.fakes import FakeTaskInstance

GOOD = b"a clip that was here before"
FOR_EVER = -1

# What the file host does, by the emulator's settings and faults; how the delivery ends: None with a good file.
MISFORTUNES = [
    pytest.param({}, [{"kind": "truncated", "after_bytes": 40_000}], None, id="cut"),
    pytest.param({}, [{"kind": "truncated", "after_bytes": 20_000, "times": 3}], None, id="cut three times in a row"),
    pytest.param({}, [{"kind": "truncated", "times": FOR_EVER}], "could not be fetched whole", id="cut without end"),
    pytest.param({}, [{"kind": "cut", "after_bytes": 50_000}], None, id="shorter, and no length announced"),
    pytest.param(
        {}, [{"kind": "cut", "after_bytes": 50_000, "times": FOR_EVER}], "sent 50000 bytes of", id="always shorter"
    ),
    pytest.param({}, [{"kind": "overlong", "after_bytes": 50_000}], None, id="longer than announced"),
    pytest.param(
        {},
        [{"kind": "overlong", "after_bytes": 50_000, "times": FOR_EVER}],
        "sent 50000 bytes of",
        id="always longer than announced",
    ),
    pytest.param({"clip_chunked": True}, [], None, id="no length announced"),
    pytest.param({}, [{"kind": "endless"}], "sends more than 1000000 bytes", id="endless"),
    pytest.param({"clip_bytes": 2_000_000}, [], "sends more than 1000000 bytes", id="larger than any clip"),
    pytest.param({}, [{"kind": "html_video"}], None, id="a page, once"),
    pytest.param({}, [{"kind": "html_video", "times": FOR_EVER}], "sent text/html.* instead of an MP4", id="a page"),
    pytest.param({}, [{"kind": "empty"}], None, id="zero bytes, once"),
    pytest.param({}, [{"kind": "empty", "times": FOR_EVER}], "sent nothing instead of an MP4", id="zero bytes"),
    pytest.param({}, [{"kind": "expired", "times": 3}], None, id="expired three times"),
    pytest.param({"url_seconds": 0}, [], "may have expired", id="always expired"),
    *(
        pytest.param({}, [{"kind": "http", "status": status}], None, id=f"link refused with {status}")
        for status in (401, 403, 404, 410)
    ),
    pytest.param({}, [{"kind": "http", "status": 503, "retry_after": 0}], None, id="busy"),
    pytest.param({}, [{"kind": "reset_before", "times": 2}], None, id="no connection"),
    pytest.param({"redirects": 5}, [], None, id="five redirects"),
    pytest.param({"redirects": 6}, [], "too many redirects|Exceeded maximum", id="six redirects"),
    pytest.param(
        {"redirect_to": "http://169.254.169.254/latest/meta-data/"}, [], "leads to 169.254.169.254", id="to the cloud"
    ),
    pytest.param({"redirect_to": "ftp://127.0.0.1/clip.mp4"}, [], "unsupported protocol", id="to another protocol"),
    pytest.param({"clip_validators": "none"}, [{"kind": "truncated"}], None, id="cut, and no version"),
    pytest.param({"clip_validators": "weak"}, [{"kind": "truncated"}], None, id="cut, and a weak version"),
    pytest.param({}, [{"kind": "truncated"}, {"kind": "replaced"}], None, id="cut, then another file"),
    pytest.param({"ranges": "ignored"}, [{"kind": "truncated"}], None, id="cut, and Range ignored"),
    pytest.param({"ranges": "shifted"}, [{"kind": "truncated"}], None, id="cut, then other bytes than asked for"),
    pytest.param({"ranges": "untold"}, [{"kind": "truncated"}], None, id="cut, then bytes of nobody knows where"),
]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("settings", "faults", "end"), MISFORTUNES)
@pytest.mark.parametrize("target", ["path", "s3"], indirect=True)
def test_a_misfortune_on_the_way_ends_in_a_good_file_or_a_clear_error(
    settings, faults, end, overwrite, target: Target, deliver, whole_clip, minimax_emulator, monkeypatch
):
    monkeypatch.setattr("airflow_provider_minimax.delivery.download.LARGEST", 1_000_000)
    if overwrite:
        target.write("clip.mp4", GOOD)
    minimax_emulator.configure(**settings)
    for fault in faults:
        minimax_emulator.fault(fault["kind"], operation="download", **{k: v for k, v in fault.items() if k != "kind"})
    if end is None:
        facts = deliver(target.path(), overwrite=overwrite)
        minimax_emulator.clear_faults()
        delivered = target.read("clip.mp4")
        assert delivered == whole_clip()
        assert (facts["sha256"], facts["size"]) == (sha256(delivered), len(delivered))
        assert json.loads(target.read("clip.mp4.receipt.json"))["phase"] == "delivered"
    else:
        with pytest.raises(MinimaxError, match=end) as raised:
            deliver(target.path(), overwrite=overwrite)
        assert isinstance(raised.value, MinimaxDownloadError)
        assert "Signature" not in str(raised.value)
        assert target.names() == (["clip.mp4"] if overwrite else [])
        assert not overwrite or target.read("clip.mp4") == GOOD
    assert len(minimax_emulator.purchases) == 1


def generate(output_path: str, **options: Any) -> Any:
    """Buy and deliver, or find out that it cannot be done."""
    operator = MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="a cat",
        output_path=output_path,
        wait_for_completion=True,
        deferrable=False,
        poll_interval=0.01,
        **options,
    )
    return operator.execute({"ti": FakeTaskInstance()})


@pytest.fixture
def account(account, monkeypatch):
    """The same, whose receipts are stored at the first attempt or not at all."""
    monkeypatch.setattr("airflow_provider_minimax.purchases.ledger._ATTEMPTS", 1)
    return account


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("place", ["/proc/clips/clip.mp4", "/dev/null/clip.mp4"])
def test_a_place_that_cannot_be_written_is_found_before_buying(account, place, durable):
    with pytest.raises(MinimaxStorageError, match=place) as raised:
        generate(place, durable=durable)
    assert "Nothing was bought" in str(raised.value)
    assert account.purchases == []


def test_so_is_a_full_disk(account, tmp_path, monkeypatch):
    import shutil

    full = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(MinimaxStorageError, match=r"output_path=.*only 1 MB left.*Nothing was bought"):
        generate(str(tmp_path / "clip.mp4"))
    assert account.purchases == []


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("trouble", ["bucket missing", "wrong key", "read only"])
def test_so_is_a_bucket_that_cannot_be_written(account, s3_bucket, durable, trouble):
    if trouble == "bucket missing":
        s3_bucket.remove()
    elif trouble == "wrong key":
        s3_bucket.change_key()
    else:
        s3_bucket.make_read_only()
    with pytest.raises(MinimaxStorageError, match=f"s3://{s3_bucket.name}/clip.mp4") as raised:
        generate(s3_bucket.url("clip.mp4"), durable=durable)
    assert isinstance(raised.value, MinimaxReceiptStoreError) == durable
    assert "Nothing was bought" in str(raised.value)
    assert account.purchases == []


@pytest.mark.parametrize(
    ("place", "rule"),
    [
        ("{folder}", "is a folder; end it with a slash"),
        ("  ", "must be a path or URL"),
        ("s4://bucket/clip.mp4", "this Airflow has no storage for s4://"),
        ("{folder}/" + "x" * 201, "must not have more than 200 bytes"),
        ("{folder}/clip.mp4", "exists already"),
    ],
)
def test_so_is_a_place_that_is_none(account, tmp_path, place, rule):
    (tmp_path / "clip.mp4").write_bytes(GOOD)
    with pytest.raises(MinimaxRequestError, match=rule) as raised:
        generate(place.format(folder=tmp_path))
    assert "output_path=" in str(raised.value)
    assert "Nothing was bought" in str(raised.value)
    assert account.purchases == []
    assert (tmp_path / "clip.mp4").read_bytes() == GOOD


@pytest.mark.parametrize("target", ["path", "s3", "memory"], indirect=True)
def test_an_existing_file_is_replaced_only_if_that_is_wanted(target: Target, deliver, whole_clip):
    target.write("clip.mp4", GOOD)
    with pytest.raises(MinimaxRequestError, match="exists already"):
        deliver(target.path())
    assert target.read("clip.mp4") == GOOD
    deliver(target.path(), overwrite=True)
    assert target.read("clip.mp4") == whole_clip()


@contextmanager
def files_no_larger_than(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_in_the_middle_says_so_and_the_rest_comes_later(
    tmp_path, deliver, whole_clip, minimax_emulator
):
    minimax_emulator.configure(clip_bytes=3_000_000)
    with files_no_larger_than(1_000_000):
        with pytest.raises(MinimaxStorageError, match=r"cannot be written.*File too large.*costs nothing"):
            deliver(str(tmp_path / "clip.mp4"))
    assert not (tmp_path / "clip.mp4").exists()
    deliver(str(tmp_path / "clip.mp4"))
    assert (tmp_path / "clip.mp4").read_bytes() == whole_clip()
    ranges = [r["range"] for r in minimax_emulator.requests if r["operation"] == "download"]
    assert ranges[:2] == [None, "bytes=1000000-"]


@pytest.mark.parametrize("refused", ["CreateMultipartUpload", "part", "CompleteMultipartUpload"])
def test_a_bucket_that_takes_no_more_in_the_middle_says_so_and_nothing_is_fetched_twice(
    s3_bucket, deliver, whole_clip, minimax_emulator, refused
):
    minimax_emulator.configure(clip_bytes=12_000_000)
    containing = {"CreateMultipartUpload": "uploads", "part": "partNumber=2", "CompleteMultipartUpload": "uploadId"}
    method = "PUT" if refused == "part" else "POST"
    s3_bucket.refuse(method, containing=containing[refused])
    with pytest.raises(MinimaxStorageError, match=f"s3://{s3_bucket.name}/clip.mp4 cannot be written"):
        deliver(s3_bucket.url("clip.mp4"))
    assert "clip.mp4" not in s3_bucket.keys()  # noqa: SIM118 - it is no dict
    assert s3_bucket.unfinished_uploads() == []
    s3_bucket.forgive()
    deliver(s3_bucket.url("clip.mp4"))
    assert s3_bucket.read("clip.mp4") == whole_clip()
    answers = [(r["range"], r["status"]) for r in minimax_emulator.requests if r["operation"] == "download"]
    assert answers[:2] == [(None, 200), ("bytes=12000000-", 416)]


def test_a_slow_download_times_out_and_what_came_is_kept(tmp_path, deliver, minimax_emulator, monkeypatch):
    minimax_emulator.fault("drip", operation="download", seconds=0.1, times=FOR_EVER)
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_minimax.delivery.download.TOTAL_TIMEOUT", 0.5)
        with pytest.raises(MinimaxDownloadError, match=r"only \d+ bytes of the clip came within 0.5 s"):
            deliver(str(tmp_path / "clip.mp4"))
    minimax_emulator.clear_faults()
    deliver(str(tmp_path / "clip.mp4"))
    assert [r["range"] for r in minimax_emulator.requests if r["operation"] == "download"][-1].startswith("bytes=")


def test_a_silent_host_fails_after_the_connections_timeout(tmp_path, connect, deliver, minimax_emulator):
    connect(extra={"timeout": 0.3})
    minimax_emulator.fault("hold", operation="download", times=FOR_EVER)
    with pytest.raises(MinimaxDownloadError, match="ReadTimeout"):
        deliver(str(tmp_path / "clip.mp4"))
    minimax_emulator.release()


def test_nothing_but_the_clip_and_its_receipt_is_left_behind(tmp_path: Path, deliver, minimax_emulator):
    minimax_emulator.fault("truncated", operation="download", times=2)
    deliver(str(tmp_path / "clip.mp4"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "clip.mp4.receipt.json"]
