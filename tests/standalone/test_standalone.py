"""What only real Airflow shows: scheduler, workers, triggerer and API server as processes of their own."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from airflow.triggers.base import BaseTrigger

from tests.conftest import PLATFORMS
from tests.standalone.airflow_up import Airflow, Run, free_ports, until, up

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("standalone")]
TASKS = ("submit", "wait", "download")


@pytest.fixture
def airflow(running: Airflow) -> Airflow:
    """Airflow with an emulator that sold nothing yet and takes 8 s for a clip."""
    running.emulator.reset()
    running.emulator.configure(seconds=8)
    return running


@pytest.fixture
def waiting(airflow: Airflow) -> Run:
    """A run whose sensor is in the triggerer, for a clip that is made when the test says so."""
    airflow.emulator.configure(lifecycle="manual")
    run = airflow.trigger("clip_minimax")
    until("the sensor is deferred and looked at", lambda: "wait" in run.tasks and run.tasks["wait"]["triggerer_job"])
    return run


def test_every_platform_delivers_a_clip_without_a_secret_left_behind(airflow):
    """Six DAGs at once: each waits in the triggerer, buys once, and no key or signature is stored anywhere."""
    runs = {platform: airflow.trigger(f"clip_{platform}") for platform in PLATFORMS}
    until("the runs are over", lambda: all(run.is_over for run in runs.values()))

    assert {name: run.state for name, run in runs.items()} == dict.fromkeys(PLATFORMS, "success")
    assert [name for name, run in runs.items() if "Pausing task as DEFERRED" not in run.log("wait")] == []
    assert sorted(purchase["platform"] for purchase in airflow.emulator.purchases) == sorted(PLATFORMS)
    bought = {purchase["platform"]: purchase["task_id"] for purchase in airflow.emulator.purchases}
    written = {}
    for name, run in runs.items():
        xcoms = {task: run.xcoms(task) for task in TASKS}
        assert xcoms["submit"]["task_id"] == xcoms["wait"]["task_id"] == bought[name]
        clip = Path(xcoms["download"]["return_value"]["output_path"])
        assert clip == run.folder / f"clip_{name}.mp4"
        assert clip.read_bytes()[4:8] == b"ftyp"
        logs = {f"log of {name} {task}": run.log(task).encode() for task in TASKS}
        assert all(bought[name].encode() in log for log in logs.values())
        written |= logs | {f"XComs of {name}": str(xcoms).encode()}
    written |= {str(path): path.read_bytes() for path in airflow.folder.rglob("*") if path.is_file()}
    for secret in (b"Signature=", airflow.emulator.api_key().encode()):
        assert [where for where, text in written.items() if secret in text] == []


@pytest.mark.skipif(not hasattr(BaseTrigger, "on_kill"), reason="Airflow notifies triggers of a kill since 3.3")
def test_a_deferred_task_that_is_marked_failed_says_that_its_clip_goes_on(airflow, waiting):
    waiting.mark_failed("wait")

    until("the log says so", lambda: "No longer watching MiniMax task" in waiting.log("wait"))
    assert waiting.tasks["wait"]["state"] == "failed"
    assert len(airflow.emulator.purchases) == 1


def test_a_wait_survives_the_death_of_the_triggerer(airflow, waiting):
    """The clip gets ready while nobody polls; the next triggerer finds it."""
    airflow.kill("triggerer")
    (job,) = airflow.emulator.jobs
    airflow.emulator.set_job(job["task_id"], "success")
    airflow.start("triggerer")

    until("the run is over", lambda: waiting.is_over)
    assert waiting.state == "success"
    assert len(airflow.emulator.purchases) == 1


def test_a_port_that_is_taken_is_named_at_once(tmp_path):
    port = free_ports(5)
    with socket.create_server(("127.0.0.1", port + 4)):
        process = up(tmp_path, port, port + 4, subprocess.PIPE)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.decode().startswith(f"Port {port + 4} cannot be had")
    assert "EMULATOR_PORT=" in said.decode()


def test_ctrl_c_leaves_no_process_behind(airflow):
    """The last one, because it ends what the others use."""
    assert airflow.processes
    assert airflow.interrupt() == 0
    assert airflow.processes == []
