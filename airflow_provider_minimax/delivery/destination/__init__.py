"""
Where clips are delivered to: :mod:`.output_path` reads what the author wrote, :mod:`.local` and :mod:`.object_storage`
write there.
"""

from __future__ import annotations

from airflow_provider_minimax.delivery.destination.base import Destination
from airflow_provider_minimax.delivery.destination.local import LocalDestination
from airflow_provider_minimax.delivery.destination.object_storage import ObjectStorageDestination
from airflow_provider_minimax.delivery.destination.output_path import destination_of

__all__ = ["Destination", "LocalDestination", "ObjectStorageDestination", "destination_of"]
