"""What Airflow learns of a clip that is in its place: events of its assets, and its lineage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetRef

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

# Further names under which Airflow's object storage opens the same things.
_SAME_SCHEME = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}


@dataclass(frozen=True, slots=True)
class Delivered:
    """
    A clip that is in its place.

    :param output_path: where it is: a path, or a URL that may name a connection (``s3://my_aws_conn@bucket/clip.mp4``).
    :param facts: what is known of it: plain JSON values with ``sha256`` and ``size``, and without any signed URL.
    :param inputs: the pictures that went into it, as the DAG named them.
    """

    output_path: str
    facts: Mapping[str, Any]
    inputs: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """The clip's name in Airflow's assets."""
        return uri_of(self.output_path)

    def as_extra(self) -> dict[str, Any]:
        """
        Return the facts that are known, without nesting: ``{"cost": {"amount": 1}}`` becomes ``{"cost.amount": 1}``.

        Airflow 3.0 hashes the values of an alias's event, so that a nested one would fail the task.
        """
        return dict(_flat(json.loads(json.dumps(dict(self.facts), default=str))))


def _flat(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", fact) for inner, fact in _flat(value))
        elif isinstance(value, list):
            yield name, json.dumps(value)
        elif value is not None:
            yield name, value


def parts_of(path: str) -> tuple[str, str, str]:
    """
    Return where a file is, whichever connection it is reached through.

    :param path: a local path, or a URL as Airflow's object storage takes it.
    :return: scheme, authority and path: ``("s3", "bucket", "/clip.mp4")``, ``("file", "", "/data/clip.mp4")``.
    """
    scheme, is_url, rest = path.partition("://")
    scheme = scheme.lower()
    if not is_url:
        scheme, rest = "file", str(Path(path).absolute())
    elif scheme == "file":
        # Of all URLs only these are encoded: they stand for a path, the others name an object as it is.
        rest = unquote(rest)
    authority, slash, key = rest.partition("/")
    return _SAME_SCHEME.get(scheme, scheme), authority.rpartition("@")[2], slash + key


def uri_of(path: str) -> str:
    """
    Return the one URI under which Airflow's assets know a file.

    :param path: a local path, or a URL as Airflow's object storage takes it.
    :return: ``file:///data/clip.mp4``, ``s3://bucket/clip.mp4``; without the id of a connection.
    """
    scheme, authority, place = parts_of(path)
    # Airflow takes these two for the ends of a path, and would cut it there.
    return f"{scheme}://{authority}{place.replace('?', '%3F').replace('#', '%23')}"


def announce(context: Context, operator: BaseOperator, delivered: Delivered) -> None:
    """
    Tell Airflow of a delivered clip; nothing that goes wrong here fails the task, whose clip is there.

    Each fixed asset among the operator's outlets gets the facts as its event's ``extra``. For each asset alias there is
    an event of the asset whose URI is the clip's. Airflow stores them if the task succeeds, so a try that fails after
    this leaves none, and the try that finds the clip in its place has to call this again.

    :param context: the context of the running task.
    :param operator: the operator.
    :param delivered: the clip.
    """
    for outlet in operator.outlets:
        with _warned_of(operator, f"{outlet!r} is not told of the clip"):
            if isinstance(outlet, AssetAlias):
                context["outlet_events"][outlet].add(Asset(uri=delivered.uri), extra=delivered.as_extra())
            elif isinstance(outlet, Asset | AssetRef):
                # Airflow resolves references too, but does not say so in its types.
                context["outlet_events"][cast("Asset", outlet)].extra = delivered.as_extra()
    with _warned_of(operator, "Hook lineage is not told of the clip"):
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        collector: Any = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
        collector.add_output_asset(context=operator, uri=delivered.uri)


@contextmanager
def _warned_of(operator: BaseOperator, loss: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        operator.log.warning("%s: %s: %s", loss, type(error).__name__, error, exc_info=True)
