# SPDX-License-Identifier: MIT
"""Ports for programs that can't be given a listening socket, or can't say which port they got."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
PORTS = range(20000, 32768)
"""Below what Linux gives to clients: a connection must not take a port before its server starts."""

_given: set[int] = set()


def free_port() -> int:
    """Return a port of loopback that nobody has now, and that was not returned before."""
    while True:
        port = random.choice(PORTS)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # A port that is waiting out its last connection can be listened on again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
