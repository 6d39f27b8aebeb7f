"""One request to an emulated platform, and what the platform needs to answer it."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_minimax.emulator.addresses import Address
from airflow_provider_minimax.emulator.callbacks import Update, echoes_challenge
from airflow_provider_minimax.emulator.contract import Order
from airflow_provider_minimax.emulator.contract_v2 import FileKind
from airflow_provider_minimax.emulator.forwarded import public_origin
from airflow_provider_minimax.emulator.jobs import ON_THE_WAY, Job, Sight, peek
from airflow_provider_minimax.emulator.links import BACKUP, Link, LinkSigner, link_of
from airflow_provider_minimax.emulator.refusals import Refusal, invalid
from airflow_provider_minimax.emulator.settings import Settings
from airflow_provider_minimax.emulator.world import World


@dataclass(frozen=True)
class Exchange:
    """A request to a platform, and the emulator's state."""

    world: World
    signer: LinkSigner
    platform: Platform
    request: Request

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self.world.settings

    @property
    def link(self) -> Link | None:
        """Which of a clip's links was used, if the request is a download."""
        name = self.request.path_params.get("name")
        return None if name is None else link_of(name)

    async def subject(self) -> str:
        """Return what faults are matched with: the prompt of the job that the URL names, or the request's body."""
        url = self.request.url
        job = self.world.job_named_in({*url.path.split("/"), *self.request.query_params.values()})
        return job.order.prompt if job else (await self.request.body()).decode(errors="replace")

    def refuse(self, refusal: Refusal) -> Response:
        """Return a refusal in the platform's own words; its code is in the journal."""
        self.request.state.refused = refusal.code
        return self.platform.refuse(self, refusal)

    def check_key(self) -> None:
        """Refuse a request without this platform's key."""
        scheme, _, key = self.request.headers.get("Authorization", "").partition(" ")
        address = self.platform.address
        if scheme == "Bearer" and key == (self.settings.key or address.key):
            return
        raise Refusal(1004 if scheme != "Bearer" or key in ("", address.foreign_key) else 2049)

    async def json_object(self) -> dict[str, Any]:
        """Return the request body, which must be declared as JSON and be an object."""
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise invalid("Content-Type must be application/json")
        try:
            body = json.loads(await self.request.body())
        except ValueError:
            raise invalid("the body is not JSON") from None
        if not isinstance(body, dict):
            raise invalid("the body must be a JSON object")
        return body

    def parameter(self, name: str) -> str:
        """Return a required query parameter."""
        value = self.request.query_params.get(name)
        if not value:
            raise invalid(f"{name} is required")
        return value

    def kind_of_file(self, file_id: str) -> FileKind | None:
        """Return the kind of the account's file with this id."""
        return self.world.kind_of_file(self.platform.name, file_id)

    async def buy(
        self,
        order: Order,
        body: Mapping[str, Any],
        *,
        shown_model: str | None = None,
        callback_url: str | None = None,
        update: Updates | None = None,
    ) -> Job:
        """Make the job that was ordered, which is then paid for.

        ``callback_url`` has to echo a challenge first, and gets the job's ``update`` whenever its status changes.
        """
        receiver = callback_url if self.settings.callbacks == "sent" else None
        if receiver is not None and not await echoes_challenge(receiver):
            raise invalid("fail to check callback url")
        self._check_limits(order.api)
        if not self.world.can_pay(self.platform.name, order):
            raise Refusal(1008)
        job = self.world.buy(self.platform.name, order, shown_model or order.model, body)
        if receiver is not None and update is not None:
            self.world.report(receiver, job, lambda: update(self, peek(job, self.settings)))
        return job

    def _check_limits(self, api: str) -> None:
        """Refuse a job beyond the limits per minute or in flight."""
        settings, name = self.settings, self.platform.name
        made = [job for job in self.world.jobs.values() if (job.platform, job.order.api) == (name, api)]
        per_minute = settings.v2_requests_per_minute if api == "v2" else settings.v1_requests_per_minute
        in_flight = settings.v2_tasks_in_flight if api == "v2" else None
        lately = time.time() - settings.minute_seconds
        if per_minute is not None and sum(job.made_at > lately for job in made) >= per_minute:
            raise Refusal(1002)
        if in_flight is not None and sum(job.state() in ON_THE_WAY for job in made) >= in_flight:
            raise Refusal(1002, "too many tasks in flight, please retry later")

    def sign_link(self, job: Job, *, backup: bool = False) -> str:
        """Return a fresh signed link to the job's clip."""
        name = f"{BACKUP if backup else ''}{job.file_id}/output_aigc.mp4"
        return f"{public_origin(self.request)}/files/{name}?{self.signer.sign(name, self.settings.url_seconds)}"


Handler = Callable[[Exchange], Awaitable[Response]]
Updates = Callable[[Exchange, Sight], Update]
"""What a platform sends to a ``callback_url``."""


@dataclass(frozen=True)
class Endpoint:
    """One path of a platform, below its prefix."""

    method: str
    path: str
    operation: str
    handler: Handler


@dataclass(frozen=True)
class Platform:
    """The endpoints of an emulated platform, and how it words refusals."""

    address: Address
    endpoints: tuple[Endpoint, ...]
    refuse: Callable[[Exchange, Refusal], Response]

    @property
    def name(self) -> str:
        """The name that is also its prefix."""
        return self.address.name
