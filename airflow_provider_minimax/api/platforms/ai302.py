"""
302.AI (api.302.ai): the official contract below ``/minimaxi`` (with an i), its own envelope for account errors.

It sells H3 too, in MiniMax's own shape: the create and the query, as far as is known.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_minimax.api.platforms import minimax, minimax_v2

_NAME, _TITLE = "ai302", "302.AI"
_BASE_URLS = {"global": "https://api.302.ai"}

PLATFORM = replace(
    minimax.PLATFORM,
    name=_NAME,
    title=_TITLE,
    base_urls=_BASE_URLS,
    path_prefix="/minimaxi",
    next_version=minimax_v2.resold(_NAME, _TITLE, _BASE_URLS),
)
