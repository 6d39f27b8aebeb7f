"""What Airflow sees of the provider: its description, its form, its package."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

import airflow
import jsonschema
import pytest
from packaging.version import Version

from airflow_provider_minimax import __version__, exceptions
from airflow_provider_minimax.api.platforms import PLATFORMS
from airflow_provider_minimax.get_provider_info import get_provider_info
from airflow_provider_minimax.hooks.connection import Extra
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.h3 import MinimaxPromptRewriteOperator, MinimaxVideoRegenerationOperator
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

ROOT = Path(__file__).parent.parent
INFO = get_provider_info()
CONNECTION = INFO["connection-types"][0]


def schema(name: str) -> dict:
    return json.loads(files("airflow").joinpath(name).read_text("utf-8"))


def test_the_provider_info_matches_airflows_schema():
    validator = jsonschema.Draft7Validator(schema("provider_info.schema.json"))
    assert list(validator.iter_errors(INFO)) == []


@pytest.mark.skipif(Version(airflow.__version__) < Version("3.2"), reason="forms as data came with Airflow 3.2")
def test_the_connection_form_matches_airflows_schema():
    connection_types = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    assert list(jsonschema.Draft7Validator(connection_types).iter_errors(INFO["connection-types"])) == []


def test_the_package_is_named_as_it_is_installed():
    assert INFO["package-name"] == "airflow-provider-minimax"


def test_airflow_finds_the_provider_by_its_entry_point():
    found = [e for e in entry_points(group="apache_airflow_provider") if e.value.startswith("airflow_provider_minimax")]
    assert found[0].load()() == INFO


ERRORS = {
    name
    for name, value in vars(exceptions).items()
    if isinstance(value, type) and issubclass(value, exceptions.MinimaxError)
}


def test_every_error_is_exported_and_so_stands_in_the_reference():
    assert set(exceptions.__all__) == ERRORS
    reference = (ROOT / "docs" / "reference" / "exceptions.rst").read_text("utf-8")
    assert ".. automodule:: airflow_provider_minimax.exceptions\n   :members:\n" in reference


@pytest.mark.parametrize("name", sorted(ERRORS - {"MinimaxError"}))
def test_every_error_has_its_row_in_the_page_on_errors(name):
    assert f"``{name}``" in (ROOT / "docs" / "errors.rst").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_error_of_a_trigger_arrives_as_what_it_is(name):
    sent = getattr(exceptions, name)("it went wrong", platform="minimax")
    assert type(exceptions.error_from_event(sent.as_event())) is type(sent)


@pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "triggers"])
def test_every_listed_module_can_be_imported(kind):
    modules = [module for group in INFO[kind] for module in group["python-modules"]]
    assert [importlib.import_module(module).__name__ for module in modules] == modules != []


def test_the_hook_is_the_one_that_the_form_belongs_to():
    module, _, name = CONNECTION["hook-class-name"].rpartition(".")
    assert getattr(importlib.import_module(module), name) is MinimaxHook
    assert (CONNECTION["connection-type"], CONNECTION["hook-name"]) == (MinimaxHook.conn_type, MinimaxHook.hook_name)


def test_the_form_has_every_field_that_is_read_and_no_other():
    assert set(CONNECTION["conn-fields"]) == set(Extra.model_fields)


def test_the_form_offers_the_platforms_that_there_are():
    assert CONNECTION["conn-fields"]["platform"]["schema"]["enum"] == list(PLATFORMS)


def test_what_the_form_sends_when_nothing_is_filled_in_is_a_valid_connection(monkeypatch):
    extra = {name: field["schema"].get("default") for name, field in CONNECTION["conn-fields"].items()}
    connection = {"conn_type": "minimax", "host": "", "password": "k", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_FORM", json.dumps(connection))
    assert MinimaxHook("form").account()["platform"] == "minimax"


def test_all_classes_have_the_same_default_connection():
    with_literals = {"model": "MiniMax-Hailuo-2.3", "prompt": "p"}
    operators = [
        MinimaxVideoGenerationOperator(task_id="a", **with_literals),
        MinimaxVideoDownloadOperator(task_id="b", minimax_task_id="1", output_path="/tmp/x"),
        MinimaxTaskSensor(task_id="c", minimax_task_id="1"),
        MinimaxVideoRegenerationOperator(task_id="d", source_task_id="1"),
        MinimaxPromptRewriteOperator(task_id="e", prompt="p", duration=5, ratio="1:1"),
    ]
    assert {it.minimax_conn_id for it in operators} == {MinimaxHook.default_conn_name}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["providers", "list"], "airflow-provider-minimax"),
        (["providers", "hooks"], "airflow_provider_minimax.hooks.minimax.MinimaxHook"),
        (["providers", "widgets"], "minimax"),
        (["providers", "triggers"], "airflow_provider_minimax.triggers.video"),
    ],
)
def test_airflows_commands_show_the_provider(command, said):
    airflow_command = Path(sys.executable).with_name("airflow")
    shown = subprocess.run([airflow_command, *command, "--output", "json"], capture_output=True, text=True, check=True)
    assert said in shown.stdout


@pytest.mark.slow
def test_a_wheel_installed_elsewhere_is_seen_by_airflow(tmp_path):
    """Built from the sources, installed into an empty environment: nothing of this checkout is needed."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    uv = Path(sys.executable).with_name("uv")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    pins = [f"apache-airflow=={airflow.__version__}"]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, f"{wheel}[images]", *pins], check=True)
    shown = subprocess.run(
        [python.with_name("airflow"), "providers", "hooks", "--output", "json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)},
    )
    assert "airflow_provider_minimax.hooks.minimax.MinimaxHook" in shown.stdout
    inside = subprocess.run(
        [
            python,
            "-c",
            "from airflow_provider_minimax.api import catalogue; print(len(catalogue.models()))\n"
            "from airflow_provider_minimax.emulator import Emulator\n"
            "with Emulator() as emulator: print(emulator.url)",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "http://127.0.0.1:" in inside.stdout


def test_the_version_is_in_the_changelog():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
