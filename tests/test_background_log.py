"""The background log: every line is written, in order, from a thread, and in the context of its task."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextvars import ContextVar, copy_context

import pytest

from airflow_provider_minimax.polling.background_log import BackgroundLog, Line

TASK: ContextVar[str] = ContextVar("task")


class Log:
    """A logger that keeps what it is given; it waits for a reader, as a pipe does."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.threads: set[int] = set()
        self.is_read = threading.Event()
        self.is_read.set()

    def log(self, level: int, form: str, text: str) -> None:
        assert self.is_read.wait(60)
        if text == "refused":
            raise OSError("the log is full")
        self.threads.add(threading.get_ident())
        self.lines.append((logging.getLevelName(level), f"{TASK.get('nobody')}: {form % text}"))


def line(log, text, task="nobody", warn=False):
    context = copy_context()
    context.run(TASK.set, task)
    return Line(log, context, text, warn)


@pytest.fixture
def log():
    return Log()


async def test_lines_are_written_in_order_in_the_context_of_their_task_and_from_a_thread(log):
    background = BackgroundLog()
    for n in range(20):
        background.add(line(log, str(n), task=f"t{n}", warn=n % 2 == 1))
    await background.written()
    assert log.lines == [("WARNING" if n % 2 else "INFO", f"t{n}: {n}") for n in range(20)]
    assert threading.get_ident() not in log.threads


async def test_a_log_that_nobody_reads_does_not_hold_up_the_loop_and_loses_nothing(log):
    background = BackgroundLog()
    log.is_read.clear()
    for n in range(3):
        background.add(line(log, str(n)))
        await asyncio.sleep(0)
    assert log.lines == []
    log.is_read.set()
    await background.written()
    assert [text for _, text in log.lines] == ["nobody: 0", "nobody: 1", "nobody: 2"]


async def test_a_line_that_the_log_refuses_takes_no_other_along(log):
    background, refused = BackgroundLog(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: refused.append(str(context["exception"])))
    for text in ("one", "refused", "two"):
        background.add(line(log, text))
    await background.written()
    assert [text for _, text in log.lines] == ["nobody: one", "nobody: two"]
    assert refused == ["the log is full"]


async def test_with_no_line_there_is_nothing_to_wait_for():
    async with asyncio.timeout(20):
        await BackgroundLog().written()
