"""
The systems that make clips, each by its own contract.

To add one: a module, a line here, a folder of samples under ``tests/samples``, a row in the docs' table.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_minimax.api.platforms import (
    account,
    ai302,
    bltcy,
    chainhub,
    minimax,
    minimax_v2,
    novita,
    vtrix,
)
from airflow_provider_minimax.api.platforms.base import Platform

PLATFORMS: dict[str, Platform] = {
    platform.name: platform
    for platform in (
        replace(
            minimax.PLATFORM,
            next_version=minimax_v2.PLATFORM,
            other_base_urls=minimax.OTHER_BASE_URLS,
            balance=account.balance,
            read_balance=account.read_balance,
        ),
        *(module.PLATFORM for module in (bltcy, chainhub, vtrix, novita, ai302)),
    )
}

__all__ = ["PLATFORMS", "Platform"]
