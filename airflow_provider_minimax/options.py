"""
What an author may choose: options that check themselves, and the checks of single values.

Operators make them when a DAG is parsed, so that mistakes are found there. Only literals can be checked then: templates
and XComArgs are left for when they are rendered. The classes are no data classes, and the types are there for type
checkers alone, because every parse would pay for making those.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_minimax.paths import as_text, is_unrendered, read_path

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    from airflow_provider_minimax.exceptions import MinimaxRequestError
    from airflow_provider_minimax.paths import AnyPath

    OnClear: TypeAlias = Literal["resubmit", "reuse"]
    OnOrphanedIntent: TypeAlias = Literal["fail", "resubmit", "adopt"]
    Overwrite: TypeAlias = Literal["changed"] | bool
    Check: TypeAlias = Literal["none", "basic", "full"]

T = TypeVar("T")

API_VERSIONS = ("v1", "v2")
"""The versions of MiniMax's API, each of which knows its own remote tasks only."""


def invalid_option(problem: str) -> MinimaxRequestError:
    """
    Return the error for an option that cannot be, before anything is bought.

    :param problem: the option's name, its value, and the rule.
    """
    # Only a DAG file with a mistake pays for the import.
    from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError

    return MinimaxRequestError(problem, billing=NOTHING_BOUGHT)


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
        raise invalid_option(f"{name}={value!r}: must be more than 0, in seconds or as a timedelta")
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
        raise invalid_option(f"{name}={value!r}: must be one of {', '.join(map(repr, choices))}")
    return value


def at_least_one(name: str, value: int) -> int:
    """
    Return a count.

    :param name: the parameter's name, for the error.
    :param value: the count, 1 or more.
    :raises MinimaxRequestError: it is no whole number, or less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise invalid_option(f"{name}={value!r}: must be a whole number, 1 or more")
    return value


class PurchaseOptions:
    """
    What an author may choose about buying.

    :param durable: whether to keep a receipt.
    :param on_clear: what a cleared task does about a clip that is bought and not delivered.
    :param on_orphaned_intent: what to do about a submission whose outcome is unknown.
    :param max_submissions: how many purchases there may be in all; 1 or more.
    :param validate: whether to check the request before paying.
    :raises MinimaxRequestError: one of them cannot be.
    """

    __slots__ = ("durable", "max_submissions", "on_clear", "on_orphaned_intent", "validate")

    def __init__(
        self,
        *,
        durable: bool = True,
        on_clear: OnClear = "reuse",
        on_orphaned_intent: OnOrphanedIntent = "fail",
        max_submissions: int = 1,
        validate: bool = True,
    ) -> None:
        self.durable = durable
        self.on_clear = one_of("on_clear", on_clear, ("resubmit", "reuse"))
        self.on_orphaned_intent = one_of("on_orphaned_intent", on_orphaned_intent, ("fail", "resubmit", "adopt"))
        self.max_submissions = at_least_one("max_submissions", max_submissions)
        self.validate = validate
        if on_orphaned_intent == "adopt" and not durable:
            raise invalid_option(
                "on_orphaned_intent='adopt': needs durable=True: without a receipt a retry does not know of the "
                "submission"
            )


class WaitOptions:
    """
    What an author may choose about waiting.

    :param wait_for_completion: whether to wait for the clip.
    :param deferrable: whether the wait is in the triggerer.
    :param poll_interval: time between status checks, more than 0, in seconds or as a ``timedelta``; ``None`` goes by
        how long such clips take.
    :param timeout: time that a wait may take, likewise.
    :param cancel_on_timeout: whether to cancel a remote task that is still queued then.
    :raises MinimaxRequestError: a time is not more than 0.
    """

    __slots__ = ("cancel_on_timeout", "deferrable", "poll_interval", "timeout", "wait_for_completion")

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        deferrable: bool = False,
        poll_interval: timedelta | float | None = None,
        timeout: timedelta | float = 1800.0,
        cancel_on_timeout: bool = False,
    ) -> None:
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = None if poll_interval is None else seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.cancel_on_timeout = cancel_on_timeout


class DeliveryOptions:
    """
    What an author may choose about the clip's file.

    :param output_path: where to put the clip, if anywhere; as it was written or rendered, read when it is needed.
    :param overwrite: whether a file that is there already may be replaced: ``False``, ``True``, or ``"changed"`` if the
        request has changed since.
    :param check: how closely to examine the clip first: ``"none"``, ``"basic"`` or ``"full"``.
    :param preview: whether to make pictures of it, next to it.
    :param delivers: whether the task delivers the clip itself.
    :param written_path: ``output_path`` before it was rendered; ``None`` if it was not.
    :raises MinimaxRequestError: one of them cannot be, or ``check`` or ``preview`` has no clip to be about.
    """

    __slots__ = ("check", "output_path", "overwrite", "preview", "written_path")

    def __init__(
        self,
        *,
        output_path: AnyPath | None = None,
        overwrite: Overwrite = False,
        check: Check = "none",
        preview: bool = False,
        delivers: bool = True,
        written_path: str | None = None,
    ) -> None:
        self.output_path = output_path
        self.overwrite = one_of("overwrite", overwrite, (True, False, "changed"))
        self.check = one_of("check", check, ("none", "basic", "full"))
        self.preview = preview
        self.written_path = written_path
        for name, value, is_asked_for in (("check", check, check != "none"), ("preview", preview, bool(preview))):
            if is_asked_for and (output_path is None or not delivers):
                missing = "output_path" if delivers else "wait_for_completion=True and output_path"
                raise invalid_option(
                    f"{name}={value!r}: is for a task that delivers the clip itself; it needs {missing}"
                )

    @property
    def may_replace(self) -> bool:
        """Whether another file at the destination may be replaced once a clip is bought for it."""
        return bool(self.overwrite)

    def check_dependencies(self) -> None:
        """
        Make sure that this worker has what ``check`` and ``preview`` need.

        :raises MinimaxRequestError: it has not; nothing was bought.
        """
        from airflow_provider_minimax.media.check import ensure_available

        if self.check != "none":
            ensure_available("check", self.check)
        if self.preview:
            ensure_available("preview", str(self.preview))


def check_changed(delivery: DeliveryOptions, purchase: PurchaseOptions) -> None:
    """
    Check that it can be known whether a request has changed, if that decides.

    :param delivery: what the author chose about the file.
    :param purchase: what the author chose about buying.
    :raises MinimaxRequestError: nothing does.
    """
    if delivery.overwrite == "changed" and (delivery.output_path is None or not purchase.durable):
        raise invalid_option(
            "overwrite='changed': needs output_path and durable=True: the receipt next to the output shows whether the "
            "request has changed"
        )


def check_output_path(output_path: Any) -> None:
    """
    Check an output path, as far as it is known already.

    :param output_path: the path or URL, if any.
    :raises MinimaxRequestError: it is none.
    """
    text = as_text(output_path)
    if text is not None and is_literal(text):
        read_path(text)


def checked_id(value: Any, name: str = "minimax_task_id") -> str:
    """
    Return the id of a remote task or file fit to be sent.

    :param value: the id, as text or as the number that some of Airflow's own readings of XCom make of it.
    :param name: the parameter's name, for the error.
    :raises MinimaxRequestError: it is empty or neither, or has signs that cannot be seen, as copies from pages have.
    """
    is_id = isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip()
    if not is_id or not is_id.isprintable():
        from airflow_provider_minimax.exceptions import MinimaxRequestError
        from airflow_provider_minimax.text.redaction import redact

        raise MinimaxRequestError(
            f"{name}={redact(repr(value), limit=80)}: must be the id that a submission returned",
            hint="Use the XCom of the task that bought the clip.",
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


def check_adoption(model: Any) -> None:
    """
    Check that a model has a list of its tasks, from which a purchase whose answer was lost can be adopted.

    :param model: the model; anything but a literal is left for :func:`check_search`.
    :raises MinimaxRequestError: it has none.
    """
    from airflow_provider_minimax.api.catalogue import api_of

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
        raise invalid_option(
            "on_orphaned_intent='adopt': needs a receipt, or a retry does not know of the submission, and none can be "
            "kept: before Airflow 3.3 that takes an output_path"
        )


def _no_list(model: str) -> MinimaxRequestError:
    return invalid_option(
        f"on_orphaned_intent='adopt': the platform cannot list tasks of model={model!r}, so a purchase whose "
        "answer was lost cannot be found; MiniMax itself lists tasks of the H3 models. Leave it out to stop then and "
        "have a person check"
    )
