"""Why a request can be refused, before any platform words it.

A refusal has MiniMax's own code; each module in ``platforms`` turns it into the reply that its platform documents. A
refused request makes no job, and is not counted as a purchase.
"""

from __future__ import annotations

MESSAGES = {
    0: "success",
    1000: "unknown error",
    1001: "request timeout",
    1002: "rate limit",
    1004: "login fail: Please carry the API secret key in the 'Authorization' field of the request header",
    1008: "insufficient balance",
    1013: "internal service error",
    1024: "internal error",
    1026: "input new_sensitive",
    1027: "output new_sensitive",
    1033: "system error",
    1039: "token limit",
    1041: "conn limit",
    1042: "invisible character ratio limit",
    2013: "invalid params",
    2038: "real name verification is missing",
    2045: "rate growth limit",
    2049: "invalid api key",
    2056: "usage limit exceeded",
    2064: "the server cluster is currently under high load, please retry after a short wait",
    2061: "your current plan does not support this model",
}


def message_for(code: int) -> str:
    """Return the default message of a code."""
    return MESSAGES.get(code, f"error {code}")


class Refusal(Exception):  # noqa: N818 - it is a regular answer, not an error
    """The request is refused with one of MiniMax's codes."""

    def __init__(self, code: int, message: str | None = None) -> None:
        self.code = code
        self.message = message or message_for(code)
        super().__init__(f"{self.message} ({code})")


class UnknownTask(Refusal):
    """The account has no task or file with that id."""

    def __init__(self, what: str) -> None:
        super().__init__(2013, f"invalid params, {what} not found")


class NoChannel(Refusal):
    """A gateway has no supplier for this model."""

    def __init__(self, model: str) -> None:
        super().__init__(2013, f"分组 default 下模型 {model} 无可用渠道（distributor）")


class Saturated(Refusal):
    """A gateway's suppliers are busy; nothing was started."""

    def __init__(self) -> None:
        super().__init__(1002, "当前分组上游负载已饱和，请稍后再试")


def invalid(complaint: str) -> Refusal:
    """Return a refusal of the request body that says what is wrong."""
    return Refusal(2013, f"invalid params, {complaint}")
