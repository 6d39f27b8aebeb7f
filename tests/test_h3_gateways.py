"""H3 through gateways: those that sell it, those that are not known to, and one that nobody knows behind a host."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.task import TaskState
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxError,
    MinimaxQuotaError,
    MinimaxRequestError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.polling import task_lists
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor
from airflow_provider_minimax.triggers.shared_poller import get_shared_poller
from tests.hostile.server import HostileServer, whole
from tests.samples import reply

H3 = {"model": "MiniMax-H3", "prompt": "a paper boat", "resolution": "768P", "duration": 5, "ratio": "16:9"}
REQUEST = VideoRequest.of(H3)
SELLERS = {"novita": "/novita/v3/minimax/v2", "ai302": "/ai302/minimaxi/v2"}
OTHERS = ["bltcy", "chainhub", "vtrix"]
FRAME = "https://files.example/frame.png"


@pytest.fixture
def unknown_gateway(connect, minimax_emulator):
    """Connect to a gateway as a host of MiniMax's own kind: it has the create and the query of H3, and nothing else."""
    return connect(
        host=minimax_emulator.base_url("novita"),
        password=minimax_emulator.api_key("novita"),
        extra={"path_prefix": "/v3/minimax", "max_retries": 0},
    )


def generate(**changes) -> MinimaxVideoGenerationOperator:
    options = H3 | {"wait_for_completion": True, "deferrable": False, "poll_interval": 0.01} | changes
    return MinimaxVideoGenerationOperator(task_id="generate", **options)


def sent(minimax_emulator, *methods: str) -> list[str]:
    return [
        f"{request['method']} {request['path']}"
        for request in minimax_emulator.requests
        if request["method"] in (methods or ("GET", "POST", "DELETE"))
    ]


# -- where it is sold --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("platform", SELLERS)
async def test_a_clip_is_bought_waited_for_and_delivered(
    platform, deferrable, connect, minimax_emulator, context, tmp_path
):
    connect(platform)
    minimax_emulator.configure(lifecycle="polls", polls=3)
    output = tmp_path / "boat.mp4"
    operator = generate(output_path=str(output), deferrable=deferrable)
    try:
        facts = operator.execute(context)
    except TaskDeferred as deferral:
        event = await anext(event.payload async for event in deferral.trigger.run())
        facts = operator.resume_execution("execute_complete", {"event": event}, context)
    bought = minimax_emulator.purchases[0]["task_id"]
    assert output.read_bytes()[4:8] == b"ftyp"
    assert (facts["task_id"], facts["state"]) == (bought, "succeeded")
    assert context["ti"].xcoms["api_version"] == "v2"
    receipt = json.loads((tmp_path / "boat.mp4.receipt.json").read_text())
    assert (receipt["platform"], receipt["api_version"]) == (platform, "v2")
    assert {call for call in sent(minimax_emulator) if "/files/" not in call} == {
        f"POST {SELLERS[platform]}/video_generation",
        f"GET {SELLERS[platform]}/query/video_generation/{bought}",
    }


@pytest.mark.parametrize("platform", SELLERS)
async def test_many_tasks_are_asked_for_one_by_one_where_no_list_is_known(platform, connect, minimax_emulator):
    with closing(MinimaxHook(connect(platform))) as hook:
        bought = [hook.submit(REQUEST) for _ in range(10)]
    async with get_shared_poller("minimax_default") as poller:
        seen = await asyncio.gather(*(poller.poll(it, "v2", after=0, within=30) for it in bought))
    assert [task.minimax_task_id for task in seen] == bought
    assert {request["operation"] for request in minimax_emulator.requests} == {"submit", "query"}


@pytest.mark.parametrize("platform", SELLERS)
def test_a_wrong_key_and_an_empty_account_are_reported_in_the_gateways_words(platform, connect, minimax_emulator):
    with closing(MinimaxHook(connect(platform, password="sk-wrong"))) as hook, pytest.raises(MinimaxAuthError):
        hook.submit(REQUEST)
    minimax_emulator.configure(balance=0.01)
    with closing(MinimaxHook(connect(platform))) as hook, pytest.raises(MinimaxQuotaError) as raised:
        hook.submit(REQUEST)
    assert "Nothing was bought." in str(raised.value)


# -- what is missing there ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", SELLERS)
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda hook, path: hook.list_tasks(), "no documented list of tasks"),
        (lambda hook, path: hook.cancel("123456"), "cannot cancel tasks of version 'v2' of its API"),
        (lambda hook, path: asyncio.run(hook.acancel("123456")), "cannot cancel tasks of version 'v2' of its API"),
        (lambda hook, path: hook.upload(path), "no documented call that uploads a file"),
    ],
    ids=["list", "cancel", "cancel on a loop", "upload"],
)
def test_what_is_missing_is_said_before_anything_is_sent(platform, call, said, connect, minimax_emulator, tmp_path):
    (tmp_path / "boat.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(64))
    with closing(MinimaxHook(connect(platform))) as hook, pytest.raises(MinimaxRequestError, match=said):
        call(hook, str(tmp_path / "boat.mp4"))
    assert sent(minimax_emulator) == []


@pytest.mark.parametrize("platform", SELLERS)
def test_files_travel_inside_the_request(platform, connect, minimax_emulator, tmp_path):
    (tmp_path / "boat.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(9_000_000))
    with closing(MinimaxHook(connect(platform))) as hook:
        hook.submit(VideoRequest.of(H3 | {"reference_videos": [str(tmp_path / "boat.mp4")]}))
    assert minimax_emulator.purchases[0]["body"]["content"][1]["video_url"]["url"].startswith("sha256:")
    assert len(sent(minimax_emulator)) == 1


def test_a_file_that_was_uploaded_to_minimax_is_named_by_its_address(connect, minimax_emulator):
    """Novita's page takes such addresses; whose account they are of is between the two of them."""
    minimax_emulator.fault("http", operation="submit", status=422)
    request = VideoRequest.of(H3 | {"first_frame_image": "mm_file://123", "ratio": None})
    with closing(MinimaxHook(connect("novita"))) as hook, pytest.raises(MinimaxRequestError, match="HTTP 422"):
        hook.submit(request)
    assert len(sent(minimax_emulator)) == 1


def test_files_that_are_too_much_for_one_request_are_refused_where_they_cannot_be_uploaded(
    connect, minimax_emulator, tmp_path
):
    for name in "ab":
        (tmp_path / f"{name}.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(30_000_000))
    request = VideoRequest.of(H3 | {"reference_videos": [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]})
    with (
        closing(MinimaxHook(connect("novita"))) as hook,
        pytest.raises(MinimaxRequestError, match=r"80 MB long.*so give the largest as a public URL"),
    ):
        hook.submit(request)
    assert sent(minimax_emulator) == []


@pytest.mark.parametrize("platform", SELLERS)
def test_a_wait_that_took_too_long_says_that_nothing_can_be_cancelled(
    platform, connect, minimax_emulator, context, tmp_path
):
    connect(platform)
    minimax_emulator.configure(lifecycle="manual")
    operator = generate(output_path=str(tmp_path / "boat.mp4"), timeout=0.1, cancel_on_timeout=True)
    with pytest.raises(AirflowSensorTimeout, match=r"could not be cancelled .*so it may keep running and be billed"):
        operator.execute(context)
    wait = MinimaxTaskSensor(
        task_id="wait",
        minimax_task_id=context["ti"].xcoms["task_id"],
        api_version="v2",
        deferrable=False,
        poke_interval=0.01,
        timeout=0.1,
        cancel_on_timeout=True,
    )
    with pytest.raises(AirflowSensorTimeout, match=r"could not be cancelled .*so it may keep running and be billed"):
        wait.execute(context)
    assert sent(minimax_emulator, "DELETE") == []
    assert minimax_emulator.jobs[0]["state"] == "preparing"


def test_a_killed_operator_says_that_the_task_goes_on_and_tries_nothing(
    connect, minimax_emulator, context, log_of, monkeypatch
):
    connect("novita")
    minimax_emulator.configure(lifecycle="manual")
    log = log_of(MinimaxVideoGenerationOperator)
    operator = generate()

    class Kill(BaseException):
        pass

    def poll_and_die(*_, **__):
        operator.on_kill()
        raise Kill

    monkeypatch.setattr(MinimaxHook, "get_task", poll_and_die)
    with pytest.raises(Kill):
        operator.execute(context)
    assert "is not cancelled: it keeps running and will be billed" in log.said()
    assert len(sent(minimax_emulator)) == 1


def test_a_deferred_operator_asks_its_trigger_for_no_cancellation(connect, context):
    connect("ai302")
    with pytest.raises(TaskDeferred) as deferral:
        generate(deferrable=True).execute(context)
    assert not deferral.value.trigger.cancel_on_kill


def test_a_lost_answer_that_nobody_could_find_out_about_is_refused_before_paying(
    connect, minimax_emulator, context, tmp_path
):
    connect("novita")
    with pytest.raises(MinimaxRequestError, match="on_orphaned_intent='adopt': the platform cannot list"):
        generate(output_path=str(tmp_path / "boat.mp4"), on_orphaned_intent="adopt").execute(context)
    assert sent(minimax_emulator) == []


# -- a gateway that nobody knows ---------------------------------------------------------------------------------------


def test_a_gateway_behind_a_host_sells_h3(unknown_gateway, minimax_emulator, tmp_path):
    minimax_emulator.configure(lifecycle="polls", polls=1)
    with closing(MinimaxHook(unknown_gateway)) as hook:
        task = hook.get_task(hook.submit(REQUEST), api_version="v2")
        assert hook.download(task, str(tmp_path / "boat.mp4"))["size"] > 0
    assert sent(minimax_emulator, "POST") == ["POST /novita/v3/minimax/v2/video_generation"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_purchase_at_an_address_without_that_call_says_what_to_check(is_async, connect, minimax_emulator):
    connect(host=minimax_emulator.base_url("novita"), extra={"path_prefix": "/nowhere"})
    with closing(MinimaxHook()) as hook, pytest.raises(MinimaxRequestError) as raised:
        asyncio.run(hook.asubmit(REQUEST)) if is_async else hook.submit(REQUEST)
    assert "Nothing was bought. Check host, platform and path_prefix of the connection" in str(raised.value)


def test_a_onehub_gateway_is_asked_by_its_own_id_of_the_task(connect):
    """It names two, and shows the other one in the task itself."""
    submitted = json.loads(reply("minimax_v2", "submit_with_platform_id").body)
    succeeded = json.loads(reply("minimax_v2", "query_succeeded").body)
    succeeded["task"]["id"] = submitted["platform_id"]

    def answer(request):
        yield whole(json.dumps(submitted if request.method == "POST" else succeeded).encode())

    with HostileServer(answer) as server, closing(MinimaxHook(connect(host=f"{server.url}/minimaxi"))) as hook:
        bought = hook.submit(REQUEST)
        task = hook.get_task(bought, api_version="v2")
        asked = [request.target for request in server.requests]
    assert (bought, task.minimax_task_id, task.state) == (submitted["task_id"], bought, TaskState.SUCCEEDED)
    assert asked == ["/minimaxi/v2/video_generation", f"/minimaxi/v2/query/video_generation/{bought}"]


def test_minimaxs_price_is_not_reported_for_a_gateway_behind_a_prefix(unknown_gateway):
    with closing(MinimaxHook(unknown_gateway)) as hook:
        assert hook.list_price(REQUEST) is None


def test_a_lost_answer_there_is_not_taken_for_nothing_bought(unknown_gateway, minimax_emulator, context, tmp_path):
    options = {"output_path": str(tmp_path / "boat.mp4"), "on_orphaned_intent": "adopt", "timeout": 5}
    minimax_emulator.fault("lost_answer", operation="submit")
    for _ in range(2):
        with pytest.raises(MinimaxError, match="may have been bought") as raised:
            generate(**options).execute(context)
    assert "a list of tasks was not found at this address" in str(raised.value)
    assert len(minimax_emulator.purchases) == 1


async def test_a_list_that_is_not_there_is_asked_for_once(unknown_gateway, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    with closing(MinimaxHook(unknown_gateway)) as hook:
        bought = [hook.submit(REQUEST) for _ in range(6)]
    async with get_shared_poller(unknown_gateway) as poller:
        for _ in range(3):
            seen = await asyncio.gather(*(poller.poll(it, "v2", after=0.1, within=30) for it in bought))
            assert [task.minimax_task_id for task in seen] == bought
    asked = sent(minimax_emulator, "GET")
    assert asked.count("GET /novita/v3/minimax/v2/query/video_generation") == 1
    assert len(asked) == 1 + 3 * len(bought)


@pytest.mark.parametrize("changed", ["time", "connection"])
async def test_a_list_is_asked_for_again_after_a_while_and_after_a_change_of_the_connection(
    changed, unknown_gateway, connect, minimax_emulator, monkeypatch
):
    minimax_emulator.configure(lifecycle="manual")
    with closing(MinimaxHook(unknown_gateway)) as hook:
        bought = [hook.submit(REQUEST) for _ in range(3)]
    if changed == "time":
        monkeypatch.setattr(task_lists, "WITHOUT_FOR", 0.0)
    async with get_shared_poller(unknown_gateway) as poller:
        await asyncio.gather(*(poller.poll(it, "v2", after=0.1, within=30) for it in bought))
        if changed == "connection":
            minimax_emulator.configure(key="a-new-key")
            connect(
                host=minimax_emulator.base_url("novita"),
                password="a-new-key",
                extra={"path_prefix": "/v3/minimax", "max_retries": 0},
            )
            await poller.hook.areload()
        await asyncio.gather(*(poller.poll(it, "v2", after=0.1, within=30) for it in bought))
    assert sent(minimax_emulator, "GET").count("GET /novita/v3/minimax/v2/query/video_generation") == 2


async def test_whether_there_is_a_list_is_found_out_by_one_request_though_many_could_ask(
    unknown_gateway, minimax_emulator
):
    minimax_emulator.configure(lifecycle="manual")
    with closing(MinimaxHook(unknown_gateway)) as hook:
        bought = [hook.submit(REQUEST) for _ in range(120)]
    minimax_emulator.fault("slow", operation="any", seconds=0.3, times=8)
    async with get_shared_poller(unknown_gateway) as poller:
        seen = await asyncio.gather(*(poller.poll(it, "v2", after=0.1, within=60) for it in bought))
    assert [task.minimax_task_id for task in seen] == bought
    assert sent(minimax_emulator, "GET").count("GET /novita/v3/minimax/v2/query/video_generation") == 1


@pytest.mark.parametrize("status", [400, 401, 405, 501])
async def test_a_list_that_is_refused_whatever_it_is_asked_for_is_not_asked_for_again(
    status, connect, minimax_emulator
):
    """Some gateways take its address for that of a task without an id."""
    minimax_emulator.configure(lifecycle="manual")
    minimax_emulator.fault("http", operation="list", status=status, times=-1)
    with closing(MinimaxHook(connect())) as hook:
        bought = [hook.submit(REQUEST) for _ in range(4)]
    async with get_shared_poller("minimax_default") as poller:
        for _ in range(3):
            seen = await asyncio.gather(*(poller.poll(it, "v2", after=0.1, within=30) for it in bought))
            assert [task.minimax_task_id for task in seen] == bought
    assert [request["operation"] for request in minimax_emulator.requests].count("list") == 1


async def test_a_list_that_only_ever_fails_holds_up_nobody(connect, minimax_emulator):
    minimax_emulator.configure(lifecycle="manual")
    minimax_emulator.fault("http", operation="list", status=502, times=-1)
    with closing(MinimaxHook(connect(extra={"max_retries": 0}))) as hook:
        bought = [hook.submit(REQUEST) for _ in range(4)]
    async with get_shared_poller("minimax_default") as poller:
        for _ in range(task_lists.MAX_FAILURES + 1):
            seen = await asyncio.gather(
                *(poller.poll(it, "v2", after=0.1, within=30) for it in bought), return_exceptions=True
            )
    assert [task.minimax_task_id for task in seen] == bought
    assert [request["operation"] for request in minimax_emulator.requests].count("list") == task_lists.MAX_FAILURES


def test_calls_that_the_address_does_not_have_are_reported_as_such(unknown_gateway, minimax_emulator, tmp_path):
    minimax_emulator.configure(lifecycle="manual")
    (tmp_path / "boat.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(64))
    with closing(MinimaxHook(unknown_gateway)) as hook:
        bought = hook.submit(REQUEST)
        for call, what in (
            (hook.list_tasks, "a list of tasks"),
            (lambda: hook.cancel(bought), "a call that cancels a task"),
            (lambda: hook.upload(str(tmp_path / "boat.mp4")), "a call that uploads a file"),
        ):
            with pytest.raises(MinimaxRequestError, match=f"{what} was not found at this address"):
                call()
        assert hook.get_task(bought, api_version="v2").state is TaskState.PENDING


# -- the connection test -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", SELLERS)
def test_the_connection_test_says_what_h3_lacks_there(platform, connect, minimax_emulator):
    works, said = MinimaxHook(connect(platform)).test_connection()
    assert works, said
    assert "H3's tasks cannot be listed or cancelled there." in said
    assert "cannot be had" not in said
    assert minimax_emulator.purchases == []


def test_the_connection_test_finds_a_gateway_that_has_h3_alone(unknown_gateway, minimax_emulator):
    works, said = MinimaxHook(unknown_gateway).test_connection()
    assert works, said
    assert "Hailuo (API v1) cannot be had there" in said
    assert "H3's tasks cannot be listed there." in said
    assert minimax_emulator.purchases == []


def test_the_connection_test_finds_a_gateway_that_has_no_h3(connect, minimax_emulator):
    connect(host=minimax_emulator.base_url("bltcy"), extra={"path_prefix": "/minimax"})
    works, said = MinimaxHook("minimax_default").test_connection()
    assert works, said
    assert "H3 (API v2) cannot be had there" in said


# -- where it is not sold ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("model", ["MiniMax-H3", "MiniMax-H3-Lite", "minimax-h3-max"])
@pytest.mark.parametrize("platform", OTHERS)
def test_h3_is_never_sent_to_an_address_that_sells_something_else(
    platform, model, validate, connect, minimax_emulator, context, tmp_path
):
    request = VideoRequest.of(H3 | {"model": model, "first_frame_image": FRAME})
    output = str(tmp_path / "boat.mp4")
    with closing(MinimaxHook(connect(platform))) as hook:
        for buy in (
            lambda: hook.submit(request, validate=validate),
            lambda: asyncio.run(hook.asubmit(request, validate=validate)),
            lambda: hook.generate(request, output_path=output, validate=validate),
            lambda: generate(model=model, first_frame_image=FRAME, output_path=output, validate=validate).execute(
                context
            ),
        ):
            with pytest.raises(MinimaxRequestError, match=f"model='{model}': .*is not known") as raised:
                buy()
            assert "Nothing was bought." in str(raised.value)
    assert sent(minimax_emulator) == []
    assert list(tmp_path.iterdir()) == []
