# SPDX-License-Identifier: MIT
"""Kinds that one option has, and what the highest values are."""

from __future__ import annotations

import socket
from typing import Any

from cuvee.kinds import Kind, Seconds, Text
from cuvee.trusted_hosts import TrustedHosts

EXTENSIONS = ("early_hint", "trailers", "pathsend", "zerocopysend")
"""The http.response extensions of ASGI that there are."""
MOST = 2**30
"""The highest value of a limit of bytes or of a number of things."""
MOST_FIELDS = 256
MOST_THREADS = 4096
MOST_BODY = 2**53
MOST_HOPS = 100
MOST_KEEPALIVE = 32767
"""The highest number of seconds that the kernel takes for TCP_KEEPIDLE."""
MOST_USER_TIMEOUT = 2147483
"""The highest number of seconds that it takes, as milliseconds, for TCP_USER_TIMEOUT."""


def cancel_grace(policy: Any) -> float | None:
    """Return the seconds from a client's leaving to the end of its request; None: it is not ended.

    `policy` is what --on-disconnect takes. Raises ValueError.
    """
    if policy == "notify":
        return None
    if policy == "cancel":
        return 0
    word, _, seconds = policy.partition(":") if isinstance(policy, str) else ("", "", "")
    if word != "cancel":
        raise ValueError(policy)
    grace: float = Seconds().parse(seconds)
    return grace


class UserTimeout(Seconds):
    """What TCP_USER_TIMEOUT takes, where there is one."""

    def accept(self, value: Any, shown: object) -> Any:
        """Refuse where the system can't do it."""
        seconds = super().accept(value, shown)
        if seconds and not hasattr(socket, "TCP_USER_TIMEOUT"):
            raise ValueError("needs TCP_USER_TIMEOUT, which only Linux has")
        return seconds


class Hosts(Kind):
    """Trusted hosts: a text with commas, or a list."""

    def accept(self, value: Any, shown: object) -> Any:  # noqa: ARG002
        """Say which entry is wrong."""
        try:
            TrustedHosts(value)
        except ValueError as exc:
            raise ValueError(f"is wrong: {exc}") from None
        return value


def health_path(path: Any) -> bytes:
    """Return a path as a request line has it; ValueError if it can't stand there."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError(path)
    if not path.isascii() or not path.isprintable() or any(mark in path for mark in " ?#"):
        raise ValueError(path)
    return path.encode("ascii")


class AccessFormat(Text):
    """How a line of the access log looks."""

    def accept(self, value: Any, shown: object) -> Any:
        """Refuse a format that has something unknown in it."""
        from cuvee.access_format import parse

        parse(super().accept(value, shown))
        return value
