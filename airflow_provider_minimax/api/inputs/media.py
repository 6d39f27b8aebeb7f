"""
All that a request carries besides words, in the form that the API takes: pictures, and for H3 videos and sounds.

Only what costs nothing to find out is looked at: type by content, size, and the size of the whole. How long a video or
sound is, the platform finds out; only a clip that is to be re-rendered is opened, with PyAV (the extra ``media``).
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from airflow_provider_minimax.api.inputs.content import FileBytes, FileContent
from airflow_provider_minimax.api.inputs.formats import heif_type
from airflow_provider_minimax.api.inputs.images import (
    V1_PICTURES,
    OpenFile,
    PictureRules,
    checked_picture,
    from_data_url,
    read_once,
    with_images,
)
from airflow_provider_minimax.api.inputs.wholeness import is_cut_off
from airflow_provider_minimax.api.modes import MEDIA_FIELDS
from airflow_provider_minimax.api.request import UNCHECKED, PaidRequest, invalid
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError
from airflow_provider_minimax.text.redaction import redact

R = TypeVar("R", bound=PaidRequest)

# https://platform.minimax.io/docs/api-reference/video-generation-v2-create, field content
WHOLE_LIMIT = 64 * 1000 * 1000
CARRYING_FIELDS = (*MEDIA_FIELDS, "base_video")


@dataclass(frozen=True, slots=True)
class _Recording:
    """
    What the API takes as a video or a sound.

    :param kind: ``video`` or ``audio``.
    :param limit: its largest size in bytes.
    :param formats: its formats in words.
    :param type_of: the media type by the first bytes; ``None`` for any other format.
    :param unfit: what else keeps a file from being taken, if it has to be opened to know.
    """

    kind: str
    limit: int
    formats: str
    type_of: Callable[[bytes], str | None]
    unfit: Callable[[BinaryIO], list[str]] | None = None

    @property
    def too_large(self) -> str:
        """What to say of one that is larger."""
        return f"is too large; the API takes at most {self.limit // 1_000_000} MB, so shorten it"


def _video_type(data: bytes) -> str | None:
    if data[4:8] != b"ftyp":
        return None
    return "video/quicktime" if data[8:12] == b"qt  " else "video/mp4"


def _audio_type(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio/wav"
    # A tag, or the eleven bits that each frame of MPEG sound begins with.
    is_mp3 = data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] >= b"\xe0")
    return "audio/mp3" if is_mp3 else None


def _mp4_type(data: bytes) -> str | None:
    return _video_type(data) if data[8:12] != b"qt  " else None


def _unfit_for_regeneration(file: BinaryIO) -> list[str]:
    from airflow_provider_minimax.api.inputs.base_video import unfit_for_regeneration

    return unfit_for_regeneration(file)


_RECORDINGS = {
    "reference_videos": _Recording("video", 50 * 1000 * 1000, "MP4 and MOV", _video_type),
    "reference_audios": _Recording("audio", 15 * 1000 * 1000, "WAV and MP3", _audio_type),
}
# https://platform.minimax.io/docs/api-reference/video-generation-v2-regeneration, field content
_BASE_VIDEO = _Recording("video", 50 * 1000 * 1000, "MP4", _mp4_type, _unfit_for_regeneration)


def with_media(
    request: R,
    open_file: OpenFile,
    *,
    check: bool = True,
    rules: PictureRules = V1_PICTURES,
    uploads: bool = False,
) -> R:
    """
    Return the request with every picture, video and sound in a form that the API takes.

    :param request: the request; what it carries are URLs, data URLs or paths.
    :param open_file: opens a path; called for paths only.
    :param check: whether to check files and data URLs against the API's rules.
    :param rules: those for pictures.
    :param uploads: whether files can be uploaded before the request; otherwise they travel inside it.
    :return: the request with URLs, data URLs and the contents of files.
    :raises MinimaxRequestError: something cannot be read, or breaks a rule; naming the field.
    :raises MinimaxStorageError: there is no room for a copy of it.
    """
    request = with_images(request, open_file, check=check, rules=rules)
    recordings: dict[str, Any] = {
        name: tuple(
            _prepared(f"{name}[{number}]", source, _RECORDINGS[name], open_file, check)
            for number, source in enumerate(sources)
        )
        for name in _RECORDINGS
        if (sources := request.get(name)) is not None
    }
    if (base_video := request.get("base_video")) is not None:
        recordings["base_video"] = _prepared("base_video", base_video, _BASE_VIDEO, open_file, check)
    request = request.model_copy(update=recordings)
    if check:
        _check_whole(request, uploads=uploads)
    return request


def _prepared(
    name: str, source: str | FileContent, rules: _Recording, open_file: OpenFile, check: bool
) -> str | FileContent:
    if isinstance(source, FileContent):
        if check:
            _checked(name, "the file", source.data, rules)
        return source
    if source.startswith(("https://", "http://", "mm_file://")):
        return source
    if source.startswith("data:"):
        return from_data_url(
            name,
            source,
            rules.kind,
            limit=rules.limit + 1 if check else None,
            too_large=rules.too_large,
            checked=(lambda what, data: FileContent(_checked(name, what, data, rules), data)) if check else None,
        )
    data = read_once(name, source, open_file, rules.limit + 1 if check else None, rules.kind)
    return FileContent(_checked(name, repr(source), data, rules) if check else _guessed(source, rules), data)


def _checked(name: str, what: str, data: FileBytes, rules: _Recording) -> str:
    """Check one video or sound and return its media type."""
    what = redact(what, limit=200)
    if data.length > rules.limit:
        raise invalid([f"{name}={what}: {rules.too_large}"])
    media_type = rules.type_of(data.part(0, 12))
    if media_type is None:
        raise invalid([f"{name}={what}: is no {rules.kind} in a format that the API takes: {rules.formats}"])
    if is_cut_off(data, "WAV" if media_type == "audio/wav" else "ISO" if rules.kind == "video" else ""):
        raise invalid([f"{name}={what}: is not whole (its file ends early); copy or save it again"])
    if rules.unfit is not None:
        _check_fit(name, what, data, rules.unfit)
    return media_type


def _check_fit(name: str, what: str, data: FileBytes, unfit: Callable[[BinaryIO], list[str]]) -> None:
    try:
        with data.open() as file:
            reasons = unfit(file)
    except ImportError:
        raise MinimaxRequestError(
            f"{name}={what}: cannot be checked, because PyAV is not installed",
            billing=NOTHING_BOUGHT,
            hint="Install airflow-provider-minimax[media], or send it unchecked with validate=False.",
        ) from None
    if reasons:
        raise invalid(
            [f"{name}={what}: {'; '.join(reasons)}. Give the clip as MiniMax-H3 made it in 768P"], hint=UNCHECKED
        )


def _guessed(source: str, rules: _Recording) -> str:
    guess = mimetypes.guess_type(source)[0] or ""
    return guess if guess.startswith(f"{rules.kind}/") else {"video": "video/mp4", "audio": "audio/mp3"}[rules.kind]


def file_at(path: str, open_file: OpenFile, *, check: bool, rules: PictureRules) -> FileContent:
    """
    Read a picture, video or sound; its content decides which it is.

    :param path: where it is.
    :param open_file: opens it.
    :param check: whether to check it against the API's rules.
    :param rules: those for pictures.
    :raises MinimaxRequestError: it cannot be read, or breaks a rule.
    :raises MinimaxStorageError: there is no room for a copy of it.
    """
    most = max(recording.limit for recording in _RECORDINGS.values()) + 1
    data = read_once("path", path, open_file, most if check else None, None)
    kinds = () if heif_type(data) else _RECORDINGS.values()
    recording = next((kind for kind in kinds if kind.type_of(data.part(0, 12))), None)
    if not check:
        return FileContent(mimetypes.guess_type(path)[0] or "application/octet-stream", data)
    if recording is None:
        return _checked_unless_recording(path, data, rules)
    return FileContent(_checked("path", repr(path), data, recording), data)


def _checked_unless_recording(path: str, data: FileBytes, rules: PictureRules) -> FileContent:
    try:
        return checked_picture("path", repr(path), data, rules)
    except MinimaxRequestError as error:
        if not (mimetypes.guess_type(path)[0] or "").startswith("image/"):
            error.hint = " ".join(f"The API takes {kind.formats} as {kind.kind}." for kind in _RECORDINGS.values())
        raise


def sources_of(request: PaidRequest) -> Iterator[tuple[str, str | FileContent]]:
    """Return every picture, video and sound of a request, each with what to call it in an error."""
    for name in CARRYING_FIELDS:
        value = request.get(name)
        if isinstance(value, tuple):
            yield from ((f"{name}[{number}]", source) for number, source in enumerate(value))
        elif value is not None:
            yield name, value


def carried(source: str | FileContent) -> int:
    """Return how much longer a picture, video or sound makes a request."""
    if isinstance(source, FileContent):
        return source.length
    return len(source) if source.startswith("data:") else 0


def _check_whole(request: PaidRequest, *, uploads: bool) -> None:
    """Check what has to travel inside the request: all that is no file where files can be uploaded."""
    lengths: dict[str, int] = {}
    for name, source in sources_of(request):
        if (length := carried(source)) and not (uploads and isinstance(source, FileContent)):
            lengths[name] = length
    if (whole := sum(lengths.values())) > WHOLE_LIMIT:
        raise invalid(
            [
                f"{' and '.join(lengths)}: make the request {whole // 1_000_000} MB long, encoded as they are; the API "
                f"takes at most {WHOLE_LIMIT // 1_000_000} MB, so give the largest as a public URL"
                f"{', or as a path, which is uploaded' if uploads else ''}"
            ]
        )
