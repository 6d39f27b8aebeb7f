"""
BLTCY (api.bltcy.ai): the official contract below ``/minimax``, as its page describes it.

The page documents image-to-video of one model only, and spells one field ``"prompt_optimizer "`` with a stray blank: a
slip of the page, so the clean name is sent. Bodies are passed on to MiniMax, so what the page leaves out is sent with a
warning. Its clones differ by the host alone.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_minimax.api.platforms import minimax

PLATFORM = replace(
    minimax.PLATFORM,
    name="bltcy",
    title="BLTCY",
    base_urls={"global": "https://api.bltcy.ai"},
    path_prefix="/minimax",
    fields=frozenset({"prompt", "first_frame_image", "last_frame_image", "duration", "resolution", "prompt_optimizer"}),
    required=frozenset({"prompt", "first_frame_image"}),
    resolutions=("768P", "1080P"),
)
