"""The object storage that serves the clips: signed links, Range, If-Range, redirects. It asks for no key.

Like the real one it signs for GET only, so a HEAD request is refused with 403.
"""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from airflow_provider_minimax.emulator.answers import ClipResponse, download_refused
from airflow_provider_minimax.emulator.clips import Clip, clip_of
from airflow_provider_minimax.emulator.jobs import Job
from airflow_provider_minimax.emulator.links import LinkRefusedError, LinkSigner
from airflow_provider_minimax.emulator.settings import Settings

ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
STEP = "Step"


class OutOfRangeError(Exception):
    """No byte of the file lies in the range that was asked for."""


def file_id_in(name: str) -> str:
    """The file id in the name of a stored object, such as ``900/output_aigc.mp4`` or ``backup/900/...``."""
    return name.removeprefix("backup/").partition("/")[0]


def download(request: Request, signer: LinkSigner, settings: Settings, job: Job | None) -> Response:
    """Answer a request for a stored object."""
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
    return _clip_or_part(request, clip_of(job.task_id, settings.clip_bytes), job.made_at)


def _redirect(request: Request, settings: Settings) -> str | None:
    if settings.redirect_to is not None:
        return settings.redirect_to
    step = int(request.query_params.get(STEP, "0"))
    return str(request.url.include_query_params(**{STEP: step + 1})) if step < settings.redirects else None


def _clip_or_part(request: Request, clip: Clip, made_at: float) -> Response:
    headers = {"Accept-Ranges": "bytes", "ETag": clip.etag, "Last-Modified": formatdate(made_at, usegmt=True)}
    asked = request.headers.get("Range")
    if asked is None or not _is_same(request.headers.get("If-Range"), clip.etag, made_at):
        return ClipResponse(clip, 0, clip.size, 200, headers)
    try:
        part = range_of(asked, clip.size)
    except OutOfRangeError:
        refusal = download_refused(416, "InvalidRange", "The requested range cannot be satisfied.")
        refusal.headers["Content-Range"] = f"bytes */{clip.size}"
        return refusal
    if part is None:
        return ClipResponse(clip, 0, clip.size, 200, headers)
    start, stop = part
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{clip.size}"
    return ClipResponse(clip, start, stop, 206, headers)


def _is_same(condition: str | None, etag: str, made_at: float) -> bool:
    if condition is None or condition == etag:
        return True
    try:
        return int(made_at) == int(parsedate_to_datetime(condition).timestamp())
    except ValueError:
        return False


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """The half-open part that one range asks for; None where the header is to be ignored."""
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
