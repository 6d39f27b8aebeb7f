"""The hook in your own task: check a remote task's status without waiting for it."""

from airflow.sdk import DAG, task

with DAG("minimax_status", params={"minimax_task_id": "900000000000001"}) as dag:

    @task
    def status(minimax_task_id: str) -> dict:
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        hook = MinimaxHook("minimax_default")
        try:
            return hook.get_task(minimax_task_id).as_result()
        finally:
            hook.close()

    status("{{ params.minimax_task_id }}")
