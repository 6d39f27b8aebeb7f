"""The DAGs that draw sheets. The clips are files of the test, named in the run's conf."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_minimax.operators.contact_sheet import MinimaxContactSheetOperator

try:
    from airflow.sdk.exceptions import AirflowSkipException
except ImportError:  # Airflow 3.0 and 3.1
    from airflow.exceptions import AirflowSkipException

dags: dict[str, DAG] = {}

with DAG("sheet", params={"clips": Param([], type="array"), "folder": Param("/nowhere", type="string")}) as dag:
    dags[dag.dag_id] = dag

    @task
    def list_clips(params: dict | None = None) -> list[str]:
        return params["clips"]

    @task
    def deliver(path: str) -> dict[str, str]:
        if "skipped" in path:
            raise AirflowSkipException
        if "failed" in path:
            raise ValueError("there is no such clip")
        return {"task_id": "1", "output_path": path}

    MinimaxContactSheetOperator(
        task_id="draw",
        clips=deliver.expand(path=list_clips()),
        output_path="{{ params.folder }}/sheets/{{ run_id }}.jpg",
    )
