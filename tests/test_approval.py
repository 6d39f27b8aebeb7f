"""The example that asks a person: whole runs on real Airflow, answered through Airflow's own REST API."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import airflow.sdk.exceptions
import pytest

from tests.conftest import EXAMPLE_DAGS, HAS_APPROVALS, load_dags, load_file

NAME = "minimax_approval"
TIMEOUT = 60

# Airflow's API takes five seconds to import.
pytestmark = pytest.mark.xdist_group("approval")
asks = pytest.mark.skipif(
    not hasattr(airflow.sdk.exceptions, "TaskAwaitingInput"), reason="before Airflow 3.3 dag.test() cannot ask anybody"
)


@pytest.mark.skipif(HAS_APPROVALS, reason="this Airflow has approvals")
def test_an_airflow_without_approvals_says_so():
    with pytest.raises(Exception, match=r"needs Airflow 3\.1"):
        load_file(EXAMPLE_DAGS / f"{NAME}.py")


class Approver:
    """A person at the REST API, who reads what is asked and answers it."""

    def __init__(self) -> None:
        from airflow.api_fastapi.app import create_app
        from fastapi.testclient import TestClient

        # As over a socket, an error of the server's is an answer.
        self._api = TestClient(create_app(apps="core"), base_url="http://127.0.0.1", raise_server_exceptions=False)
        self._api.headers["Authorization"] = f"Bearer {self._ask('GET', '/auth/token')['access_token']}"

    def answer(self, option: str) -> str:
        """
        Answer the one question that is open, when there is one, and return what it showed.

        Airflow forgets to resume a task that is answered before it waits: an answer in the milliseconds between.
        """
        deadline = time.monotonic() + TIMEOUT
        while not (asked := [each for each in self._open() if each["task_instance"]["state"] != "running"]):
            assert time.monotonic() < deadline, "nobody asked"
            time.sleep(0.2)
        (question,) = asked
        run = question["task_instance"]["dag_run_id"]
        path = f"/api/v2/dags/{NAME}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
        self._ask("PATCH", path, json={"chosen_options": [option], "params_input": {}})
        return question["body"]

    def end_the_run(self) -> None:
        """Fail the run, which would wait for an answer for ever."""
        runs = self._ask("GET", f"/api/v2/dags/{NAME}/dagRuns", params={"state": "running"})["dag_runs"]
        for run in runs:
            self._ask("PATCH", f"/api/v2/dags/{NAME}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})

    def _open(self) -> list[dict[str, Any]]:
        path = f"/api/v2/dags/{NAME}/dagRuns/~/hitlDetails"
        return self._ask("GET", path, params={"response_received": False})["hitl_details"]

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        """Ask the server; again, as long as it finds its SQLite database locked, which is an error of its own."""
        deadline = time.monotonic() + TIMEOUT
        while (answer := self._api.request(method, path, **more)).is_server_error and time.monotonic() < deadline:
            time.sleep(0.5)
        return answer.raise_for_status().json()


@pytest.fixture
def approver(airflow_db, monkeypatch) -> Approver:
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    return Approver()


@pytest.fixture
def decide(approver, connect, minimax_emulator) -> Iterator[Any]:
    """Run the example into a folder, with an answer; return the states of its tasks, and what was shown."""
    connect()
    minimax_emulator.configure(polls=1)
    with ThreadPoolExecutor(1) as person:

        def answer_or_time_out(option: str) -> str:
            try:
                return approver.answer(option)
            except Exception:
                approver.end_the_run()
                raise

        def run(folder: str, option: str, prompts: list[str] | None = None) -> tuple[dict[str, str], str]:
            answer = person.submit(answer_or_time_out, option)
            dag = load_dags(NAME)[NAME]
            generate = dag.get_task("generate")
            # The emulator is faster than the platforms.
            generate.partial_kwargs["poll_interval"] = 0.1
            if prompts is not None:
                generate.expand_input.value["prompt"][:] = prompts
            done = dag.test(run_conf={"folder": folder})
            if answer.done():
                answer.result()
            assert str(done.state) == "success"
            states = {ti.task_id: str(ti.state) for ti in done.get_task_instances() if ti.map_index < 0}
            return states, answer.result(TIMEOUT)

        yield run


@asks
def test_what_a_person_turns_down_is_skipped_and_buys_nothing_more(decide, minimax_emulator, tmp_path):
    states, shown = decide(str(tmp_path), "Reject")
    assert (states["approve"], states["publish"]) == ("success", "skipped")
    assert not (tmp_path / "published").exists()
    drafts = sorted((tmp_path / "drafts").glob("*.mp4"))
    assert len(drafts) == len(minimax_emulator.purchases) == 2
    assert all(f"`{draft}`" in shown for draft in drafts)


@asks
def test_what_a_person_approves_is_published_and_was_seen_in_pictures(decide, minimax_emulator, s3_bucket):
    """On object storage the body has a link to each clip and to the sheet, and a picture of each clip."""
    states, shown = decide(s3_bucket.url("films"), "Approve")
    assert set(states.values()) == {"success"}
    stored = s3_bucket.keys()
    drafts = [key for key in stored if re.fullmatch(r"films/drafts/.*\.mp4", key)]
    published = [key for key in stored if key.startswith("films/published/")]
    assert [Path(key).name for key in published] == [Path(key).name for key in drafts]
    assert len(published) == len(minimax_emulator.purchases) == 2

    links = re.findall(r"\]\((http\S+)\)", shown)
    linked = [unquote(urlsplit(link).path).removeprefix(f"/{s3_bucket.name}/") for link in links]
    assert set(drafts) < set(linked) < set(stored)
    assert len([key for key in linked if key.endswith(".jpg")]) == shown.count("![") + 1 == 3


@asks
@pytest.mark.parametrize("refused", [0, 1])
def test_one_refused_prompt_keeps_nobody_from_the_others_and_no_clip_gets_its_prompt(
    refused, decide, minimax_emulator, tmp_path
):
    prompts = ["Fog lies over the hills.", "The hills glow."]
    prompts[refused] = "What is forbidden."
    states, shown = decide(str(tmp_path), "Approve", prompts)
    assert set(states.values()) == {"success"}
    (draft,) = (tmp_path / "drafts").glob("*.mp4")
    assert [path.name for path in (tmp_path / "published").iterdir()] == [draft.name]
    (row,) = [line for line in shown.splitlines() if str(draft) in line]
    assert prompts[1 - refused] in row
    assert f"no clip: `generate[{refused}]` failed" in shown
    assert "forbidden" not in shown
    assert len(minimax_emulator.purchases) == 1
