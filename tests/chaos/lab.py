"""An errand: one dag run that has a clip made while its processes are killed, and what is known of it later."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from airflow_provider_minimax.emulator.clips import clip_of, film_v2
from tests.chaos.journal import Journal
from tests.standalone.airflow_up import Airflow, Run, until

# How long one errand may take; far more than it does, since many share one machine.
TIMEOUT = 400
# How long a test waits even after that, as some do only then what their errand is about.
AT_LEAST = 90
Plan = dict[str, list[tuple[str, str]]]
RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
# Kinds of clips of H3, one for each errand in turn: none is there twice within the time that a lost answer matters.
KINDS = [
    {"model": model, "resolution": resolution, "duration": duration, "ratio": ratio}
    for model, resolution, shortest in (
        ("MiniMax-H3", "768P", 4),
        ("MiniMax-H3", "2K", 4),
        ("MiniMax-H3-Max", "480P", 5),
    )
    for duration in range(shortest, 16)
    for ratio in RATIOS
]
_kinds = cycle(KINDS)


@dataclass(frozen=True)
class Errand:
    """One dag run, with a prompt of its own by which the emulator's purchases, jobs and faults are told apart."""

    airflow: Airflow
    run: Run
    prompt: str
    folder: Path
    output: Path | None = None
    sent: float = field(default_factory=time.monotonic)

    def until(self, what: str, condition: Callable[[], Any]) -> None:
        try:
            until(what, condition, max(AT_LEAST, self.sent + TIMEOUT - time.monotonic()))
        except AssertionError as error:
            error.add_note(f"Airflow: {self.airflow.condition}")
            raise

    @property
    def purchases(self) -> list[dict[str, Any]]:
        return [item for item in self.airflow.emulator.purchases if self.prompt in prompt_of(item)]

    @property
    def downloads(self) -> list[dict[str, Any]]:
        """The requests for this errand's clips."""
        bought = {item["task_id"] for item in self.purchases}
        files = [job["file_id"] for job in self.airflow.emulator.jobs if job["task_id"] in bought]
        return [
            request
            for request in self.airflow.emulator.requests
            if request["operation"] == "download" and any(file in request["path"] for file in files)
        ]

    @property
    def polls(self) -> list[int]:
        """How often this errand's clips were polled."""
        bought = {item["task_id"] for item in self.purchases}
        return [job["polls"] for job in self.airflow.emulator.jobs if job["task_id"] in bought]

    def journal(self, task: str = "generate") -> Journal:
        return Journal.of(self.folder / f"{task}.journal")

    @property
    def journals(self) -> dict[str, Journal]:
        return {path.stem: Journal.of(path) for path in sorted(self.folder.glob("*.journal"))}

    @property
    def deaths(self) -> list[str]:
        """At which points which tasks were killed."""
        return [f"{task}: {point}" for task, journal in self.journals.items() for point in journal.deaths]

    @property
    def is_alive(self) -> bool:
        """Whether a process of the task runs."""
        return any(psutil.pid_exists(life.pid) for life in self.journal().lives)

    def thaw(self) -> None:
        """Have the first life go on, and its supervisor."""
        process = psutil.Process(self.journal().lives[0].pid)
        for stopped in (process.parent(), process):
            stopped.resume()

    @property
    def clip(self) -> Path:
        return self.output or self.folder / "clip.mp4"

    @property
    def clips(self) -> list[Path]:
        """What is at the clip's place or looks like it."""
        return list(self.clip.parent.glob(f"{self.clip.stem}*.mp4"))

    @property
    def sidecar(self) -> Path:
        return Path(f"{self.clip}.receipt.json")

    @property
    def receipt(self) -> dict[str, Any]:
        return json.loads(self.sidecar.read_text())

    def await_deferral(self, task: str = "generate") -> None:
        """Wait until the task is in the triggerer."""
        self.until(f"{task} is deferred", lambda: self.run.tasks.get(task, {}).get("triggerer_job"))

    def await_watch(self, task: str = "generate") -> None:
        """Wait until the triggerer has seen the clip, so that it has its connection."""
        self.await_deferral(task)
        seen = sum(self.polls)
        self.until(f"the trigger of {task} sees the clip", lambda: sum(self.polls) > seen)

    def await_purchases(self, count: int = 1) -> list[str]:
        """Wait until so many clips were bought; return their ids."""
        self.until(f"{count} purchases", lambda: len(self.purchases) >= count)
        return [item["task_id"] for item in self.purchases]

    def await_end(self) -> None:
        self.until(f"{self.run.path} is over, after {self.deaths}", lambda: self.run.is_over)

    def finish_clips(self) -> None:
        """Let the clips that were held back be ready now."""
        for item in self.purchases:
            self.airflow.emulator.set_job(item["task_id"], "success")

    def hold_back(self) -> int:
        """Keep the clips that were bought so far in the making until :meth:`finish_clips`; return how many."""
        purchases = self.purchases
        for item in purchases:
            self.airflow.emulator.set_job(item["task_id"], "processing")
        return len(purchases)

    def why_not_bought_once(self, purchases: list[dict[str, Any]] | None = None) -> str | None:
        """Return what is wrong unless exactly one clip was bought and reported downstream; else nothing."""
        purchases = self.purchases if purchases is None else purchases
        if len(purchases) != 1:
            return f"{len(purchases)} purchases"
        if self.run.state != "success":
            return f"the run is {self.run.state}"
        reported = self.run.xcoms("generate")["return_value"]["task_id"]
        return None if reported == purchases[0]["task_id"] else f"downstream got {reported}"

    def why_not_delivered_once(self, purchases: list[dict[str, Any]] | None = None) -> str | None:
        """Return what is wrong if not exactly one clip was bought, delivered whole and written down; else nothing."""
        purchases = self.purchases if purchases is None else purchases
        if len(purchases) != 1:
            return f"{len(purchases)} purchases"
        if self.run.state != "success":
            return f"the run is {self.run.state}"
        bought = purchases[0]["task_id"]
        if self.receipt["phase"] != "delivered" or self.receipt["minimax_task_id"] != bought:
            return f"the receipt is {self.receipt}, bought was {bought}"
        if not sha256_of(self.clip) == self.receipt["sha256"] == sha256_of_clip(purchases[0]):
            return "the file is not the clip"
        if (files := self.clips) != [self.clip]:
            return f"there are {files}"
        return None

    def why_not_stopped_in_doubt(
        self, task: str = "generate", purchases: list[dict[str, Any]] | None = None
    ) -> str | None:
        """Return what is wrong unless the run stopped, bought once at most, and its log says so; else nothing."""
        purchases = self.purchases if purchases is None else purchases
        if len(purchases) > 1:
            return f"{len(purchases)} purchases"
        if self.run.state != "failed":
            return f"the run is {self.run.state}"
        if "may have been bought" not in self.run.log(task):
            return f"the log of {task} does not say that a clip may have been bought"
        if files := self.clips:
            return f"there are {files}"
        if self.sidecar.exists() and self.receipt["phase"] != "intent":
            return f"the receipt is {self.receipt}"
        return None


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prompt_of(purchase: dict[str, Any]) -> str:
    """Return the words of what was bought; the second version of the API has them in a list."""
    body = purchase["body"]
    return body["prompt"] if purchase["api"] == "v1" else body["content"][0]["text"]


def sha256_of_clip(purchase: dict[str, Any]) -> str:
    """Return the hash of what the emulator serves for a purchase."""
    shown = None
    if purchase["api"] == "v2":
        shown = film_v2(purchase["resolution"], purchase["duration"], purchase["body"].get("ratio", "16:9"))
    clip = clip_of(purchase["task_id"], None, shown)
    return hashlib.sha256(b"".join(clip.pieces(0, clip.size))).hexdigest()


def send_on_errand(
    airflow: Airflow,
    dag: str,
    plan: Plan | None = None,
    trouble: list[dict[str, Any]] | None = None,
    **conf: Any,
) -> Errand:
    """
    Start a dag run.

    :param dag: which of ``dags/errands.py``.
    :param plan: at which points each task is killed, as ``dags/kill_points.py`` reads it.
    :param trouble: faults of the emulator that only meet this run.
    """
    prompt = conf.pop("prompt", f"A paper boat, errand {uuid4().hex}")
    plan = plan or {}
    if any(death[0] == "answer awaited" for lives in plan.values() for death in lives):
        trouble = [*(trouble or []), {"kind": "hold", "operation": "submit"}]
    for fault in trouble or []:
        airflow.emulator.fault(**fault, containing=prompt)
    kind = next(_kinds)
    run = airflow.trigger(dag, prompt=prompt, plan=plan, emulator=airflow.emulator.url, **kind, **conf)
    return Errand(airflow, run, prompt, run.folder, Path(conf["output"]) if "output" in conf else None)
