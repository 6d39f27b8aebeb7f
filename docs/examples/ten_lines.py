"""One clip from one prompt."""

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("paper_boat") as dag:
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        deferrable=True,
        output_path="/tmp/clips/{{ run_id }}.mp4",
        check="full",
        preview=True,
        retries=3,
    )
