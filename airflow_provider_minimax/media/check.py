"""Checks whether a clip is what was asked for."""

from __future__ import annotations

import logging
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxClipRejectedError, MinimaxRequestError
from airflow_provider_minimax.media.clip import MediaFacts, UnreadableClipError
from airflow_provider_minimax.media.decoder import DecoderFailedError, decode
from airflow_provider_minimax.media.examine import ExpectedClip, Level

__all__ = ["ExpectedClip", "Level", "MediaFacts", "check_clip", "ensure_available"]

log = logging.getLogger(__name__)


def ensure_available(field: str, value: str) -> None:
    """
    Make sure that this worker has the packages that decode clips, before anything is bought.

    :param field: the parameter that needs them, for the error.
    :param value: its value.
    :raises MinimaxRequestError: PyAV or Pillow is not installed.
    """
    missing = [name for module, name in (("av", "PyAV"), ("PIL", "Pillow")) if find_spec(module) is None]
    if missing:
        raise MinimaxRequestError(
            f"{field}={value!r}: needs {' and '.join(missing)}, which this worker does not have",
            billing=NOTHING_BOUGHT,
            hint="Install them: pip install 'airflow-provider-minimax[media]'",
        )


def check_clip(file: Path | BinaryIO, level: Level, expected: ExpectedClip) -> MediaFacts | None:
    """
    Check whether a clip is what was asked for.

    :param file: a path, or a file open for reading that can seek; it stays open.
    :param level: ``basic``: it opens, its first and last frame can be decoded, and size, length and ratio are
        what was asked for. ``full``: also every frame can be decoded, not all are black, and not all are the same.
    :param expected: what was asked for.
    :return: what the file says about itself; ``None``, with a warning, if the decoder took more than 60 s or 4 GB of
        memory, or crashed.
    :raises MinimaxClipRejectedError: it is not what was asked for; the message lists all reasons.
    :raises OSError: the file itself cannot be read.
    """
    try:
        found, _ = decode("examine", file, level=level, expected=asdict(expected))
    except UnreadableClipError as error:
        raise _rejected([str(error)]) from None
    except DecoderFailedError as error:
        log.warning("The clip could not be checked: %s.", error)
        return None
    for what, why in found["not_compared"]:
        log.warning("The clip's %s cannot be compared with what was asked for: %s.", what, why)
    if found["reasons"]:
        raise _rejected(found["reasons"])
    return MediaFacts(**found["facts"])


def _rejected(reasons: list[str]) -> MinimaxClipRejectedError:
    return MinimaxClipRejectedError(f"the clip is not what was asked for: {'; '.join(reasons)}")
