"""Many clips from many prompts: each is bought, waited for and fetched by a task of its own."""

from airflow.sdk import DAG, task

from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

CLIP = "/data/clips/{{ run_id }}-{{ ti.map_index }}.mp4"

with DAG("minimax_mapped") as dag:

    @task
    def prompts() -> list[str]:
        return ["Dawn over the hills.", "Noon over the hills.", "Dusk over the hills."]

    submit = MinimaxVideoGenerationOperator.partial(
        task_id="submit",
        model="MiniMax-Hailuo-2.3",
        output_path=CLIP,
        retries=3,
        max_active_tis_per_dagrun=5,
    ).expand(prompt=prompts())
    wait = MinimaxTaskSensor.partial(
        task_id="wait",
        deferrable=True,
    ).expand(minimax_task_id=submit.output)
    MinimaxVideoDownloadOperator.partial(
        task_id="download",
        output_path=CLIP,
    ).expand(minimax_task_id=wait.output.map(lambda result: result["task_id"]))
