"""The bytes that are here already: kept for the next try, never mixed with others, never in two hands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_minimax.delivery.part_file import PartFile
from tests.delivery.conftest import sha256

CLIP = b"\0\0\0\x10ftypisom\0\0\2\0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".clip.mp4.x.part"


def keep(path: Path, content: bytes, version: str | None = '"v1"') -> None:
    with PartFile(path) as clip:
        clip.begin(version)
        clip.write(content)


def test_the_next_try_goes_on_from_what_is_here(path):
    keep(path, CLIP)
    with PartFile(path) as clip:
        assert (clip.size, clip.version) == (len(CLIP), '"v1"')
        clip.write(b"two")
        assert clip.sha256 == sha256(CLIP + b"two")
    assert path.read_bytes() == CLIP + b"two"


def test_bytes_of_which_nobody_knows_the_version_are_not_gone_on_with(path):
    keep(path, CLIP, version=None)
    with PartFile(path) as clip:
        assert (clip.size, clip.version, clip.sha256) == (0, None, sha256(b""))
    keep(path, CLIP)
    path.with_name(f"{path.name}.version").unlink()
    with PartFile(path) as clip:
        assert clip.size == 0


def test_another_version_starts_from_the_beginning(path):
    keep(path, CLIP)
    with PartFile(path) as clip:
        clip.begin('"v2"')
        clip.write(CLIP + b"2")
    with PartFile(path) as clip:
        assert (clip.size, clip.version, clip.sha256) == (len(CLIP) + 1, '"v2"', sha256(CLIP + b"2"))


def test_a_death_at_any_write_leaves_bytes_and_version_of_one_piece(path, monkeypatch):
    """Between throwing old bytes away and naming the new version, there are no bytes of either."""
    keep(path, CLIP)

    class DeathError(Exception):
        pass

    def die(*args: object) -> None:
        raise DeathError

    with PartFile(path) as clip, monkeypatch.context() as patch:
        patch.setattr(os, "open", die)
        with pytest.raises(DeathError):
            clip.begin('"v2"')
    with PartFile(path) as clip:
        assert clip.size == 0


def test_two_who_fetch_the_same_do_not_write_to_one_file(path):
    with PartFile(path) as first:
        first.begin('"v1"')
        first.write(CLIP)
        with PartFile(path) as second:
            second.begin('"v1"')
            second.write(b"second")
            assert second.path != first.path
            assert second.path.read_bytes() == b"second"
        assert first.path.read_bytes() == CLIP
    with PartFile(path) as third:
        assert third.size == len(CLIP)


def test_a_clip_that_was_named_is_not_touched_though_its_part_file_is_still_there(path):
    """As after a death between the two steps of giving a file its name."""
    keep(path, b"delivered")
    clip = path.with_name("clip.mp4")
    os.link(path, clip)
    with PartFile(path) as again:
        again.begin('"v2"')
        again.write(b"other")
    assert clip.read_bytes() == b"delivered"
    assert path.read_bytes() == b"other"


def test_nor_is_one_that_was_named_while_the_file_was_being_opened(path, monkeypatch):
    from airflow_provider_minimax.delivery import part_file as unfinished

    keep(path, b"delivered")
    clip = path.with_name("clip.mp4")
    lock = unfinished.fcntl.flock
    rename = iter([lambda: path.rename(clip)])

    def named_meanwhile(file, how):
        next(rename, lambda: None)()
        lock(file, how)

    monkeypatch.setattr(unfinished.fcntl, "flock", named_meanwhile)
    with PartFile(path) as again:
        again.begin(None)
        again.write(b"other")
        assert path.read_bytes() == b"other"
    assert clip.read_bytes() == b"delivered"


def test_what_is_of_no_use_to_another_try_is_not_left_behind(path, tmp_path: Path):
    def fail() -> None:
        with PartFile(path) as clip:
            clip.begin(None)
            clip.write(b"x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


# -- what can be in the way --------------------------------------------------------------------------------------------


def in_the_way(what: str, path: Path) -> None:
    """Put something where a part file or its companion belongs."""
    if what == "a folder":
        path.mkdir()
    elif what == "a folder that is not empty":
        path.mkdir()
        (path / "precious").write_bytes(b"precious")
    elif what == "a link to nothing":
        path.symlink_to(path.with_name("nothing"))
    elif what == "a link":
        path.with_name("precious").write_bytes(b"precious")
        path.symlink_to(path.with_name("precious"))
    elif what == "a link in a circle":
        path.symlink_to(path)
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "nothing that may be read":
        path.write_bytes(b"\xff")
        path.chmod(0)
    elif what == "garbage":
        path.write_bytes(bytes(range(256)) * 10)
    elif what == "nothing":
        path.write_bytes(b"")
    elif what == "a gigabyte":
        with path.open("wb") as file:
            file.truncate(2**30)


THINGS = [
    "a folder",
    "a folder that is not empty",
    "a link to nothing",
    "a link",
    "a link in a circle",
    "a pipe",
    "nothing that may be read",
    "garbage",
    "nothing",
    "a gigabyte",
]


@pytest.mark.parametrize("what", THINGS)
@pytest.mark.parametrize("ending", ["", ".version"])
def test_whatever_is_in_the_way_the_file_is_begun_again(what, ending, path, tmp_path: Path):
    if ending:
        keep(path, CLIP)
        path.with_name(f"{path.name}.version").unlink()
    in_the_way(what, path.with_name(path.name + ending))
    with PartFile(path) as clip:
        assert (clip.size, clip.version) == (0, None)
        clip.begin('"v2"')
        clip.write(CLIP)
        assert clip.path.read_bytes() == CLIP
        assert not clip.path.is_symlink()
    precious = [file for file in tmp_path.rglob("precious") if file.is_file()]
    assert [file.read_bytes() for file in precious] == [b"precious"] * len(precious)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "version", ["caf\u00e9", '"a\nb"', '"' + "x" * 5000 + '"', "\x00", "", " " * 600], ids=range(6)
)
def test_a_version_that_cannot_be_sent_back_is_as_good_as_none(version, path):
    keep(path, CLIP)
    path.with_name(f"{path.name}.version").write_text(version, "utf-8")
    with PartFile(path) as clip:
        assert (clip.size, clip.version) == (0, None)


@pytest.mark.parametrize("content", [b"no clip at all", b"<html></html>", CLIP[:5], b""])
def test_bytes_that_no_clip_begins_with_are_not_gone_on_with(content, path):
    keep(path, CLIP)
    path.write_bytes(content)
    with PartFile(path) as clip:
        assert (clip.size, clip.version, clip.path) == (0, None, path)


def test_where_no_companion_can_be_written_the_bytes_are_still_good_for_this_process(path, monkeypatch):
    """As on a disk that is full, or a file system that takes no name as long."""

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with PartFile(path) as clip:
        monkeypatch.setattr(os, "open", full)
        clip.begin('"v1"')
        clip.write(CLIP)
        assert (clip.size, clip.version) == (len(CLIP), '"v1"')
    monkeypatch.undo()
    with PartFile(path) as clip:
        assert clip.size == 0


def test_without_locks_each_has_a_file_of_its_own_and_leaves_none(path, tmp_path: Path, monkeypatch):
    def no_locks(file: object, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)

    def fail() -> None:
        with PartFile(path) as clip:
            assert clip.path != path
            clip.begin('"v1"')
            clip.write(CLIP)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_that_is_all_there_is_of_a_clip_is_kept(path):
    def fail() -> None:
        with PartFile(path) as clip:
            clip.write(CLIP)
            clip.keep()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == CLIP


def test_a_file_that_cannot_be_taken_away_is_no_error(path, monkeypatch):
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with PartFile(path) as clip:
        clip.write(CLIP)
        monkeypatch.setattr(Path, "unlink", refuse)
        clip.discard()
    assert path.exists()


# -- in a folder that others may write to ------------------------------------------------------------------------------

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")


def test_nobody_else_may_write_to_a_clip_on_its_way(path):
    umask = os.umask(0)
    try:
        keep(path, CLIP)
    finally:
        os.umask(umask)
    for file in (path, path.with_name(f"{path.name}.version")):
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("ending", ["", ".version"])
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_may_have_written_is_not_gone_on_with(mode, ending, path, tmp_path: Path):
    keep(path, CLIP)
    path.with_name(path.name + ending).chmod(mode)
    with PartFile(path) as clip:
        assert (clip.size, clip.version) == (0, None)
        clip.begin('"v2"')
        clip.write(CLIP + b"2")
    assert clip.path.read_bytes() == CLIP + b"2"


@is_root
@pytest.mark.parametrize("ending", ["", ".version"])
def test_nor_is_what_another_user_put_there(ending, path):
    keep(path, CLIP)
    file = path.with_name(path.name + ending)
    before = file.read_bytes()
    os.chown(file, 12345, -1)
    with PartFile(path) as clip:
        assert (clip.size, clip.version) == (0, None)
        clip.write(CLIP + b"2")
        if not ending:
            assert clip.path != path
    if not ending:
        assert path.read_bytes() == before


@is_root
def test_another_users_file_of_two_names_keeps_both(path):
    precious = path.with_name("precious")
    precious.write_bytes(CLIP)
    os.chown(precious, 12345, -1)
    os.link(precious, path)
    with PartFile(path) as clip:
        assert clip.path != path
    assert path.samefile(precious)
