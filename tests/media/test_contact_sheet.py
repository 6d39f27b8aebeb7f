"""The operator that draws a sheet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.io import attach
from PIL import Image

from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxStorageError
from airflow_provider_minimax.media.canvas import Canvas
from airflow_provider_minimax.operators.contact_sheet import MinimaxContactSheetOperator, _clips_of, _labels
from airflow_provider_minimax.version_compat import AirflowSkipException
from tests.conftest import load_dags
from tests.media import films

TASK = {"dag_id": "campaign", "run_id": "manual__1", "task_id": "sheet", "map_index": -1}
CONTEXT = {"ti": SimpleNamespace(**TASK, get_task_states=lambda **_: {})}


@pytest.fixture(scope="module")
def film() -> bytes:
    return films.encode(films.moving((64, 36), frames=12))


@pytest.fixture
def clip(film, tmp_path) -> str:
    return str(films.saved(film, tmp_path / "clip.mp4"))


@pytest.fixture
def memory():
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    attach("memory", fs=storage)
    return storage


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "new" / "folder" / "sheet.jpg"


def draw(clips, output_path, **changes):
    return MinimaxContactSheetOperator(task_id="draw", clips=clips, output_path=str(output_path), **changes).execute(
        CONTEXT
    )


def test_a_sheet_is_drawn_into_a_folder_that_is_made(clip, out):
    facts = draw([{"task_id": "1", "output_path": clip}, clip, None], out, title="Takes")
    assert facts == {"output_path": str(out), "clips": 2, "unreadable": [], "failed": []}
    assert Image.open(out).format == "JPEG"
    assert [path.name for path in out.parent.iterdir()] == ["sheet.jpg"]


@pytest.mark.parametrize("wrap", [str, Path, lambda path: f"file://{path}", lambda path: {"output_path": path}])
def test_one_clip_needs_no_list(wrap, clip, out):
    assert draw(wrap(clip), out)["clips"] == 1


def test_a_sheet_replaces_its_elder(clip, out):
    draw(clip, out, title="First")
    first = out.read_bytes()
    draw([clip, clip], out, title="Second")
    assert out.read_bytes() != first


def test_a_broken_clip_is_named_and_the_others_are_drawn(clip, out, tmp_path, log_of):
    log = log_of(MinimaxContactSheetOperator)
    broken = str(films.saved(b"no clip", tmp_path / "broken.mp4"))
    gone = str(tmp_path / "gone.mp4")
    assert draw([broken, clip, gone], out)["unreadable"] == [broken, gone]
    assert f"A clip cannot be read: {broken} (it cannot be decoded" in log.said()


def test_no_sheet_is_drawn_of_broken_clips_alone(out, tmp_path):
    with pytest.raises(MinimaxStorageError, match=r"none of the clips can be read.*gone\.mp4") as caught:
        draw(str(tmp_path / "gone.mp4"), out)
    assert not caught.value.is_final
    assert not out.exists()


@pytest.mark.parametrize("clips", [(path for path in ()), iter([None, None])])
def test_a_task_with_nothing_to_draw_is_skipped(clips, out):
    with pytest.raises(AirflowSkipException):
        draw(clips, out)


def test_a_sheet_goes_to_any_storage_and_clips_come_from_any(film, memory):
    memory.pipe_file("/bucket/a.mp4", film)
    draw("memory://bucket/a.mp4", "memory://bucket/sheets/sheet.jpg")
    assert memory.cat_file("/bucket/sheets/sheet.jpg").startswith(b"\xff\xd8")


def test_a_sheet_in_a_bucket_is_shown_by_browsers(film, s3_bucket):
    s3_bucket.put("a/clip.mp4", film)
    facts = draw({"output_path": s3_bucket.url("a/clip.mp4")}, s3_bucket.url("sheets/sheet.jpg"))
    assert facts["unreadable"] == []
    assert s3_bucket.read("sheets/sheet.jpg").startswith(b"\xff\xd8")
    assert s3_bucket.server.storage.info(s3_bucket.url("sheets/sheet.jpg"))["ContentType"] == "image/jpeg"


def test_a_bucket_that_may_not_be_written_is_our_error_and_worth_a_retry(film, s3_bucket):
    s3_bucket.put("a/clip.mp4", film)
    s3_bucket.make_read_only()
    with pytest.raises(MinimaxStorageError, match="cannot be written") as caught:
        draw(s3_bucket.url("a/clip.mp4"), s3_bucket.url("sheet.jpg"))
    assert not caught.value.is_final


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clips": []}, r"clips=\[\]: must name at least one clip"),
        ({"clips": [None]}, "must name at least one clip"),
        ({"clips": 7}, r"clips\[0\]=7: must be a path or URL"),
        ({"clips": ["a.mp4", ""]}, r"clips\[1\]='': must be a path or URL"),
        ({"clips": [{"task_id": "1"}]}, r"clips\[0\]=.*Give the task that made it an output_path"),
        ({"output_path": "clip.mp4"}, r"output_path='clip.mp4': must end with .jpg"),
        ({"output_path": ""}, "must end with .jpg"),
    ],
)
def test_a_mistake_is_reported_when_the_dag_is_parsed(arguments, message):
    with pytest.raises(MinimaxRequestError, match=message):
        MinimaxContactSheetOperator(task_id="draw", **({"clips": "a.mp4", "output_path": "sheet.jpg"} | arguments))


def test_templates_are_left_for_later():
    sheet = MinimaxContactSheetOperator(task_id="draw", clips=["{{ params.clip }}"], output_path="{{ params.sheet }}")
    sheet.output_path = "clip.mp4"
    with pytest.raises(MinimaxRequestError, match=r"must end with \.jpg"):
        sheet.execute(CONTEXT)


def test_too_many_clips_are_refused(clip, out):
    with pytest.raises(MinimaxRequestError, match="has 501 clips, but a sheet has room for 500"):
        draw([clip] * 501, out)


def test_a_sheet_that_cannot_be_written_is_our_error_and_worth_a_retry(clip, tmp_path):
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(MinimaxStorageError, match=r"sheet\.jpg cannot be written") as caught:
        draw(clip, tmp_path / "file" / "sheet.jpg")
    assert not caught.value.is_final


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["s3://b/a/clip.mp4"], ["clip.mp4"]),
        (["s3://b/x/1/clip.mp4", "s3://b/x/2/clip.mp4"], ["1/clip.mp4", "2/clip.mp4"]),
        (["/a/b.mp4", "/a/c/d.mp4"], ["b.mp4", "c/d.mp4"]),
    ],
)
def test_a_clip_is_called_by_what_tells_it_from_the_others(paths, labels):
    assert _labels(_clips_of(paths)) == labels


@pytest.mark.parametrize(
    ("facts", "label"),
    [
        ({"prompt": "A paper\nboat", "map_index": 3}, "[3] A paper boat"),
        ({"prompt": "A café. Really?", "map_index": -1}, "A café. Really?"),
        ({"prompt": None, "map_index": 0}, "[0] clip.mp4"),
        # The sheet's font has no such letters.
        ({"prompt": "纸船", "map_index": 7}, "[7] clip.mp4"),
        ({"prompt": 5, "map_index": "7"}, "clip.mp4"),
    ],
)
def test_a_clip_is_named_by_its_own_row_and_prompt_if_its_task_returned_them(facts, label):
    assert _labels(_clips_of({"output_path": "/a/clip.mp4", **facts})) == [label]


@pytest.fixture
def drawn(mocker) -> list[str]:
    """What is written onto sheets."""
    written: list[str] = []
    write = Canvas.write

    def keep(self: Canvas, text: str, *rest: object) -> None:
        written.append(text)
        write(self, text, *rest)

    mocker.patch.object(Canvas, "write", keep)
    return written


def after(states: dict[str, str], clips, out, **changes):
    """Draw a sheet in a run in which the task "generate", mapped, ended so."""
    ti = SimpleNamespace(**TASK, get_task_states=lambda **_: {"manual__1": states})
    with DAG("campaign"):
        sheet = MinimaxContactSheetOperator(task_id="draw", clips=clips, output_path=str(out), **changes)
        sheet.set_upstream(EmptyOperator(task_id="generate"))
    return sheet.execute({"ti": ti})


def test_a_row_that_failed_has_its_place_on_the_sheet_and_the_others_keep_their_own_prompts(clip, out, drawn, log_of):
    log = log_of(MinimaxContactSheetOperator)
    clips = [{"output_path": clip, "prompt": f"Prompt {row}", "map_index": row} for row in (1, 10)]
    states = {f"generate_{row}": "success" for row in range(12)} | {"generate_0": "failed", "generate_11": "failed"}
    facts = after(states | {"generate_2": "upstream_failed"}, clips, out)
    assert (facts["clips"], facts["unreadable"]) == (2, [])
    assert facts["failed"] == ["generate[0]", "generate[2]", "generate[11]"]
    names = ["1  generate[0]", "2  [1] Prompt 1", "3  generate[2]", "4  [10] Prompt 10", "5  generate[11]"]
    assert [text for text in drawn if text in names] == names
    assert drawn.count("no clip") == 3
    assert "No clip of generate[0]: the task failed" in log.said()


def test_a_task_that_is_not_mapped_is_named_without_an_index(clip, out):
    assert after({"generate": "failed"}, clip, out)["failed"] == ["generate"]


def test_a_sheet_without_any_clip_fails_if_what_was_to_make_them_failed(out):
    with pytest.raises(MinimaxRequestError, match=r"clips: there are none, because these tasks failed: generate\[0\]"):
        after({"generate_0": "failed", "generate_1": "skipped"}, iter([]), out)


def test_a_sheet_without_any_clip_is_skipped_if_what_was_to_make_them_was_skipped(out):
    with pytest.raises(AirflowSkipException):
        after({"generate_0": "skipped"}, iter([]), out)


def test_a_full_sheet_leaves_no_room_for_failures_and_names_them_all_the_same(clip, out, mocker):
    mocker.patch("airflow_provider_minimax.media.preview.MOST_CLIPS", 2)
    facts = after({"generate_0": "failed"}, [clip, clip], out)
    assert (facts["clips"], facts["failed"]) == (2, ["generate[0]"])


def test_if_airflow_cannot_say_what_failed_the_sheet_is_drawn_without(clip, out, log_of):
    log = log_of(MinimaxContactSheetOperator)

    def away(**_):
        raise RuntimeError("the API server is away")

    with DAG("campaign"):
        sheet = MinimaxContactSheetOperator(task_id="draw", clips=clip, output_path=str(out))
        sheet.set_upstream(EmptyOperator(task_id="generate"))
    assert sheet.execute({"ti": SimpleNamespace(**TASK, get_task_states=away)})["failed"] == []
    assert "It is not known which tasks upstream failed. RuntimeError: the API server is away" in log.said()


def test_importing_the_operator_is_cheap():
    program = (
        "import sys\n"
        "import airflow.sdk.bases.operator\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_minimax.operators.contact_sheet\n"
        "heavy = ('av', 'PIL', 'httpx', 'pydantic', *(f'airflow_provider_minimax.{room}' for room in"
        " ('media', 'api', 'receipts', 'hooks')))\n"
        "print([name for name in set(sys.modules) - before if f'{name}.'.startswith(tuple(f'{h}.' for h in heavy))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize(
    ("names", "state"),
    [
        (("1", "skipped", "2"), "success"),
        (("1", "failed", "2"), "success"),
        (("skipped",), "skipped"),
        ((), "skipped"),
        (("failed",), "failed"),
    ],
)
def test_a_mapped_tasks_clips_are_drawn_in_a_dag(names, state, film, tmp_path):
    clips = [str(films.saved(film, tmp_path / f"{name}.mp4")) for name in names]
    run = load_dags("sheets")["sheet"].test(run_conf={"clips": clips, "folder": str(tmp_path)})
    assert {ti.task_id: str(ti.state) for ti in run.get_task_instances()}["draw"] == state
    sheets = list(tmp_path.glob("sheets/*.jpg"))
    assert len(sheets) == (state == "success")
