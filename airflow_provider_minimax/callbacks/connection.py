"""
A connection to the receiver that runs alone, bounded in what uvicorn leaves without a bound.

uvicorn waits for a request's headers as long as a client likes, and its faster parser takes any number of them. The
parser that this builds on, h11, takes 64 KiB.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

SECONDS_FOR_HEADERS = 10.0
"""A connection on which no request begins for so long is closed, within twice that time."""


class BoundedConnection(H11Protocol):
    """uvicorn's connection, which is closed if the headers of a request take too long, or if there are too many."""

    _check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to watch the time."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > 2 * self.limit_concurrency:
            transport.abort()
            return
        self._check_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)

    def _check_later(self) -> None:
        self._check = self.loop.call_later(SECONDS_FOR_HEADERS, self._close_if_idle, self.cycle)

    def _close_if_idle(self, cycle_before: RequestResponseCycle | None) -> None:
        is_answered = self.cycle is None or self.cycle.response_complete
        if is_answered and self.cycle is cycle_before:
            self.transport.close()
        else:
            self._check_later()
