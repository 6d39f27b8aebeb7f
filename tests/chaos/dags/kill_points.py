"""
Kills a task's process at a named point of a purchase, and writes down which points each life of the task passed.

Why this is fair: the operators are the ones that users get. Airflow calls :func:`arm` right before a task's work and
:func:`survived` right after it, and ``arm`` wraps some methods in this one process, only to notice that they are
called or done. Nothing is replaced, left out or shown. SIGKILL cannot be caught, so the life ends in the
middle of a line, without ``finally``, ``on_kill`` or a last word to Airflow. All that is left for the next one is what
was on disk, in Airflow's database and at the platform.

The plan comes with the dag run: ``conf["plan"]`` has for each task a list of deaths, one after the other: the point and
who dies there (``task``: the process; ``worker``: also its supervisor, so that Airflow only notices that the heartbeats
stay out; ``frozen``: both, but with SIGSTOP, so that a test can have them come back from the dead). A life that ends
before its point, or does not come by it, leaves the death to the next one.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from airflow_provider_minimax.api.http.transport import Transport
from airflow_provider_minimax.emulator.client import EmulatorClient
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.purchases.ledger import Ledger
from airflow_provider_minimax.purchases.receipt import Phase
from airflow_provider_minimax.purchases.stores import SidecarStore
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

Test = Callable[..., bool]


def arm(context: Any) -> None:
    """Begin a life: airflow calls this as ``pre_execute``."""
    ti, conf = context["ti"], context["dag_run"].conf
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
    journal = Path(conf["folder"]) / f"{name}.journal"
    life = _Life(journal, conf["plan"].get(name, []))
    _watch(life, conf)
    life.passes("start")


def survived(context: Any, result: Any) -> None:
    """The work is done and Airflow does not know it yet: it calls this as ``post_execute``."""
    _current.passes("finished")


class _Life:
    """One process of a task, its notes, and where it is to end."""

    def __init__(self, journal: Path, plan: list[list[str]]) -> None:
        global _current
        _current = self
        journal.parent.mkdir(parents=True, exist_ok=True)
        deaths = journal.read_text().count("killed at") if journal.exists() else 0
        self._journal = journal
        self.dies_at, self._who = plan[deaths] if deaths < len(plan) else (None, None)

    def passes(self, point: str) -> None:
        self._note(point)
        if point == self.dies_at:
            self.ends(point)

    def ends(self, point: str) -> None:
        self._note(f"killed at {point}")
        number = signal.SIGSTOP if self._who == "frozen" else signal.SIGKILL
        if self._who != "task":
            # The supervisor first, or it might still report the death of the task's process.
            os.kill(os.getppid(), number)
        os.kill(os.getpid(), number)

    def _note(self, what: str) -> None:
        line = json.dumps({"pid": os.getpid(), "time": time.time(), "what": what})
        # One small write to a file opened for appending is whole even if two processes write at once.
        with self._journal.open("a") as file:
            file.write(line + "\n")


_current: _Life


def _watch(life: _Life, conf: dict[str, Any]) -> None:
    """Wrap the methods that the points are named after, in this process."""

    def before(point: str, cls: type, method: str, if_: Test = lambda *_, **__: True) -> None:
        original = getattr(cls, method)

        @wraps(original)
        def noticed(*args: Any, **kwargs: Any) -> Any:
            if if_(*args, **kwargs):
                life.passes(point)
            return original(*args, **kwargs)

        setattr(cls, method, noticed)

    def after(point: str, cls: type, method: str, if_: Test = lambda *_, **__: True) -> None:
        original = getattr(cls, method)

        @wraps(original)
        def noticed(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if if_(*args, **kwargs):
                life.passes(point)
            return result

        setattr(cls, method, noticed)

    before("before intent", Ledger, "claim")
    after("intent half written", SidecarStore, "create", _is(Phase.INTENT))
    after("intent written", Ledger, "claim")
    before("before request", MinimaxHook, "submit")
    after("answer received", MinimaxHook, "submit")
    before("withdrawing", Ledger, "withdraw")
    after("withdrawn", Ledger, "withdraw")
    after("receipt half written", SidecarStore, "write", _is(Phase.SUBMITTED, fetched=False))
    after("receipt written", Ledger, "keep", _is(Phase.SUBMITTED, fetched=False))
    for operator in (MinimaxVideoGenerationOperator, MinimaxTaskSensor):
        before("deferring", operator, "defer")
        before("resumed", operator, "execute_complete")
    before("resumed", MinimaxVideoGenerationOperator, "execute_settled")
    before("asking", MinimaxHook, "list_tasks")
    before("polling", MinimaxHook, "get_task")
    _notice_chunks(life)
    after("hash written", Ledger, "keep", _is(Phase.SUBMITTED, fetched=True))
    before("renamed", Ledger, "keep", _is(Phase.DELIVERED, fetched=True))
    after("delivered", Ledger, "keep", _is(Phase.DELIVERED, fetched=True))
    if life.dies_at == "answer awaited":
        before("waiting for the answer", MinimaxHook, "submit", lambda *_, **__: _die_once_bought(life, conf))


def _is(phase: Phase, *, fetched: bool = False) -> Test:
    """Whether a method is called with a receipt that is so far."""
    return lambda _, receipt, **__: receipt.phase is phase and (receipt.sha256 is not None) == fetched


def _notice_chunks(life: _Life) -> None:
    original = Transport.fetch

    def noticed(chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            life.passes("downloading")

    @contextmanager
    def fetch(self: Transport, url: str, **options: Any) -> Iterator[Any]:
        with original(self, url, **options) as stream:
            yield replace(stream, chunks=noticed(stream.chunks))

    Transport.fetch = fetch


def _die_once_bought(life: _Life, conf: dict[str, Any]) -> bool:
    """Die as soon as the platform has sold the clip; it keeps the answer back until then (fault ``hold``)."""
    emulator = EmulatorClient(conf["emulator"])

    def wait() -> None:
        while not any(conf["prompt"] in json.dumps(purchase["body"]) for purchase in emulator.purchases):
            time.sleep(0.1)
        life.ends("answer awaited")

    threading.Thread(target=wait, daemon=True).start()
    return False
