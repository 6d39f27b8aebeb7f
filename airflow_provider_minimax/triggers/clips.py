"""
The trigger behind an ``AssetWatcher``: an event for each clip that has ended, where no platform can post to Airflow.

It asks the platform's list, which MiniMax has for H3 only. What it has announced is kept in Airflow's asset state
store, so that a restarted triggerer goes on from there, and repeats an event only if it may not have been stored.

Airflow stores the event and this record of it separately, and triggers cannot read which events there are. So one of
the two has to come first. The event does: an event that is repeated can be recognized, and one that is lost cannot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_minimax.exceptions import MinimaxError, MinimaxRequestError
from airflow_provider_minimax.options import seconds

if TYPE_CHECKING:
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

KEY = "watched-clips"
KINDS = ("generation", "regeneration")
"""What the API calls the tasks that make clips."""
PAGE_SIZE = 50
MOST_PAGES = 100
LISTED_WITHIN = 600.0
"""Seconds after which a task is surely in the platform's list."""
LISTED_FOR = 7 * 24 * 3600.0
"""Seconds for which MiniMax lists a task."""
STORED_WITHIN = 5.0
"""Seconds within which a trigger's events are sent to be stored; a triggerer does that once a second."""


@dataclass(frozen=True, slots=True)
class Progress:
    """
    What has been announced.

    :param since: all tasks that were made before this time are done with; in seconds since 1970.
    :param announced: the ids of later tasks whose events are stored.
    :param announcing: the ids of those whose events may be stored.
    """

    since: float
    announced: tuple[str, ...] = ()
    announcing: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Any) -> Progress | None:
        """
        Read it from the store.

        :param value: anything.
        :return: ``None`` for what is none.
        """
        try:
            return cls(float(value["since"]), *(tuple(map(str, value[name])) for name in ("announced", "announcing")))
        except (KeyError, TypeError, ValueError):
            return None

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self) | {"announced": list(self.announced), "announcing": list(self.announcing)}

    def news(self, tasks: Iterable[VideoTask]) -> list[VideoTask]:
        """Return the tasks that have ended and were not announced, the oldest first."""
        ended = {task.minimax_task_id: task for task in tasks if task.is_over}
        return sorted(
            (task for name, task in ended.items() if name not in self.announced and self._made_at(task) >= self.since),
            key=self._made_at,
        )

    def after(self, tasks: Iterable[VideoTask], now: float) -> Progress:
        """Return what is announced once all news of these tasks are."""
        tasks = list(tasks)
        pending = [self._made_at(task) for task in tasks if not task.is_over]
        since = max(self.since, min([*pending, now - LISTED_WITHIN]), now - LISTED_FOR)
        if since < self.since + LISTED_WITHIN:
            # In steps, so that not every reading of the list writes.
            since = self.since
        later = {task.minimax_task_id for task in tasks if task.is_over and self._made_at(task) >= since}
        return Progress(since, tuple(sorted(later)))

    def _made_at(self, task: VideoTask) -> float:
        # One of which that is unknown has to be announced some time too.
        return task.created_at.timestamp() if task.created_at else self.since


class MinimaxClipsTrigger(BaseEventTrigger):
    """
    Watch a connection's clips of H3, and send an event for each one that ends.

    For an :class:`~airflow.sdk.AssetWatcher`; an asset needs a watcher of its own. The asset event's ``extra`` has it
    under ``payload``: ``minimax_task_id``, ``status``, ``state`` and ``minimax_conn_id``, and no URL. If a triggerer is
    killed within some five seconds after an event, the event is sent again, with ``may_be_repeated``: for each clip
    there is one event without that mark at most.

    Tasks that have ended before the watcher runs for the first time are left out. Needs Airflow 3.3 or later.

    :param minimax_conn_id: the connection; MiniMax itself, as gateways have no list.
    :param poll_interval: seconds between two readings of the list, more than 0.
    :param model: which model's clips; all by default.
    :raises MinimaxRequestError: ``poll_interval`` is not more than 0, or this Airflow is too old.
    """

    def __init__(
        self, minimax_conn_id: str = "minimax_default", poll_interval: float = 30.0, model: str | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.minimax_conn_id = minimax_conn_id
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.model = model
        if not hasattr(self, "asset_state_store"):
            raise MinimaxRequestError(
                "MinimaxClipsTrigger: needs Airflow 3.3 or later, which has a store for what was announced",
                hint="Schedule the DAG on the assets of the tasks that deliver the clips.",
            )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the keyword arguments to build this trigger again."""
        names = ("minimax_conn_id", "poll_interval", "model")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Read the list as long as the watcher lives."""
        from airflow_provider_minimax.triggers.shared_poller import get_shared_poller

        said = ""
        async with get_shared_poller(self.minimax_conn_id) as poller:
            while True:
                try:
                    async for event in self._news(poller.hook):
                        yield event
                    said = ""
                except MinimaxError as error:
                    if str(error) != said:
                        said = str(error)
                        await asyncio.to_thread(self.log.warning, "The list of clips cannot be read: %s", said)
                await asyncio.sleep(self.poll_interval)

    async def _news(self, hook: MinimaxHook) -> AsyncIterator[TriggerEvent]:
        """Send an event for each task that has ended since the last time."""
        # Read each time: a triggerer that stood still may not be the only one any more.
        stored = await self._store.aget(KEY)
        known = Progress.from_json(stored)
        tasks = await self._listed(hook, known.since if known else 0.0)
        if known is None:
            await self._store.aset(KEY, Progress(0.0).after(tasks, time.time()).as_json())
            return
        if news := known.news(tasks):
            names = tuple(task.minimax_task_id for task in news)
            stored = Progress(known.since, known.announced, names).as_json()
            await self._store.aset(KEY, stored)
            for task in news:
                yield TriggerEvent(self._payload(task, may_be_repeated=task.minimax_task_id in known.announcing))  # type: ignore[no-untyped-call]
            await asyncio.sleep(STORED_WITHIN)
            # A triggerer stores the events it was sent before it reads what is asked after its answer to this.
            if await self._store.aget(KEY) != stored:
                # Another triggerer goes on with the list, and knows more.
                return
        following = known.after(tasks, time.time()).as_json()
        if following != stored:
            await self._store.aset(KEY, following)

    @property
    def _store(self) -> Any:
        return self.asset_state_store

    def _payload(self, task: VideoTask, *, may_be_repeated: bool) -> dict[str, Any]:
        payload = {
            "minimax_task_id": task.minimax_task_id,
            "status": task.status,
            "state": str(task.state),
            "minimax_conn_id": self.minimax_conn_id,
        }
        return payload | ({"may_be_repeated": True} if may_be_repeated else {})

    async def _listed(self, hook: MinimaxHook, since: float) -> list[VideoTask]:
        """Return all tasks since a time, and some older ones."""
        return [task for kind in KINDS for task in await self._listed_of(hook, kind, since)]

    async def _listed_of(self, hook: MinimaxHook, kind: str, since: float) -> list[VideoTask]:
        found: list[VideoTask] = []
        for number in range(1, MOST_PAGES + 1):
            client = await hook.clients.aget()
            page = await client.list_tasks("v2", model=self.model, page=number, page_size=PAGE_SIZE, task_type=kind)
            found += page.tasks
            if not page.tasks or (page.total is not None and len(found) >= page.total):
                break
            if all(task.created_at and task.created_at.timestamp() < since for task in page.tasks):
                break
        return found
