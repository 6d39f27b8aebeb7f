"""Files on their way into a request: out of memory, in blocks, and always the bytes that were looked at."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import os
import tempfile
import tracemalloc
from io import BytesIO

import pytest

from airflow_provider_minimax.api.http.body import json_body
from airflow_provider_minimax.api.inputs.content import IN_MEMORY, FileBytes, FileContent
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxStorageError
from airflow_provider_minimax.purchases.fingerprint import fingerprint_of

MIB = 1024**2
SIZES = [0, 1, 2, 3, IN_MEMORY, IN_MEMORY + 1, MIB + 1]


class Remote(BytesIO):
    """An open file of an object storage: none of the machine's own, and read in pieces of the storage's choice."""

    def read(self, size: int = -1) -> bytes:
        return super().read(min(size, 70_001))


def on_disk(tmp_path, data: bytes) -> FileBytes:
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open("rb") as file:
        return FileBytes.of(file, "first_frame_image='file'")


def elsewhere(tmp_path, data: bytes) -> FileBytes:
    with Remote(data) as file:
        return FileBytes.of(file, "first_frame_image='s3://bucket/file'")


@pytest.fixture(params=[on_disk, elsewhere])
def take(request, tmp_path):
    return lambda data: request.param(tmp_path, data)


@pytest.mark.parametrize("size", SIZES)
def test_all_of_a_file_is_there_wherever_it_lies(size, take):
    data = os.urandom(size)
    taken = take(data)
    assert (taken.length, b"".join(taken.blocks())) == (size, data)
    assert taken.sha256 == hashlib.sha256(data).hexdigest()
    assert taken.part(size // 2, 5) == data[size // 2 :][:5]
    with taken.open() as file:
        assert (file.seek(0, os.SEEK_END), file.seek(0), file.read()) == (size, 0, data)


@pytest.mark.parametrize("size", SIZES)
def test_a_body_is_what_it_would_be_with_a_data_url_and_can_be_sent_again(size, take):
    data = os.urandom(size)
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    fields = {"prompt": 'a "fox" – 狐', "first_frame_image": url, "list": [{"url": url}, None, True, 1.5], "n": 1}
    content = FileContent("image/png", take(data))
    body = json_body(fields | {"first_frame_image": content, "list": [{"url": content}, None, True, 1.5]})
    expected = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    for _ in range(2):
        assert b"".join(body.blocks()) == expected
    assert body.length == len(expected)


def test_a_large_file_takes_little_memory_however_often_it_is_read(take):
    content = FileContent("video/mp4", take(bytes(8 * MIB)))
    tracemalloc.start()
    try:
        assert sum(map(len, json_body({"video": content}).blocks())) > 10 * MIB
        assert content.data.sha256
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_taking_a_large_file_takes_little_memory(tmp_path):
    class Endless(BytesIO):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    tracemalloc.start()
    try:
        taken = FileBytes.of(Endless(), "reference_videos[0]='s3://bucket/file'", 8 * MIB)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
    assert taken.length == 8 * MIB


def test_a_copy_is_gone_with_the_last_who_holds_it(take):
    before = set(os.listdir("/proc/self/fd"))
    taken = take(bytes(MIB))
    assert set(os.listdir("/proc/self/fd")) - before
    del taken
    gc.collect()
    assert not set(os.listdir("/proc/self/fd")) - before


def test_a_file_that_changes_is_an_error_and_not_another_picture(tmp_path):
    taken = on_disk(tmp_path, bytes(MIB))
    (tmp_path / "file").write_bytes(bytes(MIB) + b"!")
    for read in (lambda: taken.sha256, lambda: list(taken.blocks())):
        with pytest.raises(MinimaxStorageError, match=r"first_frame_image='file': was changed.*Nothing was bought"):
            read()


def test_a_file_that_changes_while_it_is_sent_is_never_sent_to_its_end(tmp_path):
    taken = on_disk(tmp_path, bytes(MIB))
    blocks = json_body({"image": FileContent("image/png", taken), "prompt": "a cat"}).blocks()
    sent = [next(blocks) for _ in range(3)]
    os.utime(tmp_path / "file", (1, 1))
    with pytest.raises(MinimaxStorageError, match="was changed"):
        sent.extend(blocks)
    assert b"a cat" not in b"".join(sent)


def test_a_file_that_is_replaced_or_deleted_is_sent_as_it_was(tmp_path):
    taken = on_disk(tmp_path, b"old" * MIB)
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").replace(tmp_path / "file")
    (tmp_path / "file").unlink()
    assert b"".join(taken.blocks()) == b"old" * MIB


def test_a_worker_without_room_for_a_copy_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(MinimaxStorageError, match=r"temporary folder.*Nothing was bought.*TMPDIR"):
        elsewhere(tmp_path, bytes(MIB))
    assert elsewhere(tmp_path, b"small").length == 5
    assert on_disk(tmp_path, bytes(MIB)).length == MIB


def test_the_bytes_are_not_shown(take):
    content = FileContent("image/png", take(b"SECRETSECRET"))
    request = VideoRequest.of({"model": "M"}).model_copy(update={"first_frame_image": content})
    assert "SECRET" not in f"{content} {content.data} {request} {request!r}"


def test_a_receipt_knows_a_file_by_its_bytes_as_it_does_a_data_url(take):
    data = os.urandom(MIB)
    account = {"platform": "minimax"}
    request = VideoRequest.of(
        {"model": "M", "first_frame_image": f"data:image/png;base64,{base64.b64encode(data).decode()}"}
    )
    other = request.model_copy(update={"first_frame_image": FileContent("image/webp", take(data))})
    assert fingerprint_of(request, account) == fingerprint_of(other, account)


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, "\ud800"])
def test_what_is_no_json_is_refused_before_anything_is_sent(value):
    with pytest.raises(MinimaxRequestError, match="holds what JSON cannot say.*Nothing was bought"):
        json_body({"seed": value})


@pytest.mark.parametrize("place", [on_disk, elsewhere])
def test_the_beginning_of_a_file_is_no_more_than_that(place, tmp_path):
    """Also where more of the file is there to be read, as behind the first picture of a camera's JPEG."""
    data = os.urandom(IN_MEMORY + MIB)
    first = place(tmp_path, data).beginning(IN_MEMORY + 5)
    assert b"".join(first.blocks()) == first.open().read() == data[: IN_MEMORY + 5]
    assert first.part(IN_MEMORY, 100) == data[IN_MEMORY : IN_MEMORY + 5]
