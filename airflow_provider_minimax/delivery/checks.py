"""Checks a downloaded clip against its request, and keeps a rejected one where people find it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.delivery.destination import Destination
from airflow_provider_minimax.delivery.part_file import PartFile
from airflow_provider_minimax.exceptions import MinimaxClipRejectedError, MinimaxError, MinimaxStorageError
from airflow_provider_minimax.purchases.ledger import Log
from airflow_provider_minimax.purchases.receipt import Receipt
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.text.redaction import redact

if TYPE_CHECKING:
    from airflow_provider_minimax.media.check import ExpectedClip

# Each was paid for. An author who lets a task buy this many rejected clips is not checking any of them.
_MOST_REJECTED = 20


def check_downloaded(
    clip: PartFile, destination: Destination, level: str, *, minimax_task_id: str, receipt: Receipt | None, log: Log
) -> dict[str, Any] | None:
    """
    Check a downloaded clip. If it is rejected, keep it next to its destination.

    :param clip: the downloaded clip.
    :param destination: where it would have been delivered to.
    :param level: ``none``, ``basic`` or ``full``.
    :param minimax_task_id: the remote task, for the error.
    :param receipt: its receipt, which has the request; without one only the file itself is checked.
    :param log: the task's log.
    :return: what was measured; ``None`` if there was no check, or the check itself failed.
    :raises MinimaxClipRejectedError: the clip is not what was asked for.
    :raises MinimaxStorageError: the file cannot be read.
    """
    if level == "none":
        return None
    try:
        from airflow_provider_minimax.media.check import check_clip

        media = check_clip(clip.path, "full" if level == "full" else "basic", expected_clip(receipt))
    except MinimaxClipRejectedError as error:
        error.minimax_task_id = minimax_task_id or None
        error.billing = "The clip was bought, and is billed as any other."
        error.hint = (
            f"{_keep_rejected(clip, destination)} To accept it, download it with check='none'; that buys nothing."
        )
        raise
    except OSError as error:
        raise disk_error(clip.path, error) from error
    except Exception as error:
        # A bad clip is rejected above. Any other failure is the check's own, and no reason to withhold a paid clip.
        what = redact(f"{type(error).__name__}: {error}")
        log.warning("The clip is delivered unchecked: the check itself failed (%s).", what)
        return None
    if media is None:
        return None
    size = "unknown size" if media.width is None else f"{media.width}x{media.height}"
    length = "unknown length" if media.duration is None else f"{media.duration:.2f} s"
    log.info("The clip passed the check (%s): %s, %s, %s", level, size, length, media.codec)
    return media.as_dict()


def expected_clip(receipt: Receipt | None) -> ExpectedClip:
    """
    Return what a clip's request says about its file.

    :param receipt: the clip's receipt; without one, anything is expected.
    """
    from airflow_provider_minimax.media.check import ExpectedClip

    request = (receipt and receipt.request) or {}
    # A clip that begins or ends with a given picture has that picture's ratio, whatever the request says.
    has_frames = any(request.get(name) for name in ("first_frame_image", "last_frame_image"))
    ratio = None if has_frames else request.get("ratio")
    return ExpectedClip(request.get("resolution"), request.get("duration"), ratio)


def disk_error(path: Path, error: OSError) -> MinimaxStorageError:
    """
    Return the error for a part file that cannot be read or written.

    :param path: the part file.
    :param error: what the operating system says.
    """
    return MinimaxStorageError(
        f"the clip cannot be kept at {path} ({error.strerror or type(error).__name__})",
        hint="Check the disk, then run this again; downloading the clip costs nothing.",
    )


def _keep_rejected(clip: PartFile, destination: Destination) -> str:
    """Put a rejected clip next to its destination, or leave it where it is; return a sentence that says where."""
    why = f"{_MOST_REJECTED} others are kept already"
    try:
        for number in range(1, _MOST_REJECTED + 1):
            rejected = destination.rejected(number)
            is_kept_already = rejected.output_state(clip.sha256) is OutputState.MATCHES
            if is_kept_already or rejected.put(clip.path, overwrite=False):
                clip.discard()
                return f"Watch it: {rejected}."
    except MinimaxError as error:
        why = error.message
    clip.keep()
    return f"It is kept for a week as {clip.path} on this worker, because {why}."
