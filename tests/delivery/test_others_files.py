"""What somebody else put next to a clip, or in its place: it is neither followed, nor waited for, nor replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_provider_minimax.delivery.destination import LocalDestination, destination_of
from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxStorageError
from airflow_provider_minimax.media.canvas import is_made_here, jpeg
from airflow_provider_minimax.operators.contact_sheet import MinimaxContactSheetOperator
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator
from airflow_provider_minimax.purchases.rules import OutputState
from tests.delivery.conftest import Target, sha256
from tests.fakes import FakeTaskInstance

PICTURES = ["clip.mp4.poster.jpg", "clip.mp4.contact-sheet.jpg"]


def somebodys_jpeg(path: Path) -> bytes:
    Image.new("RGB", (8, 8)).save(path, "JPEG")
    return path.read_bytes()


# -- in the clip's place -----------------------------------------------------------------------------------------------


def in_the_place(kind: str, place: Path) -> None:
    precious = place.with_name("precious")
    precious.write_bytes(b"precious")
    if kind == "a link":
        place.symlink_to(precious)
    elif kind == "a link to nothing":
        place.symlink_to(place.with_name("nothing"))
    elif kind == "a link to a device":
        place.symlink_to("/dev/zero")
    elif kind == "a pipe":
        os.mkfifo(place)
    elif kind == "another name of a file":
        os.link(precious, place)


KINDS = ["a link", "a link to nothing", "a link to a device", "a pipe", "another name of a file"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_or_a_pipe_is_replaced_itself_and_not_what_it_leads_to(kind, deliver, whole_clip, tmp_path: Path):
    clip = tmp_path / "clip.mp4"
    in_the_place(kind, clip)
    deliver(clip, overwrite=True)
    assert not clip.is_symlink()
    assert clip.read_bytes() == whole_clip()
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_without_overwrite_it_stays(kind, deliver, tmp_path: Path):
    clip = tmp_path / "clip.mp4"
    in_the_place(kind, clip)
    before = clip.lstat()
    with pytest.raises(MinimaxRequestError, match="exists already"):
        deliver(clip)
    assert os.path.samestat(clip.lstat(), before)
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("kind", [*KINDS, "nothing"])
def test_so_it_does_where_no_hard_links_are_made(kind, tmp_path: Path, monkeypatch):
    clip, file = tmp_path / "clip.mp4", tmp_path / "file"
    in_the_place(kind, clip)
    file.write_bytes(b"clip")

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert LocalDestination(clip).put(file, overwrite=False) is (kind == "nothing")
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["a link to a device", "a pipe"])
def test_an_endless_file_is_not_the_clip_that_a_receipt_describes(kind, tmp_path: Path):
    clip = tmp_path / "clip.mp4"
    in_the_place(kind, clip)
    place = destination_of(clip, None)
    assert place.output_state(sha256(b"clip")) is OutputState.DIFFERS
    with pytest.raises(MinimaxStorageError, match="it is not a regular file"), place.open():
        pass


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_a_delivered_clip_has_the_permissions_of_any_new_file(umask, deliver, tmp_path: Path):
    before = os.umask(umask)
    try:
        deliver(tmp_path / "clip.mp4")
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "clip.mp4").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "clip.mp4.receipt.json", "other"]


def test_a_part_file_that_became_a_link_is_no_clip(tmp_path: Path):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "part").symlink_to(tmp_path / "precious")
    with pytest.raises(MinimaxStorageError, match="cannot be written"):
        LocalDestination(tmp_path / "clip.mp4").put(tmp_path / "part", overwrite=False)
    assert not (tmp_path / "clip.mp4").exists()


# -- next to it --------------------------------------------------------------------------------------------------------


def test_pictures_of_somebody_else_are_left_as_they_are_and_the_clip_lands(
    target: Target, deliver, log_of, tmp_path: Path
):
    theirs = [b"precious", somebodys_jpeg(tmp_path / "theirs.jpg")]
    for name, content in zip(PICTURES, theirs, strict=True):
        target.write(name, content)
    log = log_of(MinimaxVideoDownloadOperator)
    facts = deliver(target.path(), preview=True)
    assert facts["previews"] is None
    assert [target.read(name) for name in PICTURES] == theirs
    assert target.read("clip.mp4")
    assert "poster.jpg was not made by this provider; overwrite=True would replace it" in log.said()


def test_with_overwrite_they_are_replaced(target: Target, deliver):
    for name in PICTURES:
        target.write(name, b"precious")
    target.write("clip.mp4", b"old")
    assert set(deliver(target.path(), preview=True, overwrite=True)["previews"]) == {"poster", "contact_sheet"}
    assert all(target.read(name).startswith(b"\xff\xd8") for name in PICTURES)


def test_pictures_that_an_earlier_try_left_are_drawn_again(target: Target, deliver):
    for name in PICTURES:
        target.write(name, jpeg(Image.new("RGB", (8, 8))))
    assert set(deliver(target.path(), preview=True)["previews"]) == {"poster", "contact_sheet"}
    assert all(len(target.read(name)) > 5000 for name in PICTURES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_not_written_through_a_link_nor_into_a_pipe(kind, deliver, tmp_path: Path):
    picture = tmp_path / PICTURES[0]
    in_the_place(kind, picture)
    before = picture.lstat()
    assert set(deliver(tmp_path / "clip.mp4", preview=True)["previews"]) == {"contact_sheet"}
    assert os.path.samestat(picture.lstat(), before)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_rejected_clip_is_kept_beside_what_is_there(kind, tmp_path: Path):
    aside, file = tmp_path / "clip.rejected.mp4", tmp_path / "file"
    in_the_place(kind, aside)
    file.write_bytes(b"rejected")
    place = destination_of(tmp_path / "clip.mp4", None)
    assert place.rejected(1).output_state(sha256(b"rejected")) is OutputState.DIFFERS
    assert not place.rejected(1).put(file, overwrite=False)
    assert place.rejected(2).put(file, overwrite=False)
    assert (tmp_path / "clip.rejected.2.mp4").read_bytes() == b"rejected"
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_picture_of_ours_is_known_by_its_comment(tmp_path: Path):
    (tmp_path / "ours.jpg").write_bytes(jpeg(Image.effect_noise((1280, 720), 60).convert("RGB")))
    somebodys_jpeg(tmp_path / "theirs.jpg")
    (tmp_path / "text").write_bytes(b"airflow-provider-minimax")
    for name, expected in (("ours.jpg", True), ("theirs.jpg", False), ("text", False)):
        with (tmp_path / name).open("rb") as file:
            assert is_made_here(file) is expected


# -- in a sheet's place ------------------------------------------------------------------------------------------------


def sheet_of(clips: Any, output_path: Any) -> dict[str, Any]:
    ti = FakeTaskInstance()
    ti.get_task_states = lambda **_: {}  # type: ignore[attr-defined]
    operator = MinimaxContactSheetOperator(task_id="sheet", clips=clips, output_path=output_path)
    return operator.execute({"ti": ti})


def test_a_sheet_replaces_no_file_but_an_elder_sheet(deliver, target: Target, tmp_path: Path):
    deliver(target.path())
    target.write("sheet.jpg", somebodys_jpeg(tmp_path / "theirs.jpg"))
    with pytest.raises(MinimaxRequestError, match="exists and was not drawn by this operator; give another path"):
        sheet_of(target.path(), target.path("sheet.jpg"))
    assert target.read("sheet.jpg") == (tmp_path / "theirs.jpg").read_bytes()
    for _ in range(2):
        assert sheet_of(target.path(), target.path("other.jpg"))["clips"] == 1


def test_a_pipe_among_the_clips_is_one_that_cannot_be_read(deliver, tmp_path: Path):
    deliver(tmp_path / "clip.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    facts = sheet_of([tmp_path / "clip.mp4", tmp_path / "pipe.mp4"], tmp_path / "sheet.jpg")
    assert facts["unreadable"] == [str(tmp_path / "pipe.mp4")]
