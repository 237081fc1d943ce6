# SPDX-License-Identifier: MIT
"""Tells the service manager how the server is: systemd's sd_notify(3), and its watchdog."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

logger = logging.getLogger("uvicorn.error")


class Notifier:
    """Sends datagrams to $NOTIFY_SOCKET. What can't be sent is told once, and no failure."""

    def __init__(self, address: str) -> None:
        """`address` is a path, or begins with "@" for an abstract name."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._has_failed = False

    def send(self, *assignments: str) -> None:
        """Send lines such as READY=1, without waiting."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as exc:
            if not self._has_failed:
                logger.warning(
                    "The service manager can't be told anything: %s (NOTIFY_SOCKET)", exc
                )
            self._has_failed = True


class Watchdog:
    """Says from the event loop that it turns: if it stands still, the service manager hears nothing."""

    def __init__(self, notifier: Notifier, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        """Say it now, and twice in the time after which the manager acts."""
        self._notifier = notifier
        self._interval = seconds / 2
        self._loop = loop
        self._tell()

    def _tell(self) -> None:
        self._notifier.send("WATCHDOG=1")
        self._handle = self._loop.call_later(self._interval, self._tell)

    def stop(self) -> None:
        """Say no more."""
        self._handle.cancel()


def find_notifier(environment: Mapping[str, str]) -> Notifier | None:
    """Return what tells the service manager, if there is one that wants to know."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return None
    if address[0] not in "/@" or len(address) == 1:
        logger.warning("NOTIFY_SOCKET=%s is ignored: it is neither a path nor @NAME.", address)
        return None
    return Notifier(address)


def watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Return after which silence the service manager acts, if it watches this process."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    if not (microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0):
        logger.warning(
            "WATCHDOG_USEC=%s is ignored: it is no number of microseconds.", microseconds
        )
        return None
    return int(microseconds) / 1e6
