"""Whole DAGs on real Airflow against the emulator, over a real socket."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_minimax.api.platforms import PLATFORMS as REGISTRY
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from tests.conftest import ASK_A_PERSON, DAGS, EXAMPLE_DAGS, PLATFORMS, load_dags

pytestmark = pytest.mark.usefixtures("airflow_db")
DOCS_EXAMPLES = EXAMPLE_DAGS.parent / "docs" / "examples"
# Those that ask a person are in tests/test_approval.py and tests/test_product_clips.py.
EXAMPLES = sorted({path.stem for path in EXAMPLE_DAGS.glob("*.py")} - set(ASK_A_PERSON))


def run(dag_id: str, folder: Path, **params: Any) -> Any:
    dags = load_dags("pipelines") | {name: load_dags(name)[name] for name in EXAMPLES}
    return dags[dag_id].test(run_conf={"folder": str(folder), **params})


def states(dag_run: Any) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def result(dag_run: Any, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
    ti = next(ti for ti in dag_run.get_task_instances() if (ti.task_id, ti.map_index) == (task_id, map_index))
    value = ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)
    # Airflow's own reading from outside a task takes texts of digits for numbers.
    return str(value) if isinstance(value, int) else value


@pytest.mark.parametrize("platform", PLATFORMS)
def test_submit_wait_download_ends_in_a_clip_on_every_platform(platform, connect, minimax_emulator, tmp_path):
    connect(platform)
    done = run("three_steps_deferrable", tmp_path)
    assert states(done) == {"submit": "success", "wait": "success", "download": "success"}
    clip = tmp_path / "clip.mp4"
    assert clip.read_bytes()[4:8] == b"ftyp"
    facts = result(done, "download")
    assert (facts["output_path"], facts["size"]) == (str(clip), clip.stat().st_size)
    assert facts["task_id"] == result(done, "submit") == result(done, "submit", "task_id")
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_the_sensor_ends_the_same_without_deferral(mode, connect, tmp_path):
    connect()
    done = run(f"three_steps_{mode}", tmp_path)
    assert states(done) == {"submit": "success", "wait": "success", "download": "success"}
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize("dag_id", ["one_step_deferrable", "one_step_waiting"])
def test_one_task_buys_waits_and_fetches(dag_id, connect, minimax_emulator, tmp_path):
    connect()
    done = run(dag_id, tmp_path)
    assert states(done) == {"generate": "success"}
    facts = result(done, "generate")
    assert Path(facts["output_path"]).read_bytes()[4:8] == b"ftyp"
    assert facts["state"] == "succeeded"
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("dag_id", ["one_step_deferrable", "one_step_waiting", "re_rendered", "better_prompt"])
def test_a_failed_task_is_not_bought_again_and_its_id_stays(dag_id, connect, minimax_emulator, tmp_path):
    connect()
    minimax_emulator.configure(outcome="failed")
    done = run(dag_id, tmp_path)
    assert states(done) == {"generate": "failed"}
    assert len(minimax_emulator.purchases) == 1
    assert result(done, "generate", "task_id") == minimax_emulator.jobs[0]["task_id"]


def test_mapped_tasks_each_get_their_clip(connect, minimax_emulator, tmp_path):
    connect()
    done = run("mapped", tmp_path)
    assert [result(done, "generate", map_index=n)["output_path"] for n in (0, 1)] == [
        str(tmp_path / "0.mp4"),
        str(tmp_path / "1.mp4"),
    ]
    assert sorted(bought["body"]["prompt"] for bought in minimax_emulator.purchases) == ["a cat", "a dog"]


def test_values_of_other_tasks_and_templates_reach_the_request(connect, minimax_emulator, tmp_path):
    connect()
    run("values_of_others", tmp_path)
    bought = minimax_emulator.purchases[0]["body"]
    assert (bought["prompt"], bought["duration"], bought["prompt_optimizer"]) == ("a horse", 10, False)


@pytest.mark.parametrize("dag_id", ["one_step_deferrable", "one_step_waiting", "re_rendered", "better_prompt"])
def test_a_submission_whose_answer_was_lost_is_not_tried_again(dag_id, connect, minimax_emulator, tmp_path):
    connect()
    minimax_emulator.fault("lost_answer", operation="submit")
    done = run(dag_id, tmp_path)
    assert states(done) == {"generate": "failed"}
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("dag_id", ["one_step_deferrable", "one_step_waiting"])
def test_a_download_that_fails_is_not_bought_again(dag_id, connect, minimax_emulator, tmp_path):
    connect()
    minimax_emulator.fault("truncated", operation="download", times=-1)
    done = run(dag_id, tmp_path)
    assert states(done) == {"generate": "failed"}
    assert len(minimax_emulator.purchases) == 1
    assert list(tmp_path.glob("*.mp4")) == []


def test_a_clip_can_be_fetched_by_its_file_id(connect, minimax_emulator, tmp_path):
    hook = MinimaxHook(connect())
    minimax_emulator.configure(polls=1)
    request = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"})
    file_id = hook.get_task(hook.submit(request)).file_id
    done = run("by_file_id", tmp_path, file_id=file_id)
    assert states(done) == {"download": "success"}
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_runs(name, connect, minimax_emulator, tmp_path, monkeypatch):
    # The examples' schedule is for real clips: the first poll may be after a quarter of a minute.
    monkeypatch.setattr("airflow_provider_minimax.polling.schedule.LearnedSchedule.delay", lambda *_: 0.05)
    connect()
    minimax_emulator.configure(polls=1)
    done = run(name, tmp_path)
    assert str(done.state) == "success"
    clips = list(tmp_path.glob("*.mp4"))
    assert all(clip.read_bytes()[4:8] == b"ftyp" for clip in clips)
    bought = [one for one in minimax_emulator.purchases if one["task_type"] != "h3_context_ir"]
    assert len(clips) == len(bought) > 0


@pytest.fixture
def docs_example(monkeypatch, dags_folder):
    """Put an example of the docs into Airflow's DAG folder, and return its DAG."""
    # The examples' schedule is for real clips: the first poll may be after a quarter of a minute.
    monkeypatch.setattr("airflow_provider_minimax.polling.schedule.LearnedSchedule.delay", lambda *_: 0.05)

    def load(name: str) -> Any:
        shutil.copy(DOCS_EXAMPLES / f"{name}.py", dags_folder)
        (dag,) = load_dags(name).values()
        return dag

    return load


def mapped_states(dag_run: Any, task_id: str) -> list[str]:
    found = sorted((ti.map_index, str(ti.state)) for ti in dag_run.get_task_instances() if ti.task_id == task_id)
    return [state for _, state in found]


def test_the_clip_of_each_row_is_found_by_it_though_another_row_was_refused(
    docs_example, connect, minimax_emulator, tmp_path
):
    connect()
    minimax_emulator.configure(polls=1)
    minimax_emulator.fault("base_resp", operation="submit", code=1026, containing="Dawn")
    done = docs_example("mapped").test(run_conf={"folder": str(tmp_path)})
    assert mapped_states(done, "generate") == ["failed", "success", "success"]
    published = result(done, "publish")
    assert set(published) == {"N-2", "D-3"}
    prompts = {
        product: json.loads(Path(f"{clip}.receipt.json").read_text())["request"]["prompt"]
        for product, clip in published.items()
    }
    assert prompts == {"N-2": "Noon over the hills.", "D-3": "Dusk over the hills."}


def test_a_row_that_was_refused_stops_its_own_steps_alone(docs_example, connect, minimax_emulator, tmp_path):
    connect()
    minimax_emulator.configure(polls=1)
    minimax_emulator.fault("base_resp", operation="submit", code=1026, containing="Dawn")
    done = docs_example("mapped_steps").test(run_conf={"folder": str(tmp_path)})
    assert mapped_states(done, "clip.submit") == ["failed", "success", "success"]
    assert mapped_states(done, "clip.download") == ["upstream_failed", "success", "success"]
    assert len(list(tmp_path.glob("*.mp4"))) == len(minimax_emulator.purchases) == 2


def test_a_better_prompt_is_what_the_clip_and_its_2k_are_made_of(connect, minimax_emulator, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_minimax.polling.schedule.LearnedSchedule.delay", lambda *_: 0.05)
    connect()
    minimax_emulator.configure(polls=1)
    done = run("minimax_h3_2k", tmp_path)
    prompt = result(done, "rewrite")
    assert [one["task_type"] for one in minimax_emulator.purchases] == ["h3_context_ir", "generation", "regeneration"]
    draft, final = (one["body"]["content"] for one in minimax_emulator.purchases[1:])
    assert draft[0] == final[0] == {"type": "text", "text": prompt}
    assert "overall_soundscape" in prompt
    assert final[1]["role"] == "base_video"


def test_the_content_of_these_dags_is_documented_on_every_platform():
    from importlib import import_module

    content = import_module("tests.dag_files.pipelines").CONTENT
    assert all(platform.problems(VideoRequest.of(content)) == [] for platform in REGISTRY.values())


def test_all_dag_files_parse_without_an_error():
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.0 and 3.1
        from airflow.models.dagbag import DagBag

    assert DagBag(dag_folder=str(DAGS)).import_errors == {}
