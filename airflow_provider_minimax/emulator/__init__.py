"""An offline emulator of the MiniMax video APIs, MiniMax's own two and five gateways', for tests and development.

It enforces the documented contract, counts purchases, and produces errors on demand. Run it with
``python -m airflow_provider_minimax.emulator``, or in a test::

    with Emulator(lifecycle="polls", polls=2) as emulator:
        emulator.base_url("bltcy"), emulator.api_key("bltcy")

It shares no code with the provider, only the catalogue's data, and it needs Starlette and uvicorn, not Airflow.
"""

from __future__ import annotations

from airflow_provider_minimax.emulator.client import EmulatorClient
from airflow_provider_minimax.emulator.server import Emulator

__all__ = ["Emulator", "EmulatorClient"]
