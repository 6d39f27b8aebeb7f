"""One DAG for each platform: submit, wait in the triggerer, fetch."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

for platform in ("minimax", "bltcy", "chainhub", "vtrix", "novita", "ai302"):
    conn_id = "minimax_default" if platform == "minimax" else f"minimax_{platform}"
    with DAG(
        f"clip_{platform}",
        params={"folder": Param("/nowhere", type="string")},
        default_args={"minimax_conn_id": conn_id, "retries": 2, "retry_delay": 1},
    ):
        submit = MinimaxVideoGenerationOperator(
            task_id="submit",
            # Every platform has this model with a first frame.
            model="MiniMax-Hailuo-2.3",
            prompt="A paper boat sails down a street.",
            first_frame_image="https://files.example/frame.jpg",
        )
        wait = MinimaxTaskSensor(
            task_id="wait", minimax_task_id=submit.output, deferrable=True, poke_interval=1, timeout=120
        )
        MinimaxVideoDownloadOperator(
            task_id="download",
            minimax_task_id=wait.output["task_id"],
            output_path="{{ params.folder }}/{{ dag.dag_id }}.mp4",
        )
