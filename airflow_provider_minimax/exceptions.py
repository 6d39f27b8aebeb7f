"""
What can go wrong, named by what the reader has to do about it.

Every error says what happened, on which platform, with which remote task id, whether anything was bought, and what to
do next. If a retry of the Airflow task cannot help, the error derives from ``AirflowFailException`` (or, for a wait
that timed out, from ``AirflowSensorTimeout``), so Airflow fails the task at once. No message contains a key, a signed
URL or an image: text from outside goes through :func:`airflow_provider_minimax.text.redaction.redact` first. Control
characters are escaped here, because paths and ids from Airflow may contain them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from airflow_provider_minimax.version_compat import AirflowException, AirflowFailException, AirflowSensorTimeout

__all__ = [
    "MinimaxAuthError",
    "MinimaxClipRejectedError",
    "MinimaxConfigurationError",
    "MinimaxConnectionLookupError",
    "MinimaxConnectionNotFoundError",
    "MinimaxConnectionUnusableError",
    "MinimaxDownloadError",
    "MinimaxError",
    "MinimaxFileError",
    "MinimaxModerationError",
    "MinimaxQuotaError",
    "MinimaxRateLimitError",
    "MinimaxReceiptError",
    "MinimaxReceiptStoreError",
    "MinimaxRequestError",
    "MinimaxStorageError",
    "MinimaxSubmissionUnknownError",
    "MinimaxTaskFailedError",
    "MinimaxTaskGoneError",
    "MinimaxTaskTimeoutError",
    "MinimaxUnavailableError",
    "MinimaxUnreachableError",
]

NOTHING_BOUGHT = "Nothing was bought."
CANCELLED = "cancelled"
"""The code of a remote task that was cancelled while it was queued, so that it was not charged."""


def _printable(text: str) -> str:
    # Imported here, because DAG files import this module when they are parsed.
    from airflow_provider_minimax.text.storable import printable

    return printable(text)


class MinimaxError(AirflowException):
    """
    Base class of all errors of this provider.

    :param message: what happened, one sentence without a full stop.
    :param platform: the platform that was asked, by its name in the connection.
    :param http_status: HTTP status of the reply, if there was one.
    :param code: the platform's own error code as text, e.g. ``"1008"``.
    :param minimax_task_id: the remote task id, if one is known.
    :param trace_id: the platform's id of the request, for its support.
    :param billing: what was, is or may be billed, a full sentence.
    :param hint: what to do next, a full sentence.
    :param retry_after: how many seconds the platform asked to wait, if it did.
    :param resumable: whether a retry of the Airflow task resumes with what is bought and buys nothing, because a
        receipt records the purchase, or because the task never buys; ``None`` if that is not known.
    """

    def __init__(
        self,
        message: str,
        *,
        platform: str | None = None,
        http_status: int | None = None,
        code: str | None = None,
        minimax_task_id: str | None = None,
        trace_id: str | None = None,
        billing: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
        resumable: bool | None = None,
    ) -> None:
        message = _printable(message)
        super().__init__(message)
        self.message = message
        self.platform = platform
        self.http_status = http_status
        self.code = code
        self.minimax_task_id = minimax_task_id
        self.trace_id = trace_id
        self.billing = billing
        self.hint = hint
        self.retry_after = retry_after
        self.resumable = resumable

    def __str__(self) -> str:
        facts = [
            f"{label} {value}"
            for label, value in (
                ("platform", self.platform),
                ("HTTP", self.http_status),
                ("code", self.code),
                ("task", self.minimax_task_id),
                ("trace", self.trace_id),
            )
            if value is not None
        ]
        text = self.message.rstrip(". ")
        if facts:
            text += f" ({', '.join(facts)})"
        return _printable(" ".join(part for part in (f"{text}.", self.billing, self.hint) if part))

    @property
    def is_final(self) -> bool:
        """Whether a retry cannot help."""
        return isinstance(self, AirflowFailException | AirflowSensorTimeout)

    def as_event(self) -> dict[str, Any]:
        """Return the error as plain JSON values, for a trigger event; :func:`error_from_event` reads it back."""
        facts = {_STORED_NAMES.get(name, name): value for name, value in self.__dict__.items() if value is not None}
        return {"kind": type(self).__name__, **facts}


class MinimaxConfigurationError(MinimaxError, AirflowFailException):
    """The connection cannot work as it is: unknown platform or region, base URL without scheme, key missing."""


class MinimaxConnectionNotFoundError(MinimaxConfigurationError):
    """
    Airflow says that there is no such connection. Add it, or wait for its secrets backend.

    Airflow says the same while the secrets backend or the API server that holds the connection is down.
    """


class MinimaxAuthError(MinimaxError, AirflowFailException):
    """The key was refused: it is wrong, or it belongs to another region. Correct the connection."""


class MinimaxQuotaError(MinimaxError, AirflowFailException):
    """The account's balance or plan is used up, or the plan lacks the model. Top up, then run the task again."""


class MinimaxRequestError(MinimaxError, AirflowFailException):
    """The request is invalid, by our checks or by the platform's. Correct the named field."""


class MinimaxFileError(MinimaxRequestError):
    """This worker cannot read a file that the request names. Use a path that every worker can read."""


class MinimaxModerationError(MinimaxError, AirflowFailException):
    """The platform refused the prompt, the image or the finished clip as sensitive. Change the prompt or the image."""


class MinimaxRateLimitError(MinimaxError):
    """Too many requests, or the service is overloaded. The request did not begin; wait, then try again."""


class MinimaxUnavailableError(MinimaxError):
    """The platform cannot answer right now, or its answer makes no sense. Trying again may help."""


class MinimaxUnreachableError(MinimaxUnavailableError):
    """No connection could be made (DNS, refused, TLS, timeout), so the request was never sent."""


class MinimaxConnectionLookupError(MinimaxUnavailableError):
    """Airflow could not be asked for the connection: it did not answer, or its answer was an error. Try again."""


class MinimaxConnectionUnusableError(MinimaxUnavailableError):
    """
    Something is bought, but one of Airflow's processes finds its connection missing, malformed, refused or empty.

    Never final: a retry resumes the purchase, and Airflow itself reports "not found" for a connection whose secrets
    backend or API server is briefly down.
    """


class MinimaxSubmissionUnknownError(MinimaxError, AirflowFailException):
    """
    A submission was sent and no usable answer came back, so a clip may or may not have been bought.

    ``minimax_task_id`` is the task that the answer names, if it is an error that names one.

    The API has no idempotency key: sending it again could buy a second clip. Check the platform's console first.
    """


class MinimaxReceiptError(MinimaxError, AirflowFailException):
    """A receipt cannot be read, or belongs to another request, so buying could mean paying twice. Check it by hand."""


class MinimaxStorageError(MinimaxError):
    """``output_path``, or the worker's own disk, cannot be read or written right now."""


class MinimaxReceiptStoreError(MinimaxStorageError):
    """The storage of the receipts cannot be read or written right now, and nothing is bought without a receipt."""


class MinimaxTaskFailedError(MinimaxError, AirflowFailException):
    """The remote task ended without a clip."""


class MinimaxTaskGoneError(MinimaxError, AirflowFailException):
    """The platform does not know the task id (any more). Check the id, the connection and the task's age."""


class MinimaxTaskTimeoutError(MinimaxError, AirflowSensorTimeout):
    """The wait timed out. The remote task keeps running and will be billed; another wait can pick it up."""


class MinimaxDownloadError(MinimaxError):
    """The clip exists but could not be downloaded completely. Downloading it again is free."""


class MinimaxClipRejectedError(MinimaxError, AirflowFailException):
    """The clip was downloaded completely, but is not what was requested. It is saved for a person to check."""


def after_purchase(error: MinimaxError, process: Literal["worker", "triggerer"]) -> MinimaxError:
    """
    Return what an error means once something is bought; this function alone decides that.

    Before a purchase, a problem with the connection is final. After it, a retry costs nothing and may help.

    :param error: the error.
    :param process: the Airflow process that raised it, which is where to check the connection.
    :return: a :class:`MinimaxConnectionUnusableError` for a problem with the connection; any other error unchanged.
    """
    if not isinstance(
        error, MinimaxConfigurationError | MinimaxAuthError | MinimaxQuotaError | MinimaxConnectionLookupError
    ):
        return error
    facts = {name: value for name, value in error.__dict__.items() if name not in ("message", "hint")}
    if error.billing == NOTHING_BOUGHT:
        # The code that reads connections says so, but cannot know what was bought before.
        del facts["billing"]
    return MinimaxConnectionUnusableError(
        f"the {process} cannot use the connection right now: {error.message}",
        **facts,
        hint=f"Check the connection as the {process} sees it: environment variables and secrets backends may differ "
        "between Airflow's processes, and if a backend is down, its connections seem to be missing. "
        + (error.hint or "The purchase is recorded; a retry buys nothing."),
    )


@contextmanager
def retry_buys_nothing() -> Iterator[None]:
    """
    Mark errors raised in this block as resumable, for tasks on a worker that never buy.

    Another task has bought, so a problem with the connection is not final either.
    """
    try:
        yield
    except MinimaxError as error:
        meant = after_purchase(error, "worker")
        meant.resumable = True
        raise meant from error.__cause__


_KINDS = {name: value for name, value in list(globals().items()) if name in __all__}
_TEXTS = ("platform", "code", "minimax_task_id", "trace_id", "billing", "hint")
_STORED_NAMES = {"billing": "money"}
_VALUES: dict[str, tuple[type, ...]] = {"http_status": (int,), "retry_after": (int, float), "resumable": (bool,)}


def error_from_event(event: dict[str, Any]) -> MinimaxError:
    """
    Rebuild an error from the result of :meth:`MinimaxError.as_event`.

    :param event: the plain values; an unknown ``kind`` (a trigger of another version) gives a :class:`MinimaxError`.
    :return: the error, to be raised.
    """
    kind = _KINDS.get(str(event.get("kind", "")), MinimaxError)
    # Receipts contain errors too, and people may edit these files: ignore values of the wrong type.
    texts = {name: event.get(_STORED_NAMES.get(name, name)) for name in _TEXTS}
    known: dict[str, Any] = {
        name: str(value) for name, value in texts.items() if isinstance(value, str | int) and value != ""
    }
    known |= {name: event[name] for name, fit in _VALUES.items() if isinstance(event.get(name), fit)}
    error: MinimaxError = kind(str(event.get("message", "no reason was given")), **known)
    return error
