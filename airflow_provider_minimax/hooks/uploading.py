"""What an upload needs of a platform, and what it means when one fails: never that anything was bought."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_minimax.api.content import FileContent
from airflow_provider_minimax.api.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxError, MinimaxRequestError


def calls_of(platform: Platform) -> tuple[Callable[[FileContent], HttpRequest], Callable[[HttpReply], str]]:
    """
    Return how a platform takes uploads: what makes the request, and what reads the address from its answer.

    :param platform: the version of its API whose clips are to go by the files.
    :raises MinimaxRequestError: it takes none.
    """
    if platform.upload is None or platform.read_upload is None:
        raise MinimaxRequestError(
            f"{platform.title} has no documented call that uploads a file",
            platform=platform.name,
            money=NOTHING_BOUGHT,
            hint="Give a public URL, or a path, which is sent inside the request.",
        )
    return platform.upload, platform.read_upload


@contextmanager
def uploading(what: str) -> Iterator[None]:
    """
    Let an error in here say what could not be uploaded, and that nothing was bought.

    :param what: what is uploaded.
    """
    try:
        yield
    except MinimaxError as error:
        error.message = f"{what} could not be uploaded: {error.message}"
        error.args = (error.message,)
        error.money = NOTHING_BOUGHT
        raise
