"""The operator that draws many clips on one sheet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow.sdk import BaseOperator

from airflow_provider_minimax.airflow_names import AirflowSkipException
from airflow_provider_minimax.arguments import is_literal
from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxStorageError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.receipts.record import Owner

_ENDINGS = (".jpg", ".jpeg")


class MinimaxContactSheetOperator(BaseOperator):
    """
    Draw many clips on one sheet, a JPEG, so that a person sees at a glance what came out.

    It buys nothing and changes no clip. A sheet that is there already is replaced, so the task may be retried and
    cleared. A clip that cannot be read has a place on the sheet that says so. If there is no clip at all, because every
    upstream task was skipped, the task is skipped, as Airflow does with a task that is mapped over nothing.

    Needs the extra ``media``. The sheet's letters are those of ASCII.

    :param clips: the clips, 500 at most: what the generation and download operators return, or paths and URLs that
        Airflow's object storage knows, one or a list; ``None`` in the list is left out. The ``output`` of a mapped
        task is such a list. Templated.
    :param output_path: where the sheet shall land: a path or URL that ends with ``.jpg``; folders are made. Templated.
    :param title: the sheet's first line; by default the DAG and the run. Templated.
    :return: a dict with the sheet's ``output_path``, the number of ``clips`` on it, and those that are ``unreadable``.
    :raises MinimaxRequestError: ``clips`` or ``output_path`` is none; literals are checked when the DAG is parsed.
    :raises MinimaxStorageError: no clip at all can be read, or the sheet cannot be written.
    """

    template_fields: Sequence[str] = ("clips", "output_path", "title")
    template_fields_renderers = {"clips": "json"}  # noqa: RUF012 - Airflow reads it from the class
    ui_color = "#ffd0c4"

    def __init__(self, *, clips: Any, output_path: str, title: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clips = clips
        self.output_path = output_path
        self.title = title
        if is_literal(output_path):
            _check_output(output_path)
        if is_literal(clips) and not _paths_of(clips):
            raise MinimaxRequestError(f"clips={clips!r}: there is no clip in it")

    def execute(self, context: Context) -> dict[str, Any]:
        """Draw the sheet."""
        from airflow_provider_minimax.delivery.places import place_of
        from airflow_provider_minimax.media.check import ensure_available
        from airflow_provider_minimax.media.preview import MOST_CLIPS, Exhibit, batch_sheet
        from airflow_provider_minimax.receipts.of_task import owner_of

        _check_output(self.output_path)
        ensure_available("output_path", self.output_path)
        paths = _paths_of(self.clips)
        if not paths:
            raise AirflowSkipException("There are no clips, so there is nothing to draw.")
        if len(paths) > MOST_CLIPS:
            raise MinimaxRequestError(f"clips: {len(paths)} of them, and a sheet has room for {MOST_CLIPS}")
        owner = owner_of(context)
        exhibits = [
            Exhibit(label, partial(_open, path, owner)) for label, path in zip(_labels(paths), paths, strict=True)
        ]
        sheet = batch_sheet(exhibits, self.title or f"{context['ti'].dag_id} · {context['ti'].run_id}")
        for number, reason in sheet.unreadable.items():
            self.log.warning("A clip cannot be read: %s (%s)", paths[number], reason)
        if len(sheet.unreadable) == len(paths):
            raise MinimaxStorageError(
                f"none of the clips can be read, so there is no sheet; of {paths[0]}: {sheet.unreadable[0]}"
            )
        place_of(self.output_path, owner).put_bytes(sheet.picture, "image/jpeg")
        self.log.info("A sheet of %s clips: %s (%s bytes)", len(paths), self.output_path, len(sheet.picture))
        return {
            "output_path": self.output_path,
            "clips": len(paths),
            "unreadable": [paths[number] for number in sheet.unreadable],
        }


def _open(path: str, owner: Owner) -> AbstractContextManager[BinaryIO]:
    from airflow_provider_minimax.delivery.places import place_of

    return place_of(path, owner).open()


def _check_output(output_path: Any) -> None:
    # The ending also keeps a mistaken path from costing a clip.
    if not str(output_path).lower().endswith(_ENDINGS):
        raise MinimaxRequestError(
            f"output_path={output_path!r}: must end with .jpg, for the sheet is a JPEG and replaces what is there"
        )


def _paths_of(clips: Any) -> list[str]:
    if isinstance(clips, str | Mapping) or not isinstance(clips, Iterable):
        clips = [clips]
    return [_path_of(number, clip) for number, clip in enumerate(clips) if clip is not None]


def _path_of(number: int, clip: Any) -> str:
    path = clip.get("output_path") if isinstance(clip, Mapping) else clip
    if isinstance(path, str | os.PathLike) and str(path).strip():
        return str(path)
    from airflow_provider_minimax.api.redaction import redact

    raise MinimaxRequestError(
        f"clips[{number}]={redact(repr(clip), limit=80)}: must be a path or URL, or a dict with output_path",
        hint="Give the task that made it an output_path." if isinstance(clip, Mapping) else None,
    )


def _labels(paths: Sequence[str]) -> list[str]:
    """Name each clip by what tells it from the others: the folders that they share are left out."""
    parts = [path.split("/") for path in paths]
    levels = zip(*(path[:-1] for path in parts), strict=False)
    shared = len(list(takewhile(lambda level: len(set(level)) == 1, levels)))
    return ["/".join(path[shared:]) for path in parts]
