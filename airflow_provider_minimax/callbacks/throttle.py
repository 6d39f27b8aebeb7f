"""
Delays the answers to those who post too often, so that clients which wait for answers post less.

Nobody is refused: a platform that posts in a hurry gets its answer a second later, and still within the three that it
waits.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

AT_ONCE = 20
"""Posts of one sender in a row that are answered without a delay."""
PER_SECOND = 2.0
"""Posts of one sender a second that are answered without a delay after that."""
DELAY_SECONDS = 1.0
MOST_DELAYED = 256
"""Answers that are delayed at once; those beyond are not. Each holds a connection."""
MOST_SENDERS = 10_000
"""Senders whose posts are counted; the one that was quiet for the longest is forgotten first."""


class Throttle:
    """Counts the posts of each sender; one for each process."""

    def __init__(self) -> None:
        # When each sender's posts so far would have come to an end, had they come PER_SECOND.
        self._busy_until: OrderedDict[str, float] = OrderedDict()
        self._delayed = 0

    async def wait(self, sender: str) -> None:
        """
        Wait a second before a post is answered, if its sender has posted too often.

        :param sender: a name for those whose posts are counted together.
        """
        if not self._is_too_often(sender) or self._delayed >= MOST_DELAYED:
            return
        self._delayed += 1
        try:
            await asyncio.sleep(DELAY_SECONDS)
        finally:
            self._delayed -= 1

    def _is_too_often(self, sender: str) -> bool:
        now = time.monotonic()
        busy_until = max(self._busy_until.get(sender, now), now)
        if busy_until > now + (AT_ONCE - 1) / PER_SECOND:
            return True
        self._busy_until[sender] = busy_until + 1 / PER_SECOND
        self._busy_until.move_to_end(sender)
        if len(self._busy_until) > MOST_SENDERS:
            self._busy_until.popitem(last=False)
        return False
