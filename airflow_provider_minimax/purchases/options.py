"""What an author may choose about one purchase, and what is bought by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.purchases.job import PurchaseJob
    from airflow_provider_minimax.purchases.receipt import Receipt

OnClear = Literal["resubmit", "reuse"]
OnOrphanedIntent = Literal["fail", "resubmit", "adopt"]
Overwrite = Literal["changed"] | bool
Check = Literal["none", "basic", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseOptions:
    """
    What the author chose, as ``MinimaxVideoGenerationOperator`` documents it.

    :param minimax_conn_id: the connection to buy through.
    :param output_path: where the clip shall land, if anywhere.
    :param written_path: the same before it was rendered; ``None`` if it was not.
    :param wait_for_completion: whether to wait for the clip and deliver it.
    :param overwrite: whether a file in the clip's place may be replaced.
    :param check: how closely to look at the clip before it is delivered.
    :param preview: whether to make pictures of it.
    :param durable: whether to keep a receipt.
    :param on_clear: what a cleared task does about a clip that is bought and not delivered.
    :param on_orphaned_intent: what to do about a submission whose outcome is unknown.
    :param max_submissions: how many purchases there may be in all.
    :param poll_interval: seconds between status checks; ``None`` goes by how long such clips take.
    :param timeout: seconds that a wait may take.
    :param cancel_on_timeout: whether to cancel a task that is still queued then.
    :param validate: whether to check the request before paying.
    """

    minimax_conn_id: str
    output_path: Any = None
    written_path: str | None = None
    wait_for_completion: bool = True
    overwrite: Overwrite = False
    check: str = "none"
    preview: bool = False
    durable: bool = True
    on_clear: OnClear = "reuse"
    on_orphaned_intent: OnOrphanedIntent = "fail"
    max_submissions: int = 1
    poll_interval: float | None = None
    timeout: float = 1800.0
    cancel_on_timeout: bool = False
    validate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """
    What is bought, as far as one purchase differs from another.

    :param request: makes the request.
    :param hand_over: makes the Airflow task's result of the finished remote task; gets the job, the receipt if there is
        one, and the task.
    :param sources: returns where the pictures came from that go into it, for lineage.
    :param name: what it is, in a word.
    :param how_to_get_it: how a person gets it by the remote task's id, a whole sentence.
    :param without_receipt: what to do where no receipt can be kept, a whole sentence.
    """

    request: Callable[[], PaidRequest]
    hand_over: Callable[[PurchaseJob, Receipt | None, VideoTask], Any]
    sources: Callable[[], tuple[str, ...]] = tuple
    name: str = "clip"
    how_to_get_it: str = "Get it with MinimaxTaskSensor and MinimaxVideoDownloadOperator and this id, free of charge."
    without_receipt: str = "Set output_path, or retries=0."
