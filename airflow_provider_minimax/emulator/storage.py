"""The object storage that serves the clips: signed links, Range, If-Range, redirects. It needs no key.

Like the real one, its links are signed for GET only, so a HEAD request is refused with 403.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from airflow_provider_minimax.emulator.answers import ClipResponse, download_refused
from airflow_provider_minimax.emulator.clips import LONGEST, Clip, clip_of, film, film_v2
from airflow_provider_minimax.emulator.forwarded import public_origin
from airflow_provider_minimax.emulator.jobs import Job
from airflow_provider_minimax.emulator.links import BACKUP, LinkRefusedError, LinkSigner
from airflow_provider_minimax.emulator.settings import Settings

ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
STEP = "Step"


class OutOfRangeError(Exception):
    """The requested range is outside the file."""


def file_id_in(name: str) -> str:
    """Return the file id in the name of an object, such as ``900/output_aigc.mp4`` or ``backup/900/...``."""
    return name.removeprefix(BACKUP).partition("/")[0]


def download(
    request: Request, signer: LinkSigner, settings: Settings, job: Job | None, film_for_all: bytes | None
) -> Response:
    """Answer a request for an object; ``film_for_all`` is shown by every clip, unless it is None."""
    name = request.path_params["name"]
    try:
        if request.method != "GET":
            raise LinkRefusedError("SignatureDoesNotMatch", "The link is signed for GET.")
        signer.check(name, request.query_params)
    except LinkRefusedError as refusal:
        return download_refused(403, refusal.code, refusal.message)
    if job is None or job.state() != "success" or not name.endswith(f"{job.file_id}/output_aigc.mp4"):
        return download_refused(404, "NoSuchKey", "The specified key does not exist.")
    if elsewhere := _redirect(request, settings):
        return RedirectResponse(elsewhere, 302)
    return _clip_or_part(request, settings, job, _film(job) if film_for_all is None else film_for_all)


def _redirect(request: Request, settings: Settings) -> str | None:
    if settings.redirect_to is not None:
        return settings.redirect_to
    step = int(request.query_params.get(STEP, "0"))
    if step >= settings.redirects:
        return None
    following = request.url.include_query_params(**{STEP: step + 1})
    return f"{public_origin(request)}{following.path}?{following.query}"


def _film(job: Job) -> bytes:
    if job.order.api == "v1":
        return film(job.order.resolution, job.order.duration)
    return film_v2(job.order.resolution or "768P", job.order.duration or LONGEST, job.order.shape)


def _clip_or_part(request: Request, settings: Settings, job: Job, shown: bytes) -> Response:
    rendition = settings.clip_rendition
    name = f"{job.task_id} again {rendition}" if rendition else job.task_id
    clip = clip_of(name, settings.clip_bytes, shown)
    changed_at = job.made_at + rendition
    headers = _validators(clip, changed_at, settings)
    if settings.ranges != "ignored":
        headers["Accept-Ranges"] = "bytes"
    whole = ClipResponse(clip, 0, clip.size, 200, headers, chunked=settings.clip_chunked)
    asked = request.headers.get("Range")
    if asked is None or settings.ranges == "ignored" or not _is_same(request.headers.get("If-Range"), headers):
        return whole
    try:
        part = range_of(asked, clip.size)
    except OutOfRangeError:
        refusal = download_refused(416, "InvalidRange", "The requested range cannot be satisfied.")
        refusal.headers["Content-Range"] = f"bytes */{clip.size}"
        return refusal
    if part is None:
        return whole
    start, stop = part
    if settings.ranges == "shifted":
        start = min(start + 1, stop - 1)
    if settings.ranges != "untold":
        size = clip.size + 1 if settings.ranges == "other_size" else clip.size
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return ClipResponse(clip, start, stop, 206, headers, chunked=settings.clip_chunked)


def _validators(clip: Clip, changed_at: float, settings: Settings) -> dict[str, str]:
    etag, date = {"ETag": clip.etag}, {"Last-Modified": formatdate(changed_at, usegmt=True)}
    match settings.clip_validators:
        case "both":
            return etag | date
        case "weak":
            return {"ETag": f"W/{clip.etag}"} | date
        case "etag":
            return etag
        case "date":
            return date
        case "none":
            return {}


def _is_same(condition: str | None, validators: Mapping[str, str]) -> bool:
    """Whether ``If-Range`` allows a part: a weak ETag never does (RFC 9110, 13.1.5)."""
    if condition is None:
        return True
    return not condition.startswith("W/") and condition in validators.values()


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """Return the requested part as a half-open range; None if the header must be ignored."""
    match = ONE_RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), size if last == "" else min(int(last) + 1, size)
        if last != "" and int(last) < start:
            return None
    if start >= size or start >= stop:
        raise OutOfRangeError
    return start, stop
