"""The operator that draws many clips on one sheet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow.sdk import BaseOperator

from airflow_provider_minimax.exceptions import MinimaxRequestError, MinimaxStorageError
from airflow_provider_minimax.options import check_output_path, is_literal
from airflow_provider_minimax.paths import as_text
from airflow_provider_minimax.version_compat import AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.media.preview import SheetItem
    from airflow_provider_minimax.paths import AnyPath
    from airflow_provider_minimax.purchases.receipt import Owner

_ENDINGS = (".jpg", ".jpeg")
# So many are named in an error.
_MOST_NAMES = 10
_FAILED = {"failed": "the task failed", "upstream_failed": "a task before it failed"}


@dataclass(frozen=True, slots=True)
class _Clip:
    path: str
    prompt: str | None = None
    map_index: int = -1


@dataclass(frozen=True, order=True, slots=True)
class _Failure:
    """A task instance upstream that left no clip."""

    map_index: int
    task_id: str
    reason: str

    def __str__(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class MinimaxContactSheetOperator(BaseOperator):
    """
    Draw many clips on one sheet, a JPEG, so that a person sees at a glance what came out.

    It buys nothing and changes no clip. A sheet that is there already is replaced, so the task may be retried and
    cleared; any other file is not. A clip that cannot be read gets a field on the sheet that says so.

    It runs when all tasks upstream are done, whatever became of them: by default its ``trigger_rule`` is ``all_done``,
    so that one refused prompt does not keep the other clips from the sheet. What failed gets a field on the sheet too,
    with the name of its task and its map index. If there is no clip at all, the task fails if a task upstream failed;
    if they were all skipped, it is skipped, as Airflow does with a task that is mapped over nothing.

    Needs the extra ``media``. The sheet's letters are those of ASCII.

    :param clips: the clips, 500 at most: what the generation and download operators return, or paths and URLs that
        Airflow's object storage knows, one or a list; ``None`` in the list is left out. The ``output`` of a mapped
        task is such a list. A clip is called by its map index and prompt where its task reports them and the sheet has
        their letters, otherwise by its path. Templated.
    :param output_path: where to put the sheet: a path or URL that ends with ``.jpg``; folders are made. Templated.
    :param title: the sheet's first line; by default the DAG and the run. Templated.
    :param trigger_rule: Airflow's rule for when the task runs.
    :return: a dict with the sheet's ``output_path``, the number of ``clips`` on it, those that are ``unreadable``, and
        the names of the task instances upstream that ``failed``, such as ``generate[3]``.
    :raises MinimaxRequestError: ``clips`` or ``output_path`` is none; literals are checked when the DAG is parsed. Or
        another file is at the sheet's path. Or there are no clips, because the tasks that were to make them failed.
    :raises MinimaxStorageError: no clip at all can be read, or the sheet cannot be written.
    """

    template_fields: Sequence[str] = ("clips", "output_path", "title")
    template_fields_renderers = {"clips": "json"}  # noqa: RUF012 - Airflow reads it from the class
    ui_color = "#ffd0c4"
    _written_path: str | None = None

    def __init__(
        self,
        *,
        clips: Any,
        output_path: AnyPath,
        title: str | None = None,
        trigger_rule: str = "all_done",
        **kwargs: Any,
    ) -> None:
        super().__init__(trigger_rule=trigger_rule, **kwargs)
        self.clips = clips
        self.output_path = output_path
        self.title = title
        if is_literal(as_text(output_path)):
            _check_output(output_path)
            check_output_path(output_path)
        if is_literal(clips) and not _clips_of(clips):
            raise MinimaxRequestError(f"clips={clips!r}: must name at least one clip")

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        from airflow_provider_minimax.delivery.operator import render_template_fields

        render = super()._do_render_template_fields
        render_template_fields(self, render, parent, template_fields, context, jinja_env, seen_oids)

    def execute(self, context: Context) -> dict[str, Any]:
        """Draw the sheet."""
        from airflow_provider_minimax.delivery.destination import destination_of
        from airflow_provider_minimax.delivery.previews import may_be_redrawn
        from airflow_provider_minimax.media.check import ensure_available
        from airflow_provider_minimax.media.preview import MOST_CLIPS, batch_sheet
        from airflow_provider_minimax.purchases.context import owner_of

        _check_output(self.output_path)
        ensure_available("output_path", str(self.output_path))
        clips = _clips_of(self.clips)
        if len(clips) > MOST_CLIPS:
            raise MinimaxRequestError(
                f"clips: has {len(clips)} clips, but a sheet has room for {MOST_CLIPS}; draw several sheets"
            )
        failures = self._failures(context, is_needed=not clips)
        if not clips:
            raise _nothing_to_draw(failures)
        owner = owner_of(context)
        destination = destination_of(self.output_path, owner, written=self._written_path)
        if not may_be_redrawn(destination):
            raise MinimaxRequestError(
                f"output_path={destination.url!r}: exists and was not drawn by this operator; give another path, or "
                "move the file"
            )
        items = _in_order(clips, failures[: MOST_CLIPS - len(clips)])
        title = str(self.title) if self.title else f"{context['ti'].dag_id} · {context['ti'].run_id}"
        sheet = batch_sheet(_drawn(items, clips, owner), title)
        unreadable = [(cast("_Clip", items[number]).path, reason) for number, reason in sheet.unreadable.items()]
        self._report(unreadable, clips)
        destination.put_bytes(sheet.picture, "image/jpeg")
        self.log.info("A sheet of %s clips: %s (%s bytes)", len(clips), destination, len(sheet.picture))
        return {
            "output_path": destination.url,
            "clips": len(clips),
            "unreadable": [path for path, _ in unreadable],
            "failed": [str(failure) for failure in failures],
        }

    def _report(self, unreadable: Sequence[tuple[str, str]], clips: Sequence[_Clip]) -> None:
        """Log which clips cannot be read, and fail if that is all of them."""
        from airflow_provider_minimax.text.storable import printable

        for path, reason in unreadable:
            self.log.warning("A clip cannot be read: %s (%s)", printable(path), reason)
        if len(unreadable) == len(clips):
            raise MinimaxStorageError(
                "none of the clips can be read, so no sheet was drawn; the first one, {}: {}".format(*unreadable[0])
            )

    def _failures(self, context: Context, *, is_needed: bool) -> list[_Failure]:
        """Return which task instances just upstream failed; if Airflow cannot say, the sheet can do without."""
        ti: Any = context["ti"]
        try:
            failures = [
                failure
                for task_id in sorted(self.upstream_task_ids)
                for failure in _failures_of(task_id, _states_of(task_id, ti))
            ]
        except Exception as error:
            if is_needed:
                raise
            from airflow_provider_minimax.text.redaction import redact

            what = redact(f"{type(error).__name__}: {error}")
            self.log.warning("It is not known which tasks upstream failed. %s", what)
            return []
        for failure in failures:
            self.log.warning("No clip of %s: %s", failure, failure.reason)
        return failures


def _states_of(task_id: str, ti: Any) -> dict[str, str]:
    """Return the states of a task's instances in this run, as Airflow names these: ``task_id``, ``task_id_0``, …"""
    states: dict[str, dict[str, str]] = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
    return states.get(ti.run_id, {})


def _failures_of(task_id: str, states: Mapping[str, str]) -> list[_Failure]:
    return sorted(
        _Failure(-1 if name == task_id else int(name.removeprefix(f"{task_id}_")), task_id, _FAILED[state])
        for name, state in states.items()
        if state in _FAILED
    )


def _nothing_to_draw(failures: Sequence[_Failure]) -> Exception:
    if not failures:
        return AirflowSkipException("There are no clips, so there is nothing to draw.")
    names = ", ".join(map(str, failures[:_MOST_NAMES]))
    more = f" and {len(failures) - _MOST_NAMES} more" if len(failures) > _MOST_NAMES else ""
    return MinimaxRequestError(
        f"clips: there are none, because these tasks failed: {names}{more}",
        hint="Once they have made a clip, clear this task.",
    )


def _in_order(clips: Sequence[_Clip], failures: Sequence[_Failure]) -> list[_Clip | _Failure]:
    """Put what failed where its clip would be: XComs of mapped tasks come in their order, without those that failed."""
    items: list[_Clip | _Failure] = list(clips)
    for failure in failures:
        items.insert(bisect_right([item.map_index for item in items], failure.map_index), failure)
    return items


def _drawn(items: Sequence[_Clip | _Failure], clips: Sequence[_Clip], owner: Owner) -> list[SheetItem]:
    from airflow_provider_minimax.media.preview import SheetItem

    labels = dict(zip(clips, _labels(clips), strict=True))
    return [
        SheetItem(str(item), None, item.reason)
        if isinstance(item, _Failure)
        else SheetItem(labels[item], partial(_open, item.path, owner))
        for item in items
    ]


def _open(path: str, owner: Owner) -> AbstractContextManager[BinaryIO]:
    from airflow_provider_minimax.delivery.destination import destination_of

    return destination_of(path, owner).open()


def _check_output(output_path: Any) -> None:
    # The ending also keeps a mistaken path from costing a clip.
    if not str(as_text(output_path)).lower().endswith(_ENDINGS):
        raise MinimaxRequestError(f"output_path={output_path!r}: must end with .jpg, because the sheet is a JPEG")


def _clips_of(clips: Any) -> list[_Clip]:
    if isinstance(clips, str | Mapping) or not isinstance(clips, Iterable):
        clips = [clips]
    return [_clip_of(number, clip) for number, clip in enumerate(clips) if clip is not None]


def _clip_of(number: int, clip: Any) -> _Clip:
    facts: Mapping[str, Any] = clip if isinstance(clip, Mapping) else {"output_path": clip}
    path, prompt, map_index = as_text(facts.get("output_path")), facts.get("prompt"), facts.get("map_index")
    if isinstance(path, str) and path.strip():
        return _Clip(
            path,
            prompt if isinstance(prompt, str) else None,
            map_index if isinstance(map_index, int) else -1,
        )
    from airflow_provider_minimax.text.redaction import redact

    raise MinimaxRequestError(
        f"clips[{number}]={redact(repr(clip), limit=80)}: must be a path or URL, or a dict with output_path",
        hint="Give the task that made it an output_path." if isinstance(clip, Mapping) else None,
    )


def _labels(clips: Sequence[_Clip]) -> list[str]:
    """Name each clip by its map index and prompt, or by what its path has that the others have not."""
    from airflow_provider_minimax.media.canvas import has_letters_of

    index = [f"[{clip.map_index}] " if clip.map_index >= 0 else "" for clip in clips]
    prompts = [" ".join((clip.prompt or "").split()) for clip in clips]
    paths = _short_paths([clip.path for clip in clips])
    return [
        number + (prompt if prompt and has_letters_of(prompt) else path)
        for number, prompt, path in zip(index, prompts, paths, strict=True)
    ]


def _short_paths(paths: Sequence[str]) -> list[str]:
    """Leave out the folders that all paths share."""
    parts = [path.split("/") for path in paths]
    levels = zip(*(path[:-1] for path in parts), strict=False)
    shared = len(list(takewhile(lambda level: len(set(level)) == 1, levels)))
    return ["/".join(path[shared:]) for path in parts]
