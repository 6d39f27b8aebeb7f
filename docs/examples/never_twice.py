"""A task that buys one clip, however often it is killed, retried or cleared."""

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("never_twice") as dag:
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        wait_for_completion=True,
        deferrable=True,
        output_path="/data/clips/{{ run_id }}.mp4",
        retries=5,
        retry_delay=timedelta(minutes=1),
    )
