"""
What is checked about each kind of request before paying, and what it lists at.

The rules of clips are in ``clip_rules.py``; here is what differs for the other things that ``MiniMax-H3`` has. Pure;
the facts are data in ``catalogue_models.py``.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_minimax.api import catalogue, clip_rules
from airflow_provider_minimax.api.catalogue import Model
from airflow_provider_minimax.api.clip_rules import ValidationReport
from airflow_provider_minimax.api.cost import ListPrice
from airflow_provider_minimax.api.h3_requests import PromptRewriteRequest, RegenerationRequest
from airflow_provider_minimax.api.modes import Mode
from airflow_provider_minimax.api.request import PaidRequest, VideoRequest
from airflow_provider_minimax.api.spelling import did_you_mean

if TYPE_CHECKING:
    from airflow_provider_minimax.api.http.exchange import Endpoint

# What a regeneration takes besides the clip it starts from; with an id, the platform knows all of it.
_OF_THE_CLIP = (
    "prompt",
    "first_frame_image",
    "last_frame_image",
    "reference_images",
    "reference_videos",
    "reference_audios",
)


def validate(
    request: PaidRequest,
    *,
    model_name: str | None = None,
    own_names: Collection[str] = (),
    unresolved: frozenset[str] = frozenset(),
) -> ValidationReport:
    """
    Check a request by the catalogue.

    :param request: what to check.
    :param model_name: the official name of the model, where the request uses a gateway's own.
    :param own_names: the names that gateways have of their own, and that are no misspellings of others.
    :param unresolved: fields whose values are not known yet, such as templates before rendering; rules that need them
        are not applied.
    :return: all that was found; nothing is raised.
    """
    match request:
        case RegenerationRequest():
            return _check_regeneration(request, unresolved)
        case PromptRewriteRequest():
            return _check_rewriting(request, unresolved)
        case VideoRequest():
            return clip_rules.validate(request, model_name=model_name, own_names=own_names, unresolved=unresolved)
    raise TypeError(f"no rules for {type(request).__name__}")


def list_price(
    request: PaidRequest,
    *,
    currency: str = "usd",
    seconds: float | None = None,
    input_seconds: float | None = None,
) -> ListPrice | None:
    """
    Return what a request lists at on the official API: an estimate of its cost.

    :param request: the request; what it leaves unset counts as the API's defaults.
    :param currency: ``usd`` (global accounts) or ``cny`` (mainland accounts).
    :param seconds: the length of the clip, where the request does not say it and the platform did.
    :param input_seconds: how long its reference videos are together, where the platform reported it.
    :return: the price with its date, or ``None`` where none is published, or a part of it is not known.
    """
    match request:
        case RegenerationRequest():
            row = catalogue.facts_of(request.task_type)
            # Whether references are charged once more is not documented.
            if seconds is None or currency not in row or request.mode is Mode.REFERENCE:
                return None
            return ListPrice(Decimal(str(seconds)) * Decimal(row[currency]), currency.upper(), row["read"])
        case VideoRequest():
            return catalogue.list_price(request, currency=currency, input_seconds=input_seconds)
    # Rewriting is charged by the tokens, which nobody knows before.
    return None


def list_price_at(
    request: PaidRequest, endpoint: Endpoint, seconds: float | None = None, input_seconds: float | None = None
) -> ListPrice | None:
    """
    Return what a request lists at, where that is known: at MiniMax itself.

    :param request: what is paid for.
    :param endpoint: whose account; its region decides the currency.
    :param seconds: how long the result is, where only that decides.
    :param input_seconds: how long the reference videos are together, where the platform reported it.
    """
    # MiniMax itself has no prefix: behind one is a gateway, which has prices of its own.
    if endpoint.platform != "minimax" or endpoint.path_prefix:
        return None
    currency = "cny" if endpoint.region == "cn" else "usd"
    return list_price(request, currency=currency, seconds=seconds, input_seconds=input_seconds)


def _check_rewriting(request: PromptRewriteRequest, unresolved: frozenset[str]) -> ValidationReport:
    model = catalogue.models().get(request.model)
    if problem := _lacking(request, model, unresolved):
        return ValidationReport([problem])
    return _check_description(request, model, unresolved | {"resolution"}, "say what the clip shall show")


def _check_regeneration(request: RegenerationRequest, unresolved: frozenset[str]) -> ValidationReport:
    model, facts = catalogue.models().get(request.model), catalogue.facts_of(request.task_type)
    if problem := _lacking(request, model, unresolved):
        return ValidationReport([problem])
    given = [name for name in type(request).model_fields if name in unresolved or request.get(name) is not None]
    report = ValidationReport()
    match "source_task_id" in given, "base_video" in given:
        case True, False:
            report.problems += [
                f"{name}: goes with base_video; the platform knows it of source_task_id, so leave it out"
                for name in given
                if name in _OF_THE_CLIP
            ]
            report.problems += clip_rules.callback_problems(request.callback_url)
        case False, True:
            # Clips are made of prompts that may have been made longer.
            lenient = model and model.with_prompt_limit(facts["prompt_limit"])
            needless = unresolved | {"resolution", "duration", "ratio"}
            missing = "give all that the clip was made of, exactly as it was sent then"
            report = _check_description(request, lenient, needless, missing)
        case both, _:
            report.problems.append(
                "source_task_id and base_video: exclude each other; keep one of them"
                if both
                else "source_task_id: missing; give the task that made the clip, or the clip itself as base_video"
            )
    if "resolution" not in unresolved and request.resolution not in facts["resolutions"]:
        report.problems.append(f"resolution={request.resolution!r}: must be {' or '.join(facts['resolutions'])}")
    return report


def _check_description(
    request: PaidRequest, model: Model | None, unresolved: frozenset[str], missing: str
) -> ValidationReport:
    """Check what describes a clip by the model that makes or made it."""
    has_prompt = "prompt" in unresolved or request.get("prompt") is not None
    report = clip_rules.validate_for(
        model, _as_clip(request), unresolved | {"prompt"} if not has_prompt else unresolved
    )
    if not has_prompt:
        report.problems.append(f"prompt: missing; {missing}")
    return report


def _as_clip(request: PaidRequest) -> VideoRequest:
    """Return the request for the clip that a request is about, as far as it is described."""
    shared = request.given().keys() & VideoRequest.model_fields.keys() - {"resolution"}
    return VideoRequest.model_construct(**{name: request.get(name) for name in shared})


def _lacking(request: PaidRequest, model: Model | None, unresolved: frozenset[str]) -> str | None:
    """Say that a known model has nothing of the kind, or that its name is misspelt."""
    if "model" in unresolved or (model is not None and request.task_type in model.other_task_types):
        return None
    if model is None:
        question = did_you_mean(request.model, catalogue.models())
        return f"model={request.model!r}: is not known{question}" if question else None
    having = " or ".join(
        name for name, other in catalogue.models().items() if request.task_type in other.other_task_types
    )
    return f"model={request.model!r}: has no {request.task_type}; use {having}"
