"""How Airflow learns about a delivered clip: asset events and hook lineage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetRef

from airflow_provider_minimax.paths import local_path
from airflow_provider_minimax.text.redaction import redact
from airflow_provider_minimax.text.storable import storable

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

# Other schemes under which Airflow's object storage opens the same objects.
_SAME_SCHEME = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
# Airflow cuts a URI at "?" and "#"; "%" must be encoded because it marks what is.
_ENCODED = "?#%"
_UNENCODED = "".join(letter for letter in map(chr, range(ord(" "), ord("~") + 1)) if letter not in _ENCODED)
# An asset's name and URI, which are the same here, share an index, and PostgreSQL limits its rows to 2704 bytes.
_LONGEST_URI = 1300


@dataclass(frozen=True, slots=True)
class ClipAsset:
    """
    A delivered clip as Airflow's assets and lineage describe it. The delivery itself returns a :class:`.DeliveredClip`.

    :param output_path: where it is: a path, or a URL that may name a connection (``s3://my_aws_conn@bucket/clip.mp4``).
    :param facts: what is known about it: plain JSON values with ``sha256`` and ``size``, and without any signed URL.
    :param inputs: the pictures that it was made from, as the DAG names them. ``repr`` hides them: URLs may be signed.
    """

    output_path: str
    facts: Mapping[str, Any]
    inputs: tuple[str, ...] = field(default=(), repr=False)

    @property
    def uri(self) -> str:
        """The URI of the clip's asset."""
        return uri_of(self.output_path)

    def as_asset(self) -> Asset:
        """
        Return the clip as an asset.

        :raises ValueError: the URI is too long for Airflow's database, which would fail the task after it ended.
        """
        if len(self.uri) > _LONGEST_URI:
            raise ValueError(
                f"the clip's asset URI has {len(self.uri)} characters after encoding; at most {_LONGEST_URI} fit into "
                "Airflow's database. Give a shorter output_path"
            )
        return Asset(uri=self.uri)

    def as_extra(self) -> dict[str, Any]:
        """
        Return the known facts, flattened: ``{"cost": {"amount": 1}}`` becomes ``{"cost.amount": 1}``.

        Airflow 3.0 hashes the values of an alias's event, so a nested one would fail the task.
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
    Return where a file is, without the connection that it is reached through.

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
    Return the URI of a file's asset.

    :param path: a local path, or a URL as Airflow's object storage takes it.
    :return: ``file:///data/clip.mp4``, ``s3://bucket/clip.mp4``; without a connection id. It is ASCII, as
        Airflow's server requires: other characters are percent-encoded, as are ``?``, ``#`` and ``%``.
    """
    scheme, authority, key = parts_of(path)
    # A file name may have bytes that are not UTF-8.
    return f"{scheme}://{quote(authority + key, safe=_UNENCODED, errors='surrogateescape')}"


def announce(context: Context, operator: BaseOperator, delivered: ClipAsset) -> None:
    """
    Report a delivered clip to Airflow. Errors are logged, not raised: the clip is delivered already.

    Each asset among the operator's outlets gets the facts as its event's ``extra``. For each asset alias there is an
    event of the asset whose URI is the clip's. Airflow stores events only if the task succeeds, so a try that fails
    after this leaves none, and the next try, which finds the clip delivered, must call this again.

    :param context: the context of the running task.
    :param operator: the operator.
    :param delivered: the clip.
    """
    for outlet in operator.outlets:
        with warn_instead_of_raising(operator.log, f"No event for {_name_of(outlet)}, but the clip is delivered"):
            if isinstance(outlet, AssetAlias):
                context["outlet_events"][outlet].add(delivered.as_asset(), extra=_extra(context, delivered))
            elif isinstance(outlet, Asset | AssetRef):
                # Airflow resolves references too, but its types do not say so.
                context["outlet_events"][cast("Asset", outlet)].extra = _extra(context, delivered)
    with warn_instead_of_raising(operator.log, "No hook lineage, but the clip is delivered"):
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        collector: Any = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
        collector.add_output_asset(context=operator, uri=delivered.uri)


def result_of(context: Context, facts: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the result (``return_value``) of a task that buys or delivers a clip.

    :param context: the context of the running task.
    :param facts: what is known about the clip.
    :return: the facts with ``map_index``, so that results of mapped tasks can be matched with their inputs; only values
        that Airflow's database can store.
    """
    ti: Any = context["ti"]
    result: dict[str, Any] = storable({**facts, "map_index": ti.map_index})
    return result


def _extra(context: Context, delivered: ClipAsset) -> dict[str, Any]:
    """Return the facts and the task's map index: the clip may have been bought by another mapped instance."""
    ti: Any = context["ti"]
    return delivered.as_extra() | {"map_index": ti.map_index}


def _name_of(outlet: Any) -> str:
    # Its repr includes the extra, which may hold secrets.
    return f"{type(outlet).__name__} {redact(str(getattr(outlet, 'name', None) or getattr(outlet, 'uri', outlet)))!r}"


@contextmanager
def warn_instead_of_raising(log: Any, loss: str) -> Iterator[None]:
    """
    Log any exception as a warning: what comes after the delivery must not fail the task.

    :param log: the task's log.
    :param loss: what is missing because of the error; begins the message.
    """
    try:
        yield
    except Exception as error:
        # Without the traceback, which would repeat the message unredacted.
        log.warning("%s. %s: %s", loss, type(error).__name__, redact(str(error)))
