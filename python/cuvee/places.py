# SPDX-License-Identifier: MIT
"""The places where a server listens, as they are written: `--bind`, and uvicorn's four options."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from cuvee.config import Config

FORMS = "HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, unix:@NAME or fd://NUMBER"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000


class Tcp(NamedTuple):
    """A host name or address and a port; "" is every interface, on IPv4 and IPv6."""

    host: str
    port: int


class Unix(NamedTuple):
    """A Unix socket's path; an abstract name begins with NUL, as it does for the kernel."""

    path: str

    @property
    def is_abstract(self) -> bool:
        """Whether the name is the kernel's own, and no file."""
        return self.path.startswith("\0")


class Descriptor(NamedTuple):
    """An inherited file descriptor of a socket."""

    number: int


Place: TypeAlias = Tcp | Unix | Descriptor


def parse_place(text: Any) -> Place:
    """Read one `--bind`; ValueError if it has none of the forms."""
    if not isinstance(text, str) or "\0" in text:
        raise ValueError(text)
    if text.startswith("unix:"):
        return _parse_unix(text.removeprefix("unix:"))
    if text.startswith("fd://"):
        return Descriptor(_parse_number(text.removeprefix("fd://"), 2**31 - 1))
    host, colon, port = text.rpartition(":")
    is_v6 = host.startswith("[") and host.endswith("]") and ":" in host
    if not colon or (not is_v6 and any(mark in host for mark in ":[]/")):
        raise ValueError(text)
    return Tcp(host[1:-1] if is_v6 else host, _parse_number(port, 65535))


def _parse_unix(path: str) -> Unix:
    if path in ("", "@") or (path.startswith("@") and sys.platform != "linux"):
        raise ValueError(path)
    return Unix("\0" + path[1:] if path.startswith("@") else path)


def _parse_number(digits: str, most: int) -> int:
    if not (digits.isascii() and digits.isdigit() and int(digits) <= most):
        raise ValueError(digits)
    return int(digits)


def places_of(config: Config) -> list[Place]:
    """Return the places that `config` names, or its host and port."""
    if config.bind:
        return [parse_place(text) for text in config.bind]
    if config.fd is not None:
        return [Descriptor(config.fd)]
    if config.uds is not None:
        return [Unix(config.uds)]
    return [Tcp(config.host, config.port)]


def asked_for(config: Config) -> list[str]:
    """Name the options by which `config` asks for a place of its own."""
    asked = {
        "bind": bool(config.bind),
        "fd": config.fd is not None,
        "uds": config.uds is not None,
        "host": config.host != DEFAULT_HOST,
        "port": config.port != DEFAULT_PORT,
    }
    return [name for name, is_set in asked.items() if is_set]


def check_places(config: Config) -> None:
    """Raise ValueError where options contradict each other, or one of them has nothing to say."""
    asked = asked_for(config)
    if config.bind and len(asked) > 1:
        raise ValueError(f"{asked[1]} cannot stand beside bind, which names every place itself")
    has_file = any(isinstance(it, Unix) and not it.is_abstract for it in places_of(config))
    for name in ("uds_permissions", "uds_owner"):
        if getattr(config, name) is not None and not has_file:
            raise ValueError(f"{name} needs a Unix socket's file: uds, or bind with unix:PATH")
