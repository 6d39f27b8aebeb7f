"""Clips with names that Airflow's server has rules for."""

from __future__ import annotations

import os

from airflow.sdk import DAG, Asset, AssetAlias, Param

from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator

CLIPS = AssetAlias("awkward clips")
CLIP = {
    "model": "MiniMax-Hailuo-2.3",
    "wait_for_completion": True,
    "deferrable": True,
    "poll_interval": 1,
}
NAMES = (
    "café ⛵ 船.mp4",
    "100% #1? a b.mp4",
    "tab\there.mp4",
    # As a URI too long for the database's indexes.
    "/".join(["船" * 60] * 3) + ".mp4",
)
DECLARED = f"{os.environ['AIRFLOW_HOME']}/declared.mp4"

with DAG("awkward_names", params={"folder": Param("/nowhere", type="string")}):
    MinimaxVideoGenerationOperator.partial(
        task_id="generate",
        prompt="A paper boat ⛵ sails down a street.",
        # One alias twice, as lists that are put together have it.
        outlets=[CLIPS, Asset("awkward boat"), CLIPS],
        **CLIP,
    ).expand(output_path=[f"{{{{ params.folder }}}}/{name}" for name in NAMES])

with DAG("awkward_declared", params={"folder": Param("/nowhere", type="string")}):
    MinimaxVideoGenerationOperator(
        task_id="generate",
        prompt="A paper boat sails down a street.",
        output_path=DECLARED,
        outlets=[Asset(name="a name of its own", uri=f"file://{DECLARED}"), CLIPS],
        **CLIP,
    )
