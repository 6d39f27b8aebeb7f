"""The DAGs that tests run. They sit in Airflow's DAG folder, because ``dag.test()`` wants to find them there."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_minimax.operators.h3 import MinimaxPromptRewriteOperator, MinimaxVideoRegenerationOperator
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

# Works on every platform: each has this model with a first frame.
CONTENT = {
    "model": "MiniMax-Hailuo-2.3",
    "prompt": "a cat",
    "first_frame_image": "https://files.example/frame.jpg",
}
FOLDER = {"folder": Param("/nowhere", type="string")}
# What must not be tried again is not, although Airflow would.
RETRIES = {"retries": 3, "retry_delay": 0.01}
QUICK = {"poll_interval": 0.05, "timeout": 30}
dags: dict[str, DAG] = {}

for mode in ("poke", "reschedule", "deferrable"):
    with DAG(f"three_steps_{mode}", params=FOLDER, default_args=RETRIES) as dag:
        dags[dag.dag_id] = dag
        submit = MinimaxVideoGenerationOperator(task_id="submit", **CONTENT)
        wait = MinimaxTaskSensor(
            task_id="wait",
            minimax_task_id=submit.output,
            deferrable=mode == "deferrable",
            mode="poke" if mode == "deferrable" else mode,
            poke_interval=0.05,
            timeout=30,
        )
        MinimaxVideoDownloadOperator(
            task_id="download",
            minimax_task_id=wait.output["task_id"],
            output_path="{{ params.folder }}/clip.mp4",
        )

for deferrable in (True, False):
    with DAG(f"one_step_{'deferrable' if deferrable else 'waiting'}", params=FOLDER, default_args=RETRIES) as dag:
        dags[dag.dag_id] = dag
        MinimaxVideoGenerationOperator(
            task_id="generate",
            wait_for_completion=True,
            deferrable=deferrable,
            output_path="{{ params.folder }}/clip.mp4",
            **CONTENT,
            **QUICK,
        )

with DAG("re_rendered", params=FOLDER, default_args=RETRIES) as dag:
    dags[dag.dag_id] = dag
    MinimaxVideoRegenerationOperator(
        task_id="generate",
        base_video="https://files.example/768p.mp4",
        prompt="a cat",
        wait_for_completion=True,
        deferrable=True,
        output_path="{{ params.folder }}/clip.mp4",
        **QUICK,
    )

with DAG("better_prompt", params=FOLDER, default_args=RETRIES) as dag:
    dags[dag.dag_id] = dag
    MinimaxPromptRewriteOperator(task_id="generate", prompt="a cat", duration=5, ratio="1:1", deferrable=True, **QUICK)

with DAG("mapped", params=FOLDER, default_args=RETRIES) as dag:
    dags[dag.dag_id] = dag
    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        wait_for_completion=True,
        deferrable=True,
        output_path="{{ params.folder }}/{{ ti.map_index }}.mp4",
        **QUICK,
    ).expand(prompt=["a cat", "a dog"])

with DAG("values_of_others", params={"length": 10}, default_args=RETRIES) as dag:
    dags[dag.dag_id] = dag

    @task
    def write() -> str:
        """Write a prompt."""
        return "a horse"

    MinimaxVideoGenerationOperator(
        task_id="submit",
        model="MiniMax-Hailuo-2.3",
        prompt=write(),
        duration="{{ params.length }}",
        prompt_optimizer="{{ false }}",
    )

with DAG("by_file_id", params={**FOLDER, "file_id": Param("", type="string")}, default_args=RETRIES) as dag:
    dags[dag.dag_id] = dag
    MinimaxVideoDownloadOperator(
        task_id="download", file_id="{{ params.file_id }}", output_path="{{ params.folder }}/clip.mp4"
    )
