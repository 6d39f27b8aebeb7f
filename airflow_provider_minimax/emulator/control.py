"""The control endpoint under ``/_emulator``: reads and changes everything; plain JSON, no key."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_minimax.emulator.bodies import MIB, BodyTooLargeError, with_limited_body
from airflow_provider_minimax.emulator.browser_guard import Answerer, BrowserGuard
from airflow_provider_minimax.emulator.clips import begins_as_film
from airflow_provider_minimax.emulator.faults import Fault
from airflow_provider_minimax.emulator.settings import State
from airflow_provider_minimax.emulator.world import World

PREFIX = "/_emulator"
LARGEST_BODY = MIB
LARGEST_FILM = 256 * MIB


def routes(world: World, guard: BrowserGuard) -> list[Route]:
    """Return the routes of the control endpoint."""
    control = _Control(world)
    answers: list[tuple[str, str, Answerer]] = [
        ("GET", "state", control.state),
        ("POST", "settings", control.change_settings),
        ("PUT", "film", control.show_film),
        ("DELETE", "film", control.show_own_films),
        ("POST", "faults", control.add_fault),
        ("DELETE", "faults", control.clear_faults),
        ("POST", "jobs/{task_id}", control.move_job),
        ("POST", "reset", control.reset),
        ("POST", "release", control.release),
    ]
    return [Route(f"{PREFIX}/{path}", guard.protect(answer), methods=[method]) for method, path, answer in answers]


class Move(BaseModel):
    """The state to put a job into, with the code of a failure."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: State
    code: int | None = None


class _Control:
    """Handles control requests."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def state(self, request: Request) -> Response:
        return JSONResponse(self.world.as_dict())

    async def change_settings(self, request: Request) -> Response:
        try:
            self.world.settings = self.world.settings.changed(await _object(request))
        except ValueError as error:
            return _bad(error)
        return JSONResponse(self.world.settings.model_dump())

    async def show_film(self, request: Request) -> Response:
        try:
            film = await _body(request, LARGEST_FILM)
            if not begins_as_film(film):
                raise ValueError("film: must begin like an MP4; the rest may be broken")
        except ValueError as error:
            return _bad(error)
        self.world.film = film
        return JSONResponse({"bytes": len(film)})

    async def show_own_films(self, request: Request) -> Response:
        self.world.film = None
        return JSONResponse({})

    async def add_fault(self, request: Request) -> Response:
        try:
            fault = Fault.model_validate(await _object(request))
        except ValueError as error:
            return _bad(error)
        self.world.faults.append(fault)
        return JSONResponse(fault.model_dump())

    async def clear_faults(self, request: Request) -> Response:
        self.world.faults.clear()
        return JSONResponse({})

    async def move_job(self, request: Request) -> Response:
        job = self.world.jobs.get(request.path_params["task_id"])
        if job is None:
            return JSONResponse({"error": "no such job"}, 404)
        try:
            move = Move.model_validate(await _object(request))
        except ValueError as error:
            return _bad(error)
        if move.state == "cancelled" and job.order.api == "v1":
            return _bad(ValueError("state: only jobs of v2 can be cancelled"))
        self.world.move(job, move.state, move.code)
        return JSONResponse(job.as_dict())

    async def reset(self, request: Request) -> Response:
        self.world.reset()
        return JSONResponse({})

    async def release(self, request: Request) -> Response:
        return JSONResponse({"released": self.world.release()})


async def _body(request: Request, largest: int) -> bytes:
    try:
        return await with_limited_body(request, largest).body()
    except BodyTooLargeError as error:
        raise ValueError(str(error)) from None


async def _object(request: Request) -> dict[str, Any]:
    body = json.loads(await _body(request, LARGEST_BODY) or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body


def _bad(error: ValueError) -> Response:
    return JSONResponse({"error": str(error)}, 400)
