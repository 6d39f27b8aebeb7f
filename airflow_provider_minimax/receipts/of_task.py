"""The receipt of an Airflow task: whose it is, and where this version of Airflow can keep it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.receipts.homes import Home, SidecarHome, StateStoreHome
from airflow_provider_minimax.receipts.ledger import Ledger, Log
from airflow_provider_minimax.receipts.record import Owner

if TYPE_CHECKING:
    from airflow.sdk import Context


def ledger_of(context: Context, output: Path | None, log: Log) -> Ledger:
    """
    Return the ledger of the task that runs: next to its output, and in the task state store of Airflow 3.3 and later.

    The sidecar decides, because it is there for other runs and after a clear too. The store helps where the output is
    on a disk of its own worker, and the retry on another.

    :param context: the task's context.
    :param output: where its clip shall land, if anywhere.
    :param log: where to say what could not be written.
    """
    homes: list[Home] = [] if output is None else [SidecarHome(str(output))]
    store = context.get("task_state_store")
    if store is not None:
        homes.append(StateStoreHome(store))
    return Ledger(homes, log=log)


def owner_of(context: Context) -> Owner:
    """Return the task that runs, as receipts name it."""
    ti: Any = context["ti"]
    return Owner(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)
