"""
From a prompt to a clip on disk: submit, wait without a worker slot, download, check that it is what was bought.

Buys one clip. Needs the extra `media`.
"""

# [START howto_text_to_video]
import os

from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

FOLDER = os.environ.get("MINIMAX_EXAMPLES_FOLDER", "/tmp/minimax")
CLIP = "{{ params.folder }}/{{ run_id | replace(':', '-') }}.mp4"

with DAG(
    "minimax_text_to_video",
    description="From a prompt to a checked clip on disk, in three tasks.",
    doc_md=__doc__,
    params={
        "prompt": "A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        "folder": Param(FOLDER, type="string", description="Where the clip goes."),
    },
    tags=["minimax", "example"],
) as dag:
    submit = MinimaxVideoGenerationOperator(
        task_id="submit",
        model="MiniMax-Hailuo-2.3",
        prompt="{{ params.prompt }}",
        duration=6,
        resolution="768P",
        output_path=CLIP,  # the receipt is kept next to it, so that a retry never buys another
        wait_for_completion=False,  # the next two tasks wait and download
        retries=3,
    )
    wait = MinimaxTaskSensor(
        task_id="wait",
        minimax_task_id=submit.output,
        deferrable=True,
    )
    download = MinimaxVideoDownloadOperator(
        task_id="download",
        minimax_task_id=wait.output["task_id"],
        output_path=CLIP,
        check="full",  # it plays to the end, has the requested duration and size, and is neither black nor frozen
        preview=True,  # a poster frame and a contact sheet; both options need the extra [media]
        retries=3,
    )
# [END howto_text_to_video]

if __name__ == "__main__":
    dag.test()
