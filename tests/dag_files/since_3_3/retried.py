"""Tasks whose own delay is a minute, and the policy's almost none."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.retries import MinimaxRetryPolicy

SLOWLY = {
    "retries": 1,
    "retry_delay": timedelta(minutes=1),
    "retry_policy": MinimaxRetryPolicy(shortest=0.05, longest=1),
}
dags: dict[str, DAG] = {}

with DAG("retried", params={"folder": Param("/nowhere", type="string")}, default_args=SLOWLY) as dag:
    dags[dag.dag_id] = dag
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="a cat",
        output_path="{{ params.folder }}/clip.mp4",
        wait_for_completion=False,
    )

with DAG("wrapped", default_args=SLOWLY) as dag:
    dags[dag.dag_id] = dag

    @task
    def status() -> None:
        """Look at a remote task, and say it in words of one's own if that fails."""
        from airflow_provider_minimax.exceptions import MinimaxError
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        try:
            MinimaxHook().get_task("1")
        except MinimaxError as error:
            raise RuntimeError("The clip cannot be looked at.") from error

    status()
