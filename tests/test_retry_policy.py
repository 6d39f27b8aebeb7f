"""The retry policy: what it decides about every error, and that Airflow goes by it."""

from __future__ import annotations

import json
import shutil
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_minimax import exceptions
from airflow_provider_minimax.exceptions import (
    MinimaxDownloadError,
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxReceiptStoreError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)
from airflow_provider_minimax.get_provider_info import get_provider_info
from airflow_provider_minimax.purchases.unrecorded import bought, written_down
from airflow_provider_minimax.version_compat import AirflowException, AirflowFailException
from tests.conftest import load_dags, load_file
from tests.fakes import HAS_STORE

HERE = Path(__file__).parent
EXAMPLE = HERE.parent / "docs" / "examples" / "since_3_3" / "retries.py"
NEEDS_3_3 = "retry policies came with Airflow 3.3"

if HAS_STORE:
    from airflow.sdk import RetryAction

    from airflow_provider_minimax.retries import MinimaxRetryPolicy

since_3_3 = pytest.mark.skipif(not HAS_STORE, reason=NEEDS_3_3)
ALL = [getattr(exceptions, name) for name in exceptions.__all__]
FINAL = [kind for kind in ALL if kind("x").is_final]


def decided(exception: BaseException, try_number: int = 1, max_tries: int = 5, context=None, **waits):
    return MinimaxRetryPolicy(**waits).evaluate(exception, try_number, max_tries, context)


def raised(exception: BaseException, cause: BaseException) -> BaseException:
    exception.__cause__ = cause
    return exception


def minutes(decision) -> float:
    return decision.retry_delay.total_seconds() / 60


@pytest.mark.skipif(HAS_STORE, reason="this Airflow has retry policies")
def test_an_airflow_without_policies_says_so_in_one_sentence():
    with pytest.raises(ImportError, match=r"MinimaxRetryPolicy needs Airflow 3\.3 or later.*Leave retry_policy out"):
        import airflow_provider_minimax.retries  # noqa: F401


# -- what is decided ---------------------------------------------------------------------------------------------------


@since_3_3
@pytest.mark.parametrize("kind", FINAL)
def test_what_a_retry_cannot_help_is_not_retried(kind):
    decision = decided(kind("it went wrong"))
    assert decision.action is RetryAction.FAIL
    assert "it went wrong" in decision.reason


@since_3_3
@pytest.mark.parametrize("kind", [kind for kind in FINAL if kind is not MinimaxTaskFailedError])
def test_nor_is_it_as_the_cause_of_something_else(kind):
    decision = decided(raised(RuntimeError("mine"), raised(AirflowException("wrapped"), kind("it went wrong"))))
    assert decision.action is RetryAction.FAIL


@since_3_3
def test_an_unknown_purchase_waits_for_a_person():
    decision = decided(MinimaxSubmissionUnknownError("no answer came"))
    assert decision.action is RetryAction.FAIL
    assert decision.reason.startswith("Somebody has to check, because a clip may have been bought: no answer came.")


@since_3_3
@pytest.mark.parametrize(
    "kind", [MinimaxRateLimitError, MinimaxUnavailableError, MinimaxUnreachableError, MinimaxReceiptStoreError]
)
def test_a_temporary_failure_is_waited_for_longer_each_time(kind):
    waits = [minutes(decided(kind("not now"), try_number, shortest=60)) for try_number in (1, 2, 3, 4)]
    for wait, least in zip(waits, (1, 2, 4, 8), strict=True):
        assert least <= wait <= least * 1.25
    assert decided(kind("not now")).action is RetryAction.RETRY
    assert "not now" in decided(kind("not now")).reason


@since_3_3
def test_a_wait_that_the_platform_asks_for_is_kept():
    decision = decided(MinimaxRateLimitError("too many", retry_after=600))
    assert 10 <= minutes(decision) <= 12.5


@since_3_3
@pytest.mark.parametrize("retry_after", [1e12, float("inf")])
def test_but_not_for_ever(retry_after):
    assert minutes(decided(MinimaxRateLimitError("too many", retry_after=retry_after))) == 60
    assert minutes(decided(MinimaxRateLimitError("too many"), 2000, 3000, longest=timedelta(minutes=7))) == 7


@since_3_3
def test_those_refused_together_do_not_come_back_together():
    waits = {decided(MinimaxRateLimitError("too many", retry_after=60)).retry_delay for _ in range(20)}
    assert len(waits) > 10


@since_3_3
def test_a_cleared_task_starts_with_a_short_wait_again():
    cleared = {"task": SimpleNamespace(retries=3)}
    assert minutes(decided(MinimaxUnavailableError("down"), 5, 7, cleared)) <= 0.5 * 1.25
    assert 1 <= minutes(decided(MinimaxUnavailableError("down"), 6, 7, cleared)) <= 1.25


@since_3_3
@pytest.mark.parametrize(
    "error",
    [
        MinimaxDownloadError("cut off", minimax_task_id="7", resumable=True),
        MinimaxError("odd", minimax_task_id="7", resumable=True),
    ],
)
def test_what_a_receipt_holds_is_gone_on_with_soon(error):
    decision = decided(error, try_number=5)
    assert decision.action is RetryAction.RETRY
    assert 0.5 <= minutes(decision) <= 0.5 * 1.25
    assert decision.reason.startswith("The clip is bought, and a retry resumes with it:")


@since_3_3
@pytest.mark.parametrize(
    "error",
    [
        MinimaxDownloadError("cut off"),
        MinimaxDownloadError("cut off", minimax_task_id="7"),
        MinimaxUnavailableError("down", minimax_task_id="7"),
        MinimaxStorageError("full", minimax_task_id="7"),
        MinimaxRateLimitError("busy", minimax_task_id="7"),
    ],
)
def test_what_is_bought_and_in_no_receipt_is_not_bought_again(error):
    decision = decided(error)
    assert decision.action is RetryAction.FAIL
    assert "goes on" not in decision.reason


@since_3_3
@pytest.mark.parametrize("error", [KeyError("row"), MinimaxUnavailableError("down"), MinimaxStorageError("full")])
def test_whatever_fails_after_a_bare_submission_is_not_retried(error, mocker):
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
    mocker.patch("airflow.sdk.get_current_context", return_value={"ti": ti})
    bought("77")
    decision = decided(error, context={"ti": ti, "task": SimpleNamespace(retries=3)})
    assert decision.action is RetryAction.FAIL
    assert "MiniMax task 77 is bought, but no receipt records it" in decision.reason
    written_down("77")
    after = decided(error, context={"ti": ti, "task": SimpleNamespace(retries=3)})
    assert after.action is not RetryAction.FAIL


@since_3_3
def test_our_error_is_found_behind_another():
    assert decided(raised(RuntimeError("mine"), MinimaxRateLimitError("x"))).action is RetryAction.RETRY


@since_3_3
def test_what_the_operator_made_final_stays_so():
    """Without a receipt a retry would buy another clip, so the operator wraps the error."""
    decision = decided(raised(AirflowFailException("a retry would buy another"), MinimaxUnavailableError("down")))
    assert (decision.action, decision.reason) == (RetryAction.FAIL, "a retry would buy another")


@since_3_3
def test_what_the_operator_leaves_to_a_retry_is_retried():
    """With max_submissions the operator wraps a failed remote task that another purchase may cure."""
    leave = raised(AirflowException("A retry buys another: purchase 2 of at most 2."), MinimaxTaskFailedError("failed"))
    decision = decided(leave)
    assert (decision.action, decision.reason) == (RetryAction.RETRY, str(leave))
    refused = MinimaxTaskFailedError("failed", code="1026")
    assert decided(raised(AirflowException("mine"), refused)).action is RetryAction.FAIL


@since_3_3
@pytest.mark.parametrize(
    "error", [ValueError("x"), AirflowException("x"), AirflowFailException("x"), MinimaxError("x")]
)
def test_what_is_not_ours_is_left_to_airflow(error):
    assert decided(error).action is RetryAction.DEFAULT


@since_3_3
def test_a_ring_of_causes_ends():
    first, second = ValueError("1"), ValueError("2")
    raised(first, second), raised(second, first)
    assert decided(first).action is RetryAction.DEFAULT


@since_3_3
@pytest.mark.parametrize(
    ("waits", "said"),
    [
        ({"shortest": 0}, "shortest=0: must be more than 0"),
        ({"longest": "1h"}, "longest='1h': must be more than 0"),
        ({"shortest": 60, "longest": timedelta(seconds=30)}, "must not be shorter than shortest=60"),
    ],
)
def test_waits_that_cannot_work_are_an_error_of_the_dag(waits, said):
    with pytest.raises(MinimaxRequestError, match=said):
        MinimaxRetryPolicy(**waits)


# -- Airflow -----------------------------------------------------------------------------------------------------------


@since_3_3
def test_it_survives_being_written_down():
    policy = MinimaxRetryPolicy(shortest=5, longest=timedelta(hours=2))
    again = MinimaxRetryPolicy.deserialize(json.loads(json.dumps(policy.serialize())))
    assert again == policy
    assert hash(again) == hash(policy)
    assert again != MinimaxRetryPolicy()


@since_3_3
def test_a_dag_with_it_is_the_same_at_each_parse():
    from airflow.serialization.serialized_objects import DagSerialization

    first, second = (DagSerialization.to_dict(load_file(EXAMPLE)["minimax_retries"]) for _ in range(2))
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    task = DagSerialization.from_dict(first).get_task("generate")
    assert task.has_retry_policy


@since_3_3
def test_the_provider_names_the_module_as_airflow_wants_it():
    import jsonschema

    from tests.test_provider import schema

    assert get_provider_info()["retry-policies"][0]["python-modules"] == ["airflow_provider_minimax.retries"]
    known = schema("provider.yaml.schema.json")["properties"].get("retry-policies")
    if known is None:
        pytest.skip("the key came with Airflow 3.4")
    jsonschema.validate(get_provider_info()["retry-policies"], known)


@pytest.fixture
def retried(airflow_db, dags_folder):
    """The DAGs of a file that only Airflow 3.3 and later can read."""
    shutil.copy(HERE / "dag_files" / "since_3_3" / "retried.py", dags_folder)
    return load_dags("retried")


@since_3_3
def test_airflow_goes_by_it(retried, connect, minimax_emulator, tmp_path):
    """A rate limit is retried and ends in one purchase; the delay is the policy's, not the task's minute."""
    connect(extra={"max_retries": 0})
    minimax_emulator.fault("base_resp", operation="submit", code=1002)
    began = time.monotonic()
    done = retried["retried"].test(run_conf={"folder": str(tmp_path)})
    assert time.monotonic() - began < 60
    (ti,) = done.get_task_instances()
    assert (str(ti.state), ti.try_number) == ("success", 2)
    assert len(minimax_emulator.purchases) == 1


@since_3_3
def test_airflow_fails_at_once_where_it_says_so(retried, connect):
    connect(password="another key")
    done = retried["wrapped"].test()
    (ti,) = done.get_task_instances()
    assert (str(ti.state), ti.try_number) == ("failed", 1)
