"""Buying with ``callback_url="auto"``: what the platform is given, and what its pushes mend when an answer is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.callbacks import reader
from airflow_provider_minimax.callbacks.address import CALLBACK_PATH, URL_PREFIX, read_token, token_of
from airflow_provider_minimax.callbacks.record import Push
from airflow_provider_minimax.exceptions import (
    MinimaxConfigurationError,
    MinimaxRequestError,
    MinimaxSubmissionUnknownError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.hooks.minimax import MinimaxHook
from airflow_provider_minimax.operators.h3 import MinimaxPromptRewriteOperator, MinimaxVideoRegenerationOperator
from airflow_provider_minimax.operators.video import MinimaxVideoGenerationOperator
from airflow_provider_minimax.polling.poller import Outcome
from airflow_provider_minimax.purchases import callback, purchase
from airflow_provider_minimax.text.redaction import redact
from airflow_provider_minimax.triggers.video import MinimaxTaskTrigger
from tests.callbacks.conftest import BASE_URL, needs_record, stored_attempt, v1
from tests.fakes import FakeTaskInstance

CONTENT = {"model": "MiniMax-Hailuo-2.3", "prompt": "a cat"}
H3 = {"model": "MiniMax-H3", "prompt": "a cat", "duration": 5, "resolution": "768P", "ratio": "16:9"}
FRAME = "https://files.example/frame.jpg"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "clip.mp4"


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the record from the database, and not through the supervisor that only a real task has."""
    monkeypatch.setattr(callback, "read_attempt", stored_attempt)


@pytest.fixture
def buy(connect: Any, conn_id: str, output: Path, minimax_emulator: Any) -> Callable[..., Any]:
    """Buy, as one try of one task."""
    minimax_emulator.configure(lifecycle="polls", polls=1)

    def run(platform: str = "minimax", ti: FakeTaskInstance | None = None, **changes: Any) -> Any:
        connect(platform, conn_id, extra={"max_retries": 0})
        options = CONTENT | {"output_path": str(output), "callback_url": "auto", "poll_interval": 0.01} | changes
        operator = MinimaxVideoGenerationOperator(task_id="generate", minimax_conn_id=conn_id, **options)
        return operator.execute({"ti": ti or FakeTaskInstance()})

    return run


def receipt_of(output: Path) -> dict[str, Any]:
    return json.loads(Path(f"{output}.receipt.json").read_text())


def addresses(emulator: Any) -> list[str]:
    """The callback addresses that the platform was given."""
    found = [purchase["body"].get("callback_url") for purchase in emulator.purchases]
    return [url for url in found if url]


@pytest.mark.parametrize("content", [CONTENT, H3], ids=["v1", "v2"])
def test_the_platform_is_given_an_address_whose_token_names_the_attempt_in_the_receipt(
    receiver, buy, conn_id, output, minimax_emulator, content
):
    buy(**content)
    receipt = receipt_of(output)
    assert receipt["has_callback"]
    [url] = addresses(minimax_emulator)
    start = f"{receiver.url}{URL_PREFIX}{CALLBACK_PATH}"
    assert url.startswith(start)
    assert read_token(url.removeprefix(start)) == (conn_id, receipt["attempt"])


def test_the_address_is_neither_in_the_receipt_nor_part_of_what_tells_requests_apart(receiver, buy, output, conn_id):
    buy(output_path=str(output))
    auto = receipt_of(output)
    without = output.with_name("without.mp4")
    buy(output_path=str(without), callback_url=None)
    assert auto["fingerprint"] == receipt_of(without)["fingerprint"]
    assert CALLBACK_PATH not in json.dumps(auto)
    assert "has_callback" not in receipt_of(without), "an earlier release would refuse to read it"


def test_each_purchase_has_an_address_of_its_own(receiver, buy, minimax_emulator):
    buy()
    buy(ti=FakeTaskInstance(run_id="another"), overwrite=True)
    assert len(set(addresses(minimax_emulator))) == 2


def test_without_a_base_url_nothing_is_bought_and_the_error_names_the_option(buy, minimax_emulator, monkeypatch):
    monkeypatch.delenv(BASE_URL, raising=False)
    with pytest.raises(MinimaxConfigurationError, match=r"\[minimax\] callback_base_url is not set") as raised:
        buy()
    assert "Nothing was bought." in str(raised.value)
    assert minimax_emulator.purchases == []


def test_a_clip_that_is_bought_is_gone_on_with_where_the_base_url_is_gone(receiver, buy, output, monkeypatch):
    bought = buy(wait_for_completion=False)
    monkeypatch.delenv(BASE_URL)
    assert buy()["task_id"] == bought


@pytest.mark.parametrize("platform", ["bltcy", "chainhub", "novita"])
def test_a_platform_that_documents_no_pushes_is_refused_before_paying(receiver, buy, minimax_emulator, platform):
    content = {"model": "MiniMax-Hailuo-02", "prompt": "a cat", "first_frame_image": FRAME}
    with pytest.raises(MinimaxRequestError, match=f"{platform} does not document callbacks") as raised:
        buy(platform, **content)
    assert "validate=False" in str(raised.value)
    assert minimax_emulator.purchases == []


def test_a_connection_whose_name_fits_no_address_is_refused_before_paying(receiver, connect, output, minimax_emulator):
    connect("minimax", "minimax_ü")
    operator = MinimaxVideoGenerationOperator(
        task_id="generate", minimax_conn_id="minimax_ü", callback_url="auto", output_path=str(output), **CONTENT
    )
    with pytest.raises(MinimaxRequestError, match="callback_url='auto' with minimax_conn_id"):
        operator.execute({"ti": FakeTaskInstance()})
    assert minimax_emulator.purchases == []


def test_auto_is_known_to_all_operators_that_buy_when_the_dag_is_parsed():
    MinimaxVideoGenerationOperator(task_id="clip", callback_url="auto", **CONTENT)
    MinimaxVideoRegenerationOperator(task_id="again", source_task_id="7", callback_url="auto")
    MinimaxPromptRewriteOperator(task_id="prompt", prompt="a cat", duration=5, ratio="16:9", callback_url="auto")
    with pytest.raises(MinimaxRequestError, match="or 'auto'"):
        MinimaxVideoGenerationOperator(task_id="clip", callback_url="automatic", **CONTENT)


@pytest.mark.parametrize("content", [CONTENT, H3], ids=["v1", "v2"])
def test_a_receiver_that_does_not_answer_the_challenge_is_asked_again_by_a_retry(
    receiver, buy, minimax_emulator, monkeypatch, content
):
    """The API server may be restarting; a receiver of the author's own is a mistake that no retry mends."""
    monkeypatch.setenv(BASE_URL, "http://127.0.0.1:9")
    with pytest.raises(MinimaxUnavailableError, match="did not answer the platform's challenge") as raised:
        buy(**content)
    assert not raised.value.is_final
    assert "Nothing was bought" in str(raised.value)
    assert "airflow minimax callback-test" in str(raised.value)
    with pytest.raises(MinimaxRequestError, match="check callback url"):
        buy(**content, callback_url="http://127.0.0.1:9/mine")
    monkeypatch.setenv(BASE_URL, receiver.url)
    buy(**content)
    assert len(minimax_emulator.purchases) == 1


def test_the_bare_call_refuses_auto_because_it_knows_of_no_attempt(connect, minimax_emulator):
    request = VideoRequest.of(CONTENT | {"callback_url": "auto"})
    with pytest.raises(MinimaxRequestError, match="is for the operators and MinimaxHook.generate"):
        MinimaxHook(connect()).submit(request)
    assert minimax_emulator.requests == []


def test_generate_knows_auto_too(receiver, connect, conn_id, output, minimax_emulator):
    minimax_emulator.configure(lifecycle="polls", polls=1)
    connect("minimax", conn_id)
    request = VideoRequest.of(CONTENT | {"callback_url": "auto"})
    MinimaxHook(conn_id).generate(request, output_path=output, poll_interval=0.01)
    [url] = addresses(minimax_emulator)
    assert read_token(url.rpartition("/")[2]) == (conn_id, receipt_of(output)["attempt"])


@pytest.mark.parametrize(
    "write", [str, lambda url: json.dumps(url).replace("/", "\\/"), lambda url: quote(url, safe="")]
)
def test_no_error_shows_the_token_of_an_address_that_a_platform_repeats(receiver, conn_id, write):
    url = callback.address_of(conn_id, "attempt")
    said = redact(f"2013: invalid params, fail to check callback url {write(url)} in time")
    assert url.rpartition("/")[2][:20] not in said
    assert said.endswith(" in time")


# -- answers that are lost ---------------------------------------------------------------------------------------------


@needs_record
@pytest.mark.parametrize("content", [CONTENT, H3], ids=["v1", "v2"])
@pytest.mark.parametrize("choice", ["fail", "resubmit", "adopt"])
def test_a_lost_answer_is_made_up_for_by_a_push_in_the_same_try(
    receiver, record, declared, buy, minimax_emulator, output, content, choice
):
    if choice == "adopt" and content is CONTENT:
        pytest.skip("v1 has no list to adopt from")
    minimax_emulator.fault("lost_answer", operation="submit")
    facts = buy(**content, on_orphaned_intent=choice)
    [purchase] = minimax_emulator.purchases
    assert facts["task_id"] == purchase["task_id"] == receipt_of(output)["minimax_task_id"]


@needs_record
def test_an_error_that_names_a_task_all_the_same_is_made_up_for_too(
    receiver, record, declared, buy, minimax_emulator, output
):
    minimax_emulator.fault("http", operation="submit", status=502, job_made=True, job_named=True)
    facts = buy()
    [bought] = minimax_emulator.purchases
    assert facts["task_id"] == bought["task_id"] == receipt_of(output)["minimax_task_id"]


class Killed(BaseException):
    """What no code catches."""


@pytest.fixture
def killed_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have the next submission end its process once the platform has the request."""
    submit = MinimaxHook.submit

    def arm() -> None:
        def die(self: MinimaxHook, *args: Any, **kwargs: Any) -> str:
            submit(self, *args, **kwargs)
            monkeypatch.setattr(MinimaxHook, "submit", submit)
            raise Killed

        monkeypatch.setattr(MinimaxHook, "submit", die)

    return arm


@needs_record
@pytest.mark.parametrize("content", [CONTENT, H3], ids=["v1", "v2"])
def test_a_retry_after_the_death_of_a_worker_goes_on_with_the_task_that_was_pushed(
    receiver, record, declared, buy, minimax_emulator, output, content, killed_before_the_answer
):
    killed_before_the_answer()
    with pytest.raises(Killed):
        buy(**content)
    assert receipt_of(output)["phase"] == "intent"
    facts = buy(ti=FakeTaskInstance(try_number=2), **content)
    [purchase] = minimax_emulator.purchases
    assert facts["task_id"] == purchase["task_id"]


@needs_record
def test_a_clear_after_a_lost_answer_goes_on_with_the_task_that_was_pushed_late(
    receiver, record, declared, buy, minimax_emulator, output, killed_before_the_answer, monkeypatch, conn_id
):
    monkeypatch.setattr(purchase, "_PUSHED_WITHIN", purchase.timedelta(0))
    minimax_emulator.configure(callbacks="ignored")
    killed_before_the_answer()
    with pytest.raises(Killed):
        buy()
    with pytest.raises(MinimaxSubmissionUnknownError):
        buy(ti=FakeTaskInstance(try_number=2))
    [bought] = minimax_emulator.purchases
    receiver.push(conn_id, receipt_of(output)["attempt"], v1(bought["task_id"], "Success"))
    assert buy(ti=FakeTaskInstance(try_number=3, max_tries=4))["task_id"] == bought["task_id"]
    assert len(minimax_emulator.purchases) == 1


@pytest.fixture
def orphan(buy, output, minimax_emulator, killed_before_the_answer, monkeypatch) -> Callable[[], Any]:
    """Have a submission without an answer and without pushes, and return what retries it."""
    monkeypatch.setattr(purchase, "_PUSHED_WITHIN", purchase.timedelta(0))
    minimax_emulator.configure(callbacks="ignored")
    killed_before_the_answer()
    with pytest.raises(Killed):
        buy()
    return lambda **changes: buy(ti=FakeTaskInstance(try_number=2), **changes)


@needs_record
@pytest.mark.parametrize("named", ["no such task", "another's"])
def test_a_push_that_names_a_task_that_it_cannot_be_is_not_believed(
    receiver, record, declared, orphan, conn_id, output, minimax_emulator, buy, named
):
    attempt = receipt_of(output)["attempt"]
    other = output.with_name("other.mp4")
    if named == "another's":
        task_id = buy(output_path=str(other), ti=FakeTaskInstance(run_id="another"))["task_id"]
    else:
        task_id = "424242424242"
    receiver.push(conn_id, attempt, v1(task_id, "Success"))
    before = len(minimax_emulator.purchases)
    with pytest.raises(MinimaxSubmissionUnknownError):
        orphan()
    assert len(minimax_emulator.purchases) == before
    assert receipt_of(output)["phase"] == "intent"


@needs_record
def test_a_push_to_another_attempt_mends_nothing(receiver, record, declared, orphan, conn_id, minimax_emulator):
    [bought] = minimax_emulator.purchases
    receiver.push(conn_id, "another", v1(bought["task_id"], "Success"))
    with pytest.raises(MinimaxSubmissionUnknownError):
        orphan()


@needs_record
def test_a_forger_without_a_token_mends_and_spoils_nothing(
    receiver, record, declared, orphan, conn_id, output, minimax_emulator
):
    attempt = receipt_of(output)["attempt"]
    [bought] = minimax_emulator.purchases
    content, _, signature = token_of(conn_id, attempt).partition(".")
    for token in (attempt, f"{content}.{signature[::-1]}", content, f"{content}."):
        assert receiver.post(token, v1("424242424242", "Success")).status_code == 404
    assert stored_attempt(conn_id, attempt) == ()
    receiver.push(conn_id, attempt, v1(bought["task_id"], "Success"))
    assert orphan()["task_id"] == bought["task_id"]


def test_a_record_that_cannot_be_read_is_as_one_without_pushes(receiver, orphan, monkeypatch, output):
    def down(conn_id: str, attempt: str) -> tuple[Push, ...]:
        raise RuntimeError("the API server is down")

    monkeypatch.setattr(callback, "read_attempt", down)
    with pytest.raises(MinimaxSubmissionUnknownError):
        orphan()
    assert receipt_of(output)["phase"] == "intent"


@needs_record
def test_what_was_pushed_of_a_clip_is_forgotten_once_it_is_delivered(
    receiver, record, declared, buy, monkeypatch, output
):
    forgotten = []
    monkeypatch.setattr(callback, "forget_attempt", lambda *key: forgotten.append(key))
    buy()
    assert forgotten == [(declared, receipt_of(output)["attempt"])]


async def test_an_airflow_without_a_record_polls_at_its_usual_pace(connect, minimax_emulator, monkeypatch):
    """As before Airflow 3.3."""
    monkeypatch.setattr(reader, "HAS_RECORD", False)
    monkeypatch.setattr(reader, "read_recent", lambda *_: pytest.fail("there is nothing to read"))
    minimax_emulator.configure(lifecycle="polls", polls=3)
    bought = MinimaxHook(connect()).submit(VideoRequest.of(CONTENT))
    trigger = MinimaxTaskTrigger(
        minimax_task_id=bought,
        minimax_conn_id="minimax_default",
        deadline=time.time() + 60,
        poll_interval=0.02,
        purchase_attempt="attempt",
    )
    [event] = [event.payload async for event in trigger.run()]
    assert Outcome.from_event(event).result().minimax_task_id == bought
