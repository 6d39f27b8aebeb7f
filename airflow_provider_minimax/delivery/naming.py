"""The file name of a clip in a folder: the same for all tries of one Airflow task, and different for any other task."""

from __future__ import annotations

import hashlib
import json
import re

from airflow_provider_minimax.purchases.receipt import Owner

# File systems allow 255 bytes; receipts and part files have longer names.
LONGEST_NAME = 200
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def name_for(owner: Owner) -> str:
    """
    Return the file name of a task's clip: readable, with a few hex digits that distinguish tasks with similar names.

    :param owner: the task.
    :return: such as ``spring.manual__2026-11-21.generate.3.1f2e3d4c.mp4``; the third mapped task, in this example.
    """
    parts = [owner.dag_id, owner.run_id, owner.task_id, *([str(owner.map_index)] if owner.map_index >= 0 else [])]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
    ending = f".{digest}.mp4"
    # A name with a leading dot would be hidden.
    readable = ".".join(_UNFIT.sub("-", part) for part in parts).lstrip(".-")
    return readable[: LONGEST_NAME - len(ending)] + ending
