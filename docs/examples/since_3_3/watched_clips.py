"""A DAG that runs after each clip of H3, where no platform can post to Airflow."""

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_minimax.triggers.clips import MinimaxClipsTrigger

clips = Asset(
    "h3_clips",
    watchers=[AssetWatcher(name="list", trigger=MinimaxClipsTrigger(minimax_conn_id="minimax_default"))],
)

with DAG("after_an_h3_clip", schedule=[clips]) as dag:

    @task
    def name_it(triggering_asset_events=None):
        for events in triggering_asset_events.values():
            for event in events:
                clip = event.extra["payload"]
                print(clip["minimax_task_id"], clip["state"])

    name_it()
