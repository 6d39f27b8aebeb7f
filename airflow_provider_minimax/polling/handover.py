"""
How soon a deferred task may be resumed.

Airflow fails a task that runs again before its executor has heard that the worker which deferred it is done
(apache/airflow#72716). The worker's supervisor may notice the end of the task's process as late as
``[workers] min_heartbeat_interval``, by default 5 s. So no wait of ours ends sooner.
"""

from __future__ import annotations

import asyncio

from airflow_provider_minimax.version_compat import conf

SECONDS = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0) + 1.0
"""How long a task has to be deferred before it may be resumed."""


async def finished(began: float) -> None:
    """
    Wait until a task may be resumed.

    :param began: when its trigger began to run, by the clock of the event loop.
    """
    await asyncio.sleep(max(0.0, began + SECONDS - asyncio.get_running_loop().time()))
