"""What a clip can start from: text, a first frame, a first and a last frame, or a face."""

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("minimax_modes", default_args={"retries": 0}) as dag:
    MinimaxVideoGenerationOperator(
        task_id="text",
        model="MiniMax-Hailuo-2.3",
        prompt="A lighthouse in a storm. [Pull out]",
        duration=6,
        resolution="1080P",
    )
    MinimaxVideoGenerationOperator(
        task_id="first_frame",
        model="MiniMax-Hailuo-2.3-Fast",
        first_frame_image="https://example.com/lighthouse.jpg",
        prompt="The light goes round, the waves rise.",
        duration=10,
    )
    MinimaxVideoGenerationOperator(
        task_id="first_and_last_frame",
        model="MiniMax-Hailuo-02",
        first_frame_image="s3://pictures/lighthouse-by-day.png",
        last_frame_image="s3://pictures/lighthouse-by-night.png",
        prompt="Night falls.",
    )
    MinimaxVideoGenerationOperator(
        task_id="subject_reference",
        model="S2V-01",
        subject_reference="/data/pictures/keeper.webp",
        prompt="The keeper climbs the stairs.",
    )
