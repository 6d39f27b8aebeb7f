"""
Hears of pushes in a triggerer: one reader for all tasks that wait through a connection.

It reads the connection's latest pushes once a second, as long as somebody waits for a task that may be pushed; if each
trigger read them, the triggerer would be busy with nothing else. A push that says that a task is over has the task
polled at once. Nothing else follows from it: what it says is never believed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from itertools import chain

from airflow_provider_minimax.callbacks.address import callback_base_url
from airflow_provider_minimax.callbacks.record import HAS_RECORD, Push, read_recent
from airflow_provider_minimax.exceptions import MinimaxConfigurationError
from airflow_provider_minimax.text.redaction import redact

log = logging.getLogger(__name__)

READ_EVERY = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two readings while the record cannot be read."""
TRUSTED_FOR = 600.0
"""For how many seconds after a push the next ones are relied on."""
ANY_ATTEMPT = "*"
"""In place of a purchase attempt that is not known; no attempt's id has this character."""


def callbacks_are_on() -> bool:
    """Return whether pushes are recorded here, and platforms are given the address to post them to."""
    try:
        return HAS_RECORD and callback_base_url() is not None
    except MinimaxConfigurationError:
        # Nothing is bought with a callback either.
        return False


class PushedTask:
    """
    What pushes say of a remote task that somebody waits for.

    :param minimax_task_id: the remote task.
    :param attempt: the purchase attempt that bought it, or ``ANY_ATTEMPT``.
    :param pushes_arrive: says whether pushes of the connection arrive; by default they are not relied on.
    """

    def __init__(
        self,
        minimax_task_id: str,
        attempt: str,
        pushes_arrive: Callable[[float | None], bool] = lambda pushed_at: False,
    ) -> None:
        self.minimax_task_id = minimax_task_id
        self.attempt = attempt
        self._pushes_arrive = pushes_arrive
        self.pushed_at: float | None = None
        """When the last push of it was seen, on the loop's clock."""
        self.is_over = False
        """Whether a push said that it is over."""
        self.is_polled = False
        """Whether it was polled since then."""

    @property
    def pushes_arrive(self) -> bool:
        """Whether a push of it or of another task of the connection has come lately, so that more can be expected."""
        return self._pushes_arrive(self.pushed_at)

    @property
    def is_due(self) -> bool:
        """Whether it is to be polled because a push said that it is over."""
        return self.is_over and not self.is_polled

    def take(self, push: Push, now: float) -> None:
        """
        Take a push into account, if it is of this task.

        :param push: the push.
        :param now: the time, on the loop's clock.
        """
        if push.minimax_task_id != self.minimax_task_id or self.attempt not in (push.attempt, ANY_ATTEMPT):
            return
        self.pushed_at = now
        if push.is_final:
            self.is_over = True
            # The end that another attempt reported may have been forged, and polled for.
            self.is_polled = False


class PushReader:
    """
    Reads the pushes of a connection on the event loop that it is made on, while a task is followed.

    :param minimax_conn_id: the Airflow connection that buys.
    :param poll_now: has tasks polled that may be over.
    """

    def __init__(self, minimax_conn_id: str, poll_now: Callable[..., None]) -> None:
        self._conn_id = minimax_conn_id
        self._poll_now = poll_now
        self._loop = asyncio.get_running_loop()
        self._followed: defaultdict[str, set[PushedTask]] = defaultdict(set)
        self._latest: frozenset[Push] = frozenset()
        self._pushed_at: float | None = None
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._left = asyncio.Event()

    @contextmanager
    def follow(self, minimax_task_id: str, attempt: str | None) -> Iterator[PushedTask | None]:
        """
        Have a task polled when a push says that it is over, as long as the context lasts.

        :param minimax_task_id: the remote task.
        :param attempt: the id of the attempt that bought it, as the receipt has it; a push of any other is not for it.
            ``ANY_ATTEMPT`` if that is not known: then it is polled as often as without pushes, and at once after one.
            ``None`` if it was bought without a callback.
        :return: a context of what is pushed of the task; of ``None`` where nothing can be.
        """
        if attempt is None or not HAS_RECORD:
            yield None
            return
        task = (
            PushedTask(minimax_task_id, attempt)
            if attempt == ANY_ATTEMPT
            else PushedTask(minimax_task_id, attempt, self._arrive)
        )
        self._followed[minimax_task_id].add(task)
        for push in self._latest:
            task.take(push, self._loop.time())
        self._left.clear()
        if self._reading is None:
            # A context of its own: what it logs is for no one trigger's log.
            self._reading = self._loop.create_task(self._read(), context=Context())
        try:
            yield task
        finally:
            self._followed[minimax_task_id].discard(task)
            if not self._followed[minimax_task_id]:
                del self._followed[minimax_task_id]
            if not self._followed:
                self._left.set()

    def _arrive(self, pushed_at: float | None) -> bool:
        now = self._loop.time()
        if self._read_at is None or now - self._read_at > LONGEST_PAUSE:
            return False
        known = [moment for moment in (pushed_at, self._pushed_at) if moment is not None]
        return bool(known) and now - max(known) < TRUSTED_FOR

    async def _read(self) -> None:
        """Read until nobody follows a task any more."""
        pause = READ_EVERY
        while self._followed:
            try:
                self._note(await read_recent(self._conn_id))
            except Exception as error:
                # Of Airflow's own kinds, by version. Polls go on as usual.
                if pause == READ_EVERY:
                    log.warning(
                        "The pushes of connection %r cannot be read, so its tasks are polled: %s",
                        self._conn_id,
                        redact(f"{type(error).__name__}: {error}"),
                    )
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                pause = READ_EVERY
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._left.wait()
        self._reading = None

    def _note(self, pushes: tuple[Push, ...]) -> None:
        """Take what is new, and have those polled that are said to be over."""
        is_first = self._read_at is None
        self._read_at = self._loop.time()
        latest = frozenset(pushes)
        for push in latest - self._latest:
            age = max(0.0, time.time() - push.at) if is_first else 0.0
            self._pushed_at = max(self._pushed_at or 0.0, self._read_at - age)
            for task in self._followed.get(push.minimax_task_id, ()):
                task.take(push, self._read_at)
        self._latest = latest
        # Again and again, until they are polled: the poll of a task that is followed may not be in the queue yet.
        followed = chain.from_iterable(self._followed.values())
        if over := [task.minimax_task_id for task in followed if task.is_due]:
            self._poll_now(*over)
