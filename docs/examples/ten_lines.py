"""One clip from one prompt."""

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("paper_boat") as dag:
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        deferrable=True,
        output_path="/data/clips/{{ run_id }}.mp4",
        retries=3,
    )
