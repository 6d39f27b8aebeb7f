"""
Hears of pushes in a worker: sleeps between two polls, no longer than until a push says that the remote task is over.

It reads the record of the purchase attempt every two seconds meanwhile. As in a triggerer, a push only has the task
polled earlier, and a record that cannot be read costs nothing but time.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_minimax.callbacks.reader import LONGEST_PAUSE, PushedTask
from airflow_provider_minimax.callbacks.record import read_attempt
from airflow_provider_minimax.text.redaction import redact

if TYPE_CHECKING:
    import logging

READ_EVERY = 2.0
_SECONDS_TO_READ = 3.0


class PushSleeper:
    """
    Sleeps in a worker that waits for a remote task.

    :param minimax_conn_id: the Airflow connection that bought it.
    :param task: the remote task, with the attempt that bought it; what is pushed of it is noted there.
    :param log: where to say that the record cannot be read.
    """

    def __init__(self, minimax_conn_id: str, task: PushedTask, *, log: logging.Logger) -> None:
        self._conn_id = minimax_conn_id
        self._task = task
        self._log = log
        self._pause = READ_EVERY
        self._next_read = time.monotonic()
        self._is_idle = threading.Event()
        self._is_idle.set()

    def sleep(self, seconds: float) -> None:
        """
        Sleep, and wake up early for a push.

        :param seconds: for how long at most.
        """
        ends_at = time.monotonic() + seconds
        while not self._task.is_due and (left := ends_at - time.monotonic()) > 0:
            until_read = self._next_read - time.monotonic()
            if self._task.is_over:
                time.sleep(left)
            elif not self._is_idle.is_set():
                self._is_idle.wait(left)
            elif until_read > 0:
                time.sleep(min(left, until_read))
            else:
                self._start_reading()

    def _start_reading(self) -> None:
        """
        Read in a thread.

        If the task is killed meanwhile, ``on_kill`` may ask Airflow something from within the signal handler, and would
        wait forever for a question that this thread had asked. Nor does a poll wait for an API server that hangs.
        """
        self._is_idle.clear()
        threading.Thread(target=self._read, name="minimax-pushes", daemon=True).start()
        # Under dag.test() nobody else may ask Airflow anything at the same time.
        self._is_idle.wait(_SECONDS_TO_READ)

    def _read(self) -> None:
        try:
            for push in read_attempt(self._conn_id, self._task.attempt):
                self._task.take(push, time.monotonic())
        except Exception as error:
            # Of Airflow's own kinds, by version and by process.
            if self._pause == READ_EVERY:
                self._log.warning(
                    "The pushes of connection %r cannot be read, so its task is polled: %s",
                    self._conn_id,
                    redact(f"{type(error).__name__}: {error}"),
                )
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            self._pause = READ_EVERY
        self._next_read = time.monotonic() + self._pause
        self._is_idle.set()
