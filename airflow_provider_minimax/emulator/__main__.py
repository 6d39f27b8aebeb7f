"""Runs the emulator from the command line, until it is stopped."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import signal
import sys
import threading
import time
from typing import Any

from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.server import Emulator


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return 1 if the address cannot be used."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    emulator = Emulator(
        options.port,
        host=options.host,
        tls=options.tls,
        root=options.root,
        allowed_hosts=options.allow_host,
        on_purchase=None if options.quiet else _print_purchase,
        seconds=options.seconds,
    )
    try:
        with emulator:
            if not options.quiet:
                _introduce(emulator, options.root or "minimax")
            stop.wait()
    except OSError as error:
        print(f"Cannot listen on {options.host}:{options.port}: {_reason(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_minimax.emulator",
        description="An offline emulator of the MiniMax video APIs. Nothing costs money.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8765, help="port, 0 for any free one (default: %(default)s)")
    parser.add_argument("--seconds", type=_seconds, default=10.0, help="how long a job takes (default: %(default)s)")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS, with a new certificate")
    parser.add_argument("--root", choices=list(ADDRESSES), help="serve this platform without its path prefix too")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name under which other machines may use the control endpoint (can be repeated)",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    return parser


def _reason(error: OSError) -> str:
    """Return what is wrong with the address, without Python's wording around it."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError("must be a finite number, 0 or more")
    return seconds


def _introduce(emulator: Emulator, platform: str) -> None:
    print(f"MiniMax video emulator at {emulator.url}", flush=True)
    for name, address in ADDRESSES.items():
        print(f"  {address.title:<26} {emulator.base_url(name):<40} key {address.key}")
    if emulator.ca_file is not None:
        print(f"\nTo trust its certificate, which is valid for this run only:\n{_trust(emulator.ca_file)}")
    connection = shlex.quote(json.dumps(emulator.connection(platform)))
    print(f"\nexport AIRFLOW_CONN_MINIMAX_DEFAULT={connection}\n", flush=True)


def _trust(ca_file: str) -> str:
    """Return what clients need in their environment to trust the certificate."""
    readers = {
        "SSL_CERT_FILE": "httpx and most of Python",
        "REQUESTS_CA_BUNDLE": "requests",
        "NODE_EXTRA_CA_CERTS": "Node.js",
    }
    return "\n".join(f"  {f'export {name}={shlex.quote(ca_file)}':<70} # {who}" for name, who in readers.items())


def _print_purchase(purchase: dict[str, Any]) -> None:
    clock = time.strftime("%H:%M:%S", time.localtime(purchase["time"]))
    size = f" {purchase['resolution']} {purchase['duration']} s" if purchase["resolution"] else ""
    kind = "" if purchase["task_type"] == "generation" else f" {purchase['task_type']}"
    price = f"${purchase['price']['usd']:.2f}" if purchase["price"] else "no list price"
    print(
        f"{clock} bought {purchase['task_id']} on {purchase['platform']}: {purchase['model']}{kind}{size}, {price}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
