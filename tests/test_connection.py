"""What a connection and the environment can hold: each mistake is named in every place where it comes up, unshown."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import closing
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from airflow_provider_minimax.__main__ import main
from airflow_provider_minimax.api.http import certificates
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import (
    MinimaxConfigurationError,
    MinimaxConnectionLookupError,
    MinimaxConnectionNotFoundError,
)
from airflow_provider_minimax.hooks.connection import read_connection, read_extra
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.fakes import FakeTaskInstance

KEY = "sk-SECRET0123456789"
# Before Airflow 3.2 no connection can be made of it, so that nobody sees the extra.
NO_OBJECT = "extra (an object)" if version("apache-airflow") < "3.2" else "extra: must be a JSON object"
REQUEST = VideoRequest.of({"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"})


@pytest.fixture(autouse=True)
def _no_authorities_of_this_machine(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def hold(monkeypatch, connection) -> None:
    text = connection if isinstance(connection, str) else json.dumps({"conn_type": "minimax"} | connection)
    monkeypatch.setenv("AIRFLOW_CONN_MINIMAX_DEFAULT", text)


def by_the_operator(capsys) -> str:
    operator = MinimaxVideoGenerationOperator(task_id="clip", model="MiniMax-Hailuo-2.3", prompt="a boat")
    with pytest.raises(MinimaxConfigurationError) as raised:
        operator.execute({"ti": FakeTaskInstance()})
    return str(raised.value)


def by_the_trigger(capsys) -> str:
    async def watch() -> str:
        trigger = MinimaxTaskTrigger(
            minimax_task_id="7", minimax_conn_id="minimax_default", deadline=time.time() + 60, poll_interval=0.05
        )
        (event,) = [event.payload async for event in trigger.run()]
        return str(event["error"])

    began = time.monotonic()
    said = asyncio.run(watch())
    assert time.monotonic() - began < 15, "what cannot get better is said at once"
    return said


def by_the_test(capsys) -> str:
    works, said = MinimaxHook("minimax_default").test_connection()
    assert not works
    return said


def by_the_command(capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["balance"])
    out, err = capsys.readouterr()
    assert ended.value.code
    assert "Traceback" not in err
    return " ".join(f"{out} {err}".split())


PLACES = {"operator": by_the_operator, "trigger": by_the_trigger, "test": by_the_test, "command": by_the_command}


@pytest.fixture(params=PLACES)
def said(request, capsys, monkeypatch):
    """Say what one place after the other says of a mistake."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    return lambda: PLACES[request.param](capsys)


# -- the environment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SSL_CERT_FILE", "/nowhere.pem"),
        ("SSL_CERT_FILE", __file__),
        ("SSL_CERT_DIR", "/nowhere"),
        ("SSL_CERT_DIR", "/dev/null"),
        ("HTTPS_PROXY", "ftp://proxy.example"),
        ("HTTPS_PROXY", "http://[::1"),
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_everywhere(variable, value, said, monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    hold(monkeypatch, {"host": "https://platform.example", "password": "k"})
    monkeypatch.setenv(variable, value)
    assert variable in said()


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"verify": "/nowhere.pem"}, "verify='/nowhere.pem'"),
        ({"verify": KEY}, "extra field verify: must be a bundle of authorities"),
        ({"proxy": "socks5://127.0.0.1:1080"}, "airflow-provider-minimax[socks]"),
        ({"api_key": KEY}, "extra field api_key: no such field"),
        ([KEY], NO_OBJECT),
    ],
)
def test_so_is_a_field(extra, named, said, monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    hold(monkeypatch, {"host": "https://platform.example", "password": "k", "extra": extra})
    words = said()
    assert named in words
    assert KEY not in words


@pytest.mark.parametrize("no_proxy", ["fd00::/8", "[::1]", "*", "10.0.0.0/8,[fd00::]/8", "[", ".example.org, ,"])
async def test_every_form_of_no_proxy_is_accepted(no_proxy, connect, monkeypatch):
    monkeypatch.setenv("NO_PROXY", no_proxy)
    hook = MinimaxHook(connect())
    with closing(hook):
        minimax_task_id = hook.submit(REQUEST)
    assert (await hook.aget_task(minimax_task_id, retries=0)).minimax_task_id == minimax_task_id
    await hook.aclose()


def test_a_folder_of_authorities_is_one_with_hashed_names(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere:{tmp_path}")
    (tmp_path / "authority.pem").touch()
    with pytest.raises(MinimaxConfigurationError, match="openssl rehash"):
        certificates.ssl_context(True)
    (tmp_path / "5ed36f99.0").touch()
    assert certificates.ssl_context(True)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    assert certificates.ssl_context(False), "where certificates are not checked, no authority matters"


@pytest.mark.parametrize(
    "text",
    [
        f'{{"conn_type": "minimax", "password": "{KEY}"',
        f'{{"conn_type": "minimax", "api_key": "{KEY}"}}',
        f'{{"conn_type": "minimax", "password": "k", "port": "{KEY}"}}',
        f"minimax://:{KEY}@host:99999/",
        f"minimax://x:{KEY}@http://host",
    ],
)
def test_a_variable_that_airflow_reads_no_connection_from_is_named(text, said, monkeypatch):
    hold(monkeypatch, text)
    words = said()
    assert "AIRFLOW_CONN_MINIMAX_DEFAULT" in words
    assert KEY not in words


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_uri_in_the_words_of_a_failed_lookup_is_not_shown(is_async, monkeypatch):
    hook = MinimaxHook("kept_elsewhere")

    def fail(*args, **kwargs):
        raise RuntimeError(f"Invalid connection string: minimax://http://:{KEY}@host")

    monkeypatch.setattr(MinimaxHook, "get_connection", fail)
    monkeypatch.setattr(MinimaxHook, "aget_connection", fail, raising=False)
    with pytest.raises(MinimaxConnectionLookupError, match="could not be looked up") as raised:
        await (hook.aget_task("7") if is_async else asyncio.to_thread(hook.get_task, "7"))
    assert KEY not in f"{raised.value} {raised.value.__cause__}"


def test_a_connection_that_nobody_wrote_stays_one_that_is_not_there():
    with pytest.raises(MinimaxConnectionNotFoundError):
        MinimaxHook("nowhere").get_task("7")


# -- fields ------------------------------------------------------------------------------------------------------------


def read(**fields):
    given = {"host": None, "port": None, "path": None, "password": KEY, "extra": {}} | fields
    return read_connection("c", **given)[1]


def refusal(**fields) -> str:
    with pytest.raises(MinimaxConfigurationError) as raised:
        read(**fields)
    return str(raised.value)


@pytest.mark.parametrize("text", ["[1]", '"x"', "5", "null", "true", "{", "platform=minimax", "[" * 100_000])
def test_an_extra_that_is_no_object_does_not_count_as_empty(text):
    with pytest.raises(MinimaxConfigurationError, match="extra: must be a JSON object"):
        read_extra("c", text)


@pytest.mark.parametrize("text", [None, "", "  ", "{}"])
def test_an_empty_one_does(text):
    assert read_extra("c", text) == {}


@pytest.mark.parametrize("name", ["platform", "region", "timeout", "max_retries", "proxy", "api_key", KEY])
@pytest.mark.parametrize("password", ["", "another-key", KEY])
def test_a_key_in_a_wrong_field_is_not_shown(name, password):
    for value in (KEY, [KEY], {"a": KEY}, f"?{KEY}", KEY[3:]):
        assert KEY[3:] not in refusal(extra={name: value}, password=password)


@pytest.mark.parametrize(
    "host", [KEY, f"https://{KEY}@gw.example", f"https://gw.example/?{KEY}", f"https://gw.example#{KEY}"]
)
def test_nor_is_one_in_the_host(host):
    assert KEY not in refusal(host=host)
    assert KEY not in refusal(host=host, password="")


def test_nor_is_a_password_that_looks_like_a_word():
    words = refusal(extra={"platform": "swordfish"}, password="swordfish")
    assert "swordfish" not in words
    assert "platform='swordfish'" in refusal(extra={"platform": "swordfish"})


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"timout": 3}, "timout: no such field (did you mean timeout?)"),
        ({"Region": "cn"}, "Region: no such field (did you mean region?)"),
        ({"platform": "miniMaxx"}, "platform='miniMaxx': no such platform (did you mean minimax?)"),
        ({"apiKey": "x"}, "apiKey: no such field; the API key is the connection's password"),
        ({"timeout": 0}, "timeout=0: should be greater than 0"),
        ({"path_prefix": "/a?b"}, "path_prefix (its value is not shown, since it may be a secret): must be a path"),
        (
            {"path_prefix": "/v3/minimax/v2/"},
            "path_prefix (its value is not shown, since it may be a secret): must end before",
        ),
        ({"path_prefix": "v2"}, "must end before the API's version, such as /minimax"),
        ({"verify": ["x"]}, "must be true, false, or the path of a bundle of authorities"),
    ],
)
def test_what_is_wrong_with_a_field_is_said(extra, words):
    assert words in refusal(extra=extra)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "https://gw.example", "port": 99999}, "port=99999: must be from 1 to 65535"),
        ({"host": "https://gw.example", "port": -1}, "port=-1"),
        ({"host": "https://gw.example", "path": "https"}, "schema='https': must be empty"),
        ({"host": "https://gw.example", "path": "v1"}, "must end before the API's version"),
        ({"host": "https://gw.example/a b"}, "must be a base URL"),
        ({"host": "https://gw\n.example"}, "must be a base URL"),
        ({"host": "https://gw.example", "path": "a?b"}, "scheme, host and path only"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(fields, words):
    assert words in refusal(**fields)


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        ("minimax://https://:k@gw.example/minimax?platform=bltcy", "https://gw.example/minimax"),
        ("minimax://https://:k@gw.example:8443/a/b/", "https://gw.example:8443/a/b"),
        ("minimax://:k@https%3A%2F%2Fgw.example%2Fa/b", "https://gw.example/a/b"),
        ("minimax://:k@/a?region=cn", "https://api.minimaxi.com/a"),
        ("minimax://:k@/", "https://api.minimax.io"),
    ],
)
def test_a_path_in_a_uri_is_kept(uri, base_url, monkeypatch):
    hold(monkeypatch, uri)
    assert MinimaxHook("minimax_default").clients.endpoint.base_url == base_url


async def test_extra_is_checked_on_an_event_loop_as_well(monkeypatch):
    connection = SimpleNamespace(extra="[1]", host=None, port=None, schema=None, password="k")

    async def get(*args, **kwargs):
        return connection

    monkeypatch.setattr("airflow.providers.common.compat.connection.get_async_connection", get)
    with pytest.raises(MinimaxConfigurationError, match="extra: must be a JSON object"):
        await MinimaxHook("minimax_default").aget_task("7")
