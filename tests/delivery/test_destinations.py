"""Where clips land: names in folders, what lies beside a clip, and storage in which a file can be seen to grow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_minimax.delivery.destination import ObjectStorageDestination, destination_of
from airflow_provider_minimax.delivery.naming import name_for
from airflow_provider_minimax.exceptions import MinimaxStorageError
from airflow_provider_minimax.purchases.receipt import Owner
from airflow_provider_minimax.purchases.rules import OutputState
from tests.delivery.conftest import Target, sha256

ME = Owner(dag_id="spring", run_id="scheduled__2026-11-21T00:00:00+00:00", task_id="make.clip", map_index=3)


def owner(**changes: Any) -> Owner:
    return ME.model_copy(update=changes)


def test_a_clip_in_a_folder_is_named_after_its_task():
    assert name_for(ME) == "spring.scheduled__2026-11-21T00-00-00-00-00.make.clip.3.634dfb58.mp4"


def test_it_has_the_same_name_at_each_try_and_release():
    """Receipts are found by it: these values must not change."""
    assert name_for(owner(map_index=-1)).endswith(".make.clip.f1d1d186.mp4")


@pytest.mark.parametrize(
    "other",
    [
        owner(dag_id="spring.scheduled", run_id="_2026"),
        owner(run_id="scheduled__2026-11-21T00-00-00+00:00"),
        owner(task_id="make-clip"),
        owner(map_index=4),
        owner(map_index=-1),
        owner(task_id="make.clip.3", map_index=-1),
    ],
)
def test_no_two_tasks_have_one_name(other):
    assert name_for(other) != name_for(ME)


@pytest.mark.parametrize("awkward", ["../../etc", ".hidden", "sale/50%", "春", "x" * 400, "-rf"])
def test_any_name_of_a_dag_makes_a_file_name(awkward):
    name = name_for(owner(dag_id=awkward))
    assert len(name.encode()) <= 200
    assert "/" not in name
    assert name[0] not in ".-"
    assert name.isascii()


def test_a_folder_is_recognised_by_its_slash(tmp_path: Path, s3_bucket):
    name = name_for(ME)
    assert destination_of(f"{tmp_path}/", ME).url == f"{tmp_path}/{name}"
    assert destination_of(f"file://{tmp_path}/new/", ME).url == f"{tmp_path}/new/{name}"
    assert destination_of(s3_bucket.url("spring/"), ME).url == s3_bucket.url(f"spring/{name}")
    assert destination_of(s3_bucket.url(""), ME).url == s3_bucket.url(name)


@pytest.mark.parametrize("url", ["clips/a.mp4", "./clips/a.mp4"])
def test_a_relative_path_begins_where_the_task_runs(url, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert destination_of(url, ME).url == f"{tmp_path}/clips/a.mp4"


def test_what_is_beside_a_clip_keeps_its_name_in_front(target: Target):
    place = destination_of(target.path("a clip.mp4"), ME)
    place.sibling(".poster.jpg").put_bytes(b"poster", "image/jpeg")
    place.rejected().put_bytes(b"rejected", "video/mp4")
    assert target.read("a clip.mp4.poster.jpg") == b"poster"
    assert target.read("a clip.rejected.mp4") == b"rejected"


def test_a_file_is_put_looked_at_and_replaced(target: Target, tmp_path: Path):
    place = destination_of(target.path(), ME)
    place.check()
    assert target.names() == []
    assert place.output_state(None) is OutputState.MISSING
    for content, overwrite in ((b"one", False), (b"two", True)):
        file = tmp_path / "file"
        file.write_bytes(content)
        assert place.put(file, overwrite=overwrite)
        assert not file.exists()
        assert target.read("clip.mp4") == content
        assert place.output_state(sha256(content)) is OutputState.MATCHES
        assert place.output_state(sha256(b"three")) is OutputState.DIFFERS
        assert place.output_state(None) is OutputState.DIFFERS
    file.write_bytes(b"three")
    assert not place.put(file, overwrite=False)
    assert target.read("clip.mp4") == b"two"


def test_an_object_says_that_it_is_a_video(s3_bucket, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"clip")
    destination_of(s3_bucket.url("clip.mp4"), ME).put(tmp_path / "file", overwrite=False)
    destination_of(s3_bucket.url("poster.jpg"), ME).put_bytes(b"poster", "image/jpeg")
    assert s3_bucket.server.storage.info(s3_bucket.url("clip.mp4"))["ContentType"] == "video/mp4"
    assert s3_bucket.server.storage.info(s3_bucket.url("poster.jpg"))["ContentType"] == "image/jpeg"


def test_a_clip_that_takes_several_uploads_is_put_whole(s3_bucket, tmp_path: Path):
    content = bytes(range(256)) * 50_000
    (tmp_path / "file").write_bytes(content)
    destination_of(s3_bucket.url("clip.mp4"), ME).put(tmp_path / "file", overwrite=False)
    assert s3_bucket.read("clip.mp4") == content
    assert s3_bucket.unfinished_uploads() == []


@pytest.fixture
def plain_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Storage in which one sees a file grow, as on SFTP or HDFS: nothing Airflow knows to appear whole."""
    from airflow.sdk.io import attach
    from airflow.sdk.io.store import _STORE_CACHE
    from fsspec.implementations.dirfs import DirFileSystem
    from fsspec.implementations.local import LocalFileSystem

    (tmp_path / "plain").mkdir()
    storage = DirFileSystem(str(tmp_path / "plain"), LocalFileSystem())
    monkeypatch.delitem(_STORE_CACHE, "dir", raising=False)
    attach("dir", fs=storage)
    return storage


def test_where_a_file_can_be_seen_to_grow_it_grows_under_another_name(plain_storage, tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    seen = set()
    move = plain_storage.mv

    def watch(source: str, to: str) -> None:
        seen.update(path.name for path in (tmp_path / "plain").iterdir())
        move(source, to)

    monkeypatch.setattr(plain_storage, "mv", watch)
    ObjectStorageDestination("dir://clip.mp4").put(tmp_path / "file", overwrite=False)
    assert len(seen) == 1
    assert "clip.mp4" not in seen
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["clip.mp4"]
    assert (tmp_path / "plain" / "clip.mp4").stat().st_size == 3_000_000


def test_and_nothing_of_it_stays_if_that_fails(plain_storage, tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")

    def fail(source: str, to: str) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(plain_storage, "mv", fail)
    with pytest.raises(MinimaxStorageError, match="PermissionError"):
        ObjectStorageDestination("dir://clip.mp4").put(tmp_path / "file", overwrite=False)
    assert list((tmp_path / "plain").iterdir()) == []
    assert (tmp_path / "file").exists()


def test_the_folder_for_what_is_on_its_way_must_be_ours_alone(tmp_path: Path, monkeypatch, s3_bucket):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = destination_of(s3_bucket.url("clip.mp4"), ME)
    folder = place.part_file("x").parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert place.part_file("x") == place.part_file("x")
    assert place.part_file("x") != destination_of(s3_bucket.url("other.mp4"), ME).part_file("x")
    if os.geteuid() == 0:
        # Only root can make a folder of another user.
        os.chown(folder, 12345, -1)
        with pytest.raises(MinimaxStorageError, match="is not a folder that only this user can write to"):
            place.part_file("x")
        os.chown(folder, 0, -1)
    folder.chmod(0o777)
    with pytest.raises(MinimaxStorageError, match="is not a folder that only this user can write to"):
        place.part_file("x")
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(MinimaxStorageError, match="is not a folder that only this user can write to"):
        place.part_file("x")
