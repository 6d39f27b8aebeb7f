"""What ``output_path`` may be, in every place that takes one: the same forms are understood, and the same refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.cli.command import clip_and_receipt
from airflow_provider_minimax.cli.storage import find_receipts
from airflow_provider_minimax.delivery.destination import destination_of
from airflow_provider_minimax.exceptions import MinimaxError, MinimaxRequestError
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.contact_sheet import MinimaxContactSheetOperator
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.paths import as_text, local_path, parents_in, read_path, storage_of
from airflow_provider_minimax.purchases.stores import SUFFIX
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from tests.fakes import FakeTaskInstance

MODEL = {"model": "MiniMax-Hailuo-2.3", "prompt": "a boat"}
FORMER = {"wait_for_completion": True, "deferrable": False, "poll_interval": 0.01}
Put = Callable[[Any], Any]


class Fspath:
    """Any other class that stands for a path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return self._path


def context(**values: Any) -> dict[str, Any]:
    ti = FakeTaskInstance()
    return {"ti": ti, "run_id": ti.run_id, **values}


def rendered(operator: Any, **values: Any) -> Any:
    operator.render_template_fields(context(**values))
    return operator


def unmapped(given: Any, values: dict[str, Any], *, is_data: bool) -> Any:
    """Return the operator of a mapped task as Airflow makes and renders it; ``is_data``: the path is an XCom."""
    operator = MinimaxVideoGenerationOperator(
        task_id="generate", output_path=given, _airflow_from_mapped=True, **MODEL, **FORMER
    )
    operator._do_render_template_fields(
        parent=operator,
        template_fields=operator.template_fields,
        context=context(**values),
        jinja_env=operator.get_template_env(),
        seen_oids={id(given)} if is_data else set(),
    )
    return operator


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryFileSystem:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    storage = MemoryFileSystem()
    storage.store.clear()
    attach("memory", fs=storage)
    return storage


@pytest.fixture
def put(request: pytest.FixtureRequest, bought: str, tmp_path: Path) -> Put:
    """Each place in turn that delivers to a path."""

    def run(operator: Any) -> Any:
        return rendered(operator).execute(context())

    def sheet(path: Any) -> Any:
        return run(MinimaxContactSheetOperator(task_id="sheet", clips=str(tmp_path / "no.mp4"), output_path=path))

    hook = MinimaxHook("minimax_default")
    places: dict[str, Put] = {
        "generation": lambda path: run(
            MinimaxVideoGenerationOperator(task_id="generate", output_path=path, **MODEL, **FORMER)
        ),
        "mapped generation": lambda path: unmapped(path, {}, is_data=True).execute(context()),
        "download": lambda path: run(
            MinimaxVideoDownloadOperator(task_id="download", minimax_task_id=bought, output_path=path)
        ),
        "sensor": lambda path: run(
            MinimaxTaskSensor(task_id="wait", minimax_task_id=bought, output_path=path, deferrable=False)
        ),
        "hook.generate": lambda path: hook.generate(VideoRequest(**MODEL), output_path=path, poll_interval=0.01),
        "hook.download": lambda path: hook.download(hook.get_task(bought), path),
        "sheet": sheet,
    }
    return places[request.param]


every_place = pytest.mark.parametrize(
    "put",
    ["generation", "mapped generation", "download", "sensor", "hook.generate", "hook.download", "sheet"],
    indirect=True,
)
DELIVERS = ["generation", "mapped generation", "download", "sensor", "hook.generate", "hook.download"]

# -- what is understood ------------------------------------------------------------------------------------------------

AWKWARD = [
    "take#1.mp4",
    "take?1.mp4",
    "50%.mp4",
    "a%20b%23.mp4",
    "a+b c.mp4",
    "caf\u00e9.mp4",
    "cafe\u0301.mp4",
    "\u8239 \U0001f600.mp4",
    "[1](2){3}.mp4",
    "a.mp4.",
    "...mp4",
    "a:b@c.mp4",
    "a.mp4#",
    "a?#b.mp4?",
    "-rf.mp4",
    ";$HOME`id`'.mp4",
    "x" * 196 + ".mp4",
]


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("form", ["{folder}/{name}", "file://{folder}/{name}"])
def test_a_local_name_is_kept_letter_by_letter_with_its_receipt_next_to_it(name, form, deliver, tmp_path: Path):
    folder = tmp_path / "clips"
    path = form.format(folder=folder, name=name)
    facts = deliver(path)
    assert facts["output_path"] == f"{folder}/{name}"
    assert sorted(os.listdir(folder)) == sorted([name, name + SUFFIX])
    clip, home = clip_and_receipt(path)
    assert (clip, home.read().output_path) == (f"{folder}/{name}", f"{folder}/{name}")
    assert deliver(path)["sha256"] == facts["sha256"]
    assert sorted(os.listdir(folder)) == sorted([name, name + SUFFIX])


@pytest.mark.parametrize("name", [name for name in AWKWARD if name[-1] not in "#?" and "?#" not in name])
def test_so_is_the_key_of_an_object(name, deliver, memory: MemoryFileSystem):
    url = f"memory://bucket/clips/{name}"
    assert deliver(url)["output_path"] == url
    assert sorted(memory.find("/bucket")) == sorted([f"/bucket/clips/{name}", f"/bucket/clips/{name}{SUFFIX}"])
    clip, home = clip_and_receipt(url)
    assert (clip, home.read().output_path) == (url, url)


@pytest.mark.parametrize("name", ["take#1.mp4", "a?b.mp4", "50%20.mp4", "a b+c\u00e9.mp4"])
def test_so_is_one_in_s3(name, deliver, s3_bucket, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    deliver(s3_bucket.url(name))
    assert sorted(s3_bucket.keys()) == sorted([name, name + SUFFIX])
    assert clip_and_receipt(s3_bucket.url(name))[1].read() is not None


@pytest.mark.parametrize("put", DELIVERS, indirect=True)
@pytest.mark.parametrize("form", [Path, lambda path: ObjectStoragePath(f"file://{path}")])
def test_path_objects_are_taken_everywhere(put: Put, form, account, tmp_path: Path):
    clip = tmp_path / "clips" / "take#1 50%.mp4"
    assert put(form(str(clip)))["output_path"] == str(clip)
    assert clip.stat().st_size > 0


@pytest.mark.parametrize("put", DELIVERS, indirect=True)
def test_so_is_a_path_object_in_a_storage(put: Put, account, memory: MemoryFileSystem):
    clip = ObjectStoragePath("memory://bucket") / "take#1.mp4"
    assert put(clip)["output_path"] == str(clip)
    assert memory.exists("/bucket/take#1.mp4")


def test_a_connection_in_a_path_object_is_kept():
    assert as_text(ObjectStoragePath("s3://b/a#1.mp4", conn_id="my_aws")) == "s3://my_aws@b/a#1.mp4"


def test_a_sheet_takes_path_objects_for_itself_and_its_clips(deliver, tmp_path: Path):
    deliver(tmp_path / "clip.mp4")
    clips = [tmp_path / "clip.mp4", ObjectStoragePath(f"file://{tmp_path}/clip.mp4"), Fspath(f"{tmp_path}/clip.mp4")]
    sheet = MinimaxContactSheetOperator(task_id="sheet", clips=clips, output_path=tmp_path / "{{ run_id }}#.jpg")
    operator = rendered(sheet)
    operator._failures = lambda *args, **options: []
    context_ = context()
    facts = operator.execute(context_)
    assert facts == {"output_path": f"{tmp_path}/run#.jpg", "clips": 3, "unreadable": [], "failed": []}


def test_what_goes_into_a_clip_may_be_a_path_object(account, tmp_path: Path):
    picture = Path(__file__).parent.parent.parent / "docs" / "images" / "contact-sheet.jpg"
    (tmp_path / "run.jpg").write_bytes(picture.read_bytes())
    operator = MinimaxVideoGenerationOperator(
        task_id="generate", first_frame_image=tmp_path / "{{ run_id }}.jpg", durable=False, **MODEL
    )
    assert rendered(operator).execute(context())
    request = VideoRequest(model="MiniMax-H3", prompt="a boat", reference_images=[Fspath("a.jpg"), Path("b.jpg")])
    assert request.reference_images == ("a.jpg", "b.jpg")
    assert VideoRequest(**MODEL, subject_reference=Path("c.jpg")).subject_reference == "c.jpg"


def test_a_relative_path_begins_where_the_task_runs_and_so_does_the_commands(deliver, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert deliver("./clips/a.mp4")["output_path"] == f"{tmp_path}/clips/a.mp4"
    for name in ("clips/a.mp4", "./clips/a.mp4", f"clips/a.mp4{SUFFIX}", f"file:{tmp_path}/clips/a.mp4"):
        assert clip_and_receipt(name)[1].read().output_path == f"{tmp_path}/clips/a.mp4"


def test_blanks_around_a_path_and_doubled_slashes_are_no_part_of_it(tmp_path: Path):
    assert destination_of(f" {tmp_path}//a b.mp4\n", None).url == f"{tmp_path}/a b.mp4"
    assert destination_of(f"/{tmp_path}/a.mp4", None).url == f"{tmp_path}/a.mp4"


@pytest.mark.parametrize("name", ["take#1", "50% ?1", "a%20b[1]"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_receipts_of_a_folder_are_listed_whatever_its_name(name, slash, deliver, tmp_path: Path, memory):
    for folder in (f"{tmp_path}/{name}", f"memory://bucket/{name}"):
        deliver(f"{folder}/clip.mp4")
        assert find_receipts(f"{folder}{slash}").clips == (f"{folder}/clip.mp4",)


def test_a_relative_path_from_nowhere_is_refused(tmp_path: Path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(MinimaxRequestError, match="is relative to a folder that no longer exists"):
        destination_of("clips/a.mp4", None)


def test_a_number_that_airflow_made_of_a_name_is_that_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert destination_of(20261121, None).url == f"{tmp_path}/20261121"


def test_a_file_url_means_what_it_means_to_airflow(tmp_path: Path):
    for name in ("a%20b.mp4", "a?b#c.mp4", "\u8239.mp4"):
        url = f"file://{tmp_path}/{name}"
        assert str(local_path(read_path(url))) == ObjectStoragePath(url).path
        assert storage_of(url)[1] == ObjectStoragePath(url).path


# -- what is refused ---------------------------------------------------------------------------------------------------

REFUSED = {
    "file://localhost/data/x.jpg": "without a host",
    "file://server/data/x.jpg": "without a host",
    "file:////server/x.jpg": "without a host",
    "file://x.jpg": "without a host",
    "file:clips/x.jpg": "is neither a URL",
    "C:\\clips\\x.jpg": "is neither a URL",
    "c:/clips/x.jpg": "is neither a URL",
    "s3:bucket/x.jpg": "is neither a URL",
    "s3:/bucket/x.jpg": "is neither a URL",
    "\\\\server\\clips\\x.jpg": "has a backslash",
    "clips\\x.jpg": "has a backslash",
    "~/x.jpg": "~ depends on the worker's user",
    "~minimax/x.jpg": "~ depends on the worker's user",
    "/data/{{ ds }}.jpg": "is a template that was not rendered",
    "memory://b/{% if x %}.jpg": "is a template that was not rendered",
    "/data/" + "d" * 256 + "/x.jpg": "no part of it may be longer than 255 bytes",
    "/" + "/".join(["d" * 200] * 25) + "/x.jpg": "must not be longer than 3800 bytes",
    "s3://my_aws_conn@bucket": "is a bucket; name a file in it",
    "s4://bucket/x.jpg": "this Airflow has no storage for s4://",
    "memory://bucket/a\tb.jpg": "it drops line breaks, tabs",
}


@pytest.mark.parametrize(("path", "rule"), REFUSED.items(), ids=range(len(REFUSED)))
@pytest.mark.parametrize("form", [str, Fspath])
def test_what_is_no_clear_path_is_refused(form, path, rule):
    with pytest.raises(MinimaxRequestError, match=rf"output_path=.*{rule}.*Nothing was bought"):
        destination_of(form(path), None)


@pytest.mark.parametrize("path", ["file://localhost/data/x.jpg", Fspath("~/x.jpg"), Fspath("/data/{{ ds }}.jpg")])
@every_place
def test_it_is_refused_everywhere_before_anything_is_bought(put: Put, path, minimax_emulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    operators = (MinimaxVideoGenerationOperator, MinimaxVideoDownloadOperator, MinimaxTaskSensor)
    for operator in (*operators, MinimaxContactSheetOperator):
        monkeypatch.setattr(operator, "render_template_fields", lambda *args: None)
    before = len(minimax_emulator.purchases)
    with pytest.raises(MinimaxRequestError, match=r"output_path=.*Nothing was bought"):
        put(path)
    assert len(minimax_emulator.purchases) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [5.5, {"output_path": "/data/x.mp4"}])
@pytest.mark.parametrize("put", DELIVERS, indirect=True)
def test_what_is_no_path_at_all_is_no_name_of_a_file_either(put: Put, value, minimax_emulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = len(minimax_emulator.purchases)
    with pytest.raises(MinimaxRequestError, match=r"output_path=.*Nothing was bought"):
        put(value)
    assert len(minimax_emulator.purchases) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [True, b"/data/x.mp4", ["/data/x.mp4"], "", " \n", None])
def test_nor_is_anything_else(value):
    with pytest.raises(MinimaxRequestError, match=r"output_path=.*must be a path or URL"):
        destination_of(value, None)


@pytest.mark.parametrize("name", [".", "..", "a/.", "a/.."])
@pytest.mark.parametrize("scheme", ["", "memory://bucket/"])
def test_a_folder_without_its_slash_is_no_name(name, scheme, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MinimaxRequestError, match="is a folder"):
        destination_of(f"{scheme}{name}", None)


@pytest.mark.parametrize("name", ["a.mp4.receipt.json", ".a.mp4.0123456789ab.part", ".a.mp4.01234567.new"])
def test_no_clip_gets_a_name_that_is_kept_for_what_belongs_to_clips(name, tmp_path: Path):
    with pytest.raises(MinimaxRequestError, match="such names are reserved for receipts"):
        destination_of(str(tmp_path / name), None)


@pytest.mark.parametrize(
    "url", ["memory://b/a.mp4#", "memory://b/a.mp4?", "memory://b/a?#b.mp4", "memory://b/a\nb.mp4"]
)
def test_a_key_that_airflow_would_read_as_another_is_refused(url):
    with pytest.raises(MinimaxRequestError, match="Airflow would read it as"):
        destination_of(url, None)


@pytest.mark.parametrize("path", ["~/a.mp4", "file://host/a.mp4", "C:\\a.mp4", "/data/{{ ds }}.mp4"])
def test_commands_refuse_the_same(path):
    with pytest.raises(MinimaxError, match="path="):
        clip_and_receipt(path)


@pytest.mark.parametrize("path", ["~/a.mp4", "file://host/a.mp4", "C:\\a.mp4", Path("~/a.mp4"), {"path": "x"}])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: MinimaxVideoGenerationOperator(task_id="t", output_path=path, **MODEL),
        lambda path: MinimaxVideoDownloadOperator(task_id="t", minimax_task_id="1", output_path=path),
        lambda path: MinimaxTaskSensor(task_id="t", minimax_task_id="1", output_path=path),
        lambda path: MinimaxContactSheetOperator(task_id="t", clips="/a.mp4", output_path=path),
    ],
)
def test_a_literal_is_refused_when_the_dag_is_parsed(make, path):
    with pytest.raises(MinimaxRequestError, match="output_path="):
        make(path)


# -- templates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        str,
        Path,
        Fspath,
        ObjectStoragePath,
        lambda path: ObjectStoragePath(f"file://{path}"),
        lambda path: f"file://{path}",
    ],
)
def test_a_template_is_rendered_in_whatever_it_is_written(form, account, tmp_path: Path):
    operator = MinimaxVideoGenerationOperator(
        task_id="generate", output_path=form(f"{tmp_path}/{{{{ run_id }}}}#1.mp4"), **MODEL, **FORMER
    )
    assert rendered(operator).execute(context())["output_path"] == f"{tmp_path}/run#1.mp4"


def test_a_path_object_is_rendered_in_a_mapped_task_too(tmp_path: Path):
    operator = unmapped(tmp_path / "{{ run_id }}.mp4", {}, is_data=False)
    assert operator.output_path == f"{tmp_path}/run.mp4"


@pytest.mark.parametrize("form", [str, Path, ObjectStoragePath])
def test_what_another_task_returned_is_never_rendered(form, account, tmp_path: Path):
    operator = unmapped(form(f"{tmp_path}/{{{{ run_id }}}}.mp4"), {}, is_data=True)
    with pytest.raises(MinimaxRequestError, match="is a template that was not rendered"):
        operator.execute(context())
    assert account.purchases == []


@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("kind", ["generation", "download", "sensor"])
def test_a_template_that_became_none_is_no_wish_for_no_clip(
    kind, is_native, bought, minimax_emulator, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = len(minimax_emulator.purchases)
    with DAG("paths", schedule=None, render_template_as_native_obj=is_native):
        operator = {
            "generation": lambda **path: MinimaxVideoGenerationOperator(task_id="t", **path, **MODEL, **FORMER),
            "download": lambda **path: MinimaxVideoDownloadOperator(task_id="t", minimax_task_id=bought, **path),
            "sensor": lambda **path: MinimaxTaskSensor(task_id="t", minimax_task_id=bought, deferrable=False, **path),
        }[kind](output_path="{{ name }}")
    with pytest.raises(MinimaxRequestError, match=r"output_path=.*(rendered to None|must be a path or URL)"):
        rendered(operator, name=None).execute(context())
    assert len(minimax_emulator.purchases) == before
    assert list(tmp_path.iterdir()) == []


# -- folders above -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value", "goes"),
    [
        ("clips/{{ name }}.mp4", "boat", True),
        ("clips/{{ name }}.mp4", "../../etc/boat", False),
        ("clips/{{ name }}/boat.mp4", "..", False),
        ("clips/.{{ name }}/boat.mp4", ".", False),
        ("../{{ name }}.mp4", "boat", True),
        ("../{{ name }}.mp4", "../boat", False),
        ("clips/{{ '..' if name else '' }}/boat.mp4", "x", False),
        ("{% if name %}..{% endif %}/boat.mp4", "x", True),
        ("{# ../../ #}clips/{{ name }}.mp4", "../boat", False),
        ("{{ name }}", "a..b/c...mp4", True),
        ("memory://bucket/{{ name }}.mp4", "../other/boat", False),
        ("memory://bucket/{{ name }}.mp4", "%2e%2e/boat", True),
    ],
)
@pytest.mark.parametrize("form", [str, Fspath])
def test_only_the_dag_itself_may_lead_to_a_folder_above(
    written, value, goes, form, account, tmp_path: Path, monkeypatch, memory
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    operator = MinimaxVideoGenerationOperator(task_id="generate", output_path=form(written), **MODEL, **FORMER)
    rendered(operator, name=value)
    if goes:
        assert operator.execute(context())["output_path"]
        return
    with pytest.raises(MinimaxRequestError, match=r"which only the DAG itself may write.*Nothing was bought"):
        operator.execute(context())
    assert account.purchases == []
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


@pytest.mark.parametrize("kind", ["generation", "download", "sensor", "sheet"])
def test_no_operator_lets_a_value_lead_there(kind, bought, tmp_path: Path):
    path = f"{tmp_path}/clips/{{{{ name }}}}.jpg"
    operator = {
        "generation": lambda: MinimaxVideoGenerationOperator(task_id="t", output_path=path, **MODEL, **FORMER),
        "download": lambda: MinimaxVideoDownloadOperator(task_id="t", minimax_task_id=bought, output_path=path),
        "sensor": lambda: MinimaxTaskSensor(task_id="t", minimax_task_id=bought, output_path=path, deferrable=False),
        "sheet": lambda: MinimaxContactSheetOperator(task_id="t", clips="/no.mp4", output_path=path),
    }[kind]()
    with pytest.raises(MinimaxRequestError, match="which only the DAG itself may write"):
        rendered(operator, name="../boat").execute(context())
    assert list(tmp_path.iterdir()) == []


def test_what_a_mapped_task_gets_from_another_leads_nowhere_above(account, tmp_path: Path):
    with pytest.raises(MinimaxRequestError, match="which only the DAG itself may write"):
        unmapped(f"{tmp_path}/../boat.mp4", {}, is_data=True).execute(context())
    assert unmapped(f"{tmp_path}/a/../boat.mp4", {}, is_data=False).execute(context())["output_path"]


def test_nor_does_the_result_of_another_task(account, tmp_path: Path):
    with DAG("paths", schedule=None):
        first = MinimaxVideoGenerationOperator(task_id="first", **MODEL)
        operator = MinimaxVideoGenerationOperator(task_id="second", output_path=first.output, **MODEL, **FORMER)
    operator.output_path.resolve = lambda context: f"{tmp_path}/a/../boat.mp4"
    with pytest.raises(MinimaxRequestError, match="which only the DAG itself may write"):
        rendered(operator).execute(context())


def test_code_that_calls_the_hook_is_trusted_like_the_dag(bought, tmp_path: Path):
    (tmp_path / "a").mkdir()
    hook = MinimaxHook("minimax_default")
    hook.download(hook.get_task(bought), f"{tmp_path}/a/../boat.mp4")
    assert (tmp_path / "boat.mp4").exists()


@pytest.mark.parametrize(
    ("text", "count"), [("../../a", 2), ("a..b/..c/...", 0), ("{{ '/../' }}/..", 1), ("{{ x }}../a", 0), ("/..", 1)]
)
def test_only_whole_segments_count(text, count):
    assert parents_in(text) == count


def test_results_hold_no_path_objects(deliver, tmp_path: Path):
    json.dumps(deliver(tmp_path / "clip.mp4"))
