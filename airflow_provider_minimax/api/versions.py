"""Which version of MiniMax's API knows a remote task, where nobody said it: each is asked once, the first one first."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TypeAlias

from airflow_provider_minimax.api.platforms import Platform
from airflow_provider_minimax.api.platforms.replies import UNKNOWN_TASK
from airflow_provider_minimax.api.task import TaskState, VideoTask
from airflow_provider_minimax.exceptions import (
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxRequestError,
    MinimaxTaskGoneError,
    MinimaxUnavailableError,
)

# The hook of a triggerer may live for weeks.
_REMEMBERED = 10_000


TaskVersions: TypeAlias = dict[str, str]
"""The versions that were found out, or that a submission used, by the id of the task that they know."""


def remember(known: TaskVersions, minimax_task_id: str, api_version: str) -> None:
    """
    Keep in mind which version knows a task.

    :param known: where to keep it.
    :param minimax_task_id: the task.
    :param api_version: the version.
    """
    if len(known) >= _REMEMBERED:
        del known[next(iter(known))]
    known[minimax_task_id] = api_version


def search_for(minimax_task_id: str, platform: Platform, api_version: str | None, known: TaskVersions) -> VersionSearch:
    """
    Begin to search for a task.

    :param minimax_task_id: the task.
    :param platform: the platform, by the first version of its API.
    :param api_version: the version that knows it; ``None`` if nobody said it.
    :param known: the versions of tasks that were found before; gets that of this one.
    :raises MinimaxRequestError: the platform has no such version.
    """
    if api_version is not None:
        versions, is_all = [platform.of_version(api_version)], platform.next_version is None
    else:
        found = [version for version in platform.versions if version.api_version == known.get(minimax_task_id)]
        versions, is_all = found or list(platform.versions), True
    return VersionSearch(known, minimax_task_id, versions, is_all=is_all)


class VersionSearch:
    """
    One search for a task: the versions of the API to ask, and what each of them said.

    :param known: where to write down the version that knows it.
    :param minimax_task_id: the task.
    :param versions: the versions to ask, in this order.
    :param is_all: whether the platform has no others that might know it.
    """

    def __init__(
        self, known: TaskVersions, minimax_task_id: str, versions: Sequence[Platform], *, is_all: bool
    ) -> None:
        self.versions = versions
        self._known = known
        self._minimax_task_id = minimax_task_id
        self._is_all = is_all
        self._refusals: list[MinimaxError] = []
        self._unclear: MinimaxError | None = None
        self._doubtful: VideoTask | None = None

    def found(self, task: VideoTask) -> bool:
        """
        Take what a version said of the task.

        :param task: the task.
        :return: whether that settles it; a version that knows no state of a task may not know the task.
        """
        if task.state is TaskState.UNKNOWN and len(self.versions) > 1:
            self._doubtful = self._doubtful or task
            return False
        remember(self._known, self._minimax_task_id, task.api_version)
        return True

    def failed(self, error: MinimaxError) -> None:
        """
        Take what a version answered in the place of the task: that it does not know it, or what makes no sense.

        :param error: what it answered.
        :raises MinimaxError: if that is trouble which will pass, or if there is nobody else to ask.
        """
        is_last = len(self._refusals) + (self._unclear is not None) == len(self.versions) - 1
        if isinstance(error, MinimaxTaskGoneError | MinimaxRequestError):
            self._refusals.append(_kept(error))
        elif _makes_no_sense(error) and not is_last:
            self._unclear = _kept(error)
        else:
            if self._refusals:
                error.message += f"; version {self.versions[0].api_version!r} of the API does not know this task"
                error.args = (error.message,)
            raise error

    def result(self) -> VideoTask:
        """
        Return the task once all were asked and none was sure.

        :raises MinimaxUnavailableError: the answer of one made no sense, and no other knows it.
        :raises MinimaxTaskGoneError: no version knows it.
        :raises MinimaxRequestError: the only one that was asked cannot be asked so.
        """
        if self._doubtful is not None:
            remember(self._known, self._minimax_task_id, self._doubtful.api_version)
            return self._doubtful
        if self._unclear is not None:
            raise self._unclear
        *_, last = self._refusals
        if len(self.versions) == 1:
            if not self._is_all:
                asked = f"Only version {self.versions[0].api_version!r} of its API was asked."
                last.hint = " ".join(filter(None, (last.hint, asked)))
            raise last
        said = (
            f"{version.api_version}: {error.message.removeprefix(f'{UNKNOWN_TASK}: ')}"
            for version, error in zip(self.versions, self._refusals, strict=True)
        )
        raise MinimaxTaskGoneError(
            f"{UNKNOWN_TASK}; both versions of its API were asked ({'; '.join(said)})",
            http_status=last.http_status,
            code=last.code,
            platform=last.platform,
            trace_id=last.trace_id,
            hint=last.hint,
        ) from last


def _kept(error: MinimaxError) -> MinimaxError:
    """Return an error without what its traceback holds on to, such as an answer of some megabytes."""
    return error.with_traceback(None)


def _makes_no_sense(error: MinimaxError) -> bool:
    """Whether something else than the API may have answered, such as a gateway that lacks this version of it."""
    status = error.http_status or 0
    if isinstance(error, MinimaxConfigurationError):
        return HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    return isinstance(error, MinimaxUnavailableError) and (status == HTTPStatus.OK or error.code is not None)
