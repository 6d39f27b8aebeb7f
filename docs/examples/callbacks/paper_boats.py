"""A clip whose platform says when it is ready, and a DAG that runs then."""

from airflow.sdk import DAG, task

from airflow_provider_minimax.callbacks.record import clips_asset
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

with DAG("paper_boat_with_callback") as buy:
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        callback_url="auto",
        deferrable=True,
        output_path="/tmp/clips/{{ run_id }}.mp4",
        retries=3,
    )

with DAG("after_a_paper_boat", schedule=[clips_asset("minimax_default")]) as follow:

    @task
    def name_it(triggering_asset_events=None):
        for events in triggering_asset_events.values():
            for event in events:
                print(event.extra["minimax_task_id"], event.extra["state"])

    name_it()
