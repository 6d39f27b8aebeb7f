"""
Undoes what a host compressed on its way.

In pieces of bounded size: a few compressed bytes may stand for gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from typing import Any

from airflow_provider_minimax.api.files.mp4 import HEAD, is_video
from airflow_provider_minimax.exceptions import MinimaxDownloadError
from airflow_provider_minimax.text.redaction import redact

_PIECE = 1024 * 1024
# What the standard lets a sender of zstd count on (RFC 8878, 3.1.1.1.2).
_LARGEST_WINDOW = 8 * 1024 * 1024
_GZIP = b"\x1f\x8b"
# Nobody compresses more than once, and each coding multiplies what a piece may stand for.
_MOST_CODINGS = 2
# What storages have in this header that is no coding of the file.
_NONE = frozenset({"", "identity", "none", "binary", "aws-chunked"})


class EncodingError(ValueError):
    """Bytes are not what their coding makes of anything."""


Undo = Callable[[Iterator[bytes]], Iterator[bytes]]


def codings_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """
    Return what a body was encoded with, in that order.

    :param headers: the answer's headers, with small letters.
    """
    names = (name.strip().lower() for name in headers.get("content-encoding", "").split(","))
    return tuple(name for name in names if name not in _NONE)


def decoded(chunks: Iterator[bytes], codings: tuple[str, ...]) -> Iterator[bytes]:
    """
    Return a video without what it was encoded with.

    :param chunks: the bytes as they arrive.
    :param codings: as :func:`codings_of` returns them.
    :return: pieces of a few MiB at most; some are empty, so that what counts or times them runs often enough.
    :raises MinimaxDownloadError: a coding is unknown here, or the bytes are not what it makes.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    chunks = chain([head], chunks)
    if is_video(head):
        # The header is wrong: compressed bytes do not begin like this.
        return chunks
    if not can_undo(codings):
        raise MinimaxDownloadError(
            f"the file host sent the clip encoded as {redact(', '.join(codings), limit=80)}, though it was asked not "
            "to, and that cannot be decoded here",
            hint="Fetching the clip again costs nothing. For br install brotli>=1.2, for zstd zstandard.",
        )
    return _undone_video(chunks, codings)


def _undone_video(chunks: Iterator[bytes], codings: tuple[str, ...]) -> Iterator[bytes]:
    try:
        yield from undone(chunks, codings)
    except EncodingError as error:
        raise MinimaxDownloadError(
            f"the file host sent the clip compressed, though it was asked not to, and it cannot be decompressed "
            f"({error})",
            hint="Fetching the clip again costs nothing.",
        ) from error


def can_undo(codings: tuple[str, ...]) -> bool:
    """
    Whether what was encoded can be decoded here.

    :param codings: as :func:`codings_of` returns them.
    """
    return len(codings) <= _MOST_CODINGS and all(map(_is_known, codings))


def undone(chunks: Iterator[bytes], codings: tuple[str, ...]) -> Iterator[bytes]:
    """
    Return bytes without what they were encoded with, which :func:`can_undo` has said to be known.

    :param chunks: the bytes as they arrive.
    :param codings: as :func:`codings_of` returns them.
    :return: pieces of a few MiB at most; some are empty.
    :raises EncodingError: the bytes are not what the codings make.
    """
    for coding in reversed(codings):
        chunks = _UNDO[coding](chunks)
    return chunks


def _is_known(coding: str) -> bool:
    return coding in _UNDO and (coding not in _PACKAGES or find_spec(_PACKAGES[coding]) is not None)


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return _inflated(chunks, lambda head: zlib.MAX_WBITS | 16)


def _undeflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return _inflated(chunks, lambda head: zlib.MAX_WBITS if _is_zlib(head) else -zlib.MAX_WBITS)


def _is_zlib(head: bytes) -> bool:
    """Whether deflated bytes have the envelope that the standard says; some hosts leave it out."""
    return head[0] & 15 == 8 and int.from_bytes(head[:2]) % 31 == 0


def _inflated(chunks: Iterator[bytes], window: Callable[[bytes], int]) -> Iterator[bytes]:
    inflater = None
    try:
        for rest in chunks:
            while rest:
                if inflater is None or (inflater.eof and rest.startswith(_GZIP)):
                    # A gzip file may have several members.
                    inflater = zlib.decompressobj(window(rest))
                if inflater.eof:
                    break
                yield inflater.decompress(rest, _PIECE)
                rest = inflater.unconsumed_tail or inflater.unused_data
            yield b""
        while inflater is not None and not inflater.eof and (piece := inflater.decompress(b"", _PIECE)):
            yield piece
    except zlib.error as error:
        raise EncodingError(str(error)) from error
    if inflater is None or not inflater.eof:
        raise EncodingError("it ends early")


def _unbrotlied(chunks: Iterator[bytes]) -> Iterator[bytes]:
    brotli: Any = import_module(_PACKAGES["br"])
    decoder = brotli.Decompressor()
    try:
        for chunk in chunks:
            yield decoder.process(chunk, output_buffer_limit=_PIECE)
            while not decoder.can_accept_more_data():
                yield decoder.process(b"", output_buffer_limit=_PIECE)
    except brotli.error as error:
        raise EncodingError(str(error)) from error
    if not decoder.is_finished():
        raise EncodingError("it ends early")


def _unzstded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    zstandard: Any = import_module(_PACKAGES["zstd"])
    reader = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(
        _Source(chunks), read_size=_PIECE, read_across_frames=True
    )
    try:
        while piece := reader.read1(_PIECE):
            yield piece
    except zstandard.ZstdError as error:
        raise EncodingError(str(error)) from error


class _Source:
    """Pieces as a file that can be read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        while not self._rest and (chunk := next(self._chunks, None)) is not None:
            self._rest = chunk
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


_UNDO: dict[str, Undo] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _undeflated,
    "br": _unbrotlied,
    "zstd": _unzstded,
}
_PACKAGES = {"br": "brotli", "zstd": "zstandard"}
