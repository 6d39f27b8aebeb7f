"""What a MiniMax-H3 clip can start from: text, frames, or reference images, videos and audio."""

from airflow.sdk import DAG

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("minimax_h3_modes", default_args={"retries": 0}) as dag:
    MinimaxVideoGenerationOperator(
        task_id="text",
        model="MiniMax-H3",
        prompt="A paper boat crosses a puddle; rain, distant thunder.",
        resolution="2K",
        duration=8,
        ratio="16:9",
    )
    MinimaxVideoGenerationOperator(
        task_id="first_frame",
        model="MiniMax-H3-Max",
        prompt="The boat sets off.",
        first_frame_image="s3://pictures/boat.png",
        resolution="768P",
        duration=5,
        extra={"prompt_expansion_mode": "disabled"},
    )
    MinimaxVideoGenerationOperator(
        task_id="references",
        model="MiniMax-H3",
        prompt="The keeper of image 1 walks like in video 1 and speaks with the voice of audio 1.",
        reference_images=["/data/pictures/keeper.webp", "https://example.com/lighthouse.jpg"],
        reference_videos=["/data/videos/walk.mp4"],
        reference_audios=["mm_file://424010985738629"],
        resolution="768P",
        duration=10,
    )
