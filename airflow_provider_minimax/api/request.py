"""What to make: one request for a clip, the same for every platform. Types only; the rules are in ``rules.py``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetPydanticSchema, ValidationError

from airflow_provider_minimax.api.inputs.content import FileContent
from airflow_provider_minimax.api.modes import AUTO_CALLBACK, mode_of
from airflow_provider_minimax.api.modes import Mode as Mode
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxRequestError
from airflow_provider_minimax.paths import as_text
from airflow_provider_minimax.text.redaction import redact

UNCHECKED = "If the platform takes it all the same, validate=False sends it unchecked."
# What a request is checked with as long as its purchase has no address yet.
_ANY_CALLBACK = "https://callback.invalid/"

# Blanks of all scripts, and what cannot be seen: copied from chats, spreadsheets and PDFs together with a URL.
_AROUND = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
)
_SCHEME = re.compile(r"(?:https?|mm_file)://|data:", re.IGNORECASE)
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")


def _as_text(value: Any) -> Any:
    """Take a number for the text that it was before Airflow rendered it natively."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    elif isinstance(value, float) and math.isfinite(value):
        value = repr(value)
    elif not isinstance(value, str):
        raise ValueError(
            f"must be a text, and not of type {type(value).__name__}, which is what a template may become with "
            "render_template_as_native_obj=True"
        )
    if not value.strip():
        raise ValueError("must not be empty; leave the field out (None) to go without it")
    return value


def _as_id(value: Any) -> Any:
    """Take an id as the whole number too that Airflow's native rendering makes of it; others have lost digits."""
    if isinstance(value, float):
        raise ValueError("must be a text: as a number with a fraction or an exponent it is not the id any more")
    return value


def _as_count(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


def _stripped(value: str) -> str:
    return value.strip(_AROUND)


def as_address(value: Any) -> Any:
    """
    Read a URL or path as it was meant, for use as a validator: nothing invisible around it, no capitals in its scheme.

    :param value: the URL or path; a :class:`~pathlib.Path` is one too.
    """
    value = as_text(value)
    if not isinstance(value, str):
        return value
    value = value.strip(_AROUND)
    if (scheme := _SCHEME.match(value)) is None:
        return value
    if scheme[0] != scheme[0].lower():
        value = scheme[0].lower() + value[scheme.end() :]
    # As browsers do; in a data URL they are left to the reader, to save memory.
    return value if value.startswith("data:") else value.translate(_LINE_BREAKS)


def as_upper(value: Any) -> Any:
    """Read a word in any spelling as one in capitals, for use as a validator."""
    return value.strip(_AROUND).upper() if isinstance(value, str) else value


def as_lower(value: Any) -> Any:
    """Read a word in any spelling as one in small letters, for use as a validator."""
    return value.strip(_AROUND).lower() if isinstance(value, str) else value


def _several(value: Any) -> Any:
    """Take one as well as a list of them; a list of none is the same as no list."""
    value = as_text(value)
    return [value] if isinstance(value, str | int | float) else value or None


def _one_subject(value: Any) -> Any:
    """Take the API's own list as well as the bare image that it wraps."""
    match value:
        case [{"type": "character", "image": [str(image)]}] | [{"type": "character", "image": str(image)}]:
            return image
        case list() | tuple() | Mapping():
            raise ValueError("must be one image, or the API's list [{'type': 'character', 'image': ['<one image>']}]")
    return value


Text = Annotated[str, BeforeValidator(_as_text)]
Name = Annotated[Text, AfterValidator(_stripped)]
Id = Annotated[Name, BeforeValidator(_as_id)]
Url = Annotated[Text, BeforeValidator(as_address)]
Count = Annotated[int, BeforeValidator(_as_count)]
# A text in the author's request; the file's content replaces it when the file is read.
Source = Annotated[
    str | FileContent,
    GetPydanticSchema(lambda _, handler: handler(str)),
    BeforeValidator(_as_text),
    BeforeValidator(as_address),
]
Image = Annotated[Source | None, Field(repr=False)]
References = Annotated[tuple[Source, ...] | None, BeforeValidator(_several), Field(repr=False)]


class PaidRequest(BaseModel):
    """
    What all requests have in common that cost money.

    :param model: the model's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_max_length=None)

    task_type: ClassVar[str] = "generation"
    """What the second version of the API calls the remote tasks of such requests."""

    model: Name

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """
        Read a request from plain values, such as rendered templates (``"6"`` is a length, ``"true"`` a switch).

        :param fields: field name to value; ``None`` is the same as leaving the field out.
        :return: the request.
        :raises MinimaxRequestError: naming each field whose value has the wrong type, with the value and the rule.
        """
        try:
            return cls(**{name: value for name, value in fields.items() if value is not None})
        except ValidationError as error:
            raise invalid(
                [
                    f"{'.'.join(map(str, item['loc']))}={_shown(item['input'])}: {_rule(item['msg'])}"
                    for item in error.errors(include_url=False, include_context=False)
                ]
            ) from None

    @property
    def mode(self) -> Mode:
        """What the clip starts from, by what is given."""
        return mode_of(self.get)

    def get(self, name: str) -> Any:
        """Return the value of a field; ``None`` where it is not set, or requests of this kind have no such field."""
        return getattr(self, name) if name in type(self).model_fields else None

    @property
    def has_auto_callback(self) -> bool:
        """Whether the platform is to be given an address of Airflow's own receiver."""
        return bool(self.get("callback_url") == AUTO_CALLBACK)

    def with_callback(self, url: str = _ANY_CALLBACK) -> Self:
        """
        Return the request with an address in place of ``"auto"``; any other request as it is.

        :param url: the address; by default one that only serves to check the request.
        """
        return self.model_copy(update={"callback_url": url}) if self.has_auto_callback else self

    def given(self) -> dict[str, Any]:
        """Return the fields that are set, in their order of declaration."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class VideoRequest(PaidRequest):
    """
    A request for one clip.

    Field names are those of the official API (https://platform.minimax.io/docs/api-reference/video-generation-t2v);
    each platform translates them. ``None`` means: not sent, the platform's default holds. "H3" stands for
    the H3 models, which are reached through the second version of the API.

    :param model: the model's name, e.g. ``MiniMax-Hailuo-2.3`` or ``MiniMax-H3``, or a gateway's own name for it.
    :param prompt: what to show, at most 2000 characters (H3: 7000, and always needed); for Hailuo models camera moves
        go in brackets, e.g. ``[Push in]``.
    :param first_frame_image: the opening frame: a public URL, a ``data:image/…;base64,`` URL, or a path that is read;
        for H3 also ``mm_file://{file_id}``, a file that was uploaded before.
    :param last_frame_image: the closing frame, like ``first_frame_image``; ``MiniMax-Hailuo-02`` and H3 only.
    :param subject_reference: a face to keep, as one image or as the API's list; ``S2V-01`` only.
    :param reference_images: up to 9 pictures to go by, each like ``first_frame_image``; H3 only, as are the next two,
        and not together with frames.
    :param reference_videos: up to 3 videos to go by, 15 s together: public URLs, ``mm_file://{file_id}``,
        ``data:video/mp4;base64,`` URLs, or paths that are read. Large files are uploaded before the clip is bought.
    :param reference_audios: up to 3 sounds to go by, likewise; never the only references.
    :param duration: the clip's length in whole seconds: 6 or 10, by model and resolution, and by default 6; for H3 from
        4 or 5 to 15, and always needed.
    :param resolution: ``512P``, ``720P``, ``768P`` or ``1080P``, by model, and by default 768P or 720P; for H3
        ``480P``, ``768P`` or ``2K``, and always needed.
    :param ratio: the clip's width to height, H3 only: ``21:9``, ``16:9``, ``4:3``, ``1:1``, ``3:4`` or ``9:16``, needed
        for text alone; or ``adaptive``, the default wherever there are pictures to go by.
    :param prompt_optimizer: whether the platform may rewrite the prompt. The API's default is true.
    :param fast_pretreatment: shortens that rewriting; Hailuo models only.
    :param aigc_watermark: whether to mark the clip as made by a machine.
    :param callback_url: where the platform posts status changes; its receiver must echo the platform's challenge within
        3 seconds, or the request is refused. ``"auto"``, for ``MinimaxHook.generate``: Airflow's own receiver.
    :param extra: further options that a model has a name for; ``MiniMax-H3-Max`` only: ``prompt_expansion_mode`` is
        ``disabled``, ``balanced`` or ``quality``.
    :param extra_body: further fields of the request's body, sent as they are.
    """

    prompt: Text | None = None
    first_frame_image: Image = None
    last_frame_image: Image = None
    subject_reference: Annotated[Image, BeforeValidator(_one_subject)] = None
    reference_images: References = None
    reference_videos: References = None
    reference_audios: References = None
    duration: Count | None = None
    resolution: Annotated[Text | None, BeforeValidator(as_upper)] = None
    ratio: Annotated[Text | None, BeforeValidator(as_lower)] = None
    prompt_optimizer: bool | None = None
    fast_pretreatment: bool | None = None
    aigc_watermark: bool | None = None
    callback_url: Url | None = Field(default=None, repr=False)
    extra: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = Field(default=None, repr=False)


def invalid(problems: list[str], *, hint: str | None = None) -> MinimaxRequestError:
    """
    Make one error of all that is wrong with a request, so that it can be corrected in one go.

    :param problems: one sentence a problem: field, value, rule, and what to do.
    :param hint: what else can be done, a whole sentence.
    """
    return MinimaxRequestError("the request cannot be sent: " + "; ".join(problems), billing=NOTHING_BOUGHT, hint=hint)


def _shown(value: Any) -> str:
    return redact(repr(value), limit=80)


def _rule(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input ")
