# SPDX-License-Identifier: MIT
"""Users and groups of the system, by name or by number."""

from __future__ import annotations

from typing import Any, NamedTuple

LEAVE = -1
"""Stands for a user or group that stays as it is."""


class User(NamedTuple):
    """A user; a number that the system does not know has neither group nor name."""

    number: int
    group: int | None
    name: str | None


def find_user(text: Any) -> User:
    """Return the user called, or numbered, `text`; ValueError if there is none."""
    import pwd

    is_number = _is_number(text)
    try:
        found = pwd.getpwuid(int(text)) if is_number else pwd.getpwnam(text)
    except KeyError:
        if is_number:
            return User(int(text), None, None)
        raise ValueError(text) from None
    return User(found.pw_uid, found.pw_gid, found.pw_name)


def find_group(text: Any) -> int:
    """Return the number of the group called, or numbered, `text`; ValueError if there is none."""
    import grp

    if _is_number(text):
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ValueError(text) from None


def find_owner(text: Any) -> tuple[int, int]:
    """Return user and group of "USER", "USER:GROUP" or ":GROUP"; ValueError if there are none."""
    if not isinstance(text, str):
        raise ValueError(text)
    user, colon, group = text.partition(":")
    if not (user or group) or (colon and not group):
        raise ValueError(text)
    return (
        find_user(user).number if user else LEAVE,
        find_group(group) if group else LEAVE,
    )


def _is_number(text: Any) -> bool:
    """Tell a number, which no user or group is asked for, from a name."""
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(text)
    if text.isascii() and text.isdigit():
        if int(text) >= 2**32 - 1:  # the kernel's "leave it"
            raise ValueError(text)
        return True
    return False
