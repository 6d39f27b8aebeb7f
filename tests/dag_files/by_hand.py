"""Clips in tasks of the author's own, through the hook."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, get_current_context, task

with DAG("by_hand", schedule=None) as one:

    @task(retries=2, retry_delay=timedelta(seconds=0.1))
    def boat() -> str:
        from airflow_provider_minimax.api.request import VideoRequest
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        folder = get_current_context()["params"]["folder"]
        request = VideoRequest(model="MiniMax-Hailuo-02", prompt="A paper boat")
        return MinimaxHook().generate(request, output_path=f"{folder}/boat.mp4", poll_interval=0.05)["output_path"]

    boat()

with DAG("two_by_hand", schedule=None) as two:

    @task
    def boats() -> list[str]:
        from airflow_provider_minimax.api.request import VideoRequest
        from airflow_provider_minimax.hooks.minimax import MinimaxHook

        folder = get_current_context()["params"]["folder"]
        hook = MinimaxHook()
        return [
            hook.generate(
                VideoRequest(model="MiniMax-Hailuo-02", prompt=f"A {colour} boat"),
                output_path=f"{folder}/{colour}.mp4",
                poll_interval=0.05,
            )["output_path"]
            for colour in ("red", "blue")
        ]

    boats()

for dag in (one, two):
    dag.params["folder"] = "/tmp"
