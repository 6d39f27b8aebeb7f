"""The emulated platforms, their path prefixes and keys. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

KEY = "emulator-key"
KEY_CN = "emulator-key-cn"


@dataclass(frozen=True)
class Address:
    """The address of one emulated platform, and what a connection to it needs."""

    name: str
    title: str
    key: str = KEY
    foreign_key: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


ADDRESSES = {
    address.name: address
    for address in (
        Address("minimax", "MiniMax, global region", KEY, KEY_CN, {"platform": "minimax"}),
        Address("minimax-cn", "MiniMax, mainland region", KEY_CN, KEY, {"platform": "minimax", "region": "cn"}),
        Address("bltcy", "BLTCY", extra={"platform": "bltcy"}),
        Address("ai302", "302.AI", extra={"platform": "ai302"}),
        Address("chainhub", "ChainHub", extra={"platform": "chainhub"}),
        Address("vtrix", "Vtrix", extra={"platform": "vtrix"}),
        Address("novita", "Novita", extra={"platform": "novita"}),
    )
}


def address_of(name: str) -> Address:
    """Return the address of a platform; ValueError with the known names if there is none."""
    try:
        return ADDRESSES[name]
    except KeyError:
        raise ValueError(f"no platform {name!r}; the emulator has {', '.join(ADDRESSES)}") from None
