"""
Writes lines to logs from a thread, in the order in which they came.

A busy triggerer rarely reads its pipe of logs, and a full one would block the event loop. Lines that come together
are written in one go: handing work to a thread costs several times as much as writing a line.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextvars import Context
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """
    A line for a log.

    :param log: the logger.
    :param context: the context to write it in, by which Airflow finds the task's own log. Nothing else may run in it.
    :param text: what it says.
    :param warn: whether it is a warning.
    """

    log: Any
    context: Context
    text: str
    warn: bool

    def write(self) -> None:
        """Write the line."""
        self.context.run(self.log.log, logging.WARNING if self.warn else logging.INFO, "%s", self.text)


class BackgroundLog:
    """Lines that are yet to be written, from one event loop."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()
        self._writing: asyncio.Future[None] | None = None

    def add(self, line: Line) -> None:
        """
        Have a line written soon.

        :param line: the line.
        """
        self._lines.append(line)
        if self._writing is None:
            self._start()

    async def written(self) -> None:
        """Wait until all lines are written that were added so far."""
        while self._writing is not None:
            await asyncio.wait({self._writing})

    def _start(self) -> None:
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._write)
        self._writing.add_done_callback(self._written)

    def _write(self) -> None:
        while self._lines:
            self._lines.popleft().write()

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._writing = None
        if not writing.cancelled() and (error := writing.exception()):
            # Of that line only: the others are written all the same.
            asyncio.get_running_loop().call_exception_handler({"message": "A log refused a line", "exception": error})
        if self._lines:
            self._start()
