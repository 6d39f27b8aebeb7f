"""Keeps web pages of other sites away from the control endpoint, which needs no key.

A page of any site can send requests to this machine, and one that uses DNS rebinding can read the responses too.
Browsers say in ``Origin`` and ``Host`` which page sent a request.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Answerer = Callable[[Request], Awaitable[Response]]


class BrowserGuard:
    """Accepts only requests to this machine's addresses, to ``localhost``, or to one of the given names."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = {"localhost", *(name.lower() for name in names)}

    def protect(self, answer: Answerer) -> Answerer:
        """Return the same handler, with HTTP 403 for pages of other sites."""

        async def guarded(request: Request) -> Response:
            host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
            if not self._is_own(host, request.scope.get("server")):
                return _refusal(
                    f"Host {host!r} is not allowed: use an address of this machine, or start the emulator with "
                    "--allow-host and that name, without a port"
                )
            if origin is not None and urlsplit(origin).netloc != host:
                return _refusal(f"Origin {origin!r}: pages of other sites may not use the control endpoint")
            return await answer(request)

        return guarded

    def _is_own(self, host: str, server: Any) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.names:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or (server is not None and address == _address(server[0])))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _refusal(complaint: str) -> Response:
    return JSONResponse({"error": complaint}, 403)
