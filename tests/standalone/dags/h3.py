"""A clip of H3, waited for in the triggerer and by a worker: what a person kills."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

for name, is_deferrable in {"deferring": True, "waiting": False}.items():
    with DAG(f"h3_{name}", params={"folder": Param("/nowhere", type="string")}):
        MinimaxVideoGenerationOperator(
            task_id="generate",
            model="MiniMax-H3",
            prompt="A paper boat sails down a street, {{ run_id }}.",
            resolution="2K",
            ratio="16:9",
            duration=5,
            wait_for_completion=True,
            on_clear="resubmit",
            deferrable=is_deferrable,
            poll_interval=1,
        )
