"""
Delivers a finished clip: downloads and checks it, records it in its receipt, and only then gives it its final name.

The receipt has the clip's hash before the clip has its name. So after any death the next try recognizes a clip that is
there as its own, and otherwise resumes the download where it broke.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.delivery.checks import check_downloaded, disk_error
from airflow_provider_minimax.delivery.cleanup import remove_leftovers
from airflow_provider_minimax.delivery.delivered_clip import DeliveredClip, with_measured
from airflow_provider_minimax.delivery.destination import Destination
from airflow_provider_minimax.delivery.download import download
from airflow_provider_minimax.delivery.part_file import PartFile
from airflow_provider_minimax.delivery.previews import write_previews
from airflow_provider_minimax.exceptions import (
    MinimaxError,
    MinimaxReceiptError,
    MinimaxRequestError,
    MinimaxStorageError,
)
from airflow_provider_minimax.purchases.context import receipt_of_fetched
from airflow_provider_minimax.purchases.ledger import Ledger, Log
from airflow_provider_minimax.purchases.receipt import Phase, Receipt, now
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.stores import SidecarStore

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.task import VideoFile, VideoTask
    from airflow_provider_minimax.delivery.source import ClipSource
    from airflow_provider_minimax.options import DeliveryOptions


def deliver_clip(
    source: ClipSource,
    task: VideoTask,
    destination: Destination,
    ledger: Ledger,
    receipt: Receipt | None,
    options: DeliveryOptions,
    *,
    log: Log,
    instead_of: Receipt | None = None,
) -> DeliveredClip:
    """
    Deliver the clip of a finished remote task; download nothing if it is there already.

    :param source: the hook.
    :param task: the finished task.
    :param destination: where to deliver the clip to.
    :param ledger: where its receipt is kept.
    :param receipt: its receipt, if there is one.
    :param options: how the author wants it.
    :param log: the task's log.
    :param instead_of: the receipt of an earlier clip at this destination, which this one's replaces.
    :return: the clip.
    :raises MinimaxRequestError: another file is at the destination and may not be replaced.
    :raises MinimaxDownloadError: the clip could not be downloaded completely.
    :raises MinimaxStorageError: it could not be written.
    :raises MinimaxClipRejectedError: it is not what was asked for; it is kept next to the destination.
    """
    delivery = _Delivery(source, task, destination, options, log)
    if receipt is not None and destination.output_state(receipt.sha256) is OutputState.MATCHES:
        log.info("The clip of MiniMax task %s is complete and delivered: %s", receipt.minimax_task_id, destination)
        delivery.remove_part_files()
        return already_delivered(receipt, destination, ledger)
    if not options.may_replace and destination.exists():
        raise _taken(destination)
    delivered = delivery.run(ledger, receipt, instead_of)
    delivery.remove_part_files()
    return delivered


def already_delivered(receipt: Receipt, destination: Destination, ledger: Ledger) -> DeliveredClip:
    """
    Return a clip that is at its destination already, and correct its receipt.

    The receipt does not say *delivered* if an earlier try died before it could write that, and names another
    destination if clip and receipt were moved together.

    :param receipt: its receipt.
    :param destination: where it is.
    :param ledger: where the receipt is kept.
    """
    is_recorded = receipt.phase is Phase.DELIVERED
    clip = DeliveredClip.from_receipt(receipt if is_recorded else receipt.delivered(now()), destination)
    if clip.receipt is not None and not (is_recorded and receipt.output_path == destination.url):
        ledger.keep(clip.receipt)
    return clip


def deliver_by_id(
    context: Context,
    source: ClipSource,
    destination: Destination,
    options: DeliveryOptions,
    *,
    minimax_task_id: str | None,
    file_id: str | None,
    find: Callable[[], VideoTask],
    log: Log,
) -> DeliveredClip:
    """
    Deliver a clip whose id is known, and complete the receipt that its purchase left at the destination.

    :param context: the context of the task that delivers it.
    :param source: the hook.
    :param destination: where to deliver the clip to.
    :param options: how the author wants it.
    :param minimax_task_id: the remote task, or
    :param file_id: its file.
    :param find: gets the remote task; not called if the clip is there already.
    :param log: the task's log.
    :return: the clip.
    :raises MinimaxReceiptError: the destination belongs to another clip, which is not finished yet.
    :raises MinimaxError: as :func:`deliver_clip` does.
    """
    options.check_dependencies()
    ledger = Ledger([SidecarStore(destination.url)], log=log)
    found = ledger.read()
    own = found if found is not None and _is_of(found, minimax_task_id, file_id, destination) else None
    if own is not None and destination.output_state(own.sha256) is OutputState.MATCHES:
        log.info("The clip is complete and delivered already, so nothing is downloaded: %s", destination)
        return already_delivered(own, destination, ledger)
    if destination.probe_is_invisible:
        destination.check()
    task = find()
    receipt = own or receipt_of_fetched(context, task, source.account())
    return deliver_clip(source, task, destination, ledger, receipt, options, log=log, instead_of=found)


def _is_of(found: Receipt, minimax_task_id: str | None, file_id: str | None, destination: Destination) -> bool:
    """Whether a receipt at the destination is that of the clip to deliver; raise if its own clip is still to come."""
    if file_id is not None:
        same = (found.facts or {}).get("file_id") == file_id
    else:
        same = found.minimax_task_id == minimax_task_id
    if found.phase is Phase.SUBMITTED and not same:
        raise MinimaxReceiptError(
            f"output_path={destination.url!r}: is reserved for the clip of task {found.minimax_task_id}, which was "
            f"bought for {found.owner} and is not delivered yet; give another path",
            billing="Nothing was bought.",
        )
    return same and found.phase is not Phase.FAILED


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One clip on its way to its destination."""

    source: ClipSource
    task: VideoTask
    destination: Destination
    options: DeliveryOptions
    log: Log

    def run(self, ledger: Ledger, receipt: Receipt | None, instead_of: Receipt | None) -> DeliveredClip:
        """Download the clip, check it, record it and put it at its destination."""
        task, destination, options, log = self.task, self.destination, self.options, self.log
        with self._part_file() as part:
            file = self._download(part)
            media = check_downloaded(
                part, destination, options.check, minimax_task_id=task.minimax_task_id, receipt=receipt, log=log
            )
            previews = {}
            if options.preview:
                previews = write_previews(part.path, destination, receipt, overwrite=options.may_replace, log=log)
            if receipt is not None:
                receipt = self._with_actual_price(receipt).finished(task, file, now())
                receipt = receipt.fetched(destination.url, part.sha256, part.size, media=media, previews=previews)
                ledger.keep(receipt, instead_of=instead_of)
            self._put(part)
            part.discard()
        log.info("Clip of MiniMax task %s: %s (%s bytes)", task.minimax_task_id or task.file_id, destination, part.size)
        if receipt is None:
            file_facts = {"output_path": destination.url, "size": part.size, "sha256": part.sha256}
            return DeliveredClip(with_measured(task.as_result(), media) | file_facts, None)
        receipt = receipt.delivered(now())
        ledger.keep(receipt)
        return DeliveredClip.from_receipt(receipt, destination)

    def _download(self, part: PartFile) -> VideoFile | None:
        """Download the clip, and return what the platform says of its file."""
        file: VideoFile | None = None

        def locate() -> VideoFile:
            nonlocal file
            task = self.task
            if not task.file_id:
                task = self.source.get_task(task.minimax_task_id, api_version=task.api_version)
            file = self.source.get_file(task)
            return file

        download(self.source.get_conn(), locate, part, log=self.log)
        return file

    def _put(self, part: PartFile) -> None:
        if self.destination.put(part.path, overwrite=self.options.may_replace):
            return
        # Another try of this task may have delivered the same clip in the meantime.
        if self.destination.output_state(part.sha256) is not OutputState.MATCHES:
            raise _taken(self.destination)

    def _with_actual_price(self, receipt: Receipt) -> Receipt:
        """Return the receipt with the list price, if that depends on the input videos, whose length is known by now."""
        request = receipt.request or {}
        is_clip = request.get("task_type", "generation") == "generation"
        if self.task.input_seconds is None or not is_clip or not request.get("reference_videos"):
            return receipt
        try:
            video_request = VideoRequest.of({name: request.get(name) for name in VideoRequest.model_fields})
            price = self.source.list_price(video_request, input_seconds=self.task.input_seconds)
        except MinimaxError:
            # People may edit a receipt, and a clip must not be lost because its price is unknown.
            return receipt
        return receipt.model_copy(update={"cost": price.as_dict()}) if price else receipt

    def _part_file(self) -> PartFile:
        path = self.destination.part_file(self._clip_key())
        try:
            return PartFile(path)
        except OSError as error:
            raise disk_error(path, error) from error

    def _clip_key(self) -> str:
        """Return what distinguishes this clip's part file from that of any other clip with the same destination."""
        account = self.source.account()
        text = f"{account['platform']} {account['base_url']} {self.task.minimax_task_id or self.task.file_id}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def remove_part_files(self) -> None:
        """Delete what dead processes left of this clip, and old leftovers of others. Errors are ignored."""
        key = self._clip_key()
        with suppress(MinimaxStorageError):
            remove_leftovers(self.destination.part_file(key).parent, key)


def _taken(destination: Destination) -> MinimaxError:
    return MinimaxRequestError(
        f"output_path={destination.url!r}: exists already; give another path, or set overwrite=True to replace it",
        hint="Downloading the clip to another path buys nothing.",
    )
