"""
Which proxy a URL goes through: the connection's, the environment's, or none.

Decided here for each URL and not left to httpx, which reads the environment when a client is made, fails for some of
what ``NO_PROXY`` may legally hold, and does not say which way a request will take.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from airflow_provider_minimax.exceptions import NOTHING_BOUGHT, MinimaxConfigurationError

SCHEMES = ("http", "https", "socks5", "socks5h")
FIELD = "the connection's extra field proxy"
_PORTS = {"http": 80, "https": 443}
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?", re.ASCII)
_IN_BRACKETS = re.compile(r"\[([^\]]*)\](/\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    A proxy, and who named it.

    :param url: its URL, with its scheme. Not shown by ``repr``: it may hold a password.
    :param named_by: the environment variable or the field of the connection that names it.
    """

    url: str = field(repr=False)
    named_by: str


def proxy_for(url: str, chosen: str | None, environment: Mapping[str, str] | None = None) -> Proxy | None:
    """
    Return the proxy that a URL goes through.

    :param url: where a request goes.
    :param chosen: the proxy that the connection names. It is for every URL, whatever the environment says.
    :param environment: the proxies by scheme, as :func:`urllib.request.getproxies` returns them, which is the default.
    :return: the proxy, or ``None`` if the URL is to be reached directly.
    :raises MinimaxConfigurationError: the proxy that is to be used cannot be.
    """
    if chosen:
        return usable(Proxy(chosen, FIELD))
    proxies = getproxies() if environment is None else environment
    if not proxies:
        return None
    parts = urlsplit(url)
    scheme = next((scheme for scheme in (parts.scheme, "all") if proxies.get(scheme)), None)
    if scheme is None or any(_covers(entry, parts) for entry in re.split(r"[,\s]+", proxies.get("no", ""))):
        return None
    named = proxies[scheme].strip()
    return usable(Proxy(named if "://" in named else f"http://{named}", _variable(scheme)))


def usable(proxy: Proxy) -> Proxy:
    """
    Return a proxy that can be used.

    :param proxy: the proxy.
    :raises MinimaxConfigurationError: it is no URL of a proxy, or needs a package that is not installed. What it holds
        is not shown, since it may be a password.
    """
    parts = _split(proxy.url)
    if parts is None or parts.scheme not in SCHEMES:
        raise _unusable(
            f"{proxy.named_by}: must be the URL of a proxy with a scheme that is one of {', '.join(SCHEMES)}, such as "
            "http://proxy.example:3128"
        )
    if parts.scheme.startswith("socks5") and find_spec("socksio") is None:
        raise _unusable(
            f"{proxy.named_by}: a SOCKS proxy needs the package socksio, which is not installed here",
            hint="Install airflow-provider-minimax[socks] wherever Airflow's tasks and triggers run.",
        )
    return proxy


def _split(url: str) -> SplitResult | None:
    """Return the parts of a proxy's URL, if it is one."""
    if not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:  # no address, or no port, as its form goes
        return None


def _variable(scheme: str) -> str:
    """Return the name of the environment variable that names the proxy; of two, the one in small letters holds."""
    name = f"{scheme}_proxy"
    return name if name in os.environ else name.upper()


def _unusable(problem: str, hint: str | None = None) -> MinimaxConfigurationError:
    return MinimaxConfigurationError(problem, billing=NOTHING_BOUGHT, hint=hint)


def _covers(entry: str, url: SplitResult) -> bool:
    """Whether an entry of ``NO_PROXY`` says that a URL needs no proxy."""
    if entry == "*":
        return True
    scheme, separator, rest = entry.rpartition("://")
    if separator and scheme.lower() not in ("all", url.scheme):
        return False
    host = (url.hostname or "").rstrip(".")
    address = _address(host)
    if address is not None and (network := _network(rest)) is not None:
        return address in network
    match = _HOST_AND_PORT.fullmatch(rest)
    if match is None or (match[2] and int(match[2]) != _port(url)):
        return False
    if address is not None:
        return address == _address(match[1].strip("[]"))
    name, host = _ascii(match[1].removeprefix("*").strip(".")), _ascii(host)
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _port(url: SplitResult) -> int | None:
    return url.port or _PORTS.get(url.scheme)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network, or the one address, that a text stands for."""
    if match := _IN_BRACKETS.fullmatch(text):
        text = f"{match[1]}{match[2] or ''}"
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _ascii(name: str) -> str:
    """Return the name of a host as it is looked up."""
    try:
        return name.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return name.lower()
