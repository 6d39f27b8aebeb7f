"""What a user of the emulator may choose: one frozen value, checked when it is set.

The life of a job (``lifecycle``, ``seconds``, ``looks``, ``outcome``, ``failure_code``) is fixed when the job is made.
Everything else is read when an answer is given, so it also changes jobs that exist already.
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

    lifecycle: Literal["time", "looks", "manual"] = "time"
    """What moves a job on: the clock, the number of queries, or only the control endpoint."""
    seconds: float = Field(10.0, ge=0)
    """``time``: how long a job takes."""
    looks: int = Field(3, ge=1)
    """``looks``: which query is the first to see the end."""
    outcome: Literal["success", "failed"] = "success"
    failure_code: int = 1027
    """The code of a job that ends failed because of ``outcome``."""

    statuses: dict[Literal["preparing", "queueing", "processing", "success", "failed", "cancelled", "*"], str] = {}
    """Raw status to show in place of the platform's own word for a state; ``*`` stands for every state."""
    failure_reply: Literal["status_and_code", "status_only", "code_only"] = "status_and_code"
    """How the query of MiniMax's v1 tells of a failed job: ``Fail`` and a code, ``Fail`` and code 0, or only a code."""
    looks_without_file: int = Field(0, ge=FOR_EVER)
    """How many queries after the end say success but name no file or URL; -1: all of them."""
    file_id_as_number: bool = False

    callbacks: Literal["sent", "ignored"] = "sent"
    """Whether a ``callback_url`` has to echo a challenge and then gets each status; ``ignored``: it is taken as it is
    and nothing is sent to it."""
    key: str | None = Field(None, min_length=1)
    """The one key that all platforms take from now on, in place of their own; ``api_key()`` still tells the old one."""
    url_seconds: int = 3600
    """Life of a signed link; 0 or less: links that are expired when they are handed out."""
    backup_links: bool | None = None
    """Whether the file objects of v1 have a second link; None: BLTCY's and ChainHub's do, as in real replies."""
    clip_bytes: int | None = Field(None, ge=0)
    """Least size of the clip: filled up with a ``free`` box that is made while it is sent."""
    clip_chunked: bool = False
    """Clips come in chunks, without a Content-Length."""
    clip_validators: Literal["both", "weak", "etag", "date", "none"] = "both"
    """What tells one version of a clip from another: a strong ``ETag`` and ``Last-Modified``, a weak ``ETag`` and
    ``Last-Modified``, only the ``ETag``, only the date, or nothing."""
    clip_rendition: int = Field(0, ge=0)
    """Another number is another file behind the same link, with another ETag and date."""
    ranges: Literal["served", "ignored", "shifted", "untold", "other_size"] = "served"
    """What becomes of a ``Range``: the part; the whole clip with 200; a part that begins a byte later, as its
    ``Content-Range`` tells; the part without ``Content-Range``; one whose ``Content-Range`` tells another size."""
    redirects: int = Field(0, ge=0, le=100)
    """How many redirects stand before the clip."""
    redirect_to: str | None = None
    """Send every download to this address instead."""

    balance: float | None = None
    """What each account had at the start, in its own currency; list prices are taken from it, and what it does not
    cover is refused with 1008. None: it is never used up."""
    v1_requests_per_minute: int | None = Field(None, ge=0)
    """How many jobs v1 takes in any minute, 20 on the real platform; gateways count their own. None: any number."""
    v2_requests_per_minute: int | None = Field(None, ge=0)
    """How many jobs v2 takes in any minute, 300 on the real platform; None: any number."""
    minute_seconds: float = Field(60.0, gt=0)
    """How long a minute is for these two; less makes tests quick."""
    v2_tasks_in_flight: int | None = Field(None, ge=0)
    """How many jobs of v2 may be waiting or running at once, 30 on the real platform; None: any number."""
    v2_window_seconds: int = Field(SEVEN_DAYS, ge=0)
    """How long after it was made a job of v2 can be seen, listed and deleted."""
    v2_list_lag_seconds: float = Field(0.0, ge=0)
    """How long after it was made a job of v2 is first listed."""

    chainhub_submit: Literal["plain", "wrapped"] = "plain"
    chainhub_file_inline: bool = True
    """ChainHub puts the file with its link into the query; False: only the file id."""
    vtrix_flat_body: bool = False
    """Vtrix also accepts the parameters flat next to ``model``."""
    vtrix_error: Literal["object", "message", "integer", "string"] = "object"
    """Shape of Vtrix's ``error``: code and ``error_message``, code and ``message``, an integer code, only text."""
    vtrix_output: Literal["video", "video_url", "cover_first"] = "video"
    """Type of Vtrix's resource; ``cover_first`` puts a picture before the clip."""
    vtrix_cost: Literal["string", "number", "empty"] = "string"
    novita_ttl_as_number: bool = False

    def changed(self, changes: dict[str, Any]) -> Settings:
        """These settings with some of them replaced; an unknown name or a wrong value raises ValueError."""
        return Settings.model_validate({**self.model_dump(), **changes})
