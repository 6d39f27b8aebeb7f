"""
What clips list at: dated prices. Their source is in :mod:`~airflow_provider_minimax.api.catalogue_models`.

Prices are text, as they are published: a float would turn 0.28 into the nearest binary fraction.
"""

from __future__ import annotations

from datetime import date
from typing import Any

READ = date(2026, 7, 10)

PRICES: list[dict[str, Any]] = [
    {
        "models": ("MiniMax-Hailuo-2.3-Fast",),
        "resolution": "768P",
        "duration": 6,
        "usd": "0.19",
        "cny": "1.35",
    },
    {
        "models": ("MiniMax-Hailuo-2.3-Fast",),
        "resolution": "768P",
        "duration": 10,
        "usd": "0.32",
        "cny": "2.25",
    },
    {
        "models": ("MiniMax-Hailuo-2.3-Fast",),
        "resolution": "1080P",
        "duration": 6,
        "usd": "0.33",
        "cny": "2.31",
    },
    {
        "models": ("MiniMax-Hailuo-2.3", "MiniMax-Hailuo-02"),
        "resolution": "768P",
        "duration": 6,
        "usd": "0.28",
        "cny": "2.00",
    },
    {
        "models": ("MiniMax-Hailuo-2.3", "MiniMax-Hailuo-02"),
        "resolution": "768P",
        "duration": 10,
        "usd": "0.56",
        "cny": "4.00",
    },
    {
        "models": ("MiniMax-Hailuo-2.3", "MiniMax-Hailuo-02"),
        "resolution": "1080P",
        "duration": 6,
        "usd": "0.49",
        "cny": "3.50",
    },
    {
        "models": ("MiniMax-Hailuo-02",),
        "resolution": "512P",
        "duration": 6,
        "usd": "0.10",
        "cny": "0.60",
    },
    {
        "models": ("MiniMax-Hailuo-02",),
        "resolution": "512P",
        "duration": 10,
        "usd": "0.15",
        "cny": "1.00",
    },
]
"""List prices of one clip, pay as you go. The 01 series and S2V-01 are no longer listed."""

PRICES_PER_SECOND: list[dict[str, Any]] = [
    {
        "models": ("MiniMax-H3",),
        "resolution": "768P",
        "usd": "0.08",
        "cny": "0.50",
        "free_images": 5,
        "image_usd": "0.04",
        "read": date(2026, 10, 7),
    },
    {
        "models": ("MiniMax-H3",),
        "resolution": "2K",
        "usd": "0.13",
        "cny": "0.80",
        "free_images": 5,
        "image_usd": "0.04",
        "read": date(2026, 10, 7),
    },
    {
        "models": ("MiniMax-H3-Max",),
        "resolution": "480P",
        "usd": "0.05",
        "free_images": 2,
        "image_usd": "0.074",
        "read": date(2026, 9, 27),
    },
    {
        "models": ("MiniMax-H3-Max",),
        "resolution": "768P",
        "usd": "0.08",
        "free_images": 2,
        "image_usd": "0.074",
        "read": date(2026, 9, 27),
    },
]
"""
List prices of one second of a clip. The first pictures of a request are free, each one more is charged. The seconds of
reference videos are charged like those of the clip, rounded up to whole ones; sounds are free. Highspeed and Lite: not
published.
"""
