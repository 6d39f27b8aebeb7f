"""The options of all operators that buy stand in one constructor, and Airflow finds them there."""

from __future__ import annotations

import inspect
from datetime import datetime

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_minimax.exceptions import MinimaxRequestError
from airflow_provider_minimax.operators.base import PurchaseOperator
from airflow_provider_minimax.operators.contact_sheet import MinimaxContactSheetOperator
from airflow_provider_minimax.operators.h3 import MinimaxPromptRewriteOperator, MinimaxVideoRegenerationOperator
from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator, MinimaxVideoGenerationOperator
from airflow_provider_minimax.options import DeliveryOptions, PurchaseOptions, WaitOptions
from airflow_provider_minimax.sensors.video import MinimaxTaskSensor

BUYERS = [MinimaxVideoGenerationOperator, MinimaxVideoRegenerationOperator, MinimaxPromptRewriteOperator]
CONTENT = {"duration": 5, "ratio": "16:9"}
SIZED = {**CONTENT, "resolution": "768P"}
CHOSEN = {"poll_interval": 7, "timeout": 99, "check": "basic", "output_path": "/clips/a.mp4", "minimax_conn_id": "mine"}


def own_parameters(kind: type) -> set[str]:
    """The parameters of a class's own constructor."""
    parameters = inspect.signature(vars(kind)["__init__"]).parameters.values()
    return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


@pytest.mark.parametrize(
    "kind",
    [
        *BUYERS,
        PurchaseOperator,
        MinimaxVideoDownloadOperator,
        MinimaxContactSheetOperator,
        MinimaxTaskSensor,
        PurchaseOptions,
        WaitOptions,
        DeliveryOptions,
    ],
)
def test_no_constructor_has_more_than_twenty_parameters_of_its_own(kind):
    assert 0 < len(own_parameters(kind)) <= 20


@pytest.mark.parametrize("buyer", BUYERS)
def test_an_operator_that_buys_declares_no_option_that_its_base_class_has(buyer):
    bases = [base for base in buyer.__mro__[1:] if base is not BaseOperator and issubclass(base, BaseOperator)]
    shared = {name for base in bases if "__init__" in vars(base) for name in own_parameters(base)}
    assert {"poll_interval", "output_path", "on_clear"} <= shared
    assert not own_parameters(buyer) & shared


@pytest.mark.parametrize("kind", [PurchaseOperator, *BUYERS])
def test_type_checkers_know_each_option_as_the_constructor_takes_it(kind):
    """Operators set them all at once, which says nothing of their types."""
    declared = inspect.get_annotations(kind)
    taken = {name: each.annotation for name, each in inspect.signature(vars(kind)["__init__"]).parameters.items()}
    for name in own_parameters(kind):
        assert declared[name] == ("bool" if name == "wait_for_completion" else taken[name]), name


@pytest.mark.parametrize("buyer", BUYERS)
def test_an_operator_has_all_that_its_constructor_takes_and_makes_its_request_of_its_own_fields(buyer):
    content = CONTENT if buyer is MinimaxPromptRewriteOperator else {}
    if buyer is MinimaxVideoRegenerationOperator:
        content = {"source_task_id": "1"}
    operator = buyer(task_id="a", model="MiniMax-H3", prompt="a cat", validate=False, **content)
    assert own_parameters(buyer) | own_parameters(PurchaseOperator) <= vars(operator).keys()
    assert own_parameters(buyer) == set(operator._content_fields)
    assert {name: getattr(operator, name) for name in content} == content


def test_a_task_whose_output_goes_into_a_request_comes_before_it():
    with dag():
        rewrite = MinimaxPromptRewriteOperator(task_id="rewrite", prompt="a cat", **CONTENT)
        generate = MinimaxVideoGenerationOperator(
            task_id="generate", model="MiniMax-H3", prompt=rewrite.output, output_path="/clips/a.mp4", **SIZED
        )
        generate.callback_url = BaseOperator(task_id="address").output
    assert generate.upstream_task_ids == {"rewrite", "address"}


def dag(**default_args):
    return DAG("d", schedule=None, start_date=datetime(2026, 1, 1), default_args=default_args)


def test_default_args_reach_the_options_of_the_base_class():
    with dag(**CHOSEN):
        generate = MinimaxVideoGenerationOperator(
            task_id="generate", model="MiniMax-H3", prompt="a cat", resolution="768P", **CONTENT
        )
        wait = MinimaxTaskSensor(task_id="wait", minimax_task_id="1")
    assert {name: getattr(generate, name) for name in CHOSEN} == CHOSEN
    assert generate.wait_for_completion is True
    assert (wait.output_path, wait.check, wait.timeout) == ("/clips/a.mp4", "basic", 99)


def test_a_mapped_operator_takes_the_options_of_the_base_class():
    with dag(timeout=99):
        mapped = MinimaxVideoGenerationOperator.partial(
            task_id="generate", model="MiniMax-H3", resolution="768P", poll_interval=3, on_clear="resubmit", **CONTENT
        ).expand(prompt=["a cat", "a dog"], output_path=["/clips/a.mp4", "/clips/b.mp4"])
    one = mapped.unmap({"prompt": "a cat", "output_path": "/clips/a.mp4"})
    assert (one.poll_interval, one.on_clear, one.timeout, one.output_path) == (3, "resubmit", 99, "/clips/a.mp4")
    assert one.wait_for_completion is True


def test_an_option_that_does_not_exist_is_refused_also_where_an_operator_is_mapped():
    with dag(), pytest.raises(TypeError, match="typo"):
        MinimaxVideoGenerationOperator.partial(task_id="generate", typo=3)


def test_default_args_for_clips_do_not_reach_an_operator_that_buys_a_prompt():
    with dag(**CHOSEN, wait_for_completion=False, on_clear="resubmit"):
        rewrite = MinimaxPromptRewriteOperator(task_id="rewrite", prompt="a cat", **CONTENT)
    assert (rewrite.output_path, rewrite.check, rewrite.wait_for_completion) == (None, "none", True)
    assert (rewrite.poll_interval, rewrite.timeout, rewrite.minimax_conn_id) == (7, 99, "mine")


def test_an_operator_that_buys_a_prompt_refuses_what_only_a_clip_has():
    with pytest.raises(MinimaxRequestError, match="output_path: is for operators that buy clips"):
        MinimaxPromptRewriteOperator(task_id="rewrite", prompt="a cat", output_path="/clips/a.mp4", **CONTENT)


@pytest.mark.parametrize(
    ("kind", "chosen", "said"),
    [
        (PurchaseOptions, {"on_clear": "never"}, "on_clear='never'"),
        (PurchaseOptions, {"max_submissions": 0}, "max_submissions=0"),
        (PurchaseOptions, {"on_orphaned_intent": "adopt", "durable": False}, "needs durable=True"),
        (WaitOptions, {"timeout": 0}, "timeout=0"),
        (WaitOptions, {"poll_interval": True}, "poll_interval=True"),
        (DeliveryOptions, {"overwrite": "always"}, "overwrite='always'"),
        (DeliveryOptions, {"check": "full"}, "it needs output_path"),
        (DeliveryOptions, {"preview": True, "output_path": "a", "delivers": False}, "wait_for_completion=True"),
    ],
)
def test_options_check_themselves(kind, chosen, said):
    with pytest.raises(MinimaxRequestError) as raised:
        kind(**chosen)
    assert said in str(raised.value)
