"""What HTTP libraries log of our exchanges holds no secret, and what they log of others' is left alone."""

from __future__ import annotations

import asyncio
import logging

import pytest

from airflow_provider_minimax.api.http.library_logs import KeptOutOfLogs

KEY = "sk-SECRET0123456789"
LINES = {
    "httpcore.http11": "complete return_value=(b'HTTP/1.1', 302, b'Found', [(b'Set-Cookie', b'a=SECRET')])",
    "httpcore.socks": "setup_socks5_connection.started host='files.example' auth=(b'me', b'SECRET)')",
    "httpcore.proxy": "connect.started url=https://me:SECRET@proxy.example:8080",
    "httpx": "HTTP Request: GET https://files.example/a.mp4?sig=SECRET",
    "aiohttp.client": f"Can not load cookies of {KEY}",
}


@pytest.mark.parametrize("library", LINES)
def test_what_a_library_logs_of_our_exchanges_holds_no_secret(library, caplog):
    caplog.set_level(logging.DEBUG, library)
    with KeptOutOfLogs(KEY):
        logging.getLogger(library).debug("%s", LINES[library])
    (said,) = caplog.messages
    assert "SECRET" not in said
    assert said[:10] == LINES[library][:10]


@pytest.mark.parametrize("library", LINES)
async def test_what_it_logs_of_others_meanwhile_is_left_alone(library, caplog):
    caplog.set_level(logging.DEBUG, library)
    is_ours = asyncio.Event()

    async def ours():
        with KeptOutOfLogs(KEY):
            is_ours.set()
            await asyncio.sleep(0)

    async def of_others():
        await is_ours.wait()
        logging.getLogger(library).debug(LINES[library])

    await asyncio.gather(ours(), of_others())
    assert caplog.messages == [LINES[library]]
