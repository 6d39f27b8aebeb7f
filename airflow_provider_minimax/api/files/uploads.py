"""
Which of a request's files are uploaded before it, and what the request is then. Pure.

A create call that breaks off on its way may have bought a clip, so it is never repeated; an upload buys nothing, and
is. So large files do not travel inside the one request that must not go wrong, even where they would fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.inputs.media import CARRYING_FIELDS, WHOLE_LIMIT, carried, sources_of
from airflow_provider_minimax.api.request import PaidRequest

R = TypeVar("R", bound=PaidRequest)

LARGE = 8 * 1000 * 1000
"""More bytes than this are uploaded: on a slow line they would keep the create call under way for some ten seconds."""
# What the rest of a request may need: its words and addresses.
_WORDS = 1000 * 1000


def to_upload(request: PaidRequest) -> dict[str, FileContent]:
    """
    Return the files that are better uploaded, by what to call them in an error.

    Those are the large ones, and the largest of the others as long as the request would be longer than the API allows.

    :param request: the request, with the contents of its files.
    """
    sources = dict(sources_of(request))
    files = {name: source for name, source in sources.items() if isinstance(source, FileContent)}
    length = _WORDS + sum(map(carried, sources.values()))
    chosen = {}
    for name, file in sorted(files.items(), key=lambda item: -item[1].data.length):
        if file.data.length <= LARGE and length <= WHOLE_LIMIT:
            break
        chosen[name] = file
        length -= file.length
    return chosen


def with_addresses(request: R, addresses: Mapping[FileContent, str]) -> R:
    """
    Return the request with addresses in the place of files.

    :param request: the request.
    :param addresses: of the files that were uploaded.
    """
    if not addresses:
        return request
    changed: dict[str, Any] = {}
    for name in CARRYING_FIELDS:
        value = request.get(name)
        if isinstance(value, tuple):
            changed[name] = tuple(addresses.get(source, source) for source in value)
        elif value is not None:
            changed[name] = addresses.get(value, value)
    return request.model_copy(update=changed)
