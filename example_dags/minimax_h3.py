"""
One MiniMax-H3 clip: submitted, waited for without a worker slot, and downloaded.

If it waits for too long, it is cancelled, which is free of charge while it is still queued. Needs the extra `media`.
"""

# [START howto_h3]
import os

from airflow.sdk import DAG, Param, XComArg

from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

FOLDER = os.environ.get("MINIMAX_EXAMPLES_FOLDER", "/tmp/minimax")

with DAG(
    "minimax_h3",
    description="One MiniMax-H3 clip, cancelled if it is queued for too long.",
    doc_md=__doc__,
    params={
        "prompt": Param("A paper boat crosses a puddle; rain, distant thunder.", type="string", minLength=1),
        "folder": Param(FOLDER, type="string", description="Where the clip goes."),
    },
    tags=["minimax", "example"],
) as dag:
    output_path = "{{ params.folder }}/{{ run_id | replace(':', '-') }}-h3.mp4"
    submit = MinimaxVideoGenerationOperator(
        task_id="submit",
        model="MiniMax-H3",  # the model decides: this one uses the second version of the API
        prompt="{{ params.prompt }}",
        resolution="768P",
        duration=5,
        ratio="16:9",
        output_path=output_path,
        wait_for_completion=False,
    )
    api_version = XComArg(submit, key="api_version")
    wait = MinimaxTaskSensor(
        task_id="wait",
        minimax_task_id=submit.output,
        api_version=api_version,
        deferrable=True,
        timeout=3600,
        cancel_on_timeout=True,  # only while it is queued, which is free of charge
    )
    download = MinimaxVideoDownloadOperator(
        task_id="download",
        minimax_task_id=submit.output,
        api_version=api_version,
        output_path=output_path,
        check="full",  # needs the extra [media], as preview does
        preview=True,
    )
    wait >> download
# [END howto_h3]

if __name__ == "__main__":
    dag.test()
