"""What a platform is: data and pure functions, from our values to requests and back from replies. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_minimax.api.balance import Balance
from airflow_provider_minimax.api.catalogue import api_of, models
from airflow_provider_minimax.api.content import FileContent
from airflow_provider_minimax.api.images import V1_PICTURES, PictureRules
from airflow_provider_minimax.api.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.request import Mode, PaidRequest, VideoRequest, invalid
from airflow_provider_minimax.api.task import TaskPage, VideoFile, VideoTask
from airflow_provider_minimax.exceptions import MinimaxRequestError

Check = Callable[[VideoRequest, frozenset[str]], list[str]]


def _nothing_to_add(request: VideoRequest, later: frozenset[str]) -> list[str]:
    return []


@dataclass(frozen=True)
class Platform:
    """
    One system that makes clips, through one version of its API.

    :param name: its name in the connection.
    :param title: its name for people.
    :param base_urls: region to base URL; the first region is the default.
    :param path_prefix: what comes between the base URL and every path.
    :param submit: makes the request that buys a clip. Raises ``MinimaxRequestError`` for what it cannot express.
    :param also: makes the requests that buy something else than a clip of a description, by their kind.
    :param read_submission: reads the remote task id from the answer to any of those.
    :param query: makes the request for a task's state.
    :param read_task: reads the answer to that; the second argument is the task id that was asked for.
    :param locate: makes the request for a finished task's file; absent where the task itself names its URL.
    :param read_file: reads the answer to that.
    :param recognises: whether a JSON answer looks like this platform's at all, for the connection test.
    :param model_names: (official model, mode) to the platform's own name; empty where it takes the official names.
    :param fields: the request's fields that it documents; empty where it takes all of the official API's.
    :param check: its own rules on top of the catalogue's; the second argument names fields not known yet.
    :param api_version: which version of MiniMax's API this is or resembles.
    :param newer: the same system's next version of the API, which has models of its own.
    :param pictures: what it takes as a picture.
    :param upload: makes the request that uploads a file, for requests to name it by its address.
    :param read_upload: reads that address from the answer.
    :param cancel: makes the request that cancels a queued task, and erases a finished one.
    :param read_cancellation: reads from the answer to that what became of the task: ``cancelled``, ``deleted``, or
        another word of the platform.
    :param list_tasks: makes the request for a page of the account's tasks: page from 1, its size, a model or all, ids
        or all, and what the tasks are for.
    :param read_list: reads the answer to that, which need not name all that were asked for.
    :param page_size: how many tasks to look at with one such request; 1 where there is none.
    :param balance: makes the request for what is left in the account of an API key.
    :param read_balance: reads the answer to that; the first argument is the region, which decides the currency.
    """

    name: str
    title: str
    base_urls: Mapping[str, str]
    submit: Callable[[VideoRequest], HttpRequest]
    read_submission: Callable[[HttpReply], str]
    query: Callable[[str], HttpRequest]
    read_task: Callable[[HttpReply, str], VideoTask]
    recognises: Callable[[HttpReply], bool]
    path_prefix: str = ""
    also: Mapping[type[PaidRequest], Callable[[Any], HttpRequest]] = field(default_factory=dict)
    locate: Callable[[VideoTask], HttpRequest] | None = None
    read_file: Callable[[HttpReply], VideoFile] | None = None
    model_names: Mapping[tuple[str, Mode], str] = field(default_factory=dict)
    fields: frozenset[str] = frozenset()
    check: Check = _nothing_to_add
    api_version: str = "v1"
    newer: Platform | None = None
    pictures: PictureRules = V1_PICTURES
    upload: Callable[[FileContent], HttpRequest] | None = None
    read_upload: Callable[[HttpReply], str] | None = None
    cancel: Callable[[str], HttpRequest] | None = None
    read_cancellation: Callable[[HttpReply], str] | None = None
    list_tasks: Callable[[int, int, str | None, Sequence[str], str], HttpRequest] | None = None
    read_list: Callable[[HttpReply], TaskPage] | None = None
    page_size: int = 1
    balance: Callable[[str], HttpRequest] | None = None
    read_balance: Callable[[str, HttpReply], Balance] | None = None

    def for_model(self, model: str) -> Platform:
        """
        Return the version of the platform's API that has a model: the model decides.

        :param model: the model's name.
        :raises MinimaxRequestError: it is a model of a version that the platform is not known to have; the older
            version's addresses might sell something else under that name.
        """
        api_version = api_of(model)
        for platform in (self, self.newer):
            if platform is not None and platform.api_version == api_version:
                return platform
        raise invalid(
            [f"model={model!r}: {self.title} is not known to have it; use MiniMax itself, or a gateway that sells it"],
            hint=f"If {self.title} sells it in MiniMax's own way, by addresses with /{api_version} in them, use a "
            "connection with platform 'minimax', and host and path_prefix of what comes before that.",
        )

    @property
    def latest(self) -> Platform:
        """The newest version of the platform's API."""
        return self.newer or self

    def for_request(self, request: PaidRequest) -> Platform:
        """
        Return the version of the platform's API that sells what is asked for.

        :param request: the request.
        :raises MinimaxRequestError: none does.
        """
        platform = self.for_model(request.model)
        if isinstance(request, VideoRequest) or type(request) in platform.also:
            return platform
        if self.newer is not None and type(request) in self.newer.also:
            raise invalid([f"model={request.model!r}: has no {request.task_type}; use MiniMax-H3"])
        raise invalid([f"{request.task_type}: {self.title} is not known to have it; use MiniMax itself"])

    def order(self, request: PaidRequest) -> HttpRequest:
        """
        Make the request that buys what is asked for.

        :param request: the request, for which this is the version of the API.
        :raises MinimaxRequestError: the platform cannot express it.
        """
        return self.submit(request) if isinstance(request, VideoRequest) else self.also[type(request)](request)

    def of_version(self, api_version: str) -> Platform:
        """
        Return a version of the platform's API.

        :param api_version: ``v1`` or ``v2``.
        :raises MinimaxRequestError: the platform has no such version.
        """
        versions = [platform for platform in (self, self.newer) if platform]
        for platform in versions:
            if platform.api_version == api_version:
                return platform
        known = " and ".join(repr(platform.api_version) for platform in versions)
        raise MinimaxRequestError(f"api_version={api_version!r}: {self.title} has {known}", platform=self.name)

    def problems(self, request: PaidRequest, later: frozenset[str] = frozenset()) -> list[str]:
        """
        Say what of a request this platform does not document, so that it is refused before anything is sent.

        :param request: the request.
        :param later: fields that are given but not known yet.
        :return: one sentence a problem, each naming the platform.
        """
        undocumented = [
            f"{name}: {self.title} has no such field; leave it out"
            for name in request.given()
            if self.fields and name not in self.fields | {"model", "extra_body"}
        ]
        return undocumented + (self.check(request, later) if isinstance(request, VideoRequest) else [])

    def official_model(self, request: PaidRequest) -> str:
        """Return the official name of the request's model, for the catalogue; an unknown name is returned as it is."""
        for (official, mode), own in self.model_names.items():
            if own == request.model and mode is request.mode:
                return official
        return request.model

    def own_model(self, request: VideoRequest) -> str:
        """
        Return this platform's own name of the request's model.

        :param request: the request; its model is an official name, the platform's own, or one that nobody knows yet.
        :raises MinimaxRequestError: a known model that the platform does not have, or not in this mode.
        """
        own = self.model_names.get((request.model, request.mode))
        if own is not None:
            return own
        modes = [str(mode) for (official, mode), own in self.model_names.items() if request.model in (official, own)]
        if request.mode in modes:
            return request.model
        if modes:
            raise invalid([f"model={request.model!r}: {self.title} has it in {' and '.join(modes)} mode only"])
        if request.model in models():
            has = sorted({official for official, _ in self.model_names})
            raise invalid([f"model={request.model!r}: {self.title} does not have it; it has {', '.join(has)}"])
        return request.model
