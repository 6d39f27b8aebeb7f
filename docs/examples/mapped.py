"""Many clips from many rows: each is bought, waited for and delivered on its own, and matched with its row."""

from collections.abc import Iterable

from airflow.sdk import DAG, Param, task

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("minimax_mapped", params={"folder": Param("/data/clips", type="string")}) as dag:

    @task
    def rows() -> list[dict]:
        return [
            {"product": "D-1", "prompt": "Dawn over the hills."},
            {"product": "N-2", "prompt": "Noon over the hills."},
            {"product": "D-3", "prompt": "Dusk over the hills."},
        ]

    @task(trigger_rule="all_done")  # even if some prompts were refused
    def publish(rows: list[dict], clips: Iterable[dict]) -> dict[str, str]:
        """Return the path of each product's clip."""
        published = {rows[clip["map_index"]]["product"]: clip["output_path"] for clip in clips}
        if not published:
            raise ValueError("there are no clips")
        return published

    products = rows()
    generate = MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        output_path="{{ params.folder }}/{{ run_id | replace(':', '-') }}/",
        wait_for_completion=True,
        deferrable=True,
        retries=3,
        max_active_tis_per_dagrun=5,
    ).expand(prompt=products.map(lambda row: row["prompt"]))
    publish(products, generate.output)
