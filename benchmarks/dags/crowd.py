"""The DAG of ``triggerer.py``: one mapped task, whose arguments and number come from the environment."""

from __future__ import annotations

import json
import os

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("crowd", schedule=None):
    MinimaxVideoGenerationOperator.partial(task_id="generate", **json.loads(os.environ["CROWD_ARGUMENTS"])).expand(
        prompt=[f"Paper boat number {number} sails down a street." for number in range(int(os.environ["CROWD_SIZE"]))]
    )
