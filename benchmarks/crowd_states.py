"""What Airflow has written about the tasks of :mod:`triggerer`, in its database and in their logs."""

from __future__ import annotations

import math
import re
from datetime import datetime

STARTED = re.compile(r'^{"timestamp":"([^"]+)","level":"info","event":"trigger [^"]* starting"', re.MULTILINE)
FIRED = re.compile(r'^{"timestamp":"([^"]+)".*Trigger fired event.*?\'task_id\': \'([^\']+)\'', re.MULTILINE)


def states() -> dict[str, int]:
    """Return how many task instances are in which state; ``taken``: how many triggers the triggerer has."""
    from airflow.models import TaskInstance, Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        by_state = session.execute(select(TaskInstance.state, func.count()).group_by(TaskInstance.state)).all()
        taken = session.scalar(select(func.count(Trigger.id)).where(Trigger.triggerer_id.is_not(None)))
    return {str(state): count for state, count in by_state} | {"taken": int(taken or 0)}


def events() -> dict[str, float]:
    """Return when each remote task's event was handled, by the id in the event; only of events about a clip."""
    from airflow.models import TaskInstance
    from airflow.sdk.serde import deserialize
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found: dict[str, float] = {}
    with create_session() as session:
        for kwargs, handled in session.execute(select(TaskInstance.next_kwargs, TaskInstance.scheduled_dttm)):
            event = (deserialize(kwargs) or {}).get("event")
            if isinstance(event, dict) and event.get("task") and not event.get("error"):
                found[event["task"]["task_id"]] = handled.timestamp()
    return found


def fired(logs: list[str]) -> dict[str, float]:
    """Return when the triggers sent their events, by the id in the event, from the logs of the tasks."""
    lines = (FIRED.search(log) for log in logs)
    return {line[2]: datetime.fromisoformat(line[1]).timestamp() for line in lines if line}


def last_start(logs: list[str]) -> float:
    """Return when the last trigger was started, from the logs of the tasks."""
    lines = (STARTED.search(log) for log in logs)
    return max((datetime.fromisoformat(line[1]).timestamp() for line in lines if line), default=math.inf)
