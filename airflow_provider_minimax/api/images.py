"""
Frames, subject and reference pictures: from a URL, a data URL or a file's bytes to what the API takes.

Reads no file by itself: the caller hands in a function that does. Pictures are looked at with Pillow (the extra
``images``), by their content and not by their name; only their header is parsed.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.api.request import IMAGE_FIELDS, VideoRequest, invalid
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError

RATIO_FROM, RATIO_TO = 2 / 5, 5 / 2
FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
# What is inside an ISO media file that holds a picture; Pillow reads none of them by itself.
_HEIF = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1", b"heif"), "image/heif"),
}

ReadBytes = Callable[[str, int], bytes]
"""Reads a path, at most so many bytes of it."""


@dataclass(frozen=True, slots=True)
class PictureRules:
    """
    What a version of the API takes as a picture.

    :param below: the size in bytes that is too much.
    :param size: the same in words.
    :param shortest: the shortest side in pixels.
    :param longest: the longest side in pixels, if there is one.
    :param formats: the formats in words.
    :param heif: whether HEIC and HEIF are among them.
    :param uploads: whether ``mm_file://`` names a picture too.
    """

    below: int
    size: str
    shortest: int
    longest: int | None
    formats: str
    heif: bool = False
    uploads: bool = False


V1_PICTURES = PictureRules(20 * 1000 * 1000, "less than 20 MB", 301, None, "JPG, PNG and WebP")
"""https://platform.minimax.io/docs/api-reference/video-generation-i2v, field first_frame_image"""
V2_PICTURES = PictureRules(
    30 * 1000 * 1000 + 1, "at most 30 MB", 256, 5760, "JPG, PNG, WebP, HEIC and HEIF", heif=True, uploads=True
)
"""https://platform.minimax.io/docs/api-reference/video-generation-v2-create, field content"""


def with_images(
    request: VideoRequest, read: ReadBytes, *, check: bool = True, rules: PictureRules = V1_PICTURES
) -> VideoRequest:
    """
    Return the request with every image in a form that the API takes.

    :param request: the request; its images are URLs, data URLs or paths.
    :param read: reads a path, at most the given number of bytes; called for paths only.
    :param check: whether to check files and data URLs against the API's rules for images.
    :param rules: those rules.
    :return: the request with URLs and data URLs only.
    :raises MinimaxRequestError: an image that cannot be read or breaks a rule, naming the field.
    """
    images: dict[str, Any] = {
        name: _prepared(name, source, read, check, rules)
        for name in IMAGE_FIELDS
        if (source := getattr(request, name)) is not None
    }
    if request.reference_images is not None:
        images["reference_images"] = tuple(
            _prepared(f"reference_images[{number}]", source, read, check, rules)
            for number, source in enumerate(request.reference_images)
        )
    return request.model_copy(update=images)


def _prepared(name: str, source: str, read: ReadBytes, check: bool, rules: PictureRules) -> str:
    if source.startswith(("https://", "http://")) or (rules.uploads and source.startswith("mm_file://")):
        return source
    if source.startswith("data:"):
        if check:
            media_type, data = split_data_url(name, source, "image")
            found = _checked(name, f"the data URL ({media_type})", data, rules)
            if found != media_type.replace("image/jpg", "image/jpeg"):
                raise invalid([f"{name}: the data URL says {media_type} but holds {found}; correct its media type"])
        return source
    data = read_whole(name, source, read, rules.below, "image")
    media_type = _checked(name, repr(source), data, rules) if check else mimetypes.guess_type(source)[0] or "image/jpeg"
    return data_url(media_type, data)


def data_url(media_type: str, data: bytes) -> str:
    """Return bytes as a data URL of a type."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def read_whole(name: str, source: str, read: ReadBytes, limit: int, kind: str) -> bytes:
    """
    Read a path.

    :param name: the field, for the error.
    :param source: the path.
    :param read: reads it.
    :param limit: how many bytes are enough to know that it is too large.
    :param kind: what should be there: ``image``, ``video`` or ``audio``.
    :raises MinimaxRequestError: it cannot be read.
    """
    try:
        return read(source, limit)
    except Exception as error:
        # Object stores fail in ways of their own; whatever it is, this file is not there for us.
        raise MinimaxRequestError(
            f"{name}={redact(repr(source), limit=200)}: cannot be read: {redact(f'{type(error).__name__}: {error}')}",
            money=NOTHING_BOUGHT,
            hint=f"Give an http(s) URL, a data:{kind}/…;base64, URL, or a path that the worker can read.",
        ) from error


def split_data_url(name: str, source: str, kind: str) -> tuple[str, bytes]:
    """
    Return a data URL's media type and its bytes.

    :param name: the field, for the error.
    :param source: the data URL.
    :param kind: what it should hold: ``image``, ``video`` or ``audio``.
    :raises MinimaxRequestError: it holds something else, or cannot be decoded.
    """
    head, comma, payload = source.partition(",")
    media_type, _, encoding = head.removeprefix("data:").partition(";")
    if not comma or encoding != "base64" or not media_type.startswith(f"{kind}/"):
        raise invalid([f"{name}: a data URL must begin with data:{kind}/<format>;base64,"])
    try:
        return media_type, base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise invalid([f"{name}: the data URL is not valid base64 ({error}); encode the {kind} again"]) from None


def _checked(name: str, what: str, data: bytes, rules: PictureRules) -> str:
    """Check one image and return its media type."""
    what = redact(what, limit=200)
    if len(data) >= rules.below:
        raise invalid([f"{name}={what}: is too large; the API takes {rules.size}, so scale it down"])
    if rules.heif and data[4:8] == b"ftyp" and data[8:12] in _HEIF:
        return _HEIF[data[8:12]]
    kind, width, height = _header(name, what, data)
    if kind not in FORMATS:
        raise invalid([f"{name}={what}: is {kind}; the API takes {rules.formats}, so convert it"])
    if min(width, height) < rules.shortest:
        raise invalid([f"{name}={what}: is {width} x {height} px; the short side must be at least {rules.shortest} px"])
    if rules.longest and max(width, height) > rules.longest:
        raise invalid([f"{name}={what}: is {width} x {height} px; the long side must be at most {rules.longest} px"])
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
