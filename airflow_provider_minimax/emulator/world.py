"""The emulator's state: settings, jobs, purchases, faults, and the journal of requests.

It is used only from the server's event loop, so it needs no locks.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from airflow_provider_minimax.emulator.callbacks import Update, report
from airflow_provider_minimax.emulator.contract import Order, list_price
from airflow_provider_minimax.emulator.contract_v2 import FileKind
from airflow_provider_minimax.emulator.faults import Fault
from airflow_provider_minimax.emulator.jobs import ENDS, Job, Sight, poll
from airflow_provider_minimax.emulator.links import Link
from airflow_provider_minimax.emulator.refusals import UnknownTask
from airflow_provider_minimax.emulator.settings import FOR_EVER, SEVEN_DAYS, Settings, State

LONGEST_JOURNAL = 20_000
MOST_REPORTS = 1_000
"""How many jobs can have their changes sent at once; further jobs send none."""
DATA_URL = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,", re.ASCII)


@dataclass(frozen=True)
class Upload:
    """A file that an account uploaded."""

    file_id: str
    platform: str
    filename: str
    kind: FileKind
    bytes: int
    digest: str
    time: float = field(default_factory=time.time)

    def as_dict(self) -> dict[str, Any]:
        """Return the upload as the control endpoint shows it."""
        return asdict(self)


class World:
    """The emulator's state."""

    def __init__(self, settings: Settings, film: bytes | None = None) -> None:
        self._initial_settings, self._initial_film = settings, film
        self.settings, self.film = settings, film
        self.jobs: dict[str, Job] = {}
        self.purchases: list[dict[str, Any]] = []
        self.removals: list[dict[str, Any]] = []
        self.uploads: dict[str, Upload] = {}
        self.faults: list[Fault] = []
        self.journal: deque[dict[str, Any]] = deque(maxlen=LONGEST_JOURNAL)
        self.pushes: deque[dict[str, Any]] = deque(maxlen=LONGEST_JOURNAL)
        self.on_purchase: Callable[[dict[str, Any]], None] = lambda purchase: None
        self._held: set[asyncio.Event] = set()
        self._reports: set[asyncio.Task[None]] = set()
        # Ids grow from one run to the next, so that an old receipt never has the id of a new job.
        self._numbers = itertools.count(time.time_ns() // 1_000_000 * 100)

    def reset(self) -> None:
        """Forget everything, and restore the initial settings."""
        self.settings, self.film = self._initial_settings, self._initial_film
        for memory in (self.jobs, self.purchases, self.removals, self.uploads, self.faults, self.journal, self.pushes):
            memory.clear()
        for under_way in self._reports:
            under_way.cancel()
        self.release()

    def buy(self, platform: str, order: Order, shown_model: str, body: Mapping[str, Any]) -> Job:
        """Make a job and record the purchase."""
        number = next(self._numbers)
        task_id = str(uuid.uuid4()) if platform in ("vtrix", "novita") else str(number)
        job = Job(task_id, str(next(self._numbers)), platform, shown_model, order, self.settings)
        self.jobs[task_id] = job
        purchase = {
            "task_id": task_id,
            "platform": platform,
            "api": order.api,
            "task_type": order.task_type,
            "model": shown_model,
            "mode": order.mode,
            "resolution": order.resolution,
            "duration": order.duration,
            "time": job.made_at,
            "price": list_price(order),
            "charged": True,
            "body": without_files(body),
        }
        self.purchases.append(purchase)
        self.on_purchase(purchase)
        return job

    def report(self, url: str, job: Job, current: Callable[[], Update]) -> None:
        """Send a job's changes to an address, in the background."""
        if len(self._reports) < MOST_REPORTS:

            def note(status: str, answer: int | None) -> None:
                self.pushes.append(
                    {
                        "task_id": job.task_id,
                        "platform": job.platform,
                        "status": status,
                        "time": time.time(),
                        "answer": answer,
                    }
                )

            fault = partial(self.take_fault, "push", job.platform, job.order.prompt, None)
            task = asyncio.create_task(report(url, job, current, fault, note))
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)

    def poll(self, platform: str, task_id: str) -> Sight:
        """Return what a query of this account shows of a task, and count the query."""
        return poll(self.job_of(platform, task_id), self.settings)

    def job_of(self, platform: str, task_id: str, api: str = "v1") -> Job:
        """Return the account's job with this id at one of the APIs."""
        job = self.jobs.get(task_id)
        if job is None or (job.platform, job.order.api) != (platform, api) or job.deleted:
            raise UnknownTask(f"task_id {task_id!r}")
        return job

    def move(self, job: Job, state: State, code: int | None = None) -> None:
        """Put a job into a state in which it stays; a cancelled job costs nothing."""
        job.pin(state, code)
        purchase = next(purchase for purchase in self.purchases if purchase["task_id"] == job.task_id)
        purchase["charged"] = state != "cancelled"

    def remove(self, job: Job) -> str:
        """Cancel a job that has not started, which then costs nothing, or delete the record of one that has ended."""
        action = "deleted" if job.state() in ENDS else "cancelled"
        if action == "deleted":
            job.deleted = True
        else:
            self.move(job, "cancelled")
        self.removals.append({"task_id": job.task_id, "platform": job.platform, "action": action, "time": time.time()})
        return action

    def store(self, platform: str, filename: str, kind: FileKind, content: bytes) -> Upload:
        """Record an account's upload, without its content."""
        file_id, digest = str(next(self._numbers)), hashlib.sha256(content).hexdigest()[:16]
        upload = self.uploads[file_id] = Upload(file_id, platform, filename, kind, len(content), f"sha256:{digest}")
        return upload

    def uploads_of(self, platform: str) -> list[Upload]:
        """Return what an account uploaded in the last seven days."""
        since = time.time() - SEVEN_DAYS
        return [upload for upload in self.uploads.values() if upload.platform == platform and upload.time > since]

    def kind_of_file(self, platform: str, file_id: str) -> FileKind | None:
        """Return the kind of an account's file: an upload of the last seven days, or a finished clip."""
        own = {upload.file_id: upload for upload in self.uploads_of(platform)}
        if file_id in own:
            return own[file_id].kind
        job = self.job_of_file(file_id)
        return "video" if job is not None and job.platform == platform and job.state() == "success" else None

    def balance_left(self, platform: str) -> float | None:
        """Return what is left of the account's balance, in its own currency; None if it is unlimited."""
        if self.settings.balance is None:
            return None
        bought = [one["price"] for one in self.purchases if one["platform"] == platform and one["charged"]]
        return self.settings.balance - sum(_in_currency_of(platform, price) for price in bought)

    def can_pay(self, platform: str, order: Order) -> bool:
        """Return whether the balance covers the list price; an empty account can buy nothing."""
        left = self.balance_left(platform)
        return left is None or 0 < left >= _in_currency_of(platform, list_price(order))

    def job_of_file(self, file_id: str) -> Job | None:
        """Return the job whose clip has this file id."""
        return next((job for job in self.jobs.values() if job.file_id == file_id), None)

    def job_named_in(self, words: Container[str]) -> Job | None:
        """Return the job whose id, or whose file's id, is among these words."""
        return next((job for job in self.jobs.values() if job.task_id in words or job.file_id in words), None)

    def replace_clips(self) -> None:
        """Put other files behind the links, as if each clip had been rendered again."""
        self.settings = self.settings.changed({"clip_rendition": self.settings.clip_rendition + 1})

    def take_fault(self, operation: str, platform: str | None, subject: str, link: Link | None) -> Fault | None:
        """Return the fault that applies to this request, and count it; None if there is none."""
        for fault in self.faults:
            if not fault.concerns(operation, platform, subject, link):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times != FOR_EVER:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
            return fault
        return None

    async def pause(self, seconds: float | None) -> None:
        """Wait for some seconds (None: without limit) or until held responses are released."""
        released = asyncio.Event()
        self._held.add(released)
        try:
            await asyncio.wait_for(released.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            self._held.discard(released)

    def release(self) -> int:
        """Release all held responses, and return how many they were."""
        for released in self._held:
            released.set()
        return len(self._held)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as the control endpoint shows it."""
        return {
            "settings": self.settings.model_dump(),
            "film_bytes": None if self.film is None else len(self.film),
            "purchase_count": len(self.purchases),
            "purchases": self.purchases,
            "removals": self.removals,
            "uploads": [upload.as_dict() for upload in self.uploads.values()],
            "jobs": [job.as_dict() for job in self.jobs.values()],
            "requests": list(self.journal),
            "pushes": list(self.pushes),
            "faults": [fault.model_dump() for fault in self.faults],
            "held": len(self._held),
        }


def _in_currency_of(platform: str, price: Mapping[str, float] | None) -> float:
    return (price or {}).get("cny" if platform == "minimax-cn" else "usd", 0.0)


def without_files(value: Any) -> Any:
    """Return a request body with each data URL replaced by a short digest of its file."""
    if isinstance(value, Mapping):
        return {name: without_files(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_files(part) for part in value]
    if isinstance(value, str) and (start := DATA_URL.match(value)):
        content = base64.b64decode(value[start.end() :])
        return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"
    return value
