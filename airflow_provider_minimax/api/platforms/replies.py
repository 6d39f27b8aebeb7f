"""
Reading replies, in one order for all platforms.

HTTP status, JSON or not, the error object in whatever envelope, then the fields. What comes out is a value or an error
that says what the reader has to do; which platform it was and what was at stake is added by the sender.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from airflow_provider_minimax.api.http.message import HttpReply
from airflow_provider_minimax.api.http.named_task import is_no_id
from airflow_provider_minimax.exceptions import (
    MinimaxAuthError,
    MinimaxConfigurationError,
    MinimaxError,
    MinimaxModerationError,
    MinimaxQuotaError,
    MinimaxRateLimitError,
    MinimaxRequestError,
    MinimaxTaskGoneError,
    MinimaxUnavailableError,
)
from airflow_provider_minimax.text.redaction import redact


def _as_text(value: Any) -> Any:
    return "" if value is None else str(value) if isinstance(value, int | float) else value


def _fit_to_show(value: str) -> str:
    return redact(value, limit=100)


def _whole(value: Any) -> Any:
    if isinstance(value, bool | float) or (isinstance(value, int) and value < 0):
        raise ValueError("not an id")
    return "" if value in (None, 0) else str(value) if isinstance(value, int) else value


def _as_id(text: str) -> str:
    text = text.strip()
    if redact(text) != text or not text.isprintable():
        raise ValueError("not an id")
    return "" if is_no_id(text) else text


def _object_or_none(value: Any) -> Any:
    return value if isinstance(value, Mapping) else None


def _valid_or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


def _of_our_days(moment: datetime) -> datetime:
    # Older than any of the platforms, or far off: a zero, a number of seconds that something took, microseconds.
    if not 2020 <= moment.year < 2100:
        raise ValueError("not a time at which a clip can have been made")
    return moment.astimezone(UTC)


def objects(value: Any) -> list[Any]:
    """Keep the objects of what should be a list of them, for use as a validator."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


Text = Annotated[str, BeforeValidator(_as_text)]
"""A word or a number, as text."""
Word = Annotated[Text, AfterValidator(_fit_to_show)]
"""A status, a code or the like: a word or a number, as text that is fit to be shown."""
Id = Annotated[str, BeforeValidator(_whole), AfterValidator(_as_id)]
"""An id, a text or a whole number; empty for null and 0. What cannot be one is an error, not the lack of one."""
MaybeObject = BeforeValidator(_object_or_none)
"""For objects that some replies leave null, empty or as a bare text."""

# What is good to know of a task, and not needed to get the clip: a value that makes no sense is None, never an error,
# because a paid clip must not be lost to it.
_IfValid = WrapValidator(_valid_or_none)
MaybeId = Annotated[Id | None, _IfValid]
"""An id that can be done without."""
MaybeText = Annotated[Text | None, _IfValid]
"""A text that can be done without."""
Moment = Annotated[Annotated[AwareDatetime, AfterValidator(_of_our_days)] | None, _IfValid]
"""A time, in UTC: seconds or milliseconds since 1970, told apart by their size, as a number or as text."""
Amount = Annotated[Annotated[Decimal, Field(ge=0, max_digits=15)] | None, _IfValid]
"""An amount of money or of other units, as a number or as text."""
Money = Annotated[Annotated[Decimal, Field(max_digits=15)] | None, _IfValid]
"""What is in an account, likewise; it may be less than nothing."""
Pixels = Annotated[Annotated[int, Field(gt=0)] | None, _IfValid]
"""A width or a height."""
Bytes = Annotated[Annotated[int, Field(ge=0)] | None, _IfValid]
"""The size of a file."""
Seconds = Annotated[Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, _IfValid]
"""A clip's length."""


class Reply(BaseModel):
    """Base of the replies' shapes: what a platform adds is ignored, what it leaves out has a default."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class BaseResp(Reply):
    """The official API's verdict, in every reply of v1; HTTP says 200 even for errors."""

    status_code: Word = "0"
    status_msg: Text = ""


class ErrorBody(Reply):
    """The places where the platforms put an error's code and words."""

    base_resp: Annotated[BaseResp | None, MaybeObject] = None
    error: Any = None
    code: Word = ""
    reason: Text = ""
    message: Text = ""
    msg: Text = ""
    request_id: Word = ""

    def code_and_words(self) -> tuple[str, str]:
        """Return the code and the words, from the innermost object that has them."""
        if isinstance(self.error, str):
            return self.code, self.error
        if isinstance(self.error, Mapping):
            inner = self.error
            words = str(inner.get("message") or inner.get("error_message") or inner.get("msg") or "")
            bracketed = _BRACKETED.search(words)
            code = inner.get("code") or inner.get("err_code") or (bracketed and bracketed[1]) or inner.get("type") or ""
            return _fit_to_show(str(code)), words
        if self.base_resp and self.base_resp.status_code != "0":
            return self.base_resp.status_code, self.base_resp.status_msg
        return _fit_to_show(self.reason) or self.code, self.message or self.msg or self.reason


# API v2 says its code at the end of the words: "insufficient balance (1008)".
_BRACKETED = re.compile(r"\((\d{4,5})\)\s*$")
# What the gateways' ``code`` says of a success.
_SUCCESS = ("0", "200", "success")
# The gateways' words for an empty account, which come with an HTTP status that means something else elsewhere.
_EMPTY_ACCOUNT = "insufficient_user_quota NOT_ENOUGH_BALANCE"

# The codes of base_resp: https://platform.minimax.io/docs/api-reference/errorcode. Those that say nothing about whether
# the work began (1000, 1001, 1013, 1024, 1033 and all that are not listed) stay MinimaxUnavailableError.
_CODES: dict[str, type[MinimaxError]] = {
    code: error
    for error, codes in {
        MinimaxAuthError: "1004 2049",
        MinimaxQuotaError: f"1008 1028 1030 2038 2056 2061 {_EMPTY_ACCOUNT}",
        MinimaxModerationError: "1026 1027 unprocessable_entity_error",
        MinimaxRateLimitError: "1002 1039 1041 2045",
        MinimaxRequestError: "1042 1043 1044 2013 2037 2039 2042 2048 20132",
    }.items()
    for code in codes.split()
}

_HTTP: dict[int, type[MinimaxError]] = {
    401: MinimaxAuthError,
    402: MinimaxQuotaError,
    403: MinimaxAuthError,
    408: MinimaxUnavailableError,
    # A conflict may be one with the same request, sent again by something on its way.
    409: MinimaxUnavailableError,
    425: MinimaxUnavailableError,
    429: MinimaxRateLimitError,
    # A proxy closed the request: nginx's status, which others copy.
    499: MinimaxUnavailableError,
    529: MinimaxRateLimitError,
}

CALLBACK_UNCHECKED = "check callback"
"""What refusals of a ``callback_url`` say: "invalid params, fail to check callback url", code 2013 on v1 and v2."""
_CALLBACK_HINT = (
    'Before it takes a request the platform posts {"challenge": "…"} to callback_url, and the receiver must answer '
    "with the same JSON within 3 seconds. Make sure that the platform can reach it, or leave callback_url out; this "
    "provider does not need it."
)

R = TypeVar("R", bound=Reply)

UNKNOWN_TASK = "the platform does not know this task"


def plain_code(code: str) -> str:
    """Return a code without its leading zeros, which some platforms send and others lose in an integer."""
    return code.strip().lstrip("0") or "0"


def error_of_code(code: str, words: str) -> MinimaxError:
    """Return the error that an official code stands for, with the platform's words unchanged."""
    kind = _CODES.get(plain_code(code), MinimaxUnavailableError)
    return kind(redact(words) or "the platform gave no reason", code=code, hint=_hint_of(words))


class _Verdict(Reply):
    base_resp: Annotated[BaseResp | None, MaybeObject] = None
    error: Any = None
    code: Word = ""

    def error_code(self) -> str | None:
        """Return the code of an error, empty if it has none; ``None`` if nothing says that there is an error."""
        if self.base_resp and plain_code(self.base_resp.status_code) != "0":
            return self.base_resp.status_code
        if plain_code(self.code).lower() not in _SUCCESS:
            return self.code
        is_error = any(self.error.values()) if isinstance(self.error, Mapping) else self.error
        return "" if is_error else None


class _Verdicts(_Verdict):
    data: Annotated[_Verdict | None, MaybeObject] = None


def confirmed_id(reply: HttpReply, minimax_task_id: str) -> str:
    """
    Return the id that the answer to a submission names, if nothing in that answer says that it is an error.

    :param reply: the answer.
    :param minimax_task_id: the id.
    :raises MinimaxUnavailableError: the answer contradicts itself: taking it for a success could mean to wait for a
        request's id, taking it for a refusal could buy a second clip. The error carries the id.
    """
    answer = read(reply, _Verdicts)
    codes = [verdict.error_code() for verdict in (answer, answer.data) if verdict]
    code = next((code for code in codes if code is not None), None)
    if code is not None:
        inner_code, words = read(reply, ErrorBody).code_and_words()
        raise MinimaxUnavailableError(
            redact(words) or "the platform gave no reason",
            code=code or inner_code or None,
            http_status=reply.status,
            minimax_task_id=minimax_task_id,
        )
    return minimax_task_id


def read(
    reply: HttpReply, shape: type[R], *, http: Mapping[int, type[MinimaxError]] | None = None, context: Any = None
) -> R:
    """
    Read a reply's JSON object.

    :param reply: the reply.
    :param shape: the fields to read.
    :param http: what an HTTP status means on this platform, where it differs from the usual.
    :param context: what the shape's validators need besides the reply.
    :return: the object.
    :raises MinimaxError: for an HTTP error status, by its meaning; for anything else than a JSON object of that shape,
        a :class:`MinimaxUnavailableError` with the beginning of the text.
    """
    if reply.status >= 300:
        raise http_error(reply, http or {})
    try:
        return shape.model_validate_json(reply.body, context=context)
    except ValidationError:
        raise MinimaxUnavailableError(
            f"the answer is not the JSON that the platform documents; it begins with {excerpt(reply)!r}",
            http_status=reply.status,
        ) from None


def http_error(reply: HttpReply, meanings: Mapping[int, type[MinimaxError]]) -> MinimaxError:
    """Return the error that an HTTP error reply stands for."""
    code, words, trace_id = "", "", ""
    try:
        body = ErrorBody.model_validate_json(reply.body)
        (code, words), trace_id = body.code_and_words(), body.request_id
    except ValidationError:
        words = excerpt(reply)
    status = reply.status
    kind = meanings.get(status) or _CODES.get(code) or _HTTP.get(status)
    if kind is None:
        if status < 400:
            kind = MinimaxConfigurationError
            words = words or "the address answers with a redirect; correct the connection's host"
        else:
            kind = MinimaxRequestError if status < 500 else MinimaxUnavailableError
    return kind(
        redact(words) or "the platform gave no reason",
        http_status=status,
        code=code or None,
        trace_id=trace_id or None,
        hint=_hint_of(words),
    )


def _hint_of(words: str) -> str | None:
    """Say what to do about a refusal whose code stands for many, and whose words for one."""
    return _CALLBACK_HINT if CALLBACK_UNCHECKED in words.lower() else None


def task_not_found(minimax_task_id: str, words: str, **facts: Any) -> MinimaxTaskGoneError:
    """Return the error for a task id that the platform does not know."""
    return MinimaxTaskGoneError(
        f"{UNKNOWN_TASK}: {redact(words) or 'no reason was given'}",
        minimax_task_id=minimax_task_id,
        hint="Check that the id was made through this connection; platforms forget old tasks.",
        **facts,
    )


def excerpt(reply: HttpReply) -> str:
    """Return the first words of a reply's body, fit to be shown."""
    return redact(reply.body[:2000].decode("utf-8", "replace"), limit=200)


def is_object_with(reply: HttpReply, *names: str) -> bool:
    """Whether the reply is a JSON object that has one of the fields."""
    try:
        fields = _AnyFields.model_validate_json(reply.body).model_extra or {}
    except ValidationError:
        return False
    return any(name in fields for name in names)


class _AnyFields(BaseModel):
    model_config = ConfigDict(extra="allow")
