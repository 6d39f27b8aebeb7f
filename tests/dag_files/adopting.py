"""DAGs whose lost answers are found out about. ``dag.test()`` wants to find them in Airflow's DAG folder."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

CLIP = {
    "model": "MiniMax-H3",
    "resolution": "768P",
    "duration": 5,
    "ratio": "16:9",
    "wait_for_completion": True,
    "on_orphaned_intent": "adopt",
    "poll_interval": 0.05,
}
dags: dict[str, DAG] = {}

for deferrable in (True, False):
    with DAG(
        f"adopting_{'deferrable' if deferrable else 'waiting'}", params={"folder": Param("/nowhere", type="string")}
    ) as dag:
        dags[dag.dag_id] = dag
        MinimaxVideoGenerationOperator(
            task_id="generate",
            prompt="a paper boat",
            deferrable=deferrable,
            output_path="{{ params.folder }}/clip.mp4",
            **CLIP,
        )

with DAG("adopting_mapped", params={"folder": Param("/nowhere", type="string")}) as dag:
    dags[dag.dag_id] = dag
    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        deferrable=True,
        # Separate folders, so that only XCom shows whose a clip is.
        output_path="{{ params.folder }}/{{ ti.map_index }}/clip.mp4",
        **CLIP,
    ).expand(prompt=["a paper boat", "a kite", "a lantern"])
