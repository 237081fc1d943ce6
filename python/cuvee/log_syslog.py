# SPDX-License-Identifier: MIT
"""Log lines to syslog, through Python's logging."""

from __future__ import annotations

import logging
import logging.handlers
import os
import socket
import sys
from urllib.parse import urlsplit

EXPECTED = "unix:/dev/log or udp://HOST:PORT"
PORT = 514


def find_syslog(option: str, text: str) -> str | tuple[str, int]:
    """Return the address that `text` names: of a Unix socket, or host and port as numbers.

    Raises ValueError, in the name of `option`, where there is none.
    """
    if text.startswith("unix:"):
        return _find_socket(option, text.removeprefix("unix:"))
    if not text.startswith("udp://"):
        raise ValueError(f"{option} must be {EXPECTED}, not {text!r}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.path or parts.query or port == 0:
        raise ValueError(f"{option} must be {EXPECTED}, not {text!r}")
    try:
        # Once, here: no later line waits for a name server.
        found = socket.getaddrinfo(host, port or PORT, type=socket.SOCK_DGRAM)
    except OSError as exc:
        raise ValueError(f"{option}: {host!r} can't be found: {exc.strerror}") from None
    return found[0][4][:2]  # type: ignore[return-value]


def _find_socket(option: str, path: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect(path)
        except OSError as exc:
            reason = exc.strerror or exc
            raise ValueError(f"{option} can't be reached: {path!r}: {reason}") from None
    return path


class SyslogHandler(logging.handlers.SysLogHandler):
    """Sends each record as one datagram. Never waits: what is not taken at once is lost."""

    append_nul = False
    socket: socket.socket | None

    def __init__(self, address: str | tuple[str, int]) -> None:
        """Take an address of `find_syslog`'s."""
        self.dropped = 0
        super().__init__(address, socktype=socket.SOCK_DGRAM)
        self.ident = f"cuvee[{os.getpid()}]: "

    def createSocket(self) -> None:
        """Make a socket that does not block."""
        super().createSocket()
        if self.socket is not None and not self.unixsocket:
            self.socket.setblocking(False)

    def _connect_unixsocket(self, address: str) -> None:
        super()._connect_unixsocket(address)  # type: ignore[misc]
        assert self.socket is not None
        self.socket.setblocking(False)

    def handleError(self, record: logging.LogRecord) -> None:
        """Count what the receiver did not take."""
        if isinstance(sys.exc_info()[1], OSError):
            self.dropped += 1
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the socket, and say how much was lost."""
        super().close()
        if self.dropped and sys.stderr is not None:
            print(f"cuvee: {self.dropped} log lines were not taken by syslog", file=sys.stderr)
            self.dropped = 0
