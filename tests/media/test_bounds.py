"""No film keeps a task busy, fills its memory or ends its process; what would is named, or left unchecked."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest

from airflow_provider_minimax.api.inputs.base_video import unfit_for_regeneration
from airflow_provider_minimax.exceptions import MinimaxClipRejectedError
from airflow_provider_minimax.media import clip, decoder, preview
from airflow_provider_minimax.media.canvas import Canvas
from airflow_provider_minimax.media.check import ExpectedClip, check_clip
from airflow_provider_minimax.media.clip import UnreadableClipError
from airflow_provider_minimax.media.preview import SheetItem, batch_sheet, contact_sheet, poster
from tests.media import films

LONGEST_TEST = 25


@pytest.fixture(scope="module")
def film() -> bytes:
    return films.encode(films.moving((64, 36), frames=12))


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONGEST_TEST


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Have the decoder be another program."""
    decoder._end()
    yield lambda text: monkeypatch.setattr(decoder, "_PROGRAM", text)
    decoder._end()


def repeated(film: bytes, times: int) -> bytes:
    """The film with its last picture again and again."""
    out = BytesIO()
    with av.open(BytesIO(film)) as source, av.open(out, "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number in range(times):
            packet = packets[0] if number == 0 else packets[-1]
            packet.stream = stream
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 24)
            packet.duration = 1
            target.mux(packet)
    return out.getvalue()


def with_table(film: bytes, kind: bytes, content: bytes) -> bytes:
    """The film with another table of the same or less length in its index."""
    at = film.index(kind)
    length = int.from_bytes(film[at - 4 : at]) - 8
    assert len(content) <= length
    return film[: at + 4] + content + film[at + 4 + len(content) :]


def with_sides(film: bytes, width: int, height: int) -> bytes:
    at = film.index(b"avc1", film.index(b"stsd")) + 4 + 24
    return film[:at] + struct.pack(">HH", width, height) + film[at + 4 :]


def png_film(width: int, height: int) -> bytes:
    """A film of one PNG whose header does not say how large it is, as its file does not either."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(bytes((width // 8 + 1) * height), 1)
    picture = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    out = BytesIO()
    with av.open(out, "w", format="mp4") as target:
        stream = target.add_stream("png", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "monob"
        for number in range(3):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 24)
            packet.is_keyframe = True
            target.mux(packet)
    return out.getvalue()


MANY = clip.MOST_FRAMES + 2000
CLAIMS = 150_000_000
FILMS = {
    "many pictures": lambda film: repeated(film, MANY),
    "pictures of one byte, 150 million": lambda film: with_table(film, b"stsz", struct.pack(">III", 0, 1, CLAIMS)),
    "2**31 times": lambda film: with_table(film, b"stts", struct.pack(">III", 0, 2**31, 1)),
    "one time, 2**31 times": lambda film: with_table(film, b"stts", struct.pack(">IIII", 0, 1, 2**31, 0)),
    "2**31 chunks": lambda film: with_table(film, b"stco", struct.pack(">II", 0, 2**31)),
    "30,000 x 30,000 by its index": lambda film: with_sides(film, 30_000, 30_000),
    "30,000 x 30,000 by its pictures": lambda film: png_film(30_000, 30_000),
}


@pytest.mark.parametrize("made", FILMS.values(), ids=FILMS.keys())
def test_a_film_made_to_exhaust_ends_in_seconds(made, film, tmp_path):
    path = films.saved(made(film), tmp_path / "clip.mp4")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for level in ("basic", "full"):
        with suppress(MinimaxClipRejectedError):
            check_clip(path, level, ExpectedClip())
    for draw in (poster, contact_sheet):
        with suppress(UnreadableClipError):
            assert draw(path)[:2] == b"\xff\xd8"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_that_there_are_far_too_many_pictures_is_said(film):
    content, said = BytesIO(repeated(film, MANY)), f"it has {MANY} frames, more than 10000"
    for use in (poster, contact_sheet, lambda file: check_clip(file, "basic", ExpectedClip())):
        with pytest.raises((UnreadableClipError, MinimaxClipRejectedError), match=said):
            use(content)
    assert said in unfit_for_regeneration(content)[0]


def test_that_pictures_are_far_too_large_is_said():
    with pytest.raises(UnreadableClipError, match="its frames have 30000x30000 pixels"):
        clip._check_bounds(clip.MediaFacts(30_000, 30_000, 6, 144, 24, "h264", False))


def test_pictures_are_counted_though_the_index_says_there_are_few(monkeypatch, film):
    monkeypatch.setattr(clip, "MOST_FRAMES", 5)
    monkeypatch.setattr(clip, "_check_bounds", lambda facts: None)
    with clip.opened(BytesIO(film)) as one, pytest.raises(UnreadableClipError, match="more than 5 frames"):
        list(one.frames())


# -- the process that decodes ------------------------------------------------------------------------------------------

DEATHS = {
    "a crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"ended early \(signal 11\)"),
    "an error": ("import sys; sys.exit(3)", r"ended early \(exit code 3\)"),
    "no import": ("import airflow_provider_minimax.media.nowhere", r"ended early \(exit code 1\)"),
    "a hang": ("import time; time.sleep(600)", r"decoding took more than 0\.3 s"),
}


@pytest.mark.parametrize(("text", "said"), DEATHS.values(), ids=DEATHS.keys())
def test_the_death_of_the_decoder_leaves_the_clip_unchecked_and_its_sheet_without_it(
    text, said, program, film, caplog, monkeypatch
):
    if "hang" in text or "sleep" in text:
        monkeypatch.setattr(decoder, "LONGEST", 0.3)
    program(text)
    assert check_clip(BytesIO(film), "full", ExpectedClip()) is None
    assert "The clip could not be checked: " in caplog.text
    with pytest.raises(UnreadableClipError, match=said):
        poster(BytesIO(film))
    sheet = batch_sheet([SheetItem("a", lambda: nullcontext(BytesIO(film)))] * 2, "Takes")
    assert list(sheet.unreadable) == [0, 1]


def test_no_decoder_leaves_the_clip_unchecked(film, monkeypatch, caplog):
    decoder._end()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert check_clip(BytesIO(film), "basic", ExpectedClip()) is None
    assert "its decoder cannot be started" in caplog.text


def test_a_decoder_that_ended_since_is_replaced(film):
    assert check_clip(BytesIO(film), "basic", ExpectedClip())
    one = decoder._decoder
    assert one is not None
    os.kill(one._process.pid, signal.SIGKILL)
    one._process.wait()
    assert check_clip(BytesIO(film), "basic", ExpectedClip())
    assert decoder._decoder is not one


def test_a_decoder_ends_by_itself_when_nothing_is_asked_of_it(program, film):
    idle = decoder._PROGRAM.replace(
        "from airflow", "import airflow_provider_minimax.media.decoder_main as it; it.IDLE_TIME = 0.05; from airflow"
    )
    program(idle)
    assert check_clip(BytesIO(film), "basic", ExpectedClip())
    assert decoder._decoder is not None
    assert decoder._decoder._process.wait(20) == 0


def test_a_decoder_ends_with_the_process_that_started_it(film, tmp_path):
    path = films.saved(film, tmp_path / "clip.mp4")
    text = (
        "import os, sys; from pathlib import Path\n"
        "from airflow_provider_minimax.media import decoder\n"
        "decoder.facts_of_clip(Path(sys.argv[1])); print(decoder._decoder._process.pid, flush=True); os._exit(0)"
    )
    pid = int(subprocess.run([sys.executable, "-c", text, str(path)], capture_output=True, check=True).stdout)
    ends_at = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def test_threads_come_one_after_the_other(film):
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(check_clip(BytesIO(film), "full", ExpectedClip()))) for _ in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [facts.frames for facts in found] == [12, 12, 12]


def test_an_open_file_stays_open_and_its_folder_clean(film, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with films.saved(film, tmp_path / "clip.mp4").open("rb") as file:
        assert check_clip(file, "basic", ExpectedClip())
        assert check_clip(BytesIO(film), "basic", ExpectedClip())
        file.seek(0)
        assert file.read() == film
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_clip_from_elsewhere_is_copied_no_further_than_it_must_be(monkeypatch, film):
    monkeypatch.setattr(decoder, "_LARGEST_CLIP", 1000)
    with pytest.raises(UnreadableClipError, match="it is larger than"):
        poster(BytesIO(film))


def test_a_sheet_whose_clips_take_for_ever_is_drawn_without_the_last(monkeypatch, film):
    monkeypatch.setattr(preview, "_BATCH_TIME", -1.0)
    sheet = batch_sheet([SheetItem("a", lambda: nullcontext(BytesIO(film)))], "Takes")
    assert "the clips before it took" in sheet.unreadable[0]


# -- what is written on sheets -----------------------------------------------------------------------------------------

TEXTS = {
    "very long": "boat " * 2_000_000,
    "controls": "\x1b[31mred\x07\0\r\n\x9b" * 50,
    "right to left": "\u202egnp.exe \u2066\u05e9\u05dc\u05d5\u05dd",
    "emoji": "\U0001f6a4\u200d\U0001f468\ufe0f" * 100,
    "accents without end": "a" + "\u0301" * 100_000,
    "grows when normalised": "\ufdfa" * 100_000,
    "lone surrogates": "\udc80" * 100,
    "nothing": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_any_text_is_a_caption_and_quickly(text, film):
    canvas = Canvas(200, 60)
    began = time.monotonic()
    canvas.write(text, (0, 0), 150, 20, "white")
    assert time.monotonic() - began < 30
    assert max(canvas.image.crop((160, 0, 200, 60)).convert("L").tobytes()) < 40
    assert picture_of_sheet(film, text)


def picture_of_sheet(film: bytes, text: str) -> bytes:
    return batch_sheet([SheetItem(text, lambda: nullcontext(BytesIO(film)))], text).picture
