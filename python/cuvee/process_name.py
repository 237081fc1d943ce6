# SPDX-License-Identifier: MIT
"""What `ps` and `top` call the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

_COMM = "/proc/self/comm"


def find_setter(name: Any) -> Callable[[str], None]:
    """Return what gives the process a name, whole if the package setproctitle is there.

    Without that it is Linux's short name, of 15 bytes: the command line is not touched. ValueError
    where neither can be had, or where `name` is none.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(name)
    try:
        from setproctitle import setproctitle
    except ImportError:
        if not os.path.exists(_COMM):
            raise ValueError(name) from None
        return _set_short_name
    setter: Callable[[str], None] = setproctitle
    return setter


def _set_short_name(name: str) -> None:
    with open(_COMM, "wb") as file:
        file.write(os.fsencode(name))
