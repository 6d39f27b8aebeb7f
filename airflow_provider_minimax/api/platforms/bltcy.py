"""
BLTCY (api.bltcy.ai): the official contract below ``/minimax``, as its page describes it.

The page documents image-to-video only, and spells one field ``"prompt_optimizer "`` with a stray blank: a slip of the
page, so the clean name is sent. Its clones differ by the host alone.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_minimax.api.platforms import minimax
from airflow_provider_minimax.api.request import VideoRequest

_RESOLUTIONS = ("768P", "1080P")


def _check(request: VideoRequest, later: frozenset[str]) -> list[str]:
    problems = []
    if request.prompt is None and "prompt" not in later:
        problems.append("prompt: missing; BLTCY requires one")
    if request.first_frame_image is None and "first_frame_image" not in later:
        problems.append("first_frame_image: missing; BLTCY documents image-to-video only")
    if request.resolution is not None and request.resolution not in _RESOLUTIONS:
        problems.append(f"resolution={request.resolution!r}: BLTCY takes {' or '.join(_RESOLUTIONS)}")
    return problems


PLATFORM = replace(
    minimax.PLATFORM,
    name="bltcy",
    title="BLTCY",
    base_urls={"global": "https://api.bltcy.ai"},
    path_prefix="/minimax",
    fields=frozenset({"prompt", "first_frame_image", "last_frame_image", "duration", "resolution", "prompt_optimizer"}),
    check=_check,
)
