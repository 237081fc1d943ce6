# SPDX-License-Identifier: MIT
"""Socket activation: the sockets that systemd, or who does as it does, hands to this process.

The protocol is that of sd_listen_fds(3): descriptors from 3 on, LISTEN_FDS of them, for LISTEN_PID.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from cuvee.places import Descriptor, asked_for, places_of
from cuvee.sockets import Bound, adopt, close_all

if TYPE_CHECKING:
    from cuvee.config import Config

FIRST = 3
USAGE_ERROR = 2
"""The exit code of a contradiction."""
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class ActivationError(Exception):
    """What is handed over contradicts the options, or makes no sense."""


def take_sockets(config: Config, environment: MutableMapping[str, str]) -> list[Bound] | None:
    """Return the sockets that were handed over, or None where there are none, or not for us.

    The variables are removed, so that no child takes them for its own. ActivationError says that
    `config` asks for other places; OSError, that a descriptor is no socket to listen on.
    """
    passed = _find(environment)
    if not passed:
        return None
    asked = asked_for(config)
    if asked:
        if all(isinstance(it, Descriptor) and it.number in passed for it in places_of(config)):
            return None  # it has them by their numbers
        raise ActivationError(
            f"{asked[0]} asks for another place than the {len(passed)} socket(s) that systemd "
            "hands over (LISTEN_FDS): leave one of them out"
        )
    bound: list[Bound] = []
    try:
        for number in passed:
            bound.append(Bound(Descriptor(number), [_adopt(number)]))
            os.close(number)  # what was adopted is another number of the same socket
    except OSError:
        close_all(bound)
        raise
    return bound


def _adopt(number: int) -> socket.socket:
    listener = adopt(number)
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        what = f"descriptor {number} is a connection, not a socket to listen on"
        raise OSError(errno.EINVAL, f"{what}: the unit must not say Accept=yes")
    return listener


def _find(environment: MutableMapping[str, str]) -> range:
    """Return the numbers of the descriptors that are for this process."""
    process, count, _ = (environment.get(name, "") for name in VARIABLES)
    if process != str(os.getpid()):
        return range(0)
    for name in VARIABLES:
        environment.pop(name, None)
    if not (count.isascii() and count.isdigit() and len(count) < 6):
        raise ActivationError(f"LISTEN_FDS must be the number of sockets, not {count!r}")
    passed = range(FIRST, FIRST + int(count))
    for number in passed:
        with contextlib.suppress(OSError):  # who adopts it will say why
            os.set_inheritable(number, False)
    return passed
