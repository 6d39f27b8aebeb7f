"""
One poller for all triggers of an event loop that wait through the same connection.

A trigger asks for a poll at some later moment, and awaits its answer. The shared poller sends what is due, a few
requests at a time and over connections that stay open. While the platform has asked for a pause, it sends only the last
polls of those whose time is over. It holds no thread, lock or task while nothing is due. What an answer means is for
the trigger to decide.
"""

from __future__ import annotations

import asyncio
import copy
import heapq
import math
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from airflow_provider_minimax.api.task import VideoTask
from airflow_provider_minimax.callbacks.reader import PushReader
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.polling.background_log import BackgroundLog
from airflow_provider_minimax.polling.cancel import shielded
from airflow_provider_minimax.polling.poller import LAST_ANSWER
from airflow_provider_minimax.polling.task_lists import TaskLists, is_missing

if TYPE_CHECKING:
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

# Polls that are due at nearly the same time share one wake-up of the loop, which costs about as much as a poll.
TICK = 0.1
# At most so many requests start at once, and so many more a tick later if some still wait: answers that arrive together
# are read in one go, and nothing else runs on the loop meanwhile.
BURST = 8
# How long everybody waits after a refusal that names no time.
COOL_DOWN = 5.0

Reschedule = Callable[[VideoTask, float], float | None]


@dataclass(slots=True, eq=False)
class _PendingPoll:
    """
    A poll that somebody waits for.

    :param due: when to send it, on the loop's clock.
    :param latest: when its answer is no longer waited for.
    :param minimax_task_id: the remote task.
    :param api_version: which version of MiniMax's API knows it; ``None`` until an answer says so.
    :param reschedule: asked of each answer after how many seconds to poll again; ``None`` delivers the answer.
    :param answer: the task as it was seen; cancelled with the trigger that awaits it.
    :param seen: the task as it was last seen.
    """

    due: float
    latest: float
    minimax_task_id: str
    api_version: str | None
    reschedule: Reschedule | None
    answer: asyncio.Future[VideoTask]
    seen: VideoTask | None = None

    def fail(self, error: Exception) -> None:
        """Raise an error where the answer is still awaited."""
        if not self.answer.done():
            if isinstance(error, MinimaxError):
                # One refusal goes to many, and may have come for another's task.
                error.minimax_task_id = self.minimax_task_id
            self.answer.set_exception(error)


class SharedPoller:
    """
    Polls remote tasks for many who wait, on the event loop that it was made on.

    Made and found by :func:`get_shared_poller`; used between entering and leaving it (``async with``).

    :param hook: the connection to poll through; closed with the poller.
    """

    log: BackgroundLog
    """Where those who wait have their lines written."""

    def __init__(self, hook: MinimaxHook) -> None:
        self.hook = hook
        self.log = BackgroundLog()
        self._users = 0
        self._loop = asyncio.get_running_loop()
        # Polls that are not due yet, by when they are; and these times, the next one first.
        self._later: dict[float, list[_PendingPoll]] = {}
        self._dues: list[float] = []
        self._now: deque[_PendingPoll] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._senders: set[asyncio.Task[None]] = set()
        self._resume = 0.0
        self._lists = TaskLists()
        self.pushes = PushReader(hook.minimax_conn_id, self.poll_now)

    async def poll(
        self,
        minimax_task_id: str,
        api_version: str | None = None,
        *,
        after: float,
        within: float,
        reschedule: Reschedule | None = None,
    ) -> VideoTask:
        """
        Poll a task some time from now, once or as long as there is nothing new.

        :param minimax_task_id: the remote task.
        :param api_version: which version of MiniMax's API knows it; ``None`` to find out.
        :param after: seconds to wait first. They are rounded to a tick of a tenth of a second, or more for longer
            waits, so that polls share a request.
        :param within: seconds after which an answer is of no use. The last poll is sent then, even in a pause that the
            platform asked for.
        :param reschedule: called with the task as it was seen and the time in epoch seconds; returns the seconds until
            the next poll, or ``None`` to return the task to the caller. Waking one of many for an answer costs about as
            much as getting it.
        :return: the task as it was seen.
        :raises MinimaxError: the poll failed, or the connection could not be looked up.
        """
        try:
            async with asyncio.timeout(max(within, 0.0) + LAST_ANSWER):
                return await self._answer(minimax_task_id, api_version, after, within, reschedule)
        except TimeoutError as error:
            raise MinimaxUnavailableError("no whole answer came within the time allowed") from error

    def poll_now(self, *minimax_task_ids: str) -> None:
        """
        Bring forward the next poll of some tasks, because something suggests that their status has changed.

        It is only a hint: a pause that the platform asked for is kept, and a task that nobody waits for here, or whose
        poll is already being sent, is left alone.

        :param minimax_task_ids: the remote tasks.
        """
        hinted, now = frozenset(minimax_task_ids), self._loop.time()
        for polls in list(self._later.values()):
            for poll in [poll for poll in polls if poll.minimax_task_id in hinted]:
                due = self._due(now, 0.0, poll.latest)
                if due < poll.due:
                    polls.remove(poll)
                    poll.due = due
                    self._enqueue(poll)
                    self._set_timer(due)

    async def _answer(
        self, minimax_task_id: str, api_version: str | None, after: float, within: float, reschedule: Reschedule | None
    ) -> VideoTask:
        start = self._loop.time()
        due, latest = self._due(start, after, start + within), start + within
        try:
            endpoint = await self.hook.clients.aendpoint()
        except Exception:
            # Nothing was asked; the next lookup is as far away as the next poll.
            await asyncio.sleep(start + after - self._loop.time())
            raise
        try:
            return await self._queued(minimax_task_id, api_version, due, latest, reschedule)
        except MinimaxAuthError:
            if not await self.hook.clients.areload_after(endpoint):
                raise
            due = self._due(self._loop.time(), 0.0, latest)
            return await self._queued(minimax_task_id, api_version, due, latest, reschedule)

    def _queued(
        self, minimax_task_id: str, api_version: str | None, due: float, latest: float, reschedule: Reschedule | None
    ) -> asyncio.Future[VideoTask]:
        poll = _PendingPoll(due, latest, minimax_task_id, api_version, reschedule, self._loop.create_future())
        self._enqueue(poll)
        self._set_timer(poll.due)
        return poll.answer

    def _due(self, start: float, after: float, latest: float) -> float:
        """Return when to send a poll: not before the end of a pause, and together with others that are due by then."""
        due = start + after
        if after >= 1:
            tick = _tick(after)
            due = round(due / tick) * tick
        elif after > 0:
            due = math.ceil(due / TICK) * TICK
        return max(due, min(self._resume, latest))

    def _enqueue(self, poll: _PendingPoll) -> None:
        polls = self._later.get(poll.due)
        if polls is None:
            self._later[poll.due] = [poll]
            heapq.heappush(self._dues, poll.due)
        else:
            polls.append(poll)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        # A context of its own: what is logged on the way, such as httpx's line a request, belongs in no trigger's log.
        self._timer = self._loop.call_at(due, self._wake, context=Context())

    def _wake(self) -> None:
        """Send what is due; the rest is for the next time."""
        self._timer = None
        now = self._loop.time() + 0.001
        while self._dues and self._dues[0] <= now:
            self._now.extend(poll for poll in self._later.pop(heapq.heappop(self._dues)) if not poll.answer.done())
        self._start_sending()
        if self._now and len(self._senders) < self.hook.clients.max_in_flight:
            self._set_timer(now + TICK)
        if self._dues:
            self._set_timer(self._dues[0])

    def _start_sending(self) -> None:
        """Start a few of the requests that are due; each sender goes on with the next."""
        for _ in range(min(BURST, self.hook.clients.max_in_flight - len(self._senders))):
            if not self._now:
                return
            self._senders.add(self._loop.create_task(self._send(self._next_page())))

    async def _send(self, page: list[_PendingPoll]) -> None:
        try:
            while True:
                for poll in await self._poll_page(page) if len(page) > 1 else page:
                    await self._poll_one(poll)
                if not self._now:
                    return
                page = self._next_page()
        finally:
            # Not in a callback, which would come after a poll that is due by then had counted on this sender.
            self._senders.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _next_page(self) -> list[_PendingPoll]:
        """Take the next poll, and those behind it that fit into the same request."""
        page = [self._now.popleft()]
        api_version = page[0].api_version
        may_ask = self._lists.may_ask(self.hook.clients.known_endpoint, self._loop.time())
        room = self.hook.clients.page_size(api_version) if may_ask else 1
        while len(page) < room and self._now and self._now[0].api_version == api_version:
            page.append(self._now.popleft())
        if len(page) > 1:
            self._lists.asking()
        return page

    def _deliver(self, poll: _PendingPoll, seen: VideoTask) -> None:
        """Deliver an answer, or poll again later if the waiting trigger has no use for it."""
        if poll.answer.done():
            return
        poll.api_version, poll.seen = seen.api_version, seen
        after = poll.reschedule(seen, time.time()) if poll.reschedule else None
        if after is None:
            poll.answer.set_result(seen)
        else:
            poll.due = self._due(self._loop.time(), after, poll.latest)
            self._enqueue(poll)
            self._set_timer(poll.due)

    async def _poll_one(self, poll: _PendingPoll) -> bool:
        """Poll one task; return whether it was seen."""
        if poll.answer.done():
            return False
        try:
            seen = await self.hook.aget_task(poll.minimax_task_id, api_version=poll.api_version, retries=0)
            self._deliver(poll, seen)
            return True
        except Exception as error:
            # Whatever it is, it concerns the trigger that waits for this task, and no other.
            if isinstance(error, MinimaxRateLimitError):
                self._pause(error)
            poll.fail(error)
            return False

    async def _poll_page(self, page: list[_PendingPoll]) -> list[_PendingPoll]:
        """Poll several tasks with one request; return those that have to be polled one by one."""
        try:
            ids = [poll.minimax_task_id for poll in page]
            known = {poll.minimax_task_id: poll.seen for poll in page if poll.seen is not None}
            # Polls of an unknown version are sent one by one.
            seen = await self.hook.aget_tasks(ids, api_version=str(page[0].api_version), known=known)
        except Exception as error:
            self._lists.not_answered()
            return await self._after_failed_page(page, error)
        self._lists.answered(self.hook.clients.known_endpoint)
        for poll in page:
            if poll.minimax_task_id in seen:
                self._deliver(poll, seen[poll.minimax_task_id])
        return [poll for poll in page if poll.minimax_task_id not in seen]

    async def _after_failed_page(self, page: list[_PendingPoll], error: Exception) -> list[_PendingPoll]:
        """Decide what a page that failed means for its tasks; return those that have to be polled one by one."""
        if isinstance(error, MinimaxError) and is_missing(error):
            self._list_is_missing()
            return page
        if not isinstance(error, MinimaxError) or error.is_final:
            # A single task may have spoilt the page; polled alone, each gets its own error.
            if all([await self._poll_one(poll) for poll in page]):
                self._list_is_missing()
            return []
        if isinstance(error, MinimaxRateLimitError):
            self._pause(error)
        elif self._lists.failed() and await self._poll_one(page.pop(0)):
            self._list_is_missing()
            return page
        for poll in page:
            poll.fail(copy.copy(error))
        return []

    def _list_is_missing(self) -> None:
        self._lists.missing(self.hook.clients.known_endpoint, self._loop.time())

    def _pause(self, refusal: MinimaxRateLimitError) -> None:
        """Postpone all polls by as long as the platform asked for, so that they stay as spread as they were."""
        now = self._loop.time()
        resume = now + (COOL_DOWN if refusal.retry_after is None else refusal.retry_after)
        longer = resume - max(self._resume, now)
        if longer <= 0:
            return
        self._resume = resume
        polls = [*chain.from_iterable(self._later.values()), *self._now]
        self._later, self._dues = {}, []
        self._now.clear()
        for poll in polls:
            if poll.due < resume:
                poll.due = max(poll.due, min(max(poll.due + longer, resume), poll.latest))
            self._enqueue(poll)
        if polls:
            self._set_timer(self._dues[0])

    async def __aenter__(self) -> SharedPoller:
        self._users += 1
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._users -= 1
        if not self._users:
            del _pollers[self._loop][self.hook.minimax_conn_id]
            cancelled = await shielded(self._aclose())
            if cancelled and kind is not asyncio.CancelledError:
                raise cancelled

    async def _aclose(self) -> None:
        """Stop sending, and close the connection's client."""
        if self._timer is not None:
            self._timer.cancel()
        senders = list(self._senders)
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        await self.hook.aclose()


def _tick(after: float) -> float:
    """Return a twentieth of a wait at most: each tick is twice the one before, so that those of all waits coincide."""
    return float(TICK * 2 ** (int(after) >> 2).bit_length())


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedPoller]] = WeakKeyDictionary()


def poller_for(minimax_conn_id: str, open_hook: Callable[[str], MinimaxHook]) -> SharedPoller:
    """
    Return the poller that all users of a connection on this event loop share, to be entered at once (``async with``).

    The last one to leave it closes it.

    :param minimax_conn_id: the connection.
    :param open_hook: makes the hook that they share.
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if minimax_conn_id not in pollers:
        pollers[minimax_conn_id] = SharedPoller(open_hook(minimax_conn_id))
    return pollers[minimax_conn_id]
