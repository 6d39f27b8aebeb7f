"""
A delivered clip in the terms of OpenLineage, https://openlineage.io/docs/spec/naming.

Imported only by Airflow's OpenLineage provider's call, so everything that it needs is there.
"""

from __future__ import annotations

from typing import Any

import attrs
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import RunFacet, dataset_version_dataset, output_statistics_output_dataset

from airflow_provider_minimax.api.storable import printable, storable
from airflow_provider_minimax.delivery.assets import Delivered, parts_of

_NOT_STORAGE = ("http://", "https://", "data:", "mm_file://")
# It is its author's, and lineage is kept by others; its hash is enough to tell it from another.
_NOT_TOLD = "prompt"


@attrs.define
class MinimaxClipRunFacet(RunFacet):
    """
    What is known of the clip.

    :param clip: the facts, as in the events of its assets.
    """

    clip: dict[str, Any]


def lineage_of(delivered: Delivered) -> OperatorLineage[Dataset, RunFacet]:
    """
    Return where a clip came from and where it is.

    :param delivered: the clip.
    :return: the clip's file with its size and, as its version, its hash; the pictures that were read from files or
        storage; and the run facet ``minimax_clip`` with the facts, but for the prompt.
    """
    facts = {name: fact for name, fact in delivered.as_extra().items() if name != _NOT_TOLD}
    namespace, name = dataset_of(delivered.output_path)
    version = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=f"sha256:{facts['sha256']}")
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(size=facts["size"])
    clip = OutputDataset(namespace, name, facets={"version": version}, outputFacets={"outputStatistics": statistics})
    pictures: list[Dataset] = [
        InputDataset(*dataset_of(path)) for path in delivered.inputs if not path.lower().startswith(_NOT_STORAGE)
    ]
    return OperatorLineage(inputs=pictures, outputs=[clip], run_facets={"minimax_clip": MinimaxClipRunFacet(facts)})


def dataset_of(path: str) -> tuple[str, str]:
    """
    Return a file's namespace and name.

    :param path: a local path, or a URL as Airflow's object storage takes it.
    :return: ``("file", "/data/clip.mp4")``, ``("s3://bucket", "clip.mp4")``.
    """
    scheme, authority, place = parts_of(path)
    is_local = scheme == "file" and not authority
    namespace, name = ("file", place) if is_local else (f"{scheme}://{authority}", place.removeprefix("/"))
    return printable(storable(namespace)), printable(storable(name))
