"""The ASGI application: routes each request to its platform, applies faults, and keeps the journal."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from airflow_provider_minimax.emulator import control, page
from airflow_provider_minimax.emulator.addresses import ADDRESSES
from airflow_provider_minimax.emulator.answers import Dropped, WithSocket
from airflow_provider_minimax.emulator.bodies import MIB, BodyTooLargeError, with_limited_body
from airflow_provider_minimax.emulator.browser_guard import Answerer, BrowserGuard
from airflow_provider_minimax.emulator.exchange import Endpoint, Exchange, Platform
from airflow_provider_minimax.emulator.faults import Work, perform
from airflow_provider_minimax.emulator.links import LinkSigner
from airflow_provider_minimax.emulator.platforms import PLATFORMS
from airflow_provider_minimax.emulator.refusals import Refusal
from airflow_provider_minimax.emulator.storage import download, file_id_in
from airflow_provider_minimax.emulator.world import World

EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]
LARGEST_BODY = 128 * MIB
"""The largest body of a request to a platform. It is above every limit that a platform has and words itself."""


def create_app(world: World, guard: BrowserGuard, root: str | None = None) -> ASGIApp:
    """Return the emulator as an ASGI application; the platform ``root`` is also served without its prefix."""
    signer = LinkSigner()
    routes = [Route("/", guard.protect(page.overview(world))), *control.routes(world, guard)]
    routes += [Route("/files/{name:path}", _storage(world, signer), methods=["GET", "HEAD"])]
    at_root = [platform for platform in PLATFORMS if platform.name == root]
    for prefix, platform in [("", one) for one in at_root] + [(f"/{one.name}", one) for one in PLATFORMS]:
        routes += [
            Route(f"{prefix}{endpoint.path}", _api(world, signer, platform, endpoint), methods=[endpoint.method])
            for endpoint in platform.endpoints
        ]
    # Last, because several modules may serve different paths of one platform.
    routes += [Route(f"/{name}/{{path:path}}", _unknown_path(world, name), methods=EVERY_METHOD) for name in ADDRESSES]
    if root is not None:
        routes.append(Route("/{path:path}", _unknown_path(world, root), methods=EVERY_METHOD))
    return WithSocket(Starlette(routes=routes))


def _api(world: World, signer: LinkSigner, platform: Platform, endpoint: Endpoint) -> Answerer:
    async def answer(request: Request) -> Response:
        exchange = Exchange(world, signer, platform, with_limited_body(request, LARGEST_BODY))
        return await _answered(exchange, platform.name, endpoint.operation, partial(_handle, exchange, endpoint))

    return answer


async def _handle(exchange: Exchange, endpoint: Endpoint) -> Response:
    try:
        exchange.check_key()
        return await endpoint.handler(exchange)
    except Refusal as refusal:
        return exchange.refuse(refusal)


def _storage(world: World, signer: LinkSigner) -> Answerer:
    platforms = {platform.name: platform for platform in PLATFORMS}

    async def answer(request: Request) -> Response:
        job = world.job_of_file(file_id_in(request.path_params["name"]))
        owner = job.platform if job else None
        exchange = Exchange(world, signer, platforms.get(owner or "", PLATFORMS[0]), request)

        async def work() -> Response:
            return download(request, signer, world.settings, job, world.film)

        return await _answered(exchange, owner, "download", work)

    return answer


def _unknown_path(world: World, platform: str) -> Answerer:
    async def answer(request: Request) -> Response:
        note = _note(world, request, platform, "unknown")
        note["status"] = 404
        return PlainTextResponse("404 page not found", 404)

    return answer


async def _answered(exchange: Exchange, owner: str | None, operation: str, work: Work) -> Response:
    """Handle a request, with the fault that applies to it if there is one, and complete its line in the journal."""
    note = _note(exchange.world, exchange.request, owner, operation)
    try:
        # Only if there are faults: decoding an upload takes longer than the rest of the request.
        subject = await exchange.subject() if exchange.world.faults else ""
        fault = exchange.world.take_fault(operation, owner, subject, exchange.link)
        if fault is None:
            response = await work()
        else:
            note["fault"] = fault.kind
            response = await perform(exchange, fault, work)
    except BodyTooLargeError as error:
        response = PlainTextResponse(f"413 {error}", 413)
    note["refused"] = getattr(exchange.request.state, "refused", None)
    if not isinstance(response, Dropped):
        note["status"] = response.status_code
    return response


def _note(world: World, request: Request, platform: str | None, operation: str) -> dict[str, Any]:
    """Add a line to the journal and return it; it has no status until the response is ready."""
    note: dict[str, Any] = {
        "method": request.method,
        "path": request.url.path,
        "platform": platform,
        "operation": operation,
        "status": None,
        "time": time.time(),
        "had_authorization": "authorization" in request.headers,
        "user_agent": request.headers.get("user-agent", ""),
        "range": request.headers.get("range"),
        "if_range": request.headers.get("if-range"),
        "fault": None,
        "refused": None,
    }
    world.journal.append(note)
    return note
