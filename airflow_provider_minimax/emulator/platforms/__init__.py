"""One module for each family of platforms; each lists the platforms that it plays."""

from __future__ import annotations

from airflow_provider_minimax.emulator.platforms import chainhub, novita, official, vtrix

PLATFORMS = official.PLATFORMS + chainhub.PLATFORMS + vtrix.PLATFORMS + novita.PLATFORMS
