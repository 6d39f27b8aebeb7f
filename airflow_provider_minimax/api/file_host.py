"""Which links of clips may be followed, and what a file host's answer says about the bytes that come with it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import urlsplit

from airflow_provider_minimax.api.encodings import codings_of
from airflow_provider_minimax.exceptions import MinimaxDownloadError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The largest clip that any platform sells is some 100 MB; a body without end must not fill the disk.
LARGEST = 4 * 1024**3
LONGEST_VERSION = 512

# Python refuses to read numbers of thousands of digits.
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_NOT_SATISFIED = re.compile(r"bytes \*/(\d{1,18})", re.ASCII)


@cache
def is_inside(url: str) -> bool:
    """
    Whether the host of a URL is this machine, or one in a private network.

    :param url: the URL; a host whose name cannot be looked up is outside.
    """
    addresses = _addresses(urlsplit(url).hostname or "")
    return bool(addresses) and all(not address.is_global for address in addresses)


def check_host(host: str, *, resolve: bool, inside: bool) -> None:
    """
    Stop before a request goes to a place inside our network that the link's author could not reach himself.

    :param host: the host's name or address.
    :param resolve: whether to look its name up; not where a proxy does that.
    :param inside: whether the connection itself is inside, so that its clips may be too.
    :raises MinimaxDownloadError: the host has an address that is refused.
    """
    for address in _addresses(host, resolve=resolve):
        check_address(address, host, inside=inside)


def check_address(address: Address, host: str, *, inside: bool) -> None:
    """
    Stop at an address that no file host has.

    :param address: the address.
    :param host: the host as the link names it, for the error.
    :param inside: whether the connection itself is inside.
    :raises MinimaxDownloadError: the address is refused.
    """
    # Where clouds keep the credentials of their machines: no connection makes that a file host.
    never = address.is_link_local or address.is_multicast or address.is_unspecified
    if never or not (address.is_global or inside):
        shown = host if host == str(address) else f"{host} ({address})"
        raise MinimaxDownloadError(
            f"the clip's link leads to {shown}, an address inside this network, which is refused",
            hint="Links to such addresses are followed only if the connection's own host is inside too.",
        )


def address_of(peer: str) -> Address:
    """Return the address of a connected peer, as a socket tells it."""
    return _plain(ipaddress.ip_address(peer.partition("%")[0]))


def _addresses(host: str, *, resolve: bool = True) -> list[Address]:
    try:
        return [_plain(ipaddress.ip_address(host.strip("[]")))]
    except ValueError:
        pass
    if not resolve:
        return []
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        # Connecting will say so, with a better error.
        return []
    return [address_of(str(entry[4][0])) for entry in found]


def _plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for."""
    return getattr(address, "ipv4_mapped", None) or address


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
        length = headers.get("content-length", "")
        return Part(0, int(length) if _LENGTH.fullmatch(length) else None, version)
    if status == 206 and (match := _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))):
        start, _, total = match.groups()
        if int(start) == asked_from and not _is_of_another(headers, of_version):
            return Part(asked_from, None if total == "*" else int(total), version)
    match = _NOT_SATISFIED.fullmatch(headers.get("content-range", "")) if status == 416 else None
    if match and int(match[1]) == asked_from:
        # All of it was here already when the last process died.
        return Part(asked_from, asked_from, version)
    return None


def _is_of_another(headers: Mapping[str, str], version: str | None) -> bool:
    """Whether a part says itself that it is of another version: a host may take no notice of ``If-Range``."""
    if version is None:
        return False
    told = headers.get("etag" if version.startswith('"') else "last-modified")
    return told is not None and told.removeprefix("W/") != version


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
