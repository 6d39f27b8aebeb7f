"""The DAG under test: buys a clip, waits for it without a worker slot, downloads it."""

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("paper_boat", params={"folder": "/data/clips"}) as dag:
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=1,
        output_path="{{ params.folder }}/boat.mp4",
    )
