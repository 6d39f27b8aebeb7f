"""
A connection to the receiver that runs alone, bounded in what uvicorn leaves without a bound.

uvicorn waits for a request's headers as long as a client likes, and its faster parser takes any number of them. The
parser that this builds on, h11, takes 64 KiB.
"""

from __future__ import annotations

import asyncio
import time

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MOST_CONNECTIONS = 512
SECONDS_FOR_HEADERS = 10.0
"""A connection on which no request begins for so long is closed, within twice that time."""


class BoundedConnection(H11Protocol):
    """
    uvicorn's connection, which is closed if the headers of a request take too long.

    One connection too many closes the oldest of those that wait for a request, so clients that only hold connections
    open keep nobody out.
    """

    _opened_at = 0.0
    _check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and start to watch the time."""
        super().connection_made(transport)
        self._opened_at = time.monotonic()
        self._check_later()
        if len(self.connections) > MOST_CONNECTIONS:
            self._close_oldest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)

    @property
    def _is_waiting(self) -> bool:
        return (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing()

    def _close_oldest(self) -> None:
        others = (one for one in self.connections if isinstance(one, BoundedConnection) and one._is_waiting)
        # This one waits too, and goes if all others have a request.
        min(others, key=lambda one: one._opened_at, default=self).transport.abort()

    def _check_later(self) -> None:
        self._check = self.loop.call_later(SECONDS_FOR_HEADERS, self._close_if_idle, self.cycle)

    def _close_if_idle(self, cycle_before: RequestResponseCycle | None) -> None:
        if self._is_waiting and self.cycle is cycle_before:
            self.transport.close()
        else:
            self._check_later()
