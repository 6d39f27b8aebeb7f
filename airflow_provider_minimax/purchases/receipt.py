"""
What a receipt says, and how it is read back: one that cannot be understood is an error, never "nothing there".

From the purchase to the delivery it is one record that grows. Delivered, it is the clip's manifest: one glance shows
where the clip came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from airflow_provider_minimax import __version__
from airflow_provider_minimax.api.task import VideoFile, VideoTask
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxError, MinimaxReceiptError
from airflow_provider_minimax.purchases.fingerprint import without_secrets
from airflow_provider_minimax.text.redaction import redact
from airflow_provider_minimax.text.storable import escaped_json, printable, storable

KIND: Final = "minimax video receipt"
SCHEMA: Final = 1

# A receipt of all fields with the longest prompt has some 30 KB.
LARGEST = 1024 * 1024

# What is made fit to be shown when it is read. Prompts, paths and Airflow's own names are needed as they are.
_FIT_TO_SHOW = (
    *("platform", "minimax_conn_id", "model", "minimax_task_id", "api_version", "replaced", "provider_version"),
    *("fingerprint", "asked", "attempt", "sha256", "cost", "failure", "facts", "media"),
)


def now() -> datetime:
    """Return the time, as receipts write it."""
    return datetime.now(UTC)


class Phase(StrEnum):
    """How far a purchase is."""

    INTENT = "intent"
    """The request is about to go out, or went out and its answer was never written down."""
    SUBMITTED = "submitted"
    """The clip is bought; its remote task is known."""
    FAILED = "failed"
    """The remote task ended without a clip."""
    DELIVERED = "delivered"
    """The clip is at its destination."""


def _far_from_the_ends(moment: datetime) -> datetime:
    # Hours added at an end of the calendar, or taken away, are an error of Python's.
    if not 2 <= moment.year < 9999:
        raise ValueError("not a time at which there were clips")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_far_from_the_ends)]
Count = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class _Record(BaseModel):
    # What a newer version adds is kept, so that both can write the same receipt while an upgrade is under way.
    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True, populate_by_name=True)


class Owner(_Record):
    """The Airflow task that a purchase is for; the same for all its tries."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: Count = -1

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return printable(f"{self.dag_id}.{self.task_id}{mapped} of run {self.run_id}")


class Receipt(_Record):
    """
    One purchase, and in the end one clip.

    :param phase: how far it is.
    :param fingerprint: of the request; ``None`` for a clip that was fetched by its id, so that its request is unknown.
    :param asked: the fingerprint of the request as its author wrote it, with paths instead of its files; ``None``
        if that is unknown.
    :param attempt: a name of this very purchase, by which its writer knows its own record again.
    :param platform: where it was bought.
    :param minimax_conn_id: through which connection.
    :param model: of which model; ``None`` if the request is unknown.
    :param owner: for which Airflow task.
    :param max_tries: that task's ``max_tries``: it grows when a person clears the task, and not when Airflow retries.
        ``None`` for a remote task that a person wrote down: the owner's next try continues with it in either case.
    :param try_number: the try that bought.
    :param submissions: how many purchases there were for the same request without a person having asked for another.
    :param replaced: remote tasks that earlier purchases of the same task left behind.
    :param unanswered: how many submissions of the same try before this one were never answered and bought nothing.
    :param intended_at: when the request was about to go out.
    :param lost_at: when a task found out that no answer will come, and went on to ask the platform's list.
    :param minimax_task_id: the remote task.
    :param api_version: which version of MiniMax's API knows it.
    :param submitted_at: when it was known.
    :param has_callback: whether the platform was given the address of this attempt, for what it pushes.
    :param provider_version: which version of this provider bought the clip, and then, which one delivered it.
    :param request: what was asked for, as :func:`.describe_request` returns it; ``None`` if the request is unknown.
    :param cost: ``amount``, ``currency`` or ``unit``, and ``kind``: ``billed`` where the platform reports it, otherwise
        ``list price``, an estimate with the date it was read; ``None`` where neither is known.
    :param started_at: when the platform began to make the clip, where it says so.
    :param finished_at: when the clip was ready, where the platform says so (some only to the minute); otherwise when
        that was seen.
    :param failure: why there is no clip, as
        :meth:`~airflow_provider_minimax.exceptions.MinimaxError.as_event` returns it.
    :param output_path: where the clip is.
    :param sha256: of the clip's file; written down before the file is published.
    :param size: of the clip's file, in bytes.
    :param delivered_at: when it was put there.
    :param facts: what the platform reported about the clip.
    :param media: what the clip's check measured, if it was checked.
    :param previews: where its pictures are: ``poster`` and ``contact_sheet``, if it has them.
    """

    kind: Literal["minimax video receipt"] = KIND
    schema_version: Literal[1] = Field(SCHEMA, alias="schema")
    phase: Phase
    fingerprint: str | None
    asked: str | None = None
    attempt: str = Field(default_factory=lambda: uuid4().hex)
    platform: str
    minimax_conn_id: str
    model: str | None = None
    owner: Owner
    max_tries: Count | None
    try_number: Count
    submissions: Count = 1
    replaced: tuple[str, ...] = ()
    unanswered: Count = 0
    has_callback: bool = False
    provider_version: str = __version__
    request: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    intended_at: Moment
    lost_at: Moment | None = None
    minimax_task_id: str | None = None
    api_version: str = "v1"
    submitted_at: Moment | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None
    failure: dict[str, Any] | None = None
    output_path: str | None = None
    sha256: str | None = None
    size: Count | None = None
    delivered_at: Moment | None = None
    facts: dict[str, Any] | None = None
    media: dict[str, Any] | None = None
    previews: dict[str, str] | None = None

    @model_validator(mode="after")
    def _names_its_clip(self) -> Receipt:
        if self.phase is not Phase.INTENT and not self.minimax_task_id and not (self.facts or {}).get("file_id"):
            raise ValueError(f"phase {self.phase} without a minimax_task_id")
        if self.phase is Phase.DELIVERED and not self.sha256:
            raise ValueError("phase delivered without a sha256")
        return self

    def lost(self, now: datetime) -> Receipt:
        """Return the receipt of a submission whose answer will not come."""
        return self.model_copy(update={"lost_at": now})

    def naming(self, minimax_task_id: str) -> Receipt:
        """Return the receipt of a submission that was answered with an error which names a task."""
        return self.model_copy(update={"facts": {"task_id": minimax_task_id}})

    def submitted(self, minimax_task_id: str, now: datetime) -> Receipt:
        """Return the receipt of a purchase whose remote task is known."""
        return self.model_copy(
            update={"phase": Phase.SUBMITTED, "minimax_task_id": minimax_task_id, "submitted_at": now}
        )

    def failed(self, error: MinimaxError) -> Receipt:
        """Return the receipt of a purchase that came to nothing."""
        return self.model_copy(update={"phase": Phase.FAILED, "failure": error.as_event()})

    def finished(self, task: VideoTask, file: VideoFile | None, now: datetime) -> Receipt:
        """Return the receipt of a clip that is ready at the platform; its file may say since when."""
        made_at = file.created_at if file else None
        return self.model_copy(
            update={
                "started_at": task.started_at or self.started_at,
                "finished_at": task.finished_at or made_at or self.finished_at or now,
                "cost": task.billed.as_dict() if task.billed else self.cost,
                "facts": task.as_result(),
            }
        )

    def fetched(
        self,
        output_path: str,
        sha256: str,
        size: int,
        *,
        media: Mapping[str, Any] | None = None,
        previews: Mapping[str, str] | None = None,
    ) -> Receipt:
        """Return the receipt of a clip that is about to be published."""
        return self.model_copy(
            update={
                "provider_version": __version__,
                "output_path": output_path,
                "sha256": sha256,
                "size": size,
                "media": dict(media) if media else None,
                "previews": dict(previews) if previews else None,
            }
        )

    def delivered(self, now: datetime) -> Receipt:
        """Return the receipt of a clip that is at its destination."""
        return self.model_copy(update={"phase": Phase.DELIVERED, "delivered_at": now})

    @property
    def began_at(self) -> datetime:
        """The last time before the delivery that the receipt knows."""
        return self.submitted_at or self.intended_at

    @property
    def followed_attempt(self) -> str | None:
        """The attempt whose pushes have the remote task polled at once, if the platform was given an address."""
        return self.attempt if self.has_callback else None

    @property
    def all_tasks(self) -> tuple[str, ...]:
        """All remote tasks that were bought under this receipt."""
        return (*self.replaced, *([self.minimax_task_id] if self.minimax_task_id else []))

    def as_values(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values: dict[str, Any] = storable(self.model_dump(mode="json", by_alias=True))
        if not self.has_callback:
            # A release that has no callbacks refuses a receipt with a field that it does not know.
            del values["has_callback"]
        return values

    def as_json(self) -> bytes:
        """Return the receipt as a file's content, for people to read too: nothing in it moves a terminal's cursor."""
        content = self._as_json()
        if len(content) <= LARGEST:
            return content
        # A receipt too large to be read again would keep its task from its clip. What grew is a prompt or the extra
        # body.
        facts = {name: fact for name, fact in (self.facts or {}).items() if name != "prompt"}
        return self.model_copy(update={"request": None, "facts": facts or None})._as_json()

    def _as_json(self) -> bytes:
        text = json.dumps(self.as_values(), indent=2, ensure_ascii=False)
        return (escaped_json(text) + "\n").encode()


def read_receipt(content: bytes | Mapping[str, Any], where: str) -> Receipt:
    """
    Read a receipt.

    :param content: a file's content, or plain values.
    :param where: where it was found, for the error.
    :raises MinimaxReceiptError: it is no receipt, is cut off, or was written by a newer version of this provider.
    """
    try:
        return _read(content, where)
    except RecursionError:
        raise unreadable(where, "is damaged (it is nested too deeply)") from None


def _read(content: bytes | Mapping[str, Any], where: str) -> Receipt:
    try:
        values = _loaded(content) if isinstance(content, bytes) else content
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise unreadable(where, f"is not whole ({redact(str(error))})") from None
    except ValueError as error:
        raise unreadable(where, f"is damaged ({redact(str(error))})") from None
    if not isinstance(values, Mapping) or values.get("kind") != KIND:
        raise unreadable(where, "was not written by this provider")
    schema = values.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise unreadable(
            where,
            f"has schema {redact(str(schema), limit=40)}, and this version reads up to {SCHEMA}",
            "Upgrade airflow-provider-minimax here.",
        )
    fit = {name: _printable(value) if name in _FIT_TO_SHOW else value for name, value in values.items()}
    if isinstance(request := values.get("request"), Mapping):
        # Earlier versions kept signatures whose parameters they did not know.
        fit["request"] = without_secrets(request)
    try:
        return Receipt.model_validate_json(json.dumps(fit))
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        writer = values.get("provider_version")
        if isinstance(writer, str) and writer != __version__:
            raise unreadable(
                where,
                f"was written by version {redact(writer, limit=40)} of this provider, and this version ({__version__}) "
                f"cannot read it ({redact(what)})",
                "Upgrade airflow-provider-minimax here.",
            ) from None
        raise unreadable(where, f"is damaged ({redact(what)})") from None


def _loaded(content: bytes) -> Any:
    if len(content) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes, and no receipt has")
    return json.loads(content, object_pairs_hook=_named_once, parse_constant=_no_number)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field is there twice")
    return fields


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(name)): _printable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def unreadable(where: str, problem: str, way_out: str | None = None) -> MinimaxReceiptError:
    """
    Return the error for a receipt that is there and cannot be understood.

    :param where: where it is.
    :param problem: what is wrong with it, after "the receipt …".
    :param way_out: what to do, if it is not what one always has to do.
    """
    return MinimaxReceiptError(
        f"the receipt {where} {problem}, so what was bought under it is unknown",
        billing=NOTHING_BOUGHT,
        hint=way_out or "Read it, and check the platform's console; move it away to let this task buy.",
    )
