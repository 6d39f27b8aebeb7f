"""The emulator's address as the client sees it, also behind a reverse proxy."""

from __future__ import annotations

import re

from starlette.requests import Request

HOST = re.compile(r"[\w.-]+(?::\d+)?|\[[0-9a-f:.]+\](?::\d+)?", re.ASCII | re.IGNORECASE)


def public_origin(request: Request) -> str:
    """Return scheme and host for links, from ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` or the request itself."""
    scheme, host = _first(request, "X-Forwarded-Proto").lower(), _first(request, "X-Forwarded-Host")
    if scheme not in ("http", "https"):
        scheme = request.url.scheme
    if not HOST.fullmatch(host):
        host = request.url.netloc
    return f"{scheme}://{host}"


def _first(request: Request, name: str) -> str:
    """Return the value of the proxy nearest to the client; further proxies append theirs after a comma."""
    return request.headers.get(name, "").partition(",")[0].strip()
