"""
What is left in an account of MiniMax itself: two calls that its own command line makes and its API's pages leave out.

A key that pays as it goes has a balance, a key of a plan has shares of it; the key's beginning shows which. See
https://github.com/MiniMax-AI/cli (``quota show``).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from airflow_provider_minimax.api.balance import Balance, PlanShare
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.platforms.minimax import refuse
from airflow_provider_minimax.api.platforms.replies import (
    Amount,
    BaseResp,
    MaybeObject,
    Moment,
    Money,
    Reply,
    Text,
    objects,
    read,
)
from airflow_provider_minimax.exceptions import MinimaxUnavailableError

_KEY_OF_A_PLAN = "sk-cp-"
_WITHOUT_LIMIT = "3"


class _Share(Reply):
    model_name: Text = ""
    current_interval_total_count: Text = ""
    current_interval_status: Text = ""
    current_interval_remaining_percent: Amount = None
    end_time: Moment = None
    current_weekly_total_count: Text = ""
    current_weekly_status: Text = ""
    current_weekly_remaining_percent: Amount = None
    weekly_end_time: Moment = None

    @property
    def is_in_plan(self) -> bool:
        """Whether the plan has it: what it lacks is reported as 100 % left, without limit, of nothing in all."""
        totals = {self.current_interval_total_count, self.current_weekly_total_count}
        statuses = {self.current_interval_status, self.current_weekly_status}
        return (totals, statuses) != ({"0"}, {_WITHOUT_LIMIT})


class _Account(Reply):
    available_amount: Money = None
    cash_balance: Money = None
    voucher_balance: Money = None
    credit_balance: Money = None
    owed_amount: Money = None
    model_remains: Annotated[list[_Share] | None, BeforeValidator(objects)] = None
    base_resp: Annotated[BaseResp | None, MaybeObject] = None


def balance(api_key: str) -> HttpRequest:
    """Make the call that this kind of key has an answer to."""
    path = "/v1/token_plan/remains" if api_key.startswith(_KEY_OF_A_PLAN) else "/account/query_balance"
    return HttpRequest("GET", path)


def read_balance(region: str, reply: HttpReply) -> Balance:
    """Read the answer to either call."""
    answer = read(reply, _Account)
    refuse(reply, answer.base_resp)
    if answer.model_remains is not None:
        return Balance(plan=tuple(_plan_share(share) for share in answer.model_remains if share.is_in_plan))
    if answer.available_amount is None:
        raise MinimaxUnavailableError("the answer has neither available_amount nor model_remains")
    return Balance(
        available=answer.available_amount,
        cash=answer.cash_balance,
        voucher=answer.voucher_balance,
        credit=answer.credit_balance,
        owed=answer.owed_amount,
        currency="CNY" if region == "cn" else "USD",
    )


def _plan_share(share: _Share) -> PlanShare:
    has_weekly_limit = share.current_weekly_status != _WITHOUT_LIMIT
    return PlanShare(
        name=share.model_name,
        percent_left=share.current_interval_remaining_percent,
        resets_at=share.end_time,
        weekly_percent_left=share.current_weekly_remaining_percent if has_weekly_limit else None,
        weekly_resets_at=share.weekly_end_time if has_weekly_limit else None,
    )
