"""Which links of clips may be followed, and what a file host's answer says about the bytes that come with it."""

from __future__ import annotations

import ipaddress
import math
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from airflow_provider_minimax.api.http.encodings import codings_of
from airflow_provider_minimax.exceptions import MinimaxDownloadError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The largest clip that any platform sells is some 100 MB; a body without end must not fill the disk.
LARGEST = 4 * 1024**3
LONGEST_VERSION = 512

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_TEREDO = ipaddress.IPv6Network("2001::/32")
_6TO4 = ipaddress.IPv6Network("2002::/16")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
# Compatible, mapped, translated, and NAT64's well-known prefix.
_IPV4_AT_THE_END = [
    ipaddress.IPv6Network(prefix) for prefix in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
]
_ISATAP = (0x00005EFE, 0x02005EFE)
# Besides the link-local ones: of AWS, Google, Alibaba, Azure and Oracle.
_CREDENTIALS = [
    ipaddress.ip_network(text)
    for text in ("fd00:ec2::/32", "fd20:ce::/32", "100.100.100.200", "168.63.129.16", "192.0.0.192")
]

# Python refuses to read numbers of thousands of digits.
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_NOT_SATISFIED = re.compile(r"bytes \*/(\d{1,18})", re.ASCII)


def is_inside(url: str) -> bool:
    """
    Whether the host of a URL is this machine, or one in a private network.

    :param url: the URL; a host whose name cannot be looked up is outside.
    """
    host = urlsplit(url).hostname or ""
    try:
        addresses = (literal,) if (literal := literal_address(host)) else _addresses_of(host)
    except OSError:
        # A proxy may know it.
        return False
    return bool(addresses) and not any(map(_is_outside, addresses))


@lru_cache(maxsize=256)
def _addresses_of(host: str) -> tuple[Address, ...]:
    """Return the addresses of a connection's host, which is looked up once and not for each of its clips."""
    return tuple(resolve(host))


def resolve(host: str) -> list[Address]:
    """
    Return the addresses of a host, in the order in which they are to be tried.

    :param host: the host's name or address.
    :raises OSError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"no name of a host ({error})") from error
    return list(dict.fromkeys(_address_of(str(entry[4][0])) for entry in found))


def literal_address(host: str) -> Address | None:
    """
    Return the address that the name of a host is itself, in any of the forms that a resolver takes for one.

    :param host: the host as a URL has it, such as ``127.0.0.1``, ``127.1``, ``0x7f000001`` or ``[::1]``.
    """
    host = unquote(host).strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return _address_of(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _address_of(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def check_address(address: Address, host: str, *, inside: bool) -> None:
    """
    Stop before a request goes to a place inside our network that the link's author could not reach himself.

    :param address: the address that would be connected to.
    :param host: the host as the link names it, for the error.
    :param inside: whether the connection itself is inside, so that its clips may be too.
    :raises MinimaxDownloadError: the address is refused, or one that it stands for.
    """
    meant = _meanings(address)
    if any(map(_is_never_a_file_host, meant)) or not (inside or _is_outside(address)):
        shown = ", which stands for ".join(str(one) for one in dict.fromkeys((address, meant[-1])))
        shown = host if host == shown else f"{host} ({shown})"
        raise MinimaxDownloadError(
            f"the clip's link leads to {shown}, an address inside this network, which is refused",
            hint="Links to such addresses are followed only if the connection's own host is inside too.",
        )


def _is_never_a_file_host(address: Address) -> bool:
    """Whether no connection makes an address one, such as where clouds keep the credentials of their machines."""
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or any(address in network for network in _CREDENTIALS if network.version == address.version)
    )


def _is_outside(address: Address) -> bool:
    """Whether anybody on the internet can reach an address, and all that it stands for."""
    first, *others = _meanings(address)
    if isinstance(first, ipaddress.IPv4Address):
        return first.is_global
    if first in _GLOBAL_UNICAST:
        return first.is_global and all(map(_is_outside, others))
    return bool(others) and all(map(_is_outside, others))


def _meanings(address: Address) -> list[Address]:
    """Return an address and the IPv4 addresses that it stands for: what is sent to it may be passed on to those."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback or address.is_unspecified:
        return [address]
    number = int(address)
    found: list[int] = []
    if address in _TEREDO:
        found += [number >> 64, ~number]
    elif address in _6TO4:
        found += [number >> 80]
    elif address in _NAT64_LOCAL:
        # Where the IPv4 address stands depends on the length of the gateway's prefix (RFC 6052, 2.2), which the address
        # does not say. The octet in the middle is skipped.
        found += [(number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF]
        found += [(number >> 64 & 0xFF) << 24 | number >> 32 & 0xFFFFFF]
        found += [number >> 24, number]
        found = [one for one in found if one >> 24 & 0xFF]
    elif any(address in network for network in _IPV4_AT_THE_END) or number >> 32 & 0xFFFFFFFF in _ISATAP:
        found += [number]
    return [address, *(ipaddress.IPv4Address(one & 0xFFFFFFFF) for one in found)]


@dataclass(frozen=True, slots=True)
class Part:
    """
    What an answer carries.

    :param start: where in the file its first byte is.
    :param length: the size of the whole file, if the host says so.
    :param version: what names this version of the file, to go on with it after a break; ``None`` if nothing does.
    :param codings: what the file was encoded with on its way, in that order. Nothing in the headers is about the file
        itself then, and no part of it can be asked for.
    """

    start: int
    length: int | None
    version: str | None
    codings: tuple[str, ...] = ()


def part_of(status: int, headers: Mapping[str, str], asked_from: int, of_version: str | None = None) -> Part | None:
    """
    Read what an answer carries.

    :param status: its HTTP status.
    :param headers: its headers, with small letters.
    :param asked_from: where the wanted bytes begin; 0 if all were wanted.
    :param of_version: what names the version that those before are of.
    :return: ``None`` if it carries no bytes of the file, or others than those asked for.
    """
    version, codings = _version(headers), codings_of(headers)
    if codings:
        return Part(0, None, None, codings) if status == 200 else None
    if status == 200:
        return Part(0, _content_length(headers), version)
    if status == 206 and (match := _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))):
        start, _, total = match.groups()
        if int(start) == asked_from and not _is_of_another(headers, of_version):
            return Part(asked_from, None if total == "*" else int(total), version)
    match = _NOT_SATISFIED.fullmatch(headers.get("content-range", "")) if status == 416 else None
    if match and int(match[1]) == asked_from:
        # All of it was here already when the last process died.
        return Part(asked_from, asked_from, version)
    return None


class OverlongBodyError(MinimaxDownloadError):
    """More bytes come than the host announced, so none of them can be trusted."""


def announced_length(status: int, headers: Mapping[str, str]) -> float:
    """
    Return how many bytes a body may have, by what its headers say; infinity if they say nothing.

    HTTP itself goes by the chunks of a body that comes in chunks, whatever its ``Content-Length``.

    :param status: the answer's HTTP status.
    :param headers: its headers, with small letters.
    """
    length = _content_length(headers)
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "")) if status == 206 else None
    of_part = int(match[2]) - int(match[1]) + 1 if match else None
    return min((bound for bound in (length, of_part) if bound is not None), default=math.inf)


def _content_length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if _LENGTH.fullmatch(length) else None


def _is_of_another(headers: Mapping[str, str], version: str | None) -> bool:
    """Whether a part says itself that it is of another version: a host may take no notice of ``If-Range``."""
    if version is None:
        return False
    current = headers.get("etag" if version.startswith('"') else "last-modified")
    return current is not None and current.removeprefix("W/") != version


def can_be_sent_back(version: str) -> bool:
    """Whether a header may hold this: some hosts name versions in other alphabets, or at any length."""
    return 0 < len(version) <= LONGEST_VERSION and version.isascii() and version.isprintable()


def _version(headers: Mapping[str, str]) -> str | None:
    """Return what ``If-Range`` may be given: a strong validator (RFC 9110, 8.8 and 13.1.5)."""
    tag = headers.get("etag", "")
    if len(tag) > 1 and tag.startswith('"') and tag.endswith('"') and can_be_sent_back(tag):
        return tag
    changed, sent = headers.get("last-modified"), headers.get("date")
    if changed is None or sent is None or not can_be_sent_back(changed):
        return None
    try:
        is_strong = (parsedate_to_datetime(sent) - parsedate_to_datetime(changed)).total_seconds() >= 1
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return changed if is_strong else None
