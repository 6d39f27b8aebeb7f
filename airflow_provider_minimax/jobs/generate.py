"""A whole purchase from plain Python: what ``MinimaxHook.generate`` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError
from airflow_provider_minimax.jobs.job import PurchaseJob
from airflow_provider_minimax.purchases.context import current_context

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.api.task import VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.options import DeliveryOptions, PurchaseOptions, WaitOptions
    from airflow_provider_minimax.purchases.receipt import Receipt


class _Clip:
    """A clip of a request, which no other Airflow task waits for."""

    product_name = "clip"
    how_to_get_it = "Get it with MinimaxTaskSensor and MinimaxVideoDownloadOperator and this id, free of charge."
    without_receipt = "Set output_path, or retries=0."
    publishes = False

    def __init__(self, request: PaidRequest) -> None:
        self._request = request

    def make_request(self) -> PaidRequest:
        return self._request

    def publish(self, context: Context, values: Mapping[str, Any]) -> None:
        """Nobody waits for it."""

    def pictures(self) -> tuple[str, ...]:
        return ()

    def result_of(self, job: PurchaseJob, receipt: Receipt | None, task: VideoTask) -> Any:
        return job.deliver(receipt, task)


def generate(
    hook: MinimaxHook,
    request: PaidRequest,
    *,
    purchase: PurchaseOptions,
    wait: WaitOptions,
    delivery: DeliveryOptions,
) -> dict[str, Any]:
    """
    Buy what is requested once, wait for it and deliver it, for the Airflow task that runs.

    :param hook: the way to the platform; left open.
    :param request: what to make.
    :param purchase: what the author chose about buying.
    :param wait: what the author chose about waiting.
    :param delivery: what the author chose about the file.
    :return: the clip's facts.
    :raises MinimaxRequestError: the request is for something else than a clip; nothing was bought.
    """
    if request.task_type == "h3_context_ir":
        raise MinimaxRequestError(
            "request: rewrites a prompt and makes no clip; use MinimaxPromptRewriteOperator",
            billing=NOTHING_BOUGHT,
        )
    context = current_context()
    task: Any = context.get("task")
    job = PurchaseJob(
        hook,
        _Clip(request),
        context,
        purchase=purchase,
        wait=wait,
        delivery=delivery,
        task=task,
        log=hook.log,
        is_one_of_many=True,
    )
    clip: dict[str, Any] = job.run()
    return clip
