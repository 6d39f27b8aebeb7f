"""The emulator's settings: one frozen value, validated when it is set.

The life of a job (``lifecycle``, ``seconds``, ``polls``, ``outcome``, ``failure_code``) is fixed when the job is made.
All other settings are read for each response, so they also affect existing jobs.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["preparing", "queueing", "processing", "success", "failed", "cancelled"]
FOR_EVER = -1
SEVEN_DAYS = 7 * 24 * 60 * 60


class Settings(BaseModel):
    """How the emulator behaves; every field can be changed while it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    lifecycle: Literal["time", "polls", "manual"] = "time"
    """What advances a job: the clock, the number of queries, or only the control endpoint."""
    seconds: float = Field(10.0, ge=0)
    """How many seconds a job takes, 0 or more; for ``lifecycle="time"``."""
    polls: int = Field(3, ge=1)
    """The number of the first query that shows the job's end, 1 or more; for ``lifecycle="polls"``."""
    outcome: Literal["success", "failed"] = "success"
    """How jobs end."""
    failure_code: int = 1027
    """The code of jobs that fail because of ``outcome``."""

    statuses: dict[Literal["preparing", "queueing", "processing", "success", "failed", "cancelled", "*"], str] = {}
    """Raw status to show instead of the platform's own word for a state; ``*`` stands for every state."""
    failure_reply: Literal["status_and_code", "status_only", "code_only"] = "status_and_code"
    """How MiniMax's v1 reports a failed job: ``Fail`` and a code, ``Fail`` and code 0, or only a code."""
    polls_without_file: int = Field(0, ge=FOR_EVER)
    """How many queries after the end report success but no file or URL; -1: all of them."""
    file_id_as_number: bool = False
    """Whether replies of v1 give a file's id as a JSON number instead of a string."""

    callbacks: Literal["sent", "ignored"] = "sent"
    """Whether a ``callback_url`` has to echo a challenge and then gets each status; ``ignored``: it is accepted
    unchecked, and nothing is sent to it."""
    key: str | None = Field(None, min_length=1)
    """The key that all platforms accept from now on instead of their own; ``api_key()`` still returns the old one."""
    url_seconds: int = 3600
    """Lifetime of signed links, in seconds; 0 or less: links are expired from the start."""
    backup_links: bool | None = None
    """Whether the file objects of v1 have a second link; None: BLTCY's and ChainHub's do, as in real replies."""
    clip_bytes: int | None = Field(None, ge=0)
    """Minimum size of the clip in bytes: padded with a ``free`` box that is generated while it is sent."""
    clip_chunked: bool = False
    """Whether clips are sent chunked, without a Content-Length."""
    clip_validators: Literal["both", "weak", "etag", "date", "none"] = "both"
    """What identifies the version of a clip: a strong ``ETag`` and ``Last-Modified``, a weak ``ETag`` and
    ``Last-Modified``, only the ``ETag``, only the date, or nothing."""
    clip_rendition: int = Field(0, ge=0)
    """Changing it puts another file behind the same link, with another ETag and date."""
    ranges: Literal["served", "ignored", "shifted", "untold", "other_size"] = "served"
    """The response to a ``Range``: the part; the whole clip with 200; a part that begins a byte later, as its
    ``Content-Range`` says; the part without ``Content-Range``; one whose ``Content-Range`` has another size."""
    redirects: int = Field(0, ge=0, le=100)
    """How many redirects lead to the clip, at most 100."""
    redirect_to: str | None = None
    """Redirect every download to this address."""

    balance: float | None = None
    """The initial balance of each account, in its own currency. List prices are deducted; requests that it does not
    cover are refused with 1008. None: unlimited."""
    v1_requests_per_minute: int | None = Field(None, ge=0)
    """How many jobs v1 accepts in any minute; 20 on the real platform. Gateways count separately. None: any number."""
    v2_requests_per_minute: int | None = Field(None, ge=0)
    """How many jobs v2 accepts in any minute; 300 on the real platform. None: any number."""
    minute_seconds: float = Field(60.0, gt=0)
    """The length of a minute for these two limits, in seconds; a short one makes tests quick."""
    v2_tasks_in_flight: int | None = Field(None, ge=0)
    """How many jobs of v2 may be queued or running at once; 30 on the real platform. None: any number."""
    v2_window_seconds: int = Field(SEVEN_DAYS, ge=0)
    """For how many seconds a job of v2 can be queried, listed and deleted."""
    v2_list_lag_seconds: float = Field(0.0, ge=0)
    """How many seconds it takes until a new job of v2 is listed."""

    chainhub_submit: Literal["plain", "wrapped"] = "plain"
    """Whether ChainHub answers a submission as MiniMax does, or wraps the answer in its own ``data`` object."""
    chainhub_file_inline: bool = True
    """Whether ChainHub's query includes the file with its link; False: only the file id."""
    vtrix_flat_body: bool = False
    """Whether Vtrix also accepts the parameters flat next to ``model``."""
    vtrix_error: Literal["object", "message", "integer", "string"] = "object"
    """The shape of Vtrix's ``error``: code and ``error_message``, code and ``message``, an integer code, only text."""
    vtrix_output: Literal["video", "video_url", "cover_first"] = "video"
    """Type of Vtrix's resource; ``cover_first`` puts a picture before the clip."""
    vtrix_cost: Literal["string", "number", "empty"] = "string"
    """How Vtrix gives a task's cost: as a string, as a number, or as an empty string."""
    novita_ttl_as_number: bool = False
    """Whether Novita gives the lifetime of a clip's link as a JSON number instead of a string."""

    def changed(self, changes: dict[str, Any]) -> Settings:
        """Return the settings with some of them replaced; ValueError for an unknown name or a wrong value."""
        return Settings.model_validate({**self.model_dump(), **changes})
