# SPDX-License-Identifier: MIT
"""Helpers that uvicorn has for its protocols, and others use with its scopes and transports."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cuvee._core import ClientDisconnected

__all__ = [
    "ClientDisconnected",
    "get_client_addr",
    "get_local_addr",
    "get_path_with_query_string",
    "get_remote_addr",
    "is_ssl",
]


def get_remote_addr(transport: asyncio.Transport) -> tuple[str, int] | None:
    """Return host and port of the client; None where it has none, as on a Unix socket."""
    address = _address_of(transport, "getpeername", "peername")
    return (str(address[0]), int(address[1])) if _is_pair(address) else None


def get_local_addr(transport: asyncio.Transport) -> tuple[str, int | None] | None:
    """Return host and port of the server, or its path and None on a Unix socket."""
    address = _address_of(transport, "getsockname", "sockname")
    if isinstance(address, str):
        return address, None
    return (str(address[0]), int(address[1])) if _is_pair(address) else None


def is_ssl(transport: asyncio.Transport) -> bool:
    """Say whether the connection is encrypted."""
    return bool(transport.get_extra_info("sslcontext"))


def get_client_addr(scope: Mapping[str, Any]) -> str:
    """Return "host:port" of a scope's client, as access logs have it, or nothing."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else ""


def get_path_with_query_string(scope: Mapping[str, Any]) -> str:
    """Return the target of a scope's request, as access logs have it."""
    path = quote(scope["path"])
    query: bytes = scope["query_string"]
    return f"{path}?{query.decode('ascii')}" if query else path


def _address_of(transport: asyncio.Transport, method: str, info: str) -> Any:
    """Ask the socket where there is one: a transport's own information may be old."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return transport.get_extra_info(info)
    try:
        return getattr(sock, method)()
    except OSError:  # closed, or never connected
        return None


def _is_pair(address: Any) -> bool:
    return isinstance(address, list | tuple) and len(address) >= 2
