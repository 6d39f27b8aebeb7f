"""A sound clip always lands: whatever fails around it costs at most a picture, and one warning says so."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest

from airflow_provider_minimax.delivery import checks
from airflow_provider_minimax.delivery import deliver as deliver_module
from airflow_provider_minimax.delivery.delivered_clip import DeliveredClip
from airflow_provider_minimax.delivery.destination import LocalDestination, destination_of
from airflow_provider_minimax.emulator.clips import film_v2
from airflow_provider_minimax.exceptions import (
    MinimaxClipRejectedError,
    MinimaxRequestError,
    MinimaxStorageError,
)
from airflow_provider_minimax.media import check, clip, decoder, examine, preview
from airflow_provider_minimax.media.check import ExpectedClip, Level, check_clip
from airflow_provider_minimax.media.clip import MediaFacts, UnreadableClipError
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from tests.delivery.conftest import Target, sha256
from tests.fakes import FakeTaskInstance
from tests.media import films

LEVELS: tuple[Level, Level] = ("basic", "full")
POSTER, SHEET = "clip.mp4.poster.jpg", "clip.mp4.contact-sheet.jpg"
WARNING = "next to it: "


@pytest.fixture
def log(log_of):
    return log_of(MinimaxVideoDownloadOperator)


def show(emulator: Any, film: bytes, tmp_path: Path) -> bytes:
    """Have the platform deliver a film of the test's own."""
    path = tmp_path / "film.bin"
    path.write_bytes(film)
    emulator.configure(film_file=str(path))
    return film


# -- pictures ----------------------------------------------------------------------------------------------------------

ERRORS = [
    OSError("encoder error -2 when writing image file"),
    ValueError("height and width must be > 0"),
    MemoryError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    AttributeError("'NoneType' object has no attribute 'name'"),
    ZeroDivisionError(),
    ImportError("libavcodec.so.62: cannot open shared object file"),
    MinimaxRequestError("not this"),
    RuntimeError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_sheet_that_cannot_be_drawn_costs_the_sheet_alone(error, deliver, tmp_path, monkeypatch, log, whole_clip):
    def fail(*args: object) -> bytes:
        raise error

    monkeypatch.setattr(preview, "contact_sheet", fail)
    place = str(tmp_path / "clip.mp4")
    deliver(place, preview=True)
    assert Path(place).read_bytes() == whole_clip()
    assert json.loads(Path(f"{place}.receipt.json").read_text())["previews"] == {"poster": f"{place}.poster.jpg"}
    assert log.said().count(f"The clip has no contact sheet {WARNING}") == 1
    assert (tmp_path / POSTER).read_bytes()[:2] == b"\xff\xd8"


def test_a_storage_that_refuses_pictures_gets_the_clip(deliver, tmp_path, monkeypatch, log):
    def refuse(self: LocalDestination, content: bytes, content_type: str) -> None:
        raise MinimaxStorageError(f"{self.url} cannot be written (quota)")

    monkeypatch.setattr(LocalDestination, "put_bytes", refuse)
    facts = deliver(str(tmp_path / "clip.mp4"), preview=True)
    assert sha256((tmp_path / "clip.mp4").read_bytes()) == facts["sha256"]
    assert log.said().count(WARNING) == 1
    assert "no poster and no contact sheet" in log.said()


@pytest.mark.parametrize("size", [(16, 4400), (4400, 16), (16, 16), (2, 2)])
def test_a_film_of_any_shape_has_its_pictures(size, deliver, tmp_path, minimax_emulator, log):
    show(minimax_emulator, films.encode(films.moving(size, frames=5)), tmp_path)
    deliver(str(tmp_path / "clip.mp4"), preview=True)
    for name in (POSTER, SHEET):
        assert (tmp_path / name).read_bytes()[:2] == b"\xff\xd8"
    assert WARNING not in log.said()


def test_what_takes_too_long_is_left_out(deliver, tmp_path, monkeypatch, log, caplog):
    monkeypatch.setattr(decoder, "LONGEST", 0.001)
    facts = deliver(str(tmp_path / "clip.mp4"), preview=True, check="full")
    assert sha256((tmp_path / "clip.mp4").read_bytes()) == facts["sha256"]
    assert "decoding took more than 0.001 s" in log.said()
    assert "The clip could not be checked: decoding took more than 0.001 s." in caplog.text


# -- the check ---------------------------------------------------------------------------------------------------------


def with_bytes_replaced(film: bytes, old: bytes, new: bytes) -> bytes:
    assert film.count(old)
    assert len(old) == len(new)
    return film.replace(old, new)


def test_a_title_that_is_no_text_is_no_fault_of_the_clip(deliver, tmp_path, minimax_emulator):
    film = with_bytes_replaced(films.encode(films.moving()), b"Lavf", b"\xff\xfe\xc3\x28")
    show(minimax_emulator, film, tmp_path)
    for level in ("basic", "full"):
        deliver(str(tmp_path / f"{level}.mp4"), check=level, preview=True)
        assert (tmp_path / f"{level}.mp4").read_bytes().startswith(film)
        assert (tmp_path / f"{level}.mp4.poster.jpg").exists()


def test_what_cannot_be_measured_is_not_compared(monkeypatch):
    nothing = MediaFacts(None, None, None, None, None, None, False)
    monkeypatch.setattr(clip, "_facts", lambda container, stream: nothing)
    film = films.encode(films.moving())
    for level in LEVELS:
        found = examine.examine(BytesIO(film), level, ExpectedClip("2K", 99, "1:1"))
        assert (found.facts, found.reasons) == (nothing, [])
        assert [what for what, _ in found.not_compared] == ["size", "length", "ratio"]


@pytest.mark.parametrize("nonsense", [None, 0, -5, float("nan"), float("inf"), 2**62])
def test_nonsense_is_as_good_as_nothing(nonsense):
    assert clip._plausible(lambda: nonsense) is None


def test_a_fact_that_raises_is_as_good_as_nothing():
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

    class Streams:
        audio = ()

    broken: Any = Broken()
    container: Any = type("Container", (), {"streams": Streams(), "duration": None})()
    assert clip._facts(container, broken) == MediaFacts(None, None, None, None, None, None, False)


def test_a_form_of_pixels_that_cannot_be_converted_is_not_compared(monkeypatch):
    def fail(*args: object) -> None:
        raise ValueError("Operation not supported")

    monkeypatch.setattr(examine, "picture_from", fail)
    found = examine.examine(BytesIO(films.encode(films.moving())), "full", ExpectedClip())
    assert [what for what, _ in found.not_compared] == ["content"]
    assert found.reasons == []


def test_what_is_not_compared_is_said(monkeypatch, caplog):
    found = {"facts": asdict(MediaFacts(*[None] * 6, False)), "reasons": [], "not_compared": [["size", "x"]]}
    monkeypatch.setattr(check, "decode", lambda *args, **options: (found, b""))
    check_clip(BytesIO(), "full", ExpectedClip())
    assert "The clip's size cannot be compared with what was asked for: x." in caplog.text


NO_FAULT_OF_THE_CLIP = (OSError, MemoryError)


@pytest.mark.parametrize(
    "error", [e for e in ERRORS if not isinstance(e, NO_FAULT_OF_THE_CLIP)], ids=lambda e: type(e).__name__
)
def test_whatever_pyav_raises_is_said_against_the_clip(error, monkeypatch):
    def fail(container: Any) -> None:
        raise error

    monkeypatch.setattr(clip, "_video_track", fail)
    (reason,) = examine.examine(BytesIO(films.encode(films.moving())), "basic", ExpectedClip()).reasons
    assert "it cannot be decoded" in reason


def test_a_rejected_clip_is_kept_aside(deliver, tmp_path, monkeypatch):
    def fail(*args: Any, **options: Any) -> None:
        raise UnreadableClipError("it cannot be decoded (KeyError: 7)")

    monkeypatch.setattr(check, "decode", fail)
    with pytest.raises(MinimaxClipRejectedError, match=r"it cannot be decoded.*clip\.rejected\.mp4"):
        deliver(str(tmp_path / "clip.mp4"), check="basic")
    assert (tmp_path / "clip.rejected.mp4").stat().st_size > 10_000


def test_a_check_that_cannot_be_made_lets_the_clip_pass(deliver, tmp_path, monkeypatch, log):
    """PyAV is installed, as was seen before the purchase; that its libraries load is seen only here."""

    def broken(*args: object) -> None:
        raise ImportError("libavcodec.so.62: cannot open shared object file")

    monkeypatch.setattr(check, "check_clip", broken)
    deliver(str(tmp_path / "clip.mp4"), check="full")
    assert "The clip is delivered unchecked: the check itself failed (ImportError: libavcodec" in log.said()


def test_a_codec_that_is_unknown_here_is_said(tmp_path):
    film = with_bytes_replaced(films.encode(films.moving()), b"avc1\0", b"zzz9\0")
    with pytest.raises(MinimaxClipRejectedError, match="cannot be decoded"):
        check_clip(BytesIO(film), "basic", ExpectedClip())


def black(frames: int = 24) -> bytes:
    from PIL import Image

    return films.encode(films.frozen(Image.new("RGB", films.SIZE), frames))


def test_where_a_rejected_clip_cannot_be_kept_aside_it_stays_and_the_error_says_where(
    deliver, tmp_path, minimax_emulator, monkeypatch
):
    minimax_emulator.configure(clip_validators="none")
    show(minimax_emulator, black(), tmp_path)
    folder = tmp_path / "clips"
    put = LocalDestination.put

    def refuse(self: LocalDestination, file: Path, *, overwrite: bool) -> bool:
        if ".rejected" in self.name:
            raise MinimaxStorageError(f"{self.url} cannot be written (quota)")
        return put(self, file, overwrite=overwrite)

    monkeypatch.setattr(LocalDestination, "put", refuse)
    with pytest.raises(MinimaxClipRejectedError, match=r"kept for a week as .*\.part on this worker") as raised:
        deliver(str(folder / "clip.mp4"), check="full")
    (part,) = folder.iterdir()
    assert str(part) in str(raised.value)
    assert part.read_bytes().startswith(black()[:1000])


def test_a_rejected_clip_is_kept_beside_an_earlier_one_and_once(deliver, target: Target, minimax_emulator, tmp_path):
    for frames in (24, 30, 24):
        show(minimax_emulator, black(frames), tmp_path)
        with pytest.raises(MinimaxClipRejectedError):
            deliver(target.path(), check="full")
    assert target.names() == ["clip.rejected.2.mp4", "clip.rejected.mp4"]
    assert target.read("clip.rejected.mp4").startswith(black(24))
    assert target.read("clip.rejected.2.mp4").startswith(black(30))


# -- any file at all ---------------------------------------------------------------------------------------------------


BOXES = (b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf", b"stbl")
TABLES = (b"stsd", b"avc1", b"avcC", b"stts", b"stss", b"ctts", b"stsc", b"stsz", b"stco", b"mdat", b"udta")


def mutants(film: bytes, number: int) -> Iterator[bytes]:
    """The film with bytes changed, boxes moved, doubled, renamed or of another length, or its end cut off."""
    dice = random.Random(11)
    index = film.index(b"moov")
    for _ in range(number):
        content = bytearray(film)
        for _ in range(dice.choice((1, 2, 4, 16))):
            way = dice.random()
            kind = dice.choice(BOXES + TABLES)
            at = content.find(kind)
            if way < 0.5:
                place = dice.randrange(index, index + 1200) if dice.random() < 0.9 else dice.randrange(len(content))
                content[place % len(content)] = dice.choice((0, 0xFF, 0x7F, 0x80, dice.randrange(256)))
            elif at < 4:
                continue
            elif way < 0.65:
                length = dice.choice((0, 1, 7, 8, 2**31, 2**32 - 1, dice.randrange(4096)))
                content[at - 4 : at] = length.to_bytes(4, "big")
            elif way < 0.8:
                # Most tables begin with how many entries they have.
                entries = dice.choice((0, 1, 10**5, 10**9, 2**31, 2**32 - 1))
                content[at + 8 : at + 12] = entries.to_bytes(4, "big")
            elif way < 0.85:
                content[at : at + 4] = dice.choice(BOXES + TABLES)
            elif way < 0.95:
                end = at - 4 + int.from_bytes(content[at - 4 : at], "big")
                piece = content[at - 4 : end] if end <= len(content) else content[at - 4 :]
                if dice.random() < 0.5:
                    del content[at - 4 : end]
                target = dice.randrange(len(content) + 1)
                content[target:target] = piece
            else:
                del content[dice.randrange(len(content)) :]
            if len(content) < 16:
                break
        yield bytes(content)


def watch(content: bytes, path: Path, wanted: ExpectedClip, ends: Counter[str]) -> None:
    """Check and draw a film: it passes or is refused in words, and has its pictures or says why not."""
    path.write_bytes(content)
    for level in LEVELS:
        began = time.monotonic()
        try:
            facts = check_clip(path, level, wanted)
        except MinimaxClipRejectedError:
            ends["rejected"] += 1
        else:
            json.dumps(facts and facts.as_dict(), allow_nan=False)
            ends["passed" if facts else "unchecked"] += 1
        assert time.monotonic() - began < decoder.LONGEST + 10
    for draw in (preview.poster, preview.contact_sheet):
        with suppress(UnreadableClipError):
            ends["drawn"] += draw(path)[:2] == b"\xff\xd8"


SEEDS = 20


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, SEEDS))])
def test_no_file_makes_the_check_or_the_previews_raise_anything_unexpected(seed, tmp_path):
    """1000 mutants of films, of which the quick run takes 50."""
    ends: Counter[str] = Counter()
    film = films.encode(films.moving((64, 36), frames=10)) if seed % 2 == 0 else film_v2("480P", 4)
    wanted = ExpectedClip("512P", 6, "9:16") if seed % 4 == 1 else ExpectedClip()
    for content in islice(mutants(film, 1000), seed, None, SEEDS):
        watch(content, tmp_path / "clip.mp4", wanted, ends)
    assert ends["drawn"]
    assert ends["rejected"]
    assert ends["passed"] or wanted != ExpectedClip()
    # What claims to need more memory than there may be.
    assert ends["unchecked"] < 20


# -- the ratio ---------------------------------------------------------------------------------------------------------

RATIOS = [
    ("16:9", (1344, 768)),
    ("16:9", (832, 480)),
    ("16:9", (2560, 1440)),
    ("9:16", (768, 1344)),
    ("9:16", (480, 854)),
    ("1:1", (768, 768)),
    ("1:1", (1024, 1024)),
    ("4:3", (1024, 768)),
    ("3:4", (768, 1024)),
    ("21:9", (1536, 672)),
    ("adaptive", (64, 36)),
    ("0:0", (64, 36)),
    ("of some kind", (64, 36)),
    (None, (64, 36)),
]


@pytest.mark.parametrize("level", ["basic", "full"])
@pytest.mark.parametrize(("ratio", "size"), RATIOS)
def test_a_clip_of_the_ratio_that_was_asked_for_passes(ratio, size, level):
    content = films.encode(films.moving(size, frames=3))
    assert check_clip(BytesIO(content), level, ExpectedClip(ratio=ratio)).width == size[0]


@pytest.mark.parametrize(
    ("ratio", "size"),
    [("9:16", (1344, 768)), ("16:9", (768, 1344)), ("1:1", (1024, 768)), ("4:3", (1344, 768)), ("21:9", (1344, 768))],
)
@pytest.mark.parametrize("level", ["basic", "full"])
def test_one_of_another_is_refused(ratio, size, level):
    content = films.encode(films.moving(size, frames=3))
    with pytest.raises(MinimaxClipRejectedError, match=rf"it is {size[0]}x{size[1]} pixels.*and {ratio} was asked for"):
        check_clip(BytesIO(content), level, ExpectedClip(ratio=ratio))


def turned(film: bytes) -> bytes:
    """The film with a note in its index that players are to turn it by a quarter."""
    at = film.index(b"tkhd") + 4 + 40
    matrix = b"".join(number.to_bytes(4, "big", signed=True) for number in (0, 65536, 0, -65536, 0, 0, 0, 0, 2**30))
    return film[:at] + matrix + film[at + 36 :]


def test_what_players_show_counts():
    upright = films.encode(films.moving((1344, 768), frames=3))
    assert check_clip(BytesIO(turned(upright)), "basic", ExpectedClip(ratio="9:16"))
    squeezed = BytesIO()
    with av.open(squeezed, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 768, 768, "yuv420p"
        stream.sample_aspect_ratio = Fraction(16, 9)
        for frame in films.moving((768, 768), frames=3):
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    assert check_clip(squeezed, "basic", ExpectedClip(ratio="16:9"))


@pytest.mark.parametrize(
    ("request_", "ratio"),
    [
        ({"ratio": "9:16"}, "9:16"),
        ({"ratio": "9:16", "reference_images": ["sha256:1"]}, "9:16"),
        ({"ratio": "9:16", "first_frame_image": "sha256:1"}, None),
        ({"ratio": "9:16", "last_frame_image": "sha256:1"}, None),
        ({"model": "MiniMax-Hailuo-02"}, None),
        (None, None),
    ],
)
def test_a_frame_gives_the_clip_its_own_ratio(request_, ratio):
    receipt: Any = type("Receipt", (), {"request": request_})()
    assert checks.expected_clip(receipt).ratio == ratio


# -- where it is -------------------------------------------------------------------------------------------------------


def moved(target: Target, there: str) -> None:
    """Move a clip and all that is next to it."""
    for name in target.names():
        target.write(there + name.removeprefix("clip"), target.read(name))


@pytest.mark.parametrize("kind", ["generation", "download"])
def test_a_clip_that_was_moved_with_its_receipt_is_where_it_is(
    kind, target: Target, deliver, minimax_emulator, monkeypatch
):
    monkeypatch.setattr("airflow_provider_minimax.purchases.ledger.SETTLING_TIME", 0.0)
    minimax_emulator.configure(lifecycle="polls", polls=1)

    def run(name: str) -> dict[str, Any]:
        if kind == "download":
            return deliver(target.path(name), preview=True)
        operator = MinimaxVideoGenerationOperator(
            task_id="generate",
            model="MiniMax-Hailuo-2.3",
            prompt="a cat",
            output_path=target.path(name),
            wait_for_completion=True,
            deferrable=False,
            poll_interval=0.01,
            preview=True,
        )
        return operator.execute({"ti": FakeTaskInstance()})

    before = run("clip.mp4")
    purchases = len(minimax_emulator.purchases)
    moved(target, "boat")
    after = run("boat.mp4")
    place = destination_of(target.path("boat.mp4"), None)
    assert after.pop("previews").keys() == before.pop("previews").keys()
    assert after == before | {"output_path": place.url}
    found = json.loads(target.read("boat.mp4.receipt.json"))
    assert found["output_path"] == place.url
    assert found["previews"] == {
        "poster": f"{place.url}.poster.jpg",
        "contact_sheet": f"{place.url}.contact-sheet.jpg",
    }
    assert len(minimax_emulator.purchases) == purchases


def test_missing_previews_are_not_reported(deliver, tmp_path):
    deliver(str(tmp_path / "clip.mp4"), preview=True)
    (tmp_path / POSTER).unlink()
    place = LocalDestination(tmp_path / "clip.mp4")
    from airflow_provider_minimax.purchases.stores import SidecarStore

    receipt = SidecarStore(place.url).read()
    assert receipt is not None
    clip_there = DeliveredClip.from_receipt(
        receipt.model_copy(update={"previews": {**(receipt.previews or {}), "x": "/etc"}}), place
    )
    assert clip_there.facts_with_origin()["previews"] == {"contact_sheet": f"{place.url}.contact-sheet.jpg"}


# -- names and disks ---------------------------------------------------------------------------------------------------


def test_the_longest_name_lands_with_all_that_belongs_to_it(deliver, tmp_path, minimax_emulator):
    minimax_emulator.fault("truncated", operation="download")
    place = tmp_path / ("x" * 196 + ".mp4")
    deliver(str(place), preview=True, check="basic")
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("name", ["caf\u00e9.mp4", "cafe\u0301.mp4", "\u8239 \U0001f600.mp4", "a\nb.mp4", "50%#?.mp4"])
def test_a_name_in_any_script_lands_as_it_is(name, deliver, tmp_path):
    facts = deliver(str(tmp_path / name), preview=True)
    assert facts["output_path"] == str(tmp_path / name)
    assert name in os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["a\0b.mp4", os.fsdecode(b"a\xff.mp4")])
def test_a_name_that_no_receipt_can_tell_is_refused_before_buying(name, tmp_path):
    with pytest.raises(MinimaxRequestError, match="Nothing was bought"):
        destination_of(str(tmp_path / name), None)


def test_a_file_system_for_short_names_is_found_before_buying(tmp_path, monkeypatch):
    opened = Path.open

    def short(self: Path, *args: Any, **options: Any) -> Any:
        if len(self.name) > 143:
            raise OSError(36, "File name too long")
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", short)
    with pytest.raises(MinimaxStorageError, match=r"File name too long.*Nothing was bought"):
        destination_of(str(tmp_path / ("x" * 130 + ".mp4")), None).check()
    destination_of(str(tmp_path / "clip.mp4"), None).check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [1, 18, 31, 95])
def test_where_no_hard_links_are_made_the_clip_lands_by_a_rename(number, deliver, tmp_path, monkeypatch, whole_clip):
    def refuse(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("airflow_provider_minimax.delivery.destination.local.os.link", refuse)
    deliver(str(tmp_path / "clip.mp4"))
    assert (tmp_path / "clip.mp4").read_bytes() == whole_clip()


def test_a_link_to_nothing_in_the_clips_place_is_found_before_anything_is_fetched(deliver, tmp_path, minimax_emulator):
    (tmp_path / "clip.mp4").symlink_to(tmp_path / "nothing")
    with pytest.raises(MinimaxRequestError, match="exists already"):
        deliver(str(tmp_path / "clip.mp4"))
    assert not [request for request in minimax_emulator.requests if request["operation"] == "download"]
    deliver(str(tmp_path / "clip.mp4"), overwrite=True)
    assert not (tmp_path / "clip.mp4").is_symlink()
    assert not (tmp_path / "nothing").exists()


def test_a_folder_that_vanishes_is_made_again_by_the_next_try(deliver, tmp_path, monkeypatch):
    import shutil

    folder = tmp_path / "clips"
    check = deliver_module.check_downloaded

    def vanish(*args: Any, **options: Any) -> Any:
        shutil.rmtree(folder)
        return check(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(deliver_module, "check_downloaded", vanish)
        with pytest.raises(MinimaxStorageError) as raised:
            deliver(str(folder / "clip.mp4"), check="basic")
        assert not raised.value.is_final
    deliver(str(folder / "clip.mp4"), check="basic")
    assert (folder / "clip.mp4").exists()


def test_a_worker_that_cannot_gather_a_clip_says_so_and_a_retry_helps(deliver, tmp_path, monkeypatch, s3_bucket):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nothing"))
    with pytest.raises(MinimaxStorageError, match="set TMPDIR") as raised:
        deliver(s3_bucket.url("clip.mp4"))
    assert not raised.value.is_final
    (tmp_path / "nothing").mkdir()
    deliver(s3_bucket.url("clip.mp4"))


@pytest.mark.parametrize("ratio", ["9:16", "1:1", "21:9"])
def test_a_clip_of_the_ordered_ratio_lands_and_one_of_another_is_kept_aside(
    ratio, connect, minimax_emulator, tmp_path, monkeypatch
):
    monkeypatch.setattr("airflow_provider_minimax.purchases.ledger.SETTLING_TIME", 0.0)
    connect()
    minimax_emulator.configure(lifecycle="polls", polls=1)

    def buy(name: str) -> dict[str, Any]:
        operator = MinimaxVideoGenerationOperator(
            task_id="generate",
            model="MiniMax-H3",
            prompt="a cat",
            resolution="768P",
            duration=4,
            ratio=ratio,
            output_path=str(tmp_path / name),
            wait_for_completion=True,
            deferrable=False,
            poll_interval=0.01,
            check="full",
            preview=True,
        )
        return operator.execute({"ti": FakeTaskInstance()})

    assert buy("clip.mp4")["output_path"] == str(tmp_path / "clip.mp4")
    show(minimax_emulator, film_v2("768P", 4), tmp_path)
    with pytest.raises(MinimaxClipRejectedError, match=f"it is 1344x768 pixels.*and {ratio} was asked for"):
        buy("other.mp4")
    assert (tmp_path / "other.rejected.mp4").exists()
