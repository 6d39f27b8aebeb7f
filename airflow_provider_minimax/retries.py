"""
When Airflow should retry a failed task: a policy that knows this provider's errors. Needs Airflow 3.3 or later.

It only decides; it sends no requests and buys nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError as error:
    raise ImportError(
        "MinimaxRetryPolicy needs Airflow 3.3 or later, which introduced retry policies. Leave retry_policy out: final "
        "errors fail the task at once without it."
    ) from error

from airflow_provider_minimax.exceptions import (
    MinimaxDownloadError,
    MinimaxError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxStorageError,
    MinimaxSubmissionUnknownError,
    MinimaxTaskFailedError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.options import seconds
from airflow_provider_minimax.purchases.unrecorded import unrecorded
from airflow_provider_minimax.version_compat import AirflowFailException, AirflowSensorTimeout

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["MinimaxRetryPolicy"]

_PASSING = (MinimaxRateLimitError, MinimaxUnavailableError, MinimaxStorageError)
# Tasks that were refused together should not come back together.
_SPREAD = 0.25
# Far beyond any sensible wait.
_DOUBLINGS = 30


class MinimaxRetryPolicy(RetryPolicy):
    """
    Retry temporary failures after a suitable wait, fail at once if a retry cannot help, leave other errors to Airflow.

    A task that bought without a receipt (with :meth:`.MinimaxHook.submit` in a ``@task``) fails for good whatever went
    wrong, because its retry would buy again.

    .. seealso:: :doc:`/howto/retries`

    :param shortest: the wait before the first retry, in seconds or as a ``timedelta``, more than 0; 30 s by default. It
        doubles with each try if the platform or the storage fails, and stays the same if only the download does.
    :param longest: the longest wait, even if the platform asks for more; 3600 s by default.
    :raises MinimaxRequestError: a wait is not more than 0, or ``longest`` is shorter than ``shortest``.
    """

    def __init__(self, *, shortest: timedelta | float = 30.0, longest: timedelta | float = 3600.0) -> None:
        self.shortest = timedelta(seconds=seconds("shortest", shortest))
        self.longest = timedelta(seconds=seconds("longest", longest))
        if self.longest < self.shortest:
            raise MinimaxRequestError(f"longest={longest!r}: must not be shorter than shortest={shortest!r}")

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """
        Decide about a failure.

        :param exception: what the task failed with; our error may be its cause.
        :param try_number: which try failed, from 1.
        :param max_tries: Airflow retries while ``try_number`` is not above this.
        :param context: the task's context, if there is one.
        """
        if bought := unrecorded(context):
            return RetryDecision.fail(_no_retry(", ".join(bought), exception))
        error = next((link for link in _chain(exception) if isinstance(link, MinimaxError)), None)
        if error is None:
            return RetryDecision.default()
        if isinstance(error, MinimaxSubmissionUnknownError):
            return RetryDecision.fail(f"Somebody has to check, because a clip may have been bought: {error}")
        if isinstance(exception, AirflowFailException | AirflowSensorTimeout):
            return RetryDecision.fail(str(exception))
        growing = self.shortest.total_seconds() * 2 ** min(_earlier_tries(try_number, max_tries, context), _DOUBLINGS)
        if error is not exception and _buys_another(error):
            return RetryDecision.retry(self._spread(growing), str(exception))
        if error.is_final:
            return RetryDecision.fail(str(error))
        if error.minimax_task_id and not error.resumable:
            return RetryDecision.fail(_no_retry(error.minimax_task_id, error))
        if isinstance(error, _PASSING):
            return RetryDecision.retry(self._spread(max(error.retry_after or 0, growing)), str(error))
        if error.resumable:
            soon = self._spread(self.shortest.total_seconds())
            return RetryDecision.retry(soon, f"The clip is bought, and a retry resumes with it: {error}")
        return RetryDecision.fail(str(error)) if isinstance(error, MinimaxDownloadError) else RetryDecision.default()

    def _spread(self, wait: float) -> timedelta:
        wait *= random.uniform(1, 1 + _SPREAD)  # noqa: S311 - no secret
        return timedelta(seconds=min(wait, self.longest.total_seconds()))

    def serialize(self) -> dict[str, Any]:
        """Return the policy as plain JSON values; :meth:`deserialize` reads it back."""
        return {"shortest": self.shortest.total_seconds(), "longest": self.longest.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> MinimaxRetryPolicy:
        """
        Return the policy that :meth:`serialize` returned as plain values.

        :param data: the plain values.
        """
        return cls(shortest=data["shortest"], longest=data["longest"])

    def __repr__(self) -> str:
        # Airflow may compare versions of a DAG by this, so it must not change from parse to parse.
        return f"{type(self).__name__}(shortest={self.shortest!r}, longest={self.longest!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))


def _no_retry(minimax_task_id: str, error: BaseException) -> str:
    return (
        f"No retry: MiniMax task {minimax_task_id} is bought, but no receipt records it, so a retry would buy another. "
        f"MinimaxHook.generate and the operators keep receipts. {error}"
    )


def _chain(exception: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes."""
    seen: set[int] = set()
    link: BaseException | None = exception
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.__cause__


def _buys_another(error: MinimaxError) -> bool:
    """Whether the operator leaves this failure to a retry, because another purchase may succeed."""
    from airflow_provider_minimax.purchases.rules import may_pass

    return isinstance(error, MinimaxTaskFailedError) and may_pass(error)


def _earlier_tries(try_number: int, max_tries: int, context: Context | None) -> int:
    """Return how many tries there were since a person started or cleared the task; Airflow itself counts all."""
    task: Any = (context or {}).get("task")
    retries: int = max_tries if task is None else task.retries
    return max(0, try_number - 1 - max(0, max_tries - retries))
