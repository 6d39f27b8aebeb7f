"""
Whether the answer to a purchase names a remote task, however much of an error it is otherwise.

All platforms' answers are searched alike, so that none can be forgotten. A task is named by

- a ``task_id`` in any spelling and anywhere, errors included, or another word that stands for one (``jobId``);
- an ``id`` of the answer itself or of what it wraps (``data``, ``task``, ``items``, …), but not one in an ``error``;
- an id where such a wrapper is expected: ``{"data": "1790000000001"}``;
- the words ``task_id`` with an id after them in any text: an error's message, a web page, JSON that was cut off.

No task is named by the id of a request or a trace, by an id that the purchase itself sent, or by an id that is empty,
0 or null. What cannot be read to its end (JSON that was cut off, a very long answer) may name one.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic_core import from_json

from airflow_provider_minimax.api.http.message import HttpReply, HttpRequest
from airflow_provider_minimax.text.redaction import redact

LONGEST_ANSWER = 1 << 20
MOST_VALUES = 20_000
LONGEST_ID = 200

UNREADABLE = ""
"""Stands for a task that is named, or may be, by an id that cannot be read."""

_OTHER_TASK_KEYS = frozenset({"taskids", "jobid", "platformid", "generationid"})
_WRAPPERS = frozenset(
    {"data", "task", "tasks", "result", "results", "response", "output", "outputs", "item", "items", "job", "jobs"}
    | {"video", "videos", "generation", "body", "content"}
)
_NOTHING = frozenset({"null", "none", "nil", "undefined", "false"})
# Four digits, so that neither "success" nor "minimax-video-01" is taken for one.
_LIKE_AN_ID = re.compile(rf"(?=(?:\D*\d){{4}})[\w-]{{6,{LONGEST_ID}}}", re.ASCII)
_OF_A_REQUEST = re.compile(r"req|trace", re.IGNORECASE)
# "source_task_id" names another task, and "(2013)" after the words is an error's code.
_IN_TEXT = re.compile(
    r"(?<![\w-])(?:task|job|任务)[_\- ]?ids?(?!\w)(?P<between>[\s\"'\\:：=>#\[]{0,12})"
    rf"(?P<id>[\w-]{{1,{LONGEST_ID}}})?(?P<after>.)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)


class _Fields(list[tuple[str, Any]]):
    """A JSON object with all of its fields, also those whose name comes twice."""


class _Mention(NamedTuple):
    """What may be a task's id; the lower its rank, the surer."""

    rank: int
    task_id: str

    @property
    def is_called_task(self) -> bool:
        """Whether its name leaves no doubt what it is."""
        return self.rank <= 2 or not self.task_id


_DECODER = json.JSONDecoder(object_pairs_hook=_Fields)
_NOT_READ = _Mention(9, UNREADABLE)


def named_task(reply: HttpReply, request: HttpRequest) -> str | None:
    """
    Return the id of the remote task that the answer to a purchase names.

    :param reply: the answer.
    :param request: the purchase.
    :return: the id; :data:`UNREADABLE` if a task is or may be named, but its id cannot be read; ``None`` if none is.
    """
    of_the_exchange = _ids_of_the_exchange(reply.headers.items())
    text = reply.body[:LONGEST_ANSWER].decode(json.detect_encoding(reply.body), "replace")
    is_whole = len(reply.body) <= LONGEST_ANSWER
    try:
        mentions = _in_tree(_DECODER.decode(text), of_the_exchange)
    except RecursionError:
        mentions, is_whole = _in_text(text, of_the_exchange), False
    except ValueError:
        mentions = _in_text(text, of_the_exchange)
        if (beginning := _beginning(text)) is not None:
            mentions, is_whole = mentions + _in_tree(beginning, of_the_exchange), False
    if not is_whole:
        mentions.append(_NOT_READ)
    sent = {str(value) for name, value in (request.body or {}).items() if _plain(name).endswith("taskid")}
    mentions = [m for m in mentions if m.task_id not in (sent if m.is_called_task else sent | of_the_exchange)]
    readable = [mention for mention in mentions if mention.task_id]
    return min(readable or mentions, key=lambda mention: mention.rank).task_id if mentions else None


def is_no_id(text: str) -> bool:
    """
    Whether a text where an id should be says that there is none.

    :param text: the text.
    """
    return not text.strip(" 0-") or text.strip().lower() in _NOTHING


def _in_tree(tree: Any, of_the_exchange: set[str]) -> list[_Mention]:
    """Return what a JSON value mentions, from its outside in; add the ids in it that are of requests and traces."""
    mentions: list[_Mention] = []
    queue = deque([("", tree, True)])
    for _ in range(MOST_VALUES):
        if not queue:
            return mentions
        name, value, is_wrapped = queue.popleft()
        names_task = (name.endswith("taskid") and name != "sourcetaskid") or name in _OTHER_TASK_KEYS
        if isinstance(value, dict):
            value = _Fields(value.items())
        if isinstance(value, _Fields):
            of_the_exchange |= _ids_of_the_exchange(value)
            inside = is_wrapped and (not name or name in _WRAPPERS)
            queue.extend((_plain(key), inner, inside) for key, inner in value)
            if names_task and value:
                mentions.append(_Mention(1, UNREADABLE))
            continue
        if isinstance(value, list):
            queue.extend((name, inner, is_wrapped) for inner in value)
            continue
        if names_task:
            mentions += _as_id(2 if name in _OTHER_TASK_KEYS else 1, value)
        elif name == "id" and is_wrapped:
            mentions += [m for m in _as_id(3, value) if not _OF_A_REQUEST.match(m.task_id)]
        elif name in _WRAPPERS and is_wrapped and _LIKE_AN_ID.fullmatch(str(value)):
            mentions += _as_id(4, value)
        elif isinstance(value, str):
            mentions += _in_text(value, of_the_exchange)
    return [*mentions, _NOT_READ]


def _plain(key: str) -> str:
    """Return a field's name without what its spelling adds: ``taskId``, ``task-id`` and ``task_id`` are one."""
    return re.sub(r"[\W_]", "", key).lower()


def _as_id(rank: int, value: Any) -> Iterator[_Mention]:
    if value is None or value is False or value == 0:
        return
    if isinstance(value, bool | float) or (isinstance(value, int) and value < 0):
        yield _Mention(rank, UNREADABLE)
        return
    text = str(value).strip()
    if not is_no_id(text):
        is_fit = len(text) <= LONGEST_ID and text.isprintable() and " " not in text and redact(text) == text
        yield _Mention(rank, text if is_fit else UNREADABLE)


def _in_text(text: str, of_the_exchange: set[str]) -> list[_Mention]:
    """Return what a text mentions, and the first JSON object in it, such as an answer that an error quotes."""
    mentions = [*_in_words(text)]
    try:
        quoted, _ = _DECODER.raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):
        return mentions
    return mentions + _in_tree(quoted, of_the_exchange)


def _in_words(text: str) -> Iterator[_Mention]:
    is_json = text.lstrip()[:1] in ("{", "[")
    for match in _IN_TEXT.finditer(text):
        between, task_id, is_last = match["between"], match["id"] or "", match["after"] is None
        is_quoted, is_value = between[-1:] in ('"', "'"), any(sign in between for sign in ":：=>")
        if is_last and is_value and (is_quoted or is_json):
            # Cut off within the id, or before it.
            yield _Mention(5, UNREADABLE)
        elif task_id and not is_no_id(task_id) and (re.search(r"\d", task_id) or (is_quoted and is_value)):
            # Other words after "task_id" say that it is missing, or wrong.
            yield _Mention(5, task_id)


def _beginning(text: str) -> Any:
    """Return what is there of a JSON object or list that was cut off; ``None`` if the text is not one."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        # Without the last number, which may go on.
        return from_json(text.rstrip("0123456789.+-eE"), allow_partial=True)
    except ValueError:
        return None


def _ids_of_the_exchange(fields: Any) -> set[str]:
    return {str(value) for name, value in fields if _plain(name).endswith(("requestid", "traceid"))}
