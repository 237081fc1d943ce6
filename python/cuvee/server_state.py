# SPDX-License-Identifier: MIT
"""What can be asked of a running server: connections, requests, sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from cuvee import _core


class ConnectionCount:
    """How many connections are open, as a thing with a length."""

    def __init__(self, state: ServerState) -> None:
        """Count for `state`."""
        self._state = state

    def __len__(self) -> int:
        """Return the number of open connections."""
        core = self._state.core
        return core.connections if core is not None else 0


class ServerState:
    """What goes on in a server now."""

    def __init__(self) -> None:
        """Start with nothing: the C server comes with start-up."""
        self.core: _core.Server | None = None
        self.connections = ConnectionCount(self)
        self._total_requests = 0
        self._limited: dict[str, int] = {}
        self._cancel_ignored = 0

    @property
    def total_requests(self) -> int:
        """How many responses have been completed."""
        if self.core is not None:
            self._total_requests = self.core.total_requests
        return self._total_requests

    @property
    def limited(self) -> dict[str, int]:
        """How often each limit has ended a request or a connection, by the name of its option."""
        if self.core is not None:
            self._limited = self.core.limited
        return dict(self._limited)

    @property
    def cancel_ignored(self) -> int:
        """How many requests have gone on after they were cancelled, since their client was gone."""
        if self.core is not None:
            self._cancel_ignored = self.core.cancel_ignored
        return self._cancel_ignored

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks of the requests that are being served."""
        return self.core.tasks if self.core is not None else set()

    def release(self) -> None:
        """Let the C server go; the totals stay."""
        self._total_requests = self.total_requests
        self._limited = self.limited
        self._cancel_ignored = self.cancel_ignored
        self.core = None


class Listeners:
    """The listening sockets, with the face of asyncio's Server."""

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        """Hold the sockets."""
        self.sockets = tuple(listeners)

    def is_serving(self) -> bool:
        """Say whether the sockets are open."""
        return any(listener.fileno() >= 0 for listener in self.sockets)

    def close(self) -> None:
        """Close the sockets."""
        for listener in self.sockets:
            listener.close()
