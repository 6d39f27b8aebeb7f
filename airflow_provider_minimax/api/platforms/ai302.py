"""302.AI (api.302.ai): the official contract below ``/minimaxi`` (with an i), its own envelope for account errors."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_minimax.api.platforms import minimax

PLATFORM = replace(
    minimax.PLATFORM,
    name="ai302",
    title="302.AI",
    base_urls={"global": "https://api.302.ai"},
    path_prefix="/minimaxi",
)
