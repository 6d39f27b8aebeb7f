"""A whole purchase from plain Python: what ``MinimaxHook.generate`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError
from airflow_provider_minimax.purchases.context import current_context
from airflow_provider_minimax.purchases.job import PurchaseJob
from airflow_provider_minimax.purchases.options import Product, PurchaseOptions

if TYPE_CHECKING:
    from airflow_provider_minimax.api.request import PaidRequest
    from airflow_provider_minimax.hooks.minimax import MinimaxHook


def generate(hook: MinimaxHook, request: PaidRequest, options: PurchaseOptions) -> dict[str, Any]:
    """
    Buy what is asked for once, wait for it and deliver it, for the Airflow task that runs.

    :param hook: the way to the platform; left open.
    :param request: what to make.
    :param options: what the author chose.
    :return: the clip's facts.
    :raises MinimaxRequestError: the request is for something else than a clip; nothing was bought.
    """
    if request.task_type == "h3_context_ir":
        raise MinimaxRequestError(
            "request: is for the rewriting of a prompt, which is no clip; use MinimaxPromptRewriteOperator",
            billing=NOTHING_BOUGHT,
        )
    context = current_context()
    task: Any = context.get("task")
    job = PurchaseJob(
        hook,
        options,
        Product(request=lambda: request, hand_over=PurchaseJob.deliver),
        context,
        log=hook.log,
        execution_timeout=getattr(task, "execution_timeout", None),
        retries=getattr(task, "retries", None),
        announcer=task,
        is_one_of_many=True,
    )
    clip: dict[str, Any] = job.run()
    return clip
