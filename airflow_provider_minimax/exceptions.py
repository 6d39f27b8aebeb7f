"""
What can go wrong, named by what the reader has to do about it.

Every error says what happened, on which platform, with which remote task id, what happened to the money, and what to do
next. Those that a retry of the Airflow task cannot help derive from ``AirflowFailException`` (or, for an exhausted
wait, from ``AirflowSensorTimeout``), so Airflow fails the task at once. No message ever holds a key, a signed URL or an
image: texts from outside go through :func:`airflow_provider_minimax.api.redaction.redact` first. What a terminal would
obey is written out here, because paths and ids of Airflow may hold it too.
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
    # DAG files are parsed with these errors, and without what makes texts fit.
    from airflow_provider_minimax.api.storable import printable

    return printable(text)


class MinimaxError(AirflowException):
    """
    Root of all errors of this provider.

    :param message: what happened, one sentence without its full stop.
    :param platform: the platform that was asked, by its name in the connection.
    :param http_status: HTTP status of the reply, if there was one.
    :param code: the platform's own error code as text, e.g. ``"1008"``.
    :param minimax_task_id: the remote task id, if one is known.
    :param trace_id: the platform's id of the request, for its support.
    :param billing: what was, is or may be billed, a whole sentence.
    :param hint: what to do next, a whole sentence.
    :param retry_after: seconds the platform asked to wait, if it did.
    :param resumable: whether a retry of the Airflow task goes on with what is bought and buys nothing: a receipt holds
        the purchase, or the task is one that never buys. Said by who knows; ``None`` means that nobody said so.
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
        """Whether trying the same again is known not to help."""
        return isinstance(self, AirflowFailException | AirflowSensorTimeout)

    def as_event(self) -> dict[str, Any]:
        """Return the error as plain JSON values, for a trigger event; :func:`error_from_event` reads it back."""
        facts = {_STORED_NAMES.get(name, name): value for name, value in self.__dict__.items() if value is not None}
        return {"kind": type(self).__name__, **facts}


class MinimaxConfigurationError(MinimaxError, AirflowFailException):
    """The connection cannot work as it is: unknown platform or region, base URL without scheme, key missing."""


class MinimaxConnectionNotFoundError(MinimaxConfigurationError):
    """
    Airflow says that there is no such connection. Add it, or wait for what keeps it.

    Airflow says the same while the secrets backend or the API server that has the connection is down.
    """


class MinimaxAuthError(MinimaxError, AirflowFailException):
    """The key was refused: it is wrong, or it belongs to another region. Correct the connection."""


class MinimaxQuotaError(MinimaxError, AirflowFailException):
    """The account's balance or plan is used up, or the plan lacks the model. Top up, then run the task again."""


class MinimaxRequestError(MinimaxError, AirflowFailException):
    """The request is invalid, by our checks or by the platform's. Correct the named field."""


class MinimaxFileError(MinimaxRequestError):
    """A file that the request names cannot be read by this worker. Give one that can be."""


class MinimaxModerationError(MinimaxError, AirflowFailException):
    """The platform refused the prompt, the image or the finished clip as sensitive. Change the prompt or the image."""


class MinimaxRateLimitError(MinimaxError):
    """Too many requests, or the service is overloaded. The request did not begin; wait, then ask again."""


class MinimaxUnavailableError(MinimaxError):
    """The platform cannot answer just now, or its answer makes no sense. Asking again may help."""


class MinimaxUnreachableError(MinimaxUnavailableError):
    """No connection could be made (DNS, refused, TLS, time-out), so the request never left this machine."""


class MinimaxConnectionLookupError(MinimaxUnavailableError):
    """Airflow could not be asked for the connection: it did not answer, or its answer was an error. Ask again."""


class MinimaxConnectionUnusableError(MinimaxUnavailableError):
    """
    Something is bought, and its connection is missing, wrong, refused or out of money in one of Airflow's processes.

    Never final: a retry goes on with the purchase, and Airflow itself says "not found" of a connection whose secrets
    backend or API server is down for a moment.
    """


class MinimaxSubmissionUnknownError(MinimaxError, AirflowFailException):
    """
    A submission went out and no usable answer came back, so a clip may or may not have been bought.

    ``minimax_task_id`` is the task that the answer names, if it is an error and names one all the same.

    The API has no idempotency key: sending it again could buy a second clip. Look at the platform's console first.
    """


class MinimaxReceiptError(MinimaxError, AirflowFailException):
    """A receipt cannot be read, or is another request's, so buying could be buying twice. Somebody has to look."""


class MinimaxStorageError(MinimaxError):
    """The place where clips land, or one on the way there, cannot be read or written just now."""


class MinimaxReceiptStoreError(MinimaxStorageError):
    """The place where receipts are kept cannot be read or written just now, and nothing is bought without one."""


class MinimaxTaskFailedError(MinimaxError, AirflowFailException):
    """The remote task ended without a clip."""


class MinimaxTaskGoneError(MinimaxError, AirflowFailException):
    """The platform does not know the task id (any more). Check the id, the connection and the task's age."""


class MinimaxTaskTimeoutError(MinimaxError, AirflowSensorTimeout):
    """Our patience ended before the remote task did: it goes on, will be billed, and can be waited for again."""


class MinimaxDownloadError(MinimaxError):
    """The clip exists but could not be fetched whole. Fetching it again costs nothing."""


class MinimaxClipRejectedError(MinimaxError, AirflowFailException):
    """The clip came whole, and is not what was asked for. It is kept aside for a person to look at."""


def after_purchase(error: MinimaxError, process: Literal["worker", "triggerer"]) -> MinimaxError:
    """
    Return what an error means once something is bought. Whether an error is final depends on that, and only here.

    What is wrong with a connection stops a purchase for good. After one, a retry costs nothing and may help.

    :param error: the error.
    :param process: the kind of Airflow process in which it came up, which is where to look.
    :return: a :class:`MinimaxConnectionUnusableError` for what is wrong with the connection; any other error unchanged.
    """
    if not isinstance(
        error, MinimaxConfigurationError | MinimaxAuthError | MinimaxQuotaError | MinimaxConnectionLookupError
    ):
        return error
    facts = {name: value for name, value in error.__dict__.items() if name not in ("message", "hint")}
    if error.billing == NOTHING_BOUGHT:
        # So says whoever reads connections, who cannot know what was bought before.
        del facts["billing"]
    return MinimaxConnectionUnusableError(
        f"the {process} cannot use the connection just now: {error.message}",
        **facts,
        hint=f"Look at the connection as the {process} sees it (environment variables and secrets backends may differ "
        "between Airflow's processes, and one that is down looks like a connection that is missing). "
        + (error.hint or "What was bought is kept; trying again buys nothing."),
    )


@contextmanager
def retry_buys_nothing() -> Iterator[None]:
    """
    Let errors in here say that a retry of the Airflow task buys nothing, for tasks in a worker that never buy.

    What they are about was bought by another one, so what is wrong with the connection is not final either.
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
    Rebuild an error from what :meth:`MinimaxError.as_event` made of it.

    :param event: the plain values; an unknown ``kind`` (a trigger of another version) gives a :class:`MinimaxError`.
    :return: the error, ready to be raised.
    """
    kind = _KINDS.get(str(event.get("kind", "")), MinimaxError)
    # Receipts, which keep errors too, are files that people may edit: what makes no sense is left out.
    texts = {name: event.get(_STORED_NAMES.get(name, name)) for name in _TEXTS}
    known: dict[str, Any] = {
        name: str(value) for name, value in texts.items() if isinstance(value, str | int) and value != ""
    }
    known |= {name: event[name] for name, fit in _VALUES.items() if isinstance(event.get(name), fit)}
    error: MinimaxError = kind(str(event.get("message", "no reason was given")), **known)
    return error
