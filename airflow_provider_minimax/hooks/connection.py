"""From an Airflow connection to a platform and its endpoint: every field read, checked and explained in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from airflow_provider_minimax.api.exchange import Endpoint
from airflow_provider_minimax.api.platforms import PLATFORMS, Platform
from airflow_provider_minimax.api.redaction import redact
from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxConfigurationError


def _path_prefix(value: str) -> str:
    prefix = "/" + value.strip().strip("/")
    return "" if prefix == "/" else prefix


def _switch_or_path(value: Any) -> Any:
    """Read the texts that a URI has for switches, so that they are not taken for a path."""
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


class Extra(BaseModel):
    """
    The connection's ``extra``.

    :param platform: which system is behind the host.
    :param region: where the key was issued: ``global`` or ``cn``; only MiniMax itself has regions.
    :param path_prefix: what comes between host and path, where a gateway differs from its platform's default.
    :param timeout: seconds to wait for an answer.
    :param max_retries: how often a request that may be repeated is repeated.
    :param rate_limit_per_minute: how many clips may be submitted in a minute; unset: nobody waits for a turn.
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


def read_connection(
    conn_id: str,
    *,
    host: str | None,
    port: int | None,
    password: str | None,
    extra: Mapping[str, Any],
) -> tuple[Platform, Endpoint]:
    """
    Read a connection's fields.

    :param conn_id: its id, for errors.
    :param host: the base URL with its scheme; empty for the platform's own.
    :param port: a port to add to the base URL, as connections written as URIs have it.
    :param password: the API key.
    :param extra: the extra fields; empty ones count as unset, as Airflow's form leaves them.
    :return: the platform and where to reach it.
    :raises MinimaxConfigurationError: naming the field, its value, the rule and what to do.
    """
    settings = _read_extra(conn_id, extra)
    platform = PLATFORMS.get(settings.platform)
    if platform is None:
        raise _unusable(
            conn_id, f"extra field platform={settings.platform!r}: no such platform; use one of {', '.join(PLATFORMS)}"
        )
    if settings.region not in platform.base_urls and not host:
        raise _unusable(
            conn_id, f"extra field region={settings.region!r}: {platform.title} has no regions; leave it out"
        )
    return platform, Endpoint(
        platform=platform.name,
        base_url=_base_url(conn_id, host, port) if host else platform.base_urls[settings.region],
        api_key=_api_key(conn_id, password),
        region=settings.region,
        path_prefix=platform.path_prefix if settings.path_prefix is None else settings.path_prefix,
        timeout=settings.timeout,
        max_retries=settings.max_retries,
        rate_limit_per_minute=settings.rate_limit_per_minute,
        proxy=_proxy(conn_id, settings.proxy),
        verify=settings.verify,
        auth_hint=_auth_hint(conn_id, platform, settings.region),
    )


def _read_extra(conn_id: str, extra: Mapping[str, Any]) -> Extra:
    try:
        return Extra(**{name: value for name, value in extra.items() if value not in (None, "")})
    except ValidationError as error:
        problems = [
            f"extra field {item['loc'][0]}={redact(repr(item['input']), limit=80)}: {_rule(item)}"
            for item in error.errors(include_url=False)
        ]
        raise _unusable(conn_id, "; ".join(problems)) from None


def _rule(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return f"no such field; the fields are {', '.join(Extra.model_fields)}"
    return str(item["msg"]).removeprefix("Input ")


def _base_url(conn_id: str, host: str, port: int | None) -> str:
    base_url = host.strip().rstrip("/")
    if not _is_address(base_url, "https", "http"):
        raise _unusable(
            conn_id, f"host={redact(host)!r}: must be a base URL with its scheme, such as https://api.minimax.io"
        )
    parts = urlsplit(base_url)
    if parts.query or parts.fragment or parts.username or parts.password:
        raise _unusable(conn_id, f"host={redact(host)!r}: must be scheme, host and path only; the key is the password")
    if base_url.endswith(("/v1", "/v2")):
        raise _unusable(conn_id, f"host={host!r}: must end before the API's version; use {base_url[:-3]}")
    if port and not parts.port:
        base_url = f"{parts.scheme}://{parts.netloc}:{port}{parts.path}"
    return base_url


def _proxy(conn_id: str, proxy: str | None) -> str | None:
    if proxy is not None and not _is_address(proxy, "http", "https", "socks5", "socks5h"):
        # What it is may hold a password.
        raise _unusable(conn_id, "extra field proxy: must be a URL with its scheme, such as http://proxy.example:3128")
    return proxy


def _is_address(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no address, or no port, as its form goes
        return False


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
        f"does not say so: this connection's region is {region!r}, so the key may be one of {other!r}."
    )


def _unusable(conn_id: str, problem: str) -> MinimaxConfigurationError:
    return MinimaxConfigurationError(
        f"connection {conn_id!r} cannot be used: {problem}",
        money=NOTHING_BOUGHT,
    )
