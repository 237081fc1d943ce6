# SPDX-License-Identifier: MIT
"""The hosts whose word about a request's client is taken."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

EVERYONE = "*"
UNIX = "unix:"
_MAPPED = b"\0" * 10 + b"\xff" * 2


def address_of(text: str) -> bytes | None:
    """Return the 16 bytes of an address, an IPv4 one as IPv6 maps it; None for what is none."""
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return _MAPPED + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        return None


class TrustedHosts:
    """A list of addresses, networks, Unix sockets and names, or `*` for everyone.

    Raises ValueError for an entry that looks like an address or a network and is none.
    """

    def __init__(self, hosts: str | Collection[str]) -> None:
        """Read `hosts`: a list, or its entries in one text, with commas between them."""
        listed: object = hosts.split(",") if isinstance(hosts, str) else hosts
        if not isinstance(listed, Collection) or not all(isinstance(one, str) for one in listed):
            raise ValueError(f"{hosts!r} is no list of hosts")
        stripped = [entry.strip() for entry in listed if entry.strip()]
        self.everyone = stripped == [EVERYONE]
        self.unix = UNIX in stripped
        self._addresses: set[bytes] = set()
        self._networks: list[tuple[int, int]] = []
        self._names: set[str] = set()
        self.entries = tuple(stripped if self.everyone else map(self._add, stripped))
        """The entries in the form that the C server takes."""

    def _add(self, entry: str) -> str:
        if entry == EVERYONE:
            raise ValueError("'*' means everyone, and stands alone")
        if entry.startswith(UNIX):
            self._names.add(entry.removeprefix(UNIX) or UNIX)
        elif (address := address_of(entry)) is not None:
            self._addresses.add(address)
        elif address_of(entry.partition("/")[0]) is not None:
            network = _network(entry)
            self._networks.append(_prefix(network))
            return str(network)
        elif _looks_like_an_address(entry):
            raise ValueError(f"{entry!r} is neither an address nor a network")
        else:
            self._names.add(entry)
        return entry

    def has_address(self, address: bytes) -> bool:
        """Tell whether an address, as `address_of` gives it, is trusted."""
        if self.everyone or address in self._addresses:
            return True
        number = int.from_bytes(address, "big")
        is_ipv4 = address.startswith(_MAPPED)
        return any(
            number >> (128 - bits) == network >> (128 - bits)
            for network, bits in self._networks
            if bits >= 96 or not is_ipv4
        )

    def has_name(self, name: str) -> bool:
        """Tell whether the path of a Unix socket, or what is no address, is trusted."""
        return self.everyone or name in self._names


def _looks_like_an_address(entry: str) -> bool:
    known = "0123456789abcdefABCDEF.:/" if ":" in entry else "0123456789./"
    return set(known).issuperset(entry)


def _network(entry: str) -> IPv4Network | IPv6Network:
    import ipaddress

    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(f"{entry!r} is no network") from None
    raise ValueError(
        f"{entry!r} has bits set behind its prefix; the network it is in is {str(network)!r}"
    )


def _prefix(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    """Return 128 bits, and how many of them are the prefix."""
    packed, bits = network.network_address.packed, network.prefixlen
    if len(packed) == 4:
        packed, bits = _MAPPED + packed, bits + 96
    return int.from_bytes(packed, "big"), bits
