"""What Airflow stores of a delivered clip: ``dag.test()`` and a look into its database."""

from __future__ import annotations

import hashlib
import warnings
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from sqlalchemy import select

from airflow_provider_minimax.delivery.assets import ClipAsset, announce, uri_of
from airflow_provider_minimax.delivery.delivered_clip import DeliveredClip
from airflow_provider_minimax.delivery.destination import LocalDestination
from airflow_provider_minimax.purchases.receipt import Owner, Phase, Receipt
from tests.conftest import load_dags
from tests.dag_files.announcing import BOAT, FACTS

EXTRA = {
    "task_id": "179525184968000",
    "state": "succeeded",
    "model": "MiniMax-Hailuo-2.3",
    "sha256": "9f86d08",
    "size": 4096,
    "width": 1366,
    "duration": 6.0,
    "cost.amount": 0.28,
    "cost.currency": "USD",
    "cost.kind": "list price",
    "tracks": '["h264", "aac"]',
}


@pytest.fixture(scope="module")
def boat(airflow_db):
    """Register the DAGs' asset, as the DAG processor does; since Airflow 3.1 ``dag.test()`` does so too."""
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        # Other tests' DAGs may have registered it before.
        session.merge(AssetActive(name=BOAT.name, uri=BOAT.uri))
        if session.scalar(select(AssetModel).where(AssetModel.name == BOAT.name, AssetModel.uri == BOAT.uri)) is None:
            session.add(AssetModel(name=BOAT.name, uri=BOAT.uri))


def events(dag_run: Any) -> list[tuple[str, int, dict[str, Any]]]:
    """Return what the database holds of a run: the asset's URI, the map index of its source, the extra."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.execute(
            select(AssetModel.uri, AssetEvent.source_map_index, AssetEvent.extra)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetEvent.source_dag_id == dag_run.dag_id, AssetEvent.source_run_id == dag_run.run_id)
            .order_by(AssetEvent.source_map_index, AssetModel.uri)
        )
        return [tuple(row) for row in rows]


def extra(map_index: int = -1) -> dict[str, Any]:
    return EXTRA | {"map_index": map_index}


def run(dag_id: str, **params: Any) -> Any:
    done = load_dags("announcing")[dag_id].test(run_conf=params)
    assert str(done.state) == "success"
    return done


@pytest.mark.usefixtures("boat")
@pytest.mark.parametrize("dag_id", ["announced_at_once", "announced_after_a_deferral"])
def test_a_fixed_asset_gets_the_facts_though_its_uri_is_another(dag_id):
    assert ("s3://published/boat", -1, extra()) in events(run(dag_id))


@pytest.mark.usefixtures("boat")
@pytest.mark.parametrize("dag_id", ["announced_at_once", "announced_after_a_deferral"])
def test_an_alias_gets_an_event_of_the_asset_at_the_clips_place(dag_id):
    assert ("s3://bucket/boat-0.mp4", -1, extra()) in events(run(dag_id))


@pytest.mark.usefixtures("boat")
def test_each_mapped_task_has_events_of_its_own():
    assert events(run("announced_by_mapped_tasks")) == [
        ("s3://bucket/boat-0.mp4", 0, extra(0)),
        ("s3://bucket/boat-1.mp4", 1, extra(1)),
    ]


@pytest.mark.usefixtures("boat")
def test_a_retry_that_finds_the_clip_in_its_place_leaves_one_event():
    assert events(run("announced_by_two_tries")) == [("s3://bucket/boat-0.mp4", -1, extra())]


@pytest.mark.usefixtures("boat")
def test_a_reference_to_an_asset_gets_the_facts_too():
    assert events(run("announced_by_reference")) == [("s3://published/boat", -1, extra())]


@pytest.mark.usefixtures("boat")
def test_every_task_that_delivers_a_clip_says_where_and_what_it_is(connect, tmp_path):
    connect()
    facts = {
        Path(uri).name: extra for uri, _, extra in events(run("announced_by_all_who_deliver", folder=str(tmp_path)))
    }
    assert set(facts) == {"generated.mp4", "waited-for.mp4", "downloaded.mp4"}
    for name, extra in facts.items():
        assert (extra["output_path"], extra["platform"]) == (str(tmp_path / name), "minimax")
        assert extra["size"] == (tmp_path / name).stat().st_size
    generated = facts["generated.mp4"]
    assert (generated["model"], generated["prompt"]) == ("MiniMax-Hailuo-2.3", "a cat")
    assert (generated["cost.amount"], generated["cost.kind"]) == (0.28, "list price")


@pytest.mark.usefixtures("boat")
def test_the_result_of_a_task_says_what_its_clip_was_made_from(connect, tmp_path):
    connect()
    done = run("announced_by_all_who_deliver", folder=str(tmp_path))
    results = {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in done.get_task_instances()}
    generated, downloaded = results["generate"], results["download"]
    assert (generated["model"], generated["prompt"]) == ("MiniMax-Hailuo-2.3", "a cat")
    assert (generated["cost"]["amount"], generated["cost"]["kind"]) == (0.28, "list price")
    assert generated["previews"] is None
    # Who fetches a clip by its id, to another place, knows no request.
    assert (downloaded["model"], downloaded["prompt"], downloaded["cost"]) == (None, None, None)


def receipt(**changes: Any) -> Receipt:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    given = {
        "phase": Phase.DELIVERED,
        "fingerprint": "f",
        "platform": "minimax",
        "minimax_conn_id": "minimax_default",
        "model": "MiniMax-H3",
        "owner": Owner(dag_id="boats", run_id="1", task_id="generate", map_index=3),
        "max_tries": 0,
        "try_number": 1,
        "intended_at": now,
        "minimax_task_id": "1",
        "sha256": "9f86d08",
        "previews": {"poster": "/data/boat.mp4.poster.jpg"},
    }
    return Receipt(**given | changes)


def test_a_long_prompt_is_shortened_and_its_hash_is_that_of_all_of_it(tmp_path):
    prompt = "船" * 7000
    poster = tmp_path / "boat.mp4.poster.jpg"
    poster.touch()
    facts = DeliveredClip.from_receipt(
        receipt(request={"prompt": prompt}), LocalDestination(tmp_path / "boat.mp4")
    ).facts_with_origin()
    assert facts["prompt"] == "船" * 1999 + "…"
    assert facts["prompt_sha256"] == hashlib.sha256(prompt.encode()).hexdigest()
    assert facts["previews"] == {"poster": str(poster)}


@pytest.mark.parametrize("prompt", [5, None, ["a cat"]])
def test_a_receipt_that_somebody_edited_does_not_fail_the_task_of_a_delivered_clip(prompt, tmp_path):
    facts = DeliveredClip.from_receipt(
        receipt(request={"prompt": prompt}), LocalDestination(tmp_path / "boat.mp4")
    ).facts_with_origin()
    assert (facts["prompt"], facts["prompt_sha256"]) == (None, None)


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/data/clip.mp4", "file:///data/clip.mp4"),
        ("file:///data/clip.mp4", "file:///data/clip.mp4"),
        ("file:///data/my%20clip.mp4", "file:///data/my%2520clip.mp4"),
        ("/data/a://b.mp4", "file:///data/a:/b.mp4"),
        ("/data/my clip #2?.mp4", "file:///data/my clip %232%3F.mp4"),
        ("s3://bucket/a/clip.mp4", "s3://bucket/a/clip.mp4"),
        ("s3://my_aws_conn@bucket/a/clip.mp4", "s3://bucket/a/clip.mp4"),
        ("S3A://my_aws_conn@bucket/me@home.mp4", "s3://bucket/me@home.mp4"),
        ("gcs://bucket/clip.mp4", "gs://bucket/clip.mp4"),
        ("abfss://my_azure_conn@container/clip.mp4", "abfss://container/clip.mp4"),
        ("/data/café ⛵ 船.mp4", "file:///data/caf%C3%A9 %E2%9B%B5 %E8%88%B9.mp4"),
        ("/data/caf%C3%A9.mp4", "file:///data/caf%25C3%25A9.mp4"),
        ("/data/not-utf-8-\udce9.mp4", "file:///data/not-utf-8-%E9.mp4"),
        ("s3://bucket/a\tb\nc\0.mp4", "s3://bucket/a%09b%0Ac%00.mp4"),
        ("memory://bücher/clip.mp4", "memory://b%C3%BCcher/clip.mp4"),
        ("s3://bucket/day=1/run+00:00/[a]&b.mp4", "s3://bucket/day=1/run+00:00/[a]&b.mp4"),
    ],
)
def test_a_clip_has_one_uri_whichever_way_it_is_reached_and_airflow_takes_it_as_it_is(path, uri):
    from airflow.models.asset import AssetModel

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert uri_of(path) == Asset(uri=uri_of(path)).uri == uri
        assert AssetModel(uri=uri_of(path)).uri == uri


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert uri_of("clip.mp4") == f"file://{tmp_path}/clip.mp4"


class Broken:
    """Stands for a context of Airflow in which nothing works."""

    def __getitem__(self, name: str) -> Any:
        raise RuntimeError("the API server is away")


@pytest.fixture
def operator(mocker):
    return mocker.Mock(outlets=[Asset("boat"), AssetAlias("clips")])


def test_no_problem_with_assets_fails_the_task_and_each_is_logged(operator):
    announce(Broken(), operator, ClipAsset("s3://bucket/boat.mp4", FACTS))
    said = [call.args[0] % call.args[1:] for call in operator.log.warning.call_args_list]
    assert said == [
        f"No event for {outlet}, but the clip is delivered. RuntimeError: the API server is away"
        for outlet in ("Asset 'boat'", "AssetAlias 'clips'")
    ]


def test_a_warning_shows_no_secret_of_the_outlet_or_the_error(mocker):
    outlet = Asset(name="boat", uri="s3://published/boat", extra={"token": "secret-1"})
    operator = mocker.Mock(outlets=[outlet])
    context = mocker.MagicMock()
    context.__getitem__.side_effect = ValueError("https://user:secret-2@api.example/events?signature=secret-3 is away")
    announce(context, operator, ClipAsset("s3://my_conn@bucket/boat.mp4", FACTS))
    ((args, kwargs),) = operator.log.warning.call_args_list
    assert "secret" not in args[0] % args[1:]
    assert "exc_info" not in kwargs, "a traceback repeats the error's words"


def test_a_name_too_long_for_the_database_has_no_event_and_that_is_a_warning(operator, mocker):
    events = mocker.MagicMock()
    context = {"outlet_events": events, "ti": SimpleNamespace(map_index=-1)}
    announce(context, operator, ClipAsset(f"s3://bucket/{'船' * 200}.mp4", FACTS))
    said = [call.args[0] % call.args[1:] for call in operator.log.warning.call_args_list]
    assert len(said) == 1
    assert "No event for AssetAlias 'clips'" in said[0]
    assert "has 1816 characters after encoding; at most 1300" in said[0]
    assert events.__getitem__.return_value.extra["sha256"] == FACTS["sha256"]
    assert events.__getitem__.return_value.add.mock_calls == []


def test_hook_lineage_is_reported_once(operator, mocker):
    collector = mocker.patch("airflow.providers.common.compat.lineage.hook.get_hook_lineage_collector").return_value
    context = {"outlet_events": mocker.MagicMock(), "ti": SimpleNamespace(map_index=-1)}
    announce(context, operator, ClipAsset("s3://c@bucket/boat.mp4", FACTS))
    collector.add_output_asset.assert_called_once_with(context=operator, uri="s3://bucket/boat.mp4")
    assert operator.log.warning.mock_calls == []


def test_what_is_no_json_becomes_a_text_instead_of_failing_the_task():
    assert ClipAsset("/clip.mp4", {"day": date(2026, 11, 21)}).as_extra() == {"day": "2026-11-21"}


def test_facts_are_what_every_database_of_airflow_stores():
    facts = {
        "file_id": "7\0\udce9",
        "duration": float("nan"),
        "cost": {"amount": 2**64},
        "previews": {"poster": "a.jpg"},
    }
    assert ClipAsset("/clip.mp4", facts).as_extra() == {
        "file_id": "7\\x00\\udce9",
        "cost.amount": "18446744073709551616",
        "previews.poster": "a.jpg",
    }


def test_unknown_facts_are_left_out():
    assert ClipAsset("/clip.mp4", {"width": None}).as_extra() == {}
