"""
Frames, subject and reference pictures: from a URL, a data URL or a file to what the API takes.

Opens no file by itself: the caller hands in a function that does. Pictures are checked with Pillow (the extra
``images``), by their content and not by their name, and decoded, since half a picture would make a clip as well.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from airflow_provider_minimax.api.inputs.content import FileBytes, FileContent
from airflow_provider_minimax.api.inputs.data_urls import LongDataUrlError, UnreadableDataUrlError, read_data_url
from airflow_provider_minimax.api.inputs.formats import heif_type, name_of_format
from airflow_provider_minimax.api.inputs.wholeness import has_too_many_parts, is_cut_off, jpeg_end
from airflow_provider_minimax.api.modes import IMAGE_FIELDS
from airflow_provider_minimax.api.request import PaidRequest, invalid
from airflow_provider_minimax.exceptions import (
    NOTHING_BOUGHT,
    MinimaxFileError,
    MinimaxRequestError,
    MinimaxStorageError,
)
from airflow_provider_minimax.text.redaction import described, harmless_cause, redact

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

R = TypeVar("R", bound=PaidRequest)

RATIO_FROM, RATIO_TO = 2 / 5, 5 / 2
# What Pillow calls a JPEG behind which a camera put others: a preview, or the other eye's picture.
_CAMERA_JPEG = "MPO"
FORMATS = {"JPEG": "image/jpeg", _CAMERA_JPEG: "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
# Decoded, 100 MB. Pictures with more are opened but not decoded; those with more still are not opened.
_MOST_PIXELS = 25_000_000
_MOST_PIXELS_TO_OPEN = 150_000_000
# No other of Pillow's readers is let near what comes from outside.
_READERS = ("JPEG", "PNG", "WEBP")
# Media types of which tools make use where they do not know any.
_SAYS_NOTHING = ("", "application/octet-stream", "binary/octet-stream")

_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")

OpenFile = Callable[[str], BinaryIO]
"""Opens a path for reading."""


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


def with_images(request: R, open_file: OpenFile, *, check: bool = True, rules: PictureRules = V1_PICTURES) -> R:
    """
    Return the request with every image in a form that the API takes.

    :param request: the request; its images are URLs, data URLs or paths.
    :param open_file: opens a path; called for paths only.
    :param check: whether to check files and data URLs against the API's rules for images.
    :param rules: those rules.
    :return: the request with URLs, data URLs and the contents of files.
    :raises MinimaxRequestError: an image that cannot be read or breaks a rule, naming the field.
    :raises MinimaxStorageError: there is no room for a copy of it.
    """
    images: dict[str, Any] = {
        name: _prepared(name, source, open_file, check, rules)
        for name in IMAGE_FIELDS
        if (source := request.get(name)) is not None
    }
    if (references := request.get("reference_images")) is not None:
        images["reference_images"] = tuple(
            _prepared(f"reference_images[{number}]", source, open_file, check, rules)
            for number, source in enumerate(references)
        )
    return request.model_copy(update=images)


def _prepared(
    name: str, source: str | FileContent, open_file: OpenFile, check: bool, rules: PictureRules
) -> str | FileContent:
    if isinstance(source, FileContent):
        return checked_picture(name, "the file", source.data, rules) if check else source
    if source.startswith(("https://", "http://")) or (rules.uploads and source.startswith("mm_file://")):
        return source
    if source.startswith("data:"):
        return from_data_url(
            name,
            source,
            "image",
            limit=rules.below if check else None,
            too_large=f"is too large; the API takes {rules.size}, so scale it down",
            checked=(lambda what, data: checked_picture(name, what, data, rules)) if check else None,
        )
    data = read_once(name, source, open_file, rules.below if check else None, "image")
    if check:
        return checked_picture(name, repr(source), data, rules)
    return FileContent(mimetypes.guess_type(source)[0] or "image/jpeg", data)


def read_once(name: str, source: str, open_file: OpenFile, limit: int | None, kind: str | None) -> FileBytes:
    """
    Read a path.

    :param name: the field, for the error.
    :param source: the path.
    :param open_file: opens it.
    :param limit: how many bytes are enough to know that it is too large; ``None`` where nobody wants to know.
    :param kind: what should be there: ``image``, ``video`` or ``audio``; ``None`` where only a path will do.
    :raises MinimaxFileError: it cannot be read.
    :raises MinimaxStorageError: there is no room for a copy of it.
    """
    what = f"{name}={redact(repr(source), limit=200)}"
    try:
        with open_file(source) as file:
            return FileBytes.of(file, what, limit)
    except MinimaxStorageError:
        raise
    except Exception as error:
        # Object stores fail in ways of their own; whatever it is, this file is not there for us.
        instead = "" if kind is None else f"an http(s) URL, a data:{kind}/…;base64, URL, or "
        raise MinimaxFileError(
            f"{what}: cannot be read: {described(error)}",
            billing=NOTHING_BOUGHT,
            hint=f"Give {instead}a path that the worker can read.",
        ) from harmless_cause(error)


def from_data_url(
    name: str,
    source: str,
    kind: str,
    *,
    limit: int | None,
    too_large: str,
    checked: Callable[[str, FileBytes], FileContent] | None,
) -> str | FileContent:
    """
    Return what to send for a data URL: itself, if every platform takes it as it is written.

    :param name: the field, for the error.
    :param source: the data URL.
    :param kind: what it should hold: ``image``, ``video`` or ``audio``.
    :param limit: how many bytes are too many; ``None`` where nobody wants to know.
    :param too_large: what to say of one that has more.
    :param checked: checks its content, and returns what to send of it; ``None`` to take it for what it says.
    :raises MinimaxRequestError: it holds something else, or cannot be decoded; unless it is not to be checked.
    """
    try:
        url = read_data_url(source, limit)
    except LongDataUrlError:
        raise invalid([f"{name}: the data URL {too_large}"]) from None
    except UnreadableDataUrlError as error:
        if checked is None:
            return source
        raise invalid([f"{name}: the data URL is none that can be read: {error}; encode the {kind} again"]) from None
    data = FileBytes(url.data)
    if checked is None:
        is_known = _MEDIA_TYPE.fullmatch(url.media_type) is not None
        return FileContent(url.media_type, data) if is_known and not url.is_plain else source
    if not url.media_type.startswith(f"{kind}/") and url.media_type not in _SAYS_NOTHING:
        raise invalid([f"{name}: a data URL must begin with data:{kind}/<format>;base64,"])
    found = checked(f"the data URL ({url.media_type or 'of no media type'})", data)
    is_as_it_says = found.data is data and found.media_type == url.media_type
    return source if url.is_plain and is_as_it_says else found


def checked_picture(name: str, what: str, data: FileBytes, rules: PictureRules) -> FileContent:
    """
    Check one image.

    :param name: the field, for the error.
    :param what: what to call it there.
    :param data: its bytes.
    :param rules: what the API takes.
    :return: what to send: of a file with several pictures, as cameras make them, the first.
    :raises MinimaxRequestError: it breaks a rule, or ends before the picture does.
    """
    what = redact(what, limit=200)
    if data.length >= rules.below:
        raise invalid([f"{name}={what}: is too large; the API takes {rules.size}, so scale it down"])
    if rules.heif and (heif := heif_type(data)):
        if is_cut_off(data, "HEIF"):
            raise _cut_off(name, what, "its file ends early")
        return FileContent(heif, data)
    found = name_of_format(data)
    if found is not None and found not in _READERS:
        raise invalid([f"{name}={what}: is {found}; the API takes {rules.formats}, so convert it"])
    if found is not None and has_too_many_parts(data, found):
        raise invalid(
            [f"{name}={what}: is {found} in far more parts than it needs; save it again with another program"]
        )
    with data.open() as file, _opened(name, what, data, file) as image:
        kind = image.format or ""
        _check_sides(name, what, image.width, image.height, rules)
        _check_whole(name, what, data, image)
    if kind == _CAMERA_JPEG and (end := jpeg_end(data)):
        data = data.beginning(end)
    return FileContent(FORMATS[kind], data)


def _opened(name: str, what: str, data: FileBytes, file: BinaryIO) -> ImageFile:
    try:
        from PIL import Image
    except ImportError:
        raise MinimaxRequestError(
            f"{name}={what}: cannot be checked, because Pillow is not installed",
            billing=NOTHING_BOUGHT,
            hint="Install airflow-provider-minimax[images], or send it unchecked with validate=False.",
        ) from None
    try:
        return Image.open(file, formats=_READERS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(name, what) from None
    # Broken files make Pillow raise whatever its readers stumble over.
    except Exception:
        begins = f"it begins with {data.part(0, 8)!r}"
        raise invalid([f"{name}={what}: is no picture that can be read ({begins}); use JPG, PNG or WebP"]) from None


def _check_sides(name: str, what: str, width: int, height: int, rules: PictureRules) -> None:
    if width * height > _MOST_PIXELS_TO_OPEN:
        raise _too_many_pixels(name, what)
    if min(width, height) < rules.shortest:
        raise invalid([f"{name}={what}: is {width} x {height} px; the short side must be at least {rules.shortest} px"])
    if rules.longest and max(width, height) > rules.longest:
        raise invalid([f"{name}={what}: is {width} x {height} px; the long side must be at most {rules.longest} px"])
    if not RATIO_FROM <= width / height <= RATIO_TO:
        raise invalid([f"{name}={what}: is {width} x {height} px; width to height must be from 2:5 to 5:2, so crop it"])


def _too_many_pixels(name: str, what: str) -> MinimaxRequestError:
    most = _MOST_PIXELS_TO_OPEN // 1_000_000
    return invalid([f"{name}={what}: has more than {most} million pixels; scale it down"])


def _check_whole(name: str, what: str, data: FileBytes, image: ImageFile) -> None:
    """Decode the picture; of one that would take too much memory, see at least whether its file ends early."""
    from PIL import ImageFile

    is_decoded = image.width * image.height <= _MOST_PIXELS
    kind = "JPEG" if image.format == _CAMERA_JPEG else image.format or ""
    if is_decoded:
        try:
            # Of a JPEG an eighth of the size, which takes all of its bytes but not all of the memory.
            image.draft("L", (image.width // 8, image.height // 8))
            image.load()
        except Exception as error:
            raise _cut_off(name, what, redact(str(error) or type(error).__name__, limit=100)) from None
    # Other code in this process may have set Pillow to accept truncated images.
    if (not is_decoded or ImageFile.LOAD_TRUNCATED_IMAGES) and is_cut_off(data, kind):
        raise _cut_off(name, what, "its file ends early")


def _cut_off(name: str, what: str, why: str) -> MinimaxRequestError:
    return invalid([f"{name}={what}: is not whole ({why}); copy or save it again"])
