"""
Submission slots: tasks that are about to buy through one connection get them one by one, in the order they first asked.

A task that waits here has bought nothing. There is one limiter for each connection and event loop; it has no thread,
task or connection of its own, and disappears with the last task that waits.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from itertools import count
from weakref import WeakKeyDictionary

# The limit where the connection says nothing, and somebody was refused: what MiniMax publishes for the Hailuo models.
USUAL_PER_MINUTE = 20
# Slots are up to so much further apart than the limit asks for, so that tasks which workers take up a little sooner or
# later than others stay below it.
_SPREAD = 0.1


@dataclass(slots=True, order=True)
class _Waiting:
    """
    Somebody in the queue.

    :param asked_at: when they first asked for a slot, in epoch seconds.
    :param came: how many came here before.
    :param slot: done when it is theirs; cancelled with the trigger that awaits it.
    """

    asked_at: float
    came: int
    slot: asyncio.Future[None]


class SubmissionLimiter:
    """
    Hands out submission slots on the event loop that it was made on; ``waiting`` is how many wait for one.

    It knows nothing of what was before it, such as the slots of a triggerer that died. So its first slot is as far away
    as any other from the one before.
    """

    def __init__(self, per_minute: int) -> None:
        self.users = 0
        self.waiting = 0
        self._loop = asyncio.get_running_loop()
        self._queue: list[_Waiting] = []
        self._came = count()
        self._timer: asyncio.TimerHandle | None = None
        self._per_minute = per_minute
        self._next = self._loop.time() + self._space()

    def _space(self) -> float:
        return 60 / self._per_minute * random.uniform(1, 1 + _SPREAD)  # noqa: S311 - no secret

    def set_limit(self, per_minute: int) -> None:
        """
        Use another limit from the next slot on.

        :param per_minute: how many slots there are in a minute.
        """
        self._per_minute = per_minute

    def pause(self, until: float) -> None:
        """
        Hand out no slot for a while, because the platform refused somebody.

        :param until: when to go on, in epoch seconds; in the past: nothing changes.
        """
        self._next = max(self._next, self._loop.time() + until - time.time())
        self._set_timer()

    async def acquire(self, asked_at: float) -> None:
        """
        Wait for a slot.

        :param asked_at: when this slot was first asked for, in epoch seconds: earlier ones come first, also if they are
            here for the second time.
        """
        waiting = _Waiting(asked_at, next(self._came), self._loop.create_future())
        heapq.heappush(self._queue, waiting)
        self._set_timer()
        self.waiting += 1
        try:
            await waiting.slot
        finally:
            self.waiting -= 1

    def _set_timer(self) -> None:
        if self._timer is not None and self._timer.when() == self._next:
            return
        self.close()
        if self._queue:
            # A context of its own, because it is nobody's in particular.
            self._timer = self._loop.call_at(self._next, self._grant, context=Context())

    def _grant(self) -> None:
        """Give the slot to the first who still wants it, so that those who left make no gap."""
        self._timer = None
        while self._queue:
            waiting = heapq.heappop(self._queue)
            if not waiting.slot.done():
                waiting.slot.set_result(None)
                self._next = self._loop.time() + self._space()
                break
        self._set_timer()

    def close(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SubmissionLimiter]] = WeakKeyDictionary()


@contextmanager
def shared_limiter(minimax_conn_id: str, per_minute: int | None) -> Iterator[SubmissionLimiter]:
    """
    Lend the limiter of a connection on this event loop; it is gone when the last to use it leaves.

    :param minimax_conn_id: the connection.
    :param per_minute: the limit, as the connection says it; the latest caller knows it best.
    """
    limiters = _limiters.setdefault(asyncio.get_running_loop(), {})
    limit = per_minute or USUAL_PER_MINUTE
    limiter = limiters.get(minimax_conn_id) or limiters.setdefault(minimax_conn_id, SubmissionLimiter(limit))
    limiter.set_limit(limit)
    limiter.users += 1
    try:
        yield limiter
    finally:
        limiter.users -= 1
        if not limiter.users:
            limiter.close()
            del limiters[minimax_conn_id]
