"""A clip delivered to a bucket, checked first, with previews."""

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("spring_boat") as dag:
    generate = MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        duration=6,
        resolution="768P",
        wait_for_completion=True,
        deferrable=True,
        output_path="s3://my_aws_conn@clips/spring/boat.mp4",
        check="full",
        preview=True,
        retries=3,
    )
