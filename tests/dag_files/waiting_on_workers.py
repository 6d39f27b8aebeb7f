"""A clip that is waited for on the worker, with a callback."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("waiting_on_workers", schedule=None) as one:
    MinimaxVideoGenerationOperator(
        task_id="boat",
        minimax_conn_id="{{ params.conn_id }}",
        model="MiniMax-Hailuo-02",
        prompt="A paper boat",
        callback_url="auto",
        wait_for_completion=True,
        deferrable=False,
        poll_interval=3600,
    )
