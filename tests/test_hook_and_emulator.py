"""What the hook and the emulator make of each other where both are needed to see it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.emulator import Emulator
from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from tests.emulator.customer import TEXT_ORDER

SIZE = {"resolution": "768P", "duration": 5}


@pytest.mark.parametrize("order", [TEXT_ORDER, {"model": "MiniMax-H3", "prompt": "a fox", "ratio": "16:9"} | SIZE])
def test_our_error_says_what_a_receiver_must_do_and_that_nothing_was_bought(connect, minimax_emulator, order):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/hook?token=secret"
        with pytest.raises(MinimaxRequestError) as raised:
            MinimaxHook(connect()).submit(VideoRequest.of({**order, "callback_url": url}))
    said = str(raised.value)
    for words in (
        "fail to check callback url",
        "Nothing was bought.",
        '{"challenge": "…"}',
        "within 3 seconds",
        "leave callback_url out",
    ):
        assert words in said
    assert "secret" not in said
    assert minimax_emulator.purchases == []


def test_over_tls_our_own_hook_buys_and_fetches_by_the_connection_that_it_is_given(tmp_path, monkeypatch):
    with Emulator(tls=True, lifecycle="polls", polls=1) as secure:
        monkeypatch.setenv("AIRFLOW_CONN_MINIMAX_DEFAULT", json.dumps(secure.connection()))
        hook = MinimaxHook()
        task = hook.get_task(hook.submit(VideoRequest.of(TEXT_ORDER)))
        facts = hook.download(task, str(tmp_path / "clip.mp4"))
        assert Path(facts["output_path"]).stat().st_size > 1000
        assert hook.get_file(task).url.startswith(secure.url)
        assert secure.url.startswith("https://")
