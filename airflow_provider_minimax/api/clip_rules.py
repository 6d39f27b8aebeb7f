"""
What is checked about a clip before paying for it, by the catalogue of known models.

A model that is not in there passes with a warning, because the vendor adds models faster than we release.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_minimax.api import catalogue
from airflow_provider_minimax.api.catalogue import FRAME_FIELDS, Model, ModeLimits
from airflow_provider_minimax.api.catalogue_models import REFERENCES
from airflow_provider_minimax.api.modes import AUTO_CALLBACK, MEDIA_FIELDS, REFERENCE_FIELDS, Mode

if TYPE_CHECKING:
    from airflow_provider_minimax.api.plain_clip import PlainClip
    from airflow_provider_minimax.api.request import VideoRequest

    Clip: TypeAlias = VideoRequest | PlainClip

_OPTIONS = ("prompt_optimizer", "fast_pretreatment", "ratio", "extra", "aigc_watermark", "callback_url")


class ValidationReport:
    """
    What was found wrong with a request.

    :param problems: what the platform would refuse, one sentence each: field, value, rule, what to do.
    :param warnings: what is allowed but probably not meant.
    """

    __slots__ = ("problems", "warnings")

    def __init__(self, problems: Iterable[str] = (), warnings: Iterable[str] = ()) -> None:
        self.problems = list(problems)
        self.warnings = list(warnings)


def validate(
    request: Clip,
    *,
    model_name: str | None = None,
    own_names: Collection[str] = (),
    unresolved: frozenset[str] = frozenset(),
) -> ValidationReport:
    """Check a clip's request by the catalogue: what :func:`.rules.validate` does for all kinds of requests."""
    return validate_for(catalogue.models().get(model_name or request.model), request, unresolved, own_names)


def validate_for(
    model: Model | None, request: Clip, unresolved: frozenset[str], own_names: Collection[str] = ()
) -> ValidationReport:
    """
    Check a request by what a model takes.

    :param model: the model; ``None`` if it is not known.
    :param request: what to check.
    :param unresolved: fields to which no rule is applied that needs their values.
    :param own_names: names of models that gateways have of their own.
    :return: all that was found; nothing is raised.
    """
    report = ValidationReport()
    _check_prompt(request, model, unresolved, report)
    if request.mode is not Mode.TEXT or unresolved:
        _check_media(request, model, unresolved, report)
    report.problems += callback_problems(request.callback_url)
    if model is None and (question := _did_you_mean(request.model, [*catalogue.models(), *own_names])):
        report.problems.append(f"model={request.model!r}: is not known{question}")
    elif model is None:
        report.warnings.append(
            f"model={request.model!r} is not in the catalogue of known models, so its modes, resolutions and "
            f"lengths are not checked; known are: {', '.join(catalogue.models())}"
        )
    elif not unresolved.intersection(MEDIA_FIELDS):
        limits = model.modes.get(request.mode)
        if limits is None:
            report.problems.append(_wrong_mode(request, model))
        else:
            _check_required(request, model, limits, unresolved, report)
            choices = ValidationReport() if limits.is_second_hand else report
            _check_choices(request, model, limits, unresolved, choices)
            if limits.is_second_hand:
                report.warnings += choices.warnings
                report.warnings += [f"{problem} (second-hand knowledge, so it is sent)" for problem in choices.problems]
    return report


def _check_choices(
    request: Clip, model: Model, limits: ModeLimits, unresolved: frozenset[str], report: ValidationReport
) -> None:
    """Check what was chosen by what the model takes in this mode."""
    _check_size(request, model, limits, unresolved, report)
    _check_ratio(request, model, limits, report)
    _check_extra(request, model, report)
    for name in _OPTIONS:
        if getattr(request, name) is None or name in limits.options:
            continue
        if any(name in other.options for other in model.modes.values()):
            report.warnings.append(
                f"{name}: MiniMax's page on {_spelt(request.mode)} mode does not name it, though {model.name} takes it "
                "in others; it is sent, and may be refused or have no effect"
            )
        else:
            report.problems.append(
                f"{name}: {model.name} does not take it in {_spelt(request.mode)} mode; leave it out"
            )


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


def _check_prompt(request: Clip, model: Model | None, unresolved: frozenset[str], report: ValidationReport) -> None:
    limit = model.prompt_limit if model else None
    if request.prompt is None:
        if "prompt" not in unresolved and request.mode is Mode.TEXT and not unresolved.intersection(MEDIA_FIELDS):
            report.problems.append("prompt: missing; a clip without any image needs one")
    elif request.prompt.strip() == "None":
        report.problems.append("prompt='None': is what a template makes of a value that is not there")
    elif limit and len(request.prompt) > limit:
        report.problems.append(
            f"prompt: has {len(request.prompt)} characters, {model.name if model else ''} takes {limit}; shorten it"
        )


def _check_media(request: Clip, model: Model | None, unresolved: frozenset[str], report: ValidationReport) -> None:
    given = [name for name in MEDIA_FIELDS if name in unresolved or getattr(request, name) is not None]
    frames = [name for name in given if name in FRAME_FIELDS]
    references = [name for name in given if name in REFERENCE_FIELDS]
    kinds = [kind for kind in (["subject_reference"] * ("subject_reference" in given), frames, references) if kind]
    if len(kinds) > 1:
        report.problems.append(
            f"{' and '.join(name for kind in kinds for name in kind)}: exclude each other; keep one kind"
        )
    if frames == ["last_frame_image"] and (model is None or model.api == "v1"):
        report.warnings.append("last_frame_image is given without first_frame_image; the API's examples have both")
    if references == ["reference_audios"]:
        report.problems.append(
            "reference_audios: must not be the only references; add reference_images or reference_videos"
        )
    if references:
        _check_counts(request, report)


def _check_counts(request: Clip, report: ValidationReport) -> None:
    counts = {name: len(getattr(request, name) or ()) for name in REFERENCE_FIELDS}
    report.problems += [
        f"{name}: has {count} of them; the API takes {REFERENCES[name]}, so leave some out"
        for name, count in counts.items()
        if count > REFERENCES[name]
    ]
    if sum(counts.values()) > REFERENCES["together"]:
        report.problems.append(
            f"{' and '.join(name for name, count in counts.items() if count)}: are {sum(counts.values())} together; "
            f"the API takes {REFERENCES['together']}, so leave some out"
        )


def _check_required(
    request: Clip, model: Model, limits: ModeLimits, unresolved: frozenset[str], report: ValidationReport
) -> None:
    missing = [
        name
        for name in limits.required - unresolved
        if getattr(request, name) is None
        # That a clip of a text needs the text was said already.
        and (name, request.mode) != ("prompt", Mode.TEXT)
    ]
    if not missing:
        return
    choices = {
        "prompt": "describe the clip",
        "resolution": f"give {_or(limits.resolutions)}",
        "duration": f"give {_lengths({length for some in limits.resolutions.values() for length in some})} seconds",
        "ratio": f"give {_or(limits.ratios)}",
    }
    report.problems += [
        f"{name}: missing; {model.name} needs it in {_spelt(request.mode)} mode: {choice}"
        for name, choice in choices.items()
        if name in missing
    ]


def _check_ratio(request: Clip, model: Model, limits: ModeLimits, report: ValidationReport) -> None:
    if request.ratio is None or "ratio" not in limits.options:
        return
    if request.ratio not in limits.ratios:
        report.problems.append(
            f"ratio={request.ratio!r}: {model.name} in {_spelt(request.mode)} mode takes {', '.join(limits.ratios)}"
            + _did_you_mean(request.ratio, limits.ratios)
        )
    elif request.mode in (Mode.FIRST_FRAME, Mode.FIRST_AND_LAST_FRAME) and request.ratio != "adaptive":
        report.warnings.append(f"ratio={request.ratio!r} will be ignored: the clip gets the ratio of its frame")


def _check_extra(request: Clip, model: Model, report: ValidationReport) -> None:
    for key, value in (request.extra or {}).items() if model.extra else ():
        if key not in model.extra:
            report.problems.append(f"extra: {model.name} has no key {key!r} there; it has {', '.join(model.extra)}")
        elif value not in model.extra[key]:
            report.problems.append(f"extra: {key}={value!r}: must be {_or(model.extra[key])}")


def _wrong_mode(request: Clip, model: Model) -> str:
    def having(mode: Mode) -> str:
        return ", ".join(name for name, other in catalogue.models().items() if mode in other.modes)

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
    request: Clip, model: Model, limits: ModeLimits, unresolved: frozenset[str], report: ValidationReport
) -> None:
    if not limits.resolutions:
        where = _where(request, model)
        report.problems += [
            f"{name}={getattr(request, name)!r}: {where} has no such field; leave it out"
            for name in ("resolution", "duration")
            if getattr(request, name) is not None
        ]
        return
    resolution = request.resolution
    if resolution is not None and resolution not in limits.resolutions:
        elsewhere = [mode for mode, other in model.modes.items() if resolution in other.resolutions]
        report.problems.append(
            f"resolution={resolution!r}: {_where(request, model)} takes {', '.join(limits.resolutions)}"
            + (f" ({resolution} only in {_spelt(elsewhere[0])} mode)" if elsewhere else "")
            + _did_you_mean(resolution, limits.resolutions)
        )
        return
    if request.duration is None:
        return
    if "resolution" in unresolved:
        lengths = sorted({length for some in limits.resolutions.values() for length in some})
        if request.duration not in lengths:
            report.problems.append(
                f"duration={request.duration}: {_where(request, model)} takes {_lengths(lengths)} seconds"
            )
        return
    chosen = resolution or next(iter(limits.resolutions))
    if request.duration not in limits.resolutions[chosen]:
        report.problems.append(
            f"duration={request.duration}: {_where(request, model)} takes {_lengths(limits.resolutions[chosen])} "
            f"seconds at {chosen}" + ("" if resolution else " (its default resolution)")
        )


def _did_you_mean(text: str, known: Iterable[str]) -> str:
    # Only a mistake pays for the import.
    from airflow_provider_minimax.api.spelling import did_you_mean

    return did_you_mean(text, known)


def _where(request: Clip, model: Model) -> str:
    return f"{model.name} in {_spelt(request.mode)} mode"


def _spelt(mode: Mode) -> str:
    return mode.replace("_", "-")


def _or(values: Iterable[Any]) -> str:
    return " or ".join(map(str, values))


def _lengths(values: Iterable[int]) -> str:
    lengths = sorted(values)
    if len(lengths) > 2 and lengths == list(range(lengths[0], lengths[-1] + 1)):
        return f"{lengths[0]} to {lengths[-1]}"
    return _or(lengths)
