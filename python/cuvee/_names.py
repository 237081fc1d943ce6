# SPDX-License-Identifier: MIT
"""Look-ups of addresses: what is a number already is answered at once, the rest by asyncio's executor.

`socket.getaddrinfo` neither asks nor waits for anybody when host and port are numbers, so that no
thread is needed; what it said of such a pair it will say again, so that it is asked once.
"""

from __future__ import annotations

import functools
import socket
from typing import Any

from cuvee import _asyncio_private as private

# Flags that neither make a look-up of a number ask anybody, nor let its answer change.
_PLAIN_FLAGS = (
    socket.AI_PASSIVE | socket.AI_CANONNAME | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
)
_NUMERIC_NAMES = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
_REMEMBERED = 1024
_LONGEST_LITERAL = 64  # 45 characters, and the name of an interface

_system_getaddrinfo = socket.getaddrinfo


def _is_literal(host: str) -> bool:
    address, scope_mark, _ = host.partition("%")
    for family in (socket.AF_INET6,) if scope_mark else (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, address)
        except (OSError, ValueError):
            continue
        return True
    return False


def _is_number(port: int | str | None) -> bool:
    return not isinstance(port, str) or (port.isascii() and port.isdigit())


def _look_up(
    host: str, port: int | str | None, family: int, kind: int, proto: int, flags: int
) -> list[Any] | None:
    """Return what `socket.getaddrinfo` says, or None if it might have to wait."""
    if flags & ~_PLAIN_FLAGS or not _is_number(port) or not _is_literal(host):
        return None
    return socket.getaddrinfo(host, port, family, kind, proto, flags)


_look_up_once = functools.lru_cache(_REMEMBERED, typed=True)(_look_up)


class NamesMixin(private.BaseLoop):
    """`getaddrinfo` and `getnameinfo`."""

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Look up the addresses of a host, as `socket.getaddrinfo` does."""
        self._check_closed()
        if (
            isinstance(host, str)
            and len(host) <= _LONGEST_LITERAL
            and (port is None or isinstance(port, (int, str)))
            # Who has put something in its place is asked as ever.
            and socket.getaddrinfo is _system_getaddrinfo
        ):
            # The number of an interface is not for ever.
            look_up = _look_up if "%" in host else _look_up_once
            found = look_up(host, port, family, type, proto, flags)
            if found is not None and not self._debug:
                return found.copy()
            if found is not None:  # asked again by what writes a log
                return self._getaddrinfo_debug(host, port, family, type, proto, flags)
        return await super().getaddrinfo(
            host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Look up the names of an address, as `socket.getnameinfo` does."""
        if flags & _NUMERIC_NAMES == _NUMERIC_NAMES:
            return socket.getnameinfo(sockaddr, flags)
        return await super().getnameinfo(sockaddr, flags)
