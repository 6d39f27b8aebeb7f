"""``on_orphaned_intent="adopt"`` as a DAG author meets it: what a lost answer was about is found out."""

from __future__ import annotations

import json
import logging
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from PIL import Image

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxReceiptError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.h3 import MinimaxVideoRegenerationOperator
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.polling import handover
from airflow_provider_minimax.polling.deferral import until_listed
from airflow_provider_minimax.purchases import ledger
from airflow_provider_minimax.purchases import matching as adoption
from airflow_provider_minimax.purchases import recovery as search
from airflow_provider_minimax.purchases.candidates import tasks_since
from airflow_provider_minimax.purchases.ledger import Ledger
from airflow_provider_minimax.purchases.purchase import Buyer, NoOutput
from airflow_provider_minimax.purchases.receipt import read_receipt
from airflow_provider_minimax.purchases.recovery import LostSubmissionResolver
from airflow_provider_minimax.purchases.sibling_receipts import sibling_receipts_of
from airflow_provider_minimax.purchases.spec import Policy
from airflow_provider_minimax.triggers.deferring import defer
from tests.conftest import load_dags
from tests.fakes import HAS_STORE, FakeStore, FakeTaskInstance
from tests.receipts.samples import ME, NOW, OTHER, REQUEST, FakeHook, MemoryHome, intent, order, submitted

H3 = {"model": "MiniMax-H3", "prompt": "a paper boat", "resolution": "768P", "duration": 5, "ratio": "16:9"}
WAYS = {"wait_for_completion": True, "deferrable": False, "poll_interval": 0.01, "on_orphaned_intent": "adopt"}
CLIP = adoption.TaskSignature("MiniMax-H3", "768P", 5, "16:9", "generation")
LOG = logging.getLogger("adopting")
LOG.disabled = True


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A minute of settling in less than a second."""
    monkeypatch.setattr(adoption, "OTHERS_WRITE_WITHIN", timedelta(seconds=0.1))
    monkeypatch.setattr(adoption, "LISTED_WITHIN", timedelta(seconds=0.5))
    monkeypatch.setattr(ledger, "SETTLING_TIME", 0.02)
    monkeypatch.setattr("airflow_provider_minimax.purchases.recovery._LIST_EVERY", 0.1)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "clip.mp4"


@pytest.fixture
def generate(connect, minimax_emulator, output):
    """Run the operator once, as one try of one task."""
    connect(extra={"max_retries": 0})
    minimax_emulator.configure(lifecycle="polls", polls=1)

    def run(ti: FakeTaskInstance | None = None, store: FakeStore | None = None, **changes):
        options = H3 | WAYS | {"output_path": str(output)} | changes
        operator = MinimaxVideoGenerationOperator(task_id="generate", **options)
        context = {"ti": ti or FakeTaskInstance(), "dag": SimpleNamespace(task_dict={"generate": operator})}
        return operator.execute(context | ({"task_state_store": store} if store else {}))

    return run


def buy_elsewhere(minimax_emulator, **changes) -> str:
    """Buy a clip of the same kind as somebody whom nothing here knows."""
    with closing(MinimaxHook()) as hook:
        return hook.submit(VideoRequest.of(H3 | changes))


def receipt_of(output: Path) -> dict:
    return json.loads(Path(f"{output}.receipt.json").read_text())


def lose(minimax_emulator, *, sold: bool, times: int = 1) -> None:
    minimax_emulator.fault("lost_answer" if sold else "reset_before", operation="submit", times=times)


# -- whole DAGs --------------------------------------------------------------------------------------------------------


def run_dag(dag_id: str, folder: Path):
    dag_run = load_dags("adopting")[dag_id].test(run_conf={"folder": str(folder)})
    return {ti.map_index: str(ti.state) for ti in dag_run.get_task_instances()}


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize("dag_id", ["adopting_deferrable", "adopting_waiting"])
@pytest.mark.parametrize("sold", [True, False])
def test_a_lost_answer_costs_nothing_but_time(dag_id, sold, connect, minimax_emulator, output):
    """Whether it bought a clip or not, one is paid for and delivered."""
    connect(extra={"max_retries": 0})
    lose(minimax_emulator, sold=sold)
    assert run_dag(dag_id, output.parent) == {-1: "success"}
    (purchase,) = minimax_emulator.purchases
    receipt = receipt_of(output)
    assert (receipt["phase"], receipt["minimax_task_id"]) == ("delivered", purchase["task_id"])
    assert len([request for request in minimax_emulator.requests if request["operation"] == "submit"]) == 2 - sold


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize("dag_id", ["adopting_deferrable", "adopting_waiting"])
def test_where_it_may_be_one_of_several_the_task_stops(dag_id, connect, minimax_emulator, output):
    connect(extra={"max_retries": 0})
    buy_elsewhere(minimax_emulator)
    lose(minimax_emulator, sold=True)
    assert run_dag(dag_id, output.parent) == {-1: "failed"}
    assert len(minimax_emulator.purchases) == 2
    assert receipt_of(output)["phase"] == "intent"


@pytest.mark.usefixtures("airflow_db")
def test_mapped_tasks_know_each_others_clips_without_a_folder_in_common(connect, minimax_emulator, tmp_path):
    """Only the one whose answer was lost asks the list, which shows the clips of all three."""
    connect(extra={"max_retries": 0})
    minimax_emulator.fault("lost_answer", operation="submit", containing="a lantern")
    assert run_dag("adopting_mapped", tmp_path) == {0: "success", 1: "success", 2: "success"}
    bought = {item["task_id"]: item["body"]["content"][0]["text"] for item in minimax_emulator.purchases}
    delivered = [receipt_of(tmp_path / str(number) / "clip.mp4")["minimax_task_id"] for number in range(3)]
    assert [bought[minimax_task_id] for minimax_task_id in delivered] == ["a paper boat", "a kite", "a lantern"]
    assert len(bought) == 3


# -- one, none, several ------------------------------------------------------------------------------------------------


def test_an_adopted_task_is_in_the_receipt_and_in_the_log(generate, minimax_emulator, output, log_of):
    log = log_of(MinimaxVideoGenerationOperator)
    lose(minimax_emulator, sold=True)
    facts = generate()
    bought = minimax_emulator.purchases[0]["task_id"]
    assert facts["task_id"] == bought
    assert receipt_of(output)["lost_at"]
    assert f"MiniMax task {bought} (queued" in log.said() or f"MiniMax task {bought} (succeeded" in log.said()
    assert "is adopted: of all that the platform lists, it is the only one" in log.said()


def test_what_bought_nothing_is_said_and_bought(generate, minimax_emulator, output, log_of):
    log = log_of(MinimaxVideoGenerationOperator)
    lose(minimax_emulator, sold=False)
    assert generate()["state"] == "succeeded"
    assert "bought nothing" in log.said()
    assert receipt_of(output)["unanswered"] == 1
    assert len(minimax_emulator.purchases) == 1


def test_a_platform_that_sells_nothing_and_never_says_so_is_left_to_a_retry(generate, minimax_emulator, output):
    lose(minimax_emulator, sold=False, times=2)
    with pytest.raises(MinimaxUnavailableError, match=r"2 submissions in a row .* Nothing was bought\.") as raised:
        generate()
    assert not isinstance(raised.value, AirflowFailException)
    assert not Path(f"{output}.receipt.json").exists()
    assert generate(FakeTaskInstance(try_number=2))["state"] == "succeeded"
    assert len(minimax_emulator.purchases) == 1


def test_several_are_named(generate, minimax_emulator):
    other = buy_elsewhere(minimax_emulator)
    lose(minimax_emulator, sold=True)
    with pytest.raises(MinimaxSubmissionUnknownError) as raised:
        generate()
    own = minimax_emulator.purchases[-1]["task_id"]
    for words in (f"{own} (", f"{other} (", "may have been bought", "airflow minimax receipts adopt"):
        assert words in str(raised.value)


@pytest.mark.parametrize("changes", [{"duration": 6}, {"ratio": "9:16"}, {"model": "MiniMax-H3-Max"}])
def test_clips_of_another_kind_are_not_in_the_way(changes, generate, minimax_emulator):
    buy_elsewhere(minimax_emulator, **changes)
    lose(minimax_emulator, sold=True)
    assert generate()["task_id"] == minimax_emulator.purchases[-1]["task_id"]


def test_a_list_that_lags_behind_is_waited_for(generate, minimax_emulator):
    minimax_emulator.configure(v2_list_lag_seconds=0.3)
    lose(minimax_emulator, sold=True)
    assert generate()["task_id"] == minimax_emulator.purchases[0]["task_id"]
    assert len(minimax_emulator.purchases) == 1


def test_a_refusal_after_a_submission_that_bought_nothing_leaves_nothing_in_the_way(generate, minimax_emulator, output):
    lose(minimax_emulator, sold=False)
    minimax_emulator.fault("base_resp", operation="submit", code=1026)
    with pytest.raises(MinimaxError, match="code 1026"):
        generate()
    assert not Path(f"{output}.receipt.json").exists()


@pytest.mark.parametrize("sold", [True, False])
def test_a_clip_that_is_re_rendered_is_adopted_the_same_way(sold, connect, hook, minimax_emulator, output):
    connect(extra={"max_retries": 0})
    minimax_emulator.configure(lifecycle="polls", polls=1)
    source = hook.submit(VideoRequest.of(H3))
    hook.get_task(source, api_version="v2")
    lose(minimax_emulator, sold=sold)
    operator = MinimaxVideoRegenerationOperator(
        task_id="generate", source_task_id=source, output_path=str(output), **WAYS
    )
    facts = operator.execute({"ti": FakeTaskInstance(), "dag": SimpleNamespace(task_dict={})})
    assert [source, facts["task_id"]] == [purchase["task_id"] for purchase in minimax_emulator.purchases]


# -- later tries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sold", [True, False])
def test_a_retry_finds_out_about_an_earlier_try(sold, generate, minimax_emulator):
    lose(minimax_emulator, sold=sold)
    with pytest.raises(MinimaxSubmissionUnknownError):
        generate(on_orphaned_intent="fail")
    assert generate(FakeTaskInstance(try_number=2))["task_id"] == minimax_emulator.purchases[0]["task_id"]
    assert len(minimax_emulator.purchases) == 1


def test_an_earlier_try_of_more_than_a_week_ago_is_not_asked_about(generate, minimax_emulator, output):
    long_ago = datetime.now(UTC) - timedelta(days=8)
    lose(minimax_emulator, sold=False)
    with pytest.raises(MinimaxSubmissionUnknownError):
        generate(on_orphaned_intent="fail")
    Path(f"{output}.receipt.json").write_text(json.dumps(receipt_of(output) | {"intended_at": long_ago.isoformat()}))
    before = len(minimax_emulator.requests)
    with pytest.raises(MinimaxSubmissionUnknownError, match="airflow minimax receipts adopt"):
        generate(FakeTaskInstance(try_number=2))
    assert len(minimax_emulator.requests) == before


def test_a_list_that_cannot_be_read_is_left_to_a_retry(generate, minimax_emulator, output):
    lose(minimax_emulator, sold=True)
    minimax_emulator.fault("http", operation="list", status=503)
    with pytest.raises(MinimaxUnavailableError, match="A clip may have been bought and may be billed") as raised:
        generate()
    assert not isinstance(raised.value, AirflowFailException)
    assert receipt_of(output)["phase"] == "intent"
    assert generate(FakeTaskInstance(try_number=2))["state"] == "succeeded"
    assert len(minimax_emulator.purchases) == 1


@pytest.mark.skipif(not HAS_STORE, reason="the task state store came with Airflow 3.3")
def test_airflows_own_store_is_receipt_enough(generate, minimax_emulator):
    lose(minimax_emulator, sold=True)
    store = FakeStore()
    assert generate(store=store, output_path=None)["task_id"] == minimax_emulator.purchases[0]["task_id"]
    assert json.loads(store.values["minimax_receipt"])["phase"] == "submitted"


def test_the_wait_for_the_list_is_in_the_triggerer_if_that_of_the_clip_is(generate, minimax_emulator, monkeypatch):
    """No worker slot is held, and what resumes the task checks again."""
    monkeypatch.setattr(adoption, "OTHERS_WRITE_WITHIN", timedelta(seconds=20))
    lose(minimax_emulator, sold=True)
    with pytest.raises(TaskDeferred) as deferral:
        generate(deferrable=True)
    assert deferral.value.method_name == "execute_settled"
    assert type(deferral.value.trigger).__module__ == "airflow.providers.standard.triggers.temporal"


@pytest.mark.parametrize(("asked", "waits"), [(0.5, 6), (45, 45)])
def test_that_wait_is_neither_too_short_for_airflow_nor_without_end(monkeypatch, asked, waits):
    """Airflow fails a task that is back before its executor has heard that it left."""
    monkeypatch.setattr(handover, "SECONDS", 6.0)
    operator = MinimaxVideoGenerationOperator(task_id="generate", **H3 | WAYS | {"deferrable": True, "timeout": 600})
    before = datetime.now(UTC)
    with pytest.raises(TaskDeferred) as deferral:
        defer(operator, until_listed(asked, longest_wait=600))
    assert waits <= (deferral.value.trigger.moment - before).total_seconds() < waits + 30
    assert deferral.value.timeout == timedelta(seconds=600 + 120)


def test_a_task_that_is_killed_while_it_asks_the_list_reports_the_doubt(log_of, mocker):
    log = log_of(MinimaxVideoGenerationOperator)
    operator = MinimaxVideoGenerationOperator(task_id="generate", **H3 | WAYS)
    mocker.patch.object(search, "time", wraps=time).sleep.side_effect = lambda _: operator.on_kill()
    context = {"ti": FakeTaskInstance()}
    with operator._opened_job(context) as job:
        resolver = LostSubmissionResolver(job.hook, job._ledger, order(), context, waits=True, log=LOG)
        wish = (order(), Policy(), NoOutput(), job.hook, REQUEST)
        job._buyer = Buyer(job._ledger, *wish, resolver=resolver, log=LOG)
        resolver._wait(5)
    assert "it may have been bought and may be billed" in log.said()


# -- what was bought before --------------------------------------------------------------------------------------------


def lost_as_the_second_of_two(generate, minimax_emulator, output) -> None:
    """Leave the receipt of a second purchase whose answer was lost some minutes ago, and that bought nothing."""
    lose(minimax_emulator, sold=False)
    with pytest.raises(MinimaxSubmissionUnknownError):
        generate(on_orphaned_intent="fail")
    then = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    changes = {"submissions": 2, "replaced": ["900000000000009"], "intended_at": then, "lost_at": then}
    Path(f"{output}.receipt.json").write_text(json.dumps(receipt_of(output) | changes))


def test_a_refusal_after_a_lost_answer_forgets_no_earlier_purchase(generate, minimax_emulator, output):
    """Otherwise more clips could be bought than max_submissions says."""
    lost_as_the_second_of_two(generate, minimax_emulator, output)
    minimax_emulator.fault("http", operation="submit", status=429)
    with pytest.raises(MinimaxRateLimitError, match=r"Nothing was bought\."):
        generate(FakeTaskInstance(try_number=2), max_submissions=2)
    minimax_emulator.configure(outcome="failed", failure_code=1000)
    with pytest.raises(MinimaxTaskFailedError):
        generate(FakeTaskInstance(try_number=3), max_submissions=2)
    receipt = receipt_of(output)
    assert (receipt["phase"], receipt["submissions"], receipt["replaced"]) == ("failed", 2, ["900000000000009"])


def test_nor_do_answers_that_are_lost_again_and_again(generate, minimax_emulator, output):
    lost_as_the_second_of_two(generate, minimax_emulator, output)
    lose(minimax_emulator, sold=False)
    with pytest.raises(MinimaxUnavailableError, match=r"Nothing was bought\."):
        generate(FakeTaskInstance(try_number=2), max_submissions=2)
    assert generate(FakeTaskInstance(try_number=3), max_submissions=2)["state"] == "succeeded"
    assert (receipt_of(output)["submissions"], receipt_of(output)["replaced"]) == (2, ["900000000000009"])


@pytest.mark.parametrize("sold", [True, False])
def test_a_request_that_is_spoilt_by_then_does_not_say_that_nothing_was_bought(sold, generate, minimax_emulator):
    lose(minimax_emulator, sold=sold)
    with pytest.raises(MinimaxSubmissionUnknownError):
        generate(on_orphaned_intent="fail")
    with pytest.raises(MinimaxRequestError) as raised:
        generate(FakeTaskInstance(try_number=2), first_frame_image="/gone.png", ratio=None)
    assert raised.value.billing == "Nothing was bought now; an earlier submission may have bought a clip."


def test_nor_does_one_after_a_purchase(generate, minimax_emulator):
    minimax_task_id = generate(wait_for_completion=False)
    with pytest.raises(MinimaxRequestError) as raised:
        generate(FakeTaskInstance(try_number=2), first_frame_image="/gone.png", ratio=None)
    assert raised.value.billing == "Nothing was bought now; an earlier submission bought a clip."
    assert raised.value.minimax_task_id == minimax_task_id


def test_the_list_is_asked_also_if_the_request_cannot_be_made_again(generate, minimax_emulator, tmp_path):
    frame = tmp_path / "frame.png"
    Image.new("RGB", (400, 400)).save(frame)
    given = {"first_frame_image": str(frame), "ratio": None}
    lose(minimax_emulator, sold=True)
    with pytest.raises(MinimaxSubmissionUnknownError):
        generate(on_orphaned_intent="fail", **given)
    frame.unlink()
    (bought,) = minimax_emulator.purchases
    assert generate(FakeTaskInstance(try_number=2), **given)["task_id"] == bought["task_id"]
    assert len(minimax_emulator.purchases) == 1


# -- whose it is -------------------------------------------------------------------------------------------------------


def beside(output: Path, name: str, receipt) -> None:
    (output.parent / f"{name}.receipt.json").write_bytes(receipt.as_json())


def like(minimax_task_id: str | None = None, **changes):
    """The receipt of another task that wants the same kind of clip now."""
    now = datetime.now(UTC)
    request = {name: H3[name] for name in ("model", "resolution", "duration", "ratio")}
    receipt = intent(model="MiniMax-H3", request=request, owner=OTHER, intended_at=now, api_version="v2", **changes)
    return receipt.submitted(minimax_task_id, now) if minimax_task_id else receipt


def test_a_clip_whose_receipt_lies_in_the_same_folder_is_not_taken(generate, minimax_emulator, output):
    beside(output, "other.mp4", like(buy_elsewhere(minimax_emulator)))
    lose(minimax_emulator, sold=True)
    assert generate()["task_id"] == minimax_emulator.purchases[-1]["task_id"]


def test_nor_if_nothing_was_bought_here(generate, minimax_emulator, output):
    beside(output, "other.mp4", like(buy_elsewhere(minimax_emulator)))
    lose(minimax_emulator, sold=False)
    assert generate()["task_id"] == minimax_emulator.purchases[-1]["task_id"]
    assert len(minimax_emulator.purchases) == 2


def test_a_single_clip_that_may_be_another_tasks_is_not_adopted(generate, minimax_emulator, output):
    beside(output, "other.mp4", like(lost_at=datetime.now(UTC)))
    lose(minimax_emulator, sold=True)
    with pytest.raises(
        MinimaxSubmissionUnknownError, match=r"dag\.generate\[3\] of run yesterday had no answer either"
    ):
        generate()
    assert len(minimax_emulator.purchases) == 1


def test_a_clip_that_another_task_of_the_run_published_is_not_taken(generate, minimax_emulator):
    ti = FakeTaskInstance()
    ti.others = [None, buy_elsewhere(minimax_emulator)]
    lose(minimax_emulator, sold=True)
    assert generate(ti)["task_id"] == minimax_emulator.purchases[-1]["task_id"]


def test_another_receipt_that_cannot_be_read_may_own_what_is_listed(generate, minimax_emulator, output):
    (output.parent / "other.mp4.receipt.json").write_text("{")
    lose(minimax_emulator, sold=True)
    with pytest.raises(MinimaxReceiptError, match="A clip may have been bought and may be billed"):
        generate()


def test_two_that_adopt_the_same_at_the_same_time_both_let_go(generate, minimax_emulator, output, mocker):
    """The other one's receipt appears between the check and the write; each sees the other's afterwards."""
    lose(minimax_emulator, sold=True)
    seen = []

    def siblings(output_path, since):
        seen.append(receipt_of(output)["phase"])
        if seen[-1] == "submitted":
            beside(output, "other.mp4", like(minimax_emulator.purchases[0]["task_id"]))
        return sibling_receipts_of(output_path, since)

    mocker.patch.object(search, "sibling_receipts_of", siblings)
    facts = generate()
    assert "submitted" in seen
    assert facts["task_id"] == minimax_emulator.purchases[1]["task_id"] != minimax_emulator.purchases[0]["task_id"]


def test_old_receipts_of_a_folder_are_not_read(output):
    beside(output, "other.mp4", submitted())
    (output.parent / "clip.mp4.receipt.json").write_bytes(submitted().as_json())
    assert len(sibling_receipts_of(str(output), datetime.now(UTC) - timedelta(minutes=1))) == 1
    assert sibling_receipts_of(str(output), datetime.now(UTC) + timedelta(minutes=1)) == ()


def test_other_receipts_are_found_on_object_storage_too(s3_bucket):
    from airflow_provider_minimax.purchases.stores import SidecarStore

    for name in ("clip.mp4", "other [3].mp4", "below/other.mp4"):
        SidecarStore(s3_bucket.url(f"a/{name}")).create(submitted())
    url = s3_bucket.url("a/clip.mp4")
    assert len(sibling_receipts_of(url, datetime.now(UTC) - timedelta(minutes=1))) == 1
    assert sibling_receipts_of(url, datetime.now(UTC) + timedelta(minutes=1)) == ()
    # What was written since is not hidden by what was listed before.
    SidecarStore(s3_bucket.url("a/third.mp4")).create(submitted())
    assert len(sibling_receipts_of(url, datetime.now(UTC) - timedelta(minutes=1))) == 2


# -- the list ----------------------------------------------------------------------------------------------------------


def test_a_long_list_is_read_as_far_as_it_matters(hook, minimax_emulator, monkeypatch):
    monkeypatch.setattr("airflow_provider_minimax.purchases.candidates._PAGE_SIZE", 2)
    bought = [hook.submit(VideoRequest.of(H3)) for _ in range(5)]
    found = tasks_since(hook, CLIP, datetime.now(UTC) - timedelta(minutes=5))
    assert [task.minimax_task_id for task in found] == bought[::-1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "the answer to the list has no items"),
        ({"items": []}, "does not say how many tasks there are"),
        ({"items": [], "total": 3}, "says that there are 3 tasks, and shows 0"),
    ],
)
def test_a_list_that_is_not_whole_proves_nothing(answer, said, hook, minimax_emulator):
    minimax_emulator.fault("http", operation="list", status=200, body=answer, times=-1)
    with pytest.raises(MinimaxUnavailableError, match=said):
        tasks_since(hook, CLIP, NOW)


# -- where it cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "MiniMax-Hailuo-2.3"}, "on_orphaned_intent='adopt': the platform cannot list tasks of model="),
        ({"durable": False}, "on_orphaned_intent='adopt': needs durable=True"),
    ],
)
def test_what_can_never_be_found_out_is_an_error_of_the_dag(changes, said):
    options = {"model": "MiniMax-H3", "on_orphaned_intent": "adopt", "validate": False} | changes
    with pytest.raises(MinimaxRequestError) as raised:
        MinimaxVideoGenerationOperator(task_id="generate", prompt="a boat", **options)
    assert said in str(raised.value)
    assert "Nothing was bought." in str(raised.value)


@pytest.mark.parametrize("platform", ["minimax", "vtrix"])
def test_a_model_that_is_known_later_is_refused_before_anything_is_bought(platform, connect, minimax_emulator, output):
    connect(platform)
    operator = MinimaxVideoGenerationOperator(
        task_id="generate",
        model="{{ params.model }}",
        prompt="a boat",
        output_path=str(output),
        on_orphaned_intent="adopt",
    )
    operator.model = "MiniMax-Hailuo-02"
    with pytest.raises(MinimaxRequestError, match="the platform cannot list tasks of model='MiniMax-Hailuo-02'"):
        operator.execute({"ti": FakeTaskInstance(), "dag": None})
    assert minimax_emulator.requests == []


def test_a_task_that_can_keep_no_receipt_is_refused_before_anything_is_bought(generate, minimax_emulator):
    with pytest.raises(MinimaxRequestError, match="before Airflow 3.3 that takes an output_path"):
        generate(output_path=None)
    assert minimax_emulator.requests == []


# -- who stands still --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["went on", "asks the list"])
def test_a_worker_that_froze_before_its_request_does_not_send_it_if_another_one_acted_meanwhile(what):
    """A retry took this process for dead, and concluded or is about to that it bought nothing."""
    home, now = MemoryHome(), [NOW]

    def stand_still(name: str) -> None:
        if name != "create":
            return
        now[0] += timedelta(minutes=10)
        home.step = lambda name: None

        def overtake() -> None:
            theirs = read_receipt(home.content, "here")
            home.content = (theirs.submitted("T1", NOW) if what == "went on" else theirs.lost(NOW)).as_json()

        purchases.append(overtake)

    purchases: list = []
    home.step = stand_still
    claim = Ledger.claim

    class Overtaken(Ledger):
        def claim(self, intent, found):
            done = claim(self, intent, found)
            if purchases:
                purchases.pop()()
            return done

    sent = []
    buyer = Buyer(
        Overtaken([home], log=LOG, sleep=lambda _: None),
        order(owner=ME),
        Policy(),
        NoOutput(),
        FakeHook(lambda: sent.append(1) or "T2"),
        REQUEST,
        log=LOG,
        clock=lambda: now[0],
    )
    if what == "went on":
        assert buyer.obtain().receipt.minimax_task_id == "T1"
    else:
        with pytest.raises(MinimaxSubmissionUnknownError):
            buyer.obtain()
    assert sent == []
