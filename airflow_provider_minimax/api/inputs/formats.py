"""What a file is by its first bytes, whatever its name ends with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_minimax.api.inputs.content import FileBytes

_BEGINNING = 1024
# The brands of an ISO media file that holds a picture (ISO/IEC 23008-12, AV1 Image File Format).
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF = frozenset({b"mif1", b"msf1", b"mif2", b"heif"})
_AVIF = frozenset({b"avif", b"avis"})
_MOST_BRANDS = 64

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF, or a camera's raw picture"),
    (b"MM\0*", "TIFF, or a camera's raw picture"),
    (b"8BPS", "PSD (Photoshop)"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"PK\3\4", "a ZIP archive or a document of an office program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself"),
)
# An HTML page may have an SVG picture in it, but then it begins as a page.
_TEXTS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"<(?:!doctype html|html|head|body)", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"<(?:.*<)?svg\b", re.IGNORECASE | re.DOTALL), "SVG"),
    (re.compile(rb"<\?xml\b", re.IGNORECASE), "XML"),
    (re.compile(rb"[{\[]\s*[\"{\[]"), "JSON"),
    (re.compile(rb"data:", re.IGNORECASE), "the text of a data URL"),
)


def name_of_format(data: FileBytes) -> str | None:
    """
    Return what a file is; ``JPEG``, ``PNG`` and ``WEBP`` by these names.

    :param data: its bytes.
    :return: its name, or ``None`` if it is none of those that are taken for pictures by mistake.
    """
    if not data.length:
        return "an empty file"
    beginning = data.part(0, _BEGINNING)
    if beginning[4:8] == b"ftyp":
        return _name_of_iso_file(data)
    if beginning[:4] == b"RIFF" and beginning[8:12] in (b"WEBP", b"WAVE", b"AVI "):
        return {b"WEBP": "WEBP", b"WAVE": "WAV, a sound", b"AVI ": "AVI, a video"}[beginning[8:12]]
    named = next((name for signature, name in _SIGNATURES if beginning.startswith(signature)), None)
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    return named or next((name for pattern, name in _TEXTS if pattern.match(text)), None)


def heif_type(data: FileBytes) -> str | None:
    """Return the media type of a HEIC or HEIF picture; ``None`` for anything else."""
    major, *others = _brands(data) or [b""]
    if major in _AVIF or (major in _HEIF and _AVIF.intersection(others) and not _HEIC.intersection(others)):
        return None
    return "image/heic" if major in _HEIC else "image/heif" if major in _HEIF else None


def _name_of_iso_file(data: FileBytes) -> str:
    media_type = heif_type(data)
    if media_type is not None:
        return f"{media_type.removeprefix('image/').upper()} ({media_type})"
    if _AVIF.intersection(_brands(data)):
        return "AVIF (image/avif)"
    return "a video (MP4 or MOV)"


def _brands(data: FileBytes) -> Sequence[bytes]:
    """Return the major brand of an ISO media file, and those that it is compatible with."""
    head = data.part(0, 12)
    if head[4:8] != b"ftyp":
        return ()
    size = min(max(int.from_bytes(head[:4]), 16), 16 + 4 * _MOST_BRANDS)
    listed = data.part(16, size - 16)
    return [head[8:12], *(listed[at : at + 4] for at in range(0, len(listed), 4))]
