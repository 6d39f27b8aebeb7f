"""Whether an address answers for many tasks at once. Gateways leave that call out, and it may fail where it exists."""

from __future__ import annotations

from http import HTTPStatus

from airflow_provider_minimax.api.http.exchange import Endpoint
from airflow_provider_minimax.api.http.message import NO_SUCH_CALL
from airflow_provider_minimax.exceptions import MinimaxError

# How long to do without the list where there was none: a platform may answer so once by mistake.
WITHOUT_FOR = 600.0
# After so many failures in a row, one task is asked for by itself, to see whether only the list fails.
MAX_FAILURES = 3


class TaskLists:
    """What is known of the list of tasks at a connection's address, which may change."""

    def __init__(self) -> None:
        self._with_list: Endpoint | None = None
        self._without_list: tuple[Endpoint, float] | None = None
        self._is_asking = False
        self._failures = 0

    def may_ask(self, endpoint: Endpoint | None, now: float) -> bool:
        """
        Return whether to ask for a list; as long as nobody knows whether there is one, one request at a time finds out.

        :param endpoint: the address, if the connection was looked up before.
        :param now: the time on the loop's clock.
        """
        if self._without_list is not None:
            without, until = self._without_list
            if endpoint == without and now < until:
                return False
        return endpoint == self._with_list or not self._is_asking

    def asking(self) -> None:
        """Note that a list is being asked for."""
        self._is_asking = True

    def answered(self, endpoint: Endpoint | None) -> None:
        """
        Note that a list was answered.

        :param endpoint: where.
        """
        self._is_asking, self._with_list, self._failures = False, endpoint, 0

    def not_answered(self) -> None:
        """Note that a request for a list failed, for whatever reason."""
        self._is_asking = False

    def failed(self) -> bool:
        """Count a failure that may pass, and return whether there were so many that only the list may fail."""
        self._failures += 1
        return self._failures >= MAX_FAILURES

    def missing(self, endpoint: Endpoint | None, now: float) -> None:
        """
        Note that there is no list, so that tasks are asked for one by one for a while.

        :param endpoint: where.
        :param now: the time on the loop's clock.
        """
        self._with_list, self._failures = None, 0
        if endpoint is not None:
            self._without_list = endpoint, now + WITHOUT_FOR


def is_missing(error: MinimaxError) -> bool:
    """
    Return whether an error means that there is no list: no such call, a redirect to elsewhere, or a page for people.

    :param error: what came in place of the list.
    """
    status = error.http_status or 0
    return status in NO_SUCH_CALL or status == HTTPStatus.OK or 300 <= status < 400
