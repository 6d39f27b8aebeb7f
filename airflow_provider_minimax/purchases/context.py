"""The receipt of an Airflow task: whose it is, and where this version of Airflow can keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_minimax.purchases.fingerprint import describe_request, fingerprint_of
from airflow_provider_minimax.purchases.ledger import Ledger, Log
from airflow_provider_minimax.purchases.receipt import Owner, Phase, Receipt, now
from airflow_provider_minimax.purchases.spec import PurchaseSpec
from airflow_provider_minimax.purchases.stores import ReceiptStore, SidecarStore, StateStore

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask


@dataclass(frozen=True, slots=True)
class _OutsideAirflow:
    """What stands for a task instance where nothing runs in Airflow, such as in a notebook; each call is a run."""

    run_id: str
    dag_id: str = "(outside Airflow)"
    task_id: str = "MinimaxHook.generate"
    map_index: int = -1
    max_tries: int = 0
    try_number: int = 1


def current_context() -> Context:
    """Return the context of the Airflow task that runs in this process, or one that stands for none."""
    from airflow.sdk import get_current_context

    try:
        return get_current_context()
    except RuntimeError:
        return cast("Context", {"ti": _OutsideAirflow(now().isoformat())})


def ledger_of(context: Context, output: str | None, log: Log, *, is_one_of_many: bool = False) -> Ledger:
    """
    Return the ledger of the task that runs: next to its output, and in the task state store of Airflow 3.3 and later.

    The sidecar is there for other runs and on every version of Airflow. The store helps where the output is on a disk
    of its own worker, and the next try on another.

    :param context: the task's context.
    :param output: where its clip is to be delivered, if anywhere.
    :param log: where to say what could not be written.
    :param is_one_of_many: whether the task may make other purchases too, for other outputs.
    """
    stores: list[ReceiptStore] = [] if output is None else [SidecarStore(output)]
    state = context.get("task_state_store")
    if state is not None:
        stores.append(StateStore(state, output if is_one_of_many else None))
    return Ledger(stores, log=log)


def spec_of(
    context: Context,
    written: PaidRequest,
    ready: PaidRequest | None,
    account: Mapping[str, str],
    output: str | None,
    cost: Mapping[str, Any] | None,
    api_version: str = "v1",
    *,
    retries: int | None = None,
) -> PurchaseSpec:
    """
    Return what the task that runs wants to buy.

    :param context: the task's context.
    :param written: what to make, as the task's author wrote it.
    :param ready: the same with the contents of its files; ``None`` if they cannot be read.
    :param account: where, as :meth:`~airflow_provider_minimax.hooks.minimax.MinimaxHook.account` returns it.
    :param output: where its clip is to be delivered, if anywhere.
    :param cost: what it lists at, if that is known.
    :param api_version: through which version of the API.
    :param retries: how often Airflow retries the task, if that is known.
    """
    ti: Any = context["ti"]
    return PurchaseSpec(
        fingerprint=None if ready is None else source_fingerprint_of(ready, account, api_version),
        asked=source_fingerprint_of(written, account, api_version),
        platform=account["platform"],
        minimax_conn_id=account["minimax_conn_id"],
        model=written.model,
        owner=owner_of(context),
        max_tries=ti.max_tries,
        try_number=ti.try_number,
        output_path=output,
        request=describe_request(ready or written),
        cost=cost,
        api_version=api_version,
        # Airflow adds to the count whenever a person clears the task.
        is_cleared=retries is not None and ti.max_tries > retries,
        has_callback=written.has_auto_callback,
    )


def source_fingerprint_of(request: PaidRequest, account: Mapping[str, str], api_version: str) -> str:
    """
    Return the fingerprint of a request.

    :param request: the request, as its author wrote it or with the contents of its files.
    :param account: where it is bought.
    :param api_version: through which version of the API.
    """
    from airflow_provider_minimax.api.platforms import PLATFORMS

    # Receipts of before there were two versions say nothing of them, and their fingerprints must stay the same.
    newer = {} if api_version == "v1" else {"api_version": api_version}
    # An account is the same by whatever name of its host it is reached.
    base_url = PLATFORMS[account["platform"]].usual_url(account["base_url"])
    return fingerprint_of(request, {**account, "base_url": base_url, **newer})


def receipt_of_fetched(context: Context, task: VideoTask, account: Mapping[str, str]) -> Receipt:
    """
    Return a receipt for a clip that was bought without one, or with a receipt elsewhere, and is fetched now.

    :param context: the context of the task that fetches it.
    :param task: the finished remote task.
    :param account: where it was bought.
    """
    ti: Any = context["ti"]
    return Receipt(
        phase=Phase.SUBMITTED,
        fingerprint=None,
        platform=account["platform"],
        minimax_conn_id=account["minimax_conn_id"],
        owner=owner_of(context),
        max_tries=ti.max_tries,
        try_number=ti.try_number,
        intended_at=now(),
        minimax_task_id=task.minimax_task_id or None,
        api_version=task.api_version,
        facts=task.as_result(),
    )


def owner_of(context: Context) -> Owner:
    """Return whose the purchases of the task that runs are; the same for all its tries."""
    ti: Any = context["ti"]
    return Owner(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)


def published_in_run(context: Context) -> set[str]:
    """
    Return the remote tasks that the tasks of this dag run published as theirs, one request for each task that buys.

    :param context: the context of the task that asks; it published none yet.
    """
    if "dag" not in context:
        # Outside Airflow there is no dag run.
        return set()
    ti: Any = context["ti"]
    tasks = context["dag"].task_dict
    # A mapped task is no operator yet, and has the class of its operators.
    classes = {name: getattr(task, "operator_class", type(task)) for name, task in tasks.items()}
    buyers = [name for name, kind in classes.items() if getattr(kind, "buys_clips", False)]
    return {str(minimax_task_id) for minimax_task_id in ti.xcom_pull(task_ids=buyers, key="task_id") if minimax_task_id}
