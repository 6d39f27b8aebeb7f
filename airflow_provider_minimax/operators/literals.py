"""
Checks of a request's fields when the DAG is parsed.

pydantic's models of requests are imported only for fields that are not plainly right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_minimax.api.catalogue import models
from airflow_provider_minimax.api.clip_rules import validate
from airflow_provider_minimax.api.plain_clip import PlainClip
from airflow_provider_minimax.options import is_literal

if TYPE_CHECKING:
    from airflow_provider_minimax.api.request import PaidRequest


def are_plainly_right(literals: Mapping[str, Any], unresolved: frozenset[str]) -> bool:
    """
    Return whether the literals of a clip are right, and that can be known without pydantic's models of requests.

    :param literals: the clip's fields that are literals.
    :param unresolved: the names of the others.
    :return: whether; of what is not plainly right, :func:`check_literals` knows what is wrong with it, if anything is.
    """
    clip = PlainClip.of(literals)
    if clip is None or clip.model not in models():
        return False
    return not validate(clip, unresolved=unresolved).problems


def check_literals(
    fields: Mapping[str, Any], request_class: Callable[[], type[PaidRequest]], *, is_clip: bool = False
) -> None:
    """
    Check the fields of a request that are literals.

    :param fields: the request's fields, as the author gave them.
    :param request_class: returns the kind of request; it is not called if that need not be known.
    :param is_clip: whether it is a request for a clip, so that it may be plainly right.
    :raises MinimaxRequestError: with all that is wrong.
    """
    literals, unresolved = split(fields)
    if is_clip and are_plainly_right(literals, unresolved):
        return

    from airflow_provider_minimax.api import rules
    from airflow_provider_minimax.api.request import UNCHECKED, invalid

    if "model" in unresolved:
        literals["model"] = "known when rendered"
    request = request_class().of(literals).with_callback()
    report = rules.validate(request, own_names=_names_of_gateways(request.model), unresolved=unresolved)
    if report.problems:
        raise invalid(report.problems, hint=UNCHECKED)


def split(fields: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """
    Tell the fields that are literals from those that are known only when they are rendered.

    :param fields: the request's fields, as the author gave them.
    :return: the literals, and the names of the others; fields that are ``None`` are neither.
    """
    literals, unresolved = {}, []
    for name, value in fields.items():
        if value is None:
            continue
        if is_literal(value):
            literals[name] = value
        else:
            unresolved.append(name)
    return literals, frozenset(unresolved)


def _names_of_gateways(model: str) -> frozenset[str]:
    """Return what gateways call their models, where it matters: at parse nobody knows which of them it will be."""
    if model in models():
        return frozenset()
    from airflow_provider_minimax.api.platforms import PLATFORMS

    return frozenset(name for platform in PLATFORMS.values() for name in platform.model_names.values())
