# SPDX-License-Identifier: MIT
"""X-Forwarded-For and X-Forwarded-Proto for an application that another server runs.

Cuvee's own server reads them by itself, before the application is called, with the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from cuvee._types import ASGIApplication, Receive, Scope, Send
from cuvee.trusted_hosts import UNIX, TrustedHosts, address_of

SCHEMES = frozenset(("http", "https", "ws", "wss"))
MOST = 253
"""The longest name of a host."""

_NAME = re.compile(r"(unknown|_[A-Za-z0-9._-]+)(?::([0-9]+|_[A-Za-z0-9._-]+))?", re.ASCII)
_BRACKETED = re.compile(r"\[([^\]]*:[^\]]*)\](?::([0-9]+|_[A-Za-z0-9._-]+))?", re.ASCII)
_WITH_PORT = re.compile(r"([0-9.]+):([0-9]+|_[A-Za-z0-9._-]+)", re.ASCII)


class ProxyHeadersMiddleware:
    """Sets a scope's `client` and `scheme` to what trusted proxies tell of them."""

    def __init__(
        self, app: ASGIApplication, trusted_hosts: str | Collection[str] = "127.0.0.1"
    ) -> None:
        """Wrap `app`; `trusted_hosts` is what `--forwarded-allow-ips` takes."""
        self.app = app
        self.trusted_hosts = TrustedHosts(trusted_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] != "lifespan" and self._is_trusted(scope):
            self._read(scope)
        await self.app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        client, server = scope.get("client"), scope.get("server")
        if client:
            address = address_of(client[0])
            if address is None:
                return self.trusted_hosts.has_name(client[0])
            return self.trusted_hosts.has_address(address)
        if server and server[1] is None:  # a Unix socket
            return self.trusted_hosts.unix or self.trusted_hosts.has_name(server[0])
        return self.trusted_hosts.everyone

    def _read(self, scope: Scope) -> None:
        scheme = None
        lists = []
        for name, value in scope["headers"]:
            if name == b"x-forwarded-proto":
                scheme = value.decode("latin-1").strip()
            elif name == b"x-forwarded-for":
                lists.append(value.decode("latin-1"))
        if scheme in SCHEMES:
            scope["scheme"] = (
                scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
            )
        if lists and (client := self._walk(",".join(lists))):
            scope["client"] = client

    def _walk(self, forwarded: str) -> tuple[str, int] | None:
        """Go from the last entry to the left, as far as those who wrote them are trusted."""
        client = None
        for entry in reversed(forwarded.split(",")):
            found = self._entry(entry.strip(" \t"))
            if found is None:
                break
            client, is_trusted = found
            if not is_trusted:
                break
        return client

    def _entry(self, entry: str) -> tuple[tuple[str, int], bool] | None:
        """Return the host of an entry, and whether it is trusted; None for what is no entry."""
        hosts = self.trusted_hosts
        if len(entry) > MOST:
            return None
        if (address := address_of(entry)) is not None:
            return (entry, 0), hosts.has_address(address)
        if entry == UNIX:
            return (entry, 0), hosts.everyone or hosts.unix
        if match := _BRACKETED.fullmatch(entry) or _WITH_PORT.fullmatch(entry):
            host, port = match[1], _port(match[2])
            address = address_of(host)
            if address is None or port is None:
                return None
            return (host, port), hosts.has_address(address)
        if match := _NAME.fullmatch(entry):
            port = _port(match[2])
            return None if port is None else ((match[1], port), hosts.has_name(match[1]))
        if entry and not hosts.everyone and hosts.has_name(entry):
            return (entry, 0), True
        return None


def _port(text: str | None) -> int | None:
    """Return a port, 0 for one that is not told, or None for what is none."""
    if text is None or text.startswith("_"):
        return 0
    number = int(text) if len(text) < 20 else 65536
    return number if number < 65536 else None
