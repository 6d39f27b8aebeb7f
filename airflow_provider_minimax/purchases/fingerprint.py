"""What tells requests apart, and how a request is kept: images by their hash, URLs without signatures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.inputs.data_urls import UnreadableDataUrlError, read_data_url
from airflow_provider_minimax.api.request import PaidRequest
from airflow_provider_minimax.purchases.addresses import address_to_keep, picture_behind

# It does not change the clip.
_LEFT_OUT = ("callback_url",)


def fingerprint_of(request: PaidRequest, account: Mapping[str, str]) -> str:
    """
    Return what identifies this request: equal for equal clips.

    :param request: the request, its images as URLs, data URLs, contents of files, or paths, which identify less.
    :param account: where it is bought: platform, base URL, connection, and a version of the API other than ``v1``.
    """
    fields = {
        name: _canonical(value, picture_behind) for name, value in request.given().items() if name not in _LEFT_OUT
    }
    text = json.dumps([dict(account), _kind(request) | fields], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def describe_request(request: PaidRequest) -> dict[str, Any]:
    """
    Return a request as it may be kept next to the clip: pictures by their hash, URLs without signatures.

    :param request: the request, its images as URLs, data URLs or contents of files.
    """
    return without_secrets(
        _kind(request) | {name: value for name, value in request.given().items() if name not in _LEFT_OUT}
    )


def without_secrets(request: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a described request as it may be kept, also one that a person wrote into a receipt.

    :param request: field name to value; a prompt stays as it is.
    """
    # A prompt may begin with an address, and is kept as it was written.
    return {name: value if name == "prompt" else _canonical(value, address_to_keep) for name, value in request.items()}


def _kind(request: PaidRequest) -> dict[str, str]:
    # Receipts of clips say nothing of a kind, and their fingerprints must stay the same.
    return {} if request.task_type == "generation" else {"task_type": request.task_type}


def _canonical(value: Any, of_url: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(item, of_url) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item, of_url) for item in value]
    if isinstance(value, FileContent):
        return f"sha256:{value.data.sha256}"
    if isinstance(value, str) and value.startswith("data:"):
        return _digest(value)
    return of_url(value) if isinstance(value, str) else value


def _digest(data_url: str) -> str:
    """Return the hash of the picture itself, the same in whatever form of data URL or file it came."""
    try:
        data = read_data_url(data_url).data
    except UnreadableDataUrlError:
        data = data_url.encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
