"""
What a path means everywhere in this package: a local file, or an object in a storage that Airflow knows.

URLs are read as Airflow's ``ObjectStoragePath`` reads them: nothing is percent-decoded, so ``#``, ``?`` and ``%20`` are
ordinary parts of a name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_minimax.exceptions import MinimaxRequestError

    AnyPath: TypeAlias = str | os.PathLike[str] | ObjectStoragePath

# Compiled on first use, because every DAG file imports this module.
_URL = r"(?s)(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_EXPRESSION = r"(?s)\{\{.*?\}\}"
_UNWRITTEN = r"(?s)\{%.*?%\}|\{#.*?#\}"
_LOCAL = ("file", "local")
# Linux's limits, less some room for the names of files next to a clip.
_LONGEST_FOLDER = 255
_LONGEST_PATH = 3800


def as_text(value: Any) -> Any:
    """
    Return path objects as text, including those in lists, tuples and dicts, and everything else unchanged.

    :param value: a ``pathlib.Path``, any other ``os.PathLike``, an ``ObjectStoragePath``, or anything else.
    """
    # ObjectStoragePath is an os.PathLike in some versions of Airflow only, and then without scheme and connection.
    if hasattr(value, "protocol") and hasattr(value, "path"):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if type(value) in (list, tuple):
        texts = [as_text(item) for item in value]
        return value if all(new is old for new, old in zip(texts, value, strict=True)) else type(value)(texts)
    if type(value) is dict:
        values = {name: as_text(item) for name, item in value.items()}
        return value if all(values[name] is item for name, item in value.items()) else values
    return value


def is_unrendered(text: str) -> bool:
    """Whether a text is a template that was not rendered."""
    return "{{" in text or "{%" in text


def read_path(value: Any, *, name: str = "output_path") -> str:
    """
    Return what a path means: an absolute local path, or a URL. A slash at its end stays.

    :param value: text, a ``pathlib.Path``, any other ``os.PathLike``, or an ``ObjectStoragePath``.
    :param name: the parameter's name, for the error.
    :raises MinimaxRequestError: it is not a path, or is ambiguous.
    """
    text = as_text(value)
    if isinstance(text, int) and not isinstance(text, bool):
        # Airflow's native rendering turns text that looks like a number into one.
        text = str(text)
    if not isinstance(text, str) or not text.strip():
        raise refused(name, value, "must be a path or URL; leave it out (None) for no delivery")
    text = text.strip()
    if is_unrendered(text):
        raise refused(name, text, "is a template that was not rendered")
    if "\0" in text or not _is_unicode(text):
        raise refused(name, text, "contains a NUL or bytes that are not UTF-8, which no file name or receipt can hold")
    url = re.match(_URL, text)
    if url is not None and url["scheme"].lower() not in _LOCAL:
        return f"{url['scheme'].lower()}://{url['rest']}"
    return _absolute(name, text, url)


def _absolute(name: str, text: str, url: re.Match[str] | None) -> str:
    path = text
    if url is not None:
        path = url["rest"]
        if not path.startswith("/") or path.startswith("//"):
            raise refused(
                name,
                text,
                f"{url['scheme']}:// must be followed by an absolute path without a host: file:///data/clip.mp4",
            )
    elif text.lower().startswith("file:/"):
        path = text[len("file:") :]
    elif re.match(_SCHEME, text):
        raise refused(
            name, text, f"is neither a URL (its scheme needs ://) nor clearly a path; for a local file write ./{text}"
        )
    if path.startswith("~"):
        raise refused(
            name, text, "~ depends on the worker's user; write the folder out, or ./~ for a folder of that name"
        )
    if "\\" in path:
        raise refused(name, text, "has a backslash; separate folders with /")
    try:
        # Airflow reads what follows two slashes as a host.
        absolute = str(Path(f"/{path.lstrip('/')}" if path.startswith("/") else path).absolute())
    except OSError as error:
        raise refused(name, text, f"is relative to a folder that no longer exists ({error.strerror})") from error
    if len(os.fsencode(absolute)) > _LONGEST_PATH:
        raise refused(name, text, f"must not be longer than {_LONGEST_PATH} bytes")
    if any(len(os.fsencode(part)) > _LONGEST_FOLDER for part in absolute.split("/")):
        raise refused(name, text, f"no part of it may be longer than {_LONGEST_FOLDER} bytes")
    return f"{absolute.rstrip('/')}/" if path.endswith("/") else absolute


def _is_unicode(text: str) -> bool:
    """Whether a text can be encoded; names with bytes that Python could not decode cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parents_in(text: str) -> int:
    """Return how many segments of a path or a template are a literal ``..``."""
    return re.sub(_EXPRESSION, "{}", re.sub(_UNWRITTEN, "", text)).split("/").count("..")


def local_path(path: str) -> Path | None:
    """Return the absolute path of a local file; ``None`` for a URL of another storage."""
    url = re.match(_URL, path)
    if url is None:
        return Path(path).absolute()
    return Path(f"/{url['rest'].lstrip('/')}") if url["scheme"].lower() in _LOCAL else None


def storage_of(path: str) -> tuple[Any, str]:
    """
    Return the fsspec file system of a path, and the path in it.

    :param path: a local path, or a URL of a storage that Airflow knows.
    :raises MinimaxRequestError: Airflow reads another name in the URL.
    :raises ValueError: Airflow knows no such storage.
    """
    from airflow.sdk import ObjectStoragePath

    local = local_path(path)
    if local is not None:
        return ObjectStoragePath("file:///").fs, str(local)
    found = ObjectStoragePath(path)
    key = path.partition("://")[2].partition("/")[2].rstrip("/")
    if not str(found.path).rstrip("/").endswith(key):
        raise refused(
            "output_path",
            path,
            f"Airflow would read it as {found.path!r}: it drops line breaks, tabs, and # and ? with nothing after them",
        )
    return found.fs, str(found.path)


def refused(name: str, value: Any, problem: str) -> MinimaxRequestError:
    """Return the error for a path that cannot be used, to be raised before anything is bought."""
    from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError
    from airflow_provider_minimax.text.redaction import redact

    return MinimaxRequestError(f"{name}={redact(repr(value), limit=300)}: {problem}", billing=NOTHING_BOUGHT)
