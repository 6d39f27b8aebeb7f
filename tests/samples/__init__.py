"""Replies of the platforms, one file a case: ``<platform>/<case>.json``."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_provider_minimax.api.http.message import HttpReply

_FOLDER = Path(__file__).parent


def reply(platform: str, case: str) -> HttpReply:
    """Return a sample as the reply that it is."""
    sample = json.loads((_FOLDER / platform / f"{case}.json").read_text("utf-8"))
    body = sample["body"]
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return HttpReply(sample["status"], sample.get("headers", {}), text.encode())


def cases() -> list[tuple[str, str]]:
    """Return every (platform, case) there is."""
    return sorted((path.parent.name, path.stem) for path in _FOLDER.glob("*/*.json"))
