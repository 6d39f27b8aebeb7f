"""The hook in a task of your own: look at a remote task without waiting for it."""

from airflow.sdk import DAG, task

with DAG("minimax_look", params={"minimax_task_id": "900000000000001"}) as dag:

    @task
    def look(minimax_task_id: str) -> dict:
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        hook = MinimaxHook("minimax_default")
        try:
            return hook.get_task(minimax_task_id).as_result()
        finally:
            hook.close()

    look("{{ params.minimax_task_id }}")
