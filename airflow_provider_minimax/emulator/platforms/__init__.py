"""One module for each family of platforms; each lists the platforms that it plays.

A new family is a new module here. It may also serve further paths of a platform that exists: a ``Platform`` with the
same address, its own endpoints and its own way to refuse.
"""

from __future__ import annotations

from airflow_provider_minimax.emulator.platforms import account, chainhub, minimax_v2, novita, official, vtrix

PLATFORMS = (
    official.PLATFORMS
    + minimax_v2.PLATFORMS
    + account.PLATFORMS
    + chainhub.PLATFORMS
    + vtrix.PLATFORMS
    + novita.PLATFORMS
)
