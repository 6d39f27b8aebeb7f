"""Two hundred clips through an account that accepts 20 per minute and 30 at a time."""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG(
    "minimax_rate_limits",
    params={"clips": Param(200, type="integer"), "folder": Param("/data/clips", type="string")},
) as dag:

    @task
    def prompts(params=None) -> list[str]:
        return [f"Wave {number} rolls in." for number in range(params["clips"])]

    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        model="MiniMax-H3",
        duration=5,
        resolution="768P",
        ratio="16:9",
        wait_for_completion=True,
        deferrable=True,
        output_path="{{ params.folder }}/{{ run_id }}/",
        pool="minimax",
        retries=3,
        retry_delay=timedelta(minutes=1),
    ).expand(prompt=prompts())
