"""
One clip per image, in parallel, each waiting without a worker slot.

Buys two clips.
"""

# [START howto_image_to_video]
import os

from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

FOLDER = os.environ.get("MINIMAX_EXAMPLES_FOLDER", "/tmp/minimax")
PICTURES = "https://upload.wikimedia.org/wikipedia/commons"

with DAG(
    "minimax_image_to_video",
    description="One clip per image, mapped, each waiting without a worker slot.",
    doc_md=__doc__,
    params={"folder": Param(FOLDER, type="string", description="Where the clips go.")},
    tags=["minimax", "example"],
) as dag:
    generate = MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        retries=3,  # a retry resumes with the clip that was bought
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
