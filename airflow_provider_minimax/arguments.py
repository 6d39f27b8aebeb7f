"""
Checks of what a DAG's author wrote.

When the DAG is parsed only literals can be checked; templates and XComArgs are left for when they are rendered. Nothing
heavy is imported until the request of an operator is really looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError
from airflow_provider_minimax.paths import as_text, is_unrendered, read_path

if TYPE_CHECKING:
    from airflow_provider_minimax.api.request import PaidRequest

T = TypeVar("T")

API_VERSIONS = ("v1", "v2")
"""The versions of MiniMax's API, each of which knows its own remote tasks only."""


def is_literal(value: Any) -> bool:
    """Whether a value is final already: no template, no XComArg, and none of them inside."""
    if isinstance(value, str):
        return not is_unrendered(value)
    if isinstance(value, Mapping):
        return all(is_literal(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(is_literal(item) for item in value)
    return value is None or isinstance(value, bool | int | float)


def seconds(name: str, value: float | timedelta) -> float:
    """
    Return a time span in seconds.

    :param name: the parameter's name, for the error.
    :param value: seconds, or a ``timedelta``; more than 0.
    :raises MinimaxRequestError: it is neither, or not more than 0.
    """
    span = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(span, bool) or not isinstance(span, int | float) or not span > 0:
        raise MinimaxRequestError(
            f"{name}={value!r}: must be more than 0, in seconds or as a timedelta", billing=NOTHING_BOUGHT
        )
    return float(span)


def one_of(name: str, value: T, choices: tuple[T, ...]) -> T:
    """
    Return a choice.

    :param name: the parameter's name, for the error.
    :param value: what was chosen.
    :param choices: what there is to choose from.
    :raises MinimaxRequestError: it is none of them.
    """
    if value not in choices:
        raise MinimaxRequestError(
            f"{name}={value!r}: must be one of {', '.join(map(repr, choices))}", billing=NOTHING_BOUGHT
        )
    return value


def at_least_one(name: str, value: int) -> int:
    """
    Return a count.

    :param name: the parameter's name, for the error.
    :param value: the count, 1 or more.
    :raises MinimaxRequestError: it is no whole number, or less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise MinimaxRequestError(f"{name}={value!r}: must be a whole number, 1 or more", billing=NOTHING_BOUGHT)
    return value


def check_delivery(check: str, preview: bool, output_path: Any, *, delivers: bool) -> None:
    """
    Check what the author wrote about a clip's delivery.

    :param check: how closely to look at the clip.
    :param preview: whether to make pictures of it.
    :param output_path: where it shall land, if anywhere.
    :param delivers: whether the operator itself delivers it.
    :raises MinimaxRequestError: ``check`` is no such word, or there is nothing that it or ``preview`` could be about.
    """
    one_of("check", check, ("none", "basic", "full"))
    check_output_path(output_path)
    for name, value, asked in (("check", check, check != "none"), ("preview", preview, bool(preview))):
        if asked and (output_path is None or not delivers):
            missing = "output_path" if delivers else "wait_for_completion=True and output_path"
            raise MinimaxRequestError(
                f"{name}={value!r}: is for a task that delivers the clip itself; it needs {missing}",
                billing=NOTHING_BOUGHT,
            )


def check_output_path(output_path: Any) -> None:
    """
    Check where something shall land, as far as that is known already.

    :param output_path: the path or URL, if any.
    :raises MinimaxRequestError: it is none.
    """
    text = as_text(output_path)
    if text is not None and is_literal(text):
        read_path(text)


def check_overwrite(overwrite: bool | Literal["changed"], output_path: Any, durable: bool) -> bool | Literal["changed"]:
    """
    Check what the author wrote about a file that is already in the clip's place.

    :param overwrite: ``True``, ``False`` or ``"changed"``.
    :param output_path: where the clip shall land, if anywhere.
    :param durable: whether receipts are kept.
    :return: ``overwrite``.
    :raises MinimaxRequestError: it is none of these, or nothing tells whether the request has changed.
    """
    one_of("overwrite", overwrite, (True, False, "changed"))
    if overwrite == "changed" and (output_path is None or not durable):
        raise MinimaxRequestError(
            "overwrite='changed': needs output_path and durable=True: the receipt next to the output tells whether the "
            "request has changed",
            billing=NOTHING_BOUGHT,
        )
    return overwrite


def checked_id(value: Any, name: str = "minimax_task_id") -> str:
    """
    Return the id of a remote task or file fit to be sent.

    :param value: the id, as text or as the number that some of Airflow's own readings of XCom make of it.
    :param name: the parameter's name, for the error.
    :raises MinimaxRequestError: it is empty or neither, or has signs that cannot be seen, as copies from pages have.
    """
    is_id = isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip()
    if not is_id or not is_id.isprintable():
        from airflow_provider_minimax.api.redaction import redact

        raise MinimaxRequestError(
            f"{name}={redact(repr(value), limit=80)}: must be the id that a submission returned",
            hint="Give the XCom of the task that submitted.",
        )
    return str(value).strip()


def check_api_version(api_version: Any) -> None:
    """
    Check which version of MiniMax's API the author named, if that is a literal.

    :param api_version: the version; ``None`` if it is to be found out.
    :raises MinimaxRequestError: there is no such version.
    """
    if api_version is not None and is_literal(api_version):
        one_of("api_version", api_version, API_VERSIONS)


def known_version(api_version: str | None) -> str | None:
    """
    Return which version of MiniMax's API a rendered parameter names.

    :param api_version: the version; one that a template found nowhere is ``"None"`` or empty.
    :return: the version; ``None`` if it is to be found out.
    """
    return None if api_version in (None, "", "None") else str(api_version)


def check_adoption(model: Any, durable: bool) -> None:
    """
    Check that what a submission bought whose answer was lost can be found out.

    :param model: the model.
    :param durable: whether receipts are kept.
    :raises MinimaxRequestError: the model has no list of its tasks, or nothing tells a retry of the submission.
    """
    from airflow_provider_minimax.api.catalogue import api_of

    if not durable:
        raise MinimaxRequestError(
            "on_orphaned_intent='adopt': needs durable=True: without a receipt a retry does not know of the submission",
            billing=NOTHING_BOUGHT,
        )
    if isinstance(model, str) and is_literal(model) and api_of(model) == "v1":
        raise _no_list(model)


def check_search(model: str, has_list: bool, keeps: bool) -> None:
    """
    Check what :func:`check_adoption` could not when the DAG was parsed.

    :param model: the model, as it was rendered.
    :param has_list: whether the platform can list its tasks.
    :param keeps: whether a receipt can be kept.
    :raises MinimaxRequestError: likewise.
    """
    if not has_list:
        raise _no_list(model)
    if not keeps:
        raise MinimaxRequestError(
            "on_orphaned_intent='adopt': needs a receipt, or a retry does not know of the submission, and none can be "
            "kept: before Airflow 3.3 that takes an output_path",
            billing=NOTHING_BOUGHT,
        )


def _no_list(model: str) -> MinimaxRequestError:
    return MinimaxRequestError(
        f"on_orphaned_intent='adopt': the platform cannot list tasks of model={model!r}, so it cannot be found out "
        "what a lost answer was about; MiniMax itself can list those of MiniMax-H3 and its kin. Leave it out to stop "
        "then, and have a person look",
        billing=NOTHING_BOUGHT,
    )


def check_literals(fields: Mapping[str, Any], kind: type[PaidRequest] | None = None) -> None:
    """
    Check the fields of a request that are literals.

    :param fields: the request's fields, as the author gave them.
    :param kind: the kind of request; one for a clip by default.
    :raises MinimaxRequestError: with all that is wrong.
    """
    from airflow_provider_minimax.api import rules
    from airflow_provider_minimax.api.request import UNCHECKED, VideoRequest, invalid

    given = {name: value for name, value in fields.items() if value is not None}
    later = frozenset(name for name, value in given.items() if not is_literal(value))
    literals = {name: value for name, value in given.items() if name not in later}
    if "model" in later:
        literals["model"] = "known when rendered"
    request = (kind or VideoRequest).of(literals).with_callback()
    findings = rules.check(request, own_names=_names_of_gateways(request.model), later=later)
    if findings.problems:
        raise invalid(findings.problems, hint=UNCHECKED)


def _names_of_gateways(model: str) -> frozenset[str]:
    """Return what gateways call their models, where it matters: at parse nobody knows which of them it will be."""
    from airflow_provider_minimax.api.catalogue import models

    if model in models():
        return frozenset()
    from airflow_provider_minimax.api.platforms import PLATFORMS

    return frozenset(name for platform in PLATFORMS.values() for name in platform.model_names.values())
