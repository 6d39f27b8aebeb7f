"""``callback-test``: whether platforms can reach the receiver of callbacks."""

from __future__ import annotations

import secrets
from argparse import Namespace

from airflow_provider_minimax.cli.command import command, fail, say


@command
def test_callback(options: Namespace) -> None:
    """Send a challenge to the receiver through its public address."""
    from airflow_provider_minimax.callbacks.address import callback_base_url, callback_url
    from airflow_provider_minimax.callbacks.probe import PLATFORMS_WAIT, echo_seconds

    base_url = callback_base_url()
    if base_url is None:
        fail("Callbacks are off: [minimax] callback_base_url is not set here.")
    try:
        url = callback_url(options.conn_id, f"callback-test-{secrets.token_hex(8)}")
        took = echo_seconds(url)
    except ValueError as error:
        fail(str(error))
    say(
        f"The receiver at {base_url} echoed the challenge after {took:.2f} s; "
        f"platforms wait for {PLATFORMS_WAIT:.0f} s."
    )
    if url.startswith("http:"):
        say("Its address is not https: anyone on the network path can read the tokens. Keep it to this machine.")
