"""What Airflow learns of a clip that is in its place: events of its assets, and its lineage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetRef

from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.api.storable import storable
from airflow_provider_minimax.paths import local_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

# Further names under which Airflow's object storage opens the same things.
_SAME_SCHEME = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
# Airflow cuts a URI at these two, and "%" tells what is encoded from what is not.
_ENCODED = "?#%"
_AS_IT_IS = "".join(letter for letter in map(chr, range(ord(" "), ord("~") + 1)) if letter not in _ENCODED)
# An asset's name and URI, here the same, are in one index, whose rows PostgreSQL limits to 2704 bytes.
_LONGEST_URI = 1300


@dataclass(frozen=True, slots=True)
class Delivered:
    """
    A clip that is in its place.

    :param output_path: where it is: a path, or a URL that may name a connection (``s3://my_aws_conn@bucket/clip.mp4``).
    :param facts: what is known of it: plain JSON values with ``sha256`` and ``size``, and without any signed URL.
    :param inputs: the pictures that went into it, as the DAG named them. Not shown by ``repr``: they may be signed.
    """

    output_path: str
    facts: Mapping[str, Any]
    inputs: tuple[str, ...] = field(default=(), repr=False)

    @property
    def uri(self) -> str:
        """The clip's name in Airflow's assets."""
        return uri_of(self.output_path)

    def as_asset(self) -> Asset:
        """
        Return the clip as an asset.

        :raises ValueError: Airflow's server would refuse it, and fail the task after its end.
        """
        if len(self.uri) > _LONGEST_URI:
            raise ValueError(
                f"the asset URI of the clip has {len(self.uri)} characters, encoded; at most {_LONGEST_URI} fit into "
                "Airflow's database. Give a shorter output_path"
            )
        return Asset(uri=self.uri)

    def as_extra(self) -> dict[str, Any]:
        """
        Return the facts that are known, without nesting: ``{"cost": {"amount": 1}}`` becomes ``{"cost.amount": 1}``.

        Airflow 3.0 hashes the values of an alias's event, so that a nested one would fail the task.
        """
        return dict(_flat(storable(self.facts)))


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
    local = local_path(path)
    if local is not None:
        return "file", "", str(local)
    scheme, _, rest = path.partition("://")
    scheme = scheme.lower()
    authority, slash, key = rest.partition("/")
    return _SAME_SCHEME.get(scheme, scheme), authority.rpartition("@")[2], slash + key


def uri_of(path: str) -> str:
    """
    Return the one URI under which Airflow's assets know a file.

    :param path: a local path, or a URL as Airflow's object storage takes it.
    :return: ``file:///data/clip.mp4``, ``s3://bucket/clip.mp4``; without the id of a connection. It is ASCII, as
        Airflow's server demands: other characters are percent-encoded, as are ``?``, ``#`` and ``%``.
    """
    scheme, authority, place = parts_of(path)
    # A file's name may have bytes that are no UTF-8.
    return f"{scheme}://{quote(authority + place, safe=_AS_IT_IS, errors='surrogateescape')}"


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
        with warned_of(operator.log, f"No event for {_name_of(outlet)}: the clip is delivered all the same"):
            if isinstance(outlet, AssetAlias):
                context["outlet_events"][outlet].add(delivered.as_asset(), extra=_extra(context, delivered))
            elif isinstance(outlet, Asset | AssetRef):
                # Airflow resolves references too, but does not say so in its types.
                context["outlet_events"][cast("Asset", outlet)].extra = _extra(context, delivered)
    with warned_of(operator.log, "No hook lineage of the clip, which is delivered all the same"):
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        collector: Any = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
        collector.add_output_asset(context=operator, uri=delivered.uri)


def result_of(context: Context, facts: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what a task that buys or delivers has as its result: facts that can be matched with the row they are of.

    :param context: the context of the running task.
    :param facts: what is known of the clip.
    :return: the same with ``map_index``, fit for Airflow's database.
    """
    ti: Any = context["ti"]
    result: dict[str, Any] = storable({**facts, "map_index": ti.map_index})
    return result


def _extra(context: Context, delivered: Delivered) -> dict[str, Any]:
    """Return the facts, and which of its mapped siblings the task is: a clip may have been bought by another one."""
    ti: Any = context["ti"]
    return delivered.as_extra() | {"map_index": ti.map_index}


def _name_of(outlet: Any) -> str:
    # Its representation has the extra, which may hold anything.
    return f"{type(outlet).__name__} {redact(str(getattr(outlet, 'name', None) or getattr(outlet, 'uri', outlet)))!r}"


@contextmanager
def warned_of(log: Any, loss: str) -> Iterator[None]:
    """
    Turn any exception into a warning in the task's log, for what comes after the clip is delivered.

    :param log: the log of the task that delivered it.
    :param loss: what there will not be, in words.
    """
    try:
        yield
    except Exception as error:
        # Without a traceback, which repeats the error's words with whatever secrets they hold.
        log.warning("%s. %s: %s", loss, type(error).__name__, redact(str(error)))
