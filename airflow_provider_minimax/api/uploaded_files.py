"""An uploaded file, which requests can name: what the platform reports about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError
from airflow_provider_minimax.text.redaction import redact

ADDRESS = "mm_file://"
# Of a whole number of 64 bits, as the API has it.
_MOST_DIGITS = 19
KEPT_FOR = timedelta(days=7)
"""How long MiniMax keeps an upload: https://platform.minimax.io/docs/api-reference/file-management-upload."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """
    A file that was uploaded.

    :param file_id: its id.
    :param filename: the name that it was uploaded by.
    :param size: its bytes, if they were reported.
    :param created_at: when it was uploaded, if that was reported.
    """

    file_id: str
    filename: str
    size: int | None = None
    created_at: datetime | None = None

    @property
    def address(self) -> str:
        """By what requests name it."""
        return f"{ADDRESS}{self.file_id}"

    @property
    def kept_until(self) -> datetime | None:
        """When the platform deletes it by itself, if it said when it came."""
        return self.created_at and self.created_at + KEPT_FOR

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "address": self.address,
            "filename": self.filename,
            "size": self.size,
            "created_at": self.created_at and self.created_at.isoformat(),
            "kept_until": self.kept_until and self.kept_until.isoformat(),
        }


def file_id_of(file: str) -> str:
    """
    Return the id of an uploaded file.

    :param file: its address, ``mm_file://`` and the id, or the id alone.
    :raises MinimaxRequestError: it is neither.
    """
    file_id = str(file).strip().removeprefix(ADDRESS)
    if not (file_id.isascii() and file_id.isdigit() and len(file_id) <= _MOST_DIGITS):
        raise MinimaxRequestError(
            f"file={redact(repr(file), limit=80)}: must be the address of an upload, mm_file:// and its id, or the id",
            billing=NOTHING_BOUGHT,
        )
    return file_id
