"""A MiniMax-H3 clip that the task finds again if the answer to its submission is lost."""

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("found_again") as dag:
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-H3",
        prompt="A paper boat crosses a puddle; rain, distant thunder.",
        resolution="768P",
        duration=5,
        ratio="16:9",
        on_orphaned_intent="adopt",
        wait_for_completion=True,
        deferrable=True,
        output_path="/data/clips/{{ run_id }}.mp4",
        retries=5,
        retry_delay=timedelta(minutes=1),
    )
