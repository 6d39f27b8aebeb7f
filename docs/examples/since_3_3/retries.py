"""Ten clips at once, retried as this provider's errors require. Airflow 3.3 and later."""

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.retries import MinimaxRetryPolicy

PATIENT = MinimaxRetryPolicy(shortest=timedelta(seconds=30), longest=timedelta(minutes=20))

with DAG("minimax_retries", default_args={"retries": 6, "retry_policy": PATIENT}) as dag:
    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        output_path="/data/clips/{{ run_id }}/{{ ti.map_index }}.mp4",
        wait_for_completion=True,
        deferrable=True,
    ).expand(prompt=[f"A lighthouse at {hour} o'clock." for hour in range(10)])
