"""
Takes pushes from the receiver's event loop to the database.

One thread with a bounded queue writes many pushes in one transaction, and rests as long as it worked.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from airflow.utils.session import create_session
from sqlalchemy.exc import DBAPIError

from airflow_provider_minimax.callbacks.record import Push
from airflow_provider_minimax.callbacks.writer import is_news, record_pushes, sweep

log = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Pushes that wait for the database; those beyond are refused."""
MOST_AT_ONCE = 25
"""Pushes in one transaction, which must be short: on SQLite nobody else writes meanwhile."""
SECONDS_TO_RECORD = 2.5
"""How long a push may wait to be recorded: platforms may stop waiting after three seconds."""
MOST_REMEMBERED = 10_000
"""Attempts whose last push is remembered, so that one that says nothing new never reaches the database."""
_TRIES = 5
_LONGEST_REST = 0.5
_SWEEP_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    conn_id: str
    push: Push
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[bool]

    def settle(self, recorded: bool) -> None:
        """Wake who waits for it, if anybody still does; from another thread."""
        with suppress(RuntimeError):  # the server has stopped
            self.loop.call_soon_threadsafe(self._set, recorded)

    def _set(self, recorded: bool) -> None:
        if not self.done.done():
            self.done.set_result(recorded)


class Recorder:
    """Records pushes; one for each process. Its thread starts with the first push."""

    def __init__(self) -> None:
        self._queue: queue.Queue[_Waiting] = queue.Queue(MOST_WAITING)
        self._remembered: OrderedDict[tuple[str, str], dict[str, Push]] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._swept: dict[str, float] = {}

    async def record(self, conn_id: str, push: Push) -> bool:
        """
        Record a push.

        :param conn_id: the connection that bought.
        :param push: what was posted.
        :return: whether it is recorded, or says nothing new; false if the database is down, slow or overloaded.
        """
        if not self._is_news(conn_id, push):
            return True
        loop = asyncio.get_running_loop()
        waiting = _Waiting(conn_id, push, loop, loop.create_future())
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="minimax-callbacks", daemon=True)
            self._thread.start()
        try:
            recorded = await asyncio.wait_for(waiting.done, SECONDS_TO_RECORD)
        except TimeoutError:
            return False
        if recorded:
            self._remember(conn_id, push)
        return recorded

    def _is_news(self, conn_id: str, push: Push) -> bool:
        return is_news(self._remembered.get((conn_id, push.attempt), {}), push)

    def _remember(self, conn_id: str, push: Push) -> None:
        if self._is_news(conn_id, push):
            key = conn_id, push.attempt
            self._remembered.setdefault(key, {})[push.minimax_task_id] = push
            self._remembered.move_to_end(key)
            while len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get())
            began = time.monotonic()
            by_connection = defaultdict(list)
            for waiting in batch:
                by_connection[waiting.conn_id].append(waiting)
            for conn_id, group in by_connection.items():
                recorded = self._write(conn_id, [waiting.push for waiting in group])
                for waiting in group:
                    waiting.settle(recorded)
            # The rest of the server needs the processor too.
            time.sleep(min(time.monotonic() - began, _LONGEST_REST))

    def _write(self, conn_id: str, pushes: Sequence[Push]) -> bool:
        """Record them in one transaction, tried again if others were in its way."""
        for number in range(1, _TRIES + 1):
            try:
                with create_session() as session:
                    record_pushes(session, conn_id, pushes)
                    if time.time() > self._swept.get(conn_id, 0) + _SWEEP_SECONDS:
                        sweep(session, conn_id, time.time())
                        self._swept[conn_id] = time.time()
            except DBAPIError as error:
                if number == _TRIES:
                    log.warning("Pushes of connection %r are lost: %s", conn_id, type(error.orig).__name__)
                    return False
                time.sleep(0.05 * number)
            except Exception:
                log.exception("Pushes of connection %r are lost", conn_id)
                return False
            else:
                return True
        return False
