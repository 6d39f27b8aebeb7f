"""The tasks of :mod:`triggerer`: their clips are bought, and they are deferred, without workers."""

from __future__ import annotations

import random
import time
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_minimax.emulator import EmulatorClient

# In so many groups, each with a time of its own.
GROUPS = 200
OPERATOR = {"minimax_conn_id": "minimax_default", "wait_for_completion": True, "deferrable": True, "timeout": 3600}


class NoTaskInstance:
    """As much of a task instance as an operator needs that keeps no receipt."""

    dag_id, run_id, task_id, map_index, max_tries, try_number = "crowd", "manual", "generate", 0, 0, 1

    def xcom_push(self, key: str, value: Any) -> None: ...


def deferral_of(arguments: dict[str, Any]) -> Any:
    """Have a real operator buy a clip and defer, and return with what."""
    from airflow.sdk.exceptions import TaskDeferred

    from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

    operator = MinimaxVideoGenerationOperator(task_id="generate", prompt="The first paper boat.", **arguments)
    try:
        operator.execute({"ti": NoTaskInstance()})
    except TaskDeferred as deferral:
        return deferral
    raise RuntimeError("the operator did not defer")


def buy(platform: EmulatorClient, count: int, clip: dict[str, Any], first: float, last: float) -> dict[str, float]:
    """Buy clips through the provider's hook that take between some seconds; return how many each will, by its id."""
    from airflow_provider_minimax.api.request import VideoRequest
    from airflow_provider_minimax.hooks.minimax import MinimaxHook

    groups = min(GROUPS, count)
    times = [first + (last - first) * (number + 0.5) / groups for number in range(groups)]
    random.Random(count).shuffle(times)
    bought: dict[str, float] = {}
    with closing(MinimaxHook()) as hook:
        for number, seconds in enumerate(times):
            platform.configure(seconds=seconds)
            while len(bought) < count * (number + 1) // groups:
                prompt = f"Paper boat number {len(bought)} sails down a street."
                bought[hook.submit(VideoRequest.of({"prompt": prompt} | clip))] = seconds
    return bought


def triggers_of(bought: dict[str, float], deferral: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the classes and arguments of the triggers for some clips, made of those of one."""
    classpath, kwargs = deferral.trigger.serialize()
    now = time.time()
    clip, deadline = kwargs["clip"] | {"bought_at": now}, now + OPERATOR["timeout"]
    return [
        (classpath, kwargs | {"minimax_task_id": minimax_task_id, "deadline": deadline, "clip": clip})
        for minimax_task_id in bought
    ]


def sleepers_for(bought: dict[str, float]) -> list[tuple[str, dict[str, Any]]]:
    """Return the same of triggers that end when the clips do, and poll nothing."""
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    now = datetime.now().astimezone()
    return [DateTimeTrigger(now + timedelta(seconds=seconds)).serialize() for seconds in bought.values()]


def defer(triggers: list[tuple[str, dict[str, Any]]], deferral: Any) -> None:
    """Make dag runs whose tasks are deferred, as Airflow's API server does when workers say so."""
    from airflow.models import TaskInstance, Trigger
    from airflow.models.dagbag import DBDagBag
    from airflow.sdk.serde import serialize
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    now = datetime.now().astimezone()
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag("crowd", session=session)
        tasks: list[TaskInstance] = []
        while len(tasks) < len(triggers):
            run = dag.create_dagrun(
                run_id=f"crowd-{len(tasks)}",
                run_after=now,
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.RUNNING,
                start_date=now,
                session=session,
            )
            tasks += run.get_task_instances(session=session)
        rows = [Trigger(classpath, kwargs) for classpath, kwargs in triggers]
        session.add_all(rows)
        session.flush()
        for task, row in zip(tasks, rows, strict=True):
            task.state = TaskInstanceState.DEFERRED
            task.try_number, task.start_date = 1, now
            task.trigger_id = row.id
            task.trigger_timeout = now + deferral.timeout
            task.next_method, task.next_kwargs = deferral.method_name, serialize(deferral.kwargs or {})
