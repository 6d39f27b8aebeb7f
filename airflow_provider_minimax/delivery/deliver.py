"""
A finished clip becomes a file in its place: fetched, looked at, written down, and only then given its name.

The receipt gets the clip's hash before the clip gets its name. So whatever dies in between, the next try knows a clip
that is there for its own, and one that is not there is fetched on from where it broke.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.api.request import VideoRequest
from airflow_provider_minimax.api.storable import storable
from airflow_provider_minimax.delivery.cleanup import clean
from airflow_provider_minimax.delivery.destination import Destination
from airflow_provider_minimax.delivery.download import download
from airflow_provider_minimax.delivery.part_file import PartFile
from airflow_provider_minimax.exceptions import (
    MinimaxClipRejectedError,
    MinimaxError,
    MinimaxReceiptError,
    MinimaxRequestError,
    MinimaxStorageError,
)
from airflow_provider_minimax.purchases.context import receipt_of_fetched
from airflow_provider_minimax.purchases.ledger import Ledger, Log
from airflow_provider_minimax.purchases.purchase import now
from airflow_provider_minimax.purchases.receipt import Phase, Receipt
from airflow_provider_minimax.purchases.rules import OutputState
from airflow_provider_minimax.purchases.stores import SidecarStore

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_minimax.api.task import VideoFile, VideoTask
    from airflow_provider_minimax.hooks.minimax import MinimaxHook
    from airflow_provider_minimax.media.check import Wanted
    from airflow_provider_minimax.options import DeliveryOptions

PREVIEWS = {"poster": ".poster.jpg", "contact_sheet": ".contact-sheet.jpg"}
"""What the pictures next to a clip are called in its receipt, and what their names end with."""
# Each was paid for. Who buys so many again has looked at none of them.
_MOST_REJECTED = 20
_MEASURED = ("width", "height", "duration")
# All that a Hailuo model takes.
_LONGEST_PROMPT = 2000


@dataclass(frozen=True, slots=True)
class DeliveredClip:
    """
    A clip that is in its place.

    :param facts: what operators return of it: the platform's facts, ``output_path``, ``size`` in bytes and ``sha256``;
        of a clip with a receipt also ``model``, ``prompt``, ``cost`` and ``previews``, each ``None`` if it is unknown.
    :param receipt: its receipt, if it has one.
    """

    facts: dict[str, Any]
    receipt: Receipt | None

    @classmethod
    def of(cls, receipt: Receipt, place: Destination) -> DeliveredClip:
        """
        Return the clip of a receipt.

        :param receipt: the receipt, which tells what the clip is; where it is, only the place knows.
        :param place: where the clip is.
        """
        receipt = receipt.model_copy(update={"output_path": place.url, "previews": _previews_at(place, receipt)})
        where = {"output_path": place.url, "size": receipt.size, "sha256": receipt.sha256}
        origin = {**origin_of(receipt), "previews": receipt.previews}
        return cls(_completed(receipt.facts or {}, receipt.media) | where | origin, receipt)

    def told(self) -> dict[str, Any]:
        """Return what is worth telling downstream: the facts, and where the clip came from."""
        if self.receipt is None:
            return self.facts
        receipt = self.receipt
        prompt = _prompt_of(receipt)
        return self.facts | {
            "platform": receipt.platform,
            "prompt_sha256": None if prompt is None else hashlib.sha256(prompt.encode()).hexdigest(),
            "fingerprint": receipt.fingerprint,
            "provider_version": receipt.provider_version,
        }


def origin_of(receipt: Receipt) -> dict[str, Any]:
    """
    Return what tells which request a clip is of: ``model``, ``prompt`` (its beginning) and ``cost``.

    :param receipt: its receipt.
    """
    return {"model": receipt.model, "prompt": _shortened(_prompt_of(receipt)), "cost": receipt.cost}


def deliver_clip(
    hook: MinimaxHook,
    task: VideoTask,
    place: Destination,
    ledger: Ledger,
    receipt: Receipt | None,
    wishes: DeliveryOptions,
    *,
    log: Log,
    instead_of: Receipt | None = None,
) -> DeliveredClip:
    """
    Fetch a clip, put it in its place and write that down; fetch nothing if it is there already.

    :param hook: the way to the platform.
    :param task: the finished task.
    :param place: the clip's place.
    :param ledger: where its receipt is kept.
    :param receipt: its receipt, if there is one.
    :param wishes: how the author wants it.
    :param log: where to say what happens.
    :param instead_of: the receipt of an earlier clip at this place, which this one's replaces.
    :return: the clip.
    :raises MinimaxRequestError: another file is at its place and may not be replaced.
    :raises MinimaxDownloadError: the clip could not be fetched whole.
    :raises MinimaxStorageError: it could not be written.
    :raises MinimaxClipRejectedError: it is not what was asked for; it is kept aside.
    """
    if receipt is not None and place.look(receipt.sha256) is OutputState.MATCHES:
        log.info("The clip of MiniMax task %s is whole and in its place: %s", receipt.minimax_task_id, place)
        _clean_up(place, hook, task)
        return already_delivered(receipt, place, ledger)
    if not wishes.may_replace and place.exists():
        raise _occupied(place)
    file: VideoFile | None = None

    def locate() -> VideoFile:
        nonlocal file
        file = hook.get_file(
            task if task.file_id else hook.get_task(task.minimax_task_id, api_version=task.api_version)
        )
        return file

    with _part_file(place, hook, task) as clip:
        download(hook.get_conn(), locate, clip, log=log)
        sha256, size = clip.sha256, clip.size
        media = _checked(clip, task, place, receipt, wishes, log)
        previews = _pictures(clip.path, place, receipt, wishes.may_replace, log) if wishes.preview else {}
        if receipt is not None:
            receipt = _priced(hook, receipt, task).finished(task, file, now())
            receipt = receipt.fetched(place.url, sha256, size, media=media, previews=previews)
            ledger.keep(receipt, instead_of=instead_of)
        if not place.put(clip.path, overwrite=wishes.may_replace) and place.look(sha256) is not OutputState.MATCHES:
            raise _occupied(place)
        clip.discard()
    _clean_up(place, hook, task)
    log.info("Clip of MiniMax task %s: %s (%s bytes)", task.minimax_task_id or task.file_id, place, size)
    if receipt is None:
        facts = _completed(task.as_result(), media) | {"output_path": place.url, "size": size, "sha256": sha256}
        return DeliveredClip(facts, None)
    receipt = receipt.delivered(now())
    ledger.keep(receipt)
    return DeliveredClip.of(receipt, place)


def _priced(hook: MinimaxHook, receipt: Receipt, task: VideoTask) -> Receipt:
    """Return the receipt with what the clip lists at, if it went by videos whose length the platform tells now."""
    asked = receipt.request or {}
    is_clip = asked.get("task_type", "generation") == "generation"
    if task.input_seconds is None or not is_clip or not asked.get("reference_videos"):
        return receipt
    try:
        request = VideoRequest.of({name: asked.get(name) for name in VideoRequest.model_fields})
        price = hook.list_price(request, input_seconds=task.input_seconds)
    except MinimaxError:
        # A clip is not lost to its price, and a receipt is a file that people may edit.
        return receipt
    return receipt.model_copy(update={"cost": price.as_dict()}) if price else receipt


def already_delivered(receipt: Receipt, place: Destination, ledger: Ledger) -> DeliveredClip:
    """
    Return a clip that is in its place already, and correct its receipt.

    That does not say so if an earlier try died before it could write it down, and names another place if clip and
    receipt were moved together.

    :param receipt: its receipt.
    :param place: where it is.
    :param ledger: where the receipt is kept.
    """
    landed = DeliveredClip.of(receipt if receipt.phase is Phase.DELIVERED else receipt.delivered(now()), place)
    if landed.receipt is not None and (receipt.phase, receipt.output_path) != (Phase.DELIVERED, place.url):
        ledger.keep(landed.receipt)
    return landed


def deliver(
    context: Context,
    hook: MinimaxHook,
    place: Destination,
    wishes: DeliveryOptions,
    *,
    minimax_task_id: str | None,
    file_id: str | None,
    find: Callable[[], VideoTask],
    log: Log,
) -> DeliveredClip:
    """
    Deliver a clip that is known by its id, and complete the receipt that its purchase left at the place.

    :param context: the context of the task that delivers it.
    :param hook: the way to the platform.
    :param place: the clip's place.
    :param wishes: how the author wants it.
    :param minimax_task_id: the remote task, or
    :param file_id: its file.
    :param find: looks at the remote task; not called if the clip is there already.
    :param log: where to say what happens.
    :return: the clip.
    :raises MinimaxReceiptError: the place is that of another clip, which is still to come.
    :raises MinimaxError: as :func:`land` does.
    """
    wishes.check_dependencies()
    ledger = Ledger([SidecarStore(place.url)], log=log)
    found = ledger.read()
    own = found if found is not None and _is_of(found, minimax_task_id, file_id, place) else None
    if own is not None and place.look(own.sha256) is OutputState.MATCHES:
        log.info("The clip is whole and in its place, so nothing is fetched: %s", place)
        return already_delivered(own, place, ledger)
    if place.probe_is_invisible:
        place.check()
    task = find()
    receipt = own or receipt_of_fetched(context, task, hook.account())
    return deliver_clip(hook, task, place, ledger, receipt, wishes, log=log, instead_of=found)


def _is_of(found: Receipt, minimax_task_id: str | None, file_id: str | None, place: Destination) -> bool:
    """Whether a receipt at the place is that of the clip to deliver; stop if it is of one still to come."""
    if file_id is not None:
        same = (found.facts or {}).get("file_id") == file_id
    else:
        same = found.minimax_task_id == minimax_task_id
    if found.phase is Phase.SUBMITTED and not same:
        raise MinimaxReceiptError(
            f"output_path={place.url!r}: is where the clip of task {found.minimax_task_id}, bought for {found.owner}, "
            "will land; give another path",
            billing="Nothing was bought.",
        )
    return same and found.phase is not Phase.FAILED


def _mark(hook: MinimaxHook, task: VideoTask) -> str:
    """Return what tells the kept bytes of this clip from those of any other that goes to the same place."""
    account = hook.account()
    text = f"{account['platform']} {account['base_url']} {task.minimax_task_id or task.file_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _clean_up(place: Destination, hook: MinimaxHook, task: VideoTask) -> None:
    """Take away what dead processes left of this clip, and of others long ago; the clip is delivered either way."""
    mark = _mark(hook, task)
    with suppress(MinimaxStorageError):
        clean(place.part_file(mark).parent, mark)


def _part_file(place: Destination, hook: MinimaxHook, task: VideoTask) -> PartFile:
    path = place.part_file(_mark(hook, task))
    try:
        return PartFile(path)
    except OSError as error:
        raise _disk_fails(path, error) from error


def _checked(
    clip: PartFile, task: VideoTask, place: Destination, receipt: Receipt | None, wishes: DeliveryOptions, log: Log
) -> dict[str, Any] | None:
    """Look at the clip as closely as was asked for, and keep one that is rejected aside."""
    if wishes.check == "none":
        return None
    try:
        from airflow_provider_minimax.media.check import check_clip

        media = check_clip(clip.path, "full" if wishes.check == "full" else "basic", _wanted(receipt))
    except MinimaxClipRejectedError as error:
        error.minimax_task_id = task.minimax_task_id or None
        error.billing = "The clip was bought, and is billed as any other."
        error.hint = (
            f"{_kept_aside(clip, place)} To have it all the same, fetch it with check='none'; that buys nothing."
        )
        raise
    except OSError as error:
        raise _disk_fails(clip.path, error) from error
    except Exception as error:
        # Whatever fails here is no fault of the clip: what is wrong with that is a rejection.
        what = redact(f"{type(error).__name__}: {error}")
        log.warning("The clip is delivered unchecked: the check itself failed (%s).", what)
        return None
    if media is None:
        return None
    size = "unknown size" if media.width is None else f"{media.width}x{media.height}"
    length = "unknown length" if media.duration is None else f"{media.duration:.2f} s"
    log.info("The clip passes the check (%s): %s, %s, %s", wishes.check, size, length, media.codec)
    return media.as_dict()


def _wanted(receipt: Receipt | None) -> Wanted:
    from airflow_provider_minimax.media.check import Wanted

    request = (receipt and receipt.request) or {}
    # A clip that begins or ends with a picture has the picture's ratio, whatever was asked for.
    has_frames = any(request.get(name) for name in ("first_frame_image", "last_frame_image"))
    return Wanted(request.get("resolution"), request.get("duration"), None if has_frames else request.get("ratio"))


def _kept_aside(clip: PartFile, place: Destination) -> str:
    """Keep a rejected clip where people find it, and beside earlier ones; where that fails, it stays where it is."""
    why = f"{_MOST_REJECTED} others are kept already"
    try:
        for number in range(1, _MOST_REJECTED + 1):
            aside = place.rejected(number)
            if aside.look(clip.sha256) is OutputState.MATCHES or aside.put(clip.path, overwrite=False):
                clip.discard()
                return f"Look at it: {aside}."
    except MinimaxError as error:
        why = error.message
    clip.keep()
    return f"It is kept for a week as {clip.path} on this worker, because {why}."


def _pictures(clip: Path, place: Destination, receipt: Receipt | None, overwrite: bool, log: Log) -> dict[str, str]:
    """Put pictures next to the clip, as many as can be made: none of them is a reason to withhold the clip."""
    made: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name in PREVIEWS:
        try:
            picture = place.sibling(PREVIEWS[name])
            if not (overwrite or may_be_redrawn(picture)):
                raise MinimaxRequestError(f"{picture} is a file of somebody else; overwrite=True would replace it")
            picture.put_bytes(_drawn(name, clip, place, receipt), "image/jpeg")
        except Exception as error:
            missing[name] = redact(str(error) or type(error).__name__, limit=200)
        else:
            made[name] = picture.url
    if missing:
        reasons = "; ".join(dict.fromkeys(missing.values()))
        log.warning("The clip has no %s next to it: %s", " and no ".join(missing).replace("_", " "), reasons)
    return made


def may_be_redrawn(picture: Destination) -> bool:
    """
    Say whether a picture may be put in a place: nothing is there, or one that was drawn by this package.

    :param picture: the place.
    :raises MinimaxStorageError: it cannot be read.
    """
    from airflow_provider_minimax.media.canvas import is_made_here

    if not picture.exists():
        return True
    with picture.open() as file:
        return is_made_here(file)


def _drawn(name: str, clip: Path, place: Destination, receipt: Receipt | None) -> bytes:
    from airflow_provider_minimax.media.preview import contact_sheet, poster

    if name == "poster":
        return poster(clip)
    return contact_sheet(clip, place.name, receipt.model if receipt else None)


def _previews_at(place: Destination, receipt: Receipt) -> dict[str, str] | None:
    """Return those of the clip's pictures that are next to it now."""
    found: dict[str, str] = {}
    for name in PREVIEWS.keys() & (receipt.previews or {}).keys():
        with suppress(MinimaxStorageError):
            if (picture := place.sibling(PREVIEWS[name])).exists():
                found[name] = picture.url
    return {name: found[name] for name in PREVIEWS if name in found} or None


def _disk_fails(path: Path, error: OSError) -> MinimaxStorageError:
    return MinimaxStorageError(
        f"the clip cannot be kept at {path} ({error.strerror or type(error).__name__})",
        hint="See to the disk, then run this again: fetching the clip costs nothing.",
    )


def _prompt_of(receipt: Receipt) -> str | None:
    prompt = (receipt.request or {}).get("prompt")
    # A receipt is a file that people may edit, and the clip is there whatever it says.
    return storable(prompt) if isinstance(prompt, str) else None


def _shortened(prompt: str | None) -> str | None:
    if prompt is None or len(prompt) <= _LONGEST_PROMPT:
        return prompt
    return f"{prompt[: _LONGEST_PROMPT - 1]}…"


def _completed(facts: dict[str, Any], media: dict[str, Any] | None) -> dict[str, Any]:
    """Return the platform's facts, and where it says nothing, what was measured."""
    return facts | {name: (media or {}).get(name) for name in _MEASURED if facts.get(name) is None}


def _occupied(place: Destination) -> MinimaxError:
    return MinimaxRequestError(
        f"output_path={place.url!r}: exists already; give another path, or set overwrite=True to replace it",
        hint="Fetching the clip to another path buys nothing.",
    )
