"""Run with the previous release's code on PYTHONPATH: does what each line on stdin asks for."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import airflow_provider_minimax
from airflow_provider_minimax.api.pace import Outcome


def build(path: str, kwargs: dict[str, Any]) -> Any:
    """Build a trigger as Airflow's triggerer does."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**kwargs)


def serialize(path: str, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what a worker stores of a trigger."""
    return build(path, kwargs).serialize()


async def _events(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def watch(path: str, kwargs: dict[str, Any]) -> list[Any]:
    """Return the events of a trigger."""
    return asyncio.run(_events(build(path, kwargs)))


def read(event: Any) -> dict[str, Any]:
    """Return what a worker makes of an event."""
    outcome = Outcome.of_event(event)
    error = outcome.error
    return {
        "task": outcome.task and outcome.task.as_result(),
        "error": error and {"kind": type(error).__name__, "text": str(error), "is_final": error.is_final},
    }


def main(answers: int) -> None:
    """Answer line by line; what Airflow prints goes elsewhere."""
    assert Path(airflow_provider_minimax.__file__).is_relative_to(os.environ["PYTHONPATH"])
    with os.fdopen(answers, "w") as sink:
        for line in sys.stdin:
            what, arguments, environment = json.loads(line)
            os.environ.update(environment)
            answer = {"serialize": serialize, "watch": watch, "read": read}[what](*arguments)
            print(json.dumps(answer), file=sink, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
