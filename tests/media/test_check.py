"""Whether a clip is what was bought; in doubt it is."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from io import BytesIO

import pytest
from PIL import Image

from airflow_provider_minimax.exceptions import MinimaxClipRejectedError, MinimaxRequestError
from airflow_provider_minimax.media import check
from airflow_provider_minimax.media.check import ExpectedClip, check_clip, ensure_available
from tests.media import films

ANY = ExpectedClip()
LEVELS = ["basic", "full"]
BLACK = Image.new("RGB", films.SIZE)


@pytest.fixture(scope="module")
def film() -> bytes:
    return films.encode(films.moving())


def rejection(content: bytes, level: str = "full", wanted: ExpectedClip = ANY) -> str:
    with pytest.raises(MinimaxClipRejectedError) as caught:
        check_clip(BytesIO(content), level, wanted)
    return caught.value.message


@pytest.mark.parametrize("level", LEVELS)
def test_a_good_clip_passes_and_its_facts_are_reported(level, film, tmp_path):
    path = films.saved(film, tmp_path / "clip.mp4")
    facts = check_clip(path, level, ExpectedClip(duration=2))
    assert facts.as_dict() == {
        "width": 640,
        "height": 360,
        "duration": 2.0,
        "frames": 48,
        "fps": 24.0,
        "codec": "h264",
        "has_sound": False,
    }


def test_a_file_that_is_open_stays_open_and_may_have_no_name(film):
    with tempfile.TemporaryFile() as file:
        file.write(film)
        assert check_clip(file, "full", ANY).frames == 48
        assert not file.closed


SIZES = [
    ("768P", (1366, 768)),
    ("768P", (768, 1366)),
    ("768P", (1344, 768)),
    ("768P", (768, 768)),
    ("768P", (1024, 1024)),
    ("768P", (1536, 672)),
    ("1080P", (1920, 1088)),
    ("512P", (910, 512)),
    ("480P", (848, 480)),
    ("2K", (2560, 1440)),
    ("a new one", (64, 36)),
    (None, (64, 36)),
]


@pytest.mark.parametrize(("resolution", "size"), SIZES)
def test_a_picture_may_have_any_shape(resolution, size):
    content = films.encode([films.still(size)])
    assert check_clip(BytesIO(content), "basic", ExpectedClip(resolution)).width == size[0]


@pytest.mark.parametrize(
    ("resolution", "size"),
    [("768P", (1280, 720)), ("720P", (1366, 768)), ("1080P", (1366, 768)), ("512P", (480, 854)), ("2K", (1366, 768))],
)
def test_a_clip_of_the_next_size_is_refused(resolution, size):
    message = rejection(films.encode([films.still(size)]), "basic", ExpectedClip(resolution))
    assert f"it is {size[0]}x{size[1]} pixels, and {resolution} has a short side of about" in message


@pytest.mark.parametrize(
    ("frames", "fps", "asked"),
    [
        (141, 24, 6),
        (141, 25, 6),
        (144, 24, 6),
        (106, 24, 4),
        (124, 24, 5),
        (226, 24, 10),
        (243, 24, 10),
        (30, 24, None),
    ],
)
def test_a_length_on_the_models_grid_passes(frames, fps, asked):
    content = films.encode(films.moving((64, 36), frames), fps=fps)
    assert check_clip(BytesIO(content), "basic", ExpectedClip(duration=asked)).frames == frames


@pytest.mark.parametrize(("frames", "asked"), [(124, 6), (141, 10), (243, 6)])
def test_another_length_is_refused(frames, asked):
    message = rejection(films.encode(films.moving((64, 36), frames)), "basic", ExpectedClip(duration=asked))
    assert f"it lasts {frames / 24:.2f} s, and {asked} s were asked for" in message


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_clip_that_is_cut_off_is_refused(level, share, film):
    assert "the clip is not what was asked for: it" in rejection(film[: int(len(film) * share)], level)


def test_a_clip_that_ends_between_two_pictures_is_refused(film):
    # Its index still names the pictures that were taken away, and no picture is broken.
    import av

    with av.open(BytesIO(film)) as container:
        ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
    for level in LEVELS:
        assert "its frames end after 1.00 of 2.00 s" in rejection(film[: sorted(ends)[23]], level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("content", [b"", b"<html>no</html>" * 99, b"#EXTM3U\nhttp://169.254.169.254/\n"])
def test_what_is_no_clip_is_refused(level, content):
    assert "it cannot be decoded" in rejection(content, level)


def test_damage_in_the_middle_is_found_by_the_full_check_alone():
    content = bytearray(films.encode(films.moving(frames=96), keyint=12))
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    assert check_clip(BytesIO(content), "basic", ANY)
    assert "it cannot be decoded" in rejection(bytes(content))


@pytest.mark.parametrize("picture", [BLACK, Image.new("RGB", films.SIZE, (6, 6, 6))])
def test_a_black_clip_is_refused_by_the_full_check(picture):
    content = films.encode(films.frozen(picture))
    assert check_clip(BytesIO(content), "basic", ANY)
    assert rejection(content).endswith("it is black from beginning to end")


@pytest.mark.parametrize(("crf", "keyint"), [(18, 250), (28, 250), (28, 24)])
def test_a_frozen_clip_is_refused_by_the_full_check(crf, keyint):
    content = films.encode(films.frozen(films.still()), crf=crf, keyint=keyint)
    assert check_clip(BytesIO(content), "basic", ANY)
    assert rejection(content).endswith("it shows the same picture from beginning to end")


CALM = {
    "a slow zoom on a still life": lambda: films.zoom(films.still(), 0.01),
    "a slow zoom into a scene by night": lambda: films.zoom(films.at_night(films.still()), 0.03),
    "a fade from black": lambda: films.fading_in(films.still(), black=24),
    "black but for the end": lambda: films.fading_in(films.still(), black=44),
    "one small light that flickers": lambda: films.flickering(films.still(), 4),
}


@pytest.mark.parametrize("frames", CALM.values(), ids=CALM.keys())
def test_a_calm_clip_passes(frames):
    assert check_clip(BytesIO(films.encode(frames())), "full", ANY)


def test_all_reasons_are_reported_at_once():
    message = rejection(films.encode(films.frozen(BLACK)), "full", ExpectedClip("768P", 6))
    assert message == (
        "the clip is not what was asked for: it is 640x360 pixels, and 768P has a short side of about 768; "
        "it lasts 2.00 s, and 6 s were asked for; it is black from beginning to end"
    )


@pytest.mark.parametrize("level", LEVELS)
def test_a_truncated_clip_is_still_compared_with_the_request(level, film):
    message = rejection(film[:-50], level, ExpectedClip("768P"))
    assert "it is 640x360 pixels" in message
    assert "it cannot be decoded" in message


def test_a_clip_without_pictures_is_refused():
    import av

    content = BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        silence.sample_rate = 44100
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    assert "it has no video tracks" in rejection(content.getvalue(), "basic")


def test_a_file_that_cannot_be_read_is_no_bad_clip(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_clip(tmp_path / "nothing.mp4", "basic", ANY)


def test_trouble_of_the_storage_is_no_bad_clip(film):
    class Flaky(BytesIO):
        def read(self, size=-1):
            raise ConnectionResetError("the storage went away")

    with pytest.raises(ConnectionResetError):
        check_clip(Flaky(film), "basic", ANY)


def test_without_pyav_the_author_learns_what_to_install(monkeypatch):
    monkeypatch.setattr(check, "find_spec", lambda name: None)
    with pytest.raises(MinimaxRequestError) as caught:
        ensure_available("check", "full")
    assert str(caught.value) == (
        "check='full': needs PyAV and Pillow, which this worker does not have. Nothing was bought. "
        "Install them: pip install 'airflow-provider-minimax[media]'"
    )


def test_asking_whether_clips_can_be_looked_at_imports_nothing_heavy():
    program = (
        "import sys\n"
        "from airflow_provider_minimax.media.check import ensure_available\n"
        "ensure_available('check', 'full')\n"
        "print([name for name in ('av', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
