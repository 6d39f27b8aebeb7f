"""What a job gets from its caller, an operator or ``MinimaxHook.generate``; and what was bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.jobs.job import PurchaseJob
    from airflow_provider_minimax.polling.poller import Outcome
    from airflow_provider_minimax.purchases.receipt import Receipt


class Product(Protocol):
    """What is bought, as far as one purchase differs from another."""

    @property
    def product_name(self) -> str:
        """What it is, in a word."""

    @property
    def how_to_get_it(self) -> str:
        """How a person gets it by the remote task's id, a whole sentence."""

    @property
    def without_receipt(self) -> str:
        """What to do where no receipt can be kept, a whole sentence."""

    @property
    def publishes(self) -> bool:
        """Whether :meth:`publish` does anything."""

    def make_request(self) -> PaidRequest:
        """Return what to ask for."""

    def publish(self, context: Context, values: Mapping[str, Any]) -> None:
        """Publish what was bought to other Airflow tasks, before the wait for it."""

    def pictures(self) -> tuple[str, ...]:
        """Return where the pictures came from that go into the request, for lineage."""

    def result_of(self, job: PurchaseJob, receipt: Receipt | None, task: VideoTask) -> Any:
        """Return the Airflow task's result of the finished remote task."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """
    What was bought, now or by an earlier try.

    :param receipt: its receipt.
    :param request: what was asked for.
    :param outcome: how it ended, if that is known already.
    :param is_delivered: whether its clip is at the destination.
    """

    receipt: Receipt
    request: PaidRequest
    outcome: Outcome | None = None
    is_delivered: bool = False

    @property
    def minimax_task_id(self) -> str:
        """The remote task's id."""
        return str(self.receipt.minimax_task_id)
