# SPDX-License-Identifier: MIT
"""Kinds that one option has, and what the highest values are."""

from __future__ import annotations

import socket
from typing import Any

from cuvee.kinds import Kind, Seconds, Text, Whole
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
MOST_WEBSOCKET_SECONDS = 4294967
"""The highest number of seconds that the settings of WebSocket have room for, as milliseconds."""


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


class OrNone(Kind):
    """A number that the word `none` makes 0: what it bounds is without a bound."""

    @property
    def expected(self) -> str:
        """Name the word too."""
        return f"{super().expected}, or none"

    def parse(self, text: str) -> Any:
        """Read the word, or a number."""
        return 0 if text == "none" else super().parse(text)

    def accept(self, value: Any, shown: object) -> Any:
        """Take the word from a file too, which has no None."""
        return 0 if value == "none" else super().accept(value, shown)


class Unbounded(OrNone, Whole):
    """A whole number, of which 0 says that there is no limit."""

    def __init__(self, high: int, metavar: str = "NUMBER") -> None:
        """`high` is allowed."""
        super().__init__(0, high, metavar, optional=True)


class Interval(OrNone, Seconds):
    """A number of seconds that 0 and all below it switch off."""

    def __init__(self) -> None:
        """There is a highest one."""
        super().__init__(MOST_WEBSOCKET_SECONDS, optional=True)

    def accept(self, value: Any, shown: object) -> Any:
        """Leave what is below 0 as it was given: uvicorn takes it."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number and value < 0 else super().accept(value, shown)


class Host(Text):
    """Where to listen; None is uvicorn's word for every interface."""

    def accept(self, value: Any, shown: object) -> Any:
        """Have one word for it."""
        return "" if value is None else super().accept(value, shown)


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
