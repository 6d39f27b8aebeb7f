"""From an Airflow connection to a platform and its endpoint: every field read, checked and explained in one place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from airflow_provider_minimax.api.http.exchange import Endpoint, is_address
from airflow_provider_minimax.api.http.proxies import Proxy, usable
from airflow_provider_minimax.api.platforms import PLATFORMS, Platform
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxConfigurationError
from airflow_provider_minimax.text.redaction import SHORTEST_KEY

LARGEST_PORT = 65535

# What people put into a wrong field may be the key. These are shown, and nothing else: no key is that short or plain.
_WORD = re.compile(r"[A-Za-z]{1,12}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_-]{1,40}", re.ASCII)
_HOST = re.compile(r"([a-z]{2,8}://)?([a-z0-9-]{1,30}\.){1,4}[a-z]{2,12}(:\d{1,6})?(/v[12])?/?", re.ASCII)
_LONGEST_NUMBER = 8
# What pydantic puts before the rule itself.
_RULE = re.compile(r"^(Input |Value error, )")
_NAME_OF_A_KEY = re.compile(r"key|token|secret|password|bearer|auth", re.IGNORECASE)


def _path_prefix(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    prefix = value.strip().strip("/")
    if not prefix.isprintable() or set(prefix) & set("?# "):
        raise ValueError("must be a path, such as /minimax")
    if prefix.endswith(("/v1", "/v2")) or prefix in ("v1", "v2"):
        raise ValueError("must end before the API's version, such as /minimax")
    return f"/{prefix}" if prefix else ""


def _switch_or_path(value: Any) -> Any:
    """Read the texts that a URI has for switches, so that they are not taken for a path."""
    if not isinstance(value, bool | int | str):
        raise ValueError("must be true, false, or the path of a bundle of authorities")
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


class Extra(BaseModel):
    """
    The connection's ``extra``.

    :param platform: which system is behind the host.
    :param region: where the key was issued: ``global`` or ``cn``; only MiniMax itself has regions. One of MiniMax's own
        hosts says it by itself.
    :param path_prefix: what comes between host and path, where a gateway differs from its platform's default.
    :param timeout: seconds to wait for an answer.
    :param max_retries: how often a request that may be repeated is repeated.
    :param rate_limit_per_minute: how many clips may be submitted in a minute; unset: no limit.
    :param proxy: URL of a proxy; unset leaves it to the environment.
    :param verify: whether to check certificates, or the path of a bundle of authorities.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    platform: str = "minimax"
    region: Literal["global", "cn"] = "global"
    path_prefix: Annotated[str, BeforeValidator(_path_prefix)] | None = None
    timeout: Annotated[float, Field(gt=0, le=3600)] = 60.0
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    rate_limit_per_minute: Annotated[int, Field(ge=1)] | None = None
    proxy: str | None = None
    verify: Annotated[bool | str, BeforeValidator(_switch_or_path)] = True


def read_extra(conn_id: str, text: str | None) -> dict[str, Any]:
    """
    Read a connection's ``extra``. Airflow takes what it cannot read for an empty one, and says nothing to the task.

    :param conn_id: its id, for errors.
    :param text: the extra as Airflow keeps it.
    :raises MinimaxConfigurationError: it is no JSON object.
    """
    try:
        extra = json.loads(text) if text and text.strip() else {}
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        # What it is instead may be the key.
        raise _unusable(conn_id, 'extra: must be a JSON object, such as {"platform": "minimax"}')
    return extra


def read_connection(
    conn_id: str,
    *,
    host: str | None,
    port: int | None,
    path: str | None,
    password: str | None,
    extra: Mapping[str, Any],
) -> tuple[Platform, Endpoint]:
    """
    Read a connection's fields.

    :param conn_id: its id, for errors.
    :param host: the base URL with its scheme; empty for the platform's own.
    :param port: a port to add to the base URL, as connections written as URIs have it.
    :param path: a path to add to the base URL; Airflow calls that of a URI the schema.
    :param password: the API key.
    :param extra: the extra fields; empty ones count as unset, as Airflow's form leaves them.
    :return: the platform and where to reach it.
    :raises MinimaxConfigurationError: naming the field, its value if that can be no secret, the rule and what to do.
    """
    settings = _read_fields(conn_id, extra, password or "")
    platform = PLATFORMS.get(settings.platform)
    if platform is None:
        raise _unusable(
            conn_id,
            f"extra field platform{_shown(settings.platform, password)}: no such "
            f"platform{_meant(settings.platform, PLATFORMS)}; use one of {', '.join(PLATFORMS)}",
        )
    if settings.region not in platform.base_urls and not host:
        raise _unusable(
            conn_id, f"extra field region={settings.region!r}: {platform.title} has no regions; leave it out"
        )
    base_url = _base_url(conn_id, host or platform.base_urls[settings.region], port, path, password)
    region = platform.region_of(base_url) or settings.region
    return platform, Endpoint(
        platform=platform.name,
        base_url=base_url,
        api_key=_api_key(conn_id, password),
        region=region,
        path_prefix=platform.path_prefix if settings.path_prefix is None else settings.path_prefix,
        timeout=settings.timeout,
        max_retries=settings.max_retries,
        rate_limit_per_minute=settings.rate_limit_per_minute,
        proxy=_proxy(conn_id, settings.proxy),
        verify=settings.verify,
        auth_hint=_auth_hint(conn_id, platform, region),
    )


def _read_fields(conn_id: str, extra: Mapping[str, Any], password: str) -> Extra:
    try:
        return Extra(**{name: value for name, value in extra.items() if value not in (None, "")})
    except ValidationError as error:
        problems = [_problem(item, password) for item in error.errors(include_url=False)]
        raise _unusable(conn_id, "; ".join(problems)) from None


def _problem(item: Any, password: str) -> str:
    name = str(item["loc"][0])
    if item["type"] != "extra_forbidden":
        return f"extra field {name}{_shown(item['input'], password)}: {_RULE.sub('', str(item['msg']))}"
    known = f"the fields are {', '.join(Extra.model_fields)}"
    if not _NAME.fullmatch(name) or _holds(name, password):
        # It may be the key, on the wrong side of the colon.
        return f"extra: one of its fields, whose name is not shown, is none of this connection; {known}"
    if _NAME_OF_A_KEY.search(name):
        return f"extra field {name}: no such field; the API key is the connection's password, and {known}"
    return f"extra field {name}: no such field{_meant(name, Extra.model_fields)}; {known}"


def _meant(word: str, choices: Iterable[str]) -> str:
    """Return a guess at what a word was to be."""
    near = get_close_matches(word.lower(), list(choices), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _shown(value: Any, password: str | None) -> str:
    """Return a value to stand behind its field's name, if it is none that may be a secret."""
    text = value if isinstance(value, str) else str(value)
    is_number = isinstance(value, bool | int | float) and len(text) <= _LONGEST_NUMBER
    if is_number or (_WORD.fullmatch(text) and not _holds(text, password)):
        return f"={value!r}"
    return " (its value is not shown, since it may be a secret)"


def _holds(text: str, password: str | None) -> bool:
    """Whether a text gives a password away, or a good part of it."""
    if password is None or min(len(password), len(text)) < SHORTEST_KEY:
        return False
    return password in text or text in password


def _base_url(conn_id: str, host: str, port: int | None, path: str | None, password: str | None) -> str:
    shown = f"={host!r}" if _HOST.fullmatch(host) and not _holds(host, password) else ""
    base_url = host.strip().rstrip("/")
    if not is_address(base_url, "https", "http"):
        raise _unusable(conn_id, f"host{shown}: must be a base URL with its scheme, such as https://api.minimax.io")
    if path and path.strip("/").lower() in ("http", "https"):
        raise _unusable(
            conn_id, f"schema={path!r}: must be empty; the scheme belongs before the host, as in {base_url}"
        )
    if path and (path := path.strip().strip("/")):
        base_url = f"{base_url}/{path}"
    parts = urlsplit(base_url)
    if parts.query or parts.fragment or parts.username or parts.password or not is_address(base_url, "https", "http"):
        raise _unusable(conn_id, f"host{shown}: must be scheme, host and path only; the key is the password")
    if base_url.endswith(("/v1", "/v2")):
        use = f"; use {base_url[:-3]}" if shown and not path else ""
        raise _unusable(conn_id, f"host{shown}: must end before the API's version{use}")
    if port and not 0 < port <= LARGEST_PORT:
        raise _unusable(conn_id, f"port={port}: must be from 1 to {LARGEST_PORT}")
    if port and not parts.port:
        base_url = f"{parts.scheme}://{parts.netloc}:{port}{parts.path}"
    return base_url


def _proxy(conn_id: str, proxy: str | None) -> str | None:
    if proxy is not None:
        try:
            usable(Proxy(proxy, "extra field proxy"))
        except MinimaxConfigurationError as error:
            raise _unusable(conn_id, error.message, error.hint) from None
    return proxy


def _api_key(conn_id: str, password: str | None) -> str:
    key = (password or "").strip()
    if not key:
        raise _unusable(conn_id, "password: the API key is missing; put it there")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise _unusable(conn_id, "password: the API key has blanks or signs that no key has; copy it again")
    return key


def _auth_hint(conn_id: str, platform: Platform, region: str) -> str:
    if len(platform.base_urls) == 1:
        return f"Check the API key in connection {conn_id!r}: it must be a key of {platform.title}."
    other = next(name for name in platform.base_urls if name != region)
    return (
        f"Check the API key in connection {conn_id!r}. A key works only in the region where it was issued, and the API "
        f"does not say so: this connection's region is {region!r}, so the key may be one of {other!r} "
        f"({platform.base_urls[other]})."
    )


def _unusable(conn_id: str, problem: str, hint: str | None = None) -> MinimaxConfigurationError:
    return MinimaxConfigurationError(
        f"connection {conn_id!r} cannot be used: {problem}", billing=NOTHING_BOUGHT, hint=hint
    )
