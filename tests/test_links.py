"""The buttons of a task that delivered a clip; where they lead in the UI was looked at with a browser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_minimax.delivery import links
from airflow_provider_minimax.delivery.assets import ClipAsset
from airflow_provider_minimax.delivery.links import MinimaxClipLink, MinimaxFactsLink
from airflow_provider_minimax.get_provider_info import get_provider_info
from tests.conftest import load_dags
from tests.dag_files.announcing import Announcing


def key(map_index: int = -1) -> Any:
    return SimpleNamespace(
        dag_id="boats", run_id="manual__2026-11-21T06:00:00+00:00", task_id="clip", map_index=map_index
    )


def delivering(path: str | None, **kwargs: Any) -> Any:
    operator = Announcing(task_id="clip", place="", **kwargs)
    operator._delivered = path and ClipAsset(path, {})
    return operator


@pytest.fixture
def speaks_with(mocker):
    """Have storage speak with an endpoint."""

    def speak(endpoint_url: str, region: str) -> None:
        path = mocker.patch("airflow.sdk.ObjectStoragePath")
        path.return_value.fs.s3.meta = SimpleNamespace(endpoint_url=endpoint_url, region_name=region)

    return speak


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("gs://my_google_conn@bucket/a/my boat.mp4", "https://storage.cloud.google.com/bucket/a/my%20boat.mp4"),
        ("/data/boat.mp4", ""),
        ("abfss://container/boat.mp4", ""),
        ("memory://boat.mp4", ""),
        (None, ""),
    ],
)
def test_the_clip_is_linked_where_a_browser_can_open_it(path, address):
    assert MinimaxClipLink().get_link(delivering(path), ti_key=key()) == address


@pytest.mark.parametrize(
    ("endpoint", "region", "address"),
    [
        (
            "https://s3.eu-west-1.amazonaws.com",
            "eu-west-1",
            "https://console.aws.amazon.com/s3/object/bucket?region=eu-west-1&prefix=a%2Fmy+boat.mp4",
        ),
        (
            "https://s3.cn-north-1.amazonaws.com.cn",
            "cn-north-1",
            "https://console.amazonaws.cn/s3/object/bucket?region=cn-north-1&prefix=a%2Fmy+boat.mp4",
        ),
        ("http://minio.internal:9000", "us-east-1", ""),
        ("https://amazonaws.com.example", "us-east-1", ""),
    ],
)
def test_a_clip_in_s3_is_linked_to_the_console_of_the_cloud_that_holds_it(endpoint, region, address, speaks_with):
    speaks_with(endpoint, region)
    assert MinimaxClipLink().get_link(delivering("s3://c@bucket/a/my boat.mp4"), ti_key=key()) == address


def test_storage_that_cannot_be_asked_gives_no_link_and_a_warning_instead_of_an_error(mocker, log_of):
    log = log_of(Announcing)
    mocker.patch("airflow.sdk.ObjectStoragePath", side_effect=ValueError("No filesystem registered for scheme s3"))
    assert MinimaxClipLink().get_link(delivering("s3://bucket/boat.mp4"), ti_key=key()) == ""
    assert "No link to the clip, but the clip is delivered. ValueError: No filesystem" in log.said()


@pytest.mark.parametrize("path", ["gs://bucket/name-\udce9.mp4", "gs://[/boat.mp4"])
def test_no_name_of_a_clip_makes_its_links_fail_the_task(path, log_of):
    log = log_of(Announcing)
    operator = delivering(path)
    assert isinstance(MinimaxClipLink().get_link(operator, ti_key=key()), str)
    assert MinimaxFactsLink().get_link(operator, ti_key=key()).endswith("/xcom")
    assert "Traceback" not in log.said()


@pytest.mark.parametrize(
    ("base_url", "map_index", "address"),
    [
        (None, -1, "/dags/boats/runs/manual__2026-11-21T06%3A00%3A00%2B00%3A00/tasks/clip/xcom"),
        (None, 0, "/dags/boats/runs/manual__2026-11-21T06%3A00%3A00%2B00%3A00/tasks/clip/mapped/0/xcom"),
        (
            "https://airflow.example/team/",
            2,
            "https://airflow.example/team/dags/boats/runs/manual__2026-11-21T06%3A00%3A00%2B00%3A00"
            "/tasks/clip/mapped/2/xcom",
        ),
    ],
)
def test_the_facts_are_linked_to_the_xcoms_of_the_very_task_instance(base_url, map_index, address, mocker):
    mocker.patch.object(links.conf, "get", return_value=base_url)
    assert MinimaxFactsLink().get_link(delivering("/data/boat.mp4"), ti_key=key(map_index)) == address


@pytest.mark.parametrize(("path", "pushes"), [(None, True), ("/data/boat.mp4", False)])
def test_without_a_clip_or_without_xcoms_there_are_no_facts_to_link(path, pushes):
    assert MinimaxFactsLink().get_link(delivering(path, do_xcom_push=pushes), ti_key=key()) == ""


@pytest.mark.usefixtures("airflow_db")
def test_airflow_stores_the_links_of_a_deferred_task():
    dag_run = load_dags("announcing")["announced_local_clip"].test()
    (ti,) = dag_run.get_task_instances()
    stored = {link.name: ti.xcom_pull(key=link.xcom_key) for link in (MinimaxClipLink(), MinimaxFactsLink())}
    assert stored["Clip"] == ""
    assert stored["Facts"].endswith("/tasks/announce/xcom")


def test_the_provider_names_its_links():
    assert get_provider_info()["extra-links"] == [
        f"{link.__module__}.{link.__qualname__}" for link in (MinimaxClipLink, MinimaxFactsLink)
    ]
