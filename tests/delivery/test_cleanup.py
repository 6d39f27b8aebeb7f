"""The next delivery deletes what killed processes left behind, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from airflow_provider_minimax.delivery import cleanup
from airflow_provider_minimax.delivery.cleanup import WEEK, remove_leftovers
from airflow_provider_minimax.delivery.destination import destination_of
from airflow_provider_minimax.delivery.part_file import PartFile
from airflow_provider_minimax.exceptions import MinimaxDownloadError
from tests.delivery.test_part_file import CLIP

THIS, OTHER = "0123456789ab", "ba9876543210"


def left(folder: Path, name: str, *, days: float = 0) -> Path:
    """A file that somebody left so many days ago."""
    path = folder / name
    path.write_bytes(b"x")
    aged(path, days)
    return path


def aged(path: Path, days: float) -> None:
    then = time.time() - days * WEEK / 7
    os.utime(path, (then, then), follow_symlinks=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("place", [".a clip.mp4", "0123456789abcdef"])
def test_parts_of_the_delivered_clip_go_and_old_ones_and_young_ones_of_others_stay(place, tmp_path: Path):
    for part in (f"{place}.{THIS}.part", f"{place}.{THIS}.00ff00ff.part"):
        left(tmp_path, part)
        left(tmp_path, f"{part}.version")
    left(tmp_path, f"{place}.{OTHER}.part", days=8)
    left(tmp_path, f"{place}.{OTHER}.part.version", days=9)
    left(tmp_path, f"{place}.{'c' * 12}.part.version", days=8)
    young = [
        left(tmp_path, f"{place}.{'d' * 12}.part", days=6),
        left(tmp_path, f"{place}.{'d' * 12}.part.version", days=8),
    ]
    remove_leftovers(tmp_path, THIS)
    assert names(tmp_path) == sorted(path.name for path in young)


def test_pictures_and_receipts_that_never_got_their_names_go_too(tmp_path: Path):
    for days in (1, 8):
        left(tmp_path, f".clip.mp4.poster.jpg.{days:08x}.new", days=days)
        left(tmp_path, f".clip.mp4.receipt.json.{days:032x}", days=days)
    remove_leftovers(tmp_path, THIS)
    assert names(tmp_path) == [".clip.mp4.poster.jpg.00000001.new", f".clip.mp4.receipt.json.{1:032x}"]


@pytest.mark.parametrize(
    "name",
    [
        "clip.mp4",
        "clip.mp4.receipt.json",
        f"clip.mp4.{THIS}.part",
        f".clip.mp4.{THIS}.parts",
        f".clip.mp4.{THIS[:-1]}.part",
        ".clip.mp4.part",
        "movie.part",
        ".clip.mp4.version",
        ".bashrc.00000001.old",
    ],
)
def test_what_is_not_named_as_ours_stays_however_old(name, tmp_path: Path):
    left(tmp_path, name, days=400)
    remove_leftovers(tmp_path, THIS)
    assert names(tmp_path) == [name]


def test_links_folders_and_pipes_of_such_names_stay_and_are_not_followed(tmp_path: Path):
    precious = left(tmp_path, "precious", days=400)
    link = tmp_path / f".a.mp4.{THIS}.part"
    link.symlink_to(precious)
    aged(link, 400)
    folder = tmp_path / f".b.mp4.{THIS}.part"
    folder.mkdir()
    left(folder, "precious", days=400)
    aged(folder, 400)
    os.mkfifo(tmp_path / f".c.mp4.{THIS}.part")
    before = names(tmp_path)
    remove_leftovers(tmp_path, THIS)
    assert names(tmp_path) == before


def test_a_part_that_a_process_fetches_into_stays(tmp_path: Path):
    path = tmp_path / f".clip.mp4.{THIS}.part"
    with PartFile(path) as clip:
        clip.begin('"v1"')
        clip.write(CLIP)
        aged(path, 30)
        remove_leftovers(tmp_path, THIS)
        assert names(tmp_path) == [path.name, f"{path.name}.version"]
    remove_leftovers(tmp_path, THIS)
    assert names(tmp_path) == []


def test_another_users_files_stay(tmp_path: Path, monkeypatch):
    left(tmp_path, f".clip.mp4.{THIS}.part", days=8)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    remove_leftovers(tmp_path, THIS)
    assert len(names(tmp_path)) == 1


def test_where_there_are_no_locks_nobody_knows_and_all_stays(tmp_path: Path, monkeypatch):
    def no_locks(file: object, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(cleanup.fcntl, "flock", no_locks)
    left(tmp_path, f".clip.mp4.{THIS}.part", days=8)
    remove_leftovers(tmp_path, THIS)
    assert len(names(tmp_path)) == 1


def test_a_name_that_is_another_file_by_now_stays(tmp_path: Path, monkeypatch):
    path = left(tmp_path, f".clip.mp4.{THIS}.part", days=8)
    lock = cleanup.fcntl.flock

    def replaced_meanwhile(file: int, how: int) -> None:
        lock(file, how)
        path.unlink()
        path.write_bytes(b"new")

    monkeypatch.setattr(cleanup.fcntl, "flock", replaced_meanwhile)
    remove_leftovers(tmp_path, THIS)
    assert path.read_bytes() == b"new"


def test_a_folder_without_end_is_read_only_so_far(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(cleanup, "MOST_ENTRIES", 10)
    for number in range(30):
        left(tmp_path, f".{number}.mp4.{THIS}.part")
    remove_leftovers(tmp_path, THIS)
    assert len(names(tmp_path)) == 20


@pytest.mark.parametrize("folder", ["nothing", "file"])
def test_cleaning_a_missing_folder_or_a_file_changes_nothing(folder, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    remove_leftovers(tmp_path / folder, THIS)
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("target", ["path", "s3", "memory"], indirect=True)
def test_a_delivery_cleans_where_it_gathered_its_clip(target, deliver):
    old, young = (destination_of(target.path(name), None).part_file(OTHER) for name in ("old.mp4", "young.mp4"))
    for path in (old, young):
        left(path.parent, path.name)
    aged(old, 8)
    deliver(target.path())
    assert (old.exists(), young.exists()) == (False, True)


def test_a_clip_that_was_delivered_under_another_name_leaves_no_part_behind(tmp_path: Path, deliver, minimax_emulator):
    minimax_emulator.fault("truncated", operation="download", times=5)
    with pytest.raises(MinimaxDownloadError):
        deliver(str(tmp_path / "first.mp4"))
    assert any(name.endswith(".part") for name in names(tmp_path))
    deliver(str(tmp_path / "second.mp4"))
    assert names(tmp_path) == ["second.mp4", "second.mp4.receipt.json"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_only_bears_a_companions_name_stays_when_its_part_goes(kind, tmp_path: Path):
    precious = left(tmp_path, "precious")
    part = left(tmp_path, f".clip.mp4.{THIS}.part")
    companion = tmp_path / f"{part.name}.version"
    make = {"link": lambda: companion.symlink_to(precious), "pipe": lambda: os.mkfifo(companion)}
    make.get(kind, companion.mkdir)()
    remove_leftovers(tmp_path, THIS)
    assert names(tmp_path) == sorted([companion.name, "precious"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
@pytest.mark.parametrize("ending", ["", ".version"])
def test_a_file_that_really_is_another_users_stays(ending, tmp_path: Path):
    part = left(tmp_path, f".clip.mp4.{THIS}.part", days=8)
    companion = left(tmp_path, f"{part.name}.version", days=8)
    foreign = companion if ending else part
    os.chown(foreign, 12345, -1)
    remove_leftovers(tmp_path, THIS)
    assert foreign.exists()


def test_a_name_that_is_another_users_file_by_now_stays(tmp_path: Path, monkeypatch):
    path = left(tmp_path, f".clip.mp4.{THIS}.part", days=8)
    found = cleanup._leftovers

    def replaced_after(folder: int, delivered: str):
        yield from list(found(folder, delivered))
        path.unlink()
        os.mkfifo(path)

    monkeypatch.setattr(cleanup, "_leftovers", replaced_after)
    remove_leftovers(tmp_path, THIS)
    assert names(tmp_path) == [path.name]


def test_a_folder_of_many_files_delays_no_delivery(tmp_path: Path, monkeypatch):
    seen = 0
    scan = os.scandir

    class Counted:
        """A folder that never ends."""

        def __init__(self, handle: int) -> None:
            self._inner = scan(handle)

        def __enter__(self):
            return self

        def __exit__(self, *args: object) -> None:
            self._inner.close()

        def __iter__(self):
            nonlocal seen
            entry = next(self._inner)
            while True:
                seen += 1
                yield entry

    left(tmp_path, "clip.mp4")
    monkeypatch.setattr(os, "scandir", Counted)
    remove_leftovers(tmp_path, THIS)
    assert seen <= cleanup.MOST_ENTRIES + 1
