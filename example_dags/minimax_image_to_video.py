"""One clip for each of several pictures, side by side, each waiting without a worker slot."""

# [START howto_image_to_video]
from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

PICTURES = "https://upload.wikimedia.org/wikipedia/commons"

with DAG(
    "minimax_image_to_video",
    params={"folder": Param("/tmp/minimax", type="string", description="Where the clips shall land.")},
    tags=["minimax", "example"],
) as dag:
    generate = MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        retries=3,  # a retry goes on with the clip that was bought
        wait_for_completion=True,
        deferrable=True,
        output_path="{{ params.folder }}/{{ run_id | replace(':', '-') }}-{{ ti.map_index }}.mp4",
    ).expand_kwargs(
        [
            {
                "first_frame_image": f"{PICTURES}/4/45/A_small_cup_of_coffee.JPG",
                "prompt": "Steam rises from the cup, morning light moves over the table. [Push in]",
            },
            {
                "first_frame_image": f"{PICTURES}/1/15/Red_Apple.jpg",
                "prompt": "The apple turns slowly, a drop of water runs down its side. [Static shot]",
            },
        ]
    )
# [END howto_image_to_video]

if __name__ == "__main__":
    dag.test()
