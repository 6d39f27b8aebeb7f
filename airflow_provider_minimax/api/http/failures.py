"""
What went wrong with a request, and whether it can have bought something.

:func:`with_context` decides that for every platform and both ways of sending: only a refusal that names no task says
that nothing was bought.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.http.named_task import UNREADABLE, named_task
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxSubmissionUnknownError,
    MinimaxUnavailableError,
    MinimaxUnreachableError,
)
from airflow_provider_minimax.text.redaction import described, redact, without_key

if TYPE_CHECKING:
    from airflow_provider_minimax.api.http.exchange import Endpoint

LONGEST_WAIT = 60.0
_SECONDS = re.compile(r"\d+(\.\d*)?", re.ASCII)


def network_error(error: Exception) -> MinimaxError:
    """Return what a failure of httpx means: whether the request can have left this machine."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return unreachable(error)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return unusable(error)
    # All others may come after everything was sent, a LocalProtocolError too: if a body is longer than it was to be.
    return broken_off(error)


def unreachable(error: Exception) -> MinimaxError:
    """Return the error for a request that cannot have left this machine."""
    return MinimaxUnreachableError(f"no connection could be made ({described(error)})")


def unusable(error: Exception) -> MinimaxError:
    """Return the error for a request that no client would send."""
    return MinimaxConfigurationError(f"the connection's host, proxy or key cannot be used ({described(error)})")


def broken_off(error: Exception) -> MinimaxError:
    """Return the error for a request that went out, or may have, and that no whole answer came to."""
    is_late = isinstance(error, TimeoutError | httpx.TimeoutException)
    what = "no whole answer came in time" if is_late else "the connection broke before a whole answer came back"
    failure = MinimaxUnavailableError(f"{what} ({described(error)})")
    failure.__cause__ = error
    return failure


def with_context(
    error: MinimaxError, endpoint: Endpoint, request: HttpRequest, reply: HttpReply | None = None
) -> MinimaxError:
    """Return the error with what only the sender knows: platform, trace, what was at stake, what to do."""
    if reply is not None:
        error.http_status = error.http_status or reply.status
        trace_id = without_key(reply.headers.get("trace-id", ""), endpoint.api_key)
        error.trace_id = error.trace_id or redact(trace_id, limit=100) or None
        error.retry_after = retry_after(reply)
    error.platform = endpoint.platform
    error.message = without_key(error.message, endpoint.api_key)
    error.code = error.code and without_key(error.code, endpoint.api_key)
    error.trace_id = error.trace_id and without_key(error.trace_id, endpoint.api_key)
    error.args = (error.message,)
    if isinstance(error, MinimaxAuthError):
        error.hint = error.hint or endpoint.auth_hint
    if not request.buys:
        return error
    named = error.minimax_task_id or (None if reply is None else named_task(reply, request))
    if named is None and _bought_nothing(error, reply):
        error.billing = NOTHING_BOUGHT
        return error
    return _unknown(error, named)


def _bought_nothing(error: MinimaxError, reply: HttpReply | None) -> bool:
    """Whether it is certain that a purchase was not accepted, if no task is named."""
    if isinstance(error, MinimaxUnavailableError):
        return isinstance(error, MinimaxUnreachableError)
    # What redirects need not be the platform, and may have passed the request on.
    return reply is None or not 300 <= reply.status < 400


def _unknown(error: MinimaxError, named: str | None) -> MinimaxSubmissionUnknownError:
    what = "the submission went out, but whether it was accepted is unknown"
    hint = (
        "Look at the platform's console or bill before running this task again: doing so may buy it again. "
        "If you find the task there, wait for it with MinimaxTaskSensor and its id."
    )
    if named == UNREADABLE:
        what = "the submission was not clearly accepted, yet its answer may name a task"
    elif named is not None:
        what = f"the submission was not clearly accepted, yet its answer names task {named}"
        hint = (
            f"Look for task {named} at the platform before running this task again, which may buy it again. If it is "
            "there, give its id to the receipt with `airflow minimax receipts adopt` and clear this task, which goes "
            "on with it; without a receipt, wait for it with MinimaxTaskSensor."
        )
    return MinimaxSubmissionUnknownError(
        f"{what}: {error.message}",
        platform=error.platform,
        http_status=error.http_status,
        code=error.code,
        minimax_task_id=named or None,
        trace_id=error.trace_id,
        billing="It may have been bought and may be billed.",
        hint=hint,
    )


def retry_after(reply: HttpReply, *, now: Callable[[], float] = time.time) -> float | None:
    """
    Return how many seconds the platform asked to wait, from ``Retry-After`` in seconds or as an HTTP date.

    One minute at most, whatever it asks for: nobody's clip should wait for a mistake in a header.

    :param reply: the reply.
    :param now: the wall clock, in epoch seconds.
    """
    value = reply.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(0.0, seconds), LONGEST_WAIT)
