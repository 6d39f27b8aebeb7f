"""Receipts on a real object storage and on ``file://``, and the server that the tests have for it."""

from __future__ import annotations

import threading

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_minimax.exceptions import MinimaxReceiptError, MinimaxReceiptStoreError
from airflow_provider_minimax.purchases.receipt import Phase
from airflow_provider_minimax.purchases.stores import SidecarStore
from tests.receipts.samples import OTHER, delivered, intent, submitted

RECEIPT = "a/clip.mp4.receipt.json"


@pytest.fixture
def home(s3_bucket):
    """Receipts of one clip, as each process finds them."""
    return lambda: SidecarStore(s3_bucket.url("a/clip.mp4"))


def test_a_receipt_lies_next_to_its_clip_and_is_found_by_the_next_process(s3_bucket, home):
    assert home().read() is None
    assert home().create(intent())
    home().write(delivered())
    assert s3_bucket.keys() == [RECEIPT]
    assert home().read().phase is Phase.DELIVERED
    home().erase()
    home().erase()
    assert s3_bucket.keys() == []


def test_a_receipt_on_a_file_url_is_a_file(tmp_path):
    home = SidecarStore(f"file://{tmp_path}/a/clip.mp4")
    assert home.create(intent())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["clip.mp4.receipt.json"]


@pytest.mark.parametrize("place", ["s3", "file"])
def test_one_of_many_rivals_creates_it_and_all_read_the_same(s3_bucket, tmp_path, place):
    output = s3_bucket.url("a/clip.mp4") if place == "s3" else f"file://{tmp_path}/clip.mp4"
    homes = [SidecarStore(output) for _ in range(12)]
    start = threading.Barrier(len(homes))
    created, read = [], []

    def write(home):
        start.wait()
        created.append(home.create(intent()))
        read.append(home.read().attempt)

    threads = [threading.Thread(target=write, args=[home]) for home in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(created) == [False] * 11 + [True]
    assert len(read) == 12
    assert len(set(read)) == 1


def test_a_receipt_that_is_there_is_not_created_over(s3_bucket, home):
    home().create(submitted(owner=OTHER))
    before = s3_bucket.read(RECEIPT)
    assert not home().create(intent())
    assert s3_bucket.read(RECEIPT) == before


def test_a_receipt_is_one_request_and_leaves_no_upload_behind(s3_bucket, home):
    home().write(delivered())
    assert s3_bucket.requests == [f"PUT /{s3_bucket.name}/{RECEIPT}"]
    assert s3_bucket.unfinished_uploads() == []


def test_half_a_receipt_is_an_error_that_names_it(s3_bucket, home):
    home().create(intent())
    s3_bucket.put(RECEIPT, s3_bucket.read(RECEIPT)[:40])
    with pytest.raises(MinimaxReceiptError, match=f"s3://{s3_bucket.name}/{RECEIPT}"):
        home().read()


@pytest.mark.parametrize("call", ["create", "write"])
def test_a_bucket_that_is_gone_is_an_error_that_names_the_place(s3_bucket, home, call):
    s3_bucket.remove()
    with pytest.raises(MinimaxReceiptStoreError, match=f"receipt s3://{s3_bucket.name}/{RECEIPT} cannot be written"):
        getattr(home(), call)(intent())


@pytest.mark.parametrize("call", ["read", "create", "write", "erase"])
def test_wrong_credentials_are_an_error_that_names_the_place_and_keeps_the_key(s3_bucket, home, call):
    s3_bucket.put(RECEIPT, b"{}")
    s3_bucket.change_key()
    with pytest.raises(MinimaxReceiptStoreError, match=f"receipt s3://{s3_bucket.name}/{RECEIPT}") as raised:
        getattr(home(), call)(*([intent()] if call in ("create", "write") else []))
    assert "clips-" not in str(raised.value).replace(s3_bucket.name, "")
    assert s3_bucket.read(RECEIPT) == b"{}"


@pytest.mark.parametrize("call", ["create", "write", "erase"])
def test_a_read_only_bucket_can_be_read_and_no_more(s3_bucket, home, call):
    home().create(submitted())
    before = s3_bucket.read(RECEIPT)
    s3_bucket.make_read_only()
    assert home().read().phase is Phase.SUBMITTED
    with pytest.raises(MinimaxReceiptStoreError, match="PermissionError"):
        getattr(home(), call)(*([intent()] if call != "erase" else []))
    assert s3_bucket.read(RECEIPT) == before


def test_large_objects_are_uploaded_in_parts_and_a_refused_part_shows(s3_bucket):
    """What tests of large clips rest on: the server knows of parts, and of those that nobody completed."""

    def upload() -> None:
        with ObjectStoragePath(s3_bucket.url("large.mp4")).open("wb", block_size=5 * 2**20) as file:
            for _ in range(3):
                file.write(bytes(6 * 2**20))

    upload()
    assert len(s3_bucket.read("large.mp4")) == 18 * 2**20
    s3_bucket.refuse("PUT", containing="partNumber=2")
    s3_bucket.refuse("DELETE")
    with pytest.raises(PermissionError):
        upload()
    assert s3_bucket.unfinished_uploads() == ["large.mp4"]
    s3_bucket.forgive()
    upload()


def test_a_path_leads_there_with_all_its_methods(s3_bucket):
    folder = ObjectStoragePath(s3_bucket.url("folder"))
    (folder / "clip.mp4").write_bytes(b"clip")
    assert (folder / "clip.mp4").exists()
    assert [path.name for path in folder.iterdir()] == ["clip.mp4"]
    assert (folder / "clip.mp4").fs.cat_file(f"{s3_bucket.name}/folder/clip.mp4") == b"clip"
    assert s3_bucket.keys() == ["folder/clip.mp4"]


def test_each_test_has_a_bucket_of_its_own(s3_bucket):
    assert s3_bucket.keys() == []
    assert s3_bucket.requests == []
