"""
The hub: one poller for all triggers of an event loop that wait through the same connection.

A trigger hands in a look that it wants at some later moment, and awaits its answer. The hub sends what is due, a few at
a time and over connections that stay open; while the platform has asked for a pause, only the last look of those whose
time is over. It holds no thread, no lock and no task of its own while nothing is due; what to make of an answer is left
to the trigger.
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
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.message import NO_SUCH_CALL
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

if TYPE_CHECKING:
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

# Looks that are due at nearly the same time share one wake-up of the loop, which costs about as much as a look.
TICK = 0.1
# As many at most begin to be sent at once, and as many more a tick later if some still wait: answers that come together
# are read in one turn of the loop, which nobody else has meanwhile.
BURST = 8
# How long all wait after a refusal that names no time.
COOL_DOWN = 5.0
# How long a list that a connection's address does not have is not asked for: a platform may answer so once by mistake.
NO_LIST_FOR = 600.0
# After so many lists in a row that failed, one task is asked for by itself, to see whether only the list fails.
LISTS_FAILED = 3

Again = Callable[[VideoTask, float], float | None]


@dataclass(slots=True, eq=False)
class _PendingPoll:
    """
    A look that somebody waits for.

    :param due: when to send it, on the loop's clock.
    :param latest: when its answer is no longer waited for.
    :param minimax_task_id: the remote task.
    :param api_version: which version of MiniMax's API knows it; ``None`` until an answer tells.
    :param again: asked of each answer after how many seconds to look again, or ``None`` to hand the answer over.
    :param answer: what was seen, once it is known; cancelled with the trigger that awaits it.
    :param seen: what was seen last.
    """

    due: float
    latest: float
    minimax_task_id: str
    api_version: str | None
    again: Again | None
    answer: asyncio.Future[VideoTask]
    seen: VideoTask | None = None

    def fail(self, error: Exception) -> None:
        """Tell whoever waits for the answer, if anybody still does, why there is none."""
        if not self.answer.done():
            if isinstance(error, MinimaxError):
                # One refusal is told to many, and may have come for another's task.
                error.minimax_task_id = self.minimax_task_id
            self.answer.set_exception(error)


class SharedPoller:
    """
    Looks at remote tasks for many who wait, on the event loop that it was made on.

    Made and found by :func:`poller_for`; used between entering and leaving it (``async with``).

    :param hook: the connection to look through; closed with the hub.
    """

    log: BackgroundLog
    """Where those who wait have their lines written."""

    def __init__(self, hook: MinimaxHook) -> None:
        self.hook = hook
        self.log = BackgroundLog()
        self._users = 0
        self._loop = asyncio.get_running_loop()
        # Looks that are not due, by when they are; and these times, the next one first.
        self._later: dict[float, list[_PendingPoll]] = {}
        self._dues: list[float] = []
        self._now: deque[_PendingPoll] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._senders: set[asyncio.Task[None]] = set()
        self._resume = 0.0
        # Where a list of tasks was answered; where there was none, and until when not to ask for it there.
        self._with_list: Endpoint | None = None
        self._without_list: tuple[Endpoint, float] | None = None
        self._is_listing = False
        self._lists_failed = 0
        self.pushes = PushReader(hook.minimax_conn_id, self.poll_now)

    async def look(
        self,
        minimax_task_id: str,
        api_version: str | None = None,
        *,
        after: float,
        patience: float,
        again: Again | None = None,
    ) -> VideoTask:
        """
        Look at a task some time from now, once or as long as there is nothing new.

        :param minimax_task_id: the remote task.
        :param api_version: which version of MiniMax's API knows it; ``None`` to find out.
        :param after: seconds to wait first, to the nearest tenth of a second if they are one or more.
        :param patience: seconds after which an answer is of no use: the last look is then, also in a pause which the
            platform asked for.
        :param again: called with each task that was seen and the time in epoch seconds; returns the seconds after which
            to look again, or ``None`` if that is to be handed to the caller. Waking one of many for an answer costs
            about as much as getting it.
        :return: what was seen.
        :raises MinimaxError: the look failed, or the connection could not be looked up.
        """
        try:
            async with asyncio.timeout(max(patience, 0.0) + LAST_ANSWER):
                return await self._answer(minimax_task_id, api_version, after, patience, again)
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
                    self._put_off(poll)
                    self._set_timer(due)

    async def _answer(
        self, minimax_task_id: str, api_version: str | None, after: float, patience: float, again: Again | None
    ) -> VideoTask:
        start = self._loop.time()
        due, latest = self._due(start, after, start + patience), start + patience
        try:
            endpoint = await self.hook.aendpoint()
        except Exception:
            # Nothing was asked; the next try of that is as far away as the next look.
            await asyncio.sleep(start + after - self._loop.time())
            raise
        try:
            return await self._queued(minimax_task_id, api_version, due, latest, again)
        except MinimaxAuthError:
            if not await self.hook.areload_after(endpoint):
                raise
            due = self._due(self._loop.time(), 0.0, latest)
            return await self._queued(minimax_task_id, api_version, due, latest, again)

    def _queued(
        self, minimax_task_id: str, api_version: str | None, due: float, latest: float, again: Again | None
    ) -> asyncio.Future[VideoTask]:
        look = _PendingPoll(due, latest, minimax_task_id, api_version, again, self._loop.create_future())
        self._put_off(look)
        self._set_timer(look.due)
        return look.answer

    def _due(self, start: float, after: float, latest: float) -> float:
        """Return when to send a poll: not before the end of a pause, and together with others that are due by then."""
        due = start + after
        if after >= 1:
            tick = _tick(after)
            due = round(due / tick) * tick
        elif after > 0:
            due = math.ceil(due / TICK) * TICK
        return max(due, min(self._resume, latest))

    def _put_off(self, look: _PendingPoll) -> None:
        looks = self._later.get(look.due)
        if looks is None:
            self._later[look.due] = [look]
            heapq.heappush(self._dues, look.due)
        else:
            looks.append(look)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        # A context of its own: what is logged on the way, such as httpx's line a request, is for no one trigger's log.
        self._timer = self._loop.call_at(due, self._wake, context=Context())

    def _wake(self) -> None:
        """Send what is due; the rest is for the next time."""
        self._timer = None
        now = self._loop.time() + 0.001
        while self._dues and self._dues[0] <= now:
            for look in self._later.pop(heapq.heappop(self._dues)):
                if not look.answer.done():
                    self._now.append(look)
        self._begin_to_send()
        if self._now and len(self._senders) < self.hook.max_in_flight:
            self._set_timer(now + TICK)
        if self._dues:
            self._set_timer(self._dues[0])

    def _begin_to_send(self) -> None:
        """Begin with a few of the requests that are due; who sends one goes on with the next."""
        for _ in range(min(BURST, self.hook.max_in_flight - len(self._senders))):
            if not self._now:
                return
            self._senders.add(self._loop.create_task(self._send(self._next_page())))

    async def _send(self, page: list[_PendingPoll]) -> None:
        try:
            while True:
                for look in await self._not_listed(page) if len(page) > 1 else page:
                    await self._ask(look)
                if not self._now:
                    return
                page = self._next_page()
        finally:
            # Not in a callback, which would come after a look that is due by then had counted on this sender.
            self._senders.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _next_page(self) -> list[_PendingPoll]:
        """Take the next look, and those behind it that one request can ask for too."""
        page = [self._now.popleft()]
        api_version = page[0].api_version
        room = self.hook.page_size(api_version) if self._may_ask_for_list() else 1
        while len(page) < room and self._now and self._now[0].api_version == api_version:
            page.append(self._now.popleft())
        self._is_listing = self._is_listing or len(page) > 1
        return page

    def _may_ask_for_list(self) -> bool:
        """Whether there may be a list; as long as nobody knows, one request at a time finds that out."""
        where = self.hook.known_endpoint
        if self._without_list is not None:
            without, until = self._without_list
            if where == without and self._loop.time() < until:
                return False
        return where == self._with_list or not self._is_listing

    def _tell(self, look: _PendingPoll, seen: VideoTask) -> None:
        """Hand an answer over, or look again later if the one who waits has no use for it."""
        if look.answer.done():
            return
        look.api_version, look.seen = seen.api_version, seen
        after = look.again(seen, time.time()) if look.again else None
        if after is None:
            look.answer.set_result(seen)
        else:
            look.due = self._due(self._loop.time(), after, look.latest)
            self._put_off(look)
            self._set_timer(look.due)

    async def _ask(self, look: _PendingPoll) -> bool:
        """Look at one task; return whether it was seen."""
        if look.answer.done():
            return False
        try:
            seen = await self.hook.aget_task(look.minimax_task_id, api_version=look.api_version, retries=0)
            self._tell(look, seen)
            return True
        except Exception as error:
            # Whatever it is, it is for the one who waits for this task to judge, and touches no other.
            if isinstance(error, MinimaxRateLimitError):
                self._pause(error)
            look.fail(error)
            return False

    async def _not_listed(self, page: list[_PendingPoll]) -> list[_PendingPoll]:
        """Look at a page of tasks with one request; return those that have to be looked at one by one."""
        try:
            ids = [look.minimax_task_id for look in page]
            # Looks of an unknown version are sent one by one.
            known = {look.minimax_task_id: look.seen for look in page if look.seen is not None}
            seen = await self.hook.aget_tasks(ids, api_version=str(page[0].api_version), known=known)
        except Exception as error:
            self._is_listing = False
            if not isinstance(error, MinimaxError) or error.is_final or _is_no_list(error):
                # A single task may have spoilt the page; asked for alone, each is told what is its own. Nor is an
                # answer that cannot be read any better the next time.
                if isinstance(error, MinimaxError) and _is_no_list(error):
                    self._remember_no_list()
                    return page
                if all([await self._ask(look) for look in page]):
                    # None of them has spoilt it.
                    self._remember_no_list()
                return []
            if isinstance(error, MinimaxRateLimitError):
                self._pause(error)
            else:
                self._lists_failed += 1
                if self._lists_failed >= LISTS_FAILED and await self._ask(page.pop(0)):
                    self._remember_no_list()
                    return page
            for look in page:
                look.fail(copy.copy(error))
            return []
        self._is_listing, self._with_list, self._lists_failed = False, self.hook.known_endpoint, 0
        for look in page:
            if look.minimax_task_id in seen:
                self._tell(look, seen[look.minimax_task_id])
        return [look for look in page if look.minimax_task_id not in seen]

    def _remember_no_list(self) -> None:
        """Ask for tasks one by one for a while: gateways leave the list out."""
        self._with_list, self._lists_failed = None, 0
        if (where := self.hook.known_endpoint) is not None:
            self._without_list = where, self._loop.time() + NO_LIST_FOR

    def _pause(self, refusal: MinimaxRateLimitError) -> None:
        """Put off all looks by as long as the platform asked for, so that they stay as spread as they were."""
        now = self._loop.time()
        resume = now + (COOL_DOWN if refusal.retry_after is None else refusal.retry_after)
        longer = resume - max(self._resume, now)
        if longer <= 0:
            return
        self._resume = resume
        looks = [*chain.from_iterable(self._later.values()), *self._now]
        self._later, self._dues = {}, []
        self._now.clear()
        for look in looks:
            if look.due < resume:
                look.due = max(look.due, min(max(look.due + longer, resume), look.latest))
            self._put_off(look)
        if looks:
            self._set_timer(self._dues[0])

    async def __aenter__(self) -> SharedPoller:
        self._users += 1
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._users -= 1
        if not self._users:
            del _hubs[self._loop][self.hook.minimax_conn_id]
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


def _is_no_list(error: MinimaxError) -> bool:
    """Whether there is no list at an address: no such call, a redirect to elsewhere, or a page for people."""
    status = error.http_status or 0
    return status in NO_SUCH_CALL or status == HTTPStatus.OK or 300 <= status < 400


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedPoller]] = WeakKeyDictionary()


def poller_for(minimax_conn_id: str, open_hook: Callable[[str], MinimaxHook]) -> SharedPoller:
    """
    Return the hub that all users of a connection on this event loop share, to be entered at once (``async with``).

    The last one to leave it closes it.

    :param minimax_conn_id: the connection.
    :param open_hook: makes the hook that they share.
    """
    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    if minimax_conn_id not in hubs:
        hubs[minimax_conn_id] = SharedPoller(open_hook(minimax_conn_id))
    return hubs[minimax_conn_id]
