"""What a platform is: data and pure functions, from our values to requests and back from replies. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from airflow_provider_minimax.api.balance import Balance
from airflow_provider_minimax.api.catalogue import api_of, models
from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.inputs.images import V1_PICTURES, PictureRules
from airflow_provider_minimax.api.modes import Mode
from airflow_provider_minimax.api.request import PaidRequest, VideoRequest, invalid
from airflow_provider_minimax.api.task import TaskPage, VideoFile, VideoTask
from airflow_provider_minimax.api.uploaded_files import UploadedFile
from airflow_provider_minimax.exceptions import MinimaxRequestError

Check = Callable[[VideoRequest, frozenset[str]], list[str]]
NO_TASKS: Mapping[str, VideoTask] = MappingProxyType({})


class ReadList(Protocol):
    """Reads a page of tasks."""

    def __call__(self, reply: HttpReply, known: Mapping[str, VideoTask] = NO_TASKS) -> TaskPage:
        """
        Read a page of tasks.

        :param reply: the answer.
        :param known: tasks as they were last seen, by their ids. One that is not over and whose status is still the
            same is returned as it is here, which costs a fraction of reading it again.
        """


def _nothing_to_add(request: VideoRequest, unresolved: frozenset[str]) -> list[str]:
    return []


def _no_doubts(request: VideoRequest) -> list[str]:
    return []


@dataclass(frozen=True)
class Platform:
    """
    One system that makes clips, through one version of its API.

    :param name: its name in the connection.
    :param title: its name for people.
    :param base_urls: region to base URL; the first region is the default.
    :param other_base_urls: other names of the same hosts, each with its region.
    :param path_prefix: what comes between the base URL and every path.
    :param submit: makes the request that buys a clip. Raises ``MinimaxRequestError`` for what it cannot express.
    :param other_requests: makes the requests that buy anything else than a clip of a description, by their kind.
    :param read_submission: reads the remote task id from the answer to any of those.
    :param query: makes the request for a task's state.
    :param read_task: reads the answer to that; the second argument is the task id that was asked for.
    :param locate: makes the request for a finished task's file; absent where the task itself names its URL.
    :param read_file: reads the answer to that.
    :param recognises: whether a JSON answer looks like this platform's at all, for the connection test.
    :param model_names: (official model, mode) to the platform's own name; empty where it takes the official names.
    :param fields: the request's fields that its page names; empty where it takes all of the official API's. A page may
        be partial, so others are sent with a warning.
    :param required: the fields that its page requires and the official API does not; without them there is a warning.
    :param resolutions: those that its page names, where the catalogue has more; others are sent with a warning.
    :param doubts: what else its page does not name, one sentence each; sent with a warning.
    :param check: its own rules on top of the catalogue's, where something else than was ordered would be paid for; the
        second argument names fields not known yet.
    :param api_version: which version of MiniMax's API this is or resembles.
    :param next_version: the same system's next version of the API, which has models of its own.
    :param pictures: what it takes as a picture.
    :param upload: makes the request that uploads a file, for requests to name it by its address.
    :param read_upload: reads that address from the answer.
    :param list_files: makes the request for all that was uploaded.
    :param read_files: reads the answer to that, the newest first.
    :param delete_file: makes the request that deletes what was uploaded, by its id.
    :param read_deletion: reads the answer to that, or raises why it was not deleted.
    :param cancel: makes the request that cancels a queued task, and erases a finished one.
    :param read_cancellation: reads from the answer to that what became of the task: ``cancelled``, ``deleted``, or
        another word of the platform.
    :param list_tasks: makes the request for a page of the account's tasks: page from 1, its size, a model or all, ids
        or all, and what the tasks are for.
    :param read_list: reads the answer to that, which need not name all that were asked for; see :class:`ReadList`.
    :param page_size: how many tasks one such request can poll; 1 where there is none.
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
    other_base_urls: Mapping[str, str] = field(default_factory=dict)
    path_prefix: str = ""
    other_requests: Mapping[type[PaidRequest], Callable[[Any], HttpRequest]] = field(default_factory=dict)
    locate: Callable[[VideoTask], HttpRequest] | None = None
    read_file: Callable[[HttpReply], VideoFile] | None = None
    model_names: Mapping[tuple[str, Mode], str] = field(default_factory=dict)
    fields: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    resolutions: tuple[str, ...] = ()
    doubts: Callable[[VideoRequest], list[str]] = _no_doubts
    check: Check = _nothing_to_add
    api_version: str = "v1"
    next_version: Platform | None = None
    pictures: PictureRules = V1_PICTURES
    upload: Callable[[FileContent], HttpRequest] | None = None
    read_upload: Callable[[HttpReply], str] | None = None
    list_files: Callable[[], HttpRequest] | None = None
    read_files: Callable[[HttpReply], tuple[UploadedFile, ...]] | None = None
    delete_file: Callable[[str], HttpRequest] | None = None
    read_deletion: Callable[[HttpReply], None] | None = None
    cancel: Callable[[str], HttpRequest] | None = None
    read_cancellation: Callable[[HttpReply], str] | None = None
    list_tasks: Callable[[int, int, str | None, Sequence[str], str], HttpRequest] | None = None
    read_list: ReadList | None = None
    page_size: int = 1
    balance: Callable[[str], HttpRequest] | None = None
    read_balance: Callable[[str, HttpReply], Balance] | None = None

    def region_of(self, base_url: str) -> str | None:
        """
        Return the region of one of the platform's own base URLs; ``None`` for any other.

        :param base_url: the base URL.
        """
        own = {url: region for region, url in self.base_urls.items()} | dict(self.other_base_urls)
        return own.get(base_url.lower())

    def usual_url(self, url: str) -> str:
        """
        Return a URL with the usual name of the platform's host, which is the same for all names of one account's host.

        :param url: the base URL, with or without a path behind it.
        """
        for other, region in self.other_base_urls.items():
            if url == other or url.startswith(f"{other}/"):
                return f"{self.base_urls[region]}{url.removeprefix(other)}"
        return url

    def for_model(self, model: str) -> Platform:
        """
        Return the version of the platform's API that has a model: the model decides.

        :param model: the model's name.
        :raises MinimaxRequestError: it is a model of a version that the platform is not known to have; the older
            version's addresses might sell something else under that name.
        """
        api_version = api_of(model)
        for platform in self.versions:
            if platform.api_version == api_version:
                return platform
        raise invalid(
            [f"model={model!r}: {self.title} is not known to have it; use MiniMax itself, or a gateway that sells it"],
            hint=f"If {self.title} sells it in MiniMax's own way, by addresses with /{api_version} in them, use a "
            "connection with platform 'minimax', and host and path_prefix of what comes before that.",
        )

    @property
    def versions(self) -> tuple[Platform, ...]:
        """Every version of the platform's API, the first one first."""
        return (self,) if self.next_version is None else (self, self.next_version)

    @property
    def latest(self) -> Platform:
        """The newest version of the platform's API."""
        return self.versions[-1]

    def for_request(self, request: PaidRequest) -> Platform:
        """
        Return the version of the platform's API that sells what is asked for.

        :param request: the request.
        :raises MinimaxRequestError: none does.
        """
        platform = self.for_model(request.model)
        if isinstance(request, VideoRequest) or type(request) in platform.other_requests:
            return platform
        if type(request) in self.latest.other_requests:
            raise invalid([f"model={request.model!r}: has no {request.task_type}; use MiniMax-H3"])
        raise invalid([f"{request.task_type}: {self.title} is not known to have it; use MiniMax itself"])

    def submission(self, request: PaidRequest) -> HttpRequest:
        """
        Make the request that buys what is asked for.

        :param request: the request, for which this is the version of the API.
        :raises MinimaxRequestError: the platform cannot express it.
        """
        return (
            self.submit(request) if isinstance(request, VideoRequest) else self.other_requests[type(request)](request)
        )

    def of_version(self, api_version: str) -> Platform:
        """
        Return a version of the platform's API.

        :param api_version: ``v1`` or ``v2``.
        :raises MinimaxRequestError: the platform has no such version.
        """
        for platform in self.versions:
            if platform.api_version == api_version:
                return platform
        known = " and ".join(repr(platform.api_version) for platform in self.versions)
        raise MinimaxRequestError(f"api_version={api_version!r}: {self.title} has {known}", platform=self.name)

    def problems(self, request: PaidRequest, unresolved: frozenset[str] = frozenset()) -> list[str]:
        """
        Say what of a request this platform is known not to make, so that it is refused before anything is sent.

        :param request: the request.
        :param unresolved: fields that are given but not known yet.
        :return: one sentence a problem, each naming the platform.
        """
        if not isinstance(request, VideoRequest):
            return []
        return [*filter(None, [self._wrong_mode(request)]), *self.check(request, unresolved)]

    def _wrong_mode(self, request: VideoRequest) -> str | None:
        """Say that the request names one of the platform's own models, and is not for a mode of it."""
        modes = [mode for (_, mode), own in self.model_names.items() if own == request.model]
        if not modes or request.mode in modes:
            return None
        return (
            f"model={request.model!r}: {self.title} has it in {' and '.join(modes)} mode only; what is given for "
            "another may be ignored, and the clip billed without it"
        )

    def _nameless(self, request: VideoRequest) -> str | None:
        """Say that the platform has names of its own, and that for this model or mode is not known."""
        if not self.model_names or request.model not in models():
            return None
        modes = [mode for official, mode in self.model_names if official == request.model]
        if request.mode in modes:
            return None
        if modes:
            known = f"{self.title} is known to have it in {' and '.join(modes)} mode only"
        else:
            has = sorted({official for official, _ in self.model_names})
            known = f"{self.title} is not known to have it; it has {', '.join(has)}"
        return f"model={request.model!r}: {known}; if it has it by now, give {self.title}'s own name of the model"

    def warnings(self, request: PaidRequest) -> list[str]:
        """
        Say what of a request this platform's page does not document. It is sent, because a page may be partial.

        :param request: the request.
        :return: one sentence a doubt, each naming the field and the platform.
        """
        page = f"{self.title}'s page"
        doubts = [
            f"{name}: {page} does not name this field. It is sent; {self.title} may refuse it, or ignore it and bill a "
            "clip made without it"
            for name in request.given()
            if self.fields and name not in self.fields | {"model", "extra_body"}
        ]
        doubts += [
            f"{name}: {page} requires it. The request is sent without it, as MiniMax's API allows, and may be refused"
            for name in sorted(self.required)
            if request.get(name) is None
        ]
        resolution = request.get("resolution")
        if self.resolutions and resolution not in (None, *self.resolutions):
            doubts.append(
                f"resolution={resolution!r}: {page} names {' and '.join(self.resolutions)} only. It is sent, and may "
                "be refused"
            )
        return doubts + (self.doubts(request) if isinstance(request, VideoRequest) else [])

    def documents(self, request: PaidRequest, name: str) -> bool:
        """
        Return whether the platform's page names a field.

        :param request: a request that has the field.
        :param name: the field's name.
        """
        return not any(doubt.startswith(f"{name}:") for doubt in self.warnings(request))

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
        :raises MinimaxRequestError: a known model whose name at the platform, or for this mode, is not known.
        """
        if problem := self._nameless(request):
            raise invalid([problem])
        return self.model_names.get((request.model, request.mode), request.model)
