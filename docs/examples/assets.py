"""A DAG that makes clips, and one that runs whenever there is a new one."""

from airflow.sdk import DAG, AssetAlias, task

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

CLIPS = AssetAlias("clips")

with DAG("make_clips") as make_clips:
    MinimaxVideoGenerationOperator(
        task_id="generate",
        model="MiniMax-Hailuo-2.3",
        prompt="A paper boat sails down a rain-washed street at dusk. [Tracking shot]",
        wait_for_completion=True,
        deferrable=True,
        output_path="s3://my_aws_conn@my-bucket/clips/{{ run_id }}.mp4",
        retries=3,
        outlets=[CLIPS],
    )

with DAG("publish_clips", schedule=[CLIPS]) as publish_clips:

    @task
    def publish(triggering_asset_events=None):
        for events in triggering_asset_events.values():
            for event in events:
                print(event.asset.uri, event.extra["output_path"], event.extra["sha256"])

    publish()
