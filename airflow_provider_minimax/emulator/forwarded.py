"""Where a client sees the emulator: also behind a front that ends TLS, or listens under another name."""

from __future__ import annotations

import re

from starlette.requests import Request

HOST = re.compile(r"[\w.-]+(?::\d+)?|\[[0-9a-f:.]+\](?::\d+)?", re.ASCII | re.IGNORECASE)


def public_origin(request: Request) -> str:
    """Scheme and host for links, as ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` say, or as the request came."""
    scheme, host = _first(request, "X-Forwarded-Proto").lower(), _first(request, "X-Forwarded-Host")
    if scheme not in ("http", "https"):
        scheme = request.url.scheme
    if not HOST.fullmatch(host):
        host = request.url.netloc
    return f"{scheme}://{host}"


def _first(request: Request, name: str) -> str:
    """What the front nearest to the client wrote; each further one adds its own behind a comma."""
    return request.headers.get(name, "").partition(",")[0].strip()
