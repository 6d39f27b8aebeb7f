"""
The rules to check before paying: what each known model takes and what a clip lists at.

The facts are data in ``catalogue.toml``; this module only reads and applies them. A model that is not in there passes
with a warning, because the vendor adds models faster than we release.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from airflow_provider_minimax.api.cost import ListPrice
from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.request import AUTO_CALLBACK, MEDIA_FIELDS, REFERENCE_FIELDS, Mode, VideoRequest
from airflow_provider_minimax.api.spelling import did_you_mean

_OPTIONS = ("prompt_optimizer", "fast_pretreatment", "ratio", "extra", "aigc_watermark", "callback_url")
# Gateways write the name in their own way: "minimax-h3-max", "minimax/minimax-h3", "h3".
_NAMED_LIKE_H3 = re.compile(r"(.*/)?(minimax[-_ ]?)?h\d", re.IGNORECASE)
_FRAMES = ("first_frame_image", "last_frame_image")


@dataclass(frozen=True, slots=True)
class ModeLimits:
    """
    What a model takes in one mode.

    :param resolutions: resolution to lengths in seconds; the first of each is the default. Empty: neither is taken.
    :param options: the optional fields that are taken besides.
    :param required: the fields that have no default.
    :param ratios: the values of ``ratio``, where that is an option.
    :param is_second_hand: whether only others than MiniMax tell this: what they leave out is sent with a warning.
    """

    resolutions: Mapping[str, tuple[int, ...]]
    options: frozenset[str]
    required: frozenset[str] = frozenset()
    ratios: tuple[str, ...] = ()
    is_second_hand: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """
    A known model.

    :param name: the official name.
    :param prompt_limit: the longest prompt, in characters.
    :param modes: what it takes in each mode that it has.
    :param api: which version of MiniMax's API has it: ``v1`` or ``v2``.
    :param extra: the keys of ``extra`` and their values, where that is an option.
    :param also: what it has besides clips: ``regeneration``, ``h3_context_ir``.
    """

    name: str
    prompt_limit: int
    modes: Mapping[Mode, ModeLimits]
    api: str = "v1"
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    also: frozenset[str] = frozenset()


@dataclass(slots=True)
class Findings:
    """
    What a check found.

    :param problems: what the platform would refuse, one sentence each: field, value, rule, what to do.
    :param warnings: what is allowed but probably not meant.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@cache
def _data() -> dict[str, Any]:
    # Prices as they are published: a float would turn 0.28 into its nearest neighbour.
    return tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text("utf-8"), parse_float=Decimal)


@cache
def models() -> Mapping[str, Model]:
    """Return every known model by its official name."""
    return {
        name: Model(
            name,
            row["prompt_limit"],
            {
                Mode(mode): ModeLimits(
                    {resolution: tuple(lengths) for resolution, lengths in limits["resolutions"].items()},
                    frozenset(limits["options"]),
                    frozenset(limits.get("required", ())),
                    tuple(limits.get("ratios", ())),
                    limits["source"].endswith("second_hand"),
                )
                for mode, limits in row["modes"].items()
            },
            row.get("api", "v1"),
            {key: tuple(values) for key, values in row.get("extra", {}).items()},
            frozenset(row.get("also", ())),
        )
        for name, row in _data()["models"].items()
    }


def facts_of(task_type: str) -> Mapping[str, Any]:
    """
    Return the facts of what a model has besides clips, as they are in the file.

    :param task_type: ``regeneration`` or ``h3_context_ir``.
    """
    facts: Mapping[str, Any] = _data()[task_type]
    return facts


def api_of(model: str) -> str:
    """
    Return which version of MiniMax's API has a model.

    :param model: its official name; one that is not known belongs to v2 if it is named like those of v2.
    :return: ``v1`` or ``v2``.
    """
    known = models().get(model)
    return known.api if known else "v2" if _NAMED_LIKE_H3.match(model) else "v1"


def list_price(request: VideoRequest, *, currency: str = "usd", input_seconds: float | None = None) -> ListPrice | None:
    """
    Return what the clip lists at on the official API, e.g. ``0.28 USD (list price, read 2026-07-10)``.

    It says nothing of gateways, which have prices of their own.

    :param request: the request; unset resolution and duration count as the API's defaults.
    :param currency: ``usd`` (global accounts) or ``cny`` (mainland accounts).
    :param input_seconds: how long its reference videos are together, where the platform told; otherwise files that say
        it are measured.
    :return: the price with its date, or ``None`` where none is published, or a part of it is not known.
    """
    model = models().get(request.model)
    limits = model and model.modes.get(request.mode)
    if not limits or not limits.resolutions:
        return None
    if limits.required:
        return _price_by_the_second(request, currency, input_seconds)
    resolution = request.resolution or next(iter(limits.resolutions))
    duration = request.duration or 6
    for row in _data()["prices"]:
        if request.model in row["models"] and (row["resolution"], row["duration"]) == (resolution, duration):
            return ListPrice(Decimal(row[currency]), currency.upper(), _data()["prices_read"])
    return None


def _price_by_the_second(request: VideoRequest, currency: str, input_seconds: float | None) -> ListPrice | None:
    """Return what a clip lists at whose price is by the second; ``None`` if a part of it is not known."""
    if input_seconds is None:
        input_seconds = _seconds_of_references(request)
    if request.duration is None or input_seconds is None:
        return None
    seconds = request.duration + math.ceil(input_seconds)
    pictures = len(request.reference_images or ()) + sum(getattr(request, name) is not None for name in _FRAMES)
    for row in _data()["prices_per_second"]:
        if request.model in row["models"] and row["resolution"] == request.resolution and currency in row:
            amount = Decimal(row[currency]) * seconds
            if charged := max(0, pictures - row["free_images"]):
                if f"image_{currency}" not in row:
                    return None
                amount += row[f"image_{currency}"] * charged
            return ListPrice(amount, currency.upper(), row["read"])
    return None


def _seconds_of_references(request: VideoRequest) -> float | None:
    """Return how long the reference videos are together; ``None`` if one of them does not lie here, or does not say."""
    from airflow_provider_minimax.api.files.mp4 import seconds_of

    files = [source for source in request.reference_videos or () if isinstance(source, FileContent)]
    if len(files) < len(request.reference_videos or ()):
        return None
    try:
        lengths = [seconds_of(source.data.open(), source.data.length) for source in files]
    except OSError:
        # Whoever sends it will say so.
        return None
    return None if None in lengths else sum(filter(None, lengths))


def check(
    request: VideoRequest,
    *,
    model_name: str | None = None,
    own_names: Collection[str] = (),
    later: frozenset[str] = frozenset(),
) -> Findings:
    """
    Hold a request against the catalogue.

    :param request: what to check.
    :param model_name: the official name of the model, where the request uses a gateway's own.
    :param own_names: the names that gateways have of their own, and that are no misspellings of others.
    :param later: fields that are given but whose values are not known yet, such as templates before rendering; rules
        that need them are left for when they are.
    :return: all that was found; nothing is raised.
    """
    return hold_against(models().get(model_name or request.model), request, later, own_names)


def hold_against(
    model: Model | None, request: VideoRequest, later: frozenset[str], own_names: Collection[str] = ()
) -> Findings:
    """
    Hold a request against a model.

    :param model: the model; ``None`` if it is not known.
    :param request: what to check.
    :param later: fields to which no rule is applied that needs their values.
    :param own_names: names of models that gateways have of their own.
    :return: all that was found; nothing is raised.
    """
    findings = Findings()
    _check_prompt(request, model, later, findings)
    _check_media(request, model, later, findings)
    findings.problems += callback_problems(request.callback_url)
    if model is None and (question := did_you_mean(request.model, [*models(), *own_names])):
        findings.problems.append(f"model={request.model!r}: is not known{question}")
    elif model is None:
        findings.warnings.append(
            f"model={request.model!r} is not in the catalogue of known models, so its modes, resolutions and "
            f"lengths are not checked; known are: {', '.join(models())}"
        )
    elif not later.intersection(MEDIA_FIELDS):
        limits = model.modes.get(request.mode)
        if limits is None:
            findings.problems.append(_wrong_mode(request, model))
        else:
            _check_required(request, model, limits, later, findings)
            choices = _check_choices(request, model, limits, later)
            findings.warnings += choices.warnings
            if limits.is_second_hand:
                findings.warnings += [
                    f"{problem} (second-hand knowledge, so it is sent)" for problem in choices.problems
                ]
            else:
                findings.problems += choices.problems
    return findings


def _check_choices(request: VideoRequest, model: Model, limits: ModeLimits, later: frozenset[str]) -> Findings:
    """Hold what was chosen against what the model takes in this mode."""
    findings = Findings()
    _check_size(request, model, limits, later, findings)
    _check_ratio(request, model, limits, findings)
    _check_extra(request, model, findings)
    for name in _OPTIONS:
        if getattr(request, name) is None or name in limits.options:
            continue
        if any(name in other.options for other in model.modes.values()):
            findings.warnings.append(
                f"{name}: MiniMax's page on {_words(request.mode)} mode does not name it, though {model.name} takes it "
                "in others; it is sent, and may be refused or have no effect"
            )
        else:
            findings.problems.append(
                f"{name}: {model.name} does not take it in {_words(request.mode)} mode; leave it out"
            )
    return findings


def callback_problems(callback_url: str | None) -> list[str]:
    """Say what is wrong with an address for callbacks, if anything is."""
    if callback_url is None or callback_url.startswith(("https://", "http://")):
        return []
    if callback_url == AUTO_CALLBACK:
        return [
            "callback_url='auto': is for the operators and MinimaxHook.generate, which know the purchase that an "
            "address is for; give a URL here"
        ]
    return ["callback_url: must be an http(s) URL that the platform can reach, or 'auto'"]


def _check_prompt(request: VideoRequest, model: Model | None, later: frozenset[str], findings: Findings) -> None:
    limit = model.prompt_limit if model else None
    if request.prompt is None:
        if "prompt" not in later and request.mode is Mode.TEXT and not later.intersection(MEDIA_FIELDS):
            findings.problems.append("prompt: missing; a clip without any image needs one")
    elif request.prompt.strip() == "None":
        findings.problems.append("prompt='None': is what a template makes of a value that is not there")
    elif limit and len(request.prompt) > limit:
        findings.problems.append(
            f"prompt: has {len(request.prompt)} characters, {model.name if model else ''} takes {limit}; shorten it"
        )


def _check_media(request: VideoRequest, model: Model | None, later: frozenset[str], findings: Findings) -> None:
    given = [name for name in MEDIA_FIELDS if name in later or getattr(request, name) is not None]
    frames = [name for name in given if name in _FRAMES]
    references = [name for name in given if name in REFERENCE_FIELDS]
    kinds = [kind for kind in (["subject_reference"] * ("subject_reference" in given), frames, references) if kind]
    if len(kinds) > 1:
        findings.problems.append(
            f"{' and '.join(name for kind in kinds for name in kind)}: exclude each other; keep one kind"
        )
    if frames == ["last_frame_image"] and (model is None or model.api == "v1"):
        findings.warnings.append("last_frame_image is given without first_frame_image; the API's examples have both")
    if references == ["reference_audios"]:
        findings.problems.append(
            "reference_audios: must not be the only references; add reference_images or reference_videos"
        )
    _check_counts(request, findings)


def _check_counts(request: VideoRequest, findings: Findings) -> None:
    limits = _data()["references"]
    counts = {name: len(getattr(request, name) or ()) for name in REFERENCE_FIELDS}
    findings.problems += [
        f"{name}: has {count} of them; the API takes {limits[name]}, so leave some out"
        for name, count in counts.items()
        if count > limits[name]
    ]
    if sum(counts.values()) > limits["together"]:
        findings.problems.append(
            f"{' and '.join(name for name, count in counts.items() if count)}: are {sum(counts.values())} together; "
            f"the API takes {limits['together']}, so leave some out"
        )


def _check_required(
    request: VideoRequest, model: Model, limits: ModeLimits, later: frozenset[str], findings: Findings
) -> None:
    choices = {
        "prompt": "describe the clip",
        "resolution": f"give {_or(limits.resolutions)}",
        "duration": f"give {_lengths({length for some in limits.resolutions.values() for length in some})} seconds",
        "ratio": f"give {_or(limits.ratios)}",
    }
    findings.problems += [
        f"{name}: missing; {model.name} needs it in {_words(request.mode)} mode: {choice}"
        for name, choice in choices.items()
        if name in limits.required - later and getattr(request, name) is None
        # That a clip of a text needs the text was said already.
        if (name, request.mode) != ("prompt", Mode.TEXT)
    ]


def _check_ratio(request: VideoRequest, model: Model, limits: ModeLimits, findings: Findings) -> None:
    if request.ratio is None or "ratio" not in limits.options:
        return
    if request.ratio not in limits.ratios:
        findings.problems.append(
            f"ratio={request.ratio!r}: {model.name} in {_words(request.mode)} mode takes {', '.join(limits.ratios)}"
            + did_you_mean(request.ratio, limits.ratios)
        )
    elif request.mode in (Mode.FIRST_FRAME, Mode.FIRST_AND_LAST_FRAME) and request.ratio != "adaptive":
        findings.warnings.append(f"ratio={request.ratio!r} will be ignored: the clip gets the ratio of its frame")


def _check_extra(request: VideoRequest, model: Model, findings: Findings) -> None:
    for key, value in (request.extra or {}).items() if model.extra else ():
        if key not in model.extra:
            findings.problems.append(f"extra: {model.name} has no key {key!r} there; it has {', '.join(model.extra)}")
        elif value not in model.extra[key]:
            findings.problems.append(f"extra: {key}={value!r}: must be {_or(model.extra[key])}")


def _wrong_mode(request: VideoRequest, model: Model) -> str:
    def having(mode: Mode) -> str:
        return ", ".join(name for name, other in models().items() if mode in other.modes)

    match request.mode:
        case Mode.TEXT if Mode.SUBJECT_REFERENCE in model.modes:
            return f"subject_reference: missing; {model.name} needs it"
        case Mode.TEXT:
            return f"first_frame_image: missing; {model.name} needs it (for text alone: {having(Mode.TEXT)})"
        case Mode.FIRST_FRAME:
            return f"first_frame_image: {model.name} takes none; use one of {having(Mode.FIRST_FRAME)}"
        case Mode.FIRST_AND_LAST_FRAME:
            return f"last_frame_image: {model.name} takes none; use {having(Mode.FIRST_AND_LAST_FRAME)}"
        case Mode.REFERENCE:
            given = " and ".join(name for name in REFERENCE_FIELDS if getattr(request, name) is not None)
            return f"{given}: {model.name} takes none; use {having(Mode.REFERENCE)}"
        case _:
            return f"subject_reference: {model.name} takes none; use {having(Mode.SUBJECT_REFERENCE)}"


def _check_size(
    request: VideoRequest, model: Model, limits: ModeLimits, later: frozenset[str], findings: Findings
) -> None:
    where = f"{model.name} in {_words(request.mode)} mode"
    if not limits.resolutions:
        findings.problems += [
            f"{name}={getattr(request, name)!r}: {where} has no such field; leave it out"
            for name in ("resolution", "duration")
            if getattr(request, name) is not None
        ]
        return
    resolution = request.resolution
    if resolution is not None and resolution not in limits.resolutions:
        elsewhere = [mode for mode, other in model.modes.items() if resolution in other.resolutions]
        findings.problems.append(
            f"resolution={resolution!r}: {where} takes {', '.join(limits.resolutions)}"
            + (f" ({resolution} only in {_words(elsewhere[0])} mode)" if elsewhere else "")
            + did_you_mean(resolution, limits.resolutions)
        )
        return
    if request.duration is None or "resolution" in later:
        lengths = sorted({length for some in limits.resolutions.values() for length in some})
        if request.duration is not None and request.duration not in lengths:
            findings.problems.append(f"duration={request.duration}: {where} takes {_lengths(lengths)} seconds")
        return
    chosen = resolution or next(iter(limits.resolutions))
    if request.duration not in limits.resolutions[chosen]:
        findings.problems.append(
            f"duration={request.duration}: {where} takes {_lengths(limits.resolutions[chosen])} seconds at {chosen}"
            + ("" if resolution else " (its default resolution)")
        )


def _words(mode: Mode) -> str:
    return mode.replace("_", "-")


def _or(values: Iterable[Any]) -> str:
    return " or ".join(map(str, values))


def _lengths(values: Iterable[int]) -> str:
    lengths = sorted(values)
    if len(lengths) > 2 and lengths == list(range(lengths[0], lengths[-1] + 1)):
        return f"{lengths[0]} to {lengths[-1]}"
    return _or(lengths)
