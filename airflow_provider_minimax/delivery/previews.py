"""Pictures next to a delivered clip: a poster and a contact sheet. A clip is delivered even if none can be made."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from airflow_provider_minimax.delivery.destination import Destination
from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxStorageError
from airflow_provider_minimax.purchases.ledger import Log
from airflow_provider_minimax.purchases.receipt import Receipt
from airflow_provider_minimax.text.redaction import redact

PREVIEWS = {"poster": ".poster.jpg", "contact_sheet": ".contact-sheet.jpg"}
"""The names of the pictures in a receipt, and what is appended to the clip's name for their files."""


def write_previews(
    clip: Path, destination: Destination, receipt: Receipt | None, *, overwrite: bool, log: Log
) -> dict[str, str]:
    """
    Draw the pictures of a clip and put them next to it. Those that cannot be made are logged.

    :param clip: the clip's local file.
    :param destination: where the clip is delivered to.
    :param receipt: its receipt, if there is one.
    :param overwrite: whether files that others made may be replaced.
    :param log: the task's log.
    :return: the URL of each picture that was written, by its name in :data:`PREVIEWS`.
    """
    made: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name in PREVIEWS:
        try:
            picture = destination.sibling(PREVIEWS[name])
            if not (overwrite or may_be_redrawn(picture)):
                raise MinimaxRequestError(f"{picture} was not made by this provider; overwrite=True would replace it")
            picture.put_bytes(_drawn(name, clip, destination, receipt), "image/jpeg")
        except Exception as error:
            missing[name] = redact(str(error) or type(error).__name__, limit=200)
        else:
            made[name] = picture.url
    if missing:
        reasons = "; ".join(dict.fromkeys(missing.values()))
        log.warning("The clip has no %s next to it: %s", " and no ".join(missing).replace("_", " "), reasons)
    return made


def may_be_redrawn(picture: Destination) -> bool:
    """
    Return whether a picture may be written: nothing is there yet, or a picture that this provider drew.

    :param picture: its destination.
    :raises MinimaxStorageError: it cannot be read.
    """
    from airflow_provider_minimax.media.canvas import is_made_here

    if not picture.exists():
        return True
    with picture.open() as file:
        return is_made_here(file)


def existing_previews(destination: Destination, receipt: Receipt) -> dict[str, str] | None:
    """
    Return the pictures that a receipt names and that are still next to the clip.

    :param destination: where the clip is.
    :param receipt: its receipt.
    :return: their URLs, by their names in :data:`PREVIEWS`; ``None`` if there are none.
    """
    found: dict[str, str] = {}
    for name in PREVIEWS.keys() & (receipt.previews or {}).keys():
        with suppress(MinimaxStorageError):
            if (picture := destination.sibling(PREVIEWS[name])).exists():
                found[name] = picture.url
    return {name: found[name] for name in PREVIEWS if name in found} or None


def _drawn(name: str, clip: Path, destination: Destination, receipt: Receipt | None) -> bytes:
    from airflow_provider_minimax.media.preview import contact_sheet, poster

    if name == "poster":
        return poster(clip)
    return contact_sheet(clip, destination.name, receipt.model if receipt else None)
