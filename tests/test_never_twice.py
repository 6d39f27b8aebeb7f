"""What a DAG author sees of receipts, with the emulator as the platform and real files next to the clip."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred
from PIL import Image

from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxConnectionNotFoundError,
    MinimaxConnectionUnusableError,
    MinimaxError,
    MinimaxModerationError,
    MinimaxQuotaError,
    MinimaxReceiptError,
    MinimaxReceiptStoreError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskTimeoutError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.polling.poller import terminal_outcome
from tests.fakes import HAS_STORE, FakeStore, FakeTaskInstance
from tests.receipts.samples import OTHER, submitted

CONTENT = {"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"}
WAITING = {"wait_for_completion": True, "deferrable": False, "poll_interval": 0.01}

with_store = pytest.mark.skipif(not HAS_STORE, reason="the task state store came with Airflow 3.3")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "clip.mp4"


@pytest.fixture
def receipt_of():
    return lambda output: json.loads(Path(f"{output}.receipt.json").read_text())


@pytest.fixture
def generate(connect, minimax_emulator, output):
    """Run the operator once, as one try of one task."""
    connect(extra={"max_retries": 0})
    minimax_emulator.configure(lifecycle="polls", polls=1)

    def run(ti: FakeTaskInstance | None = None, store: FakeStore | None = None, **changes):
        options = CONTENT | WAITING | {"output_path": str(output)} | changes
        context = {"ti": ti or FakeTaskInstance()} | ({"task_state_store": store} if store else {})
        return MinimaxVideoGenerationOperator(task_id="generate", **options).execute(context)

    return run


def test_the_receipt_next_to_the_clip_says_where_it_comes_from(generate, minimax_emulator, output, receipt_of):
    facts = generate()
    receipt = receipt_of(output)
    assert receipt["phase"] == "delivered"
    assert receipt["minimax_task_id"] == facts["task_id"] == minimax_emulator.purchases[0]["task_id"]
    assert receipt["sha256"] == facts["sha256"]
    assert receipt["size"] == output.stat().st_size
    assert receipt["owner"] == {"dag_id": "dag", "run_id": "run", "task_id": "generate", "map_index": -1}
    assert receipt["model"] == CONTENT["model"]


def test_a_receipt_holds_no_secret(generate, minimax_emulator, output):
    generate(first_frame_image="https://files.example/a.png?X-Amz-Signature=SECRET")
    text = Path(f"{output}.receipt.json").read_text()
    assert "SECRET" not in text
    assert minimax_emulator.api_key() not in text


def test_the_same_request_for_the_same_output_is_bought_once(generate, minimax_emulator):
    first = generate()
    assert generate(FakeTaskInstance(run_id="another")) == first
    assert len(minimax_emulator.purchases) == 1


def test_a_clip_that_somebody_changed_is_not_replaced(generate, minimax_emulator, output):
    generate()
    output.write_bytes(b"cut and coloured")
    with pytest.raises(MinimaxRequestError, match="has changed since MiniMax task"):
        generate(FakeTaskInstance(run_id="another"))
    assert output.read_bytes() == b"cut and coloured"
    assert len(minimax_emulator.purchases) == 1


def test_another_request_for_the_same_output_is_an_error_that_names_both(generate, minimax_emulator):
    generate()
    with pytest.raises(MinimaxReceiptError) as raised:
        generate(FakeTaskInstance(run_id="another"), prompt="a dog")
    assert "of run run" in str(raised.value)
    assert "of run another" in str(raised.value)
    assert len(minimax_emulator.purchases) == 1


def test_overwrite_replaces_the_clip_by_a_new_one(generate, minimax_emulator, output, receipt_of):
    generate()
    facts = generate(FakeTaskInstance(run_id="another"), prompt="a dog", overwrite=True)
    assert len(minimax_emulator.purchases) == 2
    assert receipt_of(output)["minimax_task_id"] == facts["task_id"]


def test_a_refused_replacement_leaves_clip_and_receipt_as_they_were(generate, minimax_emulator, output, receipt_of):
    generate()
    before = output.read_bytes(), receipt_of(output)
    minimax_emulator.fault("base_resp", operation="submit", code=1026)
    with pytest.raises(MinimaxError, match="code 1026"):
        generate(FakeTaskInstance(run_id="another"), prompt="a dog", overwrite=True)
    assert (output.read_bytes(), receipt_of(output)) == before


def test_a_picture_counts_by_its_bytes(generate, minimax_emulator, tmp_path):
    picture = tmp_path / "frame.png"
    Image.new("RGB", (400, 400), "red").save(picture)
    generate(first_frame_image=str(picture))
    picture.rename(tmp_path / "renamed.png")
    generate(FakeTaskInstance(try_number=2), first_frame_image=str(tmp_path / "renamed.png"))
    assert len(minimax_emulator.purchases) == 1
    Image.new("RGB", (400, 400), "blue").save(picture)
    with pytest.raises(MinimaxReceiptError, match="not the one that this task bought before"):
        generate(FakeTaskInstance(try_number=2), first_frame_image=str(picture))
    assert len(minimax_emulator.purchases) == 1


def test_mapped_tasks_have_receipts_of_their_own(generate, minimax_emulator, tmp_path):
    for index in range(2):
        generate(FakeTaskInstance(map_index=index), prompt=f"cat {index}", output_path=str(tmp_path / f"{index}.mp4"))
    assert len(minimax_emulator.purchases) == 2


@with_store
def test_a_mapped_list_that_shifts_between_tries_is_noticed(generate, minimax_emulator):
    store = FakeStore()
    generate(FakeTaskInstance(map_index=1), store, output_path=None, prompt="second")
    with pytest.raises(MinimaxReceiptError, match="not the one that this task bought before"):
        generate(FakeTaskInstance(map_index=1, try_number=2), store, output_path=None, prompt="third")
    assert len(minimax_emulator.purchases) == 1


LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
LOST = [
    ("lost_answer", {}),
    ("hold", {}),
    ("http", {"status": 500, "job_made": True}),
    ("http", {"status": 502, "html": True, "job_made": True}),
    ("non_json", {"job_made": True}),
    *[("base_resp", {"code": code, "job_made": True}) for code in (1000, 1001, 1013, 1024, 1033)],
]


@pytest.mark.parametrize(("kind", "details"), LOST)
def test_a_lost_answer_stops_the_task_and_every_retry_of_it(
    kind, details, generate, connect, minimax_emulator, output, receipt_of
):
    if kind == "hold":
        connect(extra={"max_retries": 0, "timeout": 2})
    minimax_emulator.fault(kind, operation="submit", **details)
    for try_number in (1, 2, 3):
        with pytest.raises(MinimaxSubmissionUnknownError) as raised:
            generate(FakeTaskInstance(try_number=try_number))
        assert isinstance(raised.value, AirflowFailException)
        for words in ("may have been bought", "airflow minimax receipts adopt", "on_orphaned_intent='resubmit'"):
            assert words in str(raised.value)
    assert receipt_of(output)["phase"] == "intent"
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize("code", [1002, 1004, 1008, 1026, 1039, 2013, 2049, 2056])
def test_a_definite_refusal_leaves_nothing_in_the_way(code, generate, minimax_emulator, output):
    minimax_emulator.fault("base_resp", operation="submit", code=code)
    with pytest.raises(MinimaxError, match=f"code {code}"):
        generate()
    assert not Path(f"{output}.receipt.json").exists()
    assert generate(FakeTaskInstance(try_number=2))["state"] == "succeeded"
    assert len(minimax_emulator.purchases) == 1


def test_a_platform_that_cannot_be_reached_leaves_nothing_in_the_way(generate, connect, output):
    connect(host="http://127.0.0.1:9", extra={"max_retries": 0})
    with pytest.raises(MinimaxError, match=r"Nothing was bought\."):
        generate()
    assert not Path(f"{output}.receipt.json").exists()


def test_an_author_may_have_lost_answers_submitted_again(generate, minimax_emulator):
    minimax_emulator.fault("lost_answer", operation="submit")
    with pytest.raises(MinimaxSubmissionUnknownError):
        generate(on_orphaned_intent="resubmit")
    assert generate(FakeTaskInstance(max_tries=5), on_orphaned_intent="resubmit")["state"] == "succeeded"
    assert len(minimax_emulator.purchases) == 2


def spoil(receipt: dict, **changes) -> str:
    return json.dumps(receipt | changes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (spoil(submitted().as_values(), schema=99), "has schema 99"),
        (submitted().as_json().decode()[:100], "is not whole"),
        ("", "is not whole"),
        ('{"made by": "somebody else"}', "was not written by this provider"),
        (
            submitted(intended_at=LONG_AGO, submitted_at=LONG_AGO, owner=OTHER).as_json().decode(),
            "two different requests share one output_path",
        ),
        (
            submitted(submitted_at=datetime.now(UTC) + timedelta(hours=2)).as_json().decode(),
            "from the future",
        ),
    ],
)
def test_a_bad_receipt_stops_the_task_before_anything_is_sent(content, said, generate, minimax_emulator, output):
    sidecar = Path(f"{output}.receipt.json")
    sidecar.write_text(content)
    with pytest.raises(MinimaxReceiptError, match=said) as raised:
        generate()
    assert str(sidecar) in str(raised.value)
    assert sidecar.read_text() == content
    assert minimax_emulator.requests == []


class StoreDown(FakeStore):
    """Airflow's API server does not answer."""

    def get(self, key, default=None):
        raise ConnectionError("API server is gone")


class StoreReadOnly(FakeStore):
    """Airflow's store takes nothing."""

    def set(self, key, value, *, retention=None):
        raise ConnectionError("403 Forbidden")


@with_store
@pytest.mark.parametrize("store", [StoreDown, StoreReadOnly])
@pytest.mark.parametrize("has_output", [True, False])
def test_nothing_is_bought_while_receipts_cannot_be_kept(store, has_output, generate, minimax_emulator, output):
    with pytest.raises(MinimaxReceiptStoreError) as raised:
        generate(store=store(), **({} if has_output else {"output_path": None}))
    assert not isinstance(raised.value, AirflowFailException)
    assert "in the task state store cannot be" in str(raised.value)
    assert "Nothing was bought now." in str(raised.value)
    assert minimax_emulator.requests == []
    assert not Path(f"{output}.receipt.json").exists()


def test_a_clear_says_what_it_leaves_behind(generate, minimax_emulator, log_of, output, receipt_of):
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(MinimaxError):
        generate(timeout=0.05)
    left = minimax_emulator.purchases[0]["task_id"]
    minimax_emulator.configure(lifecycle="polls", polls=1)
    log = log_of(MinimaxVideoGenerationOperator)
    generate(FakeTaskInstance(max_tries=7), on_clear="resubmit")
    assert f"MiniMax task {left}, which was bought before, is left alone; it was or will be billed." in log.said()
    assert receipt_of(output)["replaced"] == [left]


def test_a_clear_goes_on_with_what_was_bought(generate, minimax_emulator, log_of):
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(MinimaxError):
        generate(timeout=0.05)
    (job,) = minimax_emulator.jobs
    minimax_emulator.set_job(job["task_id"], "success")
    log = log_of(MinimaxVideoGenerationOperator)
    assert generate(FakeTaskInstance(max_tries=7))["task_id"] == job["task_id"]
    assert f"MiniMax task {job['task_id']} is bought already; this task was cleared" in log.said()
    assert len(minimax_emulator.purchases) == 1


def test_a_connection_that_is_missing_after_the_purchase_is_passing_trouble(
    generate, connect, minimax_emulator, monkeypatch
):
    """Airflow says so too while a secrets backend is down, and a retry costs nothing."""
    minimax_emulator.fault("expired", operation="download", times=5)
    with pytest.raises(MinimaxError):
        generate()
    monkeypatch.delenv("AIRFLOW_CONN_MINIMAX_DEFAULT")
    with pytest.raises(MinimaxConnectionUnusableError, match="the worker cannot use the connection") as raised:
        generate(FakeTaskInstance(try_number=2))
    assert not isinstance(raised.value, AirflowFailException)
    assert raised.value.resumable
    assert "an earlier submission bought a clip" in str(raised.value)
    connect()
    assert generate(FakeTaskInstance(try_number=3))["state"] == "succeeded"
    assert len(minimax_emulator.purchases) == 1


def test_a_connection_that_is_missing_before_the_purchase_is_final(generate, minimax_emulator, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_MINIMAX_DEFAULT")
    with pytest.raises(MinimaxConnectionNotFoundError) as raised:
        generate()
    assert isinstance(raised.value, AirflowFailException)
    assert minimax_emulator.purchases == []


@pytest.mark.parametrize(
    "error",
    [
        MinimaxConfigurationError("there is no such platform"),
        MinimaxAuthError("the key was refused"),
        MinimaxQuotaError("the account is empty"),
    ],
)
def test_what_is_wrong_with_the_triggerers_connection_is_left_to_a_retry(error, generate, minimax_emulator, output):
    minimax_emulator.fault("expired", operation="download", times=5)
    with pytest.raises(MinimaxError):
        generate()
    options = CONTENT | WAITING | {"output_path": str(output)}
    operator = MinimaxVideoGenerationOperator(task_id="generate", **options)
    error.minimax_task_id = minimax_emulator.purchases[0]["task_id"]
    with pytest.raises(MinimaxConnectionUnusableError, match="the triggerer cannot use the connection") as raised:
        operator.execute_complete({"ti": FakeTaskInstance()}, {"task": None, "error": error.as_event()})
    assert raised.value.resumable
    assert not isinstance(raised.value, AirflowFailException)


def test_a_queued_task_that_somebody_cancelled_is_left_to_a_retry_that_buys_another(connect, minimax_emulator, output):
    minimax_emulator.configure(lifecycle="manual")
    connect()
    h3 = {"model": "MiniMax-H3", "prompt": "a cat", "resolution": "768P", "duration": 5, "ratio": "16:9"}
    options = h3 | {"output_path": str(output), "deferrable": True}
    operator = MinimaxVideoGenerationOperator(task_id="generate", **options)
    with pytest.raises(TaskDeferred):
        operator.execute({"ti": FakeTaskInstance()})
    cancelled = VideoTask(minimax_emulator.purchases[0]["task_id"], TaskState.CANCELLED, "cancelled", api_version="v2")
    with pytest.raises(AirflowException, match="A retry buys another") as raised:
        operator.execute_complete({"ti": FakeTaskInstance()}, terminal_outcome(cancelled).as_event())
    assert not isinstance(raised.value, AirflowFailException)
    minimax_emulator.configure(lifecycle="polls", polls=1)
    waiting = MinimaxVideoGenerationOperator(
        task_id="generate", **options | {"deferrable": False, "poll_interval": 0.05}
    )
    assert waiting.execute({"ti": FakeTaskInstance(try_number=2)})["state"] == "succeeded"
    assert len(minimax_emulator.purchases) == 2


def test_what_was_refused_after_generation_is_not_bought_by_the_next_run(generate, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(MinimaxError):
        generate(FakeTaskInstance(run_id="monday"), timeout=0.05)
    minimax_emulator.set_job(minimax_emulator.purchases[0]["task_id"], "failed", code=1027)
    with pytest.raises(MinimaxModerationError):
        generate(FakeTaskInstance(run_id="monday", try_number=2))
    minimax_emulator.configure(lifecycle="polls", polls=1)
    tuesday = {"run_id": "tuesday"}
    with pytest.raises(MinimaxModerationError, match="Nothing was bought"):
        generate(FakeTaskInstance(**tuesday), retries=3)
    assert len(minimax_emulator.purchases) == 1
    assert generate(FakeTaskInstance(max_tries=4, **tuesday), retries=3)["state"] == "succeeded"
    assert len(minimax_emulator.purchases) == 2


# -- a picture that is gone --------------------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    picture = tmp_path / "frame.png"
    Image.new("RGB", (400, 400), "red").save(picture)
    return picture


@pytest.fixture
def unfinished(generate, minimax_emulator, picture) -> str:
    """A clip that an earlier try bought and could not wait for; its picture is gone since."""
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(MinimaxTaskTimeoutError):
        generate(first_frame_image=str(picture), timeout=0.05)
    picture.unlink()
    (job,) = minimax_emulator.jobs
    minimax_emulator.set_job(job["task_id"], "success")
    return job["task_id"]


@pytest.mark.parametrize(
    ("ti", "changes"),
    [
        pytest.param(FakeTaskInstance(try_number=2), {}, id="retried"),
        pytest.param(FakeTaskInstance(max_tries=7), {"on_clear": "reuse"}, id="cleared"),
    ],
)
def test_what_goes_on_with_a_clip_does_not_need_its_picture(
    ti, changes, generate, minimax_emulator, unfinished, picture, output, log_of
):
    log = log_of(MinimaxVideoGenerationOperator)
    assert generate(ti, first_frame_image=str(picture), **changes)["task_id"] == unfinished
    assert output.exists()
    assert "The request cannot be made again (first_frame_image=" in log.said()
    assert len(minimax_emulator.purchases) == 1


def test_a_retry_does_not_need_the_picture_of_a_clip_that_is_delivered(generate, minimax_emulator, picture):
    facts = generate(first_frame_image=str(picture))
    picture.unlink()
    assert generate(FakeTaskInstance(try_number=2), first_frame_image=str(picture)) == facts
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.parametrize(
    ("ti", "changes"),
    [
        pytest.param(FakeTaskInstance(max_tries=7), {"on_clear": "resubmit"}, id="cleared to buy another"),
        pytest.param(FakeTaskInstance(try_number=2), {"first_frame_image": "/gone/b.png"}, id="of another picture"),
        pytest.param(FakeTaskInstance(try_number=2), {"prompt": "a dog"}, id="of another prompt"),
        pytest.param(FakeTaskInstance(run_id="another"), {}, id="in another run"),
    ],
)
def test_any_other_task_learns_that_its_image_is_gone(
    ti, changes, generate, minimax_emulator, unfinished, picture, output
):
    with pytest.raises(MinimaxRequestError, match="first_frame_image="):
        generate(ti, **{"first_frame_image": str(picture)} | changes)
    assert len(minimax_emulator.purchases) == 1
    assert not output.exists()


@pytest.mark.parametrize("spoil", [lambda picture: Image.new("RGB", (100, 100)).save(picture), Path.touch])
def test_a_picture_that_was_spoilt_is_no_picture_that_is_gone(spoil, generate, minimax_emulator, unfinished, picture):
    spoil(picture)
    with pytest.raises(MinimaxRequestError, match="first_frame_image="):
        generate(FakeTaskInstance(try_number=2), first_frame_image=str(picture))


def test_receipts_that_cannot_be_read_either_are_reported(generate, minimax_emulator, unfinished, picture, output):
    Path(f"{output}.receipt.json").write_text("{")
    with pytest.raises(MinimaxReceiptError, match="is not whole"):
        generate(FakeTaskInstance(try_number=2), first_frame_image=str(picture))


def test_nor_is_the_clip_of_another_platform_gone_on_with(generate, connect, minimax_emulator, unfinished, picture):
    connect("novita")
    with pytest.raises(MinimaxRequestError, match="first_frame_image=") as raised:
        generate(FakeTaskInstance(try_number=2), first_frame_image=str(picture))
    assert raised.value.minimax_task_id == unfinished
    assert len(minimax_emulator.purchases) == 1


@pytest.fixture
def lost(generate, minimax_emulator, picture) -> None:
    """A submission whose answer was lost; its picture is gone since."""
    minimax_emulator.fault("lost_answer", operation="submit")
    with pytest.raises(MinimaxSubmissionUnknownError):
        generate(first_frame_image=str(picture))
    picture.unlink()


def test_a_lost_answer_stops_the_retry_also_if_the_picture_is_gone(generate, minimax_emulator, lost, picture):
    with pytest.raises(MinimaxSubmissionUnknownError, match="its answer was never written down"):
        generate(FakeTaskInstance(try_number=2), first_frame_image=str(picture))
    assert len(minimax_emulator.purchases) == 1


def test_nothing_is_submitted_again_without_its_picture(generate, minimax_emulator, lost, picture):
    given = {"first_frame_image": str(picture), "on_orphaned_intent": "resubmit"}
    with pytest.raises(MinimaxRequestError, match="first_frame_image=") as raised:
        generate(FakeTaskInstance(try_number=2), **given)
    assert raised.value.billing == "Nothing was bought now; an earlier submission may have bought a clip."
    assert len(minimax_emulator.purchases) == 1


def test_a_refusal_is_repeated_also_if_the_picture_is_gone(generate, minimax_emulator, picture):
    minimax_emulator.configure(lifecycle="manual")
    with pytest.raises(MinimaxTaskTimeoutError):
        generate(first_frame_image=str(picture), timeout=0.05)
    minimax_emulator.set_job(minimax_emulator.jobs[0]["task_id"], "failed")
    for try_number in (2, 3):
        with pytest.raises(MinimaxModerationError):
            generate(FakeTaskInstance(try_number=try_number), first_frame_image=str(picture))
        picture.unlink(missing_ok=True)
    assert len(minimax_emulator.purchases) == 1


def test_a_task_without_a_receipt_warns_if_it_has_retries(generate, log_of):
    log = log_of(MinimaxVideoGenerationOperator)
    generate(output_path=None, retries=2)
    assert "a retry after the death of the worker would buy again" in log.said()
    log.reset_mock()
    generate(output_path=None, retries=0)
    generate(output_path=None, retries=2, durable=False)
    assert "would buy again" not in log.said()


def test_without_a_receipt_every_failure_after_the_purchase_is_final(generate, minimax_emulator, tmp_path):
    minimax_emulator.fault("unknown_task", operation="file", times=9)
    minimax_emulator.fault("non_json", operation="file", times=9)
    with pytest.raises(AirflowFailException):
        generate(durable=False)
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_is_killed_while_submitting_says_so(log_of, connect, monkeypatch):
    connect()
    log = log_of(MinimaxVideoGenerationOperator)
    operator = MinimaxVideoGenerationOperator(task_id="generate", **CONTENT)
    monkeypatch.setattr(MinimaxHook, "submit", lambda *_, **__: operator.on_kill() or "T1")
    operator.execute({"ti": FakeTaskInstance()})
    assert "may have been bought and may be billed" in log.said()


# -- the download operator -------------------------------------------------------------------------------------------


def download(minimax_task_id: str, output: Path, **changes):
    operator = MinimaxVideoDownloadOperator(
        task_id="download", minimax_task_id=minimax_task_id, output_path=str(output), **changes
    )
    return operator.execute({"ti": FakeTaskInstance()})


def test_submit_and_download_share_one_receipt(generate, output, receipt_of):
    minimax_task_id = generate(wait_for_completion=False)
    assert receipt_of(output)["phase"] == "submitted"
    facts = download(minimax_task_id, output)
    assert receipt_of(output)["phase"] == "delivered"
    assert receipt_of(output)["owner"]["task_id"] == "generate"
    assert receipt_of(output)["fingerprint"]
    assert facts["sha256"] == receipt_of(output)["sha256"]


def test_a_download_that_is_tried_again_fetches_nothing(generate, minimax_emulator, output):
    minimax_task_id = generate(wait_for_completion=False)
    first = download(minimax_task_id, output)
    before = len(minimax_emulator.requests)
    assert download(minimax_task_id, output) == first
    assert len(minimax_emulator.requests) == before


def test_a_download_that_died_right_after_putting_the_clip_in_its_place_is_written_down(generate, output, receipt_of):
    first = download(generate(wait_for_completion=False), output)
    delivered = receipt_of(output)
    unfinished = delivered | {"phase": "submitted", "delivered_at": None}
    Path(f"{output}.receipt.json").write_text(json.dumps(unfinished))
    assert download(delivered["minimax_task_id"], output) == first
    assert receipt_of(output)["phase"] == "delivered"


def test_a_download_does_not_take_the_place_of_a_clip_that_is_still_to_come(generate, output, tmp_path):
    generate(wait_for_completion=False)
    other = generate(wait_for_completion=False, prompt="a dog", output_path=str(tmp_path / "dog.mp4"))
    with pytest.raises(MinimaxReceiptError, match="is reserved for the clip of task .* give another path"):
        download(other, output, overwrite=True)


def test_a_clip_that_was_bought_elsewhere_gets_a_receipt_when_it_is_fetched(generate, output, receipt_of):
    minimax_task_id = generate(wait_for_completion=False, output_path=None)
    download(minimax_task_id, output)
    assert receipt_of(output)["fingerprint"] is None
    with pytest.raises(MinimaxReceiptError):
        generate()


def test_another_clip_is_replaced_only_if_the_author_says_so(generate, output, receipt_of):
    first, second = (generate(wait_for_completion=False, output_path=None) for _ in range(2))
    download(first, output)
    with pytest.raises(MinimaxRequestError, match="exists already"):
        download(second, output)
    assert receipt_of(output)["minimax_task_id"] == first
    download(second, output, overwrite=True)
    assert receipt_of(output)["minimax_task_id"] == second
