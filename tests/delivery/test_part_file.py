"""The bytes that are here already: kept for the next try, never mixed with others, never in two hands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_minimax.delivery.unfinished import Unfinished
from tests.delivery.conftest import sha256

CLIP = b"\0\0\0\x10ftypisom\0\0\2\0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".clip.mp4.x.part"


def keep(path: Path, content: bytes, version: str | None = '"v1"') -> None:
    with Unfinished(path) as clip:
        clip.begin(version)
        clip.write(content)


def test_the_next_try_goes_on_from_what_is_here(path):
    keep(path, CLIP)
    with Unfinished(path) as clip:
        assert (clip.size, clip.version) == (len(CLIP), '"v1"')
        clip.write(b"two")
        assert clip.sha256 == sha256(CLIP + b"two")
    assert path.read_bytes() == CLIP + b"two"


def test_bytes_of_which_nobody_knows_the_version_are_not_gone_on_with(path):
    keep(path, CLIP, version=None)
    with Unfinished(path) as clip:
        assert (clip.size, clip.version, clip.sha256) == (0, None, sha256(b""))
    keep(path, CLIP)
    path.with_name(f"{path.name}.version").unlink()
    with Unfinished(path) as clip:
        assert clip.size == 0


def test_another_version_begins_anew(path):
    keep(path, CLIP)
    with Unfinished(path) as clip:
        clip.begin('"v2"')
        clip.write(CLIP + b"2")
    with Unfinished(path) as clip:
        assert (clip.size, clip.version, clip.sha256) == (len(CLIP) + 1, '"v2"', sha256(CLIP + b"2"))


def test_a_death_at_any_write_leaves_bytes_and_version_of_one_piece(path, monkeypatch):
    """Between throwing old bytes away and naming the new version, there are no bytes of either."""
    keep(path, CLIP)

    class DeathError(Exception):
        pass

    def die(*args: object) -> None:
        raise DeathError

    with Unfinished(path) as clip, monkeypatch.context() as patch:
        patch.setattr(Path, "open", die)
        with pytest.raises(DeathError):
            clip.begin('"v2"')
    with Unfinished(path) as clip:
        assert clip.size == 0


def test_two_who_fetch_the_same_do_not_write_to_one_file(path):
    with Unfinished(path) as first:
        first.begin('"v1"')
        first.write(CLIP)
        with Unfinished(path) as second:
            second.begin('"v1"')
            second.write(b"second")
            assert second.path != first.path
            assert second.path.read_bytes() == b"second"
        assert first.path.read_bytes() == CLIP
    with Unfinished(path) as third:
        assert third.size == len(CLIP)


def test_a_clip_that_was_named_is_not_touched_though_its_part_file_is_still_there(path):
    """As after a death between the two steps of giving a file its name."""
    keep(path, b"delivered")
    clip = path.with_name("clip.mp4")
    os.link(path, clip)
    with Unfinished(path) as again:
        again.begin('"v2"')
        again.write(b"other")
    assert clip.read_bytes() == b"delivered"
    assert path.read_bytes() == b"other"


def test_nor_is_one_that_was_named_while_the_file_was_being_opened(path, monkeypatch):
    from airflow_provider_minimax.delivery import unfinished

    keep(path, b"delivered")
    clip = path.with_name("clip.mp4")
    lock = unfinished.fcntl.flock
    rename = iter([lambda: path.rename(clip)])

    def named_meanwhile(file, how):
        next(rename, lambda: None)()
        lock(file, how)

    monkeypatch.setattr(unfinished.fcntl, "flock", named_meanwhile)
    with Unfinished(path) as again:
        again.begin(None)
        again.write(b"other")
        assert path.read_bytes() == b"other"
    assert clip.read_bytes() == b"delivered"


def test_what_is_of_no_use_to_another_try_is_not_left_behind(path, tmp_path: Path):
    def fail() -> None:
        with Unfinished(path) as clip:
            clip.begin(None)
            clip.write(b"x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
