"""The emulator as a process of its own."""

from __future__ import annotations

import ast
import inspect
import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from airflow_provider_minimax.api import catalogue_models, catalogue_prices

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
COMMAND = [sys.executable, "-m", "airflow_provider_minimax.emulator"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_is_what_was_bought_and_leaves_in_peace(end):
    process = start("--port", "0", "--seconds", "0.1")
    try:
        lines = []
        while not (lines and lines[-1].startswith("export ")):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        variable, value = shlex.split(lines[-1])[1].split("=", 1)
        connection = json.loads(value)
        answer = httpx.post(
            connection["host"] + "/v1/video_generation",
            json={"model": "MiniMax-Hailuo-2.3", "prompt": "a fox"},
            headers={"Authorization": f"Bearer {connection['password']}"},
        )
        process.stdout.readline()
        bought = process.stdout.readline()
    finally:
        process.send_signal(end)
        _, errors = process.communicate(timeout=60)
    assert variable == "AIRFLOW_CONN_MINIMAX_DEFAULT"
    assert any("/bltcy" in line for line in lines)
    assert f"bought {answer.json()['task_id']} on minimax: MiniMax-Hailuo-2.3 768P 6 s, $0.28" in bought
    assert (process.returncode, errors) == (0, "")


def test_the_command_says_how_to_trust_its_certificate_and_connects_the_platform_at_the_root():
    process = start("--port", "0", "--tls", "--root", "chainhub", "--allow-host", "emulator.internal")
    try:
        lines = []
        while not (lines and lines[-1].startswith("export AIRFLOW_CONN")):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        trust = dict(shlex.split(line, comments=True)[1].split("=", 1) for line in lines if " export " in line)
        connection = json.loads(shlex.split(lines[-1])[1].split("=", 1)[1])
        (ca_file,) = set(trust.values())
        trusted = ssl.create_default_context(cafile=ca_file)
        state = httpx.get(
            f"{connection['host']}/_emulator/state", verify=trusted, headers={"Host": "emulator.internal"}
        )
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert set(trust) == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
    assert connection["host"].startswith("https://127.0.0.1:")
    assert connection["extra"] == {"platform": "chainhub", "verify": ca_file}
    assert any(line.split()[:2] == ["ChainHub", connection["host"]] for line in lines)
    assert state.status_code == 200
    assert (process.returncode, errors, Path(ca_file).exists()) == (0, "", False)


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == f"Cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize("arguments", [["--port", "80800"], ["--seconds", "-1"], ["--seconds", "inf"]])
def test_an_argument_that_makes_no_sense_is_named(arguments):
    _, errors = start(*arguments).communicate(timeout=60)
    assert f"error: argument {arguments[0]}" in errors


def test_the_emulator_needs_neither_airflow_nor_the_providers_code():
    code = (
        "import sys\n"
        "from airflow_provider_minimax.emulator import Emulator\n"
        "assert not {'starlette', 'uvicorn', 'pytest'} & set(sys.modules)\n"
        "with Emulator() as emulator: emulator.state\n"
        "print([name for name in sys.modules if name.startswith(('airflow.', 'airflow_provider_minimax.api'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, timeout=30)
    shared = ["api", "api.catalogue_models", "api.catalogue_prices"]
    assert done.stderr == ""
    assert sorted(ast.literal_eval(done.stdout)) == [f"airflow_provider_minimax.{name}" for name in shared]


@pytest.mark.parametrize("module", [catalogue_models, catalogue_prices])
def test_what_the_emulator_shares_with_the_provider_are_values_alone(module):
    tree = ast.parse(inspect.getsource(module))
    code = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.For, ast.comprehension)
    assert not [node for node in ast.walk(tree) if isinstance(node, code)]
