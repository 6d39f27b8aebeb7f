"""What a try wants to buy, and what its author allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from airflow_provider_minimax.purchases.receipt import Owner, Phase, Receipt


@dataclass(frozen=True, slots=True)
class PurchaseSpec:
    """
    What a try wants to buy.

    :param fingerprint: of the request; ``None`` if it cannot be made any more, so that nothing can be bought.
    :param asked: the fingerprint of the request as its author wrote it.
    :param platform: where.
    :param minimax_conn_id: through which connection.
    :param model: which model.
    :param owner: for which task.
    :param max_tries: that task's ``max_tries``.
    :param try_number: which try it is.
    :param output_path: where the clip is to be delivered, if anywhere.
    :param request: what is asked for, as the receipt shows it.
    :param cost: what it lists at, if that is known.
    :param api_version: through which version of the API.
    :param is_cleared: whether a person cleared this task, whichever task the receipt belongs to.
    :param has_callback: whether the platform is given an address for what it pushes.
    """

    fingerprint: str | None
    asked: str
    platform: str
    minimax_conn_id: str
    model: str
    owner: Owner
    max_tries: int
    try_number: int
    output_path: str | None = None
    request: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    api_version: str = "v1"
    is_cleared: bool = False
    has_callback: bool = False

    def intent(self, now: datetime, *, submissions: int, replaced: tuple[str, ...], unanswered: int = 0) -> Receipt:
        """Return the receipt of a purchase that is about to begin."""
        return Receipt(
            phase=Phase.INTENT,
            fingerprint=self.fingerprint,
            asked=self.asked,
            platform=self.platform,
            minimax_conn_id=self.minimax_conn_id,
            model=self.model,
            owner=self.owner,
            max_tries=self.max_tries,
            try_number=self.try_number,
            submissions=submissions,
            replaced=replaced,
            unanswered=unanswered,
            has_callback=self.has_callback,
            request=None if self.request is None else dict(self.request),
            cost=None if self.cost is None else dict(self.cost),
            intended_at=now,
            api_version=self.api_version,
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """
    What the author chose.

    :param on_clear: whether a task that a person cleared continues with what was bought (``reuse``) or buys another
        (``resubmit``). One whose request has changed since buys another in either case.
    :param on_orphaned_intent: whether a submission whose outcome is unknown stops the task (``fail``), is made again
        (``resubmit``) or is searched for in the platform's list (``adopt``).
    :param max_submissions: how many purchases there may be in all if the remote task fails in a way that may pass.
    :param overwrite: whether the output may be replaced, and so whether another run buys another clip; ``changed``:
        by a clip of another request, if the file is still the one that was delivered.
    :param validate: whether the platform has to document pushes before it is given an address for them.
    """

    on_clear: Literal["resubmit", "reuse"] = "reuse"
    on_orphaned_intent: Literal["fail", "resubmit", "adopt"] = "fail"
    max_submissions: int = 1
    overwrite: bool | Literal["changed"] = False
    validate: bool = True
