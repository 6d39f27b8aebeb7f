"""
A process that delivers a clip and kills itself: ``python -m tests.delivery.mortal OUTPUT TASK POINT NUMBER``.

Points: ``bytes`` (so many are in the part file), ``upload`` (so many parts are in the object storage), ``put`` and
``kept`` (before the clip gets its name; before the last word on it is written down). SIGKILL leaves no time for
anything to be put in order, so what the next process finds is what was on disk.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, number: int) -> None:
    from airflow_provider_minimax.delivery.destination import LocalDestination, ObjectStorageDestination
    from airflow_provider_minimax.delivery.part_file import PartFile
    from airflow_provider_minimax.purchases.ledger import Ledger

    if point == "bytes":
        write = PartFile.write

        def counted(self: PartFile, chunk: bytes) -> None:
            write(self, chunk)
            if self.size >= number:
                die()

        PartFile.write = counted  # type: ignore[method-assign]
    elif point == "upload":
        from s3fs import S3FileSystem

        call = S3FileSystem._call_s3

        async def numbered(self: Any, method: str, *args: Any, **options: Any) -> Any:
            result = await call(self, method, *args, **options)
            if method == "upload_part" and options["PartNumber"] >= number:
                die()
            return result

        S3FileSystem._call_s3 = numbered
    elif point == "put":
        for place in (LocalDestination, ObjectStorageDestination):
            place.put = lambda *_, **__: die()  # type: ignore[method-assign]
    elif point == "kept":
        keep = Ledger.keep

        def not_to_the_end(self: Ledger, receipt: Any, **options: Any) -> None:
            if receipt.phase == "delivered":
                die()
            keep(self, receipt, **options)

        Ledger.keep = not_to_the_end  # type: ignore[method-assign]


def main() -> None:
    from airflow.sdk.io import attach

    from airflow_provider_minimax.operators.video import MinimaxVideoDownloadOperator
    from tests.fakes import FakeTaskInstance
    from tests.object_storage import filesystem

    output, minimax_task_id, point, number = sys.argv[1:]
    if endpoint := os.environ.get("S3_ENDPOINT"):
        attach("s3", fs=filesystem(endpoint))
    arm(point, int(number))
    operator = MinimaxVideoDownloadOperator(task_id="download", minimax_task_id=minimax_task_id, output_path=output)
    operator.execute({"ti": FakeTaskInstance()})


if __name__ == "__main__":
    main()
