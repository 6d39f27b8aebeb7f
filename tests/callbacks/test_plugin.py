"""Airflow finds the receiver, if it is switched on; the processes that have no use for it do not pay for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from airflow_provider_minimax.callbacks.plugin import ReceiverApps
from airflow_provider_minimax.callbacks.receiver import Receiver

BASE_URL = "AIRFLOW__MINIMAX__CALLBACK_BASE_URL"
# What a worker and a triggerer load plugins with, and what a scheduler does.
LOADERS = {
    "worker": "from airflow.sdk.plugins_manager import integrate_macros_plugins as load; load()",
    "scheduler": "from airflow.plugins_manager import ensure_plugins_loaded as load; load()",
}


def run(code: str, **settings: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()[-1]


def test_airflow_finds_the_plugin():
    (entry,) = [entry for entry in entry_points(group="airflow.plugins") if entry.name == "minimax_callbacks"]
    assert entry.load().name == "minimax_callbacks"


def test_the_plugin_brings_nothing_that_serves():
    code = """
import sys, airflow.plugins_manager
try:
    import airflow.sdk.plugins_manager
except ImportError:
    pass
before = set(sys.modules)
import airflow_provider_minimax.callbacks.plugin
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    brought = run(code)
    assert "airflow_provider_minimax" in brought
    assert not [name for name in ("fastapi", "starlette", "uvicorn", "sqlalchemy") if name in brought]


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS.keys())
def test_processes_that_serve_nothing_never_import_the_receiver(load):
    if "sdk" in load:
        pytest.importorskip("airflow.sdk.plugins_manager")
    code = f"""
import sys
{load}
ours = "airflow_provider_minimax.callbacks."
print([name for name in ("plugin", "receiver", "writer") if ours + name in sys.modules])
"""
    assert run(code, **{BASE_URL: "http://127.0.0.1:8080"}) == "['plugin']"


def test_the_receiver_is_off_unless_the_base_url_is_set(monkeypatch):
    monkeypatch.delenv(BASE_URL, raising=False)
    assert list(ReceiverApps()) == []
    monkeypatch.setenv(BASE_URL, "http://127.0.0.1:8080")
    (app,) = ReceiverApps()
    assert (type(app["app"]), app["url_prefix"]) == (Receiver, "/minimax")


def test_a_wrong_base_url_is_logged_and_breaks_no_process(monkeypatch, caplog):
    monkeypatch.setenv(BASE_URL, "airflow.example.com")
    assert list(ReceiverApps()) == []
    (record,) = caplog.records
    assert "[minimax] callback_base_url: must be an absolute URL" in record.getMessage()


def test_airflows_own_api_server_serves_the_receiver(airflow_db, secret):
    """As ``airflow api-server`` makes its application, with all middleware."""
    code = """
import os
os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
from airflow.api_fastapi.app import create_app
from airflow_provider_minimax.callbacks import recorder
from airflow_provider_minimax.callbacks.address import token_of
from starlette.testclient import TestClient
recorder.SECONDS_TO_RECORD = 30.0  # On a busy machine, as in conftest.py.
client = TestClient(create_app(), raise_server_exceptions=False)
token = token_of("minimax_default", "attempt")
answer = client.post("/minimax/callback/" + token, json={"challenge": "a"})
forged = client.post("/minimax/callback/forged", json={"challenge": "a"})
print(answer.status_code, answer.json(), forged.status_code, forged.content)
"""
    said = run(code, **{BASE_URL: "http://127.0.0.1:8080", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"})
    assert said == "200 {'challenge': 'a'} 404 b''"


def test_airflow_lists_the_plugin_and_its_options():
    code = """
import json
from airflow.plugins_manager import get_plugin_info
from airflow.providers_manager import ProvidersManager
from airflow.configuration import conf
(ours,) = [info for info in get_plugin_info() if info["name"] == "minimax_callbacks"]
ProvidersManager().initialize_providers_configuration()
print(json.dumps([ours["fastapi_apps"], conf.get("minimax", "callback_base_url")]))
"""
    (app,), base_url = json.loads(run(code, **{BASE_URL: "http://127.0.0.1:8080"}))
    assert base_url == "http://127.0.0.1:8080"
    assert app == {
        "app": "airflow_provider_minimax.callbacks.receiver.Receiver",
        "url_prefix": "/minimax",
        "name": "MiniMax callbacks",
    }
