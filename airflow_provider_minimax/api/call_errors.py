"""What an error of a call says besides what was answered: which task or file it was about, and what to check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_minimax.api.http.message import NO_SUCH_CALL
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxError,
    MinimaxRequestError,
    MinimaxUnavailableError,
)


@contextmanager
def about_task(minimax_task_id: str) -> Iterator[None]:
    """
    Let every error of a call about a remote task carry its id, so that the reader knows that something was bought.

    :param minimax_task_id: the task; empty if only its file is known.
    """
    try:
        yield
    except MinimaxError as error:
        error.minimax_task_id = error.minimax_task_id or minimax_task_id or None
        raise


@contextmanager
def doubting_address() -> Iterator[None]:
    """Let an error of a purchase say what to check if the address may not have that call at all."""
    try:
        yield
    except MinimaxRequestError as error:
        if error.http_status in NO_SUCH_CALL:
            error.hint = error.hint or (
                "Check host, platform and path_prefix of the connection; its test says which versions of the API are "
                "there."
            )
        raise


@contextmanager
def may_be_missing(platform: Platform, what: str) -> Iterator[None]:
    """
    Let an error say that an address does not have a call which gateways leave out, if that is what is wrong.

    :param platform: the platform that is asked; an unknown gateway may be behind the address.
    :param what: what the call is for.
    """
    try:
        yield
    except (MinimaxRequestError, MinimaxUnavailableError) as error:
        if error.http_status in NO_SUCH_CALL:
            error.message = f"{what} was not found at this address, as at gateways that leave it out: {error.message}"
            error.args = (error.message,)
            error.platform = error.platform or platform.name
        raise


@contextmanager
def uploading(what: str) -> Iterator[None]:
    """
    Let an error say what could not be uploaded, and that nothing was bought.

    :param what: what is uploaded.
    """
    try:
        yield
    except MinimaxError as error:
        error.message = f"{what} could not be uploaded: {error.message}"
        error.args = (error.message,)
        error.billing = NOTHING_BOUGHT
        raise
