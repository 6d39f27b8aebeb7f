"""
A delivered clip in the terms of OpenLineage, https://openlineage.io/docs/spec/naming.

Imported only when Airflow's OpenLineage provider asks for lineage, so the packages that it needs are installed.
"""

from __future__ import annotations

from typing import Any

import attrs
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import RunFacet, dataset_version_dataset, output_statistics_output_dataset

from airflow_provider_minimax.delivery.assets import ClipAsset, parts_of
from airflow_provider_minimax.text.storable import printable, storable

_NOT_STORAGE = ("http://", "https://", "data:", "mm_file://")
# Prompts belong to their authors, and lineage is often kept elsewhere; the hash is enough to compare prompts.
_OMITTED = "prompt"


@attrs.define
class MinimaxClipRunFacet(RunFacet):
    """
    What is known about the clip.

    :param clip: the facts, as in its asset events.
    """

    clip: dict[str, Any]


def lineage_of(delivered: ClipAsset) -> OperatorLineage[Dataset, RunFacet]:
    """
    Return the lineage of a clip.

    :param delivered: the clip.
    :return: the clip's file with its size and, as its version, its hash; the pictures that were read from files or
        storage; and the run facet ``minimax_clip`` with the facts, except for the prompt.
    """
    facts = {name: fact for name, fact in delivered.as_extra().items() if name != _OMITTED}
    namespace, name = dataset_of(delivered.output_path)
    version = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=f"sha256:{facts['sha256']}")
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(size=facts["size"])
    clip = OutputDataset(namespace, name, facets={"version": version}, outputFacets={"outputStatistics": statistics})
    inputs: list[Dataset] = [
        InputDataset(*dataset_of(path)) for path in delivered.inputs if not path.lower().startswith(_NOT_STORAGE)
    ]
    return OperatorLineage(inputs=inputs, outputs=[clip], run_facets={"minimax_clip": MinimaxClipRunFacet(facts)})


def dataset_of(path: str) -> tuple[str, str]:
    """
    Return a file's namespace and name.

    :param path: a local path, or a URL as Airflow's object storage takes it.
    :return: ``("file", "/data/clip.mp4")``, ``("s3://bucket", "clip.mp4")``.
    """
    scheme, authority, key = parts_of(path)
    is_local = scheme == "file" and not authority
    namespace, name = ("file", key) if is_local else (f"{scheme}://{authority}", key.removeprefix("/"))
    return printable(storable(namespace)), printable(storable(name))
