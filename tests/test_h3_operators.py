"""A clip re-rendered in 2K and a better prompt, as a DAG author meets them."""

from __future__ import annotations

import json
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_minimax.api.h3_requests import PromptRewriteRequest, RegenerationRequest
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.emulator.clips import clip_of, film_v2
from airflow_provider_minimax.exceptions import (
    MinimaxModerationError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskTimeoutError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.h3 import MinimaxPromptRewriteOperator, MinimaxVideoRegenerationOperator
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator
from airflow_provider_minimax.polling import worker
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from airflow_provider_minimax.triggers.turn import MinimaxTurnTrigger
from tests.fakes import HAS_STORE, FakeStore, FakeTaskInstance

needs_store = pytest.mark.skipif(not HAS_STORE, reason="this Airflow has no task state store")

H3 = {"model": "MiniMax-H3", "prompt": "a paper boat", "resolution": "768P", "duration": 5, "ratio": "16:9"}
REWRITING = {"prompt": "a paper boat", "duration": 5, "ratio": "16:9"}
QUICK = {"deferrable": False, "poll_interval": 0.01}


@pytest.fixture
def source(hook, minimax_emulator) -> str:
    """Return the id of a clip of 768P that was made."""
    minimax_task_id = hook.submit(VideoRequest.of(H3 | {"duration": 6}))
    minimax_emulator.set_job(minimax_task_id, "success")
    return minimax_task_id


def regenerate(**options) -> MinimaxVideoRegenerationOperator:
    return MinimaxVideoRegenerationOperator(task_id="regenerate", **QUICK | {"wait_for_completion": True} | options)


def rewrite(**options) -> MinimaxPromptRewriteOperator:
    return MinimaxPromptRewriteOperator(task_id="rewrite", **REWRITING | QUICK | options)


async def run(operator, context) -> object:
    """Run an operator, with its trigger if it defers."""
    try:
        return operator.execute(context)
    except TaskDeferred as deferral:
        event = await anext(event.payload async for event in deferral.trigger.run())
        return operator.resume_execution("execute_complete", {"event": event}, context)


def bought(minimax_emulator) -> list[str]:
    return [purchase["task_type"] for purchase in minimax_emulator.purchases]


# -- a re-rendered clip -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [True, False])
async def test_a_clip_is_re_rendered_in_2k_and_delivered(deferrable, source, minimax_emulator, context, tmp_path):
    minimax_emulator.configure(lifecycle="polls", polls=2)
    output = tmp_path / "boat-2k.mp4"
    operator = regenerate(source_task_id=source, deferrable=deferrable, output_path=str(output), check="basic")
    facts = await run(operator, context)
    receipt = json.loads((tmp_path / "boat-2k.mp4.receipt.json").read_text())
    assert (facts["state"], facts["width"], facts["height"]) == ("succeeded", 2560, 1440)
    assert facts["duration"] == 6
    assert receipt["request"] == {
        "task_type": "regeneration",
        "model": "MiniMax-H3",
        "source_task_id": source,
        "resolution": "2K",
    }
    assert (receipt["cost"]["amount"], receipt["cost"]["kind"]) == (0.3, "list price")
    assert context["ti"].xcoms["api_version"] == "v2"
    assert bought(minimax_emulator) == ["generation", "regeneration"]


def test_a_clip_on_disk_is_sent_with_what_it_was_made_of_and_is_an_input_of_the_new_one(
    hook, minimax_emulator, context, tmp_path
):
    minimax_emulator.configure(lifecycle="polls", polls=1)
    (tmp_path / "boat.mp4").write_bytes(film_v2("768P", 8))
    operator = regenerate(
        base_video=str(tmp_path / "boat.mp4"),
        prompt="a paper boat",
        reference_images=["https://files.example/boat.png"],
        output_path=str(tmp_path / "boat-2k.mp4"),
    )
    facts = operator.execute(context)
    assert facts["duration"] == 8
    content = minimax_emulator.purchases[0]["body"]["content"]
    assert [item.get("role") for item in content] == [None, "reference_image", "base_video"]
    assert content[2]["video_url"]["url"].startswith("sha256:")
    assert operator._delivered.inputs == (str(tmp_path / "boat.mp4"), "https://files.example/boat.png")


def test_a_large_clip_is_uploaded_first_and_known_by_its_bytes(hook, minimax_emulator, context, tmp_path):
    minimax_emulator.configure(lifecycle="polls", polls=1)
    large = clip_of("boat", 9_000_000, film_v2("768P", 8))
    (tmp_path / "boat.mp4").write_bytes(b"".join(large.pieces(0, large.size)))
    operator = regenerate(
        base_video=str(tmp_path / "boat.mp4"), prompt="a boat", output_path=str(tmp_path / "boat-2k.mp4")
    )
    operator.execute(context)
    (upload,), (purchase,) = minimax_emulator.uploads, minimax_emulator.purchases
    assert purchase["body"]["content"][1]["video_url"]["url"] == f"mm_file://{upload['file_id']}"
    receipt = json.loads((tmp_path / "boat-2k.mp4.receipt.json").read_text())
    assert receipt["request"]["base_video"].startswith("sha256:")


def test_a_clip_that_cannot_be_re_rendered_buys_nothing(hook, minimax_emulator, context, tmp_path):
    (tmp_path / "boat.mp4").write_bytes(film_v2("480P", 8))
    with pytest.raises(MinimaxRequestError, match="it is 832 x 480 px, and its area must be from 768 x 768"):
        regenerate(base_video=str(tmp_path / "boat.mp4"), prompt="a boat").execute(context)
    assert minimax_emulator.requests == []


def test_a_source_that_the_platform_refuses_buys_nothing(source, minimax_emulator, context, tmp_path):
    minimax_emulator.set_job(source, "failed")
    with pytest.raises(MinimaxRequestError, match="the task has not succeeded") as raised:
        regenerate(source_task_id=source, output_path=str(tmp_path / "boat.mp4")).execute(context)
    assert raised.value.billing == "Nothing was bought."
    assert list(tmp_path.iterdir()) == []


def test_a_retry_goes_on_with_the_clip_that_an_earlier_try_bought(source, minimax_emulator, tmp_path):
    minimax_emulator.configure(lifecycle="manual")
    options = {"source_task_id": source, "output_path": str(tmp_path / "boat.mp4"), "timeout": 0.1}
    with pytest.raises(MinimaxTaskTimeoutError):
        regenerate(**options).execute({"ti": FakeTaskInstance()})
    minimax_emulator.set_job(minimax_emulator.purchases[1]["task_id"], "success")
    facts = regenerate(**options).execute({"ti": FakeTaskInstance(try_number=2)})
    assert facts["task_id"] == minimax_emulator.purchases[1]["task_id"]
    assert bought(minimax_emulator) == ["generation", "regeneration"]


def test_after_a_lost_answer_only_tasks_of_its_kind_are_named(connect, source, minimax_emulator, context, tmp_path):
    connect(extra={"max_retries": 0})
    minimax_emulator.fault("lost_answer", operation="submit")
    with pytest.raises(MinimaxSubmissionUnknownError) as raised:
        regenerate(source_task_id=source, output_path=str(tmp_path / "boat.mp4")).execute(context)
    lost = minimax_emulator.purchases[1]["task_id"]
    assert f"lists from that time: {lost} (" in str(raised.value)
    assert source not in str(raised.value).partition("lists from that time")[2]


def test_a_killed_task_cancels_a_clip_that_is_queued(source, minimax_emulator, context, mocker):
    minimax_emulator.configure(lifecycle="manual")
    operator = regenerate(source_task_id=source)

    class Kill(BaseException):
        pass

    def die(*args, **options):
        operator.on_kill()
        raise Kill

    mocker.patch.object(worker, "time", wraps=time).sleep.side_effect = die
    with pytest.raises(Kill):
        operator.execute(context)
    assert minimax_emulator.jobs[1]["state"] == "cancelled"


@pytest.mark.parametrize("platform", ["novita", "chainhub"])
def test_a_gateway_is_refused_before_anything_is_sent(platform, connect, minimax_emulator, context):
    connect(platform)
    for operator in (regenerate(source_task_id="1"), rewrite()):
        with pytest.raises(MinimaxRequestError, match="is not known to have it; use MiniMax itself") as raised:
            operator.execute(context)
        assert raised.value.billing == "Nothing was bought."
    assert minimax_emulator.requests == []


# -- a better prompt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [True, False])
async def test_a_better_prompt_is_bought_waited_for_and_returned(deferrable, hook, minimax_emulator, context):
    minimax_emulator.configure(lifecycle="polls", polls=2)
    prompt = await run(rewrite(deferrable=deferrable), context)
    assert "a paper boat" in prompt
    assert "\noverall_soundscape:" in prompt
    context["ti"].xcoms.pop("minimax_attempt", None)
    assert context["ti"].xcoms == {"task_id": minimax_emulator.purchases[0]["task_id"], "api_version": "v2"}
    assert bought(minimax_emulator) == ["h3_context_ir"]


def test_the_pictures_of_the_clip_go_with_it(hook, minimax_emulator, context):
    minimax_emulator.configure(lifecycle="polls", polls=1)
    rewrite(first_frame_image="https://files.example/boat.png", ratio=None).execute(context)
    content = minimax_emulator.purchases[0]["body"]["content"]
    assert content[1] == {
        "type": "image_url",
        "image_url": {"url": "https://files.example/boat.png"},
        "role": "first_frame",
    }


@needs_store
def test_a_retry_returns_the_prompt_that_an_earlier_try_bought(hook, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    store = FakeStore()
    with pytest.raises(MinimaxTaskTimeoutError):
        rewrite(timeout=0.05).execute({"ti": FakeTaskInstance(), "task_state_store": store})
    minimax_emulator.set_job(minimax_emulator.purchases[0]["task_id"], "success")
    assert "a paper boat" in rewrite().execute({"ti": FakeTaskInstance(try_number=2), "task_state_store": store})
    assert len(minimax_emulator.purchases) == 1


@needs_store
def test_a_retry_after_a_lost_answer_says_what_may_have_been_bought(connect, minimax_emulator):
    connect(extra={"max_retries": 0})
    store = FakeStore()
    minimax_emulator.fault("lost_answer", operation="submit")
    with pytest.raises(MinimaxSubmissionUnknownError):
        rewrite().execute({"ti": FakeTaskInstance(), "task_state_store": store})
    with pytest.raises(MinimaxSubmissionUnknownError, match="a better prompt of MiniMax-H3 was submitted for dag"):
        rewrite().execute({"ti": FakeTaskInstance(try_number=2), "task_state_store": store})
    assert len(minimax_emulator.purchases) == 1


@needs_store
async def test_a_prompt_that_cannot_be_fetched_just_now_is_not_bought_again(connect, minimax_emulator, log_of):
    connect(extra={"max_retries": 0})
    minimax_emulator.configure(lifecycle="polls", polls=1)
    context = {"ti": FakeTaskInstance(), "task_state_store": FakeStore()}
    operator = rewrite(deferrable=True)
    log_of(MinimaxPromptRewriteOperator)
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context)
    event = await anext(event.payload async for event in deferral.value.trigger.run())
    minimax_emulator.fault("http", operation="query", status=503)
    with pytest.raises(MinimaxUnavailableError):
        operator.resume_execution("execute_complete", {"event": event}, context)
    retry = {"ti": FakeTaskInstance(try_number=2), "task_state_store": context["task_state_store"]}
    assert "a paper boat" in rewrite().execute(retry)
    assert len(minimax_emulator.purchases) == 1


async def test_where_no_receipt_can_be_kept_a_failure_after_the_purchase_is_final(
    connect, minimax_emulator, context, log_of
):
    connect(extra={"max_retries": 0})
    log = log_of(MinimaxPromptRewriteOperator)
    minimax_emulator.configure(lifecycle="polls", polls=1)
    operator = rewrite(deferrable=True, retries=2)
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context)
    assert "Set retries=0." in log.said()
    event = await anext(event.payload async for event in deferral.value.trigger.run())
    minimax_emulator.fault("http", operation="query", status=503)
    with pytest.raises(AirflowFailException, match="because the prompt is bought already") as raised:
        operator.resume_execution("execute_complete", {"event": event}, context)
    assert "MinimaxTaskSensor returns it for this id" in str(raised.value)


def test_a_refused_prompt_is_recognised_by_its_code(hook, minimax_emulator, context):
    minimax_emulator.configure(lifecycle="polls", polls=1, outcome="failed", failure_code=1026)
    with pytest.raises(MinimaxModerationError, match="code 1026"):
        rewrite().execute(context)


def test_a_purchase_of_either_kind_waits_for_a_slot(connect, minimax_emulator, context):
    connect(extra={"rate_limit_per_minute": 60})
    for operator in (regenerate(source_task_id="1", deferrable=True), rewrite(deferrable=True)):
        with pytest.raises(TaskDeferred) as deferral:
            operator.execute(context)
        assert isinstance(deferral.value.trigger, MinimaxTurnTrigger)
    assert minimax_emulator.requests == []


# -- those who know them by their id -----------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [True, False])
async def test_a_sensor_returns_the_prompt_of_a_rewriting(deferrable, hook, minimax_emulator, context):
    minimax_emulator.configure(lifecycle="polls", polls=3)
    minimax_task_id = hook.submit(PromptRewriteRequest.of({"model": "MiniMax-H3"} | REWRITING))
    wait = MinimaxTaskSensor(
        task_id="wait",
        minimax_task_id=minimax_task_id,
        api_version="v2",
        deferrable=deferrable,
        poke_interval=0.01,
        timeout=60,
    )
    facts = await run(wait, context)
    assert "a paper boat" in facts["prompt"]
    assert facts["task_id"] == minimax_task_id


async def test_a_sensor_and_a_download_treat_a_re_rendered_clip_like_any_other(
    source, hook, minimax_emulator, context, tmp_path
):
    minimax_emulator.configure(lifecycle="polls", polls=2)
    request = RegenerationRequest.of({"model": "MiniMax-H3", "source_task_id": source})
    known = {"minimax_task_id": hook.submit(request), "api_version": "v2"}
    wait = MinimaxTaskSensor(task_id="wait", deferrable=False, poke_interval=0.01, timeout=60, **known)
    assert (await run(wait, context))["duration"] == 6
    download = MinimaxVideoDownloadOperator(task_id="download", output_path=str(tmp_path / "boat.mp4"), **known)
    assert download.execute(context)["size"] == (tmp_path / "boat.mp4").stat().st_size


def test_a_download_of_a_rewriting_says_that_it_has_no_clip(hook, minimax_emulator, context, tmp_path):
    minimax_emulator.configure(lifecycle="polls", polls=1)
    minimax_task_id = hook.submit(PromptRewriteRequest.of({"model": "MiniMax-H3"} | REWRITING))
    download = MinimaxVideoDownloadOperator(
        task_id="download",
        output_path=str(tmp_path / "boat.mp4"),
        minimax_task_id=minimax_task_id,
        api_version="v2",
    )
    with pytest.raises(MinimaxRequestError, match="rewrites a prompt, and has no clip") as raised:
        download.execute(context)
    assert "MinimaxTaskSensor returns its prompt." in str(raised.value)
    assert list(tmp_path.iterdir()) == []


async def test_the_same_works_on_an_event_loop(connect, source, minimax_emulator):
    hook = MinimaxHook(connect())
    minimax_task_id = await hook.asubmit(RegenerationRequest.of({"model": "MiniMax-H3", "source_task_id": source}))
    assert (await hook.aget_task(minimax_task_id, api_version="v2")).task_type == "regeneration"
    await hook.aclose()


def test_a_list_shows_one_kind_of_task(source, hook):
    hook.submit(PromptRewriteRequest.of({"model": "MiniMax-H3"} | REWRITING))
    kinds = [
        [task.task_type for task in hook.list_tasks(task_type=kind).tasks] for kind in ("generation", "h3_context_ir")
    ]
    assert kinds == [["generation"], ["h3_context_ir"]]


# -- the DAG -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: regenerate(), "source_task_id: missing"),
        (lambda: regenerate(source_task_id="{{ 1 }}", base_video="/a.mp4"), "exclude each other"),
        (lambda: regenerate(source_task_id="{{ 1 }}", prompt="{{ p }}"), "prompt: goes with base_video"),
        (lambda: rewrite(duration=3), "duration=3: MiniMax-H3 in text mode takes 4 to 15 seconds"),
        (lambda: rewrite(ratio=None), "ratio: missing"),
    ],
)
def test_what_cannot_work_is_an_error_of_the_dag(make, said):
    with pytest.raises(MinimaxRequestError) as raised:
        make()
    assert said in str(raised.value)


def test_what_the_author_takes_upon_himself_is_sent_unchecked():
    assert regenerate(validate=False).task_id
    assert rewrite(duration=3, validate=False).task_id


def test_a_rendered_clip_shows_no_signature_and_no_bytes():
    operator = regenerate(base_video="https://files.example/a.mp4?sig={{ params.sig }}", prompt="a boat")
    operator.render_template_fields({"params": {"sig": "SIGNATURE"}})
    assert "SIGNATURE" not in str({field: getattr(operator, field) for field in operator.template_fields})
    assert operator.make_request().base_video == "https://files.example/a.mp4?sig=SIGNATURE"


def test_a_trigger_learns_how_long_each_kind_takes_by_itself(source, minimax_emulator, context):
    minimax_emulator.configure(lifecycle="manual")
    models = []
    for operator in (regenerate(source_task_id=source, deferrable=True), rewrite(deferrable=True)):
        with pytest.raises(TaskDeferred) as deferral:
            operator.execute({"ti": FakeTaskInstance(run_id=operator.task_id)})
        models.append(deferral.value.trigger.clip["model"])
        assert deferral.value.trigger.deadline > time.time()
    assert models == ["MiniMax-H3 regeneration", "MiniMax-H3 h3_context_ir"]
