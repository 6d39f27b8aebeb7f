"""What OpenLineage hears of a delivered clip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.naming.dataset import GCS, S3, LocalFileSystem

from airflow_provider_minimax.delivery.assets import ClipAsset
from airflow_provider_minimax.delivery.openlineage import dataset_of, lineage_of
from tests.conftest import DAGS
from tests.dag_files.announcing import FACTS, Announcing


@pytest.mark.parametrize(
    ("path", "naming"),
    [
        ("/data/my clip.mp4", LocalFileSystem("/data/my clip.mp4")),
        ("file:///data/clip.mp4", LocalFileSystem("/data/clip.mp4")),
        ("s3://my_aws_conn@bucket/a/clip?#.mp4", S3("bucket", "a/clip?#.mp4")),
        ("gcs://bucket/a/clip.mp4", GCS("bucket", "a/clip.mp4")),
    ],
)
def test_a_clip_is_named_as_openlineage_itself_names_it(path, naming):
    assert dataset_of(path) == (naming.get_namespace(), naming.get_name())


def test_a_clip_is_an_output_with_its_size_and_its_hash_as_version():
    (clip,) = lineage_of(ClipAsset("s3://bucket/boat.mp4", FACTS)).outputs
    assert clip.outputFacets["outputStatistics"].size == FACTS["size"]
    assert clip.facets["version"].datasetVersion == f"sha256:{FACTS['sha256']}"


def test_pictures_from_storage_are_inputs_and_those_of_the_web_are_not():
    pictures = (
        *("/data/first.png", "s3://pictures/last.png"),
        *("https://a.example/b.png?X-Amz-Signature=c", "HTTPS://a.example/b.png?X-Amz-Signature=c", "data:d"),
    )
    inputs = lineage_of(ClipAsset("/data/boat.mp4", FACTS, inputs=pictures)).inputs
    assert [(it.namespace, it.name) for it in inputs] == [("file", "/data/first.png"), ("s3://pictures", "last.png")]


def test_the_facts_are_sent_without_the_prompt():
    facts = FACTS | {"prompt": "a secret product", "prompt_sha256": "580766c"}
    sent = lineage_of(ClipAsset("/data/boat.mp4", facts)).run_facets["minimax_clip"].clip
    assert "a secret product" not in str(sent)
    assert sent["prompt_sha256"] == "580766c"


def test_a_name_that_is_no_utf_8_can_be_sent():
    assert dataset_of("/data/boat-\udce9\0.mp4") == ("file", "/data/boat-\\udce9\\x00.mp4")


def test_a_task_that_delivered_nothing_has_no_lineage():
    assert Announcing(task_id="announce", place="/data/boat.mp4").get_openlineage_facets_on_complete(None) is None


def emitted(folder: Path, dag_id: str) -> dict[str, Any]:
    """Run a DAG with the OpenLineage provider at work, and return what it said at the end of the task."""
    log = folder / "events.json"
    transport = {"type": "file", "log_file_path": str(log), "append": True}
    settings = os.environ | {"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    command = [Path(sys.executable).with_name("airflow"), "dags", "test", dag_id, "-f", DAGS / "announcing.py"]
    subprocess.run(command, env=settings, check=True, capture_output=True, cwd=folder)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    (event,) = [it for it in events if it["eventType"] == "COMPLETE" and it["job"]["name"] == f"{dag_id}.announce"]
    return event


@pytest.mark.slow
@pytest.mark.usefixtures("airflow_db")
def test_the_event_that_airflow_sends_after_a_deferral_describes_the_clip(tmp_path):
    event = emitted(tmp_path, "announced_local_clip")
    assert [(it["namespace"], it["name"]) for it in event["outputs"]] == [("file", "/data/boat.mp4")]
    assert [(it["namespace"], it["name"]) for it in event["inputs"]] == [("s3://pictures", "boat.png")]
    assert event["run"]["facets"]["minimax_clip"]["clip"]["cost.amount"] == FACTS["cost"]["amount"]
