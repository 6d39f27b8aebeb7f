"""Finds the name that is meant by one that is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Of 1: one letter that is wrong, missing or too many in a name of ten.
_LIKENESS = 0.85
_NOT_HEARD = re.compile(r"[^a-z0-9]+")


def meant_by(text: str, known: Iterable[str]) -> str | None:
    """
    Return the known name of which a text is a misspelling.

    Another case, other signs between words, or a wrong letter are misspellings; another number is another version.

    :param text: what was written.
    :param known: the names that there are, those that are meant most often first.
    :return: the name; ``None`` if it is one of them, or like none.
    """
    names = list(known)
    if text in names:
        return None
    # The first of those that sound the same.
    by_sound = {_sound(name): name for name in reversed(names)}
    sound = _sound(text)
    if sound in by_sound:
        return by_sound[sound]
    # Imported here, because DAG files import this module when they are parsed.
    from difflib import get_close_matches

    alike = [candidate for candidate in by_sound if _digits(candidate) == _digits(sound)]
    closest = get_close_matches(sound, alike, n=1, cutoff=_LIKENESS)
    return by_sound[closest[0]] if closest else None


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """
    Return a question for the end of an error, or nothing.

    :param text: what was written.
    :param known: the names that there are.
    """
    name = meant_by(text, known)
    return f" (did you mean {name!r}?)" if name else ""


def _sound(text: str) -> str:
    return _NOT_HEARD.sub("", text[:200].lower())


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
