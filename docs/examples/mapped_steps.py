"""Many clips, each in its own three steps: a refused prompt stops only its own."""

from airflow.sdk import DAG, Param, task, task_group

from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

CLIP = "{{ params.folder }}/{{ run_id | replace(':', '-') }}-{{ ti.map_index }}.mp4"

with DAG("minimax_mapped_steps", params={"folder": Param("/data/clips", type="string")}) as dag:

    @task
    def prompts() -> list[str]:
        return ["Dawn over the hills.", "Noon over the hills.", "Dusk over the hills."]

    @task_group
    def clip(prompt: str) -> None:
        submit = MinimaxVideoGenerationOperator(
            task_id="submit",
            model="MiniMax-Hailuo-2.3",
            prompt=prompt,
            output_path=CLIP,
            wait_for_completion=False,
            retries=3,
        )
        wait = MinimaxTaskSensor(task_id="wait", minimax_task_id=submit.output, deferrable=True)
        download = MinimaxVideoDownloadOperator(task_id="download", minimax_task_id=submit.output, output_path=CLIP)
        wait >> download

    clip.expand(prompt=prompts())
