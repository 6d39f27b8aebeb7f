"""A clip in your own task: bought once, waited for and delivered, however often the task is retried."""

from airflow.sdk import DAG, task

with DAG("minimax_in_a_task") as dag:

    @task(retries=3)
    def boat() -> str:
        from airflow_provider_minimax.api.request import VideoRequest
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        request = VideoRequest(model="MiniMax-Hailuo-02", prompt="A paper boat drifts down a rainy street.")
        clip = MinimaxHook("minimax_default").generate(request, output_path="/data/clips/boat.mp4")
        return clip["output_path"]

    boat()
