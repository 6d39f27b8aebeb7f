"""From a prompt to a clip on disk: submit, wait without a worker slot, fetch."""

# [START howto_text_to_video]
from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

with DAG(
    "minimax_text_to_video",
    params={
        "prompt": "A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        "folder": Param("/tmp/minimax", type="string", description="Where the clip shall land."),
    },
    tags=["minimax", "example"],
) as dag:
    submit = MinimaxVideoGenerationOperator(
        task_id="submit",
        model="MiniMax-Hailuo-2.3",
        retries=0,  # a retry could buy another clip
        prompt="{{ params.prompt }}",
        duration=6,
        resolution="768P",
    )
    wait = MinimaxTaskSensor(
        task_id="wait",
        minimax_task_id=submit.output,
        deferrable=True,
    )
    download = MinimaxVideoDownloadOperator(
        task_id="download",
        minimax_task_id=wait.output["task_id"],
        output_path="{{ params.folder }}/{{ run_id | replace(':', '-') }}.mp4",
    )
# [END howto_text_to_video]

if __name__ == "__main__":
    dag.test()
