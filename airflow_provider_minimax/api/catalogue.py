"""
The known models: what each takes and what its clips list at.

The facts are in ``catalogue_models.py`` and ``catalogue_prices.py``; this module only reads them. DAG files do, when
they are parsed: named tuples, data classes and compiled patterns would cost them more than all the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from copy import copy
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.api.catalogue_models import MODELS, OTHER_TASK_TYPES
from airflow_provider_minimax.api.modes import Mode

if TYPE_CHECKING:
    from airflow_provider_minimax.api.cost import ListPrice
    from airflow_provider_minimax.api.request import VideoRequest

# Gateways write the name in their own way: "minimax-h3-max", "minimax/minimax-h3", "h3".
_NAMED_LIKE_H3 = r"(?i)(.*/)?(minimax[-_ ]?)?h\d"
FRAME_FIELDS = ("first_frame_image", "last_frame_image")


class ModeLimits:
    """
    What a model takes in one mode.

    :param resolutions: resolution to lengths in seconds; the first of each is the default. Empty: neither is taken.
    :param options: the optional fields that are taken besides.
    :param required: the fields that have no default.
    :param ratios: the values of ``ratio``, where that is an option.
    :param is_second_hand: whether only others than MiniMax say so: what they leave out is sent with a warning.
    """

    __slots__ = ("is_second_hand", "options", "ratios", "required", "resolutions")

    def __init__(
        self,
        resolutions: Mapping[str, tuple[int, ...]],
        options: frozenset[str],
        required: frozenset[str],
        ratios: tuple[str, ...],
        is_second_hand: bool,
    ) -> None:
        self.resolutions = resolutions
        self.options = options
        self.required = required
        self.ratios = ratios
        self.is_second_hand = is_second_hand


class Model:
    """
    A known model.

    :param name: the official name.
    :param prompt_limit: the longest prompt, in characters.
    :param modes: what it takes in each mode that it has.
    :param api: which version of MiniMax's API has it: ``v1`` or ``v2``.
    :param extra: the keys of ``extra`` and their values, where that is an option.
    :param other_task_types: what it has besides clips: ``regeneration``, ``h3_context_ir``.
    """

    __slots__ = ("api", "extra", "modes", "name", "other_task_types", "prompt_limit")

    def __init__(
        self,
        name: str,
        prompt_limit: int,
        modes: Mapping[Mode, ModeLimits],
        api: str,
        extra: Mapping[str, tuple[str, ...]],
        other_task_types: frozenset[str],
    ) -> None:
        self.name = name
        self.prompt_limit = prompt_limit
        self.modes = modes
        self.api = api
        self.extra = extra
        self.other_task_types = other_task_types

    def with_prompt_limit(self, prompt_limit: int) -> Model:
        """Return the same model with another limit for prompts."""
        changed = copy(self)
        changed.prompt_limit = prompt_limit
        return changed


@cache
def models() -> Mapping[str, Model]:
    """Return every known model by its official name."""
    return {
        name: Model(
            name,
            row["prompt_limit"],
            {
                Mode(mode): ModeLimits(
                    limits["resolutions"],
                    frozenset(limits["options"]),
                    frozenset(limits.get("required", ())),
                    limits.get("ratios", ()),
                    limits["source"].endswith("second_hand"),
                )
                for mode, limits in row["modes"].items()
            },
            row.get("api", "v1"),
            row.get("extra", {}),
            frozenset(row.get("also", ())),
        )
        for name, row in MODELS.items()
    }


def facts_of(task_type: str) -> Mapping[str, Any]:
    """
    Return the facts of what a model has besides clips, as they are in ``catalogue_models.py``.

    :param task_type: ``regeneration`` or ``h3_context_ir``.
    """
    return OTHER_TASK_TYPES[task_type]


def api_of(model: str) -> str:
    """
    Return which version of MiniMax's API has a model.

    :param model: its official name; one that is not known belongs to v2 if it is named like those of v2.
    :return: ``v1`` or ``v2``.
    """
    known = models().get(model)
    return known.api if known else "v2" if re.match(_NAMED_LIKE_H3, model) else "v1"


def list_price(request: VideoRequest, *, currency: str = "usd", input_seconds: float | None = None) -> ListPrice | None:
    """
    Return what the clip lists at on the official API, e.g. ``0.28 USD (list price, read 2026-07-10)``.

    It says nothing of gateways, which have prices of their own.

    :param request: the request; unset resolution and duration count as the API's defaults.
    :param currency: ``usd`` (global accounts) or ``cny`` (mainland accounts).
    :param input_seconds: how long its reference videos are together, where the platform reported it; otherwise files
        that say it are measured.
    :return: the price with its date, or ``None`` where none is published, or a part of it is not known.
    """
    from airflow_provider_minimax.api.catalogue_prices import PRICES, READ
    from airflow_provider_minimax.api.cost import ListPrice

    model = models().get(request.model)
    limits = model and model.modes.get(request.mode)
    if not limits or not limits.resolutions:
        return None
    if limits.required:
        return _price_by_the_second(request, currency, input_seconds)
    resolution = request.resolution or next(iter(limits.resolutions))
    duration = request.duration or 6
    for row in PRICES:
        if request.model in row["models"] and (row["resolution"], row["duration"]) == (resolution, duration):
            return ListPrice(Decimal(row[currency]), currency.upper(), READ)
    return None


def _price_by_the_second(request: VideoRequest, currency: str, input_seconds: float | None) -> ListPrice | None:
    """Return what a clip lists at whose price is by the second; ``None`` if a part of it is not known."""
    from airflow_provider_minimax.api.catalogue_prices import PRICES_PER_SECOND
    from airflow_provider_minimax.api.cost import ListPrice

    if input_seconds is None:
        input_seconds = _seconds_of_references(request)
    if request.duration is None or input_seconds is None:
        return None
    seconds = request.duration + math.ceil(input_seconds)
    pictures = len(request.reference_images or ()) + sum(getattr(request, name) is not None for name in FRAME_FIELDS)
    for row in PRICES_PER_SECOND:
        if request.model in row["models"] and row["resolution"] == request.resolution and currency in row:
            amount = Decimal(row[currency]) * seconds
            if charged := max(0, pictures - row["free_images"]):
                if f"image_{currency}" not in row:
                    return None
                amount += Decimal(row[f"image_{currency}"]) * charged
            return ListPrice(amount, currency.upper(), row["read"])
    return None


def _seconds_of_references(request: VideoRequest) -> float | None:
    """Return how long the reference videos are together; ``None`` if one of them does not lie here, or does not say."""
    from airflow_provider_minimax.api.files.mp4 import seconds_of
    from airflow_provider_minimax.api.inputs.content import FileContent

    files = [source for source in request.reference_videos or () if isinstance(source, FileContent)]
    if len(files) < len(request.reference_videos or ()):
        return None
    try:
        lengths = [seconds_of(source.data.open(), source.data.length) for source in files]
    except OSError:
        # The upload or submission will say so.
        return None
    return None if None in lengths else sum(filter(None, lengths))
