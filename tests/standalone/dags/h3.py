"""A clip of H3, waited for in the triggerer and by a worker: what a person kills."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

WAYS = {
    "deferring": {"deferrable": True, "on_clear": "resubmit"},
    "waiting": {"deferrable": False, "on_clear": "resubmit"},
    "reusing": {"deferrable": True, "on_clear": "reuse"},
}

for name, options in WAYS.items():
    with DAG(f"h3_{name}", params={"folder": Param("/nowhere", type="string")}):
        MinimaxVideoGenerationOperator(
            task_id="generate",
            model="MiniMax-H3",
            prompt="A paper boat sails down a street, {{ run_id }}.",
            resolution="2K",
            ratio="16:9",
            duration=5,
            wait_for_completion=True,
            output_path="{{ params.folder }}/clip.mp4",
            poll_interval=1,
            **options,
        )
