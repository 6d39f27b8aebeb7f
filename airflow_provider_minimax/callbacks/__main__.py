"""
Runs the receiver alone, for those whose API server the internet cannot reach.

It writes to Airflow's database, so it needs the API server's configuration.
"""

from __future__ import annotations

import argparse
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; 1 when callbacks are not configured or the address cannot be had."""
    options = _parser().parse_args(arguments)
    # Airflow gives its database to processes that say so.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    from airflow_provider_minimax.callbacks.address import CALLBACK_PATH, URL_PREFIX, callback_base_url
    from airflow_provider_minimax.exceptions import MinimaxConfigurationError

    try:
        base_url = callback_base_url()
    except MinimaxConfigurationError as error:
        error.billing = None
        print(error, file=sys.stderr)
        return 1
    if base_url is None:
        print("[minimax] callback_base_url is not set: nobody could be given an address of this.", file=sys.stderr)
        return 1
    import uvicorn

    from airflow_provider_minimax.callbacks.connection import BoundedConnection
    from airflow_provider_minimax.callbacks.receiver import Receiver

    print(
        f"Receiving MiniMax's callbacks at http://{options.host}:{options.port}{URL_PREFIX}{CALLBACK_PATH}…", flush=True
    )
    print(f"  which has to be reached as {base_url}{URL_PREFIX}{CALLBACK_PATH}…", flush=True)
    uvicorn.run(
        Receiver(),
        host=options.host,
        port=options.port,
        lifespan="off",
        access_log=False,
        server_header=False,
        http=BoundedConnection,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_minimax.callbacks",
        description="Receives MiniMax's callbacks outside Airflow's API server, and writes to the same database.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8790, help="port to listen on (default: %(default)s)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
