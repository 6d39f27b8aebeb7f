"""
First frame, last frame, subject: from a URL, a data URL or a file's bytes to what the API takes.

Reads no file by itself: the caller hands in a function that does. Pictures are looked at with Pillow (the extra
``images``), by their content and not by their name; only their header is parsed.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Callable
from io import BytesIO

from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.api.request import IMAGE_FIELDS, VideoRequest, invalid
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError

# https://platform.minimax.io/docs/api-reference/video-generation-i2v, field first_frame_image
SIZE_LIMIT = 20 * 1000 * 1000
SHORT_SIDE_ABOVE = 300
RATIO_FROM, RATIO_TO = 2 / 5, 5 / 2
FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}

ReadBytes = Callable[[str, int], bytes]
"""Reads a path, at most so many bytes of it."""


def with_images(request: VideoRequest, read: ReadBytes, *, check: bool = True) -> VideoRequest:
    """
    Return the request with every image in a form that the API takes.

    :param request: the request; its images are URLs, data URLs or paths.
    :param read: reads a path, at most the given number of bytes; called for paths only.
    :param check: whether to check files and data URLs against the API's rules for images.
    :return: the request with URLs and data URLs only.
    :raises MinimaxRequestError: an image that cannot be read or breaks a rule, naming the field.
    """
    images = {
        name: _prepared(name, source, read, check)
        for name in IMAGE_FIELDS
        if (source := getattr(request, name)) is not None
    }
    return request.model_copy(update=images)


def _prepared(name: str, source: str, read: ReadBytes, check: bool) -> str:
    if source.startswith(("https://", "http://")):
        return source
    if source.startswith("data:"):
        if check:
            media_type, data = _split_data_url(name, source)
            found = _checked(name, f"the data URL ({media_type})", data)
            if found != media_type.replace("image/jpg", "image/jpeg"):
                raise invalid([f"{name}: the data URL says {media_type} but holds {found}; correct its media type"])
        return source
    data = _read(name, source, read)
    media_type = _checked(name, repr(source), data) if check else mimetypes.guess_type(source)[0] or "image/jpeg"
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _read(name: str, source: str, read: ReadBytes) -> bytes:
    try:
        return read(source, SIZE_LIMIT + 1)
    except Exception as error:
        # Object stores fail in ways of their own; whatever it is, this image is not there for us.
        raise MinimaxRequestError(
            f"{name}={redact(repr(source), limit=200)}: cannot be read: {redact(f'{type(error).__name__}: {error}')}",
            money=NOTHING_BOUGHT,
            hint="Give an http(s) URL, a data:image/…;base64, URL, or a path that the worker can read.",
        ) from error


def _split_data_url(name: str, source: str) -> tuple[str, bytes]:
    head, comma, payload = source.partition(",")
    media_type, _, encoding = head.removeprefix("data:").partition(";")
    if not comma or encoding != "base64" or not media_type.startswith("image/"):
        raise invalid([f"{name}: a data URL must begin with data:image/<jpeg, png or webp>;base64,"])
    try:
        return media_type, base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise invalid([f"{name}: the data URL is not valid base64 ({error}); encode the image again"]) from None


def _checked(name: str, what: str, data: bytes) -> str:
    """Check one image and return its media type."""
    what = redact(what, limit=200)
    if len(data) >= SIZE_LIMIT:
        raise invalid([f"{name}={what}: has 20 MB or more; the API takes less than 20 MB, so scale it down"])
    kind, width, height = _header(name, what, data)
    if kind not in FORMATS:
        raise invalid([f"{name}={what}: is {kind}; the API takes JPG, PNG and WebP, so convert it"])
    if min(width, height) <= SHORT_SIDE_ABOVE:
        raise invalid(
            [f"{name}={what}: is {width} x {height} px; the short side must be more than {SHORT_SIDE_ABOVE} px"]
        )
    if not RATIO_FROM <= width / height <= RATIO_TO:
        raise invalid([f"{name}={what}: is {width} x {height} px; width to height must be from 2:5 to 5:2, so crop it"])
    return FORMATS[kind]


def _header(name: str, what: str, data: bytes) -> tuple[str, int, int]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise MinimaxRequestError(
            f"{name}={what}: cannot be checked, because Pillow is not installed",
            money=NOTHING_BOUGHT,
            hint="Install airflow-provider-minimax[images], or send it unchecked with validate=False.",
        ) from None
    try:
        with Image.open(BytesIO(data)) as image:
            return image.format or "unknown", *image.size
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        raise invalid(
            [f"{name}={what}: is no picture that can be read (it begins with {data[:8]!r}); use JPG, PNG or WebP"]
        ) from None
